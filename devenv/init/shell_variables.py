"""The variables that a shell script or a Makefile gives a value, filled in where they are used. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# `TABLE=orders`, `export TABLE="orders"`, `TABLE=${ORDERS_TABLE:-orders}`.
GIVEN: Final = re.compile(
    r"""^[ \t]*(?:(?:export|readonly|local)[ \t]+)?([A-Za-z_]\w*)=(?:"([^"\n`]*)"|'([^'\n]*)'|([^\s"'`;&|()]*))""",
    re.MULTILINE,
)
USED: Final = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-([^{}$\n]*))?\}|\$([A-Za-z_]\w*)")
ROUNDS: Final = 5
MAKEFILE: Final = re.compile(r"(?:GNU)?[Mm]akefile(?:\.\w+)?|\w+\.mk")
# `TABLE ?= orders`, `AWS := aws --endpoint-url $(ENDPOINT)`, and `$(TABLE)`.
MADE: Final = re.compile(
    r"^(?:export[ \t]+)?([A-Za-z_][\w-]*)[ \t]*(?:\?|::?)?=[ \t]*(.*?)[ \t]*(?:#.*)?$", re.MULTILINE
)
TAKEN: Final = re.compile(r"(?<!\$)\$(?:\(([\w-]+)\)|\{([\w-]+)\})")


def made_in(makefile: str, variables: Mapping[str, str]) -> str:
    """A Makefile with the values of its variables; those that it does not set come from `variables`."""
    known = {**variables, **dict(MADE.findall(makefile))}

    def value(match: re.Match[str]) -> str:
        found = known.get(match[1] or match[2], "")
        return found if found and f"$({match[1]})" not in found and f"${{{match[2]}}}" not in found else match[0]

    for _ in range(ROUNDS):
        text = TAKEN.sub(value, makefile)
        if text == makefile:
            break
        makefile = text
    return makefile.replace("$$", "$")


def filled_in(script: str) -> str:
    """The script with the values of its own variables and defaults; others, and those given twice, stay as they are."""
    given: dict[str, set[str]] = {}
    for name, double, single, bare in GIVEN.findall(script):
        given.setdefault(name, set()).add(double or single or bare)
    known = {name: next(iter(values)) for name, values in given.items() if len(values) == 1}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        found = known.get(name, match[2])
        return match[0] if not found or f"${name}" in found or f"${{{name}}}" in found else found

    for _ in range(ROUNDS):
        text = USED.sub(value, script)
        if text == script:
            break
        script = text
    return script
