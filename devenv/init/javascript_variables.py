"""The variables that JavaScript hands to the clients of the stores, and Prisma's schema to its own. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.init.code import Code
from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.source import Scope
from devenv.init.variables import DYNAMODB_URL, PARTS, URL, variable_behind

CLIENTS: Final = ("DynamoDBClient", "DynamoDB", "DocumentClient", "DynamoDBStreamsClient")
# What takes the address of a database first, or an object with it or its parts.
CONNECTS: Final = ("Pool", "Client", "postgres", "pgp", "Sequelize", "DataSource", "drizzle", "createPool")
WHOLE: Final = ("connectionString", "url", "connection")
DRIVERS: Final = re.compile(
    r"['\"](?:pg|postgres|pg-promise|sequelize|typeorm|slonik|knex|drizzle-orm/[\w-]+|@prisma/adapter-pg)['\"]"
    r"|client\s*:\s*['\"](?:pg|postgres|postgresql)['\"]"
)
DATASOURCE: Final = re.compile(r"\bdatasource\s+\w+\s*\{([^}]*)\}")
PROVIDER: Final = re.compile(r"\bprovider\s*=\s*\"(?:postgres|postgresql|cockroachdb)\"")
PRISMA_URL: Final = re.compile(r"^\s*(?:directUrl|url)\s*=\s*env\(\s*\"([A-Za-z_]\w*)\"\s*\)", re.MULTILINE)


def script_uses(script: JsScript, module: Scope, scopes: Mapping[JsFunction, Scope]) -> Iterator[tuple[str, str]]:
    """(variable, placeholder) of the endpoint of DynamoDB and the address of Postgres, or its parts."""
    has_driver = bool(DRIVERS.search(script.text))
    for at, token in enumerate(script.tokens):
        following = script.word(at + 1)
        if token.kind != "id" or following not in ("(", ":"):
            continue
        block = script.block_of(at)
        scope = scopes[block] if block else module
        if following == "(" and token.text in CLIENTS:
            yield from handed(script, at + 1, scope, {"endpoint": DYNAMODB_URL}, None)
        elif following == "(" and has_driver and token.text in CONNECTS:
            yield from handed(script, at + 1, scope, {**PARTS, **dict.fromkeys(WHOLE, URL)}, URL)
        elif following == ":" and has_driver and token.text == "connection":
            node, _ = JsParser(script).expression(at + 2)
            if (variable := variable_behind(node, scope, {})) is not None:
                yield variable, URL


def handed(
    script: JsScript, opening: int, scope: Scope, places: Mapping[str, str], first: str | None
) -> Iterator[tuple[str, str]]:
    """(variable, placeholder) of a call's arguments: the `first` itself, and the fields of objects in `places`."""
    parser = JsParser(script)
    closing = script.partners.get(opening, opening)
    call, _ = parser.call(ast.Name(id="_"), opening, 0)
    given = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if given is None:
        return
    if first is not None and (variable := variable_behind(given, scope, {})) is not None:
        yield variable, first
    whole = scope.names.get(given.id) if isinstance(given, ast.Name) else None
    fields = [*zip(whole.keys, whole.values, strict=True)] if isinstance(whole, ast.Dict) else []
    found = [(key.value, value) for key, value in fields if isinstance(key, ast.Constant)]
    # By its tokens, as an object may stand in a condition: `...(endpoint ? { endpoint } : {})`.
    for at in range(opening + 1, closing):
        if script.tokens[at].kind == "id" and script.word(at - 1) in ("{", ","):
            if script.word(at + 1) == ":":
                found.append((script.word(at), parser.expression(at + 2)[0]))
            elif script.word(at + 1) in (",", "}"):
                found.append((script.word(at), ast.Name(id=script.word(at))))
    for name, value in found:
        if name in places and (variable := variable_behind(value, scope, {})) is not None:
            yield variable, places[str(name)]


def prisma_code(file: str, text: str) -> Code:
    """The variables of Prisma's schema: `url = env("COURSES_DB")` in the `datasource` of Postgres."""
    found: dict[str, int] = {}
    for source in DATASOURCE.finditer(text):
        if PROVIDER.search(source[1]):
            for place in PRISMA_URL.finditer(source[1]):
                found.setdefault(place[1], text.count("\n", 0, source.start(1) + place.start(1)) + 1)
    return Code(file, (), (), (), (), found, {}, False, False, uses=dict.fromkeys(found, URL))
