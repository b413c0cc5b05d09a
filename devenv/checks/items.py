"""From the faults that `links` finds to a check's outcome: shared by the data and the cross-store checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from devenv.checks.check import Outcome, failed, passed
from devenv.checks.facts import Facts
from devenv.model import Fix

MEND: Final = "devenv doctor --fix"
RELOAD: Final = Fix("load the seeds from scratch (asks first; what was added since is lost)", "devenv reset")
BY_HAND: Final[Mapping[str, Fix]] = {
    "orphan": Fix("bring the row back, or delete these items; `devenv reset` loads everything anew", "devenv reset"),
    "missing_row": Fix(
        "insert it again, or rebuild the database from the files (asks first)", "devenv setup && devenv up"
    ),
    "ambiguous_row": Fix("give one of the rows another natural key, and make the column UNIQUE", "devenv db --write"),
    "near_miss": Fix("correct the spelling in the row", "devenv db --write"),
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
