"""All of a project's DynamoDB items as one file, and back: what snapshots and the baseline keep of DynamoDB.

Where DynamoDB Local's own file is at hand (engine `embedded`) it is copied and put back as a whole, in one SQLite
transaction. Elsewhere every table is read through the API into a file of JSON lines, and put back by writing only
what differs. That is repeatable, so a killed run is finished by the next one; but whoever reads meanwhile may see a
part of it, and other writers are not held back unless the engine can do that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import DYNAMODB, POSTGRES, DynamoTarget
from devenv.core.value import Value
from devenv.engines.base import Engine
from devenv.engines.embedded import dynamodb_file
from devenv.host import state
from devenv.host.writing import open_over
from devenv.stack import Stack

Definition = Mapping[str, Any]
# What CreateTable takes of what DescribeTable gives.
TABLE_PARTS: Final = ("TableName", "AttributeDefinitions", "KeySchema")
INDEX_PARTS: Final = ("IndexName", "KeySchema", "Projection")
INDEXES: Final = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")


class ItemCopies(Protocol):
    """How the items of one project are kept and put back. `part` is the name of the file in a snapshot."""

    @property
    def part(self) -> str:
        """The name of the file in a snapshot."""

    def tables(self) -> list[str]:
        """The names of the tables that are there."""

    def count(self) -> dict[str, int]:
        """Table -> number of items."""

    def held(self) -> AbstractContextManager[bool]:
        """Nobody writes during the block, if that is True."""

    def copy_to(self, target: Path) -> None:
        """Bring the file to what DynamoDB holds."""

    def copy_from(self, source: Path) -> None:
        """Bring DynamoDB to what the file holds; without a file, to nothing."""

    def settle(self, source: Path, ledger: Path) -> None:
        """Let a ledger that was saved with the file know the tables as they are now."""


def copies_of(stack: Stack) -> ItemCopies:
    """The way that this stack's engine has."""
    if stack.engine.files:
        return FileCopies(stack.engine)
    return ApiCopies(stack.engine, own_tables(stack) if stack.engine.shared else None)


def own_tables(stack: Stack) -> frozenset[str]:
    """The tables of this project in a store that others use too: the declared ones, and those with items of ours."""
    from devenv.steps.ledger import Ledger
    from devenv.steps.registry import STEPS

    declared = next(step for step in STEPS if step.name == "schema-load").read(stack.settings, stack.root).content or ()
    with Ledger(stack.engine.home / "ledger.sqlite", create=False) as ledger:
        return frozenset({definition.table for definition in declared} | set(ledger.tables()))


class FileCopies(Value, frozen=True):
    """DynamoDB Local's one SQLite file, copied."""

    engine: Engine
    part: str = "dynamodb.sqlite"

    @property
    def store(self) -> Path:
        """The server's file."""
        return dynamodb_file.store_in(self.engine.home)

    def tables(self) -> list[str]:
        """The names of the tables that are there."""
        return list(dynamodb_file.count_items(self.store))

    def count(self) -> dict[str, int]:
        """Table -> number of items."""
        return dynamodb_file.count_items(self.store)

    def held(self) -> AbstractContextManager[bool]:
        """The file is locked for writing."""
        return self.engine.hold_writers()

    def copy_to(self, target: Path) -> None:
        """A consistent copy, without stopping the server."""
        dynamodb_file.copy_store(self.store, target)

    def copy_from(self, source: Path) -> None:
        """All of it at once."""
        dynamodb_file.copy_store(source, self.store, self.engine.account())

    def swap(self, source: Path, aside: Path | None) -> None:
        """Stop the server and put the file of a copy into the place of its own, which becomes `aside`."""
        self.engine.stop(DYNAMODB)
        dynamodb_file.put_in_place(source, self.store, aside, self.engine.account())

    def settle(self, source: Path, ledger: Path) -> None:
        """Nothing: the tables are the very ones of the copy."""


class TableHead(msgspec.Struct, frozen=True):
    """The line before a table's items: how to make the table, and which one it was."""

    table: str
    identity: str
    request: dict[str, Any]
    ttl: str | None = None


class ApiCopies(Value, frozen=True):
    """Every table that is ours (None: all of them), read and written item by item."""

    engine: Engine
    ours: frozenset[str] | None = None
    part: str = "dynamodb.jsonl"
    _encode: msgspec.json.Encoder = msgspec.field(default_factory=msgspec.json.Encoder)

    @property
    def target(self) -> DynamoTarget:
        """The project's DynamoDB."""
        return self.engine.targets().dynamodb

    def tables(self) -> list[str]:
        """Our tables that are there."""
        from devenv.stores.dynamodb.client import Dynamo

        with Dynamo(self.target) as dynamo:
            found = [name for page in dynamo.pages("ListTables") for name in page["TableNames"]]
        return [name for name in found if self.ours is None or name in self.ours]

    def count(self) -> dict[str, int]:
        """Table -> number of items, by reading all of them."""
        from devenv.stores.dynamodb.client import Dynamo

        with Dynamo(self.target) as dynamo:
            return {
                table: sum(page["Count"] for page in dynamo.scan_pages(table, Select="COUNT"))
                for table in self.tables()
            }

    def held(self) -> AbstractContextManager[bool]:
        """As far as the engine can."""
        return self.engine.hold_writers()

    def copy_to(self, target: Path) -> None:
        """A line per table and per item. The file is there only when it is whole."""
        from devenv.steps.seed.items import identity
        from devenv.steps.step import describe
        from devenv.stores.dynamodb.client import Dynamo

        half = target.with_name(f".part-{target.name}")
        try:
            with (
                open_over(half) as file,
                Dynamo(self.target) as dynamo,
            ):
                for table in self.tables():
                    described = describe(dynamo, table)
                    if described is None:
                        continue
                    ttl = dynamo.call("DescribeTimeToLive", {"TableName": table})["TimeToLiveDescription"]
                    head = TableHead(table, identity(described), request_of(described), ttl.get("AttributeName"))
                    file.write(self._encode.encode({"head": head}) + b"\n")
                    for item in dynamo.scan(table, ConsistentRead=True):
                        file.write(self._encode.encode({"item": item}) + b"\n")
            half.replace(target)
        except OSError as error:
            raise state.unwritable(target, error) from None

    def copy_from(self, source: Path) -> None:
        """Make, change and delete tables until they are those of the file, then write what differs in each."""
        from devenv.steps.schema_load.schema_load import delete_table
        from devenv.stores.dynamodb.client import Dynamo

        wanted = list(read_tables(source)) if source.exists() else []
        with Dynamo(self.target) as dynamo:
            for table in set(self.tables()) - {head.table for head, _ in wanted}:
                delete_table(dynamo, table)
            for head, items in wanted:
                make_as(dynamo, head)
                write_difference(self.target, dynamo, head.table, items)

    def settle(self, source: Path, ledger: Path) -> None:
        """A table that had to be made anew is another one: the ledger's entries are about it now."""
        from devenv.steps.ledger import Ledger
        from devenv.steps.seed.items import identity
        from devenv.steps.step import describe
        from devenv.stores.dynamodb.client import Dynamo

        if not source.exists() or not ledger.exists():
            return
        with Dynamo(self.target) as dynamo, Ledger(ledger) as opened:
            for head, _ in read_tables(source):
                described = describe(dynamo, head.table)
                if described is not None and opened.identity(head.table) == head.identity != identity(described):
                    opened.set_identity(head.table, identity(described))


def request_of(described: Definition) -> dict[str, Any]:
    """The CreateTable request that makes such a table, from DescribeTable's `Table`."""
    request = {part: described[part] for part in TABLE_PARTS}
    for section in INDEXES:
        if indexes := described.get(section):
            request[section] = [{part: index[part] for part in INDEX_PARTS} for index in indexes]
    # What a local store is billed by is nobody's matter, and on demand needs no numbers.
    return {**request, "BillingMode": "PAY_PER_REQUEST"}


def read_tables(file: Path) -> Iterator[tuple[TableHead, list[dict[str, Any]]]]:
    """Each table of a file, with its items. DevenvError for what is no such file."""
    head: TableHead | None = None
    items: list[dict[str, Any]] = []
    try:
        with open(file, "rb") as lines:
            for line in lines:
                tree = msgspec.json.decode(line)
                if "item" in tree:
                    items.append(tree["item"])
                    continue
                if head:
                    yield head, items
                head, items = msgspec.convert(tree["head"], TableHead), []
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise DevenvError(f"{file} cannot be read", detail=str(error)) from None
    if head:
        yield head, items


def make_as(dynamo: Any, head: TableHead) -> None:
    """Make a table, unless there is one with the same keys and indexes; one with others is made anew."""
    from devenv.steps.schema_load.schema_load import delete_table, show_indexes, show_key, wait_active
    from devenv.steps.step import describe

    def shape(table: Definition) -> tuple[object, ...]:
        return show_key(table, table), *(show_indexes(table, section) for section in INDEXES)

    described = describe(dynamo, head.table)
    if described is not None and shape(described) == shape(head.request):
        return
    if described is not None:
        delete_table(dynamo, head.table)
    dynamo.call("CreateTable", head.request)
    wait_active(dynamo, head.table)
    if head.ttl:
        ttl = {"Enabled": True, "AttributeName": head.ttl}
        dynamo.call("UpdateTimeToLive", {"TableName": head.table, "TimeToLiveSpecification": ttl})


def write_difference(target: DynamoTarget, dynamo: Any, table: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Let the table hold exactly these items: put those that differ, delete the others."""
    from devenv.steps.seed.items import described_keys, key_of, normal_item
    from devenv.steps.seed.writes import TOGETHER, TOGETHER_BYTES, fan_out, write_together
    from devenv.stores.dynamodb.client import split_batches

    names = described_keys(dynamo.call("DescribeTable", {"TableName": table})["Table"]).names
    present = {key_of(item, names): item for item in dynamo.scan(table, ConsistentRead=True)}
    requests: list[Mapping[str, Any]] = []
    for item in items:
        old = present.pop(key_of(item, names), None)
        if old is None or normal_item(old) != normal_item(item):
            requests.append({"PutRequest": {"Item": item}})
    requests += [{"DeleteRequest": {"Key": {name: item[name] for name in names}}} for item in present.values()]
    lots = split_batches(requests, TOGETHER, TOGETHER_BYTES)
    for _ in fan_out(target, lots, lambda client, lot: write_together(client, table, lot)):
        pass


def read_cluster(stack: Stack) -> str | None:
    """The number of the Postgres cluster: from its files, else asked of the server; None when that does not answer."""
    from devenv.engines.embedded.postgres import read_cluster as read_file

    if stack.engine.files:
        return read_file(stack.engine.home / POSTGRES)
    from devenv.stores.postgres import client as postgres

    try:
        with postgres.connect(stack.engine.targets().postgres, database="postgres", read_only=True) as connection:
            return postgres.system_identifier(connection)
    except StoreError:
        return None
