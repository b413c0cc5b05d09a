"""The parts that the readers of PHP, Java, Kotlin and C# share: these languages are read as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, TypeVar

from devenv.init.code import Function, Query
from devenv.init.conditions import BEGINS, EQUALS

# The longest function that is read, in characters.
LONGEST: Final = 8_000
# The largest file, and the most functions, routes and queries of one: a hostile text would take minutes.
LARGEST: Final = 80_000
MOST: Final = 200
ENDINGS: Final = (".php", ".java", ".kt", ".cs")
Found = TypeVar("Found")


def first(file: str, what: str, found: Iterable[Found], left_out: list[str]) -> list[Found]:
    """The first MOST of these; a sentence in `left_out` if there are more."""
    read = [*islice(found, MOST + 1)]
    if len(read) > MOST:
        left_out.append(f"{file}: only its first {MOST} {what} were read")
    return read[:MOST]


def line_of(text: str, at: int) -> int:
    """The number of the line of a place."""
    return text.count("\n", 0, at) + 1


def balanced(text: str, at: int, longest: int = LONGEST) -> int:
    """The place behind the bracket that closes the one at `at`, at most `longest` away. Quotes count."""
    depth, quote, last = 0, "", min(len(text), at + longest)
    for place in range(at, last):
        character = text[place]
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0:
                return place + 1
    return last


def query_of(
    function: Function,
    line: int,
    condition: str,
    names: Mapping[str, str],
    values: Mapping[str, str],
    *,
    table: str | None,
    index: str | None,
    forward: str | None,
    limit: str | None,
    pages: bool,
) -> Query:
    """The Query of a KeyConditionExpression: `names` are of `#n`, `values` the templates of `:v`.

    `forward` is `true` or `false` and `limit` a number, as the code has them.
    """
    begins = BEGINS.search(condition)
    return Query(
        function,
        line,
        "Query",
        table,
        index,
        {names.get(name, name): values[place] for name, place in EQUALS.findall(condition) if place in values},
        narrowed=names.get(begins[1], begins[1]) if begins else None,
        forward=None if forward is None else forward == "true",
        limit=int(limit) if limit else None,
        pages=pages,
        begins=values.get(begins[2], "") if begins else "",
    )
