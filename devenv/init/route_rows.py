"""The row of Postgres that a route looks up by one of its parameters, itself or in a function that it calls. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from devenv.init.sql_code import NAME, TEXT

if TYPE_CHECKING:
    from devenv.init.code import Code, Function
    from devenv.init.routes import Route

# `SELECT … FROM hives h WHERE h.code = $1`: one table, one place, and nothing else that chooses.
LOOKUP: Final = re.compile(
    rf"\s*SELECT\b(?:(?!\bFROM\b).)+\bFROM\s+{NAME}(?:\s+(?:AS\s+)?(?!WHERE\b)\w+)?\s+WHERE\s+(?:\w+\.)?\"?(\w+)\"?\s*=\s*"
    r"(?:%s|\$1|\?|:\w+|%\(\w+\)s)(?:::\w+)?\s*(?:LIMIT\s+1\s*)?;?\s*",
    re.IGNORECASE | re.DOTALL,
)
# What follows the statement, up to its arguments' end.
ARGUMENTS: Final = 200
DEEPEST: Final = 3
NESTED: Final = r"\((?:[^()]|\([^()]*\))*\)"


@dataclass(frozen=True)
class RowLookup:
    """A row that is looked up: its table, and the column that must have the value of the route's parameter."""

    schema: str
    table: str
    column: str
    parameter: str


def row_lookups(code: Sequence[Code], texts: Mapping[str, str]) -> dict[tuple[str, int], RowLookup]:
    """(file, line) of each route -> the one row that it looks up by a parameter; not of a route with several."""
    functions = [function for each in code for function in each.functions if function.name]
    found = {}
    for route in (route for each in code for route in each.routes if route.parameters and route.file in texts):
        given = {name: name for name in route.parameters}
        rows = {*lookups_in(Body.of_route(route, texts), given, functions, texts)}
        if len(rows) == 1:
            found[route.file, route.line] = rows.pop()
    return found


@dataclass(frozen=True)
class Body:
    """The text of a function, its file's functions aside."""

    text: str
    calls: frozenset[str]

    @classmethod
    def of_route(cls, route: Route, texts: Mapping[str, str]) -> Body:
        """A route's handler."""
        return cls("\n".join(texts[route.file].split("\n")[route.line - 1 : route.end]), route.calls)

    @classmethod
    def of_function(cls, function: Function, functions: Iterable[Function], texts: Mapping[str, str]) -> Body:
        """A function, up to the next one in its file."""
        lines = texts.get(function.file, "").split("\n")
        after = [each.line for each in functions if each.file == function.file and each.line > function.line]
        return cls("\n".join(lines[function.line - 1 : min(after, default=len(lines) + 1) - 1]), function.calls)


def lookups_in(
    body: Body,
    given: Mapping[str, str],
    functions: Sequence[Function],
    texts: Mapping[str, str],
    depth: int = 0,
) -> Iterator[RowLookup]:
    """The rows that a body looks up. `given`: name that it has for a value -> the route's parameter."""
    for literal in TEXT.finditer(body.text):
        statement = next((part for part in literal.groups() if part), "")
        row = LOOKUP.fullmatch(statement)
        after = body.text[literal.end() : literal.end() + ARGUMENTS]
        used = next((given[name] for name in given if row and argument(after.partition(")")[0], name)), None)
        if row and used:
            yield RowLookup(row[1] or "public", row[2].lower(), row[3].lower(), used)
    for function in functions if depth < DEEPEST else ():
        if function.short not in body.calls or not function.parameters:
            continue
        for call in re.findall(rf"(?<!def )(?<!function )\b{re.escape(function.short)}({NESTED})", body.text):
            passed = [part.strip() for part in call[1:-1].split(",")]
            inner = {
                own: given[name]
                for own, part in zip(function.parameters, passed, strict=False)
                for name in given
                if argument(part, name)
            }
            if inner:
                inside = Body.of_function(function, functions, texts)
                yield from lookups_in(inside, inner, functions, texts, depth + 1)


def argument(text: str, name: str) -> bool:
    """Return True for `name`, `str(name)`, `req.params.name`, `[name]`; not for a field `name.other`."""
    return re.search(rf"(?:^|[\s,(\[{{:.'\"]){re.escape(name)}(?:['\"]?[\s\])}},]*)$", text.rstrip(" ,;")) is not None
