"""Time to live: the rules of DynamoDB, and what became of items that are gone."""

from __future__ import annotations

import pytest

from devenv.links.expiry import DAY_S, OLDEST_S, RemovedRecord, foresee, gone_items, gone_text, is_past

NOW = 1_796_000_000.0


def item(key: str, end: float | None = None) -> dict[str, dict[str, str]]:
    return {"pk": {"S": key}} | ({"ends": {"N": str(end)}} if end is not None else {})


@pytest.mark.parametrize(
    ("end", "past"),
    [(NOW - 1, True), (NOW, True), (NOW + 1, False), (NOW - OLDEST_S + 1, True), (NOW - OLDEST_S, False)],
)
def test_what_is_past_its_time(end: float, past: bool) -> None:
    assert is_past(end, NOW) is past


def test_what_will_vanish_is_counted_and_what_never_will_is_named() -> None:
    texts = [
        item("soon", NOW + 60),
        item("today", NOW + DAY_S - 1),
        item("later", NOW + DAY_S + 1),
        item("past", NOW - 5),
        item("without"),
        {"pk": {"S": "null"}, "ends": {"NULL": True}},
        {"pk": {"S": "text"}, "ends": {"S": "2026-12-01"}},
        item("milliseconds", NOW * 1000),
        item("old", NOW - OLDEST_S - 1),
    ]
    found = foresee(texts, "ends", NOW)
    assert (found.hour, found.day, found.past) == (1, 2, 1)
    whys = {one["pk"]["S"]: why for one, why in found.never}
    assert whys["text"] == "`ends` is of type S, and DynamoDB reads numbers only"
    assert whys["milliseconds"] == "`ends` is in milliseconds, and DynamoDB reads seconds"
    assert "more than five years ago" in whys["old"]
    assert len(whys) == 3


def test_what_became_of_items_that_are_gone() -> None:
    expired, early = item("expired", NOW - 60), item("early", NOW - 9)
    written = [item("there"), expired, item("deleted", NOW + 60), item("plain"), early]
    removed = [
        RemovedRecord(item("theirs", NOW - 30), by_ttl=True),
        RemovedRecord(item("by hand", NOW + 30), by_ttl=False),
        RemovedRecord({"pk": {"S": "early"}}, by_ttl=False),  # a view of keys; somebody was faster than DynamoDB
        RemovedRecord(item("written again", NOW - 30), by_ttl=True),
    ]
    present = [item("there"), item("written again", NOW + 99), item("late", NOW - 5)]
    found = gone_items(written, removed, present, ("pk",), "ends", NOW)
    assert {one.item["pk"]["S"]: (one.expired, one.end) for one in found} == {
        "expired": (True, NOW - 60),
        "deleted": (False, NOW + 60),
        "plain": (False, None),
        "early": (False, NOW - 9),
        "theirs": (True, NOW - 30),
        "late": (True, NOW - 5),
        "by hand": (False, NOW + 30),
    }
    told = gone_text(found, "ends")
    assert told.startswith("3 expired by `ends`, the last at ")
    assert told.endswith("4 were deleted by a program, not because of the time to live")
