"""An answer that is one object, and no list: the one thing that was asked for, if it has the entry's id and fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devenv.trace.answers import Form, read_answer

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
