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
GO_FLAG: Final = late(
    r"\bflag\.(?:Int|String)\(\s*\"(?P<flag>(?:http-?)?port|listen|addr(?:ess)?)\"\s*,\s*\"?(?:[\w.]*:)?(\d{2,5})"
)
PYTHON: Final = late(
    rf"(?:environ\.get|getenv)\(\s*['\"](?P<v1>(?:\w+_)?PORT)['\"]\s*,\s*{PORT}"
    rf"|\badd_argument\([^()]*['\"](?P<flag>--(?:http-)?port)['\"][^()]*\bdefault\s*=\s*{PORT}"
    rf"|\b(?:run|run_app|serve|listen|run_simple)\([^()]*\bport\s*=\s*{PORT}"
)
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
        elif number := configured_port(file, text):
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
        for match in GO_FLAG.finditer(text):
            yield FoundPort(int(match[2]), flag=f"-{match['flag']}", address=match["flag"][0] in "al")
    for match in pattern.finditer(text) if pattern else ():
        names = [name for key, name in match.groupdict().items() if key.startswith("v") and name]
        number = next((int(each) for each in match.groups() if each and each.isdigit()), 0)
        variable = names[0] if names else ""
        if file.endswith(".py") and match["flag"]:
            yield FoundPort(number, flag=match["flag"])
        elif 0 < number < 65536 and not ELSEWHERE.search(variable):
            yield FoundPort(number, variable, re.search(r"ADDR|LISTEN", variable) is not None)
