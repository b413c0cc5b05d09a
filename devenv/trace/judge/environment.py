"""The environment: what the process's variables say, and where its calls really went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devenv.core.model import Fix
from devenv.trace.judge.fault import STORES, Judged, LayerFinding, at_layer
from devenv.trace.observation import Observations, Subject


def judge_environment(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
    """Return what the process's variables say, and where the function's calls really went."""
    proven = right_targets(seen)
    found = [
        at_layer("environment", t, "wrong_target") for t in seen.environment.findings if not (t.about & STORES) & proven
    ]
    known = {broken.kind for broken in found}
    found += [at_layer("environment", t, "wrong_target") for t in seen.library.diverted if t.kind not in known]
    if not any(broken.about & STORES for broken in found):
        found += judge_targets(seen)
    order = ("unset", "malformed", "wrong_endpoint", "wrong_database", "wrong_region_or_key", "wrong_table")
    found.sort(key=lambda one: order.index(one.kind) if one.kind in order else len(order))
    return Judged(findings=found, entries=seen.environment.entries)


def right_targets(seen: Observations) -> frozenset[str]:
    """The stores that the function really reached, whatever the variables say: they decide nothing there."""
    ran = seen.library.ran
    if ran is None or ran.outcome != "returned" or not ran.asked:
        return frozenset()
    declared = seen.pattern.asked
    wrong = {one.store for one in ran.asked if one.elsewhere is not None or one.error is not None}
    if declared is not None and declared.table not in {one.table for one in ran.asked}:
        wrong.add("dynamodb")
    return frozenset({"dynamodb"} & {one.store for one in ran.asked} - wrong)


def judge_targets(seen: Observations) -> Iterator[LayerFinding]:
    """Calls that went elsewhere although the variables are right: the code has its own settings."""
    ran = seen.library.ran
    asked = [*(ran.asked or () if ran else ()), *(one for g, _ in seen.library.guards for one in g.asked or ())]
    told: set[str] = set()
    for one in asked:
        if one.elsewhere is None or (kind := one.elsewhere_kind or "wrong_endpoint") in told:
            continue
        told.add(kind)
        yield LayerFinding(
            kind,
            f"the application's calls go to {one.target}: {one.elsewhere}",
            "the variables of its process are correct, so its code, or a file that it loads, overrides them",
            Fix("remove the address from the code; the SDK and the driver read the variables themselves", None),
            about=frozenset([one.store]),
            layer="environment",
            status="wrong_target",
        )
