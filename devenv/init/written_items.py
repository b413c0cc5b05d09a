"""The items that a program writes with constant values: each call and loop that fills one is followed. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from devenv.init.source import (
    DictFunction,
    Scope,
    TextFunction,
    assignments,
    dict_of,
    entries,
    entry_of,
    spelt,
    typed_part,
)

MOST: Final = 200
Binding = Mapping[str, ast.expr]
Keys = Mapping[str, Sequence[str]]
Item = tuple[str, Mapping[str, str]]


def python_items(
    tree: ast.Module,
    keys: Keys,
    constants: Mapping[str, ast.expr],
    texts: Mapping[str, TextFunction],
    dicts: Mapping[str, DictFunction] | None = None,
) -> list[Item]:
    """(table, item) of every dict with the key of a table, for each call of its function and turn of its loops."""
    scope = Scope({**constants, **dict(assignments(tree))}, {}, texts, dicts=dicts or {})
    calls: dict[str, list[ast.Call]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.setdefault(node.func.id, []).append(node)
    return list(islice(items_below(tree, scope, [{}], calls, keys), MOST))


def items_below(
    node: ast.AST, scope: Scope, bindings: list[Binding], calls: Mapping[str, list[ast.Call]], keys: Keys
) -> Iterator[Item]:
    """The items below a node, once for each of the bindings that hold there."""
    for child in ast.iter_child_nodes(node):
        inner, held = scope, bindings
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.arg for each in child.args.args]
            called = [arguments(call, names) for call in calls.get(child.name, ())]
            inner, held = scope.inside(child), [{**outer, **own} for outer in bindings for own in called or [{}]]
        elif isinstance(child, ast.For):
            held = turns(child.target, child.iter, scope, bindings)
        elif isinstance(child, ast.ListComp | ast.GeneratorExp):
            for part in child.generators:
                held = turns(part.target, part.iter, scope, held)
        elif isinstance(child, ast.Dict):
            yield from items_of(child, scope, bindings, keys)
        inner = replace(inner, texts=scope.texts)
        yield from items_below(child, inner, held[:MOST], calls, keys)


def items_of(node: ast.Dict, scope: Scope, bindings: Iterable[Binding], keys: Keys) -> Iterator[Item]:
    """The items that a dict makes."""
    parts = entries(node, scope)
    table = next((table for table, names in keys.items() if set(names) <= set(parts)), None)
    if table is None or any(name.startswith((":", "#")) for name in parts):
        return
    for binding in bindings:
        held = replace(scope, names={**scope.names, **binding})
        values = {}
        for name, value in parts.items():
            typed = typed_part(value)
            value = typed[1] if typed else value
            if (text := spelt(value, held) or number_of(value, held)) is not None:
                values[name] = text
        if set(keys[table]) <= set(values):
            yield table, values


def number_of(value: ast.expr, scope: Scope) -> str | None:
    """The text of a number that is spelt out."""
    found = entry_of(value, scope) if isinstance(value, ast.Name) else value
    is_number = isinstance(found, ast.Constant) and type(found.value) in (int, float)
    return str(found.value) if isinstance(found, ast.Constant) and is_number else None


def arguments(call: ast.Call, names: Sequence[str]) -> Binding:
    """Parameter -> expression of a call."""
    given = dict(zip(names, call.args, strict=False))
    return {**given, **{word.arg: word.value for word in call.keywords if word.arg}}


def turns(target: ast.expr, over: ast.expr, scope: Scope, bindings: Iterable[Binding]) -> list[Binding]:
    """The names that a loop over a list that is spelt out gives values at each turn; as it was for any other."""
    made: list[Binding] = []
    for binding in bindings:
        whole = listed(over, replace(scope, names={**scope.names, **binding}))
        if not isinstance(whole, ast.List | ast.Tuple):
            made.append(binding)
            continue
        for each in whole.elts[:MOST]:
            part = entry_of(each, scope) if isinstance(each, ast.Name) else each
            if isinstance(target, ast.Name):
                made.append({**binding, target.id: each})
            elif isinstance(target, ast.Tuple | ast.List) and isinstance(part, ast.Tuple | ast.List):
                own = zip(target.elts, part.elts, strict=False)
                made.append({**binding, **{t.id: value for t, value in own if isinstance(t, ast.Name)}})
            elif isinstance(target, ast.Dict) and isinstance(part, ast.Dict):
                given, own_names = entries(part, scope), entries(target, scope).items()
                values = {t.id: given[key] for key, t in own_names if key in given and isinstance(t, ast.Name)}
                made.append({**binding, **values})
    return made[:MOST]


def listed(over: ast.expr, scope: Scope) -> ast.expr | None:
    """The list that a loop goes over; of JavaScript's `Object.entries(x)` and the like, the list of its entries."""
    match over:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Object"), attr=how), args=[inner]):
            whole = dict_of(entry_of(inner, scope), scope)
            if whole is None or how not in ("entries", "values", "keys"):
                return None
            pairs = [(ast.Constant(value=key), value) for key, value in entries(whole, scope).items()]
            parts: dict[str, list[ast.expr]] = {
                "entries": [ast.List(elts=[*pair]) for pair in pairs],
                "values": [value for _, value in pairs],
                "keys": [key for key, _ in pairs],
            }
            return ast.List(elts=parts[how])
    return entry_of(over, scope)
