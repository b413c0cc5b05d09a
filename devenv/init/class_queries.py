"""Queries for items of declared classes: DynamoDBMapper and Spring Data of Java, DynamoDBContext of C#. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from devenv.core.late import late
from devenv.init.class_tables import ItemClass
from devenv.init.code import Function, Query
from devenv.init.conditions import EQUALS
from devenv.init.text_code import balanced, line_of, query_of

Known = Mapping[str, tuple[str, ItemClass]]
Functions = Sequence[tuple[int, int, Function]]
Template = Callable[[str], str | None]
SHARP: Final = late(r"\b(QueryAsync|LoadAsync)<(\w+)\??>\s*\(")
LOAD: Final = late(r"\.load\(\s*(\w+)(?:\.class|::class\.java)\s*,")
EXPRESSION: Final = late(r"\bDynamoDBQueryExpression<(\w+)>\s*\(\s*\)")
REPOSITORY: Final = late(r"\binterface\s+\w+\s*(?:extends|:)\s*\w*Repository<\s*(\w+)\s*,[^{]{0,200}\{")
FINDER: Final = late(r"\bfind(?:All)?By(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)")
GIVEN: Final = late(
    r"\"(:\w+)\"\s*(?:,|to)\s*(?:new\s+)?AttributeValue\(\s*\)?\s*(?:\.\s*with[SN]\(|\.apply\s*\{\s*[sn]\s*=\s*)?((?:[^()\n]|\(\))+)"
)


def giving(function: Function, known: ItemClass) -> Function:
    """A function that gives objects of a class back: an answer shows its fields."""
    return replace(function, results=known.shown, whole=False) if known.shown else function


def split_arguments(text: str) -> list[str]:
    """The arguments between the parentheses of a call, which `text` begins and ends with."""
    found, begin, at = list[str](), 1, 1
    while at < len(text) - 1:
        if text[at] in "([{":
            at = balanced(text, at)
            continue
        if text[at] == ",":
            found.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    return [*found, text[begin : len(text) - 1].strip()]


def key_of(known: ItemClass, index: str | None, values: Sequence[str | None]) -> dict[str, str]:
    """Attribute -> template of a key, of an index too, as far as the values are known."""
    names = known.indexes.get(index, {}) if index else known.key
    ordered = [names[role] for role in ("HASH", "RANGE") if role in names]
    return {name: value for name, value in zip(ordered, values, strict=False) if value is not None}


def context_queries(text: str, functions: Functions, classes: Known, template: Template) -> Iterator[Query]:
    """`context.QueryAsync<Scan>(carrierId, …)` and `context.LoadAsync<Scan>(carrierId, at)` of C#."""
    for found in SHARP.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        if found[2] not in classes or not around:
            continue
        table, known = classes[found[2]]
        call = text[found.end() - 1 : balanced(text, found.end() - 1)]
        given = split_arguments(call)
        index = re.search(r"IndexName\s*=\s*\"([^\"]+)\"", call)
        query = found[1] == "QueryAsync"
        begins = query and "QueryOperator.BeginsWith" in call
        # Of a query, what follows the hash key is a condition or a configuration.
        values = [template(each) for each in (given[:1] if query else given[:2])]
        names = known.indexes.get(index[1], {}) if index else known.key
        yield Query(
            giving(around[-1][2], known),
            line_of(text, found.start()),
            "Query" if query else "GetItem",
            table,
            index[1] if index else None,
            key_of(known, index[1] if index else None, values),
            narrowed=names.get("RANGE") if begins else None,
            forward=False if "BackwardQuery = true" in call else None,
            pages=True,
        )


def mapper_queries(text: str, functions: Functions, classes: Known, template: Template) -> Iterator[Query]:
    """`mapper.load(Scan.class, id)` and `new DynamoDBQueryExpression<Scan>().withKeyConditionExpression(…)`."""
    for found in LOAD.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        if found[1] in classes and around:
            table, known = classes[found[1]]
            opening = text.index("(", found.start())
            values = [template(each) for each in split_arguments(text[opening : balanced(text, opening)])[1:3]]
            key = key_of(known, None, values)
            yield Query(giving(around[-1][2], known), line_of(text, found.start()), "GetItem", table, None, key)
    for found in EXPRESSION.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        if found[1] not in classes or not around:
            continue
        table, known = classes[found[1]]
        begin, end, function = around[-1]
        body, built = text[begin:end], text[found.start() : end]
        condition = re.search(r"withKeyConditionExpression\(\s*\"([^\"]*)\"", built)
        index = re.search(r"withIndexName\(\s*\"([^\"]+)\"", built)
        forward = re.search(r"withScanIndexForward\(\s*(true|false)", built)
        limit = re.search(r"withLimit\(\s*(\d+)", built)
        filled = {place: value for place, part in GIVEN.findall(body) if (value := template(part.strip())) is not None}
        names = dict(re.findall(r"\"(#\w+)\"\s*(?:,|to)\s*\"([^\"]+)\"", body))
        written = condition[1] if condition else ""
        if not EQUALS.search(written):
            written, filled = hash_condition(built, body, known, index[1] if index else None, template)
        if written:
            yield query_of(
                giving(function, known),
                line_of(text, found.start()),
                written,
                names,
                filled,
                table=table,
                index=index[1] if index else None,
                forward=forward[1] if forward else None,
                limit=limit[1] if limit else None,
                pages=True,
            )


def hash_condition(
    built: str, body: str, known: ItemClass, index: str | None, template: Template
) -> tuple[str, dict[str, str]]:
    """(condition, values) of `withHashKeyValues(scan)`, where the code sets the key of `scan`; ("", {}) if unclear."""
    given = re.search(r"withHashKeyValues\(\s*(\w+)\s*\)", built)
    name = (known.indexes.get(index, {}) if index else known.key).get("HASH")
    if given is None or name is None:
        return "", {}
    setter = f"set{name[:1].upper()}{name[1:]}"
    found = re.search(rf"\b{given[1]}\.(?:{setter}\(\s*|{name}\s*=\s*)(\w+)", body)
    value = template(found[1]) if found else None
    return (f"{name} = :hash", {":hash": value}) if value is not None else ("", {})


def repository_queries(file: str, text: str, classes: Known, parameters: Callable[[str], list[str]]) -> Iterator[Query]:
    """`findByCarrierIdOrderByAtDesc(String carrierId)` of a repository of Spring Data for a class of items."""
    for head in REPOSITORY.finditer(text):
        if head[1] not in classes:
            continue
        table, known = classes[head[1]]
        body = text[: balanced(text, head.end() - 1)]
        for found in FINDER.finditer(body, head.end()):
            words, _, order = found[1].partition("OrderBy")
            asked = [word[:1].lower() + word[1:] for word in words.split("And")]
            given = parameters(found[2])
            keys: list[tuple[str | None, Mapping[str, str]]] = [(None, known.key), *known.indexes.items()]
            fitting = [
                index
                for index, key in keys
                if [key.get(role) for role in ("HASH", "RANGE")[: len(asked)]] == asked and len(given) >= len(asked)
            ]
            if not fitting:
                continue
            name = found[0].partition("(")[0].strip()
            line = line_of(text, found.start())
            function = Function(file, line, name, tuple(given), whole=True)
            whole = fitting[0] is None and len(asked) == len(known.key)
            yield Query(
                giving(function, known),
                line,
                "GetItem" if whole else "Query",
                table,
                fitting[0],
                {attribute: f"{{{value}}}" for attribute, value in zip(asked, given, strict=False)},
                forward=None if not order else not order.endswith("Desc"),
                pages=True,
            )
