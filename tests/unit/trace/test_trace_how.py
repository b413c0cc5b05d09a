"""The way in which values differ, said without the values; and on which pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devenv.trace.difference import Change
from devenv.trace.judge.how import how_text
from devenv.trace.judge.verdict import judge
from devenv.trace.observation import NextPage
from tests.unit.trace.judged import RAN, STORED, SUBJECT, with_member

AT = "2023-06-24T20:57:02+00:00"
TWICE = "naïve € oui".encode().decode("cp1252")


@pytest.mark.parametrize(
    ("kind", "expected", "observed", "told"),
    [
        ("string", "naïve € oui", TWICE, "its UTF-8 was read as another encoding and encoded again"),
        ("string", "a < b", "a &lt; b", "escaped for HTML"),
        ("string", "a long sentence", "a long…", "cut off after 6 characters"),
        ("string", "two words. And", "two words.", "cut off after 10 characters"),
        ("string", "two  words", "two words", "with different white space"),
        ("string", "Word", "WORD", "with different capitals"),
        ("string", "one", "two", ""),
        ("string", "one", None, ""),
        ("time", AT, "1687640222", "seconds since 1970"),
        ("time", AT, "1687640222000", "milliseconds since 1970"),
        ("time", AT, "17", "a number"),
        ("time", AT, "2023-06-24T20:57:02", "without its time zone"),
        ("time", AT, "2023-06-24T22:57:02", "without a time zone, and another time of day"),
        ("time", AT, "2023-06-24T20:57:02+02:00", "another moment"),
        ("time", AT, "yesterday", "not a time in ISO 8601"),
        ("time", AT, "NaN", "not a time in ISO 8601"),
    ],
)
def test_how_a_value_differs(kind: str, expected: str, observed: str | None, told: str) -> None:
    change = Change("m1", "x", expected, observed)
    assert how_text([change], kind) == (f" ({told})" if told else "")
    assert how_text([change, Change("m2", "x", "one", "other")], kind) == ""


LATER = (NextPage(2, "/?p=2", ids=("m3",)), NextPage(3, "/?p=3", ids=("m2", "m1")))


def summary(*entries: int, **changes: str) -> str:
    """What is said of an answer of three pages: entries by number, fields of the second one changed."""
    shown = [STORED[number - 1] for number in entries]
    shown = [replace(one, fields={**one.fields, **changes}) if one.id == "m2" else one for one in shown]
    found = judge(SUBJECT, with_member(entries=tuple(shown), pages=3, following=LATER)).first
    assert found is not None
    return found.summary


def test_the_pages_on_which_a_field_differs() -> None:
    told = summary(1, 2, 3, 4, 5, text="TEXT 2")
    assert told.endswith("a different `text` (with different capitals) on 1 entry (only on page 3)")


def test_the_pages_that_are_in_another_order() -> None:
    assert summary(2, 1, 3, 4, 5).endswith("(only on page 3)")
    assert "only on" not in summary(4, 5, 3, 1, 2), "if the pages are in the wrong order, every page differs"


def lost(authored: str = "m2 m4", following: tuple[NextPage, ...] = (), **payload: Any) -> str:
    """The cause of an answer without the entries of one author, which are not the oldest or the newest."""
    bo = authored.split()
    stored = tuple(replace(one, fields={**one.fields, "by": "bo"}) if one.id in bo else one for one in STORED)
    answer = tuple(one for one in stored if one.id not in ("m2", "m4"))
    seen = with_member(entries=answer, following=following)
    seen = replace(
        seen,
        dynamodb=replace(seen.dynamodb, entries=stored),
        pattern=replace(seen.pattern, entries=stored[::-1]),
        library=replace(seen.library, ran=replace(RAN, entries=stored, read=stored[::-1])),
    )
    found = judge(replace(SUBJECT, **payload), seen).first
    assert found is not None
    return found.cause or ""


def test_what_the_lost_entries_have_in_common() -> None:
    assert lost().startswith("2 entries in between are lost: exactly those with `by` = bo")
    assert lost(payload=("by",)).startswith("2 entries in between are lost;"), "people's own words are not said"
    assert lost("m2 m4 m5").startswith("2 entries in between are lost;"), "m5 has the same author"
    later = (NextPage(2, "/letters?before=5", ids=("m3", "m1")),)
    assert "exactly those with `by` = bo behind page 1" in lost("m2 m4 m5", later)
