"""The rows that seeds of JavaScript insert, by column: Knex, Drizzle, Prisma, Sequelize, and SQL with values. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.javascript import JsParser, JsScript, declared, unquoted
from devenv.init.javascript_rows import ScriptTable, prisma_tables, read_drizzle
from devenv.init.real_values import inserted
from devenv.init.source import Scope, Unclear, dict_of, entries, entry_of, value_of

INSERT: Final = late(
    r"\s*INSERT\s+INTO\s+(?:\"?\w+\"?\.)?\"?(\w+)\"?\s*\(([^)]*)\)\s*VALUES\s*\(([^)]*)\)", re.IGNORECASE
)
BACK: Final = 60
MOST: Final = 200


def seeded_rows(scripts: Mapping[str, JsScript], texts: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """(table, column) -> values, in the files that are called a seed."""
    tables = {name: table for script in scripts.values() for name, table in read_drizzle(script)}
    models = {name: table for file, t in texts.items() if file.endswith(".prisma") for name, table in prisma_tables(t)}
    found: dict[tuple[str, str], list[str]] = {}
    for file, script in scripts.items():
        if "seed" not in file.lower():
            continue
        for table, column, value in rows_in(script, tables, models):
            values = found.setdefault((table, column), [])
            if len(values) < MOST:
                values.append(value)
    return found


def rows_in(
    script: JsScript, tables: Mapping[str, ScriptTable], models: Mapping[str, ScriptTable]
) -> Iterator[tuple[str, str, str]]:
    """(table, column, value) of every insert that is spelt out."""
    parser, scope = JsParser(script), Scope(declared(script))
    for at, token in enumerate(script.tokens):
        if token.kind in ("str", "tick") and "INSERT" in token.text.upper() and "${" not in token.text:
            yield from inserted(unquoted(token.text), {})
        if token.kind != "id" or script.word(at + 1) != "(":
            continue
        call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
        given = call.args if isinstance(call, ast.Call) else []
        if not given:
            continue
        name = token.text
        if name == "insert" and (table := named_before(script, at)):
            yield from columns_of(ScriptTable(table, {}), given[0], scope, models)
        elif name == "values" and (owner := inserted_into(script, at)) in tables:
            yield from columns_of(tables[str(owner)], given[0], scope, models)
        elif name in ("create", "createMany", "upsert") and script.word(at - 1) == "." and script.word(at - 3) == ".":
            model = script.word(at - 2)
            options = fields(given[0], scope)
            data = options.get("data") or options.get("create")
            own = models.get(model[:1].upper() + model[1:])
            if data is not None and own is not None:
                yield from columns_of(own, data, scope, models)
        elif name == "bulkInsert" and len(given) > 1 and isinstance(given[0], ast.Constant):
            yield from columns_of(ScriptTable(str(given[0].value), {}), given[1], scope, models)
        elif name in ("query", "execute") and len(given) > 1 and isinstance(given[0], ast.Constant):
            yield from filled(str(given[0].value), given[1], scope)


def fields(node: ast.expr, scope: Scope) -> dict[str, ast.expr]:
    """The entries of an object, also by its name."""
    whole = dict_of(entry_of(node, scope), scope)
    return entries(whole, scope) if whole is not None else {}


def named_before(script: JsScript, at: int) -> str | None:
    """`accounts` of `knex("accounts").insert(…)`, `db.table("accounts")…`: the text in the call before."""
    for place in range(at - 1, max(at - BACK, 2), -1):
        if script.word(place) in (";", "await", "return"):
            return None
        token = script.tokens[place]
        if token.kind == "str" and script.word(place - 1) == "(" and script.word(place + 1) == ")":
            return unquoted(token.text).rpartition(".")[2]
    return None


def inserted_into(script: JsScript, at: int) -> str | None:
    """`episodes` of `db.insert(episodes).values(…)`."""
    for place in range(at - 1, max(at - 8, 2), -1):
        if script.word(place) == "insert" and script.word(place + 1) == "(":
            return script.word(place + 2)
    return None


def columns_of(
    table: ScriptTable, node: ast.expr, scope: Scope, models: Mapping[str, ScriptTable]
) -> Iterator[tuple[str, str, str]]:
    """The values of one object, or of a list of them; of Prisma's nested `create` those of the other model."""
    whole = entry_of(node, scope)
    for each in whole.elts if isinstance(whole, ast.List) else [whole]:
        for name, value in fields(each, scope).items() if each is not None else ():
            if name in table.relations:
                inner = fields(value, scope)
                data = inner.get("create") or inner.get("data")
                other = models.get(table.relations[name])
                if data is not None and other is not None:
                    yield from columns_of(other, data, scope, models)
                continue
            text = spelt(value, scope)
            if text is not None:
                yield table.name, table.columns.get(name, name), text


def spelt(node: ast.expr, scope: Scope) -> str | None:
    """The text or number that an expression spells out."""
    try:
        value = value_of(node, scope)
    except Unclear:
        return None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def filled(statement: str, node: ast.expr, scope: Scope) -> Iterator[tuple[str, str, str]]:
    """The values of `query("INSERT INTO t (a, b) VALUES ($1, $2)", [x, y])`."""
    found = INSERT.match(statement)
    given = entry_of(node, scope)
    if found is None or not isinstance(given, ast.List):
        return
    names = [name.strip().strip('"') for name in found[2].split(",")]
    for name, place in zip(names, found[3].split(","), strict=False):
        number = re.fullmatch(r"\s*\$(\d+)(?:::\w+)?\s*", place)
        at = int(number[1]) - 1 if number else -1
        if 0 <= at < len(given.elts) and (text := spelt(given.elts[at], scope)) is not None:
            yield found[1], name, text
