"""Layer `stream`: do the stream workers follow what changes in their tables? Only where a project declares one."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from msgspec import to_builtins

from devenv.config.schema import Settings
from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import Finding, Fix
from devenv.core.templates import Unknown
from devenv.services.streams.judge import (
    Replay,
    WorkerObservation,
    WorkerTrouble,
    explained,
    judge_replay,
    judge_worker,
    summary,
)
from devenv.trace.judge.fault import judge_findings
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext
from devenv.trace.replay import FOLLOWING


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """Look at every worker, and give a running one a moment to reach its end. StoreError when DynamoDB is silent.

    Where the stored items have faults that a function may be there to correct, it is run on a scratch copy: the faults
    that are gone then are consequences of what is wrong here.
    """
    context = inquiry.facts.context
    seen = {name: look(context.service(name).state) for name, look in context.look_at_workers.items()}
    replays, notes = run_again(inquiry, given, list(seen))
    workers: list[dict[str, Any]] = []
    findings = []
    for name, one in seen.items():
        told = to_builtins(one.position) if one.position is not None else {}
        again = replays.get(name)
        workers.append(
            {
                "name": name,
                "table": one.table,
                "state": one.state,
                "behind": one.behind,
                "summary": summary(one.position),
                "error": told.get("error"),
                "on_a_copy": list(again.changes) if again is not None and again.unrun is None else None,
            }
        )
        trouble = judge_worker(one) or (judge_replay(one, again) if again is not None else None)
        if trouble is not None:
            findings.append(finding_of(one, trouble, again))
        elif again is not None:
            notes.append(told_again(name, again))
    return Observation(
        request={"workers": list(seen)}, output={"workers": workers}, findings=tuple(findings), notes=tuple(notes)
    )


def run_again(inquiry: TraceContext, given: Given, names: list[str]) -> tuple[dict[str, Replay], list[str]]:
    """Run the functions for the subject's items on a copy: outcomes by worker, and notes on what was not run."""
    stored = [one for layer in given.observations.values() for one in layer.findings]
    if inquiry.replay is None or not any(one.kind in FOLLOWING for one in stored):
        return {}, []
    try:
        return inquiry.replay(inquiry, names, given.person), []
    except Unknown as error:
        why = inquiry.without_value(error.name, given.person)
        return {}, [f"the functions were not run on a copy: {why}"]
    except StoreError:
        raise
    except DevenvError as error:
        return {}, [f"the functions were not run on a copy: {error.what}"]


def finding_of(seen: WorkerObservation, trouble: WorkerTrouble, again: Replay | None) -> Finding:
    """A worker's trouble, with the stored faults that it explains."""
    fix = Fix("start it" if trouble.command == "devenv up" else "see why, and correct it", trouble.command)
    explains = explained(seen, again) if again is not None else frozenset()
    cause = trouble.cause
    if explains and again is not None and cause is None:
        cause = (
            "run on a copy for these items, the function fails in the same way, so the items it updates are out of date"
            if again.error is not None
            else f"run on a copy, the function corrects what is wrong: {'; '.join(again.changes)}"
        )
    about = frozenset(["dynamodb", seen.name, seen.table])
    return Finding(trouble.kind, trouble.text, cause, fix, (seen.name,), about, explains)


def told_again(name: str, again: Replay) -> str:
    """A remark on a function that was run, or could not be, and corrects nothing."""
    if again.unrun is not None:
        return f"{name} was not run on a copy: {again.unrun}"
    did = "; ".join(again.changes) or "it changes nothing"
    return f"{name}: run on a copy for these items, the function corrects none of their faults: {did}"


def summarize(seen: Observation) -> str:
    """Each worker with its work."""
    return "; ".join(f"{worker['name']}: {worker['summary']}" for worker in seen.output.get("workers", ()))


def has_workers(settings: Settings) -> bool:
    """Return True if a project has this layer."""
    return any(service.stream for service in settings.services.values())


LAYER: Final = Layer(
    name="stream",
    question="Have the functions on its tables' streams processed all changes?",
    observe=observe,
    needs=("dynamodb", "cross-store", "postgres"),
    judge=partial(judge_findings, "stream", "error"),
    summarize=summarize,
    declared=has_workers,
)
