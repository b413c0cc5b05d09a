"""Event filter patterns, by the examples of AWS Lambda's developer guide and by what is no pattern."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.config.filters import fits, problem

RECORD: dict[str, Any] = {
    "eventName": "INSERT",
    "dynamodb": {
        "Keys": {"pk": {"S": "MSG#1"}},
        "NewImage": {
            "message": {"S": "Hello"},
            "count": {"N": "3"},
            "tags": {"SS": ["a", "b"]},
            "gone": {"NULL": True},
        },
        "SizeBytes": 30,
    },
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["REMOVE", "MODIFY"]}, False),
        ({"eventName": ["INSERT"], "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "MSG#"}]}}}}, True),
        ({"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "GRP#"}]}}}}, False),
        ({"dynamodb": {"Keys": {"pk": {"S": [{"suffix": "1"}]}}}}, True),
        ({"dynamodb": {"NewImage": {"message": {"S": [{"equals-ignore-case": "HELLO"}]}}}}, True),
        ({"dynamodb": {"NewImage": {"message": {"S": [{"anything-but": ["Hello"]}]}}}}, False),
        ({"dynamodb": {"NewImage": {"message": {"S": [{"anything-but": {"prefix": "Bye"}}]}}}}, True),
        ({"dynamodb": {"NewImage": {"other": {"S": [{"anything-but": ["x"]}]}}}}, False),
        ({"dynamodb": {"NewImage": {"message": {"S": [{"exists": True}]}}}}, True),
        ({"dynamodb": {"NewImage": {"other": {"S": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"OldImage": [{"exists": False}]}}, True),
        ({"dynamodb": {"NewImage": [{"exists": True}]}}, False),
        ({"dynamodb": {"SizeBytes": [{"numeric": [">", 10, "<=", 30]}]}}, True),
        ({"dynamodb": {"SizeBytes": [{"numeric": ["=", 31]}]}}, False),
        ({"dynamodb": {"NewImage": {"count": {"N": [{"numeric": [">", 1]}]}}}}, False),
        ({"dynamodb": {"NewImage": {"count": {"N": ["3"]}}}}, True),
        ({"dynamodb": {"NewImage": {"count": {"N": [3]}}}}, False),
        ({"dynamodb": {"NewImage": {"tags": {"SS": ["b"]}}}}, True),
        ({"dynamodb": {"NewImage": {"gone": {"NULL": [True]}}}}, True),
        ({"$or": [{"eventName": ["REMOVE"]}, {"dynamodb": {"SizeBytes": [30]}}]}, True),
        ({"$or": [{"eventName": ["REMOVE"]}, {"eventName": ["MODIFY"]}]}, False),
    ],
)
def test_a_pattern_fits_as_in_lambda(pattern: dict[str, Any], expected: bool) -> None:
    assert problem(pattern) is None
    assert fits(RECORD, [pattern]) is expected


def test_one_of_several_patterns_is_enough_and_none_fits_all() -> None:
    assert fits(RECORD, [])
    assert fits(RECORD, [{"eventName": ["REMOVE"]}, {"eventName": ["INSERT"]}])
    assert not fits(RECORD, [{"eventName": ["REMOVE"]}, {"eventName": ["MODIFY"]}])


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("INSERT", "filter is not a table"),
        ({"eventName": "INSERT"}, "filter.eventName needs a list"),
        ({"eventName": []}, "filter.eventName needs a list"),
        ({"eventName": [["INSERT"]]}, "a list inside a list"),
        (
            {"dynamodb": {"Keys": {"pk": {"S": [{"prefx": "a"}]}}}},
            "filter.dynamodb.Keys.pk.S needs one condition",
        ),
        ({"a": [{"prefix": 1}]}, "`prefix` needs a text"),
        ({"a": [{"exists": "yes"}]}, "`exists` must be true or false"),
        ({"a": [{"numeric": [">"]}]}, "`numeric` needs a list"),
        ({"a": [{"numeric": ["~", 1]}]}, "`numeric` needs a list"),
        ({"a": [{"anything-but": {"prefix": 1}}]}, "`prefix` needs a text"),
        ({"$or": [{"a": [1]}]}, "at least two patterns"),
        ({"$or": [{"a": [1]}, {"b": 2}]}, "filter.$or.b needs a list"),
    ],
)
def test_what_is_no_pattern_is_said(pattern: Any, said: str) -> None:
    assert said in str(problem(pattern))
