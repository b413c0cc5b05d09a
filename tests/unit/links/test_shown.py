"""Columns of linked rows that an answer shows: which are meant, which values they have."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from devenv.config.schema import Entity, Link, Project, Settings
from devenv.config.trace import Trace, TraceEntity
from devenv.links.read import compile_plan
from devenv.links.shown import LinkedRows, linked_columns, shown_columns

ENTITY = Entity("loans", match={"pk": "TOOL#{tool}", "gsi1pk": "PATRON#{patron}"}, attributes={"borrower": "uuid?"})
PEOPLE = Link("dynamodb:loans.borrower", "postgres:patrons.id")
KEY = Link("dynamodb:loans.gsi1pk[PATRON#{}]", "postgres:shop.patrons.id")
SETTINGS = Settings(project=Project(name="shop"), entities={"loan": ENTITY}, links=[PEOPLE, KEY])
PLAN = compile_plan(SETTINGS, {})
KIND = PLAN.kind("loan")
ADA = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
BO = "7ae290ed-55d1-47a0-bc6d-fe2bc2700399"
JOINED = datetime(2024, 5, 1, 10, tzinfo=UTC)
ROWS = {
    ("public", "patrons"): [
        {"id": ADA, "full_name": "Ada", "joined": JOINED, "born": date(1990, 1, 2), "fee": Decimal("1.50")},
        {"id": BO, "full_name": None, "joined": None, "born": None, "fee": None},
    ]
}


def texts(item: dict[str, dict[str, Any]], target: str) -> dict[str, str | None]:
    return dict(LinkedRows(ROWS).texts(linked_columns(PLAN, KIND, {"field": target}), item))


def test_the_link_of_an_attribute_or_of_a_field_in_a_key_is_meant() -> None:
    found = linked_columns(PLAN, KIND, {"a": "borrower.full_name", "b": "patron.city", "c": "gsi1pk.city", "d": "due"})
    assert {name: linked.place for name, linked in found.items()} == {
        "a": "public.patrons.full_name",
        "b": "shop.patrons.city",
        "c": "shop.patrons.city",
    }


def test_the_columns_of_every_kind_are_read() -> None:
    one = Trace(entity="loan", fields={"name": "borrower.full_name", "due": "due"})
    several = Trace(entities=[TraceEntity("loan", fields={"name": "borrower.full_name", "since": "borrower.joined"})])
    assert shown_columns(PLAN, one) == {("public", "patrons"): ("full_name",)}
    assert shown_columns(PLAN, several) == {("public", "patrons"): ("full_name", "joined")}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("full_name", "Ada"),
        ("joined", "2024-05-01T10:00:00+00:00"),
        ("born", "1990-01-02"),
        ("fee", "1.5"),
    ],
)
def test_a_value_is_what_an_answer_writes(column: str, text: str) -> None:
    assert texts({"borrower": {"S": ADA.upper()}}, f"borrower.{column}") == {"field": text}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"borrower": {"S": BO}}, {"field": None}),
        ({}, {"field": None}),
        ({"borrower": {"NULL": True}}, {"field": None}),
        # No row: the orphan is the fault. Several ids, or none that can be read: nothing to compare with.
        ({"borrower": {"S": ADA.replace("5", "6")}}, {}),
        ({"borrower": {"SS": [ADA, BO]}}, {}),
        ({"borrower": {"M": {}}}, {}),
    ],
    ids=["null in the row", "no attribute", "null in the item", "orphan", "several", "no id"],
)
def test_what_has_no_value_and_what_is_not_known(item: dict[str, Any], expected: dict[str, None]) -> None:
    assert texts(item, "borrower.full_name") == expected


def test_a_table_that_could_not_be_read_and_a_column_that_is_not_there_give_nothing() -> None:
    assert texts({"gsi1pk": {"S": f"PATRON#{ADA}"}}, "patron.full_name") == {}
    assert texts({"borrower": {"S": ADA}}, "borrower.nickname") == {}


@pytest.mark.parametrize(("column", "kind"), [("full_name", "string"), ("joined", "time"), ("fee", "number")])
def test_values_are_compared_by_the_type_of_the_column(column: str, kind: str) -> None:
    linked = linked_columns(PLAN, KIND, {"field": f"borrower.{column}"})["field"]
    assert LinkedRows(ROWS).type_of(linked) == kind
