"""Rows found by values of their columns: for links, and for orphans whose row has another id now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from devenv.links.judge import LinkJudgement
from devenv.links.recreated import Probe, find_recreated, with_recreated
from devenv.links.renamed import Place, Renamed, other_keys
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Catalog
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.driver import sql


def look_up(connection: Connection, judgement: LinkJudgement, probes: Iterable[Probe]) -> LinkJudgement:
    """The judgement in which each orphan names the row that a unique value on its item leads to.

    One query by unique indexes per link with orphans. StoreError.
    """
    found = {}
    for probe in probes:
        columns = tuple(dict.fromkeys([probe.edge.column, *probe.columns]))
        found.update(find_recreated(probe, read_matching(connection, probe.edge.relation, columns, probe.values())))
    return with_recreated(judgement, found) if found else judgement


def read_matching(
    connection: Connection, relation: tuple[str, str], columns: Sequence[str], wanted: Mapping[str, set[str]]
) -> list[dict[str, Any]]:
    """The rows in which one of these columns has one of these texts. Texts that a column cannot hold find nothing."""
    types = {row[0]: row[1] for row in connection.execute(TYPES, relation).fetchall()}
    conditions, values = [], []
    for column, texts in wanted.items():
        kind = types.get(column, "text")
        if fitting := fit(kind, texts):
            cast = sql.SQL("{} = ANY(%s::{}[])") if kind in FITS else sql.SQL("{}::text = ANY(%s::{}[])")
            conditions.append(cast.format(name(column), sql.SQL(kind if kind in FITS else "text")))
            values.append(fitting)
    if not conditions:
        return []
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(map(name, columns)), name(*relation), sql.SQL(" OR ").join(conditions)
    )
    return [dict(zip(columns, row, strict=True)) for row in postgres.execute(connection, query, values).fetchall()]


def look_up_renamed(
    connection: Connection, catalog: Catalog, lost: Mapping[Place, Mapping[str, Mapping[str, Any]]]
) -> dict[Place, dict[str, Renamed]]:
    """Those of the loaded rows (by place and id) that are there under another value of the place's column.

    One query by unique indexes per place. StoreError, also where a column has another type since.
    """
    found: dict[Place, dict[str, Renamed]] = {}
    for (relation, column), rows in lost.items():
        table = catalog.table(relation)
        tried = [(id, key) for id, row in rows.items() for key in (other_keys(table, column, row) if table else ())]
        selects = [
            sql.SQL("SELECT {}::int, ctid::text, {}::text FROM {} WHERE {}").format(
                sql.Literal(number),
                name(column),
                name(*relation),
                sql.SQL(" AND ").join(sql.SQL("{} = {}").format(name(k), sql.Literal(text)) for k, text in key.items()),
            )
            for number, (_, key) in enumerate(tried)
        ]
        if not selects:
            continue
        hits: dict[str, dict[str, tuple[str | None, Mapping[str, str]]]] = {}
        for number, place, new in connection.execute(sql.SQL(" UNION ALL ").join(selects)).fetchall():
            id, key = tried[number]
            hits.setdefault(id, {}).setdefault(place, (new, key))
        for id, places in hits.items():
            new, same = next(iter(places.values()))
            old = str(rows[id][column])
            one = Renamed(relation, column, old, new, same if len(places) == 1 else {})
            found.setdefault((relation, column), {})[id] = one
    return found


TYPES: Final = """
SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""
# Types that are compared as themselves, so that an index serves: what a text must look like for them.
FITS: Final[Mapping[str, str]] = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "bigint": r"-?\d{1,18}",
    "integer": r"-?\d{1,9}",
    "smallint": r"-?\d{1,4}",
    "text": r"[^\0]*",
    "character varying": r"[^\0]*",
}


def fit(kind: str, texts: Iterable[str]) -> list[str]:
    """The texts that a column of this type can hold."""
    pattern = re.compile(FITS.get(kind, FITS["text"]), re.DOTALL)
    return sorted(text for text in texts if pattern.fullmatch(text))
