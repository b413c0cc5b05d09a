"""Links that the data suggests: uuids in items that are the key of a row. Shown where no link is declared.

A uuid that is a row's key is no coincidence; numbers and words are, so they suggest nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from devenv.links.packed import Item
from devenv.links.values import CANONICAL_UUID, scalar_text

if TYPE_CHECKING:
    from devenv.core.model import PostgresTarget
    from devenv.stores.postgres.catalog import Catalog

# A few items of each kind are enough to see which attributes hold ids.
SAMPLE: Final = 2_000
IDS: Final = 200
TABLES: Final = 50
ANSWER_S: Final = 2
# `PATRON#5ae2…`: the text before the id is the same in all items, so it has no digits.
PREFIXED: Final = re.compile(rf"(?P<prefix>[^0-9{{}}\[\]]*)(?P<id>{CANONICAL_UUID.pattern})")


def ids_by_source(items: Mapping[str, Iterable[Item]]) -> dict[str, set[str]]:
    """`table.attribute[PREFIX#{}]` -> some of the uuids there, as the `from` of a link names it."""
    found: dict[str, set[str]] = {}
    for table, held in items.items():
        for item in islice(held, SAMPLE):
            for attribute, value in item.items():
                parts = PREFIXED.fullmatch(scalar_text(value) or "")
                if parts is None:
                    continue
                template = f"[{parts['prefix']}{{}}]" if parts["prefix"] else ""
                ids = found.setdefault(f"{table}.{attribute}{template}", set())
                if len(ids) < IDS:
                    ids.add(parts["id"])
    return found


def matching_links(sources: Mapping[str, set[str]], rows: Mapping[str, set[str]]) -> Iterator[str]:
    """`[[links]]` tables as one line each: for each source the column (`table.column`) that most of its ids are in."""
    for source, ids in sources.items():
        shared = {column: len(ids & known) for column, known in rows.items()}
        best = max(shared, key=lambda column: shared[column], default=None)
        if best is not None and shared[best]:
            yield f'[[links]] from = "dynamodb:{source}", to = "postgres:{best}"'


def read_known(target: PostgresTarget, catalog: Catalog, ids: Iterable[str]) -> dict[str, set[str]]:
    """Column -> those of these ids that are there, of the columns that alone are a table's key. StoreError."""
    from psycopg import sql

    from devenv.stores.postgres.client import execute, name, translated
    from devenv.stores.postgres.reader import reading

    wanted = sorted(ids)
    found: dict[str, set[str]] = {}
    with reading(target, timeout_s=ANSWER_S) as connection, translated(target.address):
        for table in catalog.tables[:TABLES]:
            key = table.primary_key
            types = {column.name: column.type for column in table.columns}
            if len(key) != 1 or not types.get(key[0], "").startswith(("uuid", "text", "character varying")):
                continue
            array = sql.SQL("uuid[]" if types[key[0]] == "uuid" else "text[]")
            select = sql.SQL("SELECT {0}::text FROM {1} WHERE {0} = ANY(%s::{2})")
            query = select.format(name(key[0]), name(*table.id), array)
            path = ".".join(part for part in (*table.id, key[0]) if part != "public")
            found[path] = {row[0] for row in execute(connection, query, (wanted,)).fetchall()}
    return found
