"""The DynamoDB client against DynamoDB Local, and against servers that misbehave as a real one cannot be made to."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from decimal import Decimal

import pytest

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo, plain, probe, typed_item
from tests.e2e.world import free_port
from tests.integration.dynamodb_support import answering, find_parts, reply, serving, target, wait_for

REFUSED = reply(
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","Message":"no"}', "400 Bad Request"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoTarget]:
    java, local = find_parts()
    with serving(java, local, tmp_path_factory.mktemp("store") / "data") as (where, _):
        yield where


@pytest.fixture
def table(server: DynamoTarget, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("[", "-").replace("]", "")
    with Dynamo(server) as dynamo:
        dynamo.call(
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        )
        yield name
        dynamo.call("DeleteTable", {"TableName": name})


def test_values_come_back_as_they_were_stored(server, table):
    item = {
        "pk": "Zoë ✓",
        "exact": Decimal("12345678901234567890123456789012345678"),
        "tiny": Decimal("1E-130"),
        "tenth": Decimal("0.1"),
        "bytes": bytes(range(256)),
        "yes": True,
        "no": None,
        "list": ["a", Decimal(1), {"deep": [False]}],
        "names": {"a", "b"},
        "numbers": {Decimal(1), Decimal("2.5")},
        "blobs": {b"a", b"b"},
    }
    with Dynamo(server) as dynamo:
        dynamo.call("PutItem", {"TableName": table, "Item": typed_item(item)})
        assert [plain(raw) for raw in dynamo.scan(table)] == [item]


def test_a_batch_of_any_size_is_written_and_scanned_page_by_page(server, table):
    items = [{"pk": {"S": f"{n:03}"}, "text": {"S": "x" * 40_000}} for n in range(60)]
    with Dynamo(server) as dynamo:
        dynamo.write_batch(table, [{"PutRequest": {"Item": item}} for item in items])
        assert len(list(dynamo.pages("Scan", {"TableName": table}))) > 1
        assert sorted(item["pk"]["S"] for item in dynamo.scan(table)) == [item["pk"]["S"] for item in items]
        dynamo.write_batch(table, [{"DeleteRequest": {"Key": {"pk": item["pk"]}}} for item in items[:30]])
        assert sum(1 for _ in dynamo.scan(table, Segment=0, TotalSegments=1)) == 30


def test_tables_are_listed_page_by_page(server, table):
    with Dynamo(server) as dynamo:
        names = [name for page in dynamo.pages("ListTables", {"Limit": 1}) for name in page["TableNames"]]
    assert table in names


def test_an_error_names_operation_table_and_endpoint_with_the_servers_words(server):
    with Dynamo(server) as dynamo, pytest.raises(StoreError) as caught:
        dynamo.call("GetItem", {"TableName": "missing", "Key": {"pk": {"S": "a"}}})
    error = caught.value
    assert error.what == f"DynamoDB GetItem of table missing at {server.endpoint} failed: ResourceNotFoundException"
    assert "non-existent table" in (error.detail or "")
    assert (error.code, error.reached) == ("ResourceNotFoundException", True)


def test_the_connection_is_kept_and_survives_an_error(server, table):
    with Dynamo(server) as dynamo:
        dynamo.call("ListTables")
        kept = dynamo._connection
        with pytest.raises(StoreError):
            dynamo.call("Query", {"TableName": table})
        dynamo.call("ListTables")
        assert dynamo._connection is kept


def test_no_one_there():
    where = target(free_port())
    with pytest.raises(StoreError) as caught:
        probe(where)
    assert caught.value.what == f"DynamoDB ListTables at {where.endpoint} got no answer"
    assert "refused" in (caught.value.detail or "").lower()
    assert not caught.value.reached


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StoreError) as caught:
        probe(target(silent.getsockname()[1]), timeout=0.2)
    assert caught.value.detail == "no answer within 0.2 s"
    assert not caught.value.reached


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<html><body>It works!</body></html>", kind="text/html"),
        reply(b"", "404 Not Found"),
        reply(b'{"detail": "Not Found"}', "404 Not Found", "application/json"),
        reply(b"[]"),
        reply(b"{}"),
        reply(b"\xff\xfe"),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x00",
    ],
)
def test_something_else_on_the_port_is_not_taken_for_dynamodb(answer):
    with answering([answer], [answer]) as (where, _), pytest.raises(StoreError) as caught:
        probe(where)
    assert not caught.value.reached
    assert where.endpoint in caught.value.what


def test_a_connection_closed_while_idle_is_replaced_before_anything_is_sent():
    with answering([reply(b"{}")], [reply(b'{"Attributes": {}}')]) as (where, seen), Dynamo(where) as dynamo:
        dynamo.call("PutItem", {"TableName": "t"})
        kept = dynamo._connection
        assert kept is not None
        wait_for(lambda: select.select([kept.sock], [], [], 0)[0])
        assert dynamo.call("UpdateItem", {"TableName": "t"}) == {"Attributes": {}}
        assert len(seen) == 2


def test_a_read_is_sent_again_when_a_kept_connection_breaks():
    with answering([reply(b"{}"), None], [reply(b'{"Items": []}')]) as (where, seen), Dynamo(where) as dynamo:
        dynamo.call("ListTables")
        assert dynamo.call("Query", {"TableName": "t"}) == {"Items": []}
        assert len(seen) == 3


def test_a_write_is_never_sent_twice():
    with answering([reply(b"{}"), None], [reply(b"{}")]) as (where, seen), Dynamo(where) as dynamo:
        dynamo.call("ListTables")
        with pytest.raises(StoreError) as caught:
            dynamo.call("UpdateItem", {"TableName": "t"})
        assert not caught.value.reached
        assert len(seen) == 2


def test_unprocessed_items_are_sent_again_until_none_is_left():
    left = reply(b'{"UnprocessedItems": {"t": [{"PutRequest": {"Item": {"pk": {"S": "b"}}}}]}}')
    requests = [{"PutRequest": {"Item": {"pk": {"S": name}}}} for name in "ab"]
    with answering([left, left, reply(b"{}")]) as (where, seen), Dynamo(where) as dynamo:
        dynamo.write_batch("t", requests)
        assert [request.count(b"PutRequest") for request in seen] == [2, 1, 1]


def test_items_that_stay_unprocessed_are_a_failure():
    left = reply(b'{"UnprocessedItems": {"t": [{"PutRequest": {"Item": {"pk": {"S": "b"}}}}]}}')
    with answering([left] * 9) as (where, _), Dynamo(where) as dynamo, pytest.raises(StoreError) as caught:
        dynamo.write_batch("t", [{"PutRequest": {"Item": {"pk": {"S": "b"}}}}], deadline_s=0.1)
    assert caught.value.code == "UnprocessedItems"
    assert caught.value.what == f"1 item of t not accepted by DynamoDB at {where.endpoint}"


def test_the_type_of_an_error_has_no_prefix():
    with answering([REFUSED]) as (where, _), Dynamo(where) as dynamo, pytest.raises(StoreError) as caught:
        dynamo.call("ListTables")
    assert (caught.value.code, caught.value.detail) == ("ResourceNotFoundException", "no")


def test_a_batch_stops_at_the_first_error(server, table):
    good = [{"PutRequest": {"Item": {"pk": {"S": str(n)}}}} for n in range(25)]
    with Dynamo(server) as dynamo:
        with pytest.raises(StoreError) as caught:
            dynamo.write_batch(table, [*good, {"PutRequest": {"Item": {"other": {"S": "no key"}}}}])
        assert caught.value.code == "ValidationException"
        assert sum(1 for _ in dynamo.scan(table)) == 25
