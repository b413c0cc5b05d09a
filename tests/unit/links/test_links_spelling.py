"""Ids are compared as the stores compare them: DynamoDB compares bytes, so another spelling is another key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import compile_plan, judge
from devenv.verify.candidate_filter import is_respelt

ID = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
OTHER = "94c08be3-17fa-4e26-a5d9-c3b6e0271f88"


def faults(source: str, text: str, column: Any) -> list[tuple[str, str | None, bool]]:
    """What is found with [[links]] alone."""
    tree = {"project": {"name": "p"}, "links": [{"name": "owner", "from": source, "to": "postgres:users.id"}]}
    plan = compile_plan(msgspec.convert(tree, Settings), {"things": ("id",)})
    items = {"things": [{"id": {"S": "1"}, "owner": {"S": text}}]}
    rows = {("public", "users"): [{"id": column}, {"id": UUID(OTHER)}]}
    found = judge(plan, items, rows, datetime.now(UTC), {})
    return [(fault.kind, fault.expected, fault.safe) for fault in found.faults]


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        # The case, and further spellings that PostgreSQL takes for the same uuid.
        ("dynamodb:things.owner[USER#{}]", f"USER#{ID.upper()}", f"USER#{ID}"),
        ("dynamodb:things.owner", ID.upper(), ID),
        ("dynamodb:things.owner", ID.replace("-", ""), ID),
        ("dynamodb:things.owner", "{" + ID + "}", ID),
        ("dynamodb:things.owner", f"urn:uuid:{ID}", ID),
    ],
)
def test_the_same_id_in_another_spelling_is_a_fault(source: str, text: str, expected: str) -> None:
    assert faults(source, text, UUID(ID)) == [("malformed_id", expected, True)]


@pytest.mark.parametrize("text", [f"USER#{ID}", f"user:{ID}:x"])
def test_an_id_behind_a_prefix_that_no_link_declares_is_a_fault_for_a_person(text: str) -> None:
    assert faults("dynamodb:things.owner", text, UUID(ID)) == [("malformed_id", ID, False)]


def test_the_stored_form_of_the_row_is_the_right_one() -> None:
    """A column of text may hold capitals: then these are what a query asks for."""
    assert faults("dynamodb:things.owner", ID.upper(), ID.upper()) == []
    assert faults("dynamodb:things.owner", ID, ID.upper()) == [("malformed_id", ID.upper(), True)]


@pytest.mark.parametrize(
    ("text", "column"),
    [(ID, UUID(ID)), ("42", 42), ("MSG#" + "0" * 8, UUID(ID)), (f"MSG#{ID[:-1]}0", UUID(ID))],
)
def test_what_is_written_as_it_is_stored_is_no_fault(text: str, column: Any) -> None:
    assert faults("dynamodb:things.owner", text, column) == []


def test_verify_looks_again_at_every_other_spelling() -> None:
    assert all(map(is_respelt, (ID.upper(), "{" + ID + "}")))
    assert not any(map(is_respelt, (ID, "42", None)))
