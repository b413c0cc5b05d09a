"""Reads from SQL files which tables, columns and rows they create, and the order in which they can run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from devenv.core.errors import UsageError
from devenv.steps.setup.migrations import refuse_migration
from devenv.steps.setup.psql import split_statements
from devenv.steps.step import SourceFile, natural_key

NAME: Final = r'(?:"[^"]+"|\w+)'
TABLE: Final = re.compile(
    rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:(?P<schema>{NAME})\.)?(?P<table>{NAME})\s*\((?P<body>.*)\)",
    re.IGNORECASE | re.DOTALL,
)
BEHIND: Final = r"NOT|NULL|PRIMARY|UNIQUE|DEFAULT|REFERENCES|CHECK|GENERATED|COLLATE|CONSTRAINT"
COLUMN: Final = re.compile(
    rf"(?P<name>{NAME})\s+(?P<type>[A-Za-z_][\w ]*?)(?=\s*(?:\(|$)|\s+(?:{BEHIND})\b)", re.IGNORECASE
)
CONSTRAINT: Final = re.compile(r"(CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|CHECK|EXCLUDE|LIKE)\b", re.IGNORECASE)
REFERENCES: Final = re.compile(rf"REFERENCES\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
# A foreign key of one column, within its table's statement or behind it.
FOREIGN: Final = re.compile(rf"FOREIGN\s+KEY\s*\(\s*({NAME})\s*\)\s*REFERENCES\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
ALTERED: Final = re.compile(rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{NAME}\.)?({NAME})\s", re.IGNORECASE)
TARGET: Final = re.compile(rf"(?:INSERT\s+INTO|COPY(?=[^;]*?\sFROM\b))\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
# psql's own command, which is no statement.
COPIED: Final = re.compile(
    r"^[ \t]*\\copy\s+(?P<target>[^\n]+?)\s+from\s+(?:'(?P<quoted>(?:[^'\n]|'')+)'|(?P<plain>[^\s';]+))",
    re.IGNORECASE | re.MULTILINE,
)
PLACEHOLDER: Final = re.compile(r"%\(\w+\)s|%s|\{\w*\}|(?<!:):[A-Za-z_]\w*|\$\d")
# What a statement needs another file's table for.
TOUCHES: Final = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{NAME}\.)?({NAME})"
    rf"|CREATE\s+(?:UNIQUE\s+)?INDEX\b[^(;]*?\sON\s+(?:ONLY\s+)?(?:{NAME}\.)?({NAME})"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b[^(;]*?\sON\s+(?:{NAME}\.)?({NAME})"
    rf"|COMMENT\s+ON\s+(?:TABLE|COLUMN)\s+({NAME})"
    rf"|UPDATE\s+(?:ONLY\s+)?(?:{NAME}\.)?({NAME})",
    re.IGNORECASE,
)
GRANT: Final = re.compile(r"(?:GRANT|REVOKE)\s[^;]*?\sON\s+(?:TABLE\s+)?([\w\".,\s]+?)\s+(?:TO|FROM)\s", re.IGNORECASE)
# A key that stands behind its table's own statement, as in what pg_dump writes.
KEYED: Final = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{NAME}\.)?(?P<table>{NAME})\s+ADD\s+"
    rf"(?:CONSTRAINT\s+{NAME}\s+)?(?P<kind>PRIMARY\s+KEY|UNIQUE)\s*\(\s*(?P<column>{NAME})\s*\)"
    rf"|CREATE\s+UNIQUE\s+INDEX\b[^(;]*?\sON\s+(?:ONLY\s+)?(?:{NAME}\.)?(?P<on>{NAME})\s*(?:USING\s+\w+\s*)?"
    rf"\(\s*(?P<one>{NAME})\s*\)\s*$",
    re.IGNORECASE,
)
VIEW: Final = re.compile(r"CREATE\s+(OR\s+REPLACE\s+)?(MATERIALIZED\s+)?VIEW\b", re.IGNORECASE)
FROM: Final = re.compile(rf"\b(?:FROM|JOIN)\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
# What other files may need besides tables, the head of a function (before its body), and what a trigger calls.
MADE: Final = re.compile(
    rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TYPE|DOMAIN|FUNCTION|PROCEDURE)\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE
)
HEAD: Final = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE|DOMAIN|TYPE)\s+(.*?)(?:\bAS\s+(?:'|\$)|\bBEGIN\b|$)",
    re.IGNORECASE | re.DOTALL,
)
EXECUTES: Final = re.compile(rf"\bEXECUTE\s+(?:FUNCTION|PROCEDURE)\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
# The first words of statements that make something, or load it.
MAKERS: Final = frozenset(("CREATE", "ALTER", "INSERT", "COPY", "GRANT", "REVOKE", "COMMENT", "DO", "SECURITY"))
SEED: Final = re.compile(r"\bseeds?\b", re.IGNORECASE)
TESTS: Final = frozenset(("test", "tests", "spec", "specs", "__tests__", "fixtures", "testdata"))
LONGEST: Final = 20_000


@dataclass(frozen=True)
class DeclaredColumn:
    """One column: `unique` also for a primary key."""

    name: str
    type: str
    unique: bool = False
    primary: bool = False


@dataclass(frozen=True)
class DeclaredTable:
    """One declared table. `foreign`: column -> table that it refers to, in pairs."""

    schema: str
    name: str
    columns: tuple[DeclaredColumn, ...]
    references: tuple[str, ...] = ()
    foreign: tuple[tuple[str, str], ...] = ()

    def column(self, name: str) -> DeclaredColumn | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class SqlFile:
    """One file. `problem`: why devenv cannot run it. `fills`: tables that it inserts into.

    `touches` are tables that it changes, or that a view of it reads. `makes` are its types, domains and functions,
    `uses` those that its columns, functions and triggers name. `first`: it runs before the migrations.
    """

    name: str
    tables: tuple[DeclaredTable, ...]
    fills: tuple[str, ...]
    extensions: tuple[str, ...]
    problem: str | None = None
    touches: tuple[str, ...] = ()
    makes: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    first: bool = False


def is_test(name: str) -> bool:
    """Return True for a file in a folder of tests; one that is called a seed, such as `testdata/seed/`, loads data."""
    folders = name.lower().split("/")[:-1]
    return bool(TESTS & set(folders)) and not any(SEED.search(part) for part in (*folders, name.rpartition("/")[2]))


def read_sql(name: str, text: str) -> SqlFile | str:
    """A file that makes or loads something; or why it is not one."""
    if is_test(name):
        return "it is in a folder of tests"
    try:
        refuse_migration(SourceFile(name, text))
        statements = [statement.text for statement in split_statements(text, name)]
        problem = None
    except UsageError as error:
        statements, problem = [part.strip() for part in text.split(";")], error.what
    statements += [f"COPY {found['target']} FROM file" for found in COPIED.finditer(text)]
    tables = with_keys([table for each in statements if (table := read_table(each))], statements)
    fills = tuple(dict.fromkeys(bare(found[1]) for each in statements if (found := TARGET.match(each))))
    first = {each.split(None, 1)[0].upper() for each in statements if each}
    if not first:
        return "it has no statement"
    if not first & MAKERS:
        return "it only reads" if first <= {"SELECT", "WITH", "EXPLAIN", "VALUES", "TABLE"} else "it creates nothing"
    if not tables and any(is_filled_in(each) for each in statements):
        return "a program fills in its values"
    touches = tuple(dict.fromkeys(bare(table) for each in statements for table in touched(each)))
    plain = re.sub(r"--[^\n]*", "", text)
    extensions = re.findall(rf"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})", plain, re.IGNORECASE)
    makes = frozenset(bare(found[1]) for each in statements if (found := MADE.match(each)))
    named = (word for each in statements if (found := HEAD.match(each)) for word in re.findall(NAME, found[1]))
    called = (found[1] for each in statements if (found := EXECUTES.search(each)) and each[:6].upper() == "CREATE")
    types = (column.type for table in tables for column in table.columns)
    uses = frozenset((*map(bare, named), *map(bare, called), *types)) - makes
    return SqlFile(name, tables, fills, tuple(map(bare, extensions)), problem, touches, makes, uses)


def with_keys(tables: Iterable[DeclaredTable], statements: Sequence[str]) -> tuple[DeclaredTable, ...]:
    """The tables with the primary, unique and foreign keys that other statements of the file add."""
    added: dict[str, list[tuple[str, str]]] = {}
    for each in statements:
        if altered := ALTERED.match(each):
            pairs = [(bare(column), bare(table)) for column, table in FOREIGN.findall(each)]
            added.setdefault(bare(altered[1]), []).extend(pairs)
    unique: set[tuple[str, str]] = set()
    primary: set[tuple[str, str]] = set()
    for found in filter(None, (KEYED.match(" ".join(each[:LONGEST].split())) for each in statements)):
        key = (bare(found["table"] or found["on"]), bare(found["column"] or found["one"]))
        unique.add(key)
        if (found["kind"] or "").upper().startswith("PRIMARY"):
            primary.add(key)
    return tuple(
        replace(
            table,
            columns=tuple(
                replace(c, unique=c.unique or (table.name, c.name) in unique, primary=c.primary or at in primary)
                for c in table.columns
                for at in [(table.name, c.name)]
            ),
            foreign=(*table.foreign, *added.get(table.name, ())),
        )
        for table in tables
    )


def is_filled_in(statement: str) -> bool:
    """Return True if a program fills in a statement's values: one that loads rows has places for them."""
    return bool(
        re.match(r"(INSERT|UPDATE|DELETE|SELECT|WITH)\b", statement, re.IGNORECASE)
        and PLACEHOLDER.search(without_texts(statement))
    )


def touched(statement: str) -> list[str]:
    """The tables that a statement changes, or that a view reads."""
    text = re.sub(r"--[^\n]*", "", statement[:LONGEST])
    if VIEW.match(text):
        return FROM.findall(text)
    if granted := GRANT.match(text):
        return [name.strip().rpartition(".")[2] for name in granted[1].split(",")]
    found = TOUCHES.match(text)
    return [name for name in found.groups() if name] if found else []


def without_texts(statement: str) -> str:
    """A statement without its quoted texts and casts."""
    return re.sub(r"'[^']*'|::\w+", "", statement)


def bare(name: str) -> str:
    """A name without its quotes; unquoted ones are lower case, as in Postgres."""
    return name[1:-1] if name.startswith('"') else name.lower()


def read_table(statement: str) -> DeclaredTable | None:
    found = TABLE.match(re.sub(r"--[^\n]*", "", statement))
    if not found:
        return None
    columns: list[DeclaredColumn] = []
    together: set[str] = set()
    keys: set[str] = set()
    foreign: list[tuple[str, str]] = []
    for part in split_commas(found["body"]):
        if CONSTRAINT.match(part):
            foreign += [(bare(column), bare(table)) for column, table in FOREIGN.findall(part)]
            alone = re.search(rf"(PRIMARY\s+KEY|UNIQUE)\s*\(\s*({NAME})\s*\)", part, re.IGNORECASE)
            together |= {bare(alone[2])} if alone else set()
            keys |= {bare(alone[2])} if alone and alone[1].upper().startswith("PRIMARY") else set()
        elif column := COLUMN.match(part):
            primary = bool(re.search(r"\bPRIMARY\s+KEY\b", part, re.IGNORECASE))
            unique = primary or bool(re.search(r"\bUNIQUE\b", part, re.IGNORECASE))
            columns.append(DeclaredColumn(bare(column["name"]), column["type"].strip().lower(), unique, primary))
            foreign += [(columns[-1].name, bare(table)) for table in REFERENCES.findall(part)]
    marked = [
        DeclaredColumn(c.name, c.type, c.unique or c.name in together, c.primary or c.name in keys) for c in columns
    ]
    references = tuple(bare(name) for name in REFERENCES.findall(found["body"]))
    schema, name = bare(found["schema"] or "public"), bare(found["table"])
    return DeclaredTable(schema, name, tuple(marked), references, tuple(foreign))


def split_commas(body: str) -> list[str]:
    """The parts between the commas that stand in no parentheses and no quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for at, character in enumerate(body):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            parts.append(body[begin:at])
            begin = at + 1
    # Runs of blanks would make matching slow, and mean nothing.
    return [" ".join(part.split()) for part in [*parts, body[begin:]]]


def order_files(files: Iterable[SqlFile]) -> list[SqlFile]:
    """The files in an order in which every table is there when it is referred to or filled.

    Names in order (`01_…`, `02_…`) are the project's own answer, where it works.
    """
    files = sorted(files, key=lambda file: natural_key(file.name))
    if in_order(files):
        return files
    waiting = sorted(files, key=lambda file: bool(file.fills or file.touches) and not file.tables)
    declared = {table.name for file in waiting for table in file.tables}
    done: list[SqlFile] = []
    there: set[str] = set()
    while waiting:
        others = {file.name: {name for each in waiting if each is not file for name in each.makes} for file in waiting}
        free = [file for file in waiting if not file.uses & others[file.name]] or waiting
        ready = next((file for file in free if needed(file) & declared <= there), free[0])
        waiting.remove(ready)
        done.append(ready)
        there |= {table.name for table in ready.tables}
    # What fills a table stands behind everything that declares one, or changes it.
    makes = [f for f in done if f.tables or not f.fills]
    return makes + order_fills([f for f in done if f not in makes], done)


def in_order(files: Sequence[SqlFile]) -> bool:
    """Return True if each table that a file needs is declared by it or by one before it."""
    declared = {table.name for file in files for table in file.tables}
    there: set[str] = set()
    for at, file in enumerate(files):
        if file.uses & {name for later in files[at + 1 :] for name in later.makes}:
            return False
        there |= {table.name for table in file.tables}
        if not (needed(file) | set(file.fills)) & declared <= there:
            return False
    return True


def needed(file: SqlFile) -> set[str]:
    """The tables of other files that a file needs before it can run; those that it fills aside."""
    own = {table.name for table in file.tables}
    return ({name for table in file.tables for name in table.references} | set(file.touches)) - own


def order_fills(files: Sequence[SqlFile], every: Sequence[SqlFile]) -> list[SqlFile]:
    """Files that only load rows, so that tables which are referred to are filled first."""
    order = [table.name for file in every for table in file.tables]
    return sorted(files, key=lambda file: max((order.index(n) for n in file.fills if n in order), default=len(order)))


def show_sql(tables: Iterable[DeclaredTable], fills: Iterable[str]) -> str:
    """Return what an SQL file does, in words."""
    made = ", ".join(table.name for table in tables)
    loaded = ", ".join(fills)
    parts = [*([f"tables {made}"] if made else []), *([f"rows of {loaded}"] if loaded else [])]
    return " and ".join(parts) or "other objects, or changes of tables"
