"""The two projects of tests/shapes.py in real stores, under names of their own, removed afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from devenv.config.environment import connection_environment
from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget, PostgresTarget, Report, ServiceState, Targets
from devenv.doctor.context import DoctorContext
from devenv.doctor.runner import diagnose
from devenv.stores.dynamodb.client import Dynamo, typed_item
from tests.shapes import (
    MESSAGING_SQL,
    MESSAGING_TABLE,
    ORDERS_SQL,
    ORDERS_TABLE,
    conversation,
    messaging_settings,
    orders_settings,
)

# What these projects lack: a shell, an application, a data folder of their own, files of setup that devenv read.
ABSENT = ("ENV001", "SVC003", "SVC004", "SVC008", "SVC009", "SVC010", "ENV007", "DAT015")
Targeted = tuple[PostgresTarget, DynamoTarget]


@dataclass(frozen=True)
class Project:
    """A loaded project: its context for doctor, and ways to change its stores behind doctor's back."""

    context: DoctorContext
    table: str

    def doctor(self, **options: Any) -> Report:
        return diagnose(self.context, **options)

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        target = self.context.targets.postgres
        with psycopg.connect(
            host=target.host, port=target.port, user=target.user, password=target.password, dbname=target.database
        ) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def ids(self, natural: str = "handle", column: str = "uuid", relation: str = "public.users") -> dict[str, str]:
        return {key: str(value) for key, value in self.sql(f"SELECT {natural}, {column} FROM {relation}")}

    def items(self, **where: str) -> list[dict[str, Any]]:
        with Dynamo(self.context.targets.dynamodb) as dynamodb:
            found = list(dynamodb.scan(self.table))
        return [i for i in found if all(i.get(name, {}).get("S", "").startswith(text) for name, text in where.items())]

    def put(self, *items: Mapping[str, Any]) -> None:
        """Write items, given as Python values or as DynamoDB's own JSON."""
        with Dynamo(self.context.targets.dynamodb) as dynamodb:
            for item in items:
                raw = item if all(isinstance(value, dict) for value in item.values()) else typed_item(item)
                dynamodb.call("PutItem", {"TableName": self.table, "Item": raw})

    def delete(self, item: Mapping[str, Any]) -> None:
        names = [key["AttributeName"] for key in self.context.tables[self.table]["KeySchema"]]
        key = {name: item[name] for name in names}
        with Dynamo(self.context.targets.dynamodb) as dynamodb:
            dynamodb.call("DeleteItem", {"TableName": self.table, "Key": key})

    def change(self, item: Mapping[str, Any], **values: Any) -> None:
        """Replace attributes of an item (None removes one), its key too."""
        self.delete(item)
        changed = {**item, **typed_item({name: value for name, value in values.items() if value is not None})}
        for name in [name for name, value in values.items() if value is None]:
            del changed[name]
        self.put(changed)

    def with_application(self, **changes: str | None) -> Project:
        """The same project with a running application whose variables differ by `changes` (None: not set)."""
        environ = {**self.context.environment, **{k: v for k, v in changes.items() if v is not None}}
        for name in [name for name, value in changes.items() if value is None]:
            environ.pop(name, None)
        return replace(self, context=replace(self.context, application=environ))

    def with_shell(self, **variables: str) -> Project:
        """The same project, seen from a shell with these variables too."""
        return replace(self, context=replace(self.context, shell={**self.context.shell, **variables}))


def rows(report: Report, *statuses: str) -> dict[str, dict[str, Any]]:
    """Code -> row, of the rows with one of these statuses (default: what is wrong).

    Without what is skipped as these projects lack it: Docker, an application, demands of `[safety]`.
    """
    wanted = statuses or ("fail", "warn", "error")
    absent = [
        row
        for row in report.body["checks"]
        if row["status"] == "skip"
        and (
            row["layer"] in ("docker", "safety", "drift")
            or row["code"] in ABSENT
            or row["skip"]["reason"] == "undeclared"
        )
    ]
    return {row["code"]: row for row in report.body["checks"] if row["status"] in wanted and row not in absent}


@contextmanager
def project(
    stores: Targeted, settings: Mapping[str, Any], schema: str, request: Mapping[str, Any], table: str
) -> Iterator[Project]:
    """A database and a table of their own in these stores, removed at the end."""
    parsed = msgspec.convert(settings, Settings)
    postgres, dynamo = replace(stores[0], database=parsed.postgres.database, own=True), stores[1]
    targets = Targets.of(postgres, dynamo)
    environment = connection_environment(parsed, targets)
    services = (
        ServiceState("postgres", "running", host=postgres.host, port=postgres.port),
        ServiceState("dynamodb", "running", url=dynamo.endpoint),
    )
    tables = {table: {"TableName": table, **request}}
    context = DoctorContext(
        settings=parsed,
        root=Path.cwd(),
        targets=targets,
        services=services,
        environment=environment,
        expected_application=environment,
        shell={"PATH": ""},
        tables=tables,
    )
    admin = psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        dbname=stores[0].database,
        autocommit=True,
    )
    name = sql.Identifier(postgres.database)
    with admin, Dynamo(dynamo) as dynamodb:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        dynamodb.call("CreateTable", tables[table])
        if ttl := next((entity.ttl for entity in parsed.entities.values() if entity.ttl), None):
            specification = {"AttributeName": ttl, "Enabled": True}
            dynamodb.call("UpdateTimeToLive", {"TableName": table, "TimeToLiveSpecification": specification})
        try:
            made = Project(context, table)
            made.sql(schema)
            yield made
        finally:
            dynamodb.call("DeleteTable", {"TableName": table})
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    admin.close()


@contextmanager
def messaging(stores: Targeted) -> Iterator[Project]:
    """The messaging project with two conversations among four people."""
    mark = uuid.uuid4().hex[:10]
    table = f"doctor-letters-{mark}"
    with project(stores, messaging_settings(table, f"doctor_{mark}"), MESSAGING_SQL, MESSAGING_TABLE, table) as made:
        load_messaging(made)
        yield made


def load_messaging(made: Project) -> None:
    """Two conversations: ada with bo (12 letters), cy with ada (5 letters)."""
    who = {h: (str(u), h, n) for u, h, n in made.sql("SELECT uuid, handle, display_name FROM users")}
    start = datetime(2024, 5, 1, 10, 0, tzinfo=UTC)
    made.put(*conversation(who["ada"], who["bo"], [f"letter number {n}" for n in range(12)], start))
    made.put(*conversation(who["cy"], who["ada"], ["hi", "hello", "how are you", "fine", "bye"], start))


@contextmanager
def orders(stores: Targeted) -> Iterator[Project]:
    """The other project: numbers as keys, two links, no groups."""
    mark = uuid.uuid4().hex[:10]
    table = f"doctor-orders-{mark}"
    with project(stores, orders_settings(table, f"doctor_{mark}"), ORDERS_SQL, ORDERS_TABLE, table) as made:
        made.put(
            {"order_no": 1, "customer": 1001, "customer_code": "C-ONE", "sku": "apple", "label": "Apple"},
            {"order_no": 2, "customer": 1002, "customer_code": "C-TWO", "sku": "pear", "label": "Pear"},
            {"order_no": 3, "customer": 1002, "customer_code": "C-TWO", "sku": "apple"},
        )
        yield made


def show(report: Report) -> str:
    """What is wrong, for a failing test's message."""
    return json.dumps(rows(report), indent=1, default=str)
