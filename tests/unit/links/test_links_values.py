"""Shapes of single values: uuids, times, placeholders, equality of attributes and columns."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from devenv.links.values import (
    attribute_for,
    canonical,
    is_placeholder,
    number_text,
    reform,
    same_value,
    time_form,
    uuid_text,
)

PLAIN = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
USUAL = time_form("2023-06-24T20:57:02.000000+00:00")


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.upper(),
        "{" + PLAIN + "}",
        PLAIN.replace("-", ""),
        f" {PLAIN} ",
        f"urn:uuid:{PLAIN}",
        "5ae2-90ed-55d1-47a0-bc6d-fe2b-c270-0399",
    ],
)
def test_every_spelling_of_a_uuid_has_one_canonical_form(text: str) -> None:
    assert uuid_text(text) == PLAIN


@pytest.mark.parametrize("text", ["", "MY_USER_UUID", PLAIN[:-1], PLAIN + "0", "g" + PLAIN[1:], "12345"])
def test_what_is_no_uuid_has_none(text: str) -> None:
    assert uuid_text(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "MY_USER_UUID",
        "MY_OTHER_HANDLE",
        "MOCK",
        "TODO",
        "<uuid>",
        "{{user_uuid}}",
        "{{ user }}",
        "${USER}",
        "$USER_UUID",
        "{handle}",
        "None",
        "null",
        "undefined",
        "NaN",
        "changeme",
        "your-user-id",
        "some_uuid",
        "[object Object]",
        "%(uuid)s",
        " TODO ",
        "n/a",
    ],
)
def test_blanks_that_no_one_filled_in(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["ines", "Ines Halvorsen", "ADA", "x", "", "a_b", "mocking", "nonesuch", "Nil Admirari", PLAIN, "C-ONE", "O'Neil"],
)
def test_names_and_ids_are_no_blanks(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2023-06-24T20:57:02.000000+00:00", "YYYY-MM-DDThh:mm:ss.ffffff+00:00"),
        ("2023-06-24T20:57:02+00:00", "YYYY-MM-DDThh:mm:ss+00:00"),
        ("2023-06-24T20:57:02Z", "YYYY-MM-DDThh:mm:ssZ"),
        ("2023-06-24 20:57", "YYYY-MM-DD hh:mm"),
        ("2023-06-24T20:57:02.5", "YYYY-MM-DDThh:mm:ss.f"),
        ("2023-06-24T20:57:02-0400", "YYYY-MM-DDThh:mm:ss-0400"),
        ("2023-06-24", "YYYY-MM-DD"),
    ],
)
def test_how_a_time_is_written(text: str, form: str) -> None:
    assert str(time_form(text)) == form


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1687640222", "2023-13-40T00:00:00", "2023-02-30", "2023-06", "20:57:02"]
)
def test_what_is_no_time_has_no_form(text: str) -> None:
    assert time_form(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-06-24T20:57:02+00:00", "2023-06-24T20:57:02.000000+00:00"),
        ("2023-06-24T20:57:02Z", "2023-06-24T20:57:02.000000+00:00"),
        ("2023-06-24T22:57:02.25+02:00", "2023-06-24T20:57:02.250000+00:00"),
        ("2023-06-24 20:57+00:00", "2023-06-24T20:57:00.000000+00:00"),
        ("2023-06-24T20:57:02.1234560+00:00", "2023-06-24T20:57:02.123456+00:00"),
        ("2023-06-24T20:57:02", None),
        ("2023-06-24T20:57:02.1234567+00:00", None),
        ("yesterday", None),
    ],
)
def test_a_time_is_rewritten_only_when_nothing_is_lost(text: str, expected: str | None) -> None:
    assert USUAL is not None
    assert reform(text, USUAL) == expected


def test_a_form_in_another_zone_is_nothing_to_rewrite_to() -> None:
    naive = time_form("2023-06-24T20:57:02")
    assert naive is not None
    assert reform("2023-06-24T20:57:02Z", naive) is None


@pytest.mark.parametrize(("text", "expected"), [("12", "12"), ("12.0", "12"), ("1.2E+1", "12"), ("-0.50", "-0.5")])
def test_numbers_have_one_text(text: str, expected: str) -> None:
    assert number_text(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(UUID(PLAIN), PLAIN), (12, "12"), (Decimal("12.0"), "12"), (PLAIN.upper(), PLAIN), ("Ada", "Ada"), (True, "true")],
)
def test_one_id_has_one_spelling_in_both_stores(value: Any, expected: str) -> None:
    assert canonical(value) == expected


@pytest.mark.parametrize(
    ("attribute", "column", "same"),
    [
        ({"S": "Ada"}, "Ada", True),
        ({"S": "ada"}, "Ada", False),
        ({"S": PLAIN.upper()}, UUID(PLAIN), True),
        ({"N": "12"}, 12, True),
        ({"N": "1.50"}, 1.5, True),
        ({"S": "12"}, 12, True),
        ({"BOOL": True}, True, True),
        ({"BOOL": False}, True, False),
        ({"S": "true"}, True, False),
        ({"S": "2023-06-24T20:57:02Z"}, datetime(2023, 6, 24, 20, 57, 2, tzinfo=UTC), True),
        ({"S": "soon"}, datetime(2023, 6, 24, tzinfo=UTC), False),
        ({"NULL": True}, None, True),
        (None, None, True),
        (None, "Ada", False),
        ({"S": ""}, None, False),
        ({"L": []}, "Ada", False),
    ],
)
def test_an_attribute_equals_a_column_by_meaning(attribute: Any, column: Any, same: bool) -> None:
    assert same_value(attribute, column) is same


@pytest.mark.parametrize(
    ("column", "like", "expected"),
    [
        ("Ada", {"S": "x"}, {"S": "Ada"}),
        (12, {"N": "1"}, {"N": "12"}),
        (12, {"S": "1"}, {"S": "12"}),
        (True, {"BOOL": False}, {"BOOL": True}),
        (None, {"S": "x"}, {"NULL": True}),
        (UUID(PLAIN), {"S": "x"}, {"S": PLAIN}),
        (12, None, {"N": "12"}),
    ],
)
def test_a_column_becomes_an_attribute_of_the_type_that_was_there(column: Any, like: Any, expected: Any) -> None:
    assert attribute_for(column, like) == expected
