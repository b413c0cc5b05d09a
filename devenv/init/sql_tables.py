"""What SQL files declare and load: their tables and columns, and the order in which they can run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.core.errors import UsageError
from devenv.steps.setup.migrations import refuse_migration
from devenv.steps.setup.psql import split_statements
from devenv.steps.step import SourceFile

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
TARGET: Final = re.compile(rf"INSERT\s+INTO\s+(?:{NAME}\.)?({NAME})", re.IGNORECASE)
PLACEHOLDER: Final = re.compile(r"%\(\w+\)s|%s|\{\w*\}|(?<!:):[A-Za-z_]\w*")


@dataclass(frozen=True)
class DeclaredColumn:
    """One column: `unique` also for a primary key."""

    name: str
    type: str
    unique: bool = False
    primary: bool = False


@dataclass(frozen=True)
class DeclaredTable:
    """One declared table."""

    schema: str
    name: str
    columns: tuple[DeclaredColumn, ...]
    references: tuple[str, ...] = ()

    def column(self, name: str) -> DeclaredColumn | None:
        """The column of this name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class SqlFile:
    """One file. `problem`: why devenv cannot run it. `fills`: tables that it inserts into."""

    name: str
    tables: tuple[DeclaredTable, ...]
    fills: tuple[str, ...]
    extensions: tuple[str, ...]
    problem: str | None = None


def read_sql(name: str, text: str) -> SqlFile | None:
    """A file that declares or loads something; None for queries, and for texts that a program fills in."""
    try:
        refuse_migration(SourceFile(name, text))
        statements = [statement.text for statement in split_statements(text, name)]
        problem = None
    except UsageError as error:
        statements, problem = [part.strip() for part in text.split(";")], error.what
    tables = tuple(table for each in statements if (table := read_table(each)))
    fills = tuple(dict.fromkeys(bare(found[1]) for each in statements if (found := TARGET.match(each))))
    if not tables and not fills:
        return None
    if any(PLACEHOLDER.search(without_texts(each)) for each in statements) and not tables:
        return None
    extensions = re.findall(rf"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})", text, re.IGNORECASE)
    return SqlFile(name, tables, fills, tuple(map(bare, extensions)), problem)


def without_texts(statement: str) -> str:
    """A statement without its quoted texts and casts."""
    return re.sub(r"'[^']*'|::\w+", "", statement)


def bare(name: str) -> str:
    """A name without its quotes; unquoted ones are lower case, as in Postgres."""
    return name[1:-1] if name.startswith('"') else name.lower()


def read_table(statement: str) -> DeclaredTable | None:
    """The table of a CREATE TABLE."""
    found = TABLE.match(re.sub(r"--[^\n]*", "", statement))
    if not found:
        return None
    columns: list[DeclaredColumn] = []
    together: set[str] = set()
    for part in split_commas(found["body"]):
        if CONSTRAINT.match(part):
            alone = re.search(rf"(PRIMARY\s+KEY|UNIQUE)\s*\(\s*({NAME})\s*\)", part, re.IGNORECASE)
            together |= {bare(alone[2])} if alone else set()
        elif column := COLUMN.match(part):
            primary = bool(re.search(r"\bPRIMARY\s+KEY\b", part, re.IGNORECASE))
            unique = primary or bool(re.search(r"\bUNIQUE\b", part, re.IGNORECASE))
            columns.append(DeclaredColumn(bare(column["name"]), column["type"].strip().lower(), unique, primary))
    marked = [DeclaredColumn(c.name, c.type, c.unique or c.name in together, c.primary) for c in columns]
    references = tuple(bare(name) for name in REFERENCES.findall(found["body"]))
    return DeclaredTable(bare(found["schema"] or "public"), bare(found["table"]), tuple(marked), references)


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
    """The files in an order in which every table is there when it is referred to or filled; else by name."""
    waiting = sorted(files, key=lambda file: (not file.tables, file.name))
    declared = {table.name for file in waiting for table in file.tables}
    done: list[SqlFile] = []
    there: set[str] = set()
    while waiting:
        ready = next((file for file in waiting if needed(file) & declared <= there), waiting[0])
        waiting.remove(ready)
        done.append(ready)
        there |= {table.name for table in ready.tables}
    # What fills a table stands behind everything that declares one.
    return [f for f in done if f.tables] + order_fills([f for f in done if not f.tables], done)


def needed(file: SqlFile) -> set[str]:
    """The tables of other files that a file needs."""
    own = {table.name for table in file.tables}
    return {name for table in file.tables for name in table.references} - own


def order_fills(files: Sequence[SqlFile], every: Sequence[SqlFile]) -> list[SqlFile]:
    """Files that only load rows, so that tables which are referred to are filled first."""
    order = [table.name for file in every for table in file.tables]
    return sorted(files, key=lambda file: max((order.index(n) for n in file.fills if n in order), default=len(order)))
