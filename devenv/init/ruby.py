"""Reads Ruby as text: tables of `create_table(table_name: …)`, variables, routes without parts, Rails. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from devenv.init.code import Code
from devenv.init.routes import Route
from devenv.init.source import Unclear
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable
from devenv.init.tables import Found, accept

SUFFIXES: Final = (".rb", ".rake", "Rakefile")
CREATES: Final = re.compile(r"\.create_table\s*\(?\s*(?=\{|table_name:|:table_name\b)")
TOKEN: Final = re.compile(
    r"\s+|#[^\n]*\n|(?P<text>\"[^\"#\\]*\"|'[^'\\]*')|(?P<key>[a-z_]\w*):(?!:)|:(?P<symbol>[a-z_]\w*)|(?P<number>\d[\d_]*)"
    r"|(?P<word>true|false|nil)\b|(?P<mark>=>|[{}\[\],)])"
)
VARIABLE: Final = re.compile(r"\bENV(?:\.fetch\(\s*|\[\s*)['\"](\w+)['\"]\s*(\]|,|\))")
ROUTE: Final = re.compile(r"^\s*get\s*\(?\s*['\"]([^'\":*]+)['\"]", re.MULTILINE)
WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "nil": None}
DEPTH: Final = 20
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


def read_ruby_tables(file: str, text: str) -> Iterator[Found]:
    """The tables that a file makes with a request that is spelt out."""
    for call in CREATES.finditer(text):
        tokens = list(scanned(text, call.end()))
        if tokens and tokens[0] != ("mark", "{"):
            tokens = [("mark", "{"), *tokens]
        try:
            request, _ = value_at(tokens, 0)
        except (Unclear, IndexError):
            continue
        if found := accept(file, text.count("\n", 0, call.start()) + 1, request):
            yield found


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


def scanned(text: str, at: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of the tokens from a place on, as far as they are those of values."""
    while found := TOKEN.match(text, at):
        at = found.end()
        if found.lastgroup is not None:
            yield found.lastgroup, found[found.lastgroup]
    yield "mark", ")"


def value_at(tokens: list[tuple[str, str]], at: int, depth: int = 0) -> tuple[Any, int]:
    """(value, place behind it), the keys of a hash as DynamoDB calls them. Unclear."""
    kind, text = tokens[at]
    if depth > DEPTH:
        raise Unclear
    if kind == "text":
        return text[1:-1], at + 1
    if kind == "number":
        return int(text.replace("_", "")), at + 1
    if kind == "word":
        return WORDS[text], at + 1
    if kind == "symbol":
        return text, at + 1
    if (kind, text) == ("mark", "["):
        items: list[Any] = []
        at += 1
        while tokens[at] != ("mark", "]"):
            item, at = value_at(tokens, at, depth + 1)
            items.append(item)
            at += tokens[at] == ("mark", ",")
        return items, at + 1
    if (kind, text) == ("mark", "{"):
        return hash_at(tokens, at + 1, depth)
    raise Unclear


def hash_at(tokens: list[tuple[str, str]], at: int, depth: int) -> tuple[dict[str, Any], int]:
    """The same of a hash, behind its brace; a call's own arguments end with its parenthesis."""
    found: dict[str, Any] = {}
    while tokens[at] not in (("mark", "}"), ("mark", ")")):
        kind, name = tokens[at]
        at += 1
        if kind in ("symbol", "text") and tokens[at] == ("mark", "=>"):
            at += 1
        elif kind != "key":
            raise Unclear
        found["".join(part.capitalize() for part in name.strip("'\"").split("_"))], at = value_at(tokens, at, depth + 1)
        at += tokens[at] == ("mark", ",")
    return found, at + 1


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
