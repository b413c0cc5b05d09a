"""A bad answer of a busy machine counts only if it comes again; what could not be tried is not verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from devenv.capture.disturb.disturbance import Disturbance
from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.trace.conditions.condition import StressCondition
from devenv.trace.observation import Entry, Subject
from devenv.trace.stress.bench import Bench
from devenv.trace.stress.load import Processors, slowness
from devenv.trace.stress.result import PartAnswer, PartResult, StressResult, judge_part
from devenv.trace.stress.run import with_results
from devenv.trace.stress.trial import Tried, confirmed, try_safely, warm_up

NOW = datetime(2026, 5, 6, tzinfo=UTC)
SUBJECT = Subject("s", None, ("n",), {}, "n", {}, {}, (), (), None, None, "", NOW)
GOOD = PartAnswer((Entry("1", {"n": "1"}), Entry("2", {"n": "2"})), ms=10)
LOST = PartAnswer((Entry("1", {"n": "1"}),), ms=10)
LATE = PartAnswer(error="no answer within 4 s", ms=4000, timed_out=True)
ONE_LOST = "1 of 2 entries lost"


class Strikes(Disturbance):
    """Counts as one that struck at once."""

    def __init__(self) -> None:
        super().__init__()
        self.struck = 1


class Scripted:
    """A part whose answers are written down; `limits` are the seconds that it was given."""

    def __init__(self, answers: Sequence[PartAnswer]) -> None:
        self.answers, self.limits = list(answers), list[float]()

    def ask(self, seconds: float) -> PartAnswer:
        self.limits.append(seconds)
        return self.answers.pop(0)


def condition(times: int = 1, disturb: type[Disturbance] = Strikes) -> StressCondition:
    return StressCondition("c", "t", "r", "s", "k", "u", disturb=disturb, times=times)


def bench(*answers: PartAnswer, healthy: PartAnswer | None = GOOD) -> tuple[Bench, Scripted]:
    part, nothing = Scripted(answers), SimpleNamespace(disturbance=None)
    given: Any = (None, SUBJECT, None, nothing, nothing, None, {"function": part}, {"function": 4.0}, float("inf"))
    return Bench(*given, healthy={} if healthy is None else {"function": healthy}), part


def since(share: float) -> Processors:
    """A moment since which this share of the processors' time was left over."""
    now = Processors.read()
    return Processors(now.total - 1_000_000, now.idle - 1_000_000 * share)


def judged(answer: PartAnswer, wrong: str | None = None) -> Tried:
    return Tried(judge_part("function", 10, answer, wrong, None), answer.timed_out)


def test_a_time_out_of_a_busy_machine_is_tried_again_with_more_time() -> None:
    made, part = bench(GOOD)
    assert confirmed(made, condition(times=100), judged(LATE), since(0.01)).status == "holds"
    assert part.limits[0] >= 4.0
    # That it comes again is believed, unless the machine became slower still between the two measurements.
    made, part = bench(LATE)
    again = confirmed(made, condition(times=100), judged(LATE), since(0.01))
    assert again.status == "error" or again.unsure


def test_a_wrong_answer_of_a_busy_machine_counts_if_the_healthy_one_comes_and_it_is_wrong_again() -> None:
    made, _ = bench(GOOD, LOST)
    found = confirmed(made, condition(), judged(LOST, ONE_LOST), since(0.01))
    assert (found.status, found.text) == ("wrong", f"wrong: {ONE_LOST}")
    made, _ = bench(GOOD, GOOD)
    assert confirmed(made, condition(), judged(LOST, ONE_LOST), since(0.01)).status == "holds"
    for bad, why in ((LOST, ONE_LOST), (LATE, "error no answer within 4 s")):
        made, _ = bench(bad)
        found = confirmed(made, condition(), judged(LOST, ONE_LOST), since(0.01))
        assert (found.status, found.unsure) == ("not_run", True)
        assert found.text == f"not run: the machine is too busy: without this condition too, {why}"


def test_a_second_try_that_finds_nothing_to_disturb_says_nothing() -> None:
    made, _ = bench(GOOD, GOOD)
    first = judged(LOST, ONE_LOST)
    assert confirmed(made, condition(disturb=Disturbance), first, since(0.01)) is first.result


def test_a_good_answer_is_not_asked_for_again() -> None:
    made, part = bench()
    first = judged(GOOD)
    assert confirmed(made, condition(), first, since(0.01)) is first.result
    assert part.limits == []


def test_time_left_over_is_a_share() -> None:
    assert since(0.25).total < Processors.read().total
    assert Processors.read().spare(since(0.25)) == pytest.approx(0.25, abs=0.01)
    assert Processors(1, 1).spare(Processors(1, 1)) == 1.0
    assert slowness() >= 1.0


def test_a_part_that_fails_without_any_condition_is_not_held_against_one() -> None:
    refused = PartAnswer(error="503: no cache", ms=5)
    made, part = bench(refused, refused, refused, healthy=None)
    result = try_safely(made, condition(), ("function",))
    assert (result.status, result.unverified) == ("not_run", True)
    assert result.text == "not run: without any condition, on the copy: error 503: no cache"
    assert len(part.limits) == 3
    made, part = bench(LATE, LATE, GOOD, healthy=None)
    warm_up(made, "function")
    assert (made.unfit("function"), made.healthy["function"]) == (None, GOOD)


def test_what_could_not_be_tried_is_not_verified() -> None:
    nothing = dict.fromkeys(("layer", "class", "summary", "cause", "fix"))
    body = {"verdict": {"status": "ok", **nothing, "also": []}}
    report = Report("trace", None, Exit.DONE, body)
    late = StressResult(condition(), unrun="the budget was used up", unsure=True)
    busy = StressResult(replace(condition(), name="d"), (PartResult("function", "not_run", "not run: x", unsure=True),))
    found = with_results(report, [late, replace(late, condition=busy.condition), busy], {}, 1.0, 0.0)
    assert (found.exit_code, found.body["verdict"]["status"]) == (Exit.UNCHECKED, "not_verified")
    assert found.body["verdict"]["summary"] == "c, d not run: the budget was used up; d not run: x"
    unmet = StressResult(condition(), (PartResult("function", "not_run", "not run: u"),))
    assert with_results(report, [unmet], {}, 1.0, 0.0).exit_code is Exit.DONE
    wrong = StressResult(condition(), (PartResult("function", "wrong", "wrong: x"),))
    assert with_results(report, [late, wrong], {}, 1.0, 0.0).exit_code is Exit.FOUND
