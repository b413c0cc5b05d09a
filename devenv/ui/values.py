"""Values of both stores as a template shows them: what kind, what text, and how much of it was left out. Pure."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.plural import number_of

CUT: Final = 300
LONG: Final = 200_000
PARTS: Final = 100
DEPTH: Final = 32
BYTES: Final = 24
NAMES: Final[Mapping[str, str]] = {
    "S": "string",
    "N": "number",
    "B": "binary",
    "BOOL": "boolean",
    "NULL": "null",
    "M": "map",
    "L": "list",
    "SS": "string set",
    "NS": "number set",
    "BS": "binary set",
}


@dataclass(frozen=True)
class ShownValue:
    """One value. `kind` is the type's name ("" for a column's text), `text` what stands there, `more` what was cut.

    `parts` are (name, value) of a map, a list or a set; `note` says of what size it is.
    """

    kind: str
    text: str | None = None
    more: int = 0
    note: str = ""
    parts: tuple[tuple[str, ShownValue], ...] = field(default=())
    nested: bool = False


def show_text(text: str | None, most: int = LONG) -> ShownValue:
    """A column's text. What a statement has cut already is one character longer than its limit."""
    if text is None:
        return ShownValue("null")
    if len(text) == CUT + 1:
        return ShownValue("", text[:CUT], 1)
    return ShownValue("", text[:most], max(0, len(text) - most))


def show_attribute(value: Mapping[str, Any], *, whole: bool = False, depth: int = 0) -> ShownValue:
    """An attribute value in DynamoDB's JSON. `whole`: long texts are not cut."""
    ((kind, content),) = value.items()
    name = NAMES.get(kind, kind)
    if kind == "NULL":
        return ShownValue("null")
    if kind == "BOOL":
        return ShownValue(name, "true" if content else "false")
    if kind == "B":
        return show_bytes(content, whole=whole)
    if kind in ("S", "N"):
        most = LONG if whole else CUT
        return ShownValue(name, content[:most], max(0, len(content) - most))
    note = number_of(len(content), "entry", "entries")
    if depth >= DEPTH:
        return ShownValue(name, "", 0, f"{note}, nested deeper than is shown here", (), nested=True)
    found = list(content.items()) if kind == "M" else list(enumerate(content)) if kind == "L" else []
    found = found or [("", {kind[0]: part}) for part in content]
    pairs = [(str(key), show_attribute(part, whole=whole, depth=depth + 1)) for key, part in found[:PARTS]]
    return ShownValue(name, None, max(0, len(content) - PARTS), note, tuple(pairs), nested=True)


def show_bytes(content: str, *, whole: bool) -> ShownValue:
    """Binary: how long it is, and how it begins, in hexadecimal."""
    most = 4096 if whole else BYTES
    size = len(content) * 3 // 4 - content[-2:].count("=")
    begin = binascii.a2b_base64(content[: (most + 2) // 3 * 4])[:most]
    return ShownValue("binary", begin.hex(" "), max(0, size - most), number_of(size, "byte"))
