"""Operators of JavaScript as Python's nodes: `a.b`, `a || b`, `a ? b : c`. Pure."""

from __future__ import annotations

import ast
from typing import Final

# Constants of the AWS SDK that are called as their values: `ScalarAttributeType.S`.
ENUMS: Final = frozenset(("ScalarAttributeType", "KeyType", "BillingMode", "ProjectionType", "StreamViewType"))


def member(node: ast.expr, name: str) -> ast.expr:
    """`node.name`. `process.env` is what Python calls `os.environ`."""
    if isinstance(node, ast.Name) and node.id == "process" and name == "env":
        return ast.Attribute(value=ast.Name(id="os"), attr="environ")
    if isinstance(node, ast.Name) and node.id in ENUMS:
        return ast.Constant(value=name)
    return ast.Subscript(value=node, slice=ast.Constant(value=name))


def either(node: ast.expr, other: ast.expr) -> ast.expr:
    """`a || b`: of a variable with a default, what Python calls `os.environ.get("X", "d")`."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="environ") as environ, slice=ast.Constant() as name):
            return ast.Call(func=ast.Attribute(value=environ, attr="get"), args=[name, other], keywords=[])
    return ast.BoolOp(op=ast.Or(), values=[node, other])


def chosen(condition: ast.expr, one: ast.expr, other: ast.expr) -> ast.expr:
    """`a ? b : c`: which of both it is, is not known, but their type may be."""
    return ast.IfExp(test=condition, body=one, orelse=other)
