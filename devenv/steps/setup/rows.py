"""The rows that SQL files make, found out by running them: in a scratch database, twice, without keeping anything.

A cell whose two values differ was *generated* (a random uuid, the time of day), and so is a number that came from a
sequence: such a value is the database's own, and a live row keeps the one it has. All other cells came from the
files. That needs no list of functions and no reading of SQL, and it works cell by cell: a uuid that one INSERT
gives and another leaves to its default is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.stores.postgres.catalog import Catalog, Table
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.driver import sql

Values = dict[str, str | None]
TableId = tuple[str, str]


class Row(Value, frozen=True, eq=False):
    """One row as text, column by column. `generated` are the columns whose values the files did not give."""

    table: TableId
    values: Values
    generated: frozenset[str]


def select_columns(table: Table) -> sql.Composable:
    """`"a"::text, "b"::text`: every column of `table` in its text form."""
    return sql.SQL(", ").join(sql.SQL("{}::text").format(name(column.name)) for column in table.columns)


def read_rows(connection: Connection, table: Table) -> list[Values]:
    """Every row of `table`, in the order in which a fresh table got them."""
    query = sql.SQL("SELECT {} FROM {} ORDER BY tableoid, ctid").format(select_columns(table), name(*table.id))
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]


SEQUENCES: Final = b"""
SELECT n.nspname, c.relname, a.attname, pg_sequence_last_value(s.seqrelid)
FROM pg_sequence s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE pg_sequence_last_value(s.seqrelid) IS NOT NULL
"""
Sequences = dict[tuple[TableId, str], int]


def read_sequences(connection: Connection) -> Sequences:
    """(table, column) -> the last number that the column's sequence gave out; never used ones are left out."""
    return {((schema, table), column): last for schema, table, column, last in connection.execute(SEQUENCES)}


def pair_runs(table: Table, first: list[Values], second: list[Values], sequences: Sequences) -> list[Row]:
    """The rows of the first run, each compared with the row of the second run in the same place. Pure."""
    if len(first) != len(second):
        raise DevenvError(
            f"the files create a different number of rows in {table.title} each time they run",
            detail=f"{number_of(len(first), 'row')} in one run, {len(second)} in the next",
            hint="devenv setup (rebuilds the database; all data in it is lost)",
        )
    counters = {column: last for (id, column), last in sequences.items() if id == table.id}
    rows = []
    for here, there in zip(first, second, strict=True):
        differ = {column for column, value in here.items() if there[column] != value}
        counted = {column for column, last in counters.items() if int(here[column] or last + 1) <= last}
        rows.append(Row(table.id, here, frozenset(differ | counted)))
    return rows


def order_rows(catalog: Catalog, rows: Iterable[Row]) -> list[Row]:
    """The rows, each behind the rows that it refers to. DevenvError when they refer to one another in a cycle. Pure.

    A row refers to another through a foreign key, or by holding, in any column, the generated uuid that is the
    other's key.
    """
    listed = list(rows)
    parents = index_parents(catalog, listed)
    owners = index_owners(catalog, listed)
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for number, row in enumerate(listed):
        sorter.add(number, *(found for found in find_parents(catalog, row, parents, owners) if found != number))
    try:
        return [listed[number] for number in sorter.static_order()]
    except CycleError as error:
        tables = dict.fromkeys(".".join(listed[number].table) for number in error.args[1])
        raise DevenvError(
            f"rows of {', '.join(tables)} refer to one another in a cycle, so they cannot be merged one by one",
            hint="devenv setup (rebuilds the database; all data in it is lost)",
        ) from None


Parents = dict[tuple[TableId, tuple[str, ...], tuple[str | None, ...]], int]


def index_parents(catalog: Catalog, rows: list[Row]) -> Parents:
    """(table, columns, values) -> row number, for all columns that some foreign key refers to."""
    wanted = referenced(catalog)
    return {
        (row.table, columns, tuple(row.values[column] for column in columns)): number
        for number, row in enumerate(rows)
        for columns in wanted.get(row.table, ())
    }


def index_owners(catalog: Catalog, rows: list[Row]) -> dict[str, int]:
    """Generated uuid -> number of the row whose key it is."""
    owners: dict[str, int] = {}
    for number, row in enumerate(rows):
        for column in owned(catalog, row):
            owners[str(row.values[column])] = number
    return owners


def owned(catalog: Catalog, row: Row) -> list[str]:
    """The columns in which the row holds a generated uuid that is its own key, and not that of a parent."""
    table = catalog.table(row.table)
    if table is None:
        return []
    foreign = {column for each in table.constraints if each.kind == "foreign" for column in each.columns}
    keys = {key[0] for key in table.keys if len(key) == 1} - foreign
    types = {column.name: column.type for column in table.columns}
    return [column for column in sorted(keys & row.generated) if types[column] == "uuid" and row.values[column]]


def find_parents(catalog: Catalog, row: Row, parents: Parents, owners: Mapping[str, int]) -> list[int]:
    """The numbers of the rows that `row` refers to."""
    table = catalog.table(row.table)
    found = []
    for each in table.constraints if table else ():
        if each.kind == "foreign" and each.parent:
            values = tuple(row.values[column] for column in each.columns)
            found.append(parents.get((each.parent, each.parent_columns, values)))
    found += [owners.get(str(row.values[column])) for column in row.generated]
    return [number for number in found if number is not None]


def referenced(catalog: Catalog) -> dict[TableId, set[tuple[str, ...]]]:
    """Table -> the column sets that foreign keys refer to."""
    found: dict[TableId, set[tuple[str, ...]]] = {}
    for table in catalog.tables:
        for each in table.constraints:
            if each.kind == "foreign" and each.parent:
                found.setdefault(each.parent, set()).add(each.parent_columns)
    return found
