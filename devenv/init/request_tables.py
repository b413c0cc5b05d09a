"""Tables that Java, Kotlin, C# and PHP make by a CreateTable request in their code. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.core.late import late
from devenv.init.code_names import CodeNames
from devenv.init.tables import Found, accept
from devenv.init.text_code import ENDINGS, LARGEST, LONGEST, balanced, line_of

TESTS: Final = late(r"(^|/)src/(?:test|androidTest|integrationTest)/|(^|/)[\w.]*tests?/", re.IGNORECASE)
# `CreateTableRequest.builder()`, `new CreateTableRequest {`, `createTable(r -> r.`, `->createTable([`.
MADE: Final = late(
    r"CreateTableRequest\.builder\(\s*\)|\bnew\s+CreateTableRequest\s*(?:\(|\{)|\bCreateTableRequest\s*\{"
    r"|[.>]createTable\(\s*(?:\w+\s*->|\{|\[)"
)
NAME: Final = late(
    r"(?:['\"]TableName['\"]\s*=>|\bTableName\s*=|\.(?:with)?[tT]ableName\s*\(|\btableName\s*=)\s*"
    r"((?:[^(),;\"'\n]|\"[^\"]*\"|'[^']*'|\(\))+)"
)
FIRST: Final = late(r"new\s+CreateTableRequest\s*\(\s*((?:[^(),;\"\n]|\"[^\"]*\"|\(\))+)\s*,")
TEXT: Final = r"(?:\"([^\"]+)\"|'([^']+)'|([\w.]+))"
# An element's two parts, in the order in which all SDKs show them.
KEYED: Final = late(
    rf"(?:[aA]ttributeName['\"]?\s*(?:=>|=|\()\s*|(?:KeySchemaElement|new)\s*\(\s*){TEXT}\s*\)?[\s,]{{0,40}}?"
    rf"(?:[.'\"]?(?:with)?[kK]eyType['\"]?\s*(?:=>|=|\()\s*)?(?:KeyType\.|['\"])(HASH|RANGE|Hash|Range)\b"
)
ROLES: Final = late(r"(?:KeyType\.|['\"])(?:HASH|RANGE|Hash|Range)\b")
TYPED: Final = late(
    rf"(?:[aA]ttributeName['\"]?\s*(?:=>|=|\()\s*|(?:AttributeDefinition|new)\s*\(\s*){TEXT}\s*\)?[\s,]{{0,40}}?"
    rf"(?:[.'\"]?(?:with)?[aA]ttributeType['\"]?\s*(?:=>|=|\()\s*)?(?:(?:\w+\.)?ScalarAttributeType\.|['\"])([SNB])\b"
)
INDEXES: Final = late(r"(Global|Local)SecondaryIndexes\b['\"]?\s*(?:=>|=)?[^\[({;]{0,80}[\[({]", re.IGNORECASE)
INDEX: Final = late(rf"[iI]ndexName['\"]?\s*(?:=>|=|\()\s*{TEXT}")
PROJECTION: Final = late(
    r"ProjectionType(?:\.|['\"]?\s*(?:=>|=|\()\s*(?:ProjectionType\.|['\"]))(ALL|KEYS_ONLY|INCLUDE)"
)


def request_tables(texts: Mapping[str, str], names: CodeNames) -> tuple[list[Found], dict[str, int]]:
    """(tables, file -> number of requests that are not understood)."""
    found: list[Found] = []
    unclear: dict[str, int] = {}
    for file, text in texts.items():
        if not file.endswith(ENDINGS) or TESTS.search(file) or len(text) > LARGEST:
            continue
        end = 0
        for call in MADE.finditer(text):
            if call.start() < end:
                continue
            end = end_of(text, call)
            made = accept(file, line_of(text, call.start()), request_in(file, text, call.start(), end, names))
            if made is not None:
                found.append(made)
            elif "generateCreateTableRequest" not in text[call.start() : end]:
                unclear[file] = unclear.get(file, 0) + 1
    return found, unclear


def end_of(text: str, call: re.Match[str]) -> int:
    """The place behind a request: of a call in parentheses the closing one, of a builder the end of the statement."""
    opening = text.find("(" if "createTable" in call[0] else "{", call.start(), call.end())
    if opening != -1 and call[0][-1] != "(":
        return balanced(text, opening)
    end = text.find(";", call.end())
    return min(len(text) if end == -1 else end, call.start() + LONGEST)


def request_in(file: str, text: str, begin: int, end: int, names: CodeNames) -> dict[str, Any] | None:
    """The request between two places; None where a part of it is not spelt out."""
    whole = text[begin:end]
    given = NAME.search(whole) or FIRST.search(whole)
    name = names.text(file, given[1], begin) if given else None
    indexes, rest = indexes_in(file, whole, names, begin)
    key = schema(file, rest, names, begin)
    types = {text_of(file, part, names, begin): part[3] for part in TYPED.findall(whole)}
    used = {part["AttributeName"] for each in (key, *(i["KeySchema"] for _, i in indexes)) for part in each}
    declares = INDEXES.search(whole) is not None
    if not name or not key or not used <= types.keys() or (declares and not indexes):
        return None
    made: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": types[n]} for n in types if n in used],
        "KeySchema": key,
    }
    for kind, index in indexes:
        made.setdefault(f"{kind}SecondaryIndexes", []).append(index)
    return made


def schema(file: str, text: str, names: CodeNames, before: int) -> list[dict[str, str]]:
    """The KeySchema of a part of a request, the hash key first; [] where a name is computed."""
    parts = [(text_of(file, part, names, before), part[3].upper()) for part in KEYED.findall(text)]
    # An element whose name is an expression is not among them.
    if not all(name for name, _ in parts) or len(parts) != len(ROLES.findall(text)):
        return []
    return [{"AttributeName": str(name), "KeyType": role} for name, role in sorted(parts, key=lambda each: each[1])]


def text_of(file: str, part: tuple[str, ...], names: CodeNames, before: int) -> str | None:
    """The text of the first parts of a match of TEXT."""
    return part[0] or part[1] or names.text(file, part[2], before)


def indexes_in(file: str, whole: str, names: CodeNames, before: int) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """((kind, index) of a request, the request without them)."""
    found: list[tuple[str, dict[str, Any]]] = []
    rest, at = "", 0
    for block in INDEXES.finditer(whole):
        if block.start() < at:
            continue
        end = balanced(whole, block.end() - 1)
        rest += whole[at : block.start()]
        at = end
        for part in each_index(whole[block.end() : end - 1]):
            if not part.strip():
                continue
            given = INDEX.search(part)
            name = text_of(file, given.groups(""), names, before) if given else None
            projection = PROJECTION.search(part)
            key = schema(file, part, names, before)
            if not name or not key:
                return [], whole
            kind = {"ProjectionType": projection[1] if projection and projection[1] != "INCLUDE" else "ALL"}
            found.append((block[1].title(), {"IndexName": name, "KeySchema": key, "Projection": kind}))
    return found, rest + whole[at:]


def each_index(text: str) -> Iterator[str]:
    """The parts of a list of indexes, one for each name: split between brackets."""
    begin, at = 0, 0
    while at < len(text):
        if text[at] in "([{":
            at = balanced(text, at)
            continue
        if text[at] == ",":
            yield text[begin:at]
            begin = at + 1
        at += 1
    yield text[begin:]
