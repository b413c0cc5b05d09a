"""Tables that JavaScript makes: by one CreateTableCommand for each turn of its loops and call of its function. Pure.

Loops go over lists and objects that are spelt out: `for (const t of tables)`, `Object.entries(tables).map(…)`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.javascript_items import calls_of, loops_at
from devenv.init.source import Scope, Unclear, dict_of, entries, entry_of, value_of
from devenv.init.tables import Found, accept
from devenv.init.written_items import MOST, Binding, turns

MAKES: Final = ("CreateTableCommand", "createTable")
# Functions that hand a definition to functions that hand it on.
CALLERS: Final = 3


def is_request(script: JsScript, at: int) -> bool:
    """Return True if what is called makes a table of DynamoDB: Knex's `schema.createTable("…", …)` takes a name."""
    argument = at + 2
    # A function of the project that is called so: what it sends is read in it, once for each of its calls.
    called_on = script.word(at - 2) if script.word(at - 1) == "." else ""
    own = any(each.name.rpartition(".")[2] == script.word(at) for each in script.blocks)
    if script.word(at - 1) == "function" or (own and called_on in ("", "this")):
        return False
    return script.tokens[argument].kind not in ("str", "tick") if argument < len(script.tokens) else False


def read_tables(
    file: str, script: JsScript, at: int, module: Scope, scopes: Mapping[JsFunction, Scope]
) -> tuple[list[Found], list[int]]:
    """The tables of one CreateTableCommand; and its line, when one of its requests is not spelt out."""
    block = script.block_of(at)
    scope = scopes[block] if block else module
    call, _ = JsParser(script).call(ast.Name(id="_"), at + 1, 0)
    given = call.args[0] if isinstance(call, ast.Call) and call.args else None
    line = script.line(at)
    found: dict[str, Found] = {}
    missed = False
    for binding in bindings_at(script, at, module, scopes):
        made = table_of(file, line, given, replace(scope, names={**scope.names, **binding}))
        missed = missed or made is None
        if made is not None:
            found.setdefault(made.table, made)
    return [*found.values()], [line] if missed else []


def table_of(file: str, line: int, given: ast.expr | None, scope: Scope) -> Found | None:
    """The table of a request; None for one that is not spelt out."""
    request = dict_of(entry_of(given, scope), scope)
    try:
        return accept(file, line, value_of(request, scope)) if request is not None else None
    except Unclear:
        return None


def bindings_at(
    script: JsScript, at: int, module: Scope, scopes: Mapping[JsFunction, Scope], depth: int = 0
) -> list[Binding]:
    """The names that have other values at each turn of the loops around a token, for each call of its function."""
    parser = JsParser(script)
    block = script.block_of(at)
    scope = scopes[block] if block else module
    found: list[Binding] = []
    for place in calls_of(script, block) if block and block.parameters and depth < CALLERS else ():
        caller = script.block_of(place)
        outer = scopes[caller] if caller else module
        call, _ = parser.call(ast.Name(id="_"), place + 1, 0)
        for binding in bindings_at(script, place, module, scopes, depth + 1):
            held = replace(outer, names={**outer.names, **binding})
            found.append(dict(handed(block, call, held)))
    found = found[:MOST] or [{}]
    for target, over in loops_at(script, parser, at):
        found = turns(target, over, scope, found)
    return found


def handed(block: JsFunction | None, call: ast.expr, scope: Scope) -> Iterator[tuple[str, ast.expr]]:
    """(parameter, value) of a call; of a function whose argument is taken apart, the entries of the object."""
    given = call.args if isinstance(call, ast.Call) else []
    if block is None or not given:
        return
    whole = dict_of(entry_of(given[0], scope) or given[0], scope)
    if block.taken_apart and whole is not None:
        pairs = [*entries(whole, scope).items()]
    else:
        # What a call leaves out is not there.
        nothing = [ast.Constant(value=None) for _ in block.parameters[len(given) :]]
        pairs = [*zip(block.parameters, [*given, *nothing], strict=False)]
    yield from ((name, entry_of(value, scope) or value) for name, value in pairs)
