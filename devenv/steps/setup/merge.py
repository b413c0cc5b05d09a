"""Changed seed rows -> a live database, three ways: what the files made last time, what they make now, what is there.

A column is written only when the files changed it and nobody else did. Rows that devenv did not write are never
touched; a row that the application deleted stays deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from devenv.steps.setup.rows import Row, TableId, Values, owned, read_rows, referenced, select_columns
from devenv.stores.postgres.catalog import Catalog, Table
from devenv.stores.postgres.client import Connection, execute, name, one
from devenv.stores.postgres.driver import sql

Key = tuple[str | None, ...]
SHOWN = 60
DELETED = "rows deleted after loading (not inserted again)"
ORPHANED = "rows not inserted (they refer to a deleted row)"


@dataclass
class Merge:
    """One merge at work. `records` collects what the files made, as it now stands in the database's own terms.

    `seeded` are the records of last time, by table. Rows come through `put` in the order of `order_rows`, then
    `remove_rest` deletes what the files no longer make.
    """

    connection: Connection
    wanted: Catalog
    live: Catalog
    seeded: Mapping[TableId, Sequence[Values]]
    records: dict[TableId, list[Values]] = field(default_factory=dict)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            [
                "rows inserted",
                "rows updated",
                "rows deleted",
                "values changed after loading (kept)",
                DELETED,
                ORPHANED,
            ],
            0,
        )
    )
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._indexes: dict[tuple[TableId, tuple[str, ...]], dict[Key, list[int]]] = {}
        self._matched: set[tuple[TableId, int]] = set()
        self._parents: dict[tuple[TableId, tuple[str, ...], Key], Key] = {}
        self._uuids: dict[str, str | None] = {}
        self._gone: set[tuple[TableId, tuple[str, ...], Key]] = set()
        self._referenced = referenced(self.wanted)
        self._present = {id: self._read_present(id) for id in self.seeded if self.live.table(id)}

    def put(self, row: Row) -> None:
        """Bring one row of the files into the database."""
        table = self._table(row.table)
        local = self._translate(table, row)
        number = self._match(table, local)
        if number is None:
            now = self._insert(table, local)
            if now is not None:
                self._learn(table, row, now)
            return
        self._matched.add((row.table, number))
        record = self.seeded[row.table][number]
        live = self._present[row.table].get(row_key(table, record))
        if live is None:
            self.counts[DELETED] += 1
            self._learn(table, row, record, gone=True)
            self._record(row.table, record)
        else:
            self._learn(table, row, self._update(table, local, record, live))

    def remove_rest(self) -> None:
        """Delete the rows that the files made last time and no longer do, unless somebody changed or needs them."""
        pending: list[tuple[Table, Values]] = []
        for id, records in self.seeded.items():
            table = self.live.table(id)
            for number, record in enumerate(records):
                live = self._present[id].get(row_key(table, record)) if table else None
                if (id, number) in self._matched or table is None or live is None:
                    continue
                if any(live.get(column, value) != value for column, value in record.items()):
                    self._keep(table, record, "it was changed")
                else:
                    pending.append((table, live))
        progress = True
        while pending and progress:
            left = [each for each in pending if not self._delete(*each)]
            progress = len(left) < len(pending)
            pending = left
        for table, live in pending:
            self._keep(table, live, "rows that devenv did not write refer to it")

    def _keep(self, table: Table, record: Values, why: str) -> None:
        self._record(table.id, record)
        self.warnings.append(f"{table.title} {title(table, record)} is no longer in the files, but is kept: {why}")

    def _table(self, id: TableId) -> Table:
        table = self.wanted.table(id)
        assert table is not None, id  # noqa: S101 - rows are read by this very catalog
        return table

    def _read_present(self, id: TableId) -> dict[Key, Values]:
        """The live rows that devenv recorded, by key. A table without a primary key is read as a whole."""
        table = self.live.table(id)
        records = self.seeded[id]
        if table is None or not records:
            return {}
        if not table.primary_key:
            return {row_key(table, values): values for values in read_rows(self.connection, table)}
        types = {column.name: column.type for column in table.columns}
        key = table.primary_key
        query = sql.SQL("SELECT {} FROM {} WHERE ({}) IN (SELECT {} FROM unnest({}) AS k({}))").format(
            select_columns(table),
            name(*id),
            sql.SQL(", ").join(name(column) for column in key),
            sql.SQL(", ").join(sql.SQL("{}::{}").format(name(column), sql.SQL(types[column])) for column in key),
            sql.SQL(", ").join(sql.SQL("%s::text[]") for _ in key),
            sql.SQL(", ").join(name(column) for column in key),
        )
        found = execute(self.connection, query, [[record.get(column) for record in records] for column in key])
        rows = [dict(zip(types, row, strict=True)) for row in found]
        return {row_key(table, values): values for values in rows}

    def _translate(self, table: Table, row: Row) -> Row:
        """The row with every reference to a parent's generated key replaced by that of the live parent."""
        values = dict(row.values)
        generated = set(row.generated)
        own = set(owned(self.wanted, row))
        for column in generated - own:
            found = self._uuids.get(str(values[column]))
            if found is not None:
                values[column] = found
                generated.discard(column)
        for each in table.constraints:
            if each.kind == "foreign" and each.parent:
                key = tuple(row.values[column] for column in each.columns)
                if (parent := self._parents.get((each.parent, each.parent_columns, key))) is not None:
                    values.update(zip(each.columns, parent, strict=True))
                    generated.difference_update(each.columns)
        return Row(row.table, values, frozenset(generated))

    def _match(self, table: Table, row: Row) -> int | None:
        """Which row of last time this one is: by a key that the files give, else by all that the files give."""
        records = self.seeded.get(row.table, ())
        known = frozenset(records[0]) if records else frozenset()
        given = tuple(sorted((known & row.values.keys()) - row.generated))
        keys = [key for key in table.keys if not row.generated & set(key) and known.issuperset(key)]
        keys = [key for key in keys if None not in [row.values[column] for column in key]]
        for columns in (*keys, given):
            index = self._index(row.table, columns)
            for number in index.get(tuple(row.values[column] for column in columns), ()):
                if (row.table, number) not in self._matched:
                    return number
        return None

    def _index(self, id: TableId, columns: tuple[str, ...]) -> dict[Key, list[int]]:
        if (id, columns) not in self._indexes:
            index: dict[Key, list[int]] = {}
            for number, record in enumerate(self.seeded.get(id, ())):
                index.setdefault(tuple(record.get(column) for column in columns), []).append(number)
            self._indexes[id, columns] = index
        return self._indexes[id, columns]

    def _learn(self, table: Table, row: Row, live: Values, gone: bool = False) -> None:
        """Remember what the keys of `row` (as the files made it) are in the database, for the rows that refer to it."""
        for columns in self._referenced.get(table.id, ()):
            key = tuple(row.values[column] for column in columns)
            self._parents[table.id, columns, key] = tuple(live[column] for column in columns)
            if gone:
                self._gone.add((table.id, columns, tuple(live[column] for column in columns)))
        for column in owned(self.wanted, row):
            self._uuids[str(row.values[column])] = live[column]

    def _record(self, id: TableId, values: Values) -> None:
        self.records.setdefault(id, []).append(values)

    def _update(self, table: Table, row: Row, record: Values, live: Values) -> Values:
        """Write what the files changed and nobody else did. The row as it is then."""
        changes: Values = {}
        given = [c.name for c in table.columns if c.name not in row.generated and not c.computed]
        for column in given:
            value, before = row.values[column], record.get(column, live[column])
            if value in (before, live[column]):
                continue
            if live[column] == before:
                changes[column] = value
            else:
                self.counts["values changed after loading (kept)"] += 1
        now = self._write_changes(table, live, changes) if changes else live
        # What a trigger made of our own change is ours too; what somebody else changed is not.
        kept = {c: now[c] if live[c] == record.get(c, live[c]) else record[c] for c in now}
        self._record(row.table, {**kept, **{c: row.values[c] for c in given}})
        return now

    def _write_changes(self, table: Table, live: Values, changes: Values) -> Values:
        where, parameters = find_row(table, live)
        query = sql.SQL("UPDATE {} SET {} WHERE {} RETURNING {}").format(
            name(*table.id),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(name(column)) for column in changes),
            where,
            select_columns(table),
        )
        self.counts["rows updated"] += 1
        return self._returned(table, query, [*changes.values(), *parameters])

    def _returned(self, table: Table, query: sql.Composable, parameters: Sequence[str | None]) -> Values:
        row = execute(self.connection, query, parameters).fetchone()
        return dict(zip([column.name for column in table.columns], row or (), strict=True))

    def _insert(self, table: Table, row: Row) -> Values | None:
        """Add a row that the files did not make last time, unless its key is taken or its parent was deleted.

        The row that now has its key; None when there is none.
        """
        if self._lacks_parent(table, row):
            self.counts[ORPHANED] += 1
            self.warnings.append(
                f"{table.title} {title(table, row.values)} is not inserted: the row that it refers to was deleted"
            )
            return None
        for key in table.keys:
            if not row.generated & set(key) and None not in [row.values[column] for column in key]:
                taken = self._find(table, {column: row.values[column] for column in key})
                if taken is not None:
                    self.warnings.append(
                        f"{table.title} {title(table, row.values, key)} already exists and was not written by devenv:"
                        " it is left unchanged"
                    )
                    return taken
        # A generated uuid or time may as well be the one of the scratch run; a sequence must give its own number.
        counted = {c.name for c in table.columns if c.made == "identity" or (c.default or "").startswith("nextval(")}
        columns = [
            c.name for c in table.columns if not c.computed and not (c.name in counted and c.name in row.generated)
        ]
        query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) RETURNING {}").format(
            name(*table.id),
            sql.SQL(", ").join(map(name, columns)),
            sql.SQL(", ").join(sql.SQL("%s") for _ in columns),
            select_columns(table),
        )
        if not columns:
            query = sql.SQL("INSERT INTO {} DEFAULT VALUES RETURNING {}").format(name(*table.id), select_columns(table))
        now = self._returned(table, query, [row.values[column] for column in columns])
        self.counts["rows inserted"] += 1
        self._record(row.table, now)
        return now

    def _lacks_parent(self, table: Table, row: Row) -> bool:
        return any(
            each.parent is not None
            and (each.parent, each.parent_columns, tuple(row.values[column] for column in each.columns)) in self._gone
            for each in table.constraints
        )

    def _find(self, table: Table, values: Mapping[str, str | None]) -> Values | None:
        query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
            select_columns(table),
            name(*table.id),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(name(column)) for column in values),
        )
        row = execute(self.connection, query, list(values.values())).fetchone()
        return dict(zip([column.name for column in table.columns], row, strict=True)) if row else None

    def _delete(self, table: Table, live: Values) -> bool:
        """Delete one row unless another row refers to it. A cascade would take rows that devenv did not write."""
        for child in self.live.tables:
            for each in child.constraints:
                if each.kind == "foreign" and each.parent == table.id:
                    key = dict(zip(each.columns, (live[column] for column in each.parent_columns), strict=True))
                    if None not in key.values() and self._find(child, key) is not None:
                        return False
        where, parameters = find_row(table, live)
        execute(self.connection, sql.SQL("DELETE FROM {} WHERE {}").format(name(*table.id), where), parameters)
        self.counts["rows deleted"] += 1
        return True


def row_key(table: Table, values: Values) -> Key:
    """Return what tells one row of `table` from another: the primary key, else all columns."""
    return tuple(values.get(column) for column in table.primary_key or [column.name for column in table.columns])


def find_row(table: Table, values: Values) -> tuple[sql.Composable, list[str | None]]:
    """A WHERE condition, with its parameters, for one row."""
    if table.primary_key:
        condition = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(name(column)) for column in table.primary_key)
        return condition, [values[column] for column in table.primary_key]
    same = sql.SQL(" AND ").join(
        sql.SQL("{}::text IS NOT DISTINCT FROM %s").format(name(column.name)) for column in table.columns
    )
    condition = sql.SQL("ctid = (SELECT ctid FROM {} WHERE {} LIMIT 1)").format(name(*table.id), same)
    return condition, [values[column.name] for column in table.columns]


def title(table: Table, values: Mapping[str, str | None], key: Iterable[str] = ()) -> str:
    """A row in a message, by its most telling key: `(handle=andrew)`."""
    natural = next((columns for columns in reversed(table.keys)), tuple(values)[:2])
    text = ", ".join(f"{column}={values.get(column)}" for column in key or natural)
    return f"({text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'})"


def read_seeded(connection: Connection) -> dict[TableId, list[Values]]:
    """The rows that the files made last time, as recorded in the database."""
    found: dict[TableId, list[Values]] = {}
    for schema, table, row in connection.execute('SELECT "schema", "table", "row" FROM devenv.seeded'):
        found.setdefault((schema, table), []).append(row)
    return found


def cut_records(seeded: Mapping[TableId, Sequence[Values]], live: Catalog) -> dict[TableId, list[Values]]:
    """The records without the tables and columns that somebody dropped: those are filled anew. Pure."""
    cut: dict[TableId, list[Values]] = {}
    for table in live.tables:
        names = {column.name for column in table.columns}
        cut[table.id] = [{c: record[c] for c in record if c in names} for record in seeded.get(table.id, ())]
    return cut


def write_seeded(connection: Connection, records: Mapping[TableId, Sequence[Values]]) -> None:
    """Replace the record of the rows that the files made."""
    connection.execute("DELETE FROM devenv.seeded")
    for (schema, table), rows in records.items():
        connection.execute(
            "INSERT INTO devenv.seeded SELECT %s, %s, row::jsonb FROM unnest(%s::text[]) AS row",
            [schema, table, [json.dumps(row) for row in rows]],
        )


def record_all(connection: Connection, table: Table) -> int:
    """Record every row of `table` as made by the files. The number of rows."""
    query = sql.SQL("INSERT INTO devenv.seeded SELECT %s, %s, {} FROM {}").format(row_json(table), name(*table.id))
    return execute(connection, query, [table.schema, table.name]).rowcount


def read_strangers(connection: Connection, catalog: Catalog) -> list[tuple[str, str]]:
    """(table, key as JSON) of every row that is not exactly as the files made it."""
    found: list[tuple[str, str]] = []
    for table in catalog.tables:
        query = sql.SQL(
            "SELECT {}::text FROM {} AS live WHERE NOT EXISTS (SELECT FROM devenv.seeded AS ours"
            ' WHERE ours."schema" = %s AND ours."table" = %s AND ours."row" = {})'
        ).format(row_json(table, table.primary_key), name(*table.id), row_json(table))
        found += [(table.title, row[0]) for row in execute(connection, query, [table.schema, table.name])]
    return found


def record_others(connection: Connection, catalog: Catalog, strangers: Sequence[tuple[str, str]]) -> None:
    """Record all rows but the strangers as made by the files: migrations have changed or added them.

    A stranger that the files made once, and somebody changed, keeps its record.
    """
    connection.execute(
        "DELETE FROM devenv.seeded AS ours WHERE NOT EXISTS"
        " (SELECT FROM unnest(%s::text[], %s::jsonb[]) AS s(title, key)"
        ' WHERE s.title = ours."schema" || \'.\' || ours."table" AND ours."row" @> s.key)',
        [[title for title, _ in strangers], [key for _, key in strangers]],
    )
    for table in catalog.tables:
        keys = [key for title, key in strangers if title == table.title]
        query = sql.SQL(
            "INSERT INTO devenv.seeded SELECT %s, %s, {0} FROM {1} AS live WHERE NOT EXISTS"
            " (SELECT FROM unnest(%s::jsonb[]) AS stranger WHERE {0} @> stranger)"
        ).format(row_json(table), name(*table.id))
        execute(connection, query, [table.schema, table.name, keys])


def count_strangers(connection: Connection, table: Table) -> int:
    """Return how many rows of `table` are not exactly as the files made them."""
    query = sql.SQL(
        "SELECT count(*) FROM {} AS live WHERE NOT EXISTS (SELECT FROM devenv.seeded AS ours"
        ' WHERE ours."schema" = %s AND ours."table" = %s AND ours."row" = {})'
    ).format(name(*table.id), row_json(table))
    row = execute(connection, query, [table.schema, table.name]).fetchone()
    return int(row[0]) if row else 0


def count_rows(connection: Connection, table: Table) -> int:
    """Return how many rows `table` has."""
    return int(one(connection, sql.SQL("SELECT count(*) FROM {}").format(name(*table.id))))


def row_json(table: Table, names: Sequence[str] = ()) -> sql.Composable:
    """An SQL expression: a row of `table` as {column: text or null}, of all columns or of the named ones."""
    shown = [column.name for column in table.columns if not names or column.name in names]
    return sql.SQL("jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[])").format(
        sql.SQL(", ").join(map(sql.Literal, shown)),
        sql.SQL(", ").join(sql.SQL("{}::text").format(name(column)) for column in shown),
    )
