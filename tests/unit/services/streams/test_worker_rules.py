"""What a stream worker decides without a store: which records are at an end, and how deep a function calls itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.services.streams import position
from devenv.services.streams.handler import HandlerOutcome
from devenv.services.streams.loops import DEEPEST, SOON_S, Depths, written_keys
from devenv.services.streams.position import LastRecord, Position
from devenv.services.streams.worker import completed


def records(*sequences: str) -> list[dict[str, Any]]:
    return [{"dynamodb": {"SequenceNumber": one, "Keys": {"pk": {"S": one}}}} for one in sequences]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, 3),
        ({}, 3),
        ({"batchItemFailures": []}, 3),
        ({"batchItemFailures": [{"itemIdentifier": "3"}]}, 2),
        ({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}, 1),
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, 0),
        ({"batchItemFailures": [{"itemIdentifier": "elsewhere"}]}, 0),
        ("a text", 3),
    ],
)
def test_records_before_the_first_failure_are_at_an_end(result: Any, expected: int) -> None:
    assert completed(HandlerOutcome(result), records("1", "2", "3")) == expected
    assert completed(HandlerOutcome(result, error="ValueError: no"), records("1", "2", "3")) == 0


def write(key: str, table: str = "t") -> tuple[str, str]:
    return "PutItem", json.dumps({"TableName": table, "Item": {"pk": {"S": key}, "text": {"S": "x"}}})


def test_a_function_that_writes_what_calls_it_gets_deeper_each_time() -> None:
    depths = Depths("t", ("pk",))
    for number in range(DEEPEST):
        batch = records(str(number))
        assert depths.of(batch, 0.0) == number
        depths.called([write(str(number + 1))], depths.of(batch, 0.0), batch, 0.0)
    assert depths.of(records(str(DEEPEST)), 0.0) == depths.deepest


def test_what_the_application_writes_has_no_depth() -> None:
    depths = Depths("t", ("pk",))
    for number in range(50):
        depths.called([write("row"), write(str(number + 1), "other")], 0, records(str(number)), float(number))
        assert depths.of(records(str(number + 1)), float(number)) == 0
    # The function's own write comes back once, and causes nothing more.
    assert depths.of(records("row"), 50.0) == 1
    depths.called([], 1, records("row"), 50.0)
    assert depths.of(records("row"), 50.0) == 0


def test_without_knowledge_of_writes_only_the_same_item_changed_at_once_is_taken_for_a_loop() -> None:
    depths = Depths("t", ("pk",), tells=False)
    for number in range(depths.deepest):
        depths.called([], depths.of(records("1"), 0.1 * number), records("1"), 0.1 * number)
    end = 0.1 * (depths.deepest - 1)
    assert depths.of(records("1"), end) == depths.deepest
    assert depths.of(records("1"), end + SOON_S + 0.1) == 0
    assert depths.of(records("2"), end) == 0


def test_keys_are_found_in_every_kind_of_write() -> None:
    item = {"pk": {"S": "1"}, "x": {"S": "y"}}
    key = {"pk": {"S": "2"}}
    batch = {"RequestItems": {"t": [{"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": key}}], "other": []}}
    together = {
        "TransactItems": [{"Put": {"TableName": "t", "Item": item}}, {"Update": {"TableName": "o", "Key": key}}]
    }
    one, two = '{"pk": {"S": "1"}}', '{"pk": {"S": "2"}}'
    assert written_keys("BatchWriteItem", json.dumps(batch), "t", ("pk",)) == [one, two]
    assert written_keys("TransactWriteItems", json.dumps(together), "t", ("pk",)) == [one]
    assert written_keys("UpdateItem", json.dumps({"TableName": "t", "Key": key}), "t", ("pk",)) == [two]
    assert written_keys("PutItem", "no JSON", "t", ("pk",)) == []


def test_a_position_comes_back_and_a_broken_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    assert position.read(file) is None
    wanted = Position(stream="arn", shards={"s": LastRecord("7", "e")}, handled=3)
    position.write(file, wanted)
    assert position.read(file) == wanted
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text('{"stream": "arn", "shar')
    assert position.read(file) is None
    assert [each.name for each in tmp_path.iterdir()] == ["rows.json"]
