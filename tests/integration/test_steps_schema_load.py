"""`schema-load` against a real DynamoDB Local."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import pytest

from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.steps.schema_load.schema_load import wait_active
from devenv.steps.step import describe
from devenv.stores.dynamodb.client import Dynamo

pytest_plugins = ("tests.integration.step_support",)


def definition(small: Any, name: str = "things", **more: Any) -> dict[str, Any]:
    return {
        "TableName": small.table(name),
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


def with_index(small: Any, key: str = "owner", projection: str = "ALL") -> dict[str, Any]:
    made = definition(small)
    made["AttributeDefinitions"].append({"AttributeName": key, "AttributeType": "S"})
    made["GlobalSecondaryIndexes"] = [
        {
            "IndexName": "by-owner",
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "Projection": {"ProjectionType": projection},
        }
    ]
    return made


def declare(small: Any, *definitions: Any) -> None:
    small.steps["schema-load"] = {"files": ["tables.json"]}
    small.write("tables.json", json.dumps(definitions[0] if len(definitions) == 1 else list(definitions)))


def put(small: Any, item: dict[str, Any], name: str = "things") -> None:
    with Dynamo(small.dynamodb) as dynamo:
        dynamo.call("PutItem", {"TableName": small.table(name), "Item": item})


ITEM = {"pk": {"S": "a"}, "sk": {"N": "1"}, "owner": {"S": "o"}}


def test_missing_tables_are_made_and_a_second_run_changes_nothing(small: Any) -> None:
    declare(small, definition(small), definition(small, "others"))
    assert small.look("schema-load").reason == f"table {small.table('things')} does not exist"
    assert small.run("schema-load").summary == "2 tables made"
    assert small.look("schema-load").state == "done"
    put(small, ITEM)
    assert small.run("schema-load").summary == "nothing to change"
    assert len(small.items("things")) == 1


def test_a_missing_index_is_added_and_a_changed_one_replaced_without_losing_an_item(small: Any) -> None:
    declare(small, definition(small))
    small.run("schema-load")
    put(small, ITEM)
    declare(small, with_index(small))
    state = small.look("schema-load")
    assert (state.state, state.reason) == (
        "stale",
        f"table {small.table('things')}: index `by-owner` is missing (owner (S), projection ALL)",
    )
    assert small.run("schema-load").summary == "1 index made"
    assert small.look("schema-load").state == "done"
    declare(small, with_index(small, projection="KEYS_ONLY"))
    assert "index `by-owner` has owner (S), projection ALL; declared:" in small.look("schema-load").reason
    assert small.run("schema-load").summary == "1 index made"
    assert small.look("schema-load").state == "done"
    with Dynamo(small.dynamodb) as dynamo:
        request = {
            "TableName": small.table("things"),
            "IndexName": "by-owner",
            "KeyConditionExpression": "#o = :o",
            "ExpressionAttributeNames": {"#o": "owner"},
            "ExpressionAttributeValues": {":o": {"S": "o"}},
        }
        assert dynamo.call("Query", request)["Items"] == [ITEM]


@pytest.mark.long
def test_a_table_whose_index_goes_is_waited_for(small: Any) -> None:
    """DynamoDB Local answers DescribeTable with InternalFailure at times, while an index goes."""
    declare(small, with_index(small))
    small.run("schema-load")
    table = small.table("things")
    failed: list[StoreError] = []
    over = threading.Event()

    def wait() -> None:
        with Dynamo(small.dynamodb) as dynamo:
            while not over.is_set() and not failed:
                try:
                    wait_active(dynamo, table)
                except StoreError as error:
                    failed.append(error)

    waiting = [threading.Thread(target=wait) for _ in range(4)]
    for each in waiting:
        each.start()
    try:
        for projection in ("KEYS_ONLY", "ALL") * 2:
            declare(small, with_index(small, projection=projection))
            assert small.run("schema-load").summary == "1 index made"
    finally:
        over.set()
        for each in waiting:
            each.join()
    assert failed == []


def test_an_index_made_by_hand_stays_and_is_no_difference(small: Any) -> None:
    declare(small, with_index(small))
    small.run("schema-load")
    declare(small, definition(small))
    assert small.look("schema-load").state == "done"


def test_what_only_a_new_table_can_change_stops_and_says_what_it_takes(small: Any) -> None:
    declare(small, definition(small))
    small.run("schema-load")
    put(small, ITEM)
    changed = definition(small)
    changed["AttributeDefinitions"][1]["AttributeType"] = "S"
    declare(small, changed, definition(small, "others"))
    with pytest.raises(DevenvError) as caught:
        small.run("schema-load")
    assert caught.value.exit_code == 8
    assert caught.value.detail == (
        f"table {small.table('things')} (tables.json): its key is pk (S), sk (N); declared: pk (S), sk (S)"
    )
    assert "devenv schema-load" in str(caught.value.hint)
    assert len(small.items("things")) == 1
    with Dynamo(small.dynamodb) as dynamo:
        assert describe(dynamo, small.table("others")) is None
    assert small.look("schema-load").state == "failed"
    assert small.foreign("schema-load") == (
        "DynamoDB has items that devenv did not write, or that changed after devenv wrote them:"
        f" 1 in table {small.table('things')}"
    )
    assert small.run("schema-load", fresh=True).summary == "1 table deleted, 2 tables made"
    assert small.items("things") == []
    assert small.look("schema-load").state == "done"


def test_from_scratch_leaves_tables_that_are_not_declared(small: Any) -> None:
    declare(small, definition(small), definition(small, "others"))
    small.run("schema-load")
    put(small, ITEM, "others")
    declare(small, definition(small))
    small.run("schema-load", fresh=True)
    assert len(small.items("others")) == 1


def test_a_definition_that_dynamodb_refuses_is_named_with_its_words(small: Any) -> None:
    local = {"IndexName": "local", "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}]}
    declare(small, definition(small, LocalSecondaryIndexes=[{**local, "Projection": {"ProjectionType": "ALL"}}]))
    with pytest.raises(DevenvError) as caught:
        small.run("schema-load")
    assert caught.value.exit_code == 8
    assert caught.value.what == f"tables.json: DynamoDB refused the definition of table {small.table('things')}"
    assert caught.value.detail
    declare(small, definition(small))
    small.run("schema-load")
    assert small.look("schema-load").state == "done"


def test_a_table_that_differs_only_by_case_is_another_one_and_is_said_so(small: Any) -> None:
    declare(small, definition(small))
    small.run("schema-load")
    other = definition(small)
    other["TableName"] = small.table("THINGS")
    declare(small, other)
    assert small.look("schema-load").state == "pending"
    with pytest.raises(DevenvError) as caught:
        small.run("schema-load")
    assert f"there is a table {small.table('things')}" in str(caught.value.cause)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"TableName": "a",\n  "KeySchema": ]}', "tables.json:2:16 is not valid JSON"),
        ("", "tables.json:1:1 is not valid JSON"),
        ('{"TableName": "a", "TableName": "b"}', 'tables.json: an object has "TableName" twice'),
        ("[1]", "tables.json is not a table definition"),
        ('{"TableName": "a"}', "tables.json is not a table definition"),
        (
            '{"TableName": "a", "AttributeDefinitions": [], "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}',
            "tables.json: the key of table a is not defined",
        ),
        ('{"TableName": "a", "AttributeDefinitions": [], "KeySchema": []}', "tables.json: the key of table a"),
        (
            '{"TableName": "abc", "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],'
            ' "KeySchema": [{"AttributeName": "k", "KeyType": "HSH"}]}',
            "tables.json: KeyType 'HSH' of table abc is unknown",
        ),
        (
            '{"TableName": "abc", "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "T"}],'
            ' "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}',
            "tables.json: AttributeType 'T' of table abc is unknown",
        ),
        (
            '{"TableName": "abc", "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],'
            ' "KeySchema": [{"AttributeName": "k", "KeyType": "RANGE"}]}',
            "tables.json: the key of table abc is RANGE",
        ),
        (
            '{"TableName": "a b", "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],'
            ' "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}',
            "tables.json: TableName 'a b' is not a valid table name",
        ),
        ('{"TableName": 7, "AttributeDefinitions": [], "KeySchema": []}', "tables.json: TableName must be a text"),
    ],
)
def test_files_that_are_no_definitions_are_refused_before_anything_is_written(small: Any, text: str, what: str) -> None:
    small.steps["schema-load"] = {"files": ["tables.json"]}
    small.write("tables.json", text)
    with pytest.raises(UsageError) as caught:
        small.read("schema-load")
    assert caught.value.what.startswith(what)


def test_a_table_declared_twice_is_refused(small: Any) -> None:
    small.steps["schema-load"] = {"files": ["*.json"]}
    small.write("a.json", json.dumps(definition(small)))
    small.write("b.json", json.dumps(copy.deepcopy(definition(small))))
    with pytest.raises(UsageError, match=r"is defined in a\.json and again in b\.json"):
        small.read("schema-load")


def test_nothing_declared_is_done(small: Any) -> None:
    assert small.look("schema-load").reason == "no tables are declared"
