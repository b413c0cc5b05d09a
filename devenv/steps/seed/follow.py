"""When rows got other ids, the items that hold the old ones are rewritten: the two stores cannot drift apart.

For each table that a link points to, the ledger remembers which id each natural key had. An id that is gone, while
its natural key is there with another id, has a successor; every item that holds it is rewritten, whoever wrote it.
Both ids stay in the ledger until all is rewritten, so a killed run is taken up by the next one, even if the ids
changed once more in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import DynamoTarget
from devenv.core.plural import number_of
from devenv.links.read import Edge
from devenv.steps.ledger import Item, Ledger, LedgerItem, decode
from devenv.steps.seed.items import described_keys, key_of, normal_item
from devenv.steps.seed.writes import TOGETHER, TOGETHER_BYTES, delete_item, fan_out, rewrite_parts, try_write
from devenv.steps.step import describe
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.client import Connection, name, one
from devenv.stores.postgres.driver import sql

TRIES: Final = 5
INVALID: Final = "ValidationException"
# The fingerprint of a table that is not there.
NO_ROWS: Final = "no table"
Successors = Mapping[str, Mapping[str, str]]


class LinkTarget(msgspec.Struct, frozen=True):
    """The target of links: a column of a table, and the columns that name its rows for people (may be none)."""

    relation: tuple[str, str]
    column: str
    natural: tuple[str, ...]

    @property
    def title(self) -> str:
        """`public.users.uuid`."""
        return ".".join((*self.relation, self.column))


class Ids(msgspec.Struct, frozen=True):
    """The rows of a target now: natural key -> id, all ids there are, and the fingerprint of both."""

    by_natural: Mapping[str, str]
    all: frozenset[str]
    fingerprint: str = ""


class Followed(msgspec.Struct):
    """How far the items followed."""

    items: int = 0
    ids: int = 0
    warnings: list[str] = msgspec.field(default_factory=list)


def find_targets(edges: Iterable[Edge]) -> tuple[LinkTarget, ...]:
    """Return what the links point to, each once. A natural key that any link to it declares serves for all."""
    found: dict[str, LinkTarget] = {}
    for edge in edges:
        natural = tuple(column for _, column in edge.natural)
        known = found.get(edge.target)
        if known is None or not known.natural:
            found[edge.target] = LinkTarget(edge.relation, edge.column, natural)
    return tuple(found.values())


def read_ids(connection: Connection, target: LinkTarget) -> Ids:
    """The ids of a target's rows. Rows without a complete or with an ambiguous natural key have only the id."""
    columns = sql.SQL(", ").join(as_text(target))
    query = sql.SQL("SELECT {} FROM {}").format(columns, name(*target.relation))
    # The fingerprint first: what changes between the two queries is then found by the next look.
    fingerprint = read_fingerprint(connection, target)
    if fingerprint == NO_ROWS:
        return Ids({}, frozenset(), fingerprint)
    rows = connection.execute(query).fetchall()
    by_natural: dict[str, list[str]] = {}
    for id, *natural in rows:
        if id is not None and natural and None not in natural:
            by_natural.setdefault(msgspec.json.encode(natural).decode(), []).append(id)
    return Ids(
        {natural: ids[0] for natural, ids in by_natural.items() if len(ids) == 1},
        frozenset(row[0] for row in rows if row[0] is not None),
        fingerprint,
    )


def read_fingerprint(connection: Connection, target: LinkTarget) -> str:
    """A sum over the ids and natural keys of a target's rows, made by Postgres: equal when nothing changed.

    NO_ROWS without the table: the application may create it when it starts, which is after this step. DevenvError when
    a column that the link names does not exist.
    """
    query = sql.SQL("SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW({})::text, 0)), 0) FROM {}").format(
        sql.SQL(", ").join(as_text(target)), name(*target.relation)
    )
    try:
        with connection.transaction(), postgres.translated(connection.info.dbname):
            return str(one(connection, query))
    except StoreError as error:
        if error.code in postgres.NO_TABLE:
            return NO_ROWS
        if error.code != postgres.NO_COLUMN:
            raise
        raise DevenvError(
            f"[[links]]: {target.title} cannot be read", detail=error.detail, hint="correct the link in devenv.toml"
        ) from None


def as_text(target: LinkTarget) -> list[sql.Composed]:
    """The id and the natural key of a target as SQL expressions of type text."""
    return [sql.SQL("{}::text").format(name(column)) for column in (target.column, *target.natural)]


def find_successors(known: Mapping[str, set[str]], now: Ids) -> dict[str, str]:
    """Old id -> new id, by natural key. An id that some row still has is not old, whatever its natural key. Pure."""
    return {
        old: now.by_natural[natural]
        for natural, ids in known.items()
        if natural in now.by_natural
        for old in ids
        if old not in now.all
    }


def find_vanished(known: Mapping[str, set[str]], now: Ids) -> list[str]:
    """The natural keys whose row is gone, and its id with it. Pure."""
    return sorted(natural for natural, ids in known.items() if natural not in now.by_natural and not ids & now.all)


def rewrite(item: Mapping[str, Any], edges: Iterable[Edge], successors: Successors) -> Item:
    """The item with every old id that its links hold replaced by its successor. Pure."""
    made = dict(item)
    for edge in edges:
        mapping = successors.get(edge.target)
        if mapping and edge.attribute in made:
            made[edge.attribute] = rewrite_value(made[edge.attribute], edge, mapping)
    return made


def rewrite_value(value: Mapping[str, Any], edge: Edge, mapping: Mapping[str, str]) -> dict[str, Any]:
    """One attribute value with the old ids in it replaced."""
    ((kind, content),) = value.items()
    if kind in ("S", "N"):
        places = (content,) if edge.template is None else edge.template.parse(content)
        if places is None or not any(place in mapping for place in places):
            return dict(value)
        new = [mapping.get(place, place) for place in places]
        return {kind: edge.template.fill(new) if edge.template else new[0]}
    if kind in ("SS", "NS") and not mapping.keys().isdisjoint(content):
        return {kind: sorted({mapping.get(part, part) for part in content})}
    if kind == "L":
        return {kind: [rewrite_value(part, edge, mapping) for part in content]}
    return dict(value)


def follow(
    target: DynamoTarget, ledger: Ledger, edges: Sequence[Edge], now: Mapping[LinkTarget, Ids], tables: Iterable[str]
) -> Followed:
    """Rewrite the items of all linked tables, and what the ledger knows of items in `tables`."""
    done = Followed()
    successors: dict[str, dict[str, str]] = {}
    for goal, ids in now.items():
        known = ledger.ids(goal.title)
        successors[goal.title] = find_successors(known, ids)
        done.ids += len(successors[goal.title])
        if vanished := find_vanished(known, ids):
            shown = ", ".join(", ".join(decode(natural.encode())) for natural in vanished[:5])
            gone = f"deleted from {'.'.join(goal.relation)}: {number_of(len(vanished), 'row')} ({shown})"
            done.warnings.append(f"{gone}; items that refer to deleted rows stay as they are")
    if not done.ids:
        return done
    for goal, ids in now.items():
        ledger.add_ids(goal.title, ids.by_natural.items())
    for table in dict.fromkeys([*(edge.table for edge in edges), *tables]):
        own = [edge for edge in edges if edge.table == table]
        rewrite_table(target, table, own, successors, done)
        rewrite_entries(ledger, table, own, successors)
    return done


def rewrite_table(
    target: DynamoTarget, table: str, edges: Sequence[Edge], successors: Successors, done: Followed
) -> None:
    """Rewrite every item of one table that holds an old id."""
    with Dynamo(target) as dynamo:
        described = describe(dynamo, table)
        if described is None:
            return
        names = described_keys(described).names

        def old_items() -> Iterator[Item]:
            for item in dynamo.scan(table, ConsistentRead=True):
                if rewrite(item, edges, successors) != item:
                    yield item

        def change(dynamo: Dynamo, items: Sequence[Item]) -> list[str | None]:
            parts = [rewrite_parts(table, names, item, rewrite(item, edges, successors)) for item in items]
            try:
                if try_write(dynamo, "TransactWriteItems", {"TransactItems": list(chain.from_iterable(parts))}):
                    return [None] * len(items)
            except StoreError as error:
                if error.code != INVALID:
                    raise
            # One is not what was read a moment ago, cannot be written, or its new key is taken: each for itself.
            return [change_item(dynamo, table, names, item, edges, successors) for item in items]

        for _, warnings in fan_out(target, lots(old_items()), change):
            done.items += warnings.count(None)
            done.warnings += [warning for warning in warnings if warning]


def lots(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in lots that fit one transaction: two writes each, and at most 400 KB before and after."""
    lot: list[Item] = []
    size = 0
    for item in items:
        length = len(msgspec.json.encode(item))
        if lot and (len(lot) == TOGETHER // 2 or size + length > TOGETHER_BYTES // 2):
            yield lot
            lot, size = [], 0
        lot.append(item)
        size += length
    if lot:
        yield lot


def change_item(
    dynamo: Dynamo, table: str, names: Sequence[str], item: Item, edges: Sequence[Edge], successors: Successors
) -> str | None:
    """Rewrite one item, however often somebody else changes it meanwhile. A warning when that is not possible."""
    key = {each: item[each] for each in names}
    current: Item | None = item
    for _ in range(TRIES):
        if current is None or (new := rewrite(current, edges, successors)) == current:
            return None
        try:
            done = try_write(dynamo, "TransactWriteItems", {"TransactItems": rewrite_parts(table, names, current, new)})
        except StoreError as error:
            if error.code != INVALID:
                raise
            return f"table {table}: the item {show(key)} keeps its old ids: {error.detail}"
        if not done and any(new[each] != current[each] for each in names):
            taken = get_item(dynamo, table, {each: new[each] for each in names})
            if taken is not None and normal_item(taken) == normal_item(new):
                done = delete_item(dynamo, table, names, current)
            elif taken is not None:
                return f"table {table}: the item {show(key)} keeps its key, because another item has {show(new, names)}"
        if done:
            return None
        current = get_item(dynamo, table, key)
    raise DevenvError(f"table {table}: the item {show(key)} changes too fast to be rewritten", hint="devenv up")


def get_item(dynamo: Dynamo, table: str, key: Item) -> Item | None:
    found: Item | None = dynamo.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}).get("Item")
    return found


def show(key: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """A key for a message: `GRP#… 2023-…`."""
    return " ".join(str(next(iter(key[each].values()))) for each in names or key)


def rewrite_entries(ledger: Ledger, table: str, edges: Sequence[Edge], successors: Successors) -> None:
    """Let the ledger know its items under their new ids, those that the application has taken away too."""
    for page in ledger.pages(table):
        moved: dict[bytes, LedgerItem] = {}
        for old, entry in page.items():
            key = decode(old)
            new = LedgerItem(
                key_of(rewrite(key, edges, successors), key),
                entry.written and rewrite(entry.written, edges, successors),
                entry.intent and rewrite(entry.intent, edges, successors),
            )
            if new != entry:
                moved[old] = new
        if moved:
            ledger.move(table, moved)
