"""What patterns declare of their answers, against plain records."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devenv.config.schema import Pattern, Settings
from devenv.doctor.checks.patterns import by_key, judge_answers, says_more, uncounted
from devenv.links.judge import Fault, ItemRecord, compile_plan, read_records
from devenv.stores.dynamodb.client import typed_item
from devenv.stores.dynamodb.key_schema import Place

PLACE = Place("shop", None, "table", "pk", "sk", {"pk": "S", "sk": "S"})
INDEX = Place("shop", "by-day", "global", "day", "sk", {"day": "S", "sk": "S"})
SETTINGS = {
    "project": {"name": "shop"},
    "entities": {
        "order": {"table": "shop", "match": {"pk": "ORDER#{order_id}", "sk": "HEAD"}},
        "line": {"table": "shop", "match": {"pk": "ORDER#{order_id}", "sk": "LINE#{number}"}},
    },
}


def records(*items: dict[str, Any]) -> list[ItemRecord]:
    plan = compile_plan(msgspec.convert(SETTINGS, Settings), {"shop": ("pk", "sk")})
    return list(read_records(plan, "shop", map(typed_item, items)))


def pattern(**keys: Any) -> Pattern:
    return msgspec.convert({"table": "shop", "key": {"pk": "ORDER#{order_id}"}, **keys}, Pattern)


STORED = records(
    {"pk": "ORDER#1", "sk": "HEAD", "day": "monday"},
    {"pk": "ORDER#1", "sk": "LINE#1"},
    {"pk": "ORDER#1", "sk": "LINE#2"},
    {"pk": "ORDER#2", "sk": "HEAD", "day": "monday"},
    {"pk": "USER#2", "sk": "HEAD"},
)


def found(asked: Pattern, place: Place = PLACE) -> dict[str, int]:
    return {key: len(mine) for key, mine in by_key(asked, place, STORED).items()}


def test_items_are_put_together_by_the_key_and_its_condition() -> None:
    assert found(pattern()) == {"pk = ORDER#1": 3, "pk = ORDER#2": 1}
    assert found(pattern(sort={"begins_with": "LINE#"})) == {"pk = ORDER#1": 2}
    assert found(pattern(sort={"equals": "HEAD"})) == {"pk = ORDER#1": 1, "pk = ORDER#2": 1}
    assert found(pattern(key={"pk": "ORDER#1", "sk": "HEAD"})) == {"pk = ORDER#1, sk = HEAD": 1}
    assert found(pattern(key={"day": "{today}"}, index="by-day"), INDEX) == {"day = monday": 2}
    assert found(pattern(key={"pk": "order#{order_id}"})) == {}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"expected": {"at_least": 2}}, ["returns 1 item, expected at least 2"]),
        ({"expected": {"at_most": 2}}, ["returns 3 items, expected at most 2"]),
        ({"entities": ["order"]}, ["also returns items of kind `line`"]),
        ({"entities": ["order", "line"], "expected": {"at_least": 1, "at_most": 3}}, []),
    ],
)
def test_too_few_too_many_and_other_kinds(keys: dict[str, Any], said: list[str]) -> None:
    asked = pattern(**keys)
    assert [text for _, text in judge_answers(asked, by_key(asked, PLACE, STORED), ())] == said


def test_items_of_no_kind_are_no_kind() -> None:
    asked = pattern(entities=["order"])
    told = [text for _, text in judge_answers(asked, {"pk = NOPE#1": records({"pk": "NOPE#1", "sk": "X"})}, ())]
    assert told == ["also returns 1 item that matches no [entities]"]


def test_an_item_with_a_fault_of_its_own_explains_the_number() -> None:
    asked = pattern(expected={"at_least": 2})
    fault = Fault("half_group", ("2",), "half", STORED[3])
    assert list(judge_answers(asked, by_key(asked, PLACE, STORED), [fault])) == []


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"filter": "x = :y", "values": {"y": 1}}, "it has a filter"),
        ({"sort": {"begins_with": "{year}"}}, "the condition on its sort key has parameters, or is a range"),
        ({"sort": {"less": "M"}}, "the condition on its sort key has parameters, or is a range"),
        ({"operation": "scan"}, "it reads the whole table"),
        ({}, ""),
    ],
)
def test_what_cannot_be_counted_says_why(keys: dict[str, Any], why: str) -> None:
    assert uncounted(pattern(**keys)) == why


def test_a_pattern_that_says_nothing_of_its_answers_is_not_judged() -> None:
    assert not says_more(pattern())
    assert says_more(pattern(entities=["order"]))
    assert not says_more(msgspec.convert({"sql": "SELECT 1", "expected": {"at_least": 1}}, Pattern))
