"""The ports that programs listen on: the variable that they read, and the number where none is given. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.listing import SCRIPTS

PORT: Final = r"['\"`]?(\d{4,5}|80)\b"
SCRIPT: Final = late(
    rf"process\.env\.(?P<v1>\w*PORT)\)?\s*(?:\|\||\?\?)\s*{PORT}"
    rf"|\b(?P<v2>\w*PORT)\b(?:/\*[^*]*\*/)?\s*:\s*(?:z|num|port|envalid|Joi)\b[^\n]*?\b(?:default|devDefault)\s*[(:]\s*{PORT}"
    rf"|\b(?:listen|serve)\(\s*(?:\{{[^{{}}]*\bport\s*:\s*)?{PORT}"
)
# `addr := os.Getenv("LISTEN_ADDR")` and `addr = ":8090"` behind it; `envOr("PORT", "8080")`.
GO: Final = late(
    r"(?:[Gg]et[Ee]nv|[eE]nv\w*)\(\s*\"(?P<v1>\w*(?:ADDR|ADDRESS|PORT|LISTEN))\"\s*\)?(?:[^\"]|\"\"){0,120}?\"(?:[\w.]*:)?(\d{2,5})\""
    r"|ListenAndServe\(\s*\"[\w.]*:(\d{2,5})\"|\.(?:Run|Start|Listen)\(\s*\"[\w.]*:(\d{2,5})\""
)
# A port of something that the program connects to, by its name.
ELSEWHERE: Final = re.compile(
    r"(?:^|_)(?:DB|DATABASE|PG|POSTGRES\w*?|SQL|MYSQL|MONGO\w*?|DYNAMO\w*?|REDIS|CACHE|SMTP|MAIL\w*?|KAFKA|RABBIT\w*?|AMQP)_?PORT$"
)
# `flag.Int("port", 8080, …)`, `flag.StringVar(&addr, "http", ":8080", …)`, `addr := flag.String("http", …)`.
GO_FLAG: Final = late(
    r"(?:\b(?P<name>\w+)\s*:?=\s*)?\bp?flag\.(?:Int|Uint|String)(?:Var)?P?\(\s*(?:&(?:\w+\.)*(?P<var>\w+)\s*,\s*)?"
    r"\"(?P<flag>[\w.-]+)\"\s*,\s*(?:\"\w\"\s*,\s*)?(?P<text>\"?(?:[\w.]*:)?)(?P<number>\d{2,5})\b"
)
FLAG_NAME: Final = late(r"(?:http-?)?port|listen|addr(?:ess)?")
# Fields of a struct that a package fills: `env:"PORT" envDefault:"8080"`, `envconfig:"HTTP_PORT" default:"8080"`.
GO_TAG: Final = late(r"`[^`]*\benv(?:config)?:\"(?P<v1>\w*PORT)[^`]*\b(?:envD|d)efault:\":?(\d{2,5})\"")
# What a server is told to listen on, by a name: `app.listen(config.port)`, `Addr: listenAddr`, `Run(":" + port)`.
LISTENED: Final = late(
    r"\b(?:listen|serve)\(\s*(?:\{[^{}]*\bport\s*:\s*|\{[^{}]*?\b(?=port\s*[,}]))?(?:Number\(|parseInt\(|\+)?((?:\w+\.)*[A-Za-z_]\w*)"
)
GO_LISTENED: Final = late(
    r"(?:ListenAndServe(?:TLS)?\(|\bAddr:|\.(?:Run|Start|Listen)\(|\bnet\.Listen\(\s*\"tcp4?\"\s*,)\s*"
    r"(?:fmt\.Sprintf\(\s*\"[\w.]*:%[dsv]\"\s*,\s*|\"[\w.]*:\"\s*\+\s*)?(?:strconv\.Itoa\(|\*|string\()*((?:\w+\.)*[A-Za-z_]\w*)"
)
GO_ADDRESS: Final = late(r"\bAddr:\s*\"[\w.]*:(\d{2,5})\"")
PYTHON: Final = late(
    rf"(?:environ\.get|getenv)\(\s*['\"](?P<v1>(?:\w+_)?PORT)['\"]\s*,\s*{PORT}"
    rf"|\badd_argument\([^()]*['\"](?P<flag>--(?:http-)?port)['\"][^()]*\bdefault\s*=\s*{PORT}"
    rf"|\b(?:run|run_app|serve|listen|run_simple)\([^()]*\bport\s*=\s*{PORT}"
)
# The usual ports of stores.
STORES: Final = frozenset((5432, 3306, 6379, 27017, 11211))
CONFIGURED: Final = late(r"(^|/)config/(default|development|local|dev)\.json$|(^|/)(config|settings)\.json$")
SECTIONS: Final = ("server", "http", "app", "api", "web")
RUBY: Final = late(r"^\s*set\s+:port,\s*(?:ENV\.fetch\(\s*['\"](?P<v1>\w+)['\"]\s*,\s*)?['\"]?(\d{2,5})", re.MULTILINE)


class FoundPort(Value, frozen=True):
    """A port, and the variable that gives another; "" where it is fixed. `address`: it holds host and port.

    `flag` is the option of the command that gives another.
    """

    number: int
    variable: str = ""
    address: bool = False
    flag: str = ""


def read_ports(texts: Mapping[str, str]) -> dict[str, FoundPort]:
    """File -> the port that its program listens on; of several the one with a variable."""
    found: dict[str, FoundPort] = {}
    for file, text in texts.items():
        ports = sorted(ports_in(file, text), key=lambda each: (not each.flag, not each.variable))
        if ports:
            found[file] = ports[0]
        elif (number := named_port(file, text, texts)) or (number := configured_port(file, text)):
            found[file] = FoundPort(number)
    return found


def configured_port(file: str, text: str) -> int | None:
    """The port of the server in a settings file: `port` on its own, or in a section such as `server`."""
    try:
        tree = json.loads(text) if CONFIGURED.search(file) else None
    except (ValueError, RecursionError):
        return None
    parts = [tree, *(tree.get(name) for name in SECTIONS)] if isinstance(tree, dict) else []
    numbers = [part.get("port") for part in parts if isinstance(part, dict)]
    texts = [str(each) for each in numbers if re.fullmatch(r"[1-9]\d{2,4}", str(each))]
    return next((number for each in texts if (number := int(each)) < 65536), None)


def go_ports(text: str) -> Iterator[FoundPort]:
    """The flags that a server listens on, by their name or that of their variable; fields that a package fills."""
    listened = {match[1].rpartition(".")[2] for match in GO_LISTENED.finditer(text)}
    for match in GO_FLAG.finditer(text):
        if FLAG_NAME.fullmatch(match["flag"]) or {match["name"], match["var"]} & listened:
            dashes = "--" if "pflag." in match[0] else "-"
            yield FoundPort(int(match["number"]), flag=f"{dashes}{match['flag']}", address=":" in match["text"])
    for match in GO_TAG.finditer(text):
        yield FoundPort(int(match[2]), match["v1"])
    for match in GO_ADDRESS.finditer(text):
        yield FoundPort(int(match[1]))


def named_port(file: str, text: str, texts: Mapping[str, str]) -> int | None:
    """The number that a server listens on by a name of its file, or by one that only one value of the others has."""
    go = file.endswith(".go")
    endings = (".go",) if go else SCRIPTS
    for listened in (GO_LISTENED if go else LISTENED).finditer(text) if file.endswith(endings) else ():
        name = listened[1].rpartition(".")[2]
        # `port = 1`, `port: 1`, `port := 1`, in between a type.
        between = r"['\"]?(?:\s*:\s*\w+(?=\s*=)|\s+\w+(?=\s*=))?\s*(?::=|=|:)\s*"
        given = re.compile(rf"\b{re.escape(name)}\b{between}[\"']?(?:[\w.]*:)?(\d{{2,5}})\b")
        numbers = {int(number) for number in given.findall(text)}
        if not numbers and "port" in name.lower():
            # A JSON file that a program reads is a module here.
            others = (
                other
                for each, other in texts.items()
                if each != file and (each.endswith(endings) or other.startswith("module.exports = {"))
            )
            numbers = {int(number) for other in others for number in given.findall(other)}
        numbers -= STORES
        if len(numbers) == 1 and 0 < (number := numbers.pop()) < 65536:
            return number
    return None


def ports_in(file: str, text: str) -> Iterator[FoundPort]:
    """The ports in one file."""
    pattern = (
        SCRIPT
        if file.endswith(SCRIPTS)
        else GO
        if file.endswith(".go")
        else PYTHON
        if file.endswith(".py")
        else RUBY
        if file.endswith(".rb")
        else None
    )
    if file.endswith(".go"):
        yield from go_ports(text)
    for match in pattern.finditer(text) if pattern else ():
        names = [name for key, name in match.groupdict().items() if key.startswith("v") and name]
        number = next((int(each) for each in match.groups() if each and each.isdigit()), 0)
        variable = names[0] if names else ""
        if file.endswith(".py") and match["flag"]:
            yield FoundPort(number, flag=match["flag"])
        elif 0 < number < 65536 and not ELSEWHERE.search(variable):
            yield FoundPort(number, variable, re.search(r"ADDR|LISTEN", variable) is not None)
