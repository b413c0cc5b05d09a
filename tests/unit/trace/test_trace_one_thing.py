"""An answer that is one object, and no list: the one thing that was asked for, if it has the entry's id and fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devenv.trace.answers import Form, read_answer
from devenv.trace.difference import changes

VISIT = Form("", "at", {"mood": "mood", "note": "note"})


@pytest.mark.parametrize(
    ("value", "form", "ids"),
    [
        ({"at": "09:00", "mood": "calm", "bed": 7}, VISIT, ["09:00"]),
        ({"visit": {"at": "09:00", "mood": "calm"}}, replace(VISIT, items="visit"), ["09:00"]),
        ({"at": "09:00", "mood": "calm", "note": "", "tags": ["a"]}, VISIT, ["09:00"]),
        ({"bed": 7, "at": "09:00"}, Form("", "{bed}-{at}", {}), ["7-09:00"]),
    ],
    ids=["the object", "at its place", "with a list of its own", "a template as id"],
)
def test_an_object_with_the_id_and_the_fields_is_the_one_thing(value: Any, form: Form, ids: list[str]) -> None:
    entries, shape = read_answer(value, [form])
    assert (shape, [entry.id for entry in entries or ()]) == (None, ids)


@pytest.mark.parametrize(
    "value",
    [
        {"detail": "no such visit"},
        {"at": "09:00", "detail": "not a field of it"},
        {"mood": "calm", "note": "no id"},
        {"at": "09:00", "visits": [{"at": "08:00", "mood": "calm", "note": ""}]},
    ],
    ids=["an error", "an id alone", "no id", "the envelope of a list"],
)
def test_another_object_is_none(value: Any) -> None:
    entries, shape = read_answer(value, [VISIT])
    assert entries is None
    assert "not a list" in (shape or "")


LOAN = Form("loan", "no", {"due": "due", "title": "book.title", "branch": "branch"})


def test_a_field_may_stand_beside_the_one_thing() -> None:
    """By its path from the top of the answer; what the thing itself has comes first."""
    answer = {"loan": {"no": "7", "due": "monday"}, "book": {"title": "Emma"}, "branch": "north", "due": "never"}
    entries, _ = read_answer(answer, [LOAN])
    [entry] = entries or ()
    assert entry.fields == {"due": "monday", "title": "Emma", "branch": "north"}
    # Of several, nothing tells whose it is.
    listed, _ = read_answer({**answer, "loan": [answer["loan"], {"no": "8", "due": "sunday"}]}, [LOAN])
    assert [entry.fields["title"] for entry in listed or ()] == [None, None]


def test_a_field_that_stands_beside_the_one_thing_is_named_by_its_path() -> None:
    form = replace(LOAN, names={"due": "due", "title": "title"})
    answer = {"loan": {"no": "7", "due": "monday"}, "book": {"title": "Emma", "year": 1815}, "loans": [1]}
    entries, _ = read_answer(answer, [form])
    [entry] = entries or ()
    assert entry.absent == {"title"}
    assert entry.others == {"book.title": "Emma", "book.year": "1815"}
    [change] = changes(replace(entry, fields={"due": "monday", "title": "Emma"}), entry, {})
    assert change.instead == "book.title"
