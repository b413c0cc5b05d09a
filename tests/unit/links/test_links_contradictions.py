"""A placeholder of a key with the name of an attribute has its value: what is reported, and what is not."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import Fault, compile_plan, judge
from devenv.links.values import differs
from devenv.stores.dynamodb.client import typed_item
from tests.shapes import NOW

ANA, BEN = str(uuid.UUID(int=1 << 100)), str(uuid.UUID(int=2 << 100))
LOAN = {"pk": "TOOL#7", "gsi1pk": f"PATRON#{ANA}", "borrower": ANA}
MATCH = {"pk": "TOOL#{tool}", "gsi1pk": "PATRON#{borrower}"}


def found(
    *items: dict[str, Any],
    match: dict[str, str] | None = None,
    links: tuple[Any, ...] = (),
    types: dict[str, str] | None = None,
) -> list[Fault]:
    """The contradictions in these items of one kind."""
    loan = {"table": "t", "match": match or MATCH, "attributes": types or {}}
    shape = {"project": {"name": "p"}, "entities": {"loan": loan}, "links": links}
    plan = compile_plan(msgspec.convert(shape, Settings), {"t": ("pk",)})
    rows = {("public", "people"): [{"id": uuid.UUID(ANA)}]} if links else {}
    judgement = judge(plan, {"t": [typed_item(item) for item in items]}, rows, NOW)
    return [fault for fault in judgement.faults if fault.kind == "contradiction"]


def test_another_id_in_the_key_than_in_the_attribute_is_a_contradiction() -> None:
    [fault] = found(LOAN, {**LOAN, "borrower": BEN})
    assert fault.note == f"TOOL#7: `borrower` is {BEN}, but `gsi1pk` (PATRON#{{borrower}}) contains {ANA}"
    assert (fault.subjects, fault.attribute, fault.layer, fault.safe) == ((BEN, ANA), "borrower", "dynamodb", False)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"borrower": ANA.upper()},
        {"borrower": f"{{{ANA}}}"},
        {"borrower": None},
        {"borrower": ["list"]},
        {"borrower": "Ana Ash"},
        {"gsi1pk": f"OTHER#{BEN}"},
    ],
)
def test_spellings_and_what_is_no_id_are_no_contradiction(change: dict[str, Any]) -> None:
    assert found({**LOAN, **change}) == []
    without = {name: value for name, value in LOAN.items() if name != "borrower"}
    assert found(without) == []


def test_a_link_that_says_which_of_both_is_wrong_is_enough() -> None:
    link = {"from": "dynamodb:t.borrower", "to": "postgres:people.id"}
    assert found({**LOAN, "borrower": BEN}, links=(link,)) == []


def test_words_contradict_only_where_other_items_show_that_they_are_the_same() -> None:
    match = {"pk": "ORDER#{order}", "gsi1pk": "STATUS#{status}"}
    stale = {"pk": "ORDER#2", "gsi1pk": "STATUS#open", "status": "closed"}
    assert found(stale, match=match) == []
    [fault] = found({"pk": "ORDER#1", "gsi1pk": "STATUS#open", "status": "open"}, stale, match=match)
    assert fault.note == "ORDER#2: `status` is closed, but `gsi1pk` (STATUS#{status}) contains open"


@pytest.mark.parametrize(("declared", "reported"), [("uuid", True), ("string", False)])
def test_a_text_that_is_no_id_beside_the_id_of_the_key(declared: str, reported: bool) -> None:
    """Reported where the placeholder is a uuid and other items show that both are the same; else a short form."""
    types = {"tool": "string", "borrower": declared}
    odd = {**LOAN, "pk": "TOOL#8", "borrower": "xyz"}
    assert found(odd, types=types) == []
    assert [fault.note for fault in found(LOAN, odd, types=types)] == (
        [f"TOOL#8: `borrower` is xyz, but `gsi1pk` (PATRON#{{borrower}}) contains {ANA}"] if reported else []
    )


def test_a_value_with_the_separator_in_it_is_read_as_it_is_meant() -> None:
    match = {"pk": "AT#{place}#{shelf}"}
    assert found({"pk": "AT#a#b#c", "place": "a#b", "shelf": "c"}, {"pk": "AT#a#c", "place": "a"}, match=match) == []


@pytest.mark.parametrize(
    ("one", "other", "different"),
    [
        ("open", "closed", True),
        ("u_17", "u_18", True),
        ("17", "18", True),
        (ANA, BEN, True),
        ("01HZX3", "01HZY4", True),
        ("007", "7", False),
        ("2024-06-24", "2024-06-24T20:57:02Z", False),
        ("2024-06-24T20:57:02Z", "2024-06-24T22:57:02+02:00", False),
        ("20240624", "2024-06-24T20:57:02Z", False),
        ("red-shoes", "Red Shoes", False),
        ("O", "open", False),
        ("ana@example.com", "ANA@example.com", False),
        ("a3f5c2", "Ana Ash", False),
        (ANA, "ana", False),
    ],
)
def test_only_texts_of_one_form_differ(one: str, other: str, different: bool) -> None:
    assert differs(one, other) is differs(other, one) is different
