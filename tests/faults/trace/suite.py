"""One case of the fault suite: break, look whether the answers changed, trace, restore."""

from __future__ import annotations

from typing import Any

from tests.faults.trace.bench import Bench
from tests.faults.trace.breaks import Fault
from tests.faults.trace.controls import Control
from tests.faults.trace.figures import Case, rules_of

# Faults of code and settings are made first: they start the application anew, and `devenv up` mends data.
SERVED = ("environment", "pattern", "library", "http")


def run_fault(bench: Bench, fault: Fault) -> Case:
    """Inject one fault and see what is said."""
    before = bench.answers()
    try:
        fault.inject(bench)
        after = bench.answers()
        counted = fault.changed(bench, before, after) if fault.changed else after != before
        document = bench.trace(*fault.arguments)
    finally:
        bench.restore()
    verdict = document["verdict"]
    named, rules = (verdict["layer"], verdict["class"]), rules_of(document)
    said = "; ".join(str(verdict[part]) for part in ("summary", "cause", "fix"))
    return Case(fault.name, fault.layer, fault.kind, *named, counted, rules, said, bench.words(fault.names))


def run_pair(bench: Bench, first: Fault, second: Fault) -> bool:
    """Inject two faults at once; whether both are named."""
    try:
        for fault in sorted((first, second), key=lambda fault: fault.layer not in SERVED):
            fault.inject(bench)
        verdict = bench.trace(*first.arguments)["verdict"]
    finally:
        bench.restore()
    named = {(found["layer"], found["class"]) for found in (verdict, *verdict["also"])}
    return {(first.layer, first.kind), (second.layer, second.kind)} <= named


def run_control(bench: Bench, control: Control) -> str | None:
    """Arrange a healthy variation; what is wrongly said of it, None when nothing is."""
    try:
        control.arrange(bench)
        verdict: dict[str, Any] = bench.trace(*control.arguments)["verdict"]
    finally:
        bench.restore()
    return None if verdict["status"] == "ok" else f"{verdict['layer']}/{verdict['class']}: {verdict['summary']}"
