"""Declared patterns as requests, without a store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devenv.capture.calls import StoreCall, shown
from devenv.config.schema import Pattern
from devenv.core.errors import UsageError
from devenv.patterns.declared import describe, item_bytes, prepare, read_units, request_of
from devenv.trace.layers.pattern import LAYER
from devenv.trace.observation import PatternObservation
from tests.unit.trace.test_trace_values import TABLE

# --- patterns ---


def prepared(**given: Any) -> Any:
    return prepare(msgspec.convert({"table": "t", **given}, Pattern), {"id": "7", "year": "2026"}, TABLE)


def test_a_pattern_as_a_request() -> None:
    found = prepared(key={"pk": "MSG#{id}"}, sort={"between": [1, 5]}, order="newest first", limit=3)
    assert request_of(found) == {
        "TableName": "t",
        "ReturnConsumedCapacity": "TOTAL",
        "KeyConditionExpression": "#n0 = :v0 AND #n1 BETWEEN :v1 AND :v2",
        "ExpressionAttributeNames": {"#n0": "pk", "#n1": "sk"},
        "ExpressionAttributeValues": {":v0": {"S": "MSG#7"}, ":v1": {"N": "1"}, ":v2": {"N": "5"}},
        "ScanIndexForward": False,
        "Limit": 3,
    }
    assert shown(describe(found)) == "Query t where pk = MSG#7 and sk BETWEEN 1 AND 5 descending limit 3 paged"


def test_a_pattern_on_an_index_with_a_filter() -> None:
    found = prepared(index="by-group", key={"group": "{id}"}, filter="author = :me", values={"me": "ada"})
    request = request_of(found)
    assert (request["IndexName"], request["FilterExpression"]) == ("by-group", "(author = :me)")
    assert request["ExpressionAttributeValues"] == {":v0": {"S": "7"}, ":me": {"S": "ada"}}


def test_a_scan_has_its_key_as_a_filter() -> None:
    request = request_of(prepared(key={"pk": "MSG#{id}"}, operation="Scan"))
    assert request["FilterExpression"] == "(#n0 = :v0)"
    assert "KeyConditionExpression" not in request


def test_restrictions_are_lifted_one_after_the_other() -> None:
    found = prepared(
        key={"pk": "X"}, sort={"begins_with": "{year}"}, limit=3, paged=False, filter="a = :a", values={"a": 1}
    )
    assert found.restrictions == ("limit", "filter", "sort")
    assert "Limit" not in request_of(found.lifted("limit"))
    bare = request_of(found.lifted(*found.restrictions))
    assert set(bare) == {
        "TableName", "ReturnConsumedCapacity", "KeyConditionExpression", "ExpressionAttributeNames",
        "ExpressionAttributeValues",
    }  # fmt: skip
    assert prepared(key={"pk": "X"}, limit=3).restrictions == ()


def test_a_sort_condition_needs_a_sort_key() -> None:
    with pytest.raises(UsageError, match="does not fit index by-group"):
        request_of(prepared(index="by-group", key={"group": "x"}, sort={"less": 1}))


def test_read_units_are_started_blocks_of_4_kb_halved() -> None:
    item = {"pk": {"S": "x" * 4093}, "n": {"BOOL": True}}
    assert item_bytes(item) == 2 + 4093 + 1 + 1
    assert read_units([item_bytes(item)]) == 1.0
    assert read_units([item_bytes(item)], consistent=True) == 2.0
    assert read_units([]) == 0.5


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2),
        ({"N": "-12.50"}, 4),
        ({"NULL": True}, 1),
        ({"L": [{"S": "a"}, {"S": "b"}]}, 3 + 2 + 2),
        ({"M": {"k": {"S": "v"}}}, 3 + 1 + 1 + 1),
        ({"SS": ["a", "bc"]}, 3),
    ],
)
def test_sizes_of_values(value: dict[str, Any], size: int) -> None:
    assert item_bytes({"": value}) == size


@pytest.mark.parametrize(
    ("count", "told"), [(0, "no item matches Query notes where pk = A"), (2, "Query notes where pk = A")]
)
def test_the_line_of_a_pattern_says_that_no_item_matches(count: int, told: str) -> None:
    asked = StoreCall("Query", table="notes", count=count)
    seen = PatternObservation(request={"declared": "Query notes where pk = A"}, asked=asked)
    assert LAYER.summarize(seen) == told
    assert LAYER.attributes(seen)["db.query.text"] == "Query notes where pk = A"
