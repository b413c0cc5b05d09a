"""`python -m devenv.ui.worker`: doctor, a trace, or the plan of a fix, in a process of its own.

Prints lines of JSON: events while it works, at the end `{"document": …}`, the one that the command line would print.
What it reads of the stores is gone from memory with it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devenv.config.masking import mask_tree
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import CheckResult, Report
from devenv.render.report import document, masked

if TYPE_CHECKING:
    from devenv.stack import Stack
    from devenv.trace.layer import Given, Layer
    from devenv.trace.observation import Observation
    from devenv.trace.question import TraceContext
    from devenv.verify.repair import Write

GUARD: Final = threading.Lock()


def tell(event: Mapping[str, Any]) -> None:
    """Print one line of JSON. Several threads may."""
    with GUARD:
        sys.stdout.write(json.dumps(event, default=str) + "\n")
        sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    """Run one task; its exit code is that of the command."""
    parser = argparse.ArgumentParser(prog="devenv.ui.worker")
    parser.add_argument("--project", type=Path, required=True)
    for flag in ("--no-input", "--trust", "--allow-remote"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--file", type=Path)
    parser.add_argument("task", choices=["doctor", "trace", "fix"])
    parser.add_argument("values", nargs="*")
    given = parser.parse_args(words)
    try:
        report = run(given)
    except DevenvError as error:
        report = Report(given.task, None, error.exit_code, error=error.failure)
    tell({"document": document(masked(report))})
    return int(report.exit_code)


def run(given: argparse.Namespace) -> Report:
    """The report of a task."""
    from devenv.stack import open_stack

    opened = open_stack(given.project)
    opened.engine.admit(given.allow_remote, lambda _: None)
    if given.task == "doctor":
        return diagnose(opened, given.allow_remote)
    if given.task == "trace":
        return trace(opened, given.values[0], tuple(given.values[1:]), given.user)
    return plan_fix(opened, given.values[0], given.file)


def diagnose(opened: Stack, allow_remote: bool) -> Report:
    """All checks; each is reported as an event when it is finished."""
    from devenv.doctor import runner
    from devenv.doctor.gather import doctor_context
    from devenv.lifecycle.steps import read_inputs

    def watch(result: CheckResult) -> None:
        tell({"check": mask_tree(asdict(result))})

    context = doctor_context(opened, read_inputs(opened), remote=allow_remote)
    return runner.diagnose(context, watch=watch)


def trace(opened: Stack, subject: str, values: tuple[str, ...], user: str | None) -> Report:
    """One trace; each layer is reported as an event when it was asked."""
    from devenv.trace.layers.registry import LAYERS
    from devenv.trace.run import trace as work

    # The Data page shows people's words, too.
    return work(opened, subject, values, user, payloads=True, layers=[watched(layer) for layer in LAYERS])


def watched(layer: Layer) -> Layer:
    """The same layer, which says when it was asked."""

    def observe(context: TraceContext, given: Given) -> Observation:
        tell({"layer": layer.name, "state": "asked"})
        seen = layer.observe(context, given)
        tell({"layer": layer.name, "state": "answered", "summary": mask_tree(layer.summarize(seen))})
        return seen

    return replace(layer, observe=observe)


def plan_fix(opened: Stack, code: str, file: Path) -> Report:
    """Write a repair plan for the safe faults of one check, as `devenv repair apply` takes it. Nothing is changed."""
    from devenv.doctor.checks.registry import CHECKS
    from devenv.doctor.context import DoctorFacts
    from devenv.doctor.gather import doctor_context
    from devenv.doctor.settling import RECENT, split_settled
    from devenv.lifecycle.steps import read_inputs
    from devenv.verify.repair import describe_write, plan_repairs

    check = next((check for check in CHECKS if check.code == code), None)
    if check is None or not check.faults:
        raise UsageError(f"{code} has no fix that can be planned", hint=f"devenv doctor --fix --only {code}")
    facts = DoctorFacts(doctor_context(opened, read_inputs(opened)))
    settled, recent = split_settled(facts, [fault for fault in facts.judgement().faults if fault.kind in check.faults])
    writes = plan_repairs(settled, facts.known_plan())
    write_plan(opened, writes, file)
    described = [describe_write(write, "planned") for write in writes]
    described += [describe_write(write, RECENT) for write in plan_repairs(recent, facts.known_plan())]
    body = {"check": code, "plan": str(file), "writes": described}
    return Report("doctor", opened.settings.project.name, Exit.DONE, body)


def write_plan(opened: Stack, writes: Sequence[Write], file: Path) -> None:
    """The file of a plan: a head that says for which stores and rows it is, then one write a line."""
    import msgspec

    from devenv.host.writing import write_private
    from devenv.lifecycle.steps import read_inputs
    from devenv.links.judge import compile_plan
    from devenv.verify.context import Context
    from devenv.verify.plan import PlanHead
    from devenv.verify.rows import fingerprints, snapshot
    from devenv.verify.tasks import look_at_stores

    definitions = read_inputs(opened)["schema-load"].content or ()
    tables = {definition.table: definition.request for definition in definitions}
    context = Context(opened.settings, opened.engine.targets(), opened.folder, tables)
    seen = look_at_stores(context)
    with snapshot(context.targets.postgres) as connection:
        rows = fingerprints(connection, compile_plan(opened.settings, {}), seen.classes)
    lines = b"".join(msgspec.json.encode(write) + b"\n" for write in writes)
    classes = [name for write in writes for name in write.reasons]
    head = PlanHead(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        report="",
        target=seen.target,
        rows=rows,
        writes=len(writes),
        loss=0,
        classes={name: classes.count(name) for name in classes},
        sha256=hashlib.sha256(lines).hexdigest(),
    )
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, msgspec.json.encode(head) + b"\n" + lines)


if __name__ == "__main__":
    sys.exit(main())
