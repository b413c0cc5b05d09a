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
DEPTH: Final = 12
PLACE_ALONE: Final = late(r"\{\w+\}")
Step = tuple[str, ast.expr, str | None]
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Helper:
    """One function with one query, which by itself has the key `own`, as far as it is known.

    `steps` are what it assigns, in order: (name, value, parameter that decides whether it does). `items`: it gives the
    items back, and not the answer.
    """

    function: ast.FunctionDef | ast.AsyncFunctionDef
    call: ast.Call
    parameters: tuple[str, ...]
    defaults: Mapping[str, ast.expr]
    steps: tuple[Step, ...]
    pages: bool
    items: bool
    own: Mapping[str, str]


def with_queries(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files, with the queries of helpers in the places of the calls that spell out their key."""
    texts = text_functions(trees.values())
    found = [helper for tree in trees.values() for helper in helpers_of(tree, texts)]
    names = [helper.function.name for helper in found]
    # Of two functions with one name the call does not tell which is meant.
    helpers = {helper.function.name: helper for helper in found if names.count(helper.function.name) == 1}
    if not helpers:
        return trees
    taken = {helper for tree in trees.values() for helper in take_over(tree, helpers, texts)}
    for name in taken:
        called = helpers[name].call.func
        if isinstance(called, ast.Attribute):
            called.attr = TAKEN
    return trees


def helpers_of(tree: ast.Module, texts: Mapping[str, TextFunction]) -> Iterator[Helper]:
    """The functions and methods with exactly one query, whose key is handed to them."""
    around = [(name, value, None) for name, value, _ in assigned(tree, ())]
    for _, owner in owners(tree):
        if not isinstance(owner, FUNCTIONS) or owner.name in OPERATIONS:
            continue
        nodes = list(own_nodes(owner))
        calls = [node for node in nodes if isinstance(node, ast.Call) and calls_store(node)]
        if len(calls) != 1:
            continue
        given = (*owner.args.posonlyargs, *owner.args.args, *owner.args.kwonlyargs)
        parameters = tuple(each.arg for each in given if each.arg not in ("self", "cls"))
        steps = (*around, *assigned(owner, parameters))
        own = key_of(filled(calls[0], {}, steps), Scope({}, {}, texts))
        if not own or any(PLACE_ALONE.fullmatch(text) and text[1:-1] in parameters for text in own.values()):
            pages = any("ExclusiveStartKey" in (getattr(n, "value", None), getattr(n, "arg", None)) for n in nodes)
            items = any(isinstance(node, ast.Constant) and node.value in ("Items", "Item") for node in nodes)
            yield Helper(owner, calls[0], parameters, dict(defaults_of(owner.args)), steps, pages, items, own)


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
        elif isinstance(node, ast.If):
            test = node.test.left if isinstance(node.test, ast.Compare) else node.test
            on = test.id if isinstance(test, ast.Name) and test.id in parameters else under
            yield from assigned(ast.Module(node.body, []), parameters, on)
        elif isinstance(node, ast.stmt):
            yield from assigned(node, parameters, under)


def take_over(tree: ast.Module, helpers: Mapping[str, Helper], texts: Mapping[str, TextFunction]) -> Iterator[str]:
    """Put queries in the places of calls of helpers; yields the names of those that were called with a key."""
    module = Scope(module_scope(tree, {}).names, {}, texts)
    for _, owner in owners(tree):
        if isinstance(owner, FUNCTIONS):
            taking = Taking(owner, helpers, module.inside(owner))
            owner.body = [taking.visit(each) for each in owner.body]
            yield from taking.taken


class Taking(ast.NodeTransformer):
    """Replaces the calls of helpers in one function by their queries."""

    def __init__(self, owner: ast.AST, helpers: Mapping[str, Helper], scope: Scope) -> None:
        self.owner = owner
        self.helpers = helpers
        self.scope = scope
        self.taken: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function inside has names of its own."""
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The query of a helper whose key the call spells out; else the call."""
        self.generic_visit(node)
        helper = self.helpers.get(name_of(node))
        given = arguments_of(node, helper) if helper is not None and helper.function is not self.owner else None
        if helper is None or given is None:
            return node
        key = key_of(filled(helper.call, given, helper.steps), self.scope)
        # What the helper names by itself says more here than a name; an index whose attribute is given, too, need not.
        if not key or any(PLACE_ALONE.fullmatch(text) for name, text in key.items() if name in helper.own):
            return node
        self.taken.append(helper.function.name)
        return ast.fix_missing_locations(ast.copy_location(sent(helper, given), node))


def name_of(call: ast.AST) -> str:
    """The last name of what is called."""
    func = getattr(call, "func", None)
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def arguments_of(call: ast.Call, helper: Helper) -> dict[str, ast.expr] | None:
    """Parameter -> what a call hands over; None where that is not spelt out."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(word.arg is None for word in call.keywords):
        return None
    given = dict(zip(helper.parameters, call.args, strict=False))
    given |= {str(word.arg): word.value for word in call.keywords}
    return {**helper.defaults, **given} if given.keys() <= set(helper.parameters) else None


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
