"""The stand-in of tests/bench answers as DynamoDB Local does, and verify finds in it exactly what is wrong."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo
from tests.bench.page_server import NAMES, World, make_server, raw
from tests.conftest import Stores
from tests.integration.doctor_support import project
from tests.integration.verify_support import Compared, compared
from tests.shapes import MESSAGING_TABLE, messaging_settings

USERS_SQL = """
CREATE TABLE public.users (uuid uuid PRIMARY KEY, display_name text NOT NULL, handle text NOT NULL UNIQUE);
INSERT INTO public.users SELECT (lpad(to_hex(n), 8, '0') || '-2222-4222-8222-000000000000')::uuid, 'Person ' || n,
  'user' || n FROM generate_series(0, {}) AS n;
"""
WORLD = World(f"fake-{uuid.uuid4().hex[:8]}", 4, 10, damaged=5, halved=1)


@pytest.fixture(scope="module")
def both(stores: Stores) -> Iterator[tuple[Dynamo, Dynamo]]:
    """The stand-in, and DynamoDB Local with the same items."""
    server = make_server(WORLD)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake = DynamoTarget(f"http://127.0.0.1:{server.server_address[1]}", "us-east-1", "x", "x")
    with Dynamo(fake) as first, Dynamo(stores.dynamodb) as second:
        second.call("CreateTable", {"TableName": WORLD.table, **MESSAGING_TABLE})
        items = [item for number in range(WORLD.conversations) for item in WORLD.conversation(number)]
        second.write_batch(WORLD.table, [{"PutRequest": {"Item": raw(item, NAMES)}} for item in items])
        yield first, second
        second.call("DeleteTable", {"TableName": WORLD.table})
    server.shutdown()
    thread.join()
    server.server_close()


def read(dynamodb: Dynamo, operation: str, request: dict[str, Any]) -> list[Any]:
    """Every page's items in one order, and that counts agree."""
    found = []
    for page in dynamodb.pages(operation, {"TableName": WORLD.table, **request}):
        assert page["Count"] == len(page["Items"])
        found += page["Items"]
    return sorted(found, key=in_order)


def in_order(item: Any) -> bytes:
    return msgspec.json.encode(item, order="sorted")


def test_the_same_requests_get_the_same_answers(both: tuple[Dynamo, Dynamo]) -> None:
    projection = {"ProjectionExpression": "#0,#1", "ExpressionAttributeNames": {"#0": "pk", "#1": "user_uuid"}}
    by_owner = {
        "KeyConditionExpression": "#h = :h",
        "ExpressionAttributeNames": {"#h": "pk"},
        "ExpressionAttributeValues": {":h": {"S": WORLD.rows(2)[0]["pk"]}},
    }
    for operation, request in (("Scan", {}), ("Scan", projection), ("Query", by_owner)):
        fake, real = (read(dynamodb, operation, request) for dynamodb in both)
        assert fake == real != []
    fake, real = (
        sorted(
            (item for n in range(3) for item in read(dynamodb, "Scan", {"Segment": n, "TotalSegments": 3})),
            key=in_order,
        )
        for dynamodb in both
    )
    assert fake == real != []
    last = raw(WORLD.message(3, 97), ("pk", "sk"))
    ends = [read(d, "Scan", {"Segment": 0, "TotalSegments": 1, "ExclusiveStartKey": last}) for d in both]
    assert ends[0] == []
    keys = [
        raw(WORLD.message(0, 5), ("pk", "sk")),
        raw(WORLD.rows(1)[0], ("pk", "sk")),
        {"pk": {"S": "x"}, "sk": {"S": "y"}},
    ]
    got = [sorted(map(msgspec.json.encode, dynamodb.read_keys(WORLD.table, keys))) for dynamodb in both]
    assert len(got[0]) == len(got[1]) == 2
    descriptions = [d.call("DescribeTable", {"TableName": WORLD.table})["Table"] for d in both]
    assert descriptions[0]["KeySchema"] == descriptions[1]["KeySchema"]
    assert descriptions[0]["ItemCount"] == descriptions[1]["ItemCount"] == WORLD.items
    for dynamodb in both:
        with pytest.raises(StoreError) as caught:
            dynamodb.call("DescribeTable", {"TableName": "no-such-table"})
        assert caught.value.code == "ResourceNotFoundException"


@pytest.mark.parametrize(("damaged", "halved"), [(0, 0), (1, 0), (10, 3), (600, 5)])
def test_every_injected_difference_is_found_and_none_invented(
    stores: Stores, tmp_path: Path, damaged: int, halved: int
) -> None:
    table = f"fake-{uuid.uuid4().hex[:8]}"
    world = World(table, 20, 40, damaged, halved)
    server = make_server(world)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings = messaging_settings(table, f"fake_{table[5:]}")
    made = project((stores.postgres, stores.dynamodb), settings, USERS_SQL.format(39), MESSAGING_TABLE, table)
    with made as there:
        here = compared(there, tmp_path)
        target = replace(here.context.targets.dynamodb, endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        targets = replace(here.context.targets, services={**here.context.targets, "dynamodb": target})
        report = Compared(there, replace(here.context, targets=targets)).verify(segments=3, workers=2)
    server.shutdown()
    thread.join()
    server.server_close()
    assert report.body["findings"] == world.expected
    assert report.body["verdict"] == ("inconsistent" if world.expected else "consistent")
