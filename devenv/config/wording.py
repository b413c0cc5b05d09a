"""Messages about a wrong value in devenv.toml: the allowed values, or the meaning of a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from devenv.core.late import late

# The expression of the schema, as msgspec shows it in its complaint, and what it asks for.
EXPRESSIONS: Final[Mapping[str, str]] = {
    r"^[a-z][a-z0-9_-]*$(?!\n)": "expected lower-case letters, digits, `_` and `-`, first a letter, such as `web-1`",
    r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)": "expected the name of a variable: letters, digits and `_`, such as `LOG_LEVEL`",
    r"^[^\x00]*$": "expected text without a NUL character",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)": "expected letters, digits, `_`, `.` and `-`, first a letter or digit,"
    " such as `my-shop`",
    r"^[a-z0-9-]+$(?!\n)": "expected lower-case letters, digits and `-`, such as `us-east-1`",
    r"^(string|uuid|time|number|boolean|binary|list|map|set)\??$": "expected one of: string, uuid, time, number,"
    " boolean, binary, list, map, set; followed by `?` if it is optional",
    r"^dynamodb:.+\..+$": "expected `dynamodb:TABLE.ATTRIBUTE`",
    r"^postgres:.+\..+$": "expected `postgres:TABLE.COLUMN`",
    r"^PAT\d{3}$(?!\n)": "expected the code of a rule, such as `PAT005`",
    r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$(?!\n)": "expected the name of a region, such as `eu-central-1`",
    r"^[^.]+\..+$": "expected `TABLE.COLUMN`",
    r"^[\w-]+$(?!\n)": "expected letters, digits, `_` and `-`, such as `eu-central-1_devenv`",
    r"^[0-9]{12}$(?!\n)": "expected the twelve digits of an account, such as `123456789012`",
}
MATCHING = late(r"^Expected `str` matching regex '(.*)'$", re.DOTALL)


def in_words(complaint: str, schema: Mapping[str, Any], keys: Iterable[str | int]) -> str:
    """msgspec's complaint (without the place `keys`) for a reader. Pure.

    The value itself is left out: it may be a password in the wrong place.
    """
    if complaint.startswith("Invalid enum value "):
        values = ", ".join(map(str, choices(schema, keys)))
        return f"expected one of: {values}" if values else "not one of the possible values"
    if found := MATCHING.match(complaint):
        # msgspec shows it as Python writes a text.
        return EXPRESSIONS.get(found[1].replace("\\\\", "\\"), complaint)
    return complaint


def choices(schema: Mapping[str, Any], keys: Iterable[str | int]) -> list[Any]:
    """The values that the schema allows at a place of devenv.toml. Pure."""
    nodes = [schema]
    for key in keys:
        nodes = [inner for node in nodes for each in options(schema, node) for inner in step(each, key)]
    return list(dict.fromkeys(value for node in nodes for each in options(schema, node) for value in allowed(each)))


def options(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A part of the schema with its references followed, each alternative by itself. Pure."""
    if "$ref" in node:
        yield from options(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    yield node
    for kind in ("anyOf", "allOf", "oneOf"):
        for each in node.get(kind, ()):
            yield from options(schema, each)


def step(node: Mapping[str, Any], key: str | int) -> Iterator[Mapping[str, Any]]:
    """The part of the schema for one key, or one entry of a list. Pure."""
    if isinstance(key, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(key) or node.get("additionalProperties")
    if isinstance(found, dict):
        yield found


def allowed(node: Mapping[str, Any]) -> Iterator[Any]:
    """The values of an enumeration; nothing for another type. Pure."""
    yield from node.get("enum", ())
    if "const" in node:
        yield node["const"]
