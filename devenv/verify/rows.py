"""Postgres read by binary COPY in one snapshot: the side that ids in items are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from zlib import crc32

from devenv.core.errors import StoreError
from devenv.core.late import late
from devenv.core.model import PostgresTarget
from devenv.core.plural import number_of
from devenv.links.judge import Edge, ReadPlan
from devenv.links.matching import read_matching
from devenv.links.values import canonical, inner_id, instant, number_text
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Catalog
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.driver import sql
from devenv.stores.postgres.reader import reading
from devenv.verify.candidate_filter import BOOLEAN, NUMBER, PLAIN, TIME, copies_digest, link_channel, pairs_of
from devenv.verify.run import ROWS, Run
from devenv.verify.spill import Spill, digest, key_of

NUMBERS: Final = late(r"smallint|integer|bigint|numeric.*|real|double precision")


@contextmanager
def snapshot(target: PostgresTarget) -> Iterator[Connection]:
    """A connection that sees one moment. PostgresError."""
    with reading(target) as connection, postgres.translated(target.address):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield connection


def column_classes(plan: ReadPlan, catalog: Catalog) -> dict[tuple[str, str, str], str]:
    """Return how the values of every linked column are written. StoreError for a table or column that is not there."""
    found: dict[tuple[str, str, str], str] = {}
    for relation, columns in plan.relations.items():
        table = catalog.table(relation)
        types = {column.name: column.type for column in table.columns} if table else {}
        for column in columns:
            if column not in types:
                what = f"table {'.'.join(relation)}" + (f" has no column `{column}`" if table else " does not exist")
                raise StoreError(f"the linked {what}", code="42703" if table else "42P01")
            found[*relation, column] = class_of(types[column])
    return found


def class_of(type_name: str) -> str:
    """The class of a column's type, as `format_type` names it."""
    if type_name == "uuid":
        return "uuid"
    if NUMBERS.fullmatch(type_name):
        return NUMBER
    if type_name.startswith("timestamp"):
        return TIME
    return BOOLEAN if type_name == "boolean" else PLAIN


def read_rows(run: Run, connection: Connection, masks: Mapping[str, Iterable[int]]) -> dict[str, Any]:
    """Records of every linked row into the sealed spill `rows`; its facts: the number of rows for each link.

    For a plan also a fingerprint of them.
    `masks`: which copies items have, so that the same ones are digested. StoreError when the rows are not as many as
    Postgres counts in the same snapshot.
    """
    spill = Spill(run.folder, ROWS, run.partitions)
    facts: dict[str, Any] = {}
    for number, edge in enumerate(run.links().edges):
        channel = link_channel(number)
        parts = spill.parts(channel)
        wanted = tuple(masks.get(channel, ()))
        total, read = 0, 0
        for key, texts in read_edge(connection, edge, run.classes):
            place = parts[crc32(key) % run.partitions]
            place += [key + copies_digest(mask, texts) + bytes(4) for mask in wanted]
            spill.added(len(wanted))
            read += 1
            if run.plan:
                total += fingerprint_part(key, texts)
        counted = count_rows(connection, edge)
        if counted != read:
            raise StoreError(
                f"Postgres counts {number_of(counted, 'row')} of {edge.target} and sent {read}", reached=False
            )
        facts[channel] = {"target": edge.target, "rows": read, "fingerprint": f"{total % (1 << 64):016x}"}
    spill.seal(facts)
    return facts


def read_edge(
    connection: Connection, edge: Edge, classes: Mapping[str, str]
) -> Iterator[tuple[bytes, tuple[str | None, ...]]]:
    """(the id as 16 bytes, the copied columns as text) of every row that a link can lead to."""
    columns = [edge.column, *(column for _, column in pairs_of(edge))]
    kinds = [classes[".".join((*edge.relation, column))] for column in columns]
    is_uuid = kinds[0] == "uuid"
    first = sql.SQL("uuid_send({})" if is_uuid else "{}::text").format(name(edge.column))
    others = [sql.SQL("{}::text").format(name(column)) for column in columns[1:]]
    query = sql.SQL("COPY (SELECT {} FROM {} WHERE {} IS NOT NULL) TO STDOUT (FORMAT BINARY)").format(
        sql.SQL(", ").join([first, *others]), name(*edge.relation), name(edge.column)
    )
    with connection.cursor().copy(query) as copy:
        copy.set_types(["bytea" if is_uuid else "text", *["text"] * len(others)])
        for identifier, *texts in copy.rows():
            key = identifier if is_uuid else key_of(number_text(identifier) if kinds[0] == NUMBER else identifier)
            yield key, tuple(map(column_text, texts, kinds[1:]))


def column_text(text: str | None, kind: str) -> str | None:
    """A value's text, written as the sieve writes items' texts for this class."""
    if text is None or kind in (PLAIN, "uuid", BOOLEAN):
        return text
    if kind == NUMBER:
        return number_text(text)
    moment = instant(text)
    return canonical(moment) if moment is not None else text


def fingerprint_part(key: bytes, texts: Sequence[str | None]) -> int:
    """Return what one row adds to its table's fingerprint: a sum, as XOR would cancel rows that occur twice."""
    return int.from_bytes(digest([key.hex(), *texts]), "big")


def count_rows(connection: Connection, edge: Edge) -> int:
    """The rows that a link can lead to, as Postgres counts them."""
    query = sql.SQL("SELECT count({}) FROM {}").format(name(edge.column), name(*edge.relation))
    return int(postgres.one(connection, query))


def fingerprints(connection: Connection, plan: ReadPlan, classes: Mapping[str, str]) -> dict[str, str]:
    """Each link's fingerprint of the rows that it can lead to."""
    return {
        link_channel(
            number
        ): f"{sum(fingerprint_part(*row) for row in read_edge(connection, edge, classes)) % (1 << 64):016x}"
        for number, edge in enumerate(plan.edges)
    }


def find_rows(
    connection: Connection, plan: ReadPlan, items: Mapping[str, Sequence[Any]]
) -> dict[Any, list[dict[str, Any]]]:
    """The rows that these items may mean, by id or by natural key: (schema, table) -> rows, for `links.judge`."""
    wanted: dict[tuple[str, str], dict[str, set[str]]] = {relation: {} for relation in plan.relations}
    for edge in plan.edges:
        columns = wanted[edge.relation]
        for item in items.get(edge.table, ()):
            texts = edge.ids(item)
            inside = filter(None, map(inner_id, texts))
            columns.setdefault(edge.column, set()).update([*map(canonical, texts), *inside])
            for attribute, column in edge.natural:
                text = item.get(attribute, {}).get("S") or item.get(attribute, {}).get("N")
                if text is not None:
                    columns.setdefault(column, set()).add(text)
    return {
        relation: read_matching(connection, relation, plan.relations[relation], columns)
        for relation, columns in wanted.items()
    }
