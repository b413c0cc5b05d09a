"""How to call a method of a class: on an object that a module or an application factory creates. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from devenv.init.code import Code, Function
from devenv.init.source import own_nodes

MAKERS: Final = ("create_app", "make_app", "build_app", "get_app")


def instances_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """class -> `ledger` of `ledger = Ledger(…)`, `create_app().ledger` of `app.ledger = Ledger(…)` in a factory."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=made))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=made))
            ):
                yield class_of(made), name
            case ast.FunctionDef(name=name) if name in MAKERS and not needed(node):
                ends = [each.value for each in own_nodes(node) if isinstance(each, ast.Return)]
                returned = {each.id for each in ends if isinstance(each, ast.Name)}
                for inner in own_nodes(node):
                    match inner:
                        case ast.Assign(
                            targets=[ast.Attribute(value=ast.Name(id=app), attr=part)], value=ast.Call(func=made)
                        ) if app in returned:
                            yield class_of(made), f"{name}().{part}"


def class_of(node: ast.expr) -> str:
    """The last name of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def needed(function: ast.FunctionDef) -> bool:
    """Return True if a function cannot be called without arguments."""
    given = function.args
    return len(given.args) + len(given.posonlyargs) > len(given.defaults) or None in given.kw_defaults


def takes_arguments(function: Function, code: Iterable[Code]) -> bool:
    """Return True if the class of a method cannot be made without arguments."""
    owner = function.name.rpartition(".")[0]
    makers = [f for each in code if each.file == function.file for f in each.functions if f.name == f"{owner}.__init__"]
    return any(set(maker.parameters) - maker.optional for maker in makers)
