"""Layer `stream`: do the stream workers follow what changes in their tables? Only where a project declares one."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from msgspec import to_builtins

from devenv.config.schema import Settings
from devenv.core.model import Finding, Fix
from devenv.streams.judge import judge_worker, summary
from devenv.trace.judge.fault import judge_findings
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """Look at every worker, and give a running one a moment to reach its end. StoreError when DynamoDB is silent."""
    context = inquiry.facts.context
    workers: list[dict[str, Any]] = []
    findings = []
    for name, look in context.look_at_workers.items():
        seen = look(context.service(name).state)
        told = to_builtins(seen.position) if seen.position is not None else {}
        workers.append(
            {
                "name": name,
                "table": seen.table,
                "state": seen.state,
                "behind": seen.behind,
                "summary": summary(seen.position),
                "error": told.get("error"),
            }
        )
        if trouble := judge_worker(seen):
            fix = Fix("start it" if trouble.command == "devenv up" else "see why, and correct it", trouble.command)
            names = frozenset(["dynamodb", name, seen.table])
            findings.append(Finding(trouble.kind, trouble.text, trouble.cause, fix, (name,), names))
    return Observation(
        request={"workers": list(context.look_at_workers)}, output={"workers": workers}, findings=tuple(findings)
    )


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
    judge=partial(judge_findings, "stream", "error"),
    summarize=summarize,
    declared=has_workers,
)
