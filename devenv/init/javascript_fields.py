"""Fields of classes of JavaScript that hold a constant or a variable: `this.table` becomes `process.env.X`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from devenv.core.late import late

VALUE: Final = (
    r"(?P<value>process\.env(?:\.\w+|\[['\"]\w+['\"]\])!?(?:\s*(?:\|\||\?\?)\s*['\"][^'\"\n]*['\"])?"
    r"|'[^'\n]*'|\"[^\"\n]*\"|[A-Z][A-Z0-9_]+"
    r"|(?:this\.)?\w+\.get(?:OrThrow)?(?:<\w+>)?\(\s*['\"](?P<name>[A-Z][A-Z0-9_]*)['\"]\s*(?:,\s*(?P<or>['\"][^'\"\n]*['\"])\s*)?\)!?"
    r"(?:\s*(?:\|\||\?\?)\s*(?P<else>['\"][^'\"\n]*['\"]))?)\s*;?[ \t]*(?://.*)?$"
)
# `private readonly table = process.env.X;` in a class, `this.table = 'moorings';` in its constructor.
FIELD: Final = late(
    r"(?m)^[ \t]*(?:(?:(?:private|public|protected|readonly|static)[ \t]+)+|this\.)(?P<field>\w+)[ \t]*"
    r"(?::[ \t]*[\w<>| ]+?)?[ \t]*=[ \t]*" + VALUE
)


def with_fields(scripts: Mapping[str, str]) -> dict[str, str]:
    """The same files, with the value in the places of fields that are given only one. Lines stay."""
    return {file: filled(text) if "this." in text and "ynamo" in text else text for file, text in scripts.items()}


def filled(text: str) -> str:
    """One file with the values of its fields."""
    given: dict[str, set[str]] = {}
    for found in FIELD.finditer(text):
        other = found["or"] or found["else"]
        value = f"process.env.{found['name']}" + (f" || {other}" if other else "") if found["name"] else found["value"]
        given.setdefault(found["field"], set()).add(value)
    known = {name: values.pop() for name, values in given.items() if len(values) == 1}
    if not known:
        return text
    used = re.compile(rf"\bthis\.({'|'.join(map(re.escape, sorted(known)))})\b(?!\s*(?:=(?!=)|[(.\[]))")
    return used.sub(lambda found: f"({known[found[1]]})", text)
