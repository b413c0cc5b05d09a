"""Two projects as plain values, for tests of everything that judges items and rows.

`messaging` has the reference project's shape (mirrored groups, copies, keys made of ids). `orders` is another one:
numbers as keys, two links, no groups, another schema. Both are known to devenv by their configuration alone.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from devenv.config.schema import Settings
from devenv.links.judge import LinkJudgement, compile_plan, judge
from devenv.stores.dynamodb.client import typed_item

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


def messaging_settings(table: str, database: str) -> dict[str, Any]:
    copies = {"user_handle": "handle", "user_display_name": "display_name"}
    person = {"user_uuid": "uuid", "user_display_name": "string", "user_handle": "string"}
    return {
        "project": {"name": "letters"},
        "postgres": {"database": database},
        "env": {"LETTERS_TABLE": table},
        "patterns": {
            "letters": {"table": table, "key": {"pk": "MSG#{message_group_uuid}"}, "expected": {"at_least": 1}}
        },
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
        "patterns": {"order": {"table": table, "key": {"order_no": "{order_no}"}, "expected": {"at_most": 1}}},
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


TABLE = "letters"
NOW = datetime(2025, 1, 1, tzinfo=UTC)
START = datetime(2024, 5, 1, 10, tzinfo=UTC)
USERS = ("public", "users")
SETTINGS = messaging_settings(TABLE, "letters")
PLAN = compile_plan(msgspec.convert(SETTINGS, Settings), {TABLE: ("pk", "sk")})


class World:
    """Four people and two conversations as plain values, to be damaged by a test."""

    def __init__(self) -> None:
        names = [("ada", "Ada North"), ("bo", "Bo South"), ("cy", "Cy West"), ("di", "Di East")]
        self.rows: list[dict[str, Any]] = [{"uuid": uuid.uuid4(), "handle": h, "display_name": n} for h, n in names]
        texts = [f"letter {number}" for number in range(12)]
        self.items = [
            *conversation(self.who("ada"), self.who("bo"), texts, START),
            *conversation(self.who("cy"), self.who("ada"), ["hi", "hello", "how are you", "fine", "bye"], START),
        ]
        self.first = self.items[0]["pk"].removeprefix("MSG#")
        self.second = self.items[14]["pk"].removeprefix("MSG#")

    def row(self, handle: str) -> dict[str, Any]:
        return next(row for row in self.rows if row["handle"] == handle)

    def who(self, handle: str) -> tuple[str, str, str]:
        row = self.row(handle)
        return str(row["uuid"]), row["handle"], row["display_name"]

    def id(self, handle: str) -> str:
        return str(self.row(handle)["uuid"])

    def letters(self, group: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item["pk"] == f"MSG#{group}"]

    def heads(self, group: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item.get("message_group_uuid") == group]

    def judge(self, now: datetime = NOW) -> LinkJudgement:
        raw = [typed_item(item) for item in self.items]
        return judge(PLAN, {TABLE: raw}, {USERS: self.rows}, now)
