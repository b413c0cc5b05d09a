"""The content of both stores, read once and shared by doctor and trace; and the settings needed to judge it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from devenv.config.schema import Settings
from devenv.core.errors import StoreError
from devenv.core.lazy import Lazy
from devenv.core.model import PostgresTarget, ServiceState, Targets
from devenv.core.value import Value
from devenv.links.expiry import RemovedRecord
from devenv.links.groups import settles_in
from devenv.links.judge import Edge, Item, LinkJudgement, ReadPlan, Relation, Row, compile_plan, judge
from devenv.links.packed import PackedItems
from devenv.links.read_progress import ReadProgress
from devenv.links.recreated import Probe, has_unkeyed_orphans, make_probes, peers_of
from devenv.links.renamed import Place, Renamed, find_lost, with_renamed, without_renamed
from devenv.links.shown import shown_columns
from devenv.links.values import canonical
from devenv.stores.dynamodb.key_schema import table_keys

if TYPE_CHECKING:
    from devenv.config.trace import Trace
    from devenv.stores.postgres.catalog import Catalog
    from devenv.stores.postgres.client import Connection

# A table larger than this is scanned in segments; DescribeTable's count is only an estimate, so it decides no more.
SEGMENT_ABOVE: Final = 5_000
SEGMENTS: Final = 4
# Up to this size, items are kept as they were read: packed ones take less memory, and are decoded for each question.
UNPACKED_ITEMS: Final = 20_000
UNPACKED_BYTES: Final = 16_000_000
SECOND_LOOKS: Final = 2
PAUSE_S: Final = 0.15
ANSWER_S: Final = 2
Items = TypeVar("Items", PackedItems, "list[Item]")
# A partition of a table: the type and the value of its items' first key.
Key = tuple[str, str]
# The numbers of the transactions that are open and have changed or locked something.
HOLDERS: Final = "SELECT transactionid::text FROM pg_locks WHERE locktype = 'transactionid' AND granted"
# Columns that hold somebody's name in another system: there, and not in free text, a blank is a fault.
NAMING: Final = frozenset(["id", "ids", "sub", "uuid", "guid", "key", "token", "arn", "email", "login", "username"])


class FactsContext(Value, frozen=True):
    """The facts of a project that are needed before its stores are read and judged.

    `environment` is what `devenv env` gives now, `expected_application` what the application would be started with
    (None: the project has none), `application` what its running process really has (None: it does not run).
    `tables` are the declared CreateTable requests by table name. `read_declared` reads the catalog that setup declared
    (None: it has not run), `read_seeded` the rows it loaded, as text by column. `look_at_workers` looks at each stream
    worker, given its process's state (a WorkerObservation of devenv.services.streams.judge). Of a table,
    `read_written` reads the items that devenv loaded, `read_removed` what its stream tells of removed ones.
    """

    settings: Settings
    root: Path
    targets: Targets
    services: tuple[ServiceState, ...]
    environment: Mapping[str, str]
    shell: Mapping[str, str]
    expected_application: Mapping[str, str] | None = None
    application: Mapping[str, str] | None = None
    tables: Mapping[str, Mapping[str, Any]] = {}
    read_declared: Callable[[Connection], Catalog | None] = lambda _: None
    read_seeded: Callable[[Connection], Mapping[Relation, Sequence[Row]]] = lambda _: {}
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    look_at_workers: Mapping[str, Callable[[str], Any]] = {}
    read_written: Callable[[str], Iterable[Item]] = lambda _: ()
    read_removed: Callable[[str], Sequence[RemovedRecord]] = lambda _: ()

    def service(self, name: str) -> ServiceState:
        """The state of one service; stopped when nothing is known of it."""
        return next((state for state in self.services if state.name == name), ServiceState(name, "stopped"))


class PostgresFacts(msgspec.Struct, frozen=True):
    """One look at the project's database. `rows` holds the linked tables whose linked columns all exist.

    `readable` are its tables, and the views too where a link names something else than a table.
    """

    system_identifier: str
    catalog: Catalog
    declared: Catalog | None
    rows: Mapping[Relation, Sequence[Row]]
    seeded: Mapping[Relation, Sequence[Row]]
    readable: Catalog


class DynamoFacts(msgspec.Struct, frozen=True):
    """One look at DynamoDB: the description of each declared table (None: there is none), and its items."""

    described: Mapping[str, Mapping[str, Any] | None]
    items: Mapping[str, Sequence[Item]]


class Facts:
    """The facts of one run, each read on first use.

    Every method may be called by several threads; each store is asked once. `looks`: how often what may be a write
    under way is read again before it counts. With a trace, the columns of linked rows that it shows are read, too.
    """

    def __init__(self, context: FactsContext, looks: int = SECOND_LOOKS, trace: Trace | None = None) -> None:
        self.context = context
        self.looks = looks
        keys = {name: table_keys(request) for name, request in context.tables.items()}
        plan = compile_plan(context.settings, keys)
        self.plan: ReadPlan = replace(plan, shown=shown_columns(plan, trace)) if trace is not None else plan
        self.table_names = tuple(dict.fromkeys([*context.tables, *self.plan.tables]))
        self.postgres = Lazy(lambda: read_postgres(context, self.plan))
        self.renamed = Lazy(self._look_up_renamed)
        self.reading = ReadProgress()
        self.described = Lazy(lambda: describe_tables(context, self.table_names))
        self.dynamodb = self.reading.needed(Lazy(lambda: read_items(context, self.described(), self.reading)))
        self.ttl = Lazy(lambda: read_ttl(context, self.table_names))
        self.judgement = self.reading.needed(Lazy(self._judge))
        self.judged_at = 0.0

    def _judge(self) -> LinkJudgement:
        """Judge what was read; what may be a write under way is read and judged again before it counts.

        An item of a moment ago is given the time that a write takes: its group's other items may follow.
        """
        found = self._judge_once(self.dynamodb(), self.postgres)
        for _ in range(self.looks):
            if not found.passing:
                break
            fresh = settles_in(self.plan.groups, found.faults, self.context.now())
            time.sleep(max(PAUSE_S, fresh.total_seconds()))
            # Of the first look only this is kept: two judgements of a large table take twice the memory.
            before = found.words()
            del found
            found = self.look_again().lasting(before)
        self.judged_at = time.monotonic()
        return with_renamed(self._explain_recreated(found), self.renamed())

    def _look_up_renamed(self) -> dict[Place, dict[str, Renamed]]:
        """Look for the rows that setup loaded and whose linked value is gone. What cannot be read explains nothing."""
        try:
            read_rows = self.postgres()
            lost = dict(find_lost(self.plan, read_rows.rows, read_rows.seeded))
            return look_up_renamed(self.context.targets.postgres, read_rows.catalog, lost) if lost else {}
        except StoreError:
            return {}

    def _explain_recreated(self, found: LinkJudgement) -> LinkJudgement:
        """Look for the rows of orphans under other ids. What cannot be read explains nothing."""
        if not has_unkeyed_orphans(found):
            return found
        try:
            catalog = self.postgres().catalog
            probes = list(make_probes(self.plan, catalog, found.faults, peers_of(found.named)))
            return look_up_probes(self.context.targets.postgres, found, probes) if probes else found
        except StoreError:
            return found

    def look_again(self) -> LinkJudgement:
        """Read both stores anew, and judge that once."""
        items = read_items(self.context, describe_tables(self.context, self.table_names), self.reading)
        return self._judge_once(items, lambda: read_postgres(self.context, self.plan))

    def _judge_once(self, items: DynamoFacts, read: Callable[[], PostgresFacts]) -> LinkJudgement:
        """Links whose rows could not be read are left out: without rows every id would look lost."""
        try:
            read_rows = read()
            rows, seeded = read_rows.rows, without_renamed(read_rows.seeded, self.renamed())
        except StoreError:
            rows, seeded = {}, {}
        known = tuple(edge for edge in self.plan.edges if edge.relation in rows)
        plan = replace(self.known_plan(items), edges=known)
        with self.reading.judging():
            found = judge(plan, items.items, rows, self.context.now(), seeded)
        return replace(found, unlinked=tuple(edge.name for edge in self.plan.edges if edge not in known))

    def known_plan(self, items: DynamoFacts | None = None) -> ReadPlan:
        """The plan with the keys that the tables really have."""
        described = items.described if items else self.described()
        keys = {name: table_keys(table) for name, table in described.items() if table is not None}
        return replace(self.plan, keys={**self.plan.keys, **keys})


def look_up_probes(target: PostgresTarget, found: LinkJudgement, probes: Sequence[Probe]) -> LinkJudgement:
    """Ask Postgres for the rows that orphans may mean. StoreError when it does not answer."""
    from devenv.links.matching import look_up
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    with reading(target, timeout_s=ANSWER_S) as connection, postgres.translated(target.address):
        return look_up(connection, found, probes)


def look_up_renamed(
    target: PostgresTarget, catalog: Catalog, lost: Mapping[Place, Mapping[str, Row]]
) -> dict[Place, dict[str, Renamed]]:
    """Ask Postgres for loaded rows that have another value now. StoreError when it does not answer."""
    from devenv.links import matching
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    with reading(target, timeout_s=ANSWER_S) as connection, postgres.translated(target.address):
        return matching.look_up_renamed(connection, catalog, lost)


def read_postgres(context: FactsContext, plan: ReadPlan) -> PostgresFacts:
    """One read-only snapshot of what the checks ask of Postgres. StoreError when it cannot be read."""
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.catalog import Catalog, read_catalog, read_views
    from devenv.stores.postgres.reader import reading

    target = context.targets.postgres
    with (
        reading(target, timeout_s=ANSWER_S) as connection,
        postgres.translated(target.address),
    ):
        catalog = read_catalog(connection)
        apart = any(catalog.table(relation) is None for relation in plan.relations)
        readable = Catalog((*catalog.tables, *read_views(connection))) if apart else catalog
        rows = {
            relation: read_rows(connection, relation, columns)
            for relation, linked in plan.relations.items()
            if (columns := readable_columns(readable, relation, linked, plan.shown.get(relation, ()))) is not None
        }
        identifier = postgres.system_identifier(connection)
        declared = context.read_declared(connection)
        seeded = context.read_seeded(connection) if declared is not None else {}
        return PostgresFacts(identifier, catalog, declared, rows, seeded, readable)


def read_ttl(context: FactsContext, tables: Sequence[str]) -> dict[str, str]:
    """Table -> the attribute by which its items expire, of those where they do. StoreError when it cannot be read."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    found = {}
    with Dynamo(read_only(context.targets.dynamodb), timeout=ANSWER_S) as dynamodb:
        for table in tables:
            try:
                told = dynamodb.call("DescribeTimeToLive", {"TableName": table}).get("TimeToLiveDescription", {})
            except StoreError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                continue
            if told.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
                found[table] = str(told["AttributeName"])
    return found


def readable_columns(
    catalog: Catalog, relation: Relation, linked: Iterable[str], shown: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """The linked columns of a table and those that name somebody elsewhere; None when a linked one is missing.

    Of the `shown` ones, those that exist.
    """
    table = catalog.table(relation)
    if table is None or not set(linked) <= {column.name for column in table.columns}:
        return None
    besides = (c.name for c in table.columns if c.name in shown or is_naming(c.name, c.type))
    return tuple(dict.fromkeys([*linked, *besides]))


def is_naming(name: str, type_name: str) -> bool:
    """Return True if a column's name says that it holds an id, a key or an address of a person in another system."""
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()))
    return bool(words & NAMING) and type_name.startswith(("text", "character", "citext"))


def read_rows(
    connection: Connection, relation: Relation, columns: Sequence[str], known: tuple[str, Iterable[Any]] | None = None
) -> list[dict[str, Any]]:
    """These columns of every row of a table; of `known` (a column, values of it) only the rows that have one of them.

    The server reads the values as the column's type, so that it can use an index.
    """
    from psycopg import sql

    from devenv.stores.postgres.client import name

    wanted = sql.SQL(", ").join(map(name, columns))
    query = sql.SQL("SELECT {} FROM {}").format(wanted, name(*relation))
    if known is not None:
        column, values = known
        texts = (str(value).replace("\\", r"\\").replace('"', r"\"") for value in values)
        listed = "{" + ",".join(f'"{text}"' for text in texts) + "}"
        query += sql.SQL(" WHERE {} = ANY({})").format(name(column), sql.Literal(listed))
    return [dict(zip(columns, row, strict=True)) for row in connection.execute(query).fetchall()]


def read_known_rows(facts: Facts, known: Mapping[tuple[Relation, str], Sequence[Row]]) -> dict[Relation, list[Row]]:
    """These rows (by table and column that links name) as they are now, with the columns that the first look read."""
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    if not known:
        return {}
    target, plan, readable = facts.context.targets.postgres, facts.plan, facts.postgres().readable
    found: dict[Relation, list[Row]] = {}
    with reading(target, timeout_s=ANSWER_S) as connection, postgres.translated(target.address):
        for (relation, column), rows in known.items():
            columns = readable_columns(readable, relation, plan.relations[relation], plan.shown.get(relation, ()))
            if columns is not None:
                values = [row[column] for row in rows]
                found.setdefault(relation, []).extend(read_rows(connection, relation, columns, (column, values)))
    return found


def read_locked(context: FactsContext, edges: Iterable[Edge]) -> dict[str, set[str]]:
    """Return the ids, by each link's target, of the rows that an open transaction is changing or holds.

    A view has no such rows of its own. StoreError when they cannot be read.
    """
    from psycopg import sql

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.catalog import read_catalog
    from devenv.stores.postgres.reader import reading

    target = context.targets.postgres
    found: dict[str, set[str]] = {}
    query = sql.SQL("SELECT {} FROM {} WHERE xmax::text = ANY(%s)")
    with (
        reading(target, timeout_s=ANSWER_S) as connection,
        postgres.translated(target.address),
    ):
        holders = [row[0] for row in connection.execute(HOLDERS).fetchall()]
        catalog = read_catalog(connection) if holders else None
        for edge in edges:
            if catalog is not None and catalog.table(edge.relation) is not None:
                wanted = query.format(postgres.name(edge.column), postgres.name(*edge.relation))
                rows = postgres.execute(connection, wanted, (holders,)).fetchall()
                found[edge.target] = {canonical(row[0]) for row in rows}
    return found


def describe_tables(context: FactsContext, tables: Sequence[str]) -> dict[str, Mapping[str, Any] | None]:
    """Description of each of these tables (None: there is none). StoreError when DynamoDB does not answer."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    described: dict[str, Mapping[str, Any] | None] = {}
    with Dynamo(read_only(context.targets.dynamodb), timeout=ANSWER_S) as dynamodb:
        dynamodb.call("ListTables", {"Limit": 1})  # one that hangs is known for it before the long reads
    with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
        for table in tables:
            try:
                described[table] = dynamodb.call("DescribeTable", {"TableName": table})["Table"]
            except StoreError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                described[table] = None
    return described


def read_items(
    context: FactsContext, described: Mapping[str, Mapping[str, Any] | None], reading: ReadProgress
) -> DynamoFacts:
    """All items of each table that is there. StoreError when DynamoDB does not answer."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    items: dict[str, Sequence[Item]] = {}
    with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
        for table, seen in described.items():
            if seen is None:
                continue
            if seen["ItemCount"] > SEGMENT_ABOVE:
                large = seen["ItemCount"] > UNPACKED_ITEMS or seen["TableSizeBytes"] > UNPACKED_BYTES
                scan = partial(scan_segments, context, table, reading)
                items[table] = scan(PackedItems) if large else scan(list[Item])
            else:
                items[table] = [item for page in reading.pages(dynamodb.scan_pages(table)) for item in page["Items"]]
    return DynamoFacts(described, items)


def key_of(item: Item, names: Sequence[str]) -> Key | None:
    """The partition that an item of a table with these keys lies in; None for one without its key."""
    value = item.get(names[0]) if names else None
    return None if value is None else next(((kind, str(text)) for kind, text in value.items()), None)


def read_partitions(
    context: FactsContext, table: str, names: Sequence[str], wanted: Iterable[Key] | None
) -> Iterator[Item]:
    """Every item of these partitions of a table with these keys; of the whole table if `wanted` is None."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
        if wanted is None:
            yield from dynamodb.scan(table)
        elif len(names) == 1:
            yield from dynamodb.read_keys(table, [{names[0]: {kind: text}} for kind, text in wanted])
        else:
            for kind, text in wanted:
                asked = {
                    "TableName": table,
                    "KeyConditionExpression": "#key = :key",
                    "ExpressionAttributeNames": {"#key": names[0]},
                    "ExpressionAttributeValues": {":key": {kind: text}},
                    "ConsistentRead": True,
                }
                for page in dynamodb.pages("Query", asked):
                    yield from page["Items"]


def scan_segments(
    context: FactsContext, table: str, reading: ReadProgress, kept: Callable[[Iterable[Item]], Items]
) -> Items:
    """Every item of a large table, by parallel segments, in the form in which they are `kept`."""
    from concurrent.futures import ThreadPoolExecutor

    from devenv.stores.dynamodb.client import Dynamo, read_only

    def scan(segment: int) -> Items:
        with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
            pages = reading.pages(dynamodb.scan_pages(table, Segment=segment, TotalSegments=SEGMENTS))
            return kept(item for page in pages for item in page["Items"])

    with ThreadPoolExecutor(SEGMENTS) as pool:
        first, *others = pool.map(scan, range(SEGMENTS))
    for part in others:
        first += part
    return first
