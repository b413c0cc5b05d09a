"""Constants of classes and of Flask's configuration: `Config.PREFIX`, `app.config["PREFIX"]` as their values. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from copy import deepcopy

from devenv.init.source import read_variable

# Each name of a class -> its expression; and the upper-case names of configuration classes, for `app.config[…]`.
Constants = Mapping[tuple[str, str], ast.expr]


def with_class_constants(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files, with the value itself in the places of constants that only one class of this name gives."""
    found: dict[tuple[str, str], list[ast.expr]] = {}
    for tree in trees.values():
        for owner, name, value in constants_of(tree):
            found.setdefault((owner, name), []).append(value)
    known = {place: values[0] for place, values in found.items() if len(values) == 1}
    if known:
        reader = ConstantReader(known)
        for tree in trees.values():
            reader.visit(tree)
    return trees


def constants_of(tree: ast.Module) -> Iterator[tuple[str, str, ast.expr]]:
    """(class, name, expression) of texts and variables that classes give names in capitals."""
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in owner.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                name, value = node.target.id, node.value
            else:
                continue
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            if name.isupper() and (is_text or read_variable(value) is not None):
                yield owner.name, name, value


class ConstantReader(ast.NodeTransformer):
    """Puts the value in the place of `Config.NAME`, `config.Config.NAME` and `app.config["NAME"]`."""

    def __init__(self, known: Constants) -> None:
        self.known = known
        named: dict[str, list[ast.expr]] = {}
        for (owner, name), value in known.items():
            if "config" in owner.lower() or "settings" in owner.lower():
                named.setdefault(name, []).append(value)
        self.configured = {name: values[0] for name, values in named.items() if len(values) == 1}

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A class's constant, or any other attribute as it is."""
        self.generic_visit(node)
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        return self.instead(node, self.known.get((owner, node.attr)), node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """An entry of the application's configuration, or any other as it is."""
        self.generic_visit(node)
        match node:
            case ast.Subscript(value=ast.Attribute(attr="config"), slice=ast.Constant(value=str(name))):
                return self.instead(node, self.configured.get(name), node.ctx)
        return node

    @staticmethod
    def instead(node: ast.expr, value: ast.expr | None, context: ast.expr_context) -> ast.expr:
        """The value at the node's place; the node where there is none, or where it is given one."""
        if value is None or not isinstance(context, ast.Load):
            return node
        made = deepcopy(value)
        for each in ast.walk(made):
            if isinstance(each, ast.expr):
                ast.copy_location(each, node)
        return made
