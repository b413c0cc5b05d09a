"""Postgres on the Data page: tables, pages of rows by key, one row. All through the one reader, never a write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from devenv.core.errors import StoreError, UsageError
from devenv.core.plural import number_of
from devenv.stores.postgres.client import Connection, execute
from devenv.stores.postgres.client import name as quoted
from devenv.stores.postgres.reader import Asking, reading

if TYPE_CHECKING:
    from devenv.stack import Stack

PAGE: Final = 50
TABLES: Final = 60
# Characters of a value in a list, and of a value that is looked at alone.
CUT: Final = 300
LONG: Final = 200_000
# Above it a count is the planner's estimate, and what reads the whole table asks first.
LARGE: Final = 10_000
LIMIT_S: Final = 10.0

LIST: Final = """
SELECT n.nspname, c.relname, c.reltuples::bigint, c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'devenv')
  AND strpos(lower(n.nspname || '.' || c.relname), lower(%s)) > 0
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname LIMIT %s OFFSET %s
"""
COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, NULL),
  array_position(i.indkey::int2[], a.attnum), c.relkind::text,
  CASE WHEN c.reltuples < 0 AND pg_relation_size(c.oid) < 1000000 THEN 0 ELSE c.reltuples::bigint END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
PARENTS: Final = """
SELECT a.attname, pn.nspname, pc.relname, pa.attname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class pc ON pc.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
JOIN pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = k.confkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND n.nspname = %s AND c.relname = %s
"""
UNIQUE: Final = """
SELECT n.nspname, c.relname, a.attname
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.atttypid = 'uuid'::regtype
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'devenv')
ORDER BY n.nspname, c.relname LIMIT 60
"""


@dataclass(frozen=True)
class RowTable:
    """One table or view, for showing. `types` are those of its columns, `plain_types` the same without lengths.

    `key`: its primary key, else where a row lies (`ctid`), or () for a view. `parents`: column -> (schema, table,
    column) of a foreign key. `rows` is an estimate; None: not known.
    """

    schema: str
    name: str
    types: Mapping[str, str]
    plain_types: Mapping[str, str]
    key: tuple[str, ...]
    rows: int | None
    parents: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`public.users`."""
        return f"{self.schema}.{self.name}"

    @property
    def large(self) -> bool:
        """True if reading all of it is no small thing."""
        return self.rows is None or self.rows > LARGE


@dataclass(frozen=True)
class RowsSeen:
    """Rows as text (None: NULL; longer ones cut), each with its key's whole texts. `shown` is the statement for people.

    `plan`: what it amounts to. `after`: the key behind which the next page begins, None on the last one.
    """

    table: RowTable
    shown: str
    plan: str
    rows: Sequence[Mapping[str, str | None]]
    keys: Sequence[Mapping[str, str]]
    after: Sequence[str] | None = None


class NotAgreed(Exception):
    """A question that reads a whole table and was not run: `what` it amounts to."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@contextmanager
def opened_rows(stack: Stack) -> Iterator[tuple[Connection, Asking]]:
    """The project's database, for reading. StoreError when it does not run."""
    target = stack.postgres()
    with reading(target, autocommit=True) as connection:
        yield connection, Asking(connection, target, LIMIT_S)


def list_tables(connection: Connection, wanted: str, first: int) -> tuple[list[dict[str, Any]], bool]:
    """Tables whose name has `wanted` in it, from the `first` on, with their counts; and if there are more."""
    found = connection.execute(LIST.encode(), (wanted, TABLES + 1, first)).fetchall()
    tables = [
        {"table": f"{schema}.{name}", "kind": "view" if kind == "v" else "table", "rows": None, "about": False}
        for schema, name, _, kind in found[:TABLES]
    ]
    small = [n for n, (_, _, rows, kind) in enumerate(found[:TABLES]) if kind != "v" and rows <= LARGE]
    if small:
        counts = [
            sql.SQL("SELECT {}, (SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS each)").format(
                number, quoted(found[number][0], found[number][1]), LARGE + 1
            )
            for number in small
        ]
        for number, count in execute(connection, sql.SQL(" UNION ALL ").join(counts), ()).fetchall():
            tables[number] |= {"rows": count, "about": count > LARGE}
    for number, (_, _, rows, kind) in enumerate(found[:TABLES]):
        if number not in small and kind != "v":
            tables[number] |= {"rows": max(0, rows), "about": True}
    return tables, len(found) > TABLES


def describe_table(connection: Connection, title: str) -> RowTable:
    """The table of this name (`schema.table`). UsageError when there is none."""
    schema, _, name = title.partition(".")
    columns = connection.execute(COLUMNS.encode(), (schema, name)).fetchall()
    if not columns:
        raise UsageError(f"there is no table {title} in Postgres", hint="devenv status")
    placed = sorted((place, column) for column, _, _, place, _, _ in columns if place is not None)
    kind, rows = columns[0][4], columns[0][5]
    key = tuple(column for _, column in placed) or (("ctid",) if kind in ("r", "m") else ())
    parents = {row[0]: (row[1], row[2], row[3]) for row in connection.execute(PARENTS.encode(), (schema, name))}
    types = {column: text for column, text, _, _, _, _ in columns}
    plain = {column: text for column, _, text, _, _, _ in columns}
    return RowTable(schema, name, types, plain, key, None if rows < 0 or kind == "v" else rows, parents)


def page_of(
    asking: Asking, table: RowTable, where: str, after: Sequence[str], *, agreed: bool, only_plan: bool = False
) -> RowsSeen:
    """One page of a table, sorted by its key, narrowed by `where` (SQL of the user's).

    NotAgreed when it reads a large table as a whole and `agreed` is not given. `only_plan`: nothing is run.
    """
    order = [] if not table.key else [sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(map(quoted, table.key)))]
    conditions = [sql.SQL("({}) > ({})").format(names(table.key), values(table, table.key, after))] if after else []
    # On lines of its own: a comment in it ends there.
    given = [sql.SQL("(\n{}\n)").format(sql.SQL(where))] if where.strip() else []
    both = [*given, *conditions]
    tail = sql.Composed([*([sql.SQL(" WHERE "), sql.SQL(" AND ").join(both)] if both else []), *order])
    limit = sql.SQL(" LIMIT {}").format(sql.Literal(PAGE + 1))
    source = quoted(table.schema, table.name)
    statement = sql.SQL("SELECT {} FROM {}").format(columns_of(table, CUT), source) + tail + limit
    people = where.strip() and f" WHERE {' '.join(where.split())}"
    ordered = f" ORDER BY {', '.join(table.key)}" if table.key else ""
    shown = f"SELECT * FROM {table.title}{people}{ordered} LIMIT {PAGE}"  # noqa: S608 - for people
    plan, whole = plan_of(asking, statement.as_string(None), table) if where.strip() else (key_words(table), False)
    if whole and not agreed and not only_plan:
        raise NotAgreed(plan)
    if only_plan:
        return RowsSeen(table, shown, plan, (), ())
    answer = asking.ask(statement.as_string(None), as_text=True)
    rows, keys = split(table, answer.rows[:PAGE])
    more = len(answer.rows) > PAGE and bool(table.key)
    return RowsSeen(table, shown, plan, rows, keys, list(keys[-1].values()) if more else None)


def row_of(asking: Asking, table: RowTable, wanted: Mapping[str, str]) -> RowsSeen:
    """The rows (one, with a key) in which these columns have these texts, with whole values."""
    unknown = [column for column in wanted if column not in table.types and column != "ctid"]
    if unknown or not wanted:
        raise UsageError(f"{table.title} has no column `{'`, `'.join(unknown)}`" if unknown else "no column is given")
    conditions = [
        sql.SQL("{} = {}").format(quoted(column), value(table, column, text)) for column, text in wanted.items()
    ]
    statement = sql.SQL("SELECT {} FROM {} WHERE {} LIMIT 20").format(
        columns_of(table, LONG), quoted(table.schema, table.name), sql.SQL(" AND ").join(conditions)
    )
    text = " AND ".join(f"{column} = '{part}'" for column, part in wanted.items())
    shown = f"SELECT * FROM {table.title} WHERE {text}"  # noqa: S608 - for people
    try:
        answer = asking.ask(statement.as_string(None), as_text=True)
    except StoreError as error:
        # A text that the column cannot hold: there is no such row.
        if error.code is None or not error.code.startswith("22"):
            raise
        return RowsSeen(table, shown, "a row by its key", (), ())
    rows, keys = split(table, answer.rows)
    return RowsSeen(table, shown, "a row by its key", rows, keys)


def columns_of(table: RowTable, most: int) -> sql.Composed:
    """All columns as text, cut behind `most` characters, then the key's whole texts."""
    cut = [sql.SQL("left({}::text, {})").format(quoted(column), sql.Literal(most + 1)) for column in table.types]
    # Under names of their own: ORDER BY takes an answered column of the same name, and would sort it as text.
    keys = [
        sql.SQL("{}::text AS {}").format(quoted(column), quoted(f"devenv key {number}"))
        for number, column in enumerate(table.key)
    ]
    return sql.SQL(", ").join([*cut, *keys])


def split(table: RowTable, rows: Sequence[Sequence[Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Columns and keys of answered rows."""
    width = len(table.types)
    shown = [dict(zip(table.types, row[:width], strict=True)) for row in rows]
    return shown, [dict(zip(table.key, row[width:], strict=True)) for row in rows]


def names(columns: Sequence[str]) -> sql.Composed:
    """Quoted names, with commas."""
    return sql.SQL(", ").join(map(quoted, columns))


def values(table: RowTable, columns: Sequence[str], texts: Sequence[str]) -> sql.Composed:
    """Literals of these columns' types. UsageError for another number of them."""
    if len(columns) != len(texts):
        raise UsageError("this address does not have the key of the table")
    return sql.SQL(", ").join([value(table, column, text) for column, text in zip(columns, texts, strict=True)])


def value(table: RowTable, column: str, text: str) -> sql.Composed:
    """A literal of a column's type."""
    kind = "tid" if column == "ctid" else table.plain_types[column]
    # The type's name is the server's own.
    return sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(kind))


def key_words(table: RowTable) -> str:
    """How a page without a condition is read."""
    if not table.key:
        return "a view, in its own order"
    return "in the order of the primary key" if table.key != ("ctid",) else "no primary key: in the order of storage"


def plan_of(asking: Asking, statement: str, table: RowTable) -> tuple[str, bool]:
    """Postgres's plan for a statement, in words, and if that reads a large table as a whole."""
    answer = asking.ask(f"EXPLAIN (FORMAT JSON) {statement}")
    found = answer.rows[0][0]
    tree = json.loads(found) if isinstance(found, str) else found
    nodes = list(walk(tree[0]["Plan"]))
    scans = [node for node in nodes if "Relation Name" in node]
    words = []
    for node in scans:
        how = node["Node Type"]
        words.append(
            f"reads the whole table `{node['Relation Name']}`"
            if how == "Seq Scan"
            else f"{how} of `{node['Relation Name']}`"
            + (f" by index `{node['Index Name']}`" if "Index Name" in node else "")
        )
    whole = table.large and any(node["Node Type"] == "Seq Scan" for node in scans)
    size = f" (about {number_of(table.rows, 'row')})" if table.rows is not None and whole else ""
    return ("; ".join(dict.fromkeys(words)) or "reads no table") + size, whole


def walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan's nodes."""
    yield node
    for part in node.get("Plans", ()):
        yield from walk(part)


def find_uuid(connection: Connection, text: str) -> list[dict[str, str]]:
    """The rows that have this uuid in a unique column: `{table, column}`. Each is one look into an index."""
    places = connection.execute(UNIQUE.encode()).fetchall()
    if not places:
        return []
    each = [
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {} WHERE {} = {}::uuid)").format(
            sql.Literal(number), quoted(schema, table), quoted(column), sql.Literal(text)
        )
        for number, (schema, table, column) in enumerate(places)
    ]
    found = execute(connection, sql.SQL(" UNION ALL ").join(each), ()).fetchall()
    return [{"table": f"{places[n][0]}.{places[n][1]}", "column": places[n][2]} for (n,) in found]
