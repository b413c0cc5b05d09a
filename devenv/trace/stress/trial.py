"""One condition tried on the bench, and a bad answer of a busy machine once more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from devenv.capture.disturb.disturbance import Disturbance
from devenv.core.errors import DevenvError
from devenv.trace.conditions.condition import Part, StressCondition
from devenv.trace.stress.bench import Bench
from devenv.trace.stress.blame import find_blame
from devenv.trace.stress.load import MOST, Processors, slowness, was_busy
from devenv.trace.stress.parts import PAGES, FunctionPart
from devenv.trace.stress.result import BAD, PartAnswer, PartResult, StressResult, compare_entries, judge_part, untried

BUSY: Final = "the machine is too busy"
# So much busier than before a second try, and its time says nothing.
SLACK: Final = 1.5


@dataclass(frozen=True)
class Tried:
    """A part under a condition: its result, and if the time was what it failed by."""

    result: PartResult
    timed_out: bool = False


def try_safely(bench: Bench, condition: StressCondition, parts: Sequence[Part]) -> StressResult:
    """One condition. What goes wrong in the trying itself is its own result: the others keep theirs."""
    try:
        for part in parts:
            if part in bench.parts and part not in bench.healthy:
                warm_up(bench, part)
        return try_condition(bench, condition, parts)
    except DevenvError as error:
        why = "; ".join(filter(None, (error.what, getattr(error, "detail", None))))
    except Exception as error:  # noqa: BLE001 - of whatever kind, it concerns this condition only
        why = f"an error in devenv: {type(error).__name__}: {error}"
    return StressResult(condition, unrun=why, unsure=True)


def warm_up(bench: Bench, part: Part) -> None:
    """Ask a part on a good day, twice: the second time counts."""
    bench.ask(part)
    take_healthy(bench, part)


def take_healthy(bench: Bench, part: Part) -> None:
    """Keep a part's answer on a good day. On a busy machine it has as much longer, the second time."""
    bench.healthy[part] = bench.ask(part)
    if bench.unfit(part) is not None:
        bench.healthy[part] = bench.ask(part, longer=min(slowness(), MOST))


def try_condition(bench: Bench, condition: StressCondition, wanted: Sequence[Part]) -> StressResult:
    """One condition, as far as there is time and something to disturb."""
    if time.monotonic() > bench.deadline:
        return StressResult(condition, unrun="the time budget was used up (--budget SECONDS)", unsure=True)
    if condition.clock is not None and not isinstance(bench.parts.get("function"), FunctionPart):
        return StressResult(condition)
    if condition.times > 1:
        refresh(bench)
        more = bench.growth.grow(bench.context, bench.person, condition.times)
        if isinstance(more, str):
            return StressResult(condition, unrun=more, unsure=bench.growth.failed is not None)
        bench.grown = (*bench.grown, *more)
    parts = [part for part in wanted if part in bench.parts]
    sound = [part for part in parts if bench.unfit(part) is None]
    try:
        found = [*(try_together if condition.together else try_in_turn)(bench, condition, sound)]
    finally:
        bench.disturb(Disturbance())
    unfit = [
        untried(part, f"without any condition, on the copy: {why}") for part in parts if (why := bench.unfit(part))
    ]
    return StressResult(condition, (*found, *unfit))


def refresh(bench: Bench) -> None:
    """Ask the parts that read once more, before the first growth: the writes changed the answer."""
    if bench.growth.times == 1 and "action" in bench.healthy:
        for part in ("function", "request"):
            if part in bench.parts:
                take_healthy(bench, part)


def try_in_turn(bench: Bench, condition: StressCondition, parts: Sequence[Part]) -> Iterator[PartResult]:
    """One part after the other, each under a fresh disturbance."""
    struck = False
    for part in parts:
        since = Processors.read()
        disturbance = begin(bench, condition)
        answer = ask_under(bench, condition, part)
        # A connection of the application that was dropped before the first part is missed by the second.
        struck = disturbance.struck > 0 or (struck and condition.before is not None)
        yield confirmed(bench, condition, result_of(bench, condition, part, answer, struck=struck), since)


def try_together(bench: Bench, condition: StressCondition, parts: Sequence[Part]) -> Iterator[PartResult]:
    """All parts at the same time, where the time of the disturbance counts."""
    since = Processors.read()
    disturbance = begin(bench, condition)
    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        answers = list(pool.map(lambda part: ask_under(bench, condition, part), parts))
    struck = disturbance.struck > 0
    tried = [
        result_of(bench, condition, part, answer, struck=struck) for part, answer in zip(parts, answers, strict=True)
    ]
    for one in tried:
        yield confirmed(bench, condition, one, since)


def begin(bench: Bench, condition: StressCondition) -> Disturbance:
    """Let the condition begin anew."""
    disturbance = condition.disturb()
    bench.disturb(disturbance)
    if condition.before is not None:
        condition.before(disturbance, bench.postgres)
    return disturbance


def ask_under(bench: Bench, condition: StressCondition, part: Part, longer: float = 1.0) -> PartAnswer:
    """One part's answer; of a request under a condition that takes long, only the first pages."""
    if condition.clock is not None:
        return ask_at(bench, condition, longer)
    return bench.ask(part, 1 if condition.first_page else PAGES if condition.times > 1 else None, longer=longer)


def ask_at(bench: Bench, condition: StressCondition, longer: float) -> PartAnswer:
    """The function in an interpreter of its own, with another clock."""
    function = bench.parts["function"]
    assert isinstance(function, FunctionPart) and condition.clock is not None  # noqa: S101, PT018 - checked before
    moment = condition.clock(bench.context.began)
    part = FunctionPart(function.context, function.order, function.environ, moment)
    try:
        part.ask(bench.seconds["function"] * longer)
        return part.ask(bench.seconds["function"] * longer)
    finally:
        part.end()


def result_of(bench: Bench, condition: StressCondition, part: Part, answer: PartAnswer, *, struck: bool) -> Tried:
    """How a part stood."""
    if not struck and condition.times == 1 and condition.clock is None:
        return Tried(PartResult(part, "not_run", f"not run: {condition.unmet}"))
    healthy = bench.healthy[part]
    wrong = answer.wrong
    if part != "action" and answer.error is None and healthy.entries is not None:
        expected = (*healthy.entries, *bench.grown) if condition.times > 1 else healthy.entries
        in_turn = condition.times == 1 or bench.subject.sorted_by is not None
        wrong = compare_entries(bench.subject, part, expected, answer, in_turn=in_turn)
    blame = find_blame(condition, answer.calls) if wrong or answer.error else None
    return Tried(judge_part(part, healthy.ms, answer, wrong, blame), answer.timed_out)


# --- a bad answer may come from the machine ---


def confirmed(bench: Bench, condition: StressCondition, tried: Tried, since: Processors) -> PartResult:
    """The result. A bad one of a busy machine counts if the healthy answer comes, and if it is bad once more.

    The second time the part has as much longer as the machine is slower.
    """
    first, part = tried.result, tried.result.part
    if first.status not in BAD or not was_busy(since):
        return first
    longer = slowness()
    bench.disturb(Disturbance())
    if condition.times == 1 and (why := fault_without(bench, part, min(longer, MOST))):
        return untried(part, f"{BUSY}: without this condition too, {why}")
    if tried.timed_out and longer > MOST:
        return untried(part, f"{BUSY} to judge times: {first.fault}")
    disturbance = begin(bench, condition)
    answer = ask_under(bench, condition, part, longer)
    # What the first try ended, as a pool's connections, may not be there for a second one.
    again = result_of(bench, condition, part, answer, struck=disturbance.struck > 0)
    if again.result.status == "not_run":
        return first
    if again.timed_out and slowness() > longer * SLACK:
        return untried(part, f"{BUSY} to judge times: {again.result.fault}")
    return again.result


def fault_without(bench: Bench, part: Part, longer: float) -> str | None:
    """In what an answer without any condition is not the healthy one."""
    answer, healthy = bench.ask(part, longer=longer), bench.healthy[part]
    if answer.error is not None or answer.wrong is not None or part == "action" or healthy.entries is None:
        return (answer.error and f"error {answer.error}") or answer.wrong
    return compare_entries(bench.subject, part, healthy.entries, answer)
