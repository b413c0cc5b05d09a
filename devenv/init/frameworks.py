"""The application that a Python module makes: of Flask or FastAPI. Pure."""

from __future__ import annotations

import ast
from typing import Final

from devenv.init.source import assignments

# What Flask calls a function that makes the application.
FACTORIES: Final = ("create_app", "make_app")


def application_in(tree: ast.Module) -> tuple[str, str] | None:
    """(framework, name) of the application that a module makes: `app = Flask(__name__)`, or in a `create_app`."""
    for name, node in assignments(tree):
        if kind := framework_of(node):
            return kind, name
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in FACTORIES:
            kind = next(filter(None, map(framework_of, ast.walk(function))), None)
            if kind is not None:
                return kind, function.name
    return None


def framework_of(node: ast.AST) -> str | None:
    """`flask` of `Flask(…)`, `fastapi` of `FastAPI(…)`, `asgi` of one whose page of documents is elsewhere."""
    match node:
        case ast.Call(
            func=ast.Name(id="Flask" | "FastAPI" as kind) | ast.Attribute(attr="Flask" | "FastAPI" as kind),
            keywords=given,
        ):
            # Without its own page at /docs.
            moved = any(each.arg in ("docs_url", "openapi_url") for each in given)
            return "asgi" if kind == "FastAPI" and moved else str(kind).lower()
    return None
