"""The routes that read rows of Postgres and no item of DynamoDB: nothing of them is an access pattern. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.init.code import Code

READING: Final = re.compile(r"\s*(?:SELECT\b.*?\bFROM\b|WITH\s+\w+\s+AS\s*\()", re.IGNORECASE | re.DOTALL)
# The calls that send a statement that SQLAlchemy's `select` makes.
SENDING: Final = frozenset(("execute", "scalars", "scalar"))
# The calls of boto3 that read items, in whatever way.
ITEMS: Final = frozenset(
    ("query", "scan", "get_item", "batch_get_item", "transact_get_items", "execute_statement", "get_paginator")
)
DEEPEST: Final = 4
MOST_SHOWN: Final = 8


def reads_rows(nodes: Iterable[ast.AST]) -> bool:
    """Return True for code that spells out a SELECT, or makes one and sends it."""
    called: set[str] = set()
    text = False
    for node in nodes:
        if isinstance(node, ast.Call):
            called.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = text or READING.match(node.value) is not None
    return text or ("select" in called and bool(called & SENDING))


def sql_routes(code: Sequence[Code]) -> Iterator[str]:
    """`/farms (app.py:12)` of each GET route that reads only rows, by itself or through the functions that it calls."""
    functions = [function for each in code for function in each.functions]
    asking = {query.function.short for each in code for query in each.queries if query.function.short}
    for each in code:
        for route in each.routes:
            inside = any(route.line <= query.line <= route.end for query in each.queries)
            called, reads = set(route.calls), route.rows
            for _ in range(DEEPEST):
                known = [f for f in functions if f.short in called]
                reads = reads or any(f.rows for f in known)
                called = called.union(*(f.calls for f in known))
            if reads and not inside and not called & (asking | ITEMS):
                yield f"{route.path} ({route.file}:{route.line})"


def said_of(routes: Sequence[str]) -> str:
    """The line that `init` prints about such routes."""
    shown = ", ".join(routes[:MOST_SHOWN])
    more = f" and {len(routes) - MOST_SHOWN} more" if len(routes) > MOST_SHOWN else ""
    verb = "reads" if len(routes) == 1 else "read"
    return f"[trace.*]: {shown}{more} {verb} Postgres only: no access pattern of DynamoDB, so nothing to trace"
