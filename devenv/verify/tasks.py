"""How the work is cut: into how many segments, and which part of which store each worker reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from devenv.core.value import Value
from devenv.links.judge import compile_plan
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.stores.dynamodb.key_schema import table_keys
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import read_catalog
from devenv.stores.postgres.reader import reading as open_postgres
from devenv.verify.context import Context
from devenv.verify.rows import column_classes
from devenv.verify.run import Run, StoreIdentity, Task
from devenv.verify.verdict import TableCoverage

ITEMS_PER_TASK: Final = 10_000
MAX_TASKS: Final = 128
# Half of what fits into a page, so that a segment nearly always is one: for every page DynamoDB Local reads the
# whole rest of the segment, which made a scan in one segment 20 times as slow as one in a hundred.
SEGMENT_BYTES: Final = 500_000
# More than this would cost requests, where segments of many pages are as fast: in AWS.
MAX_SEGMENTS: Final = 4096
ITEMS_PER_PARTITION: Final = 50_000
MAX_PARTITIONS: Final = 512


class Seen(Value, frozen=True):
    """One look at both stores before anything is read: who they are, and what the tables and columns are like.

    `has_rows`: Postgres has tables of the project.
    """

    target: StoreIdentity
    described: Mapping[str, Mapping[str, Any]]
    classes: Mapping[str, str]
    has_rows: bool = True


def look_at_stores(context: Context) -> Seen:
    """The identity of both stores. StoreError when one does not answer, or lacks a declared table or column."""
    plan = compile_plan(context.settings, {})
    with open_postgres(context.targets.postgres) as connection:
        catalog = read_catalog(connection)
        classes = column_classes(plan, catalog)
        identifier = postgres.system_identifier(connection)
        database = str(postgres.one(connection, "SELECT current_database()"))
    described = describe_tables(context, plan.tables)
    tables = {
        name: {
            "arn": str(table.get("TableArn", "")),
            "id": str(table.get("TableId", "")),
            "created": str(table.get("CreationDateTime", "")),
        }
        for name, table in described.items()
    }
    dotted = {".".join(place): kind for place, kind in classes.items()}
    return Seen(StoreIdentity(identifier, database, tables), described, dotted, bool(catalog.tables))


def describe_tables(context: Context, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The description of each of these tables. StoreError when one is not there."""
    with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
        return {name: dynamodb.call("DescribeTable", {"TableName": name})["Table"] for name in names}


def plan_tasks(described: Mapping[str, Mapping[str, Any]], segments: int | None) -> tuple[Task, ...]:
    """The segments of all tables, some together as a task, which is a unit of progress and of the checkpoint.

    `segments`: as many of each table, each a task of its own.
    """
    tasks: list[Task] = []
    for table, description in described.items():
        count = segments or min(MAX_TASKS, 1 + int(description["ItemCount"]) // ITEMS_PER_TASK)
        size = int(description.get("TableSizeBytes", 0))
        total = segments or max(count, min(MAX_SEGMENTS, 1 + size // SEGMENT_BYTES))
        bounds = [total * number // count for number in range(count + 1)]
        tasks += [Task(table, first, total, end - first) for first, end in pairwise(bounds)]
    return tuple(tasks)


def key_types(table: Mapping[str, Any]) -> dict[str, str]:
    """A table's key attributes and their types, the hash key first."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    return {name: types[name] for name in table_keys(table)}


def count_items(run: Run, before: Mapping[str, Any], table: TableCoverage) -> int:
    """The store's number of items, to hold against those read. StoreError.

    The description's number may be old. Only when it is larger than what was read, by more than what changed
    meanwhile, the table is described again (which DynamoDB Local does by counting), and then counted by reading it.
    """
    estimate = int(before["ItemCount"])
    if estimate <= table.items + table.slack:
        return max(estimate, table.items)
    with Dynamo(run.dynamodb, timeout=30.0) as dynamodb:
        estimate = min(estimate, int(dynamodb.call("DescribeTable", {"TableName": table.table})["Table"]["ItemCount"]))
        if estimate <= table.items + table.slack:
            return max(estimate, table.items)
        return sum(int(page["Count"]) for page in dynamodb.scan_pages(table.table, Select="COUNT"))
