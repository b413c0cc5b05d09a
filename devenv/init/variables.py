"""Environment variables that code reads: the purpose of each, judged by its use, and which have no default. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.source import DEPTH, Scope, entry_of, read_variable

URL: Final = "{postgres_url}"
DYNAMODB_URL: Final = "{dynamodb_url}"
# Functions that take the address of a database first, and the keywords that they take it and its parts by.
CONNECTS: Final = ("connect", "create_pool", "create_engine", "ConnectionPool", "AsyncConnectionPool")
ASYNC_ENGINE: Final = "create_async_engine"
DRIVERS: Final = frozenset(("psycopg", "psycopg2", "psycopg_pool", "asyncpg", "sqlalchemy"))
WHOLE: Final = ("conninfo", "dsn", "url")
PARTS: Final = {
    "host": "{postgres_host}",
    "port": "{postgres_port}",
    "user": "{postgres_user}",
    "password": "{postgres_password}",
    "dbname": "{postgres_database}",
    "database": "{postgres_database}",
}
OF_DRIVER: Final = late(r"postgres(?:ql)?\+\w+://")
# What every shell has, or what only switches something.
COMMON: Final = frozenset(("NODE_ENV", "HOME", "PATH", "PWD", "USER", "TZ", "CI", "DEBUG", "LOG_LEVEL", "PORT", "HOST"))
REQUIRED_JS: Final = late(
    r"(?<!!)(?<!if \()(?<!if\()(?<!typeof )\bprocess\.env\.([A-Z_]\w*)\b(?!\s*(?:\|\||\?|=|!=|&&))"
)


def python_uses(tree: ast.Module, scope: Scope, fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(variable, placeholder) of what is handed to a driver of Postgres, or to boto3 as the endpoint of DynamoDB.

    `fields` are attributes of settings with the variables that they come from.
    """
    roots = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = {word.arg: word.value for word in node.keywords if word.arg}
        given: list[tuple[ast.expr, str]] = []
        if name in ("client", "resource") and any(
            isinstance(a, ast.Constant) and a.value == "dynamodb" for a in node.args
        ):
            given += [(words["endpoint_url"], DYNAMODB_URL)] if "endpoint_url" in words else []
        elif roots & DRIVERS and (name in CONNECTS or name == ASYNC_ENGINE) and is_driver(node.func):
            whole = f"postgresql+asyncpg://{URL}" if name == ASYNC_ENGINE else URL
            given += [(value, whole) for value in [*node.args[:1], *(words[w] for w in WHOLE if w in words)]]
            given += [(words[part], place) for part, place in PARTS.items() if part in words]
        for value, place in given:
            if (variable := variable_behind(value, scope, fields)) is not None:
                yield variable, place


def driver_addresses(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Variable -> its default in the code, of addresses that name a driver: `postgresql+asyncpg://…`."""
    found = (read for tree in trees for node in ast.walk(tree) if (read := read_variable(node)) is not None)
    return {name: default for name, default in found if default and OF_DRIVER.match(default)}


def is_driver(function: ast.expr) -> bool:
    """Return True unless `connect` is that of an object of another kind: `sqlite3.connect`, `client.connect`."""
    if isinstance(function, ast.Attribute) and function.attr == "connect":
        return isinstance(function.value, ast.Name) and function.value.id in DRIVERS
    return True


def variable_behind(node: ast.expr, scope: Scope, fields: Mapping[str, str], depth: int = 0) -> str | None:
    """The variable whose value an expression is, by whatever names; None for any other."""
    if depth > DEPTH:
        return None
    if (found := read_variable(node)) is not None:
        return found[0]
    match node:
        case ast.BoolOp(values=[first, *_]):
            return variable_behind(first, scope, fields, depth + 1)
        case ast.Call(func=ast.Name(id="int" | "str" | "Number" | "parseInt"), args=[inner, *_]):
            return variable_behind(inner, scope, fields, depth + 1)
        case ast.Name(id=name) if name in scope.names:
            return variable_behind(scope.names[name], scope, fields, depth + 1)
        case ast.Attribute(attr=name):
            return fields.get(name)
        case ast.Subscript() if (entry := entry_of(node, scope)) not in (None, node):
            return variable_behind(entry, scope, fields, depth + 1)
    return None


def settings_fields(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Field -> variable of `Settings(dsn=os.environ["X"])` and `dsn = os.environ["X"]` in a class, each only once."""
    found: dict[str, set[str]] = {}
    empty = Scope({})
    for tree in trees:
        for node in ast.walk(tree):
            named: tuple[str, ast.expr] | None = None
            match node:
                case ast.keyword(arg=str(name), value=value):
                    named = name, value
                case ast.Assign(targets=[ast.Attribute(attr=name) | ast.Name(id=name)], value=value):
                    named = name, value
                case ast.AnnAssign(target=ast.Attribute(attr=name) | ast.Name(id=name), value=ast.expr() as value):
                    named = name, value
            if named and (variable := variable_behind(named[1], empty, {})) is not None:
                found.setdefault(named[0], set()).add(variable)
    return {name: next(iter(variables)) for name, variables in found.items() if len(variables) == 1}


def python_required(tree: ast.Module) -> frozenset[str]:
    """The variables of `os.environ["X"]` that are read nowhere here with a default."""
    reads = [(node, found) for node in ast.walk(tree) if (found := read_variable(node)) is not None]
    hard = {
        name
        for node, (name, _) in reads
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Store | ast.Del)
    }
    return frozenset(hard - {name for node, (name, _) in reads if isinstance(node, ast.Call)} - COMMON)


def script_required(text: str) -> frozenset[str]:
    """The variables of `process.env.X` that are read without anything in their place."""
    return frozenset(REQUIRED_JS.findall(text)) - COMMON
