"""`devenv db --tables` and `--describe TABLE`: the tables, columns, constraints and indexes of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from devenv.core.errors import Exit, StoreError, UsageError
from devenv.core.model import Report
from devenv.core.plural import number_of, size_words
from devenv.query.queries import START_HINT, rows_report
from devenv.stack import Stack
from devenv.stores.postgres.catalog import Table, read_catalog
from devenv.stores.postgres.client import Connection
from devenv.stores.postgres.reader import reading

# Larger tables are not counted: Postgres's own estimate, with a sign.
COUNTED_BYTES = 20_000_000
SIZES = b"""
SELECT n.nspname, c.relname, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm')
"""


def list_tables(stack: Stack) -> Report:
    """Every table with its rows, size and key."""
    with opened(stack) as connection:
        tables = read_catalog(connection).tables
        sizes = {(schema, name): (size, rows) for schema, name, size, rows in connection.execute(SIZES)}
        rows = []
        for table in sorted(tables, key=lambda each: (each.schema, each.name)):
            size, estimate = sizes.get((table.schema, table.name), (0, 0))
            number = count_rows(connection, table) if size <= COUNTED_BYTES else f"≈ {estimate}"
            shown = size_words(size)
            rows.append([shown_name(table), number, shown, ", ".join(key_of(table)), len(table.columns)])
    columns = ["table", "rows", "size", "key", "columns"]
    return rows_report(stack, "db", columns, rows, f"({number_of(len(rows), 'table')})")


def describe_table(stack: Stack, name: str) -> Report:
    """One table: columns, then constraints and indexes. UsageError with the names there are if it does not exist."""
    with opened(stack) as connection:
        tables = read_catalog(connection).tables
    found = [table for table in tables if name in (table.name, f"{table.schema}.{table.name}")]
    table = next((each for each in found if each.schema == "public"), found[0] if found else None)
    if table is None:
        known = ", ".join(sorted(map(shown_name, tables))[:20])
        raise UsageError(f"there is no table `{name}`", detail=f"tables: {known or 'none'}", hint="devenv db --tables")
    key = key_of(table)
    rows = [
        [
            column.name,
            column.type,
            "no" if column.not_null else "yes",
            column.default if column.made == "" else f"{column.made}: {column.default or 'sequence'}",
            "key" if column.name in key else references(table, column.name),
        ]
        for column in table.columns
    ]
    notes = [f"{each.kind}: {each.name} {each.definition}" for each in table.constraints]
    notes += [f"index: {each.definition}" for each in table.indexes]
    summary = f"table {shown_name(table)} ({number_of(len(rows), 'column')})"
    report = rows_report(stack, "db", ["column", "type", "null", "default", "key"], rows, summary)
    return replace(report, exit_code=Exit.DONE, body={**report.body, "details": notes})


def shown_name(table: Table) -> str:
    """A table's name, with its schema's unless that is `public`."""
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"


def key_of(table: Table) -> Sequence[str]:
    """The columns of the primary key."""
    return next((each.columns for each in table.constraints if each.kind == "primary"), ())


def references(table: Table, column: str) -> str:
    """The column of another table that a column refers to; empty if to none."""
    for each in table.constraints:
        if each.kind == "foreign" and column in each.columns and each.parent is not None:
            place = each.columns.index(column)
            schema, name = each.parent
            target = f"{name}.{each.parent_columns[place]}" if place < len(each.parent_columns) else name
            return f"→ {target}" if schema == "public" else f"→ {schema}.{target}"
    return ""


def count_rows(connection: Connection, table: Table) -> int:
    """The rows of one table."""
    from psycopg import sql

    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.name))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def opened(stack: Stack) -> Iterator[Connection]:
    """A connection to the project's database that cannot write; its errors get the next command."""
    target = stack.postgres()
    try:
        with reading(target, timeout_s=30) as connection:
            yield connection
    except StoreError as error:
        raise error.with_hint(START_HINT) from None
