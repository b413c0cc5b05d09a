"""Queries of JavaScript through a function of the project: `byPrefix(orderKey(id), "LINE#")` is what it sends. Pure.

A helper is a function with one query whose key is one of its parameters. Where a caller spells the key out, the query
is the caller's.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from devenv.core.late import late
from devenv.init.code import Function, Query
from devenv.init.javascript import JsFunction, JsParser, JsScript, declared
from devenv.init.source import Fill, Scope, entries

PLACE_ALONE: Final = late(r"\{(\w+)\}")
# Names that a helper gives values may be made of such names again.
ROUNDS: Final = 3
Read = Callable[[str, ast.Dict, int, Function, Scope], Query | None]


@dataclass(frozen=True)
class JsHelper:
    """A function with one query: its request, with its own names filled in. `items`: it gives the items back."""

    block: JsFunction
    operation: str
    request: ast.Dict
    open: frozenset[str]
    items: bool


def helper_of(script: JsScript, block: JsFunction, operation: str, request: ast.Dict, query: Query) -> JsHelper | None:
    """The helper that a function with one query is; None for one whose key is no parameter."""
    bare = {name for name, text in query.key.items() if (m := PLACE_ALONE.fullmatch(text)) and m[1] in block.parameters}
    if not bare:
        return None
    own = dict(declared(script, block.begin, block.end))
    for _ in range(ROUNDS):
        request = Fill(own).visit(copy.deepcopy(request))
    items = any(script.word(at) in ("Items", "Item") for at in range(block.begin, block.end))
    return JsHelper(block, operation, request, frozenset(bare), items)


def taken_over(
    script: JsScript,
    helpers: Mapping[str, JsHelper],
    functions: Mapping[JsFunction, Function],
    scopes: Mapping[JsFunction, Scope],
    read: Read,
) -> Iterator[tuple[JsFunction, JsHelper, Query]]:
    """(caller, helper, query) of each call that spells out the key of a helper."""
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        helper = helpers.get(token.text) if token.kind == "id" else None
        block = script.block_of(at)
        if helper is None or script.word(at + 1) != "(" or block is None or block.name == helper.block.name:
            continue
        call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
        given = handed(helper.block, call, scopes[block])
        request = Fill(given).visit(copy.deepcopy(helper.request))
        query = read(helper.operation, request, script.line(at), functions[block], scopes[block])
        if query is not None and any(not PLACE_ALONE.fullmatch(query.key.get(name, "{_}")) for name in helper.open):
            yield block, helper, query


def handed(block: JsFunction, call: ast.expr, scope: Scope) -> dict[str, ast.expr]:
    """Parameter -> what a call hands over."""
    given = call.args if isinstance(call, ast.Call) else []
    if block.taken_apart and given and isinstance(given[0], ast.Dict):
        return entries(given[0], scope)
    return dict(zip(block.parameters, given, strict=False))
