"""Queries that go through a function of the project: `query_prefix(order_key(id), "LINE#")` is what it sends. Pure.

A helper is a function with one query whose key is handed to it. Where a caller spells the key out, the caller's tree
gets the helper's query in the place of the call, the arguments filled in; the helper's own query then counts no more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from devenv.core.late import late
from devenv.init.code import OPERATIONS, Function, calls_store, owners, read_query
from devenv.init.source import Scope, TextFunction, module_scope, own_nodes, text_functions

# A helper's query that its callers have taken over has a name that is no operation.
TAKEN: Final = "taken_over"
# A helper may call a helper: one that asks for a page, one that asks for all of them.
LEVELS: Final = 2
DEPTH: Final = 12
PLACE_ALONE: Final = late(r"\{\w+\}")
Step = tuple[str, ast.expr, str | None]
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Helper:
    """One function with one query, which by itself has the key `own`, as far as it is known.

    `steps` are what it assigns, in order: (name, value, parameter that decides whether it does). `rest` is its
    `**parameter`. `items`: it gives the items back, and not the answer. `through` is the helper that it calls.
    """

    function: ast.FunctionDef | ast.AsyncFunctionDef
    call: ast.Call
    parameters: tuple[str, ...]
    defaults: Mapping[str, ast.expr]
    steps: tuple[Step, ...]
    pages: bool
    items: bool
    own: Mapping[str, str]
    file: str
    rest: str | None = None
    through: Helper | None = None


Helpers = Mapping[str, Sequence[Helper]]


def with_queries(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files, with the queries of helpers in the places of the calls that spell out their key."""
    texts = text_functions(trees.values())
    found = [helper for file, tree in trees.items() for helper in helpers_of(file, tree, texts)]
    for _ in range(LEVELS - 1):
        known = by_name(found)
        found += [h for file, tree in trees.items() for h in helpers_of(file, tree, texts, known) if h not in found]
    helpers = by_name(found)
    if not helpers:
        return trees
    taken = [helper for file, tree in trees.items() for helper in take_over(file, tree, helpers, texts)]
    for helper in taken:
        inner: Helper | None = helper
        while inner is not None:
            called = inner.call.func
            if isinstance(called, ast.Attribute) and inner.through is None:
                called.attr = TAKEN
            inner = inner.through
    return trees


def by_name(found: Sequence[Helper]) -> Helpers:
    """The helpers by the names of their functions."""
    helpers: dict[str, list[Helper]] = {}
    for each in found:
        helpers.setdefault(each.function.name, []).append(each)
    return helpers


def helper_for(call: ast.AST, file: str, helpers: Helpers) -> Helper | None:
    """The helper that a call names: of several with one name, the only one of its own file; else the only one."""
    named = helpers.get(name_of(call), ())
    own = [each for each in named if each.file == file]
    meant = own or named
    return meant[0] if len(meant) == 1 else None


def helpers_of(
    file: str, tree: ast.Module, texts: Mapping[str, TextFunction], known: Helpers | None = None
) -> Iterator[Helper]:
    """The functions and methods with exactly one query whose key is handed to them.

    With `known` helpers: those that hand what they are given to one of these.
    """
    around = [(name, value, None) for name, value, _ in assigned(tree, ())]
    for _, owner in owners(tree):
        if not isinstance(owner, FUNCTIONS) or owner.name in OPERATIONS:
            continue
        nodes = list(own_nodes(owner))
        calls = [node for node in nodes if isinstance(node, ast.Call) and calls_store(node)]
        through: Helper | None = None
        if known is not None:
            asked = [n for n in nodes if isinstance(n, ast.Call) and helper_for(n, file, known) is not None]
            if calls or len(asked) != 1:
                continue
            through, calls = helper_for(asked[0], file, known), asked
        if len(calls) != 1 or (through is not None and through.function is owner):
            continue
        given = (*owner.args.posonlyargs, *owner.args.args, *owner.args.kwonlyargs)
        parameters = tuple(each.arg for each in given if each.arg not in ("self", "cls"))
        rest = owner.args.kwarg.arg if owner.args.kwarg else None
        steps = (*around, *assigned(owner, parameters))
        call = calls[0]
        if through is not None:
            handed = arguments_of(call, through)
            if handed is None:
                continue
            call = filled(through.call, handed, through.steps)
        own = key_of(filled(call, {}, steps), Scope({}, {}, texts))
        if not own or any(PLACE_ALONE.fullmatch(text) and text[1:-1] in parameters for text in own.values()):
            pages = any("ExclusiveStartKey" in (getattr(n, "value", None), getattr(n, "arg", None)) for n in nodes)
            items = any(isinstance(node, ast.Constant) and node.value in ("Items", "Item") for node in nodes)
            pages = pages or (through is not None and through.pages)
            items = items or (through is not None and through.items)
            defaults = dict(defaults_of(owner.args))
            yield Helper(owner, call, parameters, defaults, steps, pages, items, own, file, rest, through)


def defaults_of(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    """Parameter -> its default."""
    plain = [*arguments.posonlyargs, *arguments.args]
    yield from zip([a.arg for a in plain[len(plain) - len(arguments.defaults) :]], arguments.defaults, strict=True)
    yield from ((a.arg, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None)


def assigned(owner: ast.AST, parameters: Sequence[str], under: str | None = None) -> Iterator[Step]:
    """(name, value, parameter) of every assignment in order; those under `if parameter` depend on it."""
    for node in ast.iter_child_nodes(owner):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value, under
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value, under
        elif isinstance(node, ast.Assign | ast.Expr) and (entry := added(node)) is not None:
            yield (*entry, under)
        elif isinstance(node, ast.If):
            test = node.test.left if isinstance(node.test, ast.Compare) else node.test
            on = test.id if isinstance(test, ast.Name) and test.id in parameters else under
            yield from assigned(ast.Module(node.body, []), parameters, on)
        elif isinstance(node, ast.stmt):
            yield from assigned(node, parameters, under)


def added(node: ast.Assign | ast.Expr) -> tuple[str, ast.expr] | None:
    """(name, value) of what adds to a request: `request["Limit"] = 5`, `request.update(…)`, `request.setdefault(…)`."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(part)))]):
            # The key of the last item belongs to the paging.
            if part == "ExclusiveStartKey":
                return None
            more: ast.expr = ast.Dict(keys=[ast.Constant(part)], values=[node.value])
            return name, ast.Dict(keys=[None, None], values=[ast.Name(name), more])
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), args=args) as call):
            words = ast.Dict(
                keys=[None if word.arg is None else ast.Constant(word.arg) for word in call.keywords],
                values=[word.value for word in call.keywords],
            )
            parts = [ast.Name(name), *args, words]
            return name, ast.Dict(keys=[None] * len(parts), values=parts)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="setdefault"),
                args=[ast.Constant(value=str(part)), value],
            )
        ):
            return name, ast.Dict(keys=[ast.Constant(part), None], values=[value, ast.Name(name)])
    return None


def take_over(file: str, tree: ast.Module, helpers: Helpers, texts: Mapping[str, TextFunction]) -> Iterator[Helper]:
    """Put queries in the places of calls of helpers; yields those that were called with a key."""
    module = Scope(module_scope(tree, {}).names, {}, texts)
    for _, owner in owners(tree):
        if isinstance(owner, FUNCTIONS):
            taking = Taking(file, owner, helpers, module.inside(owner))
            owner.body = [taking.visit(each) for each in owner.body]
            yield from taking.taken


class Taking(ast.NodeTransformer):
    """Replaces the calls of helpers in one function by their queries."""

    def __init__(self, file: str, owner: ast.AST, helpers: Helpers, scope: Scope) -> None:
        self.file = file
        self.owner = owner
        self.helpers = helpers
        self.scope = scope
        self.taken: list[Helper] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function inside has names of its own."""
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The query of a helper whose key the call spells out; else the call."""
        self.generic_visit(node)
        helper = helper_for(node, self.file, self.helpers)
        given = arguments_of(node, helper) if helper is not None and helper.function is not self.owner else None
        if helper is None or given is None:
            return node
        key = key_of(filled(helper.call, given, helper.steps), self.scope)
        # What the helper names by itself says more here than a name; an index whose attribute is given, too, need not.
        if not key or any(PLACE_ALONE.fullmatch(text) for name, text in key.items() if name in helper.own):
            return node
        self.taken.append(helper)
        return ast.fix_missing_locations(ast.copy_location(sent(helper, given), node))


def name_of(call: ast.AST) -> str:
    """The last name of what is called."""
    func = getattr(call, "func", None)
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def arguments_of(call: ast.Call, helper: Helper) -> dict[str, ast.expr] | None:
    """Parameter -> what a call hands over; None where that is not spelt out."""
    if any(isinstance(each, ast.Starred) for each in call.args):
        return None
    given = dict(zip(helper.parameters, call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg in helper.parameters}
    others = [word for word in call.keywords if word.arg not in helper.parameters]
    if others and helper.rest is None:
        return None
    if helper.rest is not None:
        names = [None if word.arg is None else ast.Constant(word.arg) for word in others]
        given[helper.rest] = ast.Dict(keys=[*names], values=[word.value for word in others])
    return {**helper.defaults, **given}


def key_of(call: ast.Call, scope: Scope) -> Mapping[str, str]:
    """attribute -> template of the key of a query."""
    query = read_query(call, Function("", 1, ""), scope, False)
    return query.key if query is not None else {}


def filled(call: ast.Call, given: Mapping[str, ast.expr], steps: Sequence[Step]) -> ast.Call:
    """A helper's query with what it assigned and what it was given in the places of names."""
    left = [
        (name, value)
        for name, value, on in steps
        if not (on and isinstance(one := given.get(on), ast.Constant) and not one.value)
    ]
    made = Filling(given, left, 0).visit(deepcopy(call))
    assert isinstance(made, ast.Call)  # noqa: S101 - only names are replaced
    return made


class Filling(ast.NodeTransformer):
    """Puts values in the places of names: the last that was assigned before, else an argument."""

    def __init__(self, given: Mapping[str, ast.expr], steps: Sequence[tuple[str, ast.expr]], depth: int) -> None:
        self.given = given
        self.steps = steps
        self.depth = depth

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name's value; a name that is not known stays."""
        at = next((n for n in range(len(self.steps) - 1, -1, -1) if self.steps[n][0] == node.id), None)
        if at is not None and self.depth < DEPTH:
            earlier = Filling(self.given, self.steps[:at], self.depth + 1)
            value: ast.AST = earlier.visit(deepcopy(self.steps[at][1]))
            return value
        return deepcopy(self.given.get(node.id, node))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """`not newest_first` of an argument that is spelt out."""
        self.generic_visit(node)
        known = isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant)
        return ast.Constant(not getattr(node.operand, "value", None)) if known else node


def sent(helper: Helper, given: Mapping[str, ast.expr]) -> ast.expr:
    """The query that a call of a helper sends, as an expression; with the part of the answer that it returns."""
    made = filled(helper.call, given, helper.steps)
    single = isinstance(made.func, ast.Attribute) and made.func.attr == "get_item"
    if helper.pages and isinstance(made.func, ast.Attribute) and made.func.attr == "query":
        made.func.attr = "paginate"
    for node in ast.walk(made):
        # The place of the call is the only one that there is in this file.
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            vars(node).pop(name, None)
    return ast.Subscript(made, ast.Constant("Item" if single else "Items"), ast.Load()) if helper.items else made
