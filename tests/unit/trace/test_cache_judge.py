"""An entry of a cache against what the stores hold: which difference is which class."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from devenv.config.cache import Cache
from devenv.trace.judge.cache import judge_cache
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.verdict import causes_first
from devenv.trace.layers.cache import FoundEntry, error_in, find_faults
from devenv.trace.observation import (
    CacheObservation,
    DynamoObservation,
    Entry,
    LibraryObservation,
    Observations,
    Ran,
    Subject,
)

CACHE = Cache(key="conv:{person.uuid}", ttl_s=60)
STORED = tuple(Entry(str(number), {"message": f"text {number}"}) for number in range(3))
SUBJECT = Subject(
    name="conversations",
    identifier="ada",
    fields=("message",),
    types={},
    sorted_by=None,
    orders={},
    limits={},
    anonymous=(),
    stranger=(),
    origin=None,
    person="ada",
    retry="devenv trace conversations",
    began=datetime.now(UTC),
)


def seen(entries: tuple[Entry, ...] | None, **more: Any) -> Observations:
    cache = CacheObservation(entries=entries, key="conv:1", service="cache", left_s=20.0, ttl_s=60, **more)
    return Observations(dynamodb=DynamoObservation(entries=STORED), more={"cache": cache})


def kinds(found: Observations, earlier: tuple[LayerFinding, ...] = ()) -> list[str]:
    return [one.kind for one in judge_cache(SUBJECT, found, earlier).findings]


def test_an_entry_that_agrees_and_none_at_all_are_sound() -> None:
    assert kinds(seen(STORED)) == []
    assert kinds(seen(None)) == []


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (STORED[:2], "it lacks 1 entry that the stores have"),
        ((*STORED, Entry("9", {"message": "x"})), "it has 1 entry that the stores do not have"),
        ((*STORED[:2], replace(STORED[2], fields={"message": "old"})), "it has a different `message` on 1 entry"),
    ],
)
def test_what_differs_is_stale_and_its_age_is_reported(entries: tuple[Entry, ...], told: str) -> None:
    [found] = judge_cache(SUBJECT, seen(entries), ()).findings
    assert (found.kind, found.layer, found.status) == ("stale", "cache", "mutated")
    assert told in found.summary
    assert found.cause == "it was stored about 40 s ago, and it expires in 20 s"


def test_an_empty_list_is_poison_only_where_something_is_stored() -> None:
    assert kinds(seen(())) == ["poisoned"]
    empty = replace(seen(()), dynamodb=DynamoObservation(entries=()))
    assert kinds(empty) == []


def test_a_limited_entry_may_end() -> None:
    assert kinds(seen(STORED[:2], limit=2)) == []
    assert kinds(seen(STORED[:1], limit=2)) == ["stale"]


def test_a_function_that_answers_from_the_cache_is_a_consequence() -> None:
    earlier = (LayerFinding("items_lost", "it lost one", subjects=("2",), layer="library"),)
    found = replace(seen(STORED[:2]), library=LibraryObservation(ran=Ran("f", "returned", entries=STORED[:2])))
    [stale] = judge_cache(SUBJECT, found, earlier).findings
    assert [one.kind for one in causes_first([*earlier, stale])] == ["stale", "items_lost"]
    other = replace(found, library=LibraryObservation(ran=Ran("f", "returned", entries=STORED)))
    [stale] = judge_cache(SUBJECT, other, earlier).findings
    assert [one.kind for one in causes_first([*earlier, stale])] == ["items_lost", "stale"]


@pytest.mark.parametrize(
    ("found", "others", "expected"),
    [
        (FoundEntry("string", 30.0, []), [], []),
        (None, [], []),
        (None, ["conv:ada"], ["wrong_key"]),
        (FoundEntry("string", None, []), [], ["no_expiry"]),
        (FoundEntry("string", 3600.0, []), [], ["no_expiry"]),
        (FoundEntry("string", 30.0, {"error": "throttled"}), [], ["poisoned"]),
        (FoundEntry("hash", 30.0, unreadable="a hash; declared: string"), [], ["poisoned"]),
    ],
)
def test_what_is_wrong_with_an_entry_by_itself(
    found: FoundEntry | None, others: list[str], expected: list[str]
) -> None:
    assert [one.kind for one in find_faults(CACHE, "conv:1", "cache", found, others)] == expected


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"errors": ["no"]}, None),
        ({"error": "no"}, "error"),
        ({"items": [1], "error": ""}, None),
        ([], None),
        ("x", None),
    ],
)
def test_an_error_is_known_by_its_name_where_no_list_is(value: Any, name: str | None) -> None:
    assert error_in(value) == name
