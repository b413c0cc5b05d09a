"""`devenv trace … --stress`: the healthy request again, under one condition at a time, on a scratch copy.

`stress` in the report: {budget_s, ms, interrupted, healthy: {part: ms}, conditions: [{name, title, status, text, rule,
source, sdk, accepted, parts: [{part, status, text, ms, factor, place}]}]}; status is holds, slower, wrong, error,
accepted or not_run. A wrong answer or an error that is not accepted makes the verdict `diverged`, class `stress`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from devenv.capture.disturb.disturbance import Disturbance
from devenv.capture.disturb.dynamodb import DisturbedDynamo, serving_dynamodb
from devenv.capture.disturb.postgres import DisturbedPostgres, serving_postgres
from devenv.capture.tap.server import Tap, TapRoute
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.testing.scratch import ScratchCopy, scratch_copy
from devenv.trace.action.run import RecordedCalls, not_safe, routes_to
from devenv.trace.conditions.condition import READS, WRITES, Part, StressCondition
from devenv.trace.conditions.registry import CONDITIONS
from devenv.trace.layers.library import environment_of
from devenv.trace.observation import Entry, PostgresObservation, Subject
from devenv.trace.question import TraceContext
from devenv.trace.run import TraceRun, open_context, subject_of
from devenv.trace.stress.blame import find_blame
from devenv.trace.stress.growth import Growth
from devenv.trace.stress.parts import (
    PAGES,
    ActionPart,
    CommandPart,
    FunctionPart,
    RequestPart,
    order_or_reason,
)
from devenv.trace.stress.result import (
    BAD,
    PartAnswer,
    PartResult,
    StressResult,
    accepted,
    compare_entries,
    judge_part,
)

if TYPE_CHECKING:
    from devenv.stack import Stack

BUDGET_S: Final = 60.0
INTERRUPTED: Final = "interrupted"
LATE: Final = "the time budget was used up (--budget SECONDS)"
AnyPart = FunctionPart | CommandPart | RequestPart | ActionPart


@dataclass
class Bench:
    """All that a run needs: the copy behind both proxies, the parts, and what they answer on a good day."""

    context: TraceContext
    subject: Subject
    person: Mapping[str, Any] | None
    dynamodb: DisturbedDynamo
    postgres: DisturbedPostgres
    calls: RecordedCalls
    parts: dict[Part, AnyPart]
    seconds: Mapping[Part, float]
    deadline: float
    healthy: dict[Part, PartAnswer] = field(default_factory=dict)
    grown: tuple[Entry, ...] = ()
    growth: Growth = field(default_factory=Growth)

    def disturb(self, disturbance: Disturbance) -> None:
        """Let both stores behave so from now on."""
        self.dynamodb.disturbance = disturbance
        self.postgres.disturbance = disturbance

    def ask(self, part: Part, pages: int | None = None) -> PartAnswer:
        """One part's answer, within its own limit."""
        asked, seconds = self.parts[part], self.seconds[part]
        if isinstance(asked, RequestPart) and pages is not None:
            return asked.ask(seconds, pages)
        return asked.ask(seconds)


def stress(
    stack: Stack,
    subject: str,
    typed: tuple[str, ...],
    user: str | None,
    *,
    only: Sequence[str] = (),
    budget_s: float = BUDGET_S,
    payloads: bool = False,
    say: Callable[[str], None],
) -> Report:
    """Trace; when all is well, try each condition on a scratch copy. UsageError for a condition that is not known."""
    chosen = choose(only)
    check_accepted(stack, subject)
    run = TraceRun(open_context(stack, subject, typed, user))
    report = run.report(payloads=payloads)
    began = time.monotonic()
    if run.judgement is None or not run.judgement.fit:
        why = "the trace is not healthy; fix that first"
        return with_results(report, [StressResult(one, unrun=why) for one in chosen], {}, budget_s, began)
    results: list[StressResult] = []
    healthy: dict[Part, float] = {}
    try:
        with opened(stack, subject, typed, user, began + budget_s, say) as bench:
            for condition, parts in steps(chosen):
                if time.monotonic() <= bench.deadline:
                    say(f"{condition.name}: {condition.title}")
                results.append(try_safely(bench, condition, parts, healthy))
    except KeyboardInterrupt:
        done = {one.condition.name for one in results}
        results += [StressResult(one, unrun=INTERRUPTED) for one in chosen if one.name not in done]
    results = [joined([one for one in results if one.condition is condition]) for condition in chosen]
    accept = stack.settings.trace[subject].stress
    results = [accepted(one, accept.accept if accept else {}) for one in results]
    return with_results(report, results, healthy, budget_s, began)


def choose(only: Sequence[str]) -> tuple[StressCondition, ...]:
    """The conditions of these names (or the beginning of names); all without any."""
    for name in only:
        if not any(matches(one, name) for one in CONDITIONS):
            raise UsageError(f"there is no condition `{name}`", hint="devenv trace --stress --list")
    return tuple(one for one in CONDITIONS if not only or any(matches(one, name) for name in only))


def matches(condition: StressCondition, name: str) -> bool:
    """Return True if a condition is meant: by its name, or the word it begins with (`pages`)."""
    return condition.name == name or condition.name.startswith(f"{name}-")


def check_accepted(stack: Stack, subject: str) -> None:
    """UsageError when devenv.toml accepts a condition that does not exist."""
    declared = stack.settings.trace.get(subject)
    known = {one.name for one in CONDITIONS}
    for name in declared.stress.accept if declared and declared.stress else ():
        if name not in known:
            raise UsageError(
                f"[trace.{subject}.stress] accept: there is no condition `{name}`", hint="devenv trace --stress --list"
            )


def steps(chosen: Sequence[StressCondition]) -> list[tuple[StressCondition, tuple[Part, ...]]]:
    """The order of the run: what changes the copy comes last, first writes, then more items."""
    reads = [(one, tuple(part for part in one.parts if part in READS)) for one in chosen]
    writes = [(one, WRITES) for one in chosen if "action" in one.parts]
    first = [step for step in reads if step[1] and step[0].times == 1]
    return [*first, *writes, *(step for step in reads if step[0].times > 1)]


def joined(found: Sequence[StressResult]) -> StressResult:
    """The results of one condition's steps as one."""
    parts = tuple(part for one in found for part in one.parts)
    untried = next((one.untried for one in found if one.untried), None)
    return replace(found[0], parts=parts, unrun=None if parts else found[0].unrun, untried=untried)


@contextmanager
def opened(
    stack: Stack, subject: str, typed: tuple[str, ...], user: str | None, deadline: float, say: Callable[[str], None]
) -> Iterator[Bench]:
    """The copy, the proxies before it, and the application and its parts before those."""
    from devenv.config.services import STORES

    for name in STORES:
        stack.require_running(name)
    with ExitStack() as entered:
        scratch = entered.enter_context(scratch_copy(stack, say))
        calls = RecordedCalls()
        routes = {route.kind: route for route in routes_to(scratch.stack.engine.targets())}
        dynamodb = entered.enter_context(serving_dynamodb(routes["dynamodb"].target))
        postgres = entered.enter_context(serving_postgres(routes["postgres"].target))
        ports = {"dynamodb": dynamodb.port, "postgres": postgres.port}
        behind = tuple(TapRoute(kind, 0, ("127.0.0.1", port)) for kind, port in ports.items())
        tap = entered.enter_context(Tap(behind, calls.take, contents=True))
        start_application(scratch, tap.ports, say)
        context = open_context(scratch.stack, subject, typed, user)
        run = TraceRun(context)
        found = run.ask("postgres")
        assert isinstance(found, PostgresObservation)  # noqa: S101 - of that layer
        person = found.person
        parts = parts_of(scratch, context, person, calls, run)
        if not parts:
            raise UsageError(f"`{subject}` declares neither a library nor a request", hint="devenv help traces")
        for part in parts.values():
            entered.callback(part.end)
        trace = context.question.trace
        seconds: dict[Part, float] = {
            "function": trace.library.seconds if trace.library else 0.0,
            "request": trace.request.seconds if trace.request else 0.0,
            "action": trace.action.seconds if trace.action else 0.0,
        }
        yield Bench(
            context,
            subject_of(context, found),
            person,
            dynamodb,
            postgres,
            calls,
            parts,
            seconds,
            deadline,
        )


def start_application(scratch: ScratchCopy, ports: Mapping[str, int], say: Callable[[str], None]) -> None:
    """Run the application on the copy, where the project has one as a process."""
    backend = scratch.stack.settings.backend
    if backend is None or not backend.command:
        return scratch.set_tap(ports)
    say("starting the application on the copy")
    return scratch.start_application(ports)


def parts_of(
    scratch: ScratchCopy,
    context: TraceContext,
    person: Mapping[str, Any] | None,
    calls: RecordedCalls,
    run: TraceRun,
) -> dict[Part, AnyPart]:
    """Return what can be tried."""
    found: dict[Part, AnyPart] = {}
    order = order_or_reason(context, person)
    environ = scratch.stack.engine.tapped({**environment_of(context), **scratch.stack.engine.marks()})
    if not isinstance(order, str):
        found["function"] = (
            CommandPart(context, order, environ, calls)
            if order.section.command
            else FunctionPart(context, order, environ)
        )
    trace, running = context.question.trace, context.application.pid is not None
    if running and trace.request is not None:
        found["request"] = RequestPart(context, person, calls)
    if running and trace.action is not None and not_safe(run, calls) is None:
        found["action"] = ActionPart(context, person, calls)
    return found


def warm_up(bench: Bench, part: Part) -> float:
    """Ask a part on a good day, twice: the second time counts. Its milliseconds."""
    bench.ask(part)
    bench.healthy[part] = bench.ask(part)
    return bench.healthy[part].ms


def try_safely(
    bench: Bench, condition: StressCondition, parts: Sequence[Part], healthy: dict[Part, float]
) -> StressResult:
    """One condition. What goes wrong in the trying itself is its own result: the others keep theirs."""
    try:
        for part in parts:
            if part in bench.parts and part not in healthy:
                healthy[part] = warm_up(bench, part)
        return try_condition(bench, condition, parts)
    except DevenvError as error:
        why = "; ".join(filter(None, (error.what, getattr(error, "detail", None))))
        return StressResult(condition, unrun=why, untried=why)
    except Exception as error:  # noqa: BLE001 - of whatever kind, it concerns this condition only
        why = f"an error in devenv: {type(error).__name__}: {error}"
        return StressResult(condition, unrun=why, untried=why)


def try_condition(bench: Bench, condition: StressCondition, wanted: Sequence[Part]) -> StressResult:
    """One condition, as far as there is time and something to disturb."""
    if time.monotonic() > bench.deadline:
        return StressResult(condition, unrun=LATE, untried=LATE)
    if condition.clock is not None:
        return try_clock(bench, condition)
    if condition.times > 1:
        refresh(bench)
        more = bench.growth.grow(bench.context, bench.person, condition.times)
        if isinstance(more, str):
            return StressResult(condition, unrun=more)
        bench.grown = (*bench.grown, *more)
    parts = [part for part in wanted if part in bench.parts]
    try:
        found = try_together(bench, condition, parts) if condition.together else [*try_in_turn(bench, condition, parts)]
    finally:
        bench.disturb(Disturbance())
    return StressResult(condition, tuple(found))


def refresh(bench: Bench) -> None:
    """Ask the parts that read once more, before the first growth: the writes changed the answer."""
    if bench.growth.times == 1 and "action" in bench.healthy:
        for part in ("function", "request"):
            if part in bench.parts:
                bench.healthy[part] = bench.ask(part)


def try_in_turn(bench: Bench, condition: StressCondition, parts: Sequence[Part]) -> Iterator[PartResult]:
    """One part after the other, each under a fresh disturbance."""
    struck = 0
    for part in parts:
        disturbance = condition.disturb()
        bench.disturb(disturbance)
        if condition.before is not None:
            condition.before(disturbance, bench.postgres)
        answer = ask_under(bench, condition, part)
        # A connection of the application that was dropped before the first part is missed by the second.
        struck = disturbance.struck + (struck if condition.before is not None else 0)
        yield result_of(bench, condition, part, answer, struck=struck > 0 or condition.times > 1)


def try_together(bench: Bench, condition: StressCondition, parts: Sequence[Part]) -> list[PartResult]:
    """All parts at the same time, where the time of the disturbance counts."""
    disturbance = condition.disturb()
    bench.disturb(disturbance)
    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        answers = list(pool.map(lambda part: ask_under(bench, condition, part), parts))
    return [
        result_of(bench, condition, part, answer, struck=disturbance.struck > 0)
        for part, answer in zip(parts, answers, strict=True)
    ]


def ask_under(bench: Bench, condition: StressCondition, part: Part) -> PartAnswer:
    """One part's answer; of a request under a condition that takes long, only the first pages."""
    return bench.ask(part, 1 if condition.first_page else PAGES if condition.times > 1 else None)


def result_of(bench: Bench, condition: StressCondition, part: Part, answer: PartAnswer, *, struck: bool) -> PartResult:
    """How a part stood."""
    if not struck:
        return PartResult(part, "not_run", f"not run: {condition.unmet}")
    healthy = bench.healthy[part]
    wrong = answer.wrong
    if part != "action" and answer.error is None and healthy.entries is not None:
        expected = (*healthy.entries, *bench.grown) if condition.times > 1 else healthy.entries
        in_turn = condition.times == 1 or bench.subject.sorted_by is not None
        wrong = compare_entries(bench.subject, part, expected, answer, in_turn=in_turn)
    blame = find_blame(condition, answer.calls) if wrong or answer.error else None
    return judge_part(part, healthy.ms, answer, wrong, blame)


def try_clock(bench: Bench, condition: StressCondition) -> StressResult:
    """The function in an interpreter of its own, with another clock."""
    function = bench.parts.get("function")
    if not isinstance(function, FunctionPart) or condition.clock is None:
        return StressResult(condition)
    moment = condition.clock(bench.context.began)
    part = FunctionPart(function.context, function.order, function.environ, moment)
    try:
        part.ask(bench.seconds["function"])
        answer = part.ask(bench.seconds["function"])
    finally:
        part.end()
    return StressResult(condition, (result_of(bench, condition, "function", answer, struck=True),))


# --- the report ---


def with_results(
    report: Report, results: Sequence[StressResult], healthy: Mapping[Part, float], budget_s: float, began: float
) -> Report:
    """The report of the trace with the conditions, and the verdict and exit code that follow.

    Conditions that could have been tried and were not, or only in part, are not verified, however well others went.
    """
    bad = [one for one in results if one.status in BAD]
    interrupted = any(one.unrun == INTERRUPTED for one in results)
    body = dict(report.body)
    body["stress"] = {
        "budget_s": budget_s,
        "ms": round((time.monotonic() - began) * 1000, 1),
        "interrupted": interrupted,
        "healthy": {part: round(ms, 1) for part, ms in healthy.items()},
        "conditions": [as_json(one) for one in results],
    }
    code = report.exit_code
    if bad and code in (Exit.DONE, Exit.FOUND):
        first = bad[0].nearest
        layer = "library" if first is not None and first.part == "function" else "http"
        given = body["verdict"]
        before: dict[str, Any] = {name: given[name] for name in ("layer", "class", "summary", "cause", "fix")}
        before["subjects"] = []
        body["verdict"] = {
            **given,
            "also": [before, *given["also"]] if code is Exit.FOUND else given["also"],
            "fix": None,
            "status": "diverged",
            "layer": layer,
            "class": "stress",
            "summary": "; ".join(f"{one.condition.name}: {one.text}" for one in bad),
            "cause": bad[0].condition.rule,
        }
        code = Exit.FOUND
    elif code is Exit.DONE and (untried := [one.untried for one in results if one.untried]):
        said = f"{len(untried)} of {number_of(len(results), 'condition')} not run, or only in part: {untried[0]}"
        text = (
            "give them more time (--budget SECONDS)" if untried[0] == LATE else "see the conditions that were not run"
        )
        fix = {"text": text, "command": None, "safe": False}
        body["verdict"] = {**body["verdict"], "status": "not_verified", "summary": said, "fix": fix}
        code = Exit.UNCHECKED
    return replace(report, body=body, exit_code=Exit.INTERRUPTED if interrupted else code)


def as_json(result: StressResult) -> dict[str, Any]:
    """One condition."""
    condition = result.condition
    told = {name: getattr(condition, name) for name in ("name", "title", "rule", "source", "sdk")}
    return {
        **told,
        "status": result.status,
        "text": result.text,
        "accepted": result.accepted,
        "parts": [asdict(one) for one in result.parts],
    }


def list_conditions() -> Report:
    """`--list`."""
    conditions = [{"name": one.name, "title": one.title, "parts": list(one.parts)} for one in CONDITIONS]
    return Report("trace", None, Exit.DONE, {"stress_conditions": conditions})


def explain_condition(name: str) -> Report:
    """`--explain NAME`: what a condition does, the rule that says it can happen, what SDKs do. UsageError."""
    found = next((one for one in CONDITIONS if one.name == name), None)
    if found is None:
        raise UsageError(f"there is no condition `{name}`", hint="devenv trace --stress --list")
    told = {key: getattr(found, key) for key in ("name", "title", "rule", "source", "sdk")}
    return Report("trace", None, Exit.DONE, {"stress_condition": {**told, "parts": list(found.parts)}})
