"""A small chat whose items refer to rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devenv.stores.dynamodb.client import Dynamo, typed_item

USERS = """
CREATE TABLE users (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text NOT NULL UNIQUE, name text NOT NULL, nick text
);
INSERT INTO users (handle, name) VALUES ('ada', 'Ada'), ('bob', 'Bob'), ('o''hara "x" %s ]$', 'Ó''Hara');
"""


def group(owner: str, other: str, sk: str = "2023-01-01", text: str = "hi") -> dict[str, Any]:
    return {
        "pk": f"GRP#${{users[handle={owner}].uuid}}",
        "sk": sk,
        "text": text,
        "user_uuid": f"${{users[handle={other}].uuid}}",
        "user_handle": other,
        "user_name": f"${{users[handle={other}].name}}",
    }


def message(number: int, sender: str, text: str = "hello") -> dict[str, Any]:
    return {
        "pk": "MSG#1",
        "sk": f"2023-01-{number:02}",
        "text": text,
        "user_uuid": f"${{users[handle={sender}].uuid}}",
        "user_handle": sender,
    }


ITEMS = [group("ada", "bob"), group("bob", "ada"), message(1, "ada"), message(2, "bob"), message(3, "ada")]


@pytest.fixture
def chat(small: Any) -> Any:
    """A small chat, nothing loaded yet."""
    table = small.table("chat")
    small.steps.update(
        {
            "setup": {"files": ["users.sql"]},
            "schema-load": {"files": ["tables.json"]},
            "seed": {"files": ["items/*.json"]},
        }
    )
    small.links += [
        {
            "from": f"dynamodb:{table}.user_uuid",
            "to": "postgres:users.uuid",
            "natural_key": {"user_handle": "handle"},
            "copies": {"user_name": "name"},
        },
        {"from": f"dynamodb:{table}.pk[GRP#{{}}]", "to": "postgres:users.uuid"},
    ]
    small.write("users.sql", USERS)
    definition = {
        "TableName": table,
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "rank", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-rank",
                "KeySchema": [{"AttributeName": "rank", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    small.write("tables.json", json.dumps(definition))
    seeds(small, ITEMS)
    return small


def seeds(small: Any, items: list[Any], name: str = "items/1.json", table: str = "chat") -> None:
    small.write(name, json.dumps({"table": small.table(table), "items": items}))


def call(small: Any, operation: str, **body: Any) -> Any:
    with Dynamo(small.dynamodb) as dynamo:
        return dynamo.call(operation, {"TableName": small.table("chat"), **body})


def put(small: Any, **item: Any) -> None:
    call(small, "PutItem", Item=typed_item(item))


def ids(small: Any) -> dict[str, str]:
    return dict(small.sql("SELECT handle, uuid::text FROM users"))


def texts(small: Any) -> list[str]:
    return [f"{item['pk'][:4]}{item['sk'][-2:]} {item['text']}" for item in sorted_items(small)]


def sorted_items(small: Any) -> list[dict[str, Any]]:
    return sorted(small.items("chat"), key=lambda item: (item["pk"][:4], item["sk"], item.get("user_handle", "")))


def agrees(small: Any) -> bool:
    """Whether every id in the items is the id of the row that their handles name."""
    now = ids(small)
    return all(
        item["user_uuid"] == now[item["user_handle"]]
        and (not item["pk"].startswith("GRP#") or item["pk"][4:] in now.values())
        for item in small.items("chat")
    )
