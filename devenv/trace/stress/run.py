"""`devenv trace … --stress`: the healthy request again, under one condition at a time, on a scratch copy.

`stress` in the report: {budget_s, ms, interrupted, healthy: {part: ms}, conditions: [{name, title, status, text, rule,
source, sdk, accepted, parts: [{part, status, text, ms, factor, place, unsure}]}]}; status is holds, slower, wrong,
error, accepted or not_run. A wrong answer or an error that is not accepted makes the verdict `diverged`, class
`stress`; a part that is `unsure`, and a condition without time, make it `not_verified`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.trace.conditions.condition import READS, WRITES, Part, StressCondition
from devenv.trace.conditions.registry import CONDITIONS
from devenv.trace.run import TraceRun, open_context
from devenv.trace.stress.bench import opened
from devenv.trace.stress.result import BAD, PartAnswer, StressResult, accepted
from devenv.trace.stress.trial import try_safely

if TYPE_CHECKING:
    from devenv.stack import Stack

BUDGET_S: Final = 60.0
INTERRUPTED: Final = "interrupted"


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
    healthy: Mapping[Part, PartAnswer] = {}
    try:
        with opened(stack, subject, typed, user, began + budget_s, say) as bench:
            healthy = bench.healthy
            for condition, parts in steps(chosen):
                say(f"{condition.name}: {condition.title}")
                results.append(try_safely(bench, condition, parts))
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
    unsure = any(one.unsure for one in found)
    return replace(found[0], parts=parts, unrun=None if parts else found[0].unrun, unsure=unsure)


# --- the report ---


def with_results(
    report: Report, results: Sequence[StressResult], healthy: Mapping[Part, PartAnswer], budget_s: float, began: float
) -> Report:
    """The report of the trace with the conditions, and the verdict and exit code that follow."""
    bad = [one for one in results if one.status in BAD]
    interrupted = any(one.unrun == INTERRUPTED for one in results)
    body = dict(report.body)
    body["stress"] = {
        "budget_s": budget_s,
        "ms": round((time.monotonic() - began) * 1000, 1),
        "interrupted": interrupted,
        "healthy": {part: round(answer.ms, 1) for part, answer in healthy.items()},
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
    elif code is Exit.DONE and (missed := [one for one in results if one.unverified]):
        names: dict[str, list[str]] = {}
        for one in missed:
            names.setdefault(one.missed, []).append(one.condition.name)
        said = "; ".join(f"{', '.join(same)} {why}" for why, same in names.items())
        body["verdict"] = {**body["verdict"], "status": "not_verified", "summary": said}
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
