"""Differences that the declared `ids` explain: the line of devenv.toml to change, and nothing for other differences."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from devenv.trace.judge.verdict import judge
from devenv.trace.observation import DeclaredIds, Entry, Observations
from tests.unit.trace.judged import SENT, STORED, SUBJECT, with_library, with_member

PLACE = "devenv.toml:41 [trace.conversation] ids"
NAMED = replace(SUBJECT, ids={"": DeclaredIds(PLACE, {"dynamodb": "MSG#{number}", "library": "id", "http": "no"})})


def renamed(entries: tuple[Entry, ...], form: str) -> tuple[Entry, ...]:
    return tuple(replace(each, id=form.format(each.id)) for each in entries)


def causes(seen: Observations) -> tuple[str, str, str]:
    first = judge(NAMED, seen).first
    assert first is not None
    assert first.fix is not None
    return first.kind, first.cause or "", first.fix.text


def test_an_answer_without_the_field_that_is_its_id() -> None:
    nameless = tuple(replace(each, id=None) for each in STORED)
    kind, cause, fix = causes(with_library(entries=nameless, names=("text", "order_no")))
    assert (kind, cause) == ("field_changed", "no entry of the answer has `id`; its fields are `text`, `order_no`")
    assert fix == f'{PLACE} has library = "id": name there the field that holds the id, or return `id`'


@pytest.mark.parametrize("alike", [True, False])
def test_ids_that_differ_in_form_only(alike: bool) -> None:
    """Entries with equal fields are paired by these; others by their ids."""
    answer = STORED if alike else tuple(replace(each, fields={}) for each in STORED)
    seen = with_library(entries=renamed(answer, "MSG#{}"), names=("id",), asked=(SENT,), read=STORED)
    _, cause, fix = causes(seen)
    assert cause == "the ids differ only in form: in the answer they contain the text `MSG#…`"
    assert fix == f'in {PLACE} write dynamodb = "MSG#MSG#{{number}}"'


def test_the_items_have_the_longer_form() -> None:
    seen = with_member(entries=tuple(replace(each, id=(each.id or "")[1:]) for each in STORED), names=("no",))
    kind, cause, fix = causes(seen)
    assert (kind, cause) == ("body_changed", "the ids differ only in form: in the items they contain the text `m…`")
    assert fix == f'in {PLACE} write http = "m{{no}}"'


@pytest.mark.parametrize(
    "entries",
    [
        STORED[1:],
        (replace(STORED[0], id=None), *STORED[1:]),
        (replace(STORED[0], id="MSG#m1"), *STORED[1:]),
        (*renamed(STORED[:2], "A#{}"), *renamed(STORED[2:], "B#{}")),
    ],
)
def test_other_differences_keep_their_cause(entries: tuple[Entry, ...]) -> None:
    _, cause, fix = causes(with_library(entries=entries, names=("id", "text")))
    assert "only in form" not in cause
    assert "no entry of the answer" not in cause
    assert PLACE not in fix


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ("a map, not a list; its field `orders` is a list", 'items = "orders"'),
        ("a map, not a list; its fields `a`, `data.b` are lists", 'items = "a" (or data.b)'),
    ],
)
def test_the_place_of_a_list_inside_an_answer(shape: str, line: str) -> None:
    for seen, section in ((with_library(shape=shape), "library"), (with_member(shape=shape), "request")):
        fix = judge(NAMED, seen).first.fix  # type: ignore[union-attr]
        assert fix is not None
        assert fix.text == f"if the list is in it, write {line} in [trace.conversation.{section}]"


def test_another_form_has_no_such_line() -> None:
    for shape in ("a list that contains a number, not only maps", "a map with `trail`, not a list"):
        first = judge(NAMED, with_member(shape=shape)).first
        assert first is not None
        assert first.fix is not None
        assert "items" not in first.fix.text
        assert ("One thing by its key" in first.fix.text) is shape.startswith("a map")
        assert ("each must be a map" in first.fix.text) is not shape.startswith("a map")


def test_the_line_for_a_field_elsewhere_is_one_that_devenv_reads() -> None:
    """A dotted name is a key in quotes; a value that another field has is named, and not called missing."""
    given = tuple(
        replace(each, fields={**each.fields, "a.b": None}, absent=frozenset(["a.b"]), others=others)
        for each, others in zip(STORED, [{"beside.b": "x"}] * len(STORED), strict=True)
    )
    stored = tuple(replace(each, fields={**each.fields, "a.b": "x"}) for each in STORED)
    seen = with_member(entries=given)
    seen = replace(
        seen,
        dynamodb=replace(seen.dynamodb, entries=stored),
        pattern=replace(seen.pattern, entries=stored[::-1]),
        library=replace(seen.library, ran=None),
    )
    first = judge(replace(SUBJECT, fields=(*SUBJECT.fields, "a.b")), seen).first
    assert first is not None
    assert first.fix is not None
    line = re.search(r"fields = (\{.*?\})", first.fix.text)
    assert line is not None, first
    assert tomllib.loads(f"fields = {line[1]}") == {"fields": {"a.b": "beside.b"}}
    assert "because the answer has the value in that field" in first.fix.text


def test_a_field_that_no_item_has_is_the_cause() -> None:
    """`fields = { by = "full_name" }`: all items lack it, so it is the declaration that differs."""
    blank = tuple(replace(each, fields={**each.fields, "by": None}) for each in STORED)
    seen = with_library(entries=STORED, asked=(SENT,), read=blank)
    seen = replace(
        seen,
        dynamodb=replace(seen.dynamodb, entries=blank),
        pattern=replace(seen.pattern, entries=blank[::-1]),
    )
    first = judge(replace(SUBJECT, sources={"by": "full_name"}), seen).first
    assert first is not None
    assert first.fix is not None
    assert first.cause == "no item has an attribute `full_name`"
    assert 'it has by = "full_name"' in first.fix.text
    other = judge(SUBJECT, seen).first
    assert other is not None
    assert "no item" not in str(other.cause)


def test_an_id_that_is_not_declared_for_the_layer_is_the_cause() -> None:
    subject = replace(SUBJECT, ids={"": DeclaredIds(PLACE, {"dynamodb": "MSG#{number}", "library": "number"})})
    nameless = tuple(replace(each, id=None, fields={}) for each in STORED)
    first = judge(subject, with_member(entries=nameless, names=("text", "number"))).first
    assert first is not None
    assert first.fix is not None
    assert first.cause == f"{PLACE} names no id of layer http; the answer's fields are `text`, `number`"
    assert first.fix.text == f'in {PLACE} add http = "number", the field of the answer that holds the id'
    assert first.fix.command is None


def test_fields_that_no_entry_of_the_api_has_are_the_routes_or_the_declarations() -> None:
    """The application's log tells nothing about them, so it is not what to read."""
    without = tuple(replace(each, fields={**each.fields, "by": None}, absent=frozenset(["by"])) for each in STORED)
    first = judge(SUBJECT, with_member(entries=without, names=("id", "text", "at"))).first
    assert first is not None
    assert first.fix is not None
    assert 'write fields = { by = "" } in [trace.conversation.request]' in first.fix.text
    assert first.fix.command is None
    some = judge(SUBJECT, with_member(entries=(without[0], *STORED[1:]), names=("id", "text", "at", "by"))).first
    assert some is not None
    assert some.fix is not None
    assert some.fix.command == "devenv up --tap"
    # With the tap, what the route asked is recorded already; a log that tells of an error comes first.
    cases: list[tuple[dict[str, Any], str]] = [
        ({"asked": ()}, "devenv requests"),
        ({"log": ("ERROR x",)}, "devenv logs backend --tail 50"),
    ]
    for changes, command in cases:
        seen = with_member(entries=(without[0], *STORED[1:]), names=("id", "text", "at", "by"))
        again = judge(SUBJECT, replace(seen, http=replace(seen.http, **changes))).first
        assert again is not None
        assert again.fix is not None
        assert again.fix.command == command
