"""The ports that programs listen on: the variable that they read, and the number where none is given. Pure."""

from __future__ import annotations

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
RUBY: Final = late(r"^\s*set\s+:port,\s*(?:ENV\.fetch\(\s*['\"](?P<v1>\w+)['\"]\s*,\s*)?['\"]?(\d{2,5})", re.MULTILINE)


class FoundPort(Value, frozen=True):
    """A port, and the variable that gives another; "" where it is fixed. `address`: it holds host and port."""

    number: int
    variable: str = ""
    address: bool = False


def read_ports(texts: Mapping[str, str]) -> dict[str, FoundPort]:
    """File -> the port that its program listens on; of several the one with a variable."""
    found: dict[str, FoundPort] = {}
    for file, text in texts.items():
        ports = sorted(ports_in(file, text), key=lambda each: not each.variable)
        if ports:
            found[file] = ports[0]
    return found


def ports_in(file: str, text: str) -> Iterator[FoundPort]:
    """The ports in one file."""
    pattern = (
        SCRIPT if file.endswith(SCRIPTS) else GO if file.endswith(".go") else RUBY if file.endswith(".rb") else None
    )
    for match in pattern.finditer(text) if pattern else ():
        names = [name for key, name in match.groupdict().items() if key.startswith("v") and name]
        number = next((int(each) for each in match.groups() if each and each.isdigit()), 0)
        variable = names[0] if names else ""
        if 0 < number < 65536 and not ELSEWHERE.search(variable):
            yield FoundPort(number, variable, re.search(r"ADDR|LISTEN", variable) is not None)
