"""Two small projects in real stores for doctor's tests: made under names of their own, and removed afterwards.

`messaging` has the reference project's shape (mirrored groups, copies, keys made of ids). `orders` is another one:
numbers as keys, two links, no groups, another schema. Both are known to devenv by their configuration alone.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from devenv.checks.facts import DoctorContext
from devenv.config import Settings
from devenv.doctor import diagnose
from devenv.environment import connection_environment
from devenv.model import DynamoTarget, PostgresTarget, Report, ServiceState, Targets
from devenv.stores.dynamodb import Dynamo, typed_item

POSTGRES = PostgresTarget("127.0.0.1", int(os.environ.get("TEST_PGPORT", "55432")), "postgres", "devpw")
DYNAMODB = DynamoTarget(os.environ.get("TEST_DYNAMODB", "http://127.0.0.1:58000"), "us-east-1", "devenvkey", "secret")
TIME = "%Y-%m-%dT%H:%M:%S.%f+00:00"

MESSAGING_SQL = """
CREATE TABLE public.users (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), display_name text NOT NULL, handle text NOT NULL UNIQUE,
  email text NOT NULL, cognito_user_id text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO public.users (display_name, handle, email, cognito_user_id) VALUES
  ('Ada North', 'ada', 'ada@example.com', '0b6d1c1e-1111-4a3b-9a51-000000000001'),
  ('Bo South', 'bo', 'bo@example.com', '0b6d1c1e-1111-4a3b-9a51-000000000002'),
  ('Cy West', 'cy', 'cy@example.com', '0b6d1c1e-1111-4a3b-9a51-000000000003'),
  ('Di East', 'di', 'di@example.com', '0b6d1c1e-1111-4a3b-9a51-000000000004');
"""
ORDERS_SQL = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, code text NOT NULL UNIQUE, title text NOT NULL);
CREATE TABLE shop.products (sku text PRIMARY KEY, price integer NOT NULL, label text NOT NULL);
INSERT INTO shop.customers VALUES (1001, 'C-ONE', 'First Ltd'), (1002, 'C-TWO', 'Second Ltd');
INSERT INTO shop.products VALUES ('apple', 30, 'Apple'), ('pear', 40, 'Pear');
"""


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
    """Code -> row, of the rows with one of these statuses (default: what is wrong)."""
    wanted = statuses or ("fail", "warn", "error")
    return {row["code"]: row for row in report.body["checks"] if row["status"] in wanted}


def messaging_settings(table: str, database: str) -> dict[str, Any]:
    copies = {"user_handle": "handle", "user_display_name": "display_name"}
    person = {"user_uuid": "uuid", "user_display_name": "string", "user_handle": "string"}
    return {
        "project": {"name": "letters"},
        "postgres": {"database": database},
        "env": {"LETTERS_TABLE": table},
        "entities": {
            "conversation": {
                "table": table,
                "match": {"pk": "GRP#{owner_uuid}"},
                "attributes": {
                    "owner_uuid": "uuid",
                    "sk": "time",
                    "message_group_uuid": "uuid",
                    "message": "string",
                    **person,
                },
            },
            "letter": {
                "table": table,
                "match": {"pk": "MSG#{message_group_uuid}"},
                "unique": ["message_uuid"],
                "ttl": "expires",
                "attributes": {
                    "message_group_uuid": "uuid",
                    "sk": "time",
                    "message_uuid": "uuid",
                    "message": "string",
                    "expires": "number?",
                    **person,
                },
            },
        },
        "links": [
            {
                "name": "user",
                "from": f"dynamodb:{table}.user_uuid",
                "to": "postgres:users.uuid",
                "natural_key": {"user_handle": "handle"},
                "copies": copies,
            },
            {"name": "owner", "from": f"dynamodb:{table}.pk[GRP#{{}}]", "to": "postgres:users.uuid"},
        ],
        "groups": [
            {
                "name": "conversation",
                "rows": "conversation",
                "id": "message_group_uuid",
                "size": 2,
                "owner": "owner_uuid",
                "other": "user_uuid",
                "entries": "letter",
                "author": "user_uuid",
                "time": "sk",
                "preview": {"message": "message"},
            }
        ],
    }


def orders_settings(table: str, database: str) -> dict[str, Any]:
    return {
        "project": {"name": "shop"},
        "postgres": {"database": database},
        "entities": {
            "order": {
                "table": table,
                "attributes": {"order_no": "number", "customer": "number", "sku": "string", "label": "string?"},
            }
        },
        "links": [
            {
                "from": f"dynamodb:{table}.customer",
                "to": "postgres:shop.customers.id",
                "natural_key": {"customer_code": "code"},
            },
            {"from": f"dynamodb:{table}.sku", "to": "postgres:shop.products.sku", "copies": {"label": "label"}},
        ],
    }


MESSAGING_TABLE = {
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "message_group_uuid")
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-group",
            "KeySchema": [
                {"AttributeName": "message_group_uuid", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
ORDERS_TABLE = {
    "AttributeDefinitions": [{"AttributeName": "order_no", "AttributeType": "N"}],
    "KeySchema": [{"AttributeName": "order_no", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def conversation(
    one: tuple[str, str, str], other: tuple[str, str, str], texts: list[str], start: datetime
) -> list[dict[str, Any]]:
    """The items of one conversation; a person is (uuid, handle, display name), and they write in turn."""
    group = str(uuid.uuid4())
    items: list[dict[str, Any]] = []
    at = start
    for number, text in enumerate(texts):
        at = start + timedelta(seconds=37 * number + 7 * (number % 3), microseconds=number)
        items.append(
            {"pk": f"MSG#{group}", "sk": at.strftime(TIME), "message_uuid": str(uuid.uuid4()), "message": text}
            | person([one, other][number % 2])
        )
    for mine, theirs in ((one, other), (other, one)):
        row = {"pk": f"GRP#{mine[0]}", "sk": at.strftime(TIME), "message_group_uuid": group}
        items.append(row | {"message": texts[-1] if texts else ""} | person(theirs))
    return items


def person(who: tuple[str, str, str]) -> dict[str, str]:
    return {"user_uuid": who[0], "user_handle": who[1], "user_display_name": who[2]}


@contextmanager
def project(settings: Mapping[str, Any], schema: str, request: Mapping[str, Any], table: str) -> Iterator[Project]:
    """A database and a table of their own, removed at the end."""
    parsed = msgspec.convert(settings, Settings)
    postgres = replace(POSTGRES, database=parsed.postgres.database)
    targets = Targets(postgres, DYNAMODB)
    environment = connection_environment(parsed, targets)
    services = (
        ServiceState("postgres", "running", host=postgres.host, port=postgres.port),
        ServiceState("dynamodb", "running", url=DYNAMODB.endpoint),
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
        host=postgres.host, port=postgres.port, user=postgres.user, password=postgres.password, autocommit=True
    )
    name = sql.Identifier(postgres.database)
    with admin, Dynamo(DYNAMODB) as dynamodb:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        dynamodb.call("CreateTable", tables[table])
        try:
            made = Project(context, table)
            made.sql(schema)
            yield made
        finally:
            dynamodb.call("DeleteTable", {"TableName": table})
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    admin.close()


@contextmanager
def messaging() -> Iterator[Project]:
    """The messaging project with two conversations among four people."""
    mark = uuid.uuid4().hex[:10]
    table = f"doctor-letters-{mark}"
    with project(messaging_settings(table, f"doctor_{mark}"), MESSAGING_SQL, MESSAGING_TABLE, table) as made:
        load_messaging(made)
        yield made


def load_messaging(made: Project) -> None:
    """Two conversations: ada with bo (12 letters), cy with ada (5 letters)."""
    who = {h: (str(u), h, n) for u, h, n in made.sql("SELECT uuid, handle, display_name FROM users")}
    start = datetime(2024, 5, 1, 10, 0, tzinfo=UTC)
    made.put(*conversation(who["ada"], who["bo"], [f"letter number {n}" for n in range(12)], start))
    made.put(*conversation(who["cy"], who["ada"], ["hi", "hello", "how are you", "fine", "bye"], start))


@contextmanager
def orders() -> Iterator[Project]:
    """The other project: numbers as keys, two links, no groups."""
    mark = uuid.uuid4().hex[:10]
    table = f"doctor-orders-{mark}"
    with project(orders_settings(table, f"doctor_{mark}"), ORDERS_SQL, ORDERS_TABLE, table) as made:
        made.put(
            {"order_no": 1, "customer": 1001, "customer_code": "C-ONE", "sku": "apple", "label": "Apple"},
            {"order_no": 2, "customer": 1002, "customer_code": "C-TWO", "sku": "pear", "label": "Pear"},
            {"order_no": 3, "customer": 1002, "customer_code": "C-TWO", "sku": "apple"},
        )
        yield made


def show(report: Report) -> str:
    """What is wrong, for a failing test's message."""
    return json.dumps(rows(report), indent=1, default=str)
