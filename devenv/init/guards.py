"""The routes for people who are signed in: by the names of their decorators and dependencies, however deep. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.settings_class import last_name

DEPENDS: Final = ("Depends", "Security")
SIGNED_IN: Final = late(r"auth|token|sign_?(ed_?)?in|log_?(ged_?)?in|current_|claims|require_?user", re.IGNORECASE)


def is_guard(name: str, depends: Mapping[str, frozenset[str]], seen: frozenset[str] = frozenset()) -> bool:
    """Return True for a name that is about signing in, or a function that depends on one; `depends`: by name."""
    if SIGNED_IN.search(name):
        return True
    return any(is_guard(each, depends, seen | {name}) for each in depends.get(name, frozenset()) - seen)


def decorated_by(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The last names of a function's decorators."""
    for each in function.decorator_list:
        yield last_name(each.func if isinstance(each, ast.Call) else each)


def depends_of(nodes: Iterable[ast.AST], names: Mapping[str, ast.expr]) -> Iterator[str]:
    """The last names in each `Depends(name)`, also of a type that has one: `User = Annotated[Row, Depends(name)]`."""
    for node in (inner for each in nodes for inner in ast.walk(each)):
        match node:
            case ast.Call(func=function, args=[given, *_]) if last_name(function) in DEPENDS:
                yield last_name(given.func if isinstance(given, ast.Call) else given)
            case ast.arg(annotation=ast.Name(id=name)) if isinstance(names.get(name), ast.Subscript):
                yield from depends_of([names[name]], {})


def read_depends(tree: ast.Module, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, frozenset[str]]]:
    """(function, what it depends on) of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := {*depends_of([node.args], names)}):
            yield node.name, frozenset(found)
