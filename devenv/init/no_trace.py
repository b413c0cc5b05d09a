"""Why a project gets no `[trace.*]`, where its tables are known: only writes, no route, other answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from devenv.init.code import Code
from devenv.init.entities import FoundEntity, key_of
from devenv.init.propose import FoundPattern
from devenv.init.survey import Survey

HELP: Final = "devenv help traces"
# Controller, service, repository, and one between them.
LAYERS: Final = 4
# Functions that read JSON from a text.
DECODES: Final = frozenset(("parse", "loads", "readValue"))
READS: Final = ("Query", "GetItem")


def why_no_trace(survey: Survey, patterns: Iterable[FoundPattern], entities: Iterable[FoundEntity]) -> Iterator[str]:
    """One line for each reason; none for a project without tables or code that uses them."""
    if not survey.tables:
        return
    patterns = list(patterns)
    queries = [query for code in survey.code for query in code.queries if query.operation in READS]
    writers = [code.file for code in survey.code if code.writes]
    routes = [route for code in survey.code for route in code.routes]
    if not queries and writers:
        yield (
            f"[trace.*]: {writers[0]} writes items, and no query or lookup by a key was found. A scan of a table is not"
            " traced"
        )
    elif patterns and not routes:
        yield f"[trace.*]: no GET route was found, so no request leads to {patterns[0].seen[0]}. Declare one: {HELP}"
    if not routes:
        return
    described = {each.table for each in entities}
    for pattern in patterns:
        if pattern.query.operation != "GetItem":
            continue
        function, place = pattern.query.function, pattern.seen[0]
        named = function.name or "a lookup"
        if not is_reached(function.short, survey.code):
            why = f"no GET route that calls {named} ({place}) was recognised"
            yield f"[trace.{pattern.name}]: {why}. Declare it: {HELP}"
        elif (not function.whole and not function.results) or DECODES & function.calls:
            yield (
                f"[trace.{pattern.name}]: {named} ({place}) returns a value that it computes from the item, such as the"
                " JSON in one attribute, so the item is not compared with the answer"
            )
        elif pattern.query.table not in described:
            keys = [key_of(table)[0] for table in survey.tables if table.table == pattern.query.table]
            yield f"[trace.{pattern.name}]: no entity was found for {', '.join(keys) or place}. Declare it: {HELP}"


def is_reached(short: str, code: Iterable[Code]) -> bool:
    """Return True if a route calls a function, or what calls it through a few others."""
    code = list(code)
    calling = {short}
    for _ in range(LAYERS):
        calling |= {f.short for each in code for f in each.functions if calling & f.calls and f.name}
    return any(calling & route.calls for each in code for route in each.routes)
