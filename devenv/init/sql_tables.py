"""Reads from SQL files which tables, columns and rows they create, and what they need. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
# Statements that need what they name; and where they name it: behind these words, or as a function.
READERS: Final = re.compile(r"(?:CREATE|INSERT|SELECT|WITH|ALTER\s+TABLE|REFRESH)\b", re.IGNORECASE)
FROM_LIST: Final = re.compile(r"\bFROM\s+([^()]*?)(?=\b(?:WHERE|GROUP|ORDER|JOIN|LIMIT|UNION)\b|[()]|$)", re.IGNORECASE)
FIRST: Final = re.compile(rf"\s*(?:ONLY\s+)?(?:{NAME}\.)?({NAME})")
NEEDED: Final = re.compile(
    rf"\b(?:JOIN|INTO|UPDATE|LIKE|INHERITS\s*\(|PARTITION\s+OF|VIEW|LATERAL)\s+(?:{NAME}\.)?({NAME})"
    rf"|(?:{NAME}\.)?({NAME})\s*\(",
    re.IGNORECASE,
)
FUNCTION: Final = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)
IN_SQL: Final = re.compile(r"\bLANGUAGE\s+'?sql\b", re.IGNORECASE)
ATOMIC: Final = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)
UNCHECKED: Final = re.compile(r"\bSET\s+check_function_bodies\s*(?:=|TO)\s*'?(?:false|off)", re.IGNORECASE)
# What other files may need besides tables, the head of a function (before its body), and what a trigger calls.
MADE: Final = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+)?(?:RECURSIVE\s+)?(?:TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE"
    rf"|(?:MATERIALIZED\s+)?VIEW|SEQUENCE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:{NAME}\.)?({NAME})",
    re.IGNORECASE,
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


def with_references(found: Mapping[str, tuple[DeclaredTable, list[tuple[str, str]]]]) -> list[DeclaredTable]:
    """The tables of an ORM's classes, by class, each with its (column, class that it refers to) as tables.

    A class without columns is left out, and so is a reference to a class that is none of these.
    """
    names = {kind: table.name for kind, (table, _) in found.items()}
    return [
        replace(table, foreign=tuple((column, names[kind]) for column, kind in references if kind in names))
        for table, references in found.values()
        if table.columns
    ]


@dataclass(frozen=True)
class SqlFile:
    """One file. `problem`: why devenv cannot run it. `fills`: tables that it inserts into.

    `touches` are tables that it changes, or that a view of it reads. `makes` are its types, domains, functions, views
    and sequences, `uses` those that its columns, functions and triggers name. `reads`: names of objects that must be
    there for it, of which some may be its own, or no object's. `first`: it runs before the migrations.
    """

    name: str
    tables: tuple[DeclaredTable, ...]
    fills: tuple[str, ...]
    extensions: tuple[str, ...]
    problem: str | None = None
    touches: tuple[str, ...] = ()
    makes: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
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
    unchecked = UNCHECKED.search(plain) is not None
    reads = frozenset(bare(each) for statement in statements for each in read_names(statement, unchecked=unchecked))
    return SqlFile(name, tables, fills, tuple(map(bare, extensions)), problem, touches, makes, uses, reads)


def read_names(statement: str, *, unchecked: bool) -> Iterator[str]:
    """The names of tables, views and functions that must be there when a statement runs.

    Postgres checks the body of a function when it makes it only in LANGUAGE sql, and not if `unchecked`.
    """
    text = re.sub(r"--[^\n]*", "", statement[:LONGEST])
    if not READERS.match(text):
        return
    if FUNCTION.match(text):
        if unchecked or not (IN_SQL.search(text) or ATOMIC.search(text)):
            return
    else:
        text = re.sub(r"'[^']*'", "''", text)
    for clause in FROM_LIST.findall(text):
        yield from (found[1] for part in clause.split(",") if (found := FIRST.match(part)))
    for found in NEEDED.finditer(text):
        yield found[1] or found[2]


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


def show_sql(tables: Iterable[DeclaredTable], fills: Iterable[str]) -> str:
    """Return what an SQL file does, in words."""
    made = ", ".join(table.name for table in tables)
    loaded = ", ".join(fills)
    parts = [*([f"tables {made}"] if made else []), *([f"rows of {loaded}"] if loaded else [])]
    return " and ".join(parts) or "other objects, or changes of tables"
