"""Rows that a GET writes although nothing in them changes any more: an UPDATE to what they already have.

It is looked for only where a row of Postgres is part of the first fault: the request may have made it so before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.core.errors import DevenvError
from devenv.core.model import Finding, Fix
from devenv.core.templates import Unknown
from devenv.links.resolve import Relation
from devenv.links.values import canonical
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.layers.http import follow
from devenv.trace.layers.requests import requests_of
from devenv.trace.question import TraceContext

LAYERS: Final = frozenset(["postgres", "cross-store"])
ROUNDS: Final = 2
QUIET_S: Final = 0.4
ROWS: Final = 50
# A row -> its text, and the transaction that wrote this version of it.
Versions = Mapping[tuple[Relation, str], tuple[str, str]]


def find_rewritten(inquiry: TraceContext, first: LayerFinding, person: Mapping[str, Any] | None) -> Finding | None:
    """The finding about a row of `first` that each request writes, and nobody between requests; None without one."""
    declared = inquiry.question.trace.request
    url = inquiry.facts.context.targets.backend_url
    if declared is None or declared.method != "GET" or url is None or first.layer not in LAYERS:
        return None
    try:
        wanted = dict.fromkeys(rows_of(inquiry, first))
        if not wanted or len(wanted) > ROWS:
            return None
        ask = requests_of(inquiry, declared, url, person, None)["member"]
        found = set(wanted)
        for _ in range(ROUNDS):
            before = read_versions(inquiry, wanted)
            time.sleep(QUIET_S)
            quiet = read_versions(inquiry, wanted)
            if quiet != before:
                return None
            follow(declared, ask)
            found &= set(written(quiet, read_versions(inquiry, wanted)))
            if not found:
                return None
    except (DevenvError, Unknown):
        return None
    names = [f"{'.'.join(relation)} {identity}" for relation, identity in wanted if (relation, identity) in found]
    return Finding(
        "request_writes",
        f"the request writes the row {' and '.join(names)}",
        "each request writes this row, with the values that it already has, so an earlier request may have caused the "
        f"fault (seen {ROUNDS} times; nothing else wrote it)",
        Fix("remove the write from the code that answers this GET, then correct the row"),
        tuple(identity for _, identity in found),
        frozenset(relation[-1] for relation, _ in found),
        frozenset([(first.kind, first.subjects)]),
    )


def rows_of(inquiry: TraceContext, first: LayerFinding) -> Iterator[tuple[Relation, str]]:
    """The linked rows that a finding names."""
    told = f"{first.summary} {' '.join(first.subjects)}"
    rows = inquiry.facts.postgres().rows
    for edge in inquiry.facts.plan.edges:
        for row in rows.get(edge.relation, ()):
            identity = canonical(row[edge.column])
            if len(identity) > 1 and identity in told:
                yield edge.relation, identity


def written(before: Versions, after: Versions) -> Iterator[tuple[Relation, str]]:
    """The rows that are another version with the same values. Pure."""
    for place, (text, version) in before.items():
        now = after.get(place)
        if now is not None and now[0] == text and now[1] != version:
            yield place


def read_versions(inquiry: TraceContext, wanted: Mapping[tuple[Relation, str], None]) -> Versions:
    """These rows as they are now. StoreError."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    target = inquiry.facts.context.targets.postgres
    columns = {edge.relation: edge.column for edge in inquiry.facts.plan.edges}
    found: dict[tuple[Relation, str], tuple[str, str]] = {}
    with reading(target) as connection, postgres.translated(target.address):
        for relation in dict.fromkeys(place[0] for place in wanted):
            ids = [identity for other, identity in wanted if other == relation]
            query = sql.SQL("SELECT t.{0}::text, t::text, t.xmin::text FROM {1} AS t WHERE t.{0}::text = ANY(%s)")
            named = query.format(postgres.name(columns[relation]), postgres.name(*relation))
            for identity, text, version in connection.execute(named, [ids]).fetchall():
                found[relation, canonical(identity)] = (text, version)
    return found
