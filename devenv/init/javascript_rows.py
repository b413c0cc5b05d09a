"""The tables of Postgres that JavaScript makes: Knex, Drizzle, Prisma's schema, TypeORM and Sequelize. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.javascript import JsParser, JsScript, unquoted
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable, read_sql

KNEX_COLUMN: Final = re.compile(
    r"\.(\w+)\(\s*['\"](\w+)['\"][^;\n]*?\)((?:\s*\.\s*\w+\((?:[^()]|\([^()]*\))*\))*)", re.DOTALL
)
KNEX_KINDS: Final = {"increments": "integer", "bigIncrements": "bigint", "string": "text", "text": "text"}
NOT_COLUMNS: Final = frozenset(("foreign", "primary", "unique", "index", "references", "inTable", "dropColumn", "raw"))
CREATE: Final = late(r"['\"`]\s*CREATE\s+TABLE\b", re.IGNORECASE)
PRISMA_KINDS: Final = {"string": "text", "int": "integer", "bigint": "bigint", "datetime": "timestamp", "uuid": "uuid"}


def read_knex(text: str) -> Iterator[DeclaredTable]:
    """The tables of `knex.schema.createTable("users", t => { … })`."""
    for match in re.finditer(r"\.createTable(?:IfNotExists)?\(\s*['\"](\w+)['\"]", text):
        following = re.search(r"\.(?:create|drop)Table\w*\(", text[match.end() :])
        body = text[match.end() : match.end() + following.start()] if following else text[match.end() :]
        columns: dict[str, DeclaredColumn] = {}
        for kind, name, rest in KNEX_COLUMN.findall(body):
            if kind in NOT_COLUMNS or kind.startswith("drop"):
                continue
            primary = "primary(" in rest or "increments" in kind.lower()
            unique = primary or ".unique(" in rest.replace(" ", "")
            columns.setdefault(name, DeclaredColumn(name, KNEX_KINDS.get(kind, kind), unique, primary))
        if re.search(r"\.increments\(\s*\)", body):
            columns.setdefault("id", DeclaredColumn("id", "integer", True, True))
        if columns:
            yield DeclaredTable("public", match[1], tuple(columns.values()))


class ScriptTable(Value, frozen=True):
    """A table as code calls it: its name, field -> column, and field -> model of what refers to another."""

    name: str
    columns: Mapping[str, str]
    relations: Mapping[str, str] = {}
    declared: DeclaredTable | None = None


def read_drizzle(script: JsScript) -> Iterator[tuple[str, ScriptTable]]:
    """(name in the code, table) of `export const users = pgTable("users", { id: uuid("id").primaryKey(), … })`."""
    if "pgTable" not in script.text:
        return
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        if (
            token.text not in ("pgTable", "table")
            or script.word(at + 1) != "("
            or script.word(at - 1) not in ("=", ".")
        ):
            continue
        call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
        match call:
            case ast.Call(args=[ast.Constant(value=str(name)), ast.Dict() as body, *_]):
                columns = [*drizzle_columns(body)]
                own = script.word(at - 2) if script.word(at - 1) == "=" else script.word(at - 4)
                table = DeclaredTable("public", name, tuple(column for _, column in columns))
                yield own, ScriptTable(name, {field: column.name for field, column in columns}, declared=table)


def drizzle_columns(body: ast.Dict) -> Iterator[tuple[str, DeclaredColumn]]:
    """(field, column) of the columns of a pgTable."""
    for key, value in zip(body.keys, body.values, strict=True):
        marks: set[str] = set()
        node = value
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            marks.add(node.func.attr)
            node = node.func.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and isinstance(key, ast.Constant):
            told = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else key.value
            primary = "primaryKey" in marks
            yield str(key.value), DeclaredColumn(str(told), node.func.id, primary or "unique" in marks, primary)


def prisma_tables(text: str) -> Iterator[tuple[str, ScriptTable]]:
    """(model, table) of a schema of Prisma, with the names that `@map` and `@@map` give."""
    names = set(re.findall(r"^model\s+(\w+)", text, re.MULTILINE))
    for model, body in re.findall(r"^model\s+(\w+)\s*\{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        told = re.search(r"@@map\(\s*(?:name:\s*)?\"(\w+)\"", body)
        columns: dict[str, DeclaredColumn] = {}
        relations: dict[str, str] = {}
        for field, kind, rest in re.findall(r"^\s*(\w+)\s+(\w+)(?:\[\]|\?)?([^\n]*)", body, re.MULTILINE):
            if kind in names:
                relations[field] = kind
                continue
            mapped = re.search(r"(?<!@)@map\(\s*(?:name:\s*)?\"(\w+)\"", rest)
            own = re.search(r"@db\.(\w+)", rest)
            primary = re.search(r"(?<!@)@id\b", rest) is not None
            unique = primary or re.search(r"(?<!@)@unique\b", rest) is not None
            shown = PRISMA_KINDS.get((own[1] if own else kind).lower(), kind.lower())
            columns[field] = DeclaredColumn(mapped[1] if mapped else field, shown, unique, primary)
        table = told[1] if told else model
        declared = DeclaredTable("public", table, tuple(columns.values()))
        yield model, ScriptTable(table, {f: c.name for f, c in columns.items()}, relations, declared)


def tables_in_sql(script: JsScript) -> Iterator[DeclaredTable]:
    """The tables of `queryRunner.query("CREATE TABLE …")`, and of Sequelize's `createTable("users", { … })`."""
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        if token.kind in ("str", "tick") and CREATE.match(token.text):
            read = read_sql("migration.sql", unquoted(token.text))
            yield from () if isinstance(read, str) else read.tables
        elif token.text == "createTable" and script.word(at + 1) == "(":
            call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
            match call:
                case ast.Call(args=[ast.Constant(value=str(name)), ast.Dict() as body, *_]):
                    yield DeclaredTable("public", name, tuple(sequelize_columns(body)))


def sequelize_columns(body: ast.Dict) -> Iterator[DeclaredColumn]:
    """The columns of Sequelize: `id: { type: Sequelize.UUID, primaryKey: true }`."""
    for key, value in zip(body.keys, body.values, strict=True):
        if not isinstance(key, ast.Constant):
            continue
        pairs = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
        parts = {str(k.value): v for k, v in pairs if isinstance(k, ast.Constant)}
        kind = parts.get("type", value)
        while isinstance(kind, ast.Call):
            kind = kind.func
        word = (
            str(kind.slice.value)
            if isinstance(kind, ast.Subscript) and isinstance(kind.slice, ast.Constant)
            else "text"
        )
        word = kind.attr if isinstance(kind, ast.Attribute) else word
        primary, unique = (
            isinstance(v := parts.get(n), ast.Constant) and v.value is True for n in ("primaryKey", "unique")
        )
        yield DeclaredColumn(str(key.value), word.lower(), primary or unique, primary)


def rows_of(script: JsScript) -> Iterator[DeclaredTable]:
    """The tables of Postgres that one file makes."""
    yield from read_knex(script.text)
    yield from tables_in_sql(script)
    yield from (table.declared for _, table in read_drizzle(script) if table.declared)
