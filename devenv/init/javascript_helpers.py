"""Queries of JavaScript through a function of the project: `byPrefix(orderKey(id), "LINE#")` is what it sends. Pure.

A helper is a function with one query whose key is one of its parameters, or whose request is made of them (`{ ...input
}`, `Object.assign({}, input)`). Where a caller spells the key out, the query is the caller's.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from devenv.core.late import late
from devenv.init.code import Function, Query
from devenv.init.conditions import plain_value
from devenv.init.javascript import JsFunction, JsParser, JsScript, declared, skip_generic
from devenv.init.source import Fill, Scope, entries

PLACE_ALONE: Final = late(r"\{(\w+)\}")
# Names that a helper gives values may be made of such names again.
ROUNDS: Final = 3
Read = Callable[[str, ast.Dict, int, Function, Scope], Query | None]


@dataclass(frozen=True)
class JsHelper:
    """A function with one query: its request, with its own names filled in. `items`: it gives the items back.

    `table` is the table that it names by itself, `through` the helper that it calls. `line` is that of its query, 0 for
    one that has a key by itself.
    """

    file: str
    block: JsFunction
    operation: str
    request: ast.Dict
    open: frozenset[str]
    items: bool
    pages: bool
    table: str | None = None
    line: int = 0
    through: JsHelper | None = None

    @property
    def name(self) -> str:
        """Its name without the class."""
        return self.block.name.rpartition(".")[2]


Helpers = Mapping[str, Sequence[JsHelper]]


def by_name(found: Sequence[JsHelper]) -> Helpers:
    """The helpers by their names."""
    helpers: dict[str, list[JsHelper]] = {}
    for each in found:
        helpers.setdefault(each.name, []).append(each)
    return helpers


def helper_for(name: str, file: str, helpers: Helpers) -> JsHelper | None:
    """The helper that a call names: of several with one name, the only one of its own file; else the only one."""
    named = helpers.get(name, ())
    meant = [each for each in named if each.file == file] or named
    return meant[0] if len(meant) == 1 else None


def request_in(node: ast.expr | None, depth: int = 0) -> ast.Dict | None:
    """The request that an argument is: an object, `Object.assign(…)`, or a name that is spread into one."""
    match node:
        case ast.Dict():
            return node
        case ast.Name():
            return ast.Dict(keys=[None], values=[node], lineno=1)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Object"), attr="assign"), args=parts) if depth < ROUNDS:
            return ast.Dict(keys=[None for _ in parts], values=[*parts], lineno=1)
    return None


def helper_of(
    file: str, script: JsScript, block: JsFunction, operation: str, request: ast.Dict, query: Query | None, scope: Scope
) -> JsHelper | None:
    """The helper that a function with one query is; None for one whose key is no parameter."""
    found = {name: PLACE_ALONE.fullmatch(text) for name, text in (query.key if query else {}).items()}
    bare = frozenset(name for name, place in found.items() if place and place[1] in block.parameters)
    # Without a key, what is handed over may be the request, or a part of the condition.
    if found and not bare:
        return None
    own = {
        name: node for name, node in declared(script, block.begin, block.end).items() if name not in block.parameters
    }
    for _ in range(ROUNDS):
        request = Fill(own).visit(copy.deepcopy(request))
    if not bare and not names_in(request) & set(block.parameters):
        return None
    words = {script.word(at) for at in range(block.begin, block.end)}
    table = plain_value(entries(request, scope).get("TableName"), scope)
    known = frozenset(name for name in bare if not name.startswith("#"))
    pages, items = "ExclusiveStartKey" in words, bool({"Items", "Item"} & words)
    return JsHelper(file, block, operation, request, known, items, pages, table if isinstance(table, str) else None)


def names_in(node: ast.AST) -> set[str]:
    """The names in an expression."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def helpers_through(file: str, script: JsScript, helpers: Helpers) -> Iterator[JsHelper]:
    """The functions that do nothing but hand their parameters to one helper."""
    parser = JsParser(script)
    calls: dict[JsFunction, list[tuple[int, JsHelper]]] = {}
    for at, block, helper in called(file, script, helpers):
        calls.setdefault(block, []).append((at, helper))
    for block, asked in calls.items():
        if len(asked) != 1:
            continue
        ((at, helper),) = asked
        own = {n: node for n, node in declared(script, block.begin, block.end).items() if n not in block.parameters}
        given = handed(helper.block, parser.call(ast.Name(id="_"), at, 0)[0], Scope(own))
        request = Fill(own).visit(Fill(given).visit(copy.deepcopy(helper.request)))
        if not names_in(request) & set(block.parameters):
            continue
        words = {script.word(n) for n in range(block.begin, block.end)}
        yield replace(
            helper,
            file=file,
            block=block,
            request=request,
            items=helper.items or bool({"Items", "Item"} & words),
            pages=helper.pages or "ExclusiveStartKey" in words,
            through=helper,
        )


def called(file: str, script: JsScript, helpers: Helpers) -> Iterator[tuple[int, JsFunction, JsHelper]]:
    """(opening parenthesis, caller, helper) of each call of a helper."""
    for at, token in enumerate(script.tokens):
        if token.kind != "id" or token.text not in helpers:
            continue
        opening = skip_generic(script, at + 1) if script.word(at + 1) == "<" else at + 1
        helper, block = helper_for(token.text, file, helpers), script.block_of(at)
        if helper is not None and script.word(opening) == "(" and block is not None and block.name != helper.block.name:
            yield opening, block, helper


def taken_over(
    file: str,
    script: JsScript,
    helpers: Helpers,
    functions: Mapping[JsFunction, Function],
    scopes: Mapping[JsFunction, Scope],
    read: Read,
) -> Iterator[tuple[JsFunction, JsHelper, Query]]:
    """(caller, helper, query) of each call that spells out the key of a helper."""
    parser = JsParser(script)
    for opening, block, helper in called(file, script, helpers):
        call, _ = parser.call(ast.Name(id="_"), opening, 0)
        given = handed(helper.block, call, scopes[block])
        request = Fill(given).visit(copy.deepcopy(helper.request))
        query = read(helper.operation, request, script.line(opening), functions[block], scopes[block])
        if query is None or not query.key or any(name.startswith("#") for name in query.key):
            continue
        if helper.open and all(PLACE_ALONE.fullmatch(query.key.get(name, "{_}")) for name in helper.open):
            continue
        # What is only handed on is the key of whoever calls this function.
        table = query.table or helper.table
        yield block, helper, replace(query, table=table, pages=query.pages or helper.pages)


def handed(block: JsFunction, call: ast.expr, scope: Scope) -> dict[str, ast.expr]:
    """Parameter -> what a call hands over."""
    given = call.args if isinstance(call, ast.Call) else []
    if block.taken_apart and given and isinstance(given[0], ast.Dict):
        return entries(given[0], scope)
    return dict(zip(block.parameters, given, strict=False))
