"""Reads Ruby as text: tables and rows of Postgres, variables, routes without parts, Rails. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.init.code import Code
from devenv.init.routes import Route
from devenv.init.ruby_tables import SUFFIXES
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable

VARIABLE: Final = re.compile(r"\bENV(?:\.fetch\(\s*|\[\s*)['\"](\w+)['\"]\s*(\]|,|\))")
ROUTE: Final = re.compile(r"^\s*get\s*\(?\s*['\"]([^'\":*]+)['\"]", re.MULTILINE)
# `create_table :members, id: :uuid do |t| … end`, a line for each column.
CREATES_ROWS: Final = re.compile(
    r"^\s*create_table\s*\(?\s*[:\"'](\w+)['\"]?([^\n]*?)\s+do\s*\|\w+\|\s*\n(.*?)^\s*end\b", re.MULTILINE | re.DOTALL
)
COLUMN: Final = re.compile(r"^\s*t\.(\w+)\s*\(?\s*(?:\[\s*)?[:\"'](\w+)([^\n]*)", re.MULTILINE)
UNIQUE_INDEX: Final = re.compile(
    r"\badd_index\s*\(?\s*[:\"'](\w+)['\"]?\s*,\s*\[?\s*[:\"'](\w+)['\"]?\s*\]?\s*,[^\n]*unique:\s*true"
)
MADE_ROWS: Final = re.compile(
    r"\b([A-Z][\w:]*)\.(?:create!?|insert_all!?|find_or_create_by!?|upsert_all)\s*\(?((?:[^()]|\([^()]*\))*?)(?:\)|\n(?=\S))"
)
PAIR: Final = re.compile(r"(?<![\w.])(\w+):\s*(?:\"([^\"#]*)\"|'([^']*)')")
PEOPLE: Final = {"person": "people", "child": "children"}
ROW_KINDS: Final = {"string": "varchar", "references": "bigint", "belongs_to": "bigint", "datetime": "timestamp"}
ID_KINDS: Final = {"uuid": "uuid", "string": "varchar", "integer": "integer"}


def read_ruby_rows(texts: Mapping[str, str]) -> Iterator[DeclaredTable]:
    """The tables of Postgres that db/schema.rb, else the migrations of Rails, make."""
    schemas = [name for name in texts if name.endswith("db/schema.rb")]
    files = schemas or sorted(name for name in texts if re.search(r"(^|/)db/migrate/[^/]+\.rb$", name))
    whole = "\n".join(texts[name] for name in files)
    unique = {(table, column) for table, column in UNIQUE_INDEX.findall(whole)}
    for found in CREATES_ROWS.finditer(whole):
        name, options, body = found[1], found[2], found[3]
        columns = {} if re.search(r"\bid:\s*false", options) else {"id": ID_KINDS.get(id_kind(options), "bigint")}
        keys = {*columns, *re.findall(r"primary_key:\s*['\":](\w+)", options)}
        own: set[str] = set()
        for kind, column, rest in COLUMN.findall(body):
            if kind in ("index", "foreign_key", "check_constraint", "timestamps"):
                own |= {column} if kind == "index" and "unique: true" in rest else set()
                continue
            column = f"{column}_id" if kind in ("references", "belongs_to") else column
            columns[column] = ROW_KINDS.get(kind, kind)
            own |= {column} if re.search(r"unique:\s*true", rest) else set()
            keys |= {column} if re.search(r"primary_key:\s*true", rest) else set()
        yield DeclaredTable(
            "public",
            name,
            tuple(
                DeclaredColumn(c, kind, c in keys or c in own or (name, c) in unique, c in keys)
                for c, kind in columns.items()
            ),
        )


def read_ruby_seeds(texts: Mapping[str, str], tables: Iterable[DeclaredTable]) -> dict[tuple[str, str], list[str]]:
    """(table, column) -> values of `Member.create!([{ badge: "B7" }])` in seeds of Rails."""
    known = {table.name for table in tables}
    found: dict[tuple[str, str], list[str]] = {}
    for file, text in texts.items():
        if not file.endswith(".rb") or "seed" not in file.lower():
            continue
        for call in MADE_ROWS.finditer(text):
            table = next((name for name in plurals(call[1]) if name in known), None)
            for name, one, two in PAIR.findall(call[2]) if table else ():
                found.setdefault((str(table), name), []).append(one or two)
    return found


def plurals(model: str) -> tuple[str, ...]:
    """The names that the table of a model may have: `gym_classes` of `GymClass`."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.rpartition("::")[2]).lower()
    return (f"{name}s", f"{name}es", f"{name[:-1]}ies", name, PEOPLE.get(name, name))


def id_kind(options: str) -> str:
    """The type that `create_table :x, id: :uuid` gives the key."""
    found = re.search(r"\bid:\s*:(\w+)", options)
    return found[1] if found else ""


def rails_database(texts: Mapping[str, str]) -> tuple[str, ...]:
    """The database for development of Rails' config/database.yml, also as the default of a variable."""
    for file, text in texts.items():
        if not file.endswith("config/database.yml"):
            continue
        own = re.search(r"^development:\s*\n((?:[ \t]+[^\n]*\n|[ \t]*\n)*)", text + "\n", re.MULTILINE)
        named = re.search(r"^[ \t]+database:\s*(?:<%=.*?,\s*)?['\"]?(\w+)", own[1] if own else "", re.MULTILINE)
        if named:
            return (named[1],)
    return ()


def read_ruby(texts: Mapping[str, str]) -> Iterator[Code]:
    """The variables and routes of Ruby, and of the database.yml of Rails."""
    for file, text in texts.items():
        if not file.endswith((*SUFFIXES, "config/database.yml")) or {"test", "tests", "spec"} & {*file.split("/")[:-1]}:
            continue
        variables = {v[1]: text.count("\n", 0, v.start()) + 1 for v in VARIABLE.finditer(text)}
        # Rails draws its routes in a file of their own.
        found_routes = [] if file.endswith("config/routes.rb") else [*ROUTE.finditer(text)]
        routes = [
            Route(file, line := text.count("\n", 0, found.start(1)) + 1, "/" + found[1].strip("/"), (), end=line)
            for found in found_routes
        ]
        if variables or routes:
            yield Code(file, (), (), (), tuple(routes), variables, {}, uses_dynamodb=False, writes=False)
