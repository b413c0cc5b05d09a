"""Entries of the last seconds: what they alone would make a fault is looked at again, and never passed over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devenv.trace.judge.verdict import judge
from devenv.trace.observation import Observations
from devenv.trace.young import SLACK_S, judge_young, told_young, wait_s
from tests.unit.trace.judged import HEALTHY, STORED, SUBJECT, with_library, with_member

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def with_young(seen: Observations, *names: str) -> Observations:
    return replace(seen, dynamodb=replace(seen.dynamodb, young=dict.fromkeys(names, NOW)))


def test_an_old_answer_about_a_young_entry_is_disputed() -> None:
    seen = with_young(with_member(entries=STORED[:-1]), "m5", "m4")
    found, disputed = judge_young(SUBJECT, seen)
    assert (found.status, list(disputed)) == ("ok", ["m5"])
    assert judge(SUBJECT, seen).status == "diverged"


def test_a_fault_without_an_entry_disputes_all_young_ones() -> None:
    _, disputed = judge_young(SUBJECT, with_young(with_library(entries=STORED[::-1][1:]), "m5"))
    assert list(disputed) == ["m5"]


def test_layers_that_agree_dispute_nothing() -> None:
    assert judge_young(SUBJECT, with_young(HEALTHY, "m5"))[1] == {}


def test_what_was_written_during_the_trace_disputes_nothing() -> None:
    seen = with_young(with_member(entries=STORED[:-1]), "m5")
    written = replace(seen, dynamodb=replace(seen.dynamodb, fleeting=frozenset(["m5"])))
    found, disputed = judge_young(SUBJECT, written)
    assert (found.status, disputed) == ("ok", {})


def test_a_fault_that_old_entries_show_too_needs_no_second_look() -> None:
    seen = with_young(with_member(entries=STORED[1:-1]), "m5")
    found, disputed = judge_young(SUBJECT, seen)
    assert (found.status, disputed) == ("diverged", {})


@pytest.mark.parametrize(("age", "seconds"), [(0.5, 2.5), (5, 0), (-60, 6)])
def test_the_wait_is_bounded(age: float, seconds: float) -> None:
    assert wait_s([NOW - timedelta(seconds=age)], NOW) == pytest.approx(seconds + SLACK_S)


def test_many_entries_are_not_all_named() -> None:
    assert told_young("abcde") == "the layers differ about a, b, c and 2 more, written in the last 3 s"
