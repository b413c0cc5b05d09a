"""From the faults that `links` finds to a check's outcome: shared by the data and the cross-store checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from devenv.checks.check import Outcome, failed, passed
from devenv.checks.facts import Facts
from devenv.model import Fix

MEND: Final = "devenv doctor --fix"
RELOAD: Final = Fix(
    "correct the items; or load everything from scratch (asks first, loses what was added)", "devenv reset"
)
REBUILD: Final = "devenv setup && devenv up"
BY_HAND: Final[Mapping[str, Fix]] = {
    "orphan": Fix("bring the row back, or delete these items; or load everything from scratch (asks)", "devenv reset"),
    "missing_row": Fix("insert it again, or rebuild the database from the files (asks first)", REBUILD),
    "ambiguous_row": Fix("give one row another natural key, and make it UNIQUE; or rebuild (asks first)", REBUILD),
    "near_miss": Fix("correct the spelling in the row; or rebuild the database (asks first)", REBUILD),
}


def judged(*kinds: str) -> Callable[[Facts], Outcome]:
    """The `run` of a check that passes when no fault of these classes was found."""

    def run(facts: Facts) -> Outcome:
        judgement = facts.judgement()
        found = judgement.folded(*kinds)
        if not found:
            return passed(f"{len(judgement.records)} items")
        faults = [fault for one in found for fault in one.faults]
        safe = sum(fault.safe for fault in faults)
        several = len(found) > 1
        evidence = [
            f"{one.kind + ': ' if several else ''}{one.count} in {one.items} items: {one.summary}" for one in found
        ]
        if safe == len(faults):
            fix = Fix("put in what belongs there; nothing is lost", MEND, safe=True)
        elif safe:
            fix = Fix(f"mends {safe} of {len(faults)}; the others need you, or `devenv reset`", MEND, safe=True)
        else:
            fix = BY_HAND.get(found[0].kind, RELOAD)
        causes = dict.fromkeys(one.cause for one in found if one.cause)
        subjects = [subject for one in found for subject in one.subjects]
        return failed(evidence, cause="; ".join(causes) or None, fix=fix, subjects=subjects)

    return run
