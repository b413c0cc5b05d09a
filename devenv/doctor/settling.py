"""A second look before `--fix` copies a value: nothing is copied that was changed in the last seconds.

A row or an item that was just changed may be half of a write: the other half is on its way, or the change is about to
be taken back. Its fault is shown, and not repaired.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from devenv.doctor.context import DoctorFacts
from devenv.links.facts import read_locked
from devenv.links.judge import Fault, LinkJudgement
from devenv.links.values import canonical

# How long everything that a repair copies must have stayed as it is.
SETTLE_S: Final = 2.0
# The state of a repair that was not done for it.
RECENT: Final = "recent"
State = tuple[str, str, bytes]


def split_settled(facts: DoctorFacts, faults: Sequence[Fault]) -> tuple[LinkJudgement, LinkJudgement]:
    """Judgements with those of `faults` that may be repaired, and with those whose source changed just now.

    Waits until SETTLE_S have passed since the stores were read, and reads them again: only where something is copied.
    """
    found = facts.judgement()
    recent: set[int] = set()
    copying = [fault for fault in faults if copies(fault)]
    if copying:
        time.sleep(max(0.0, facts.judged_at + SETTLE_S - time.monotonic()))
        locked = read_locked(facts.context, [edge for edge in facts.plan.edges if any(f.edge is edge for f in copying)])
        recent = unsettled(copying, facts.look_again(), locked)
    return (
        replace(found, faults=[fault for fault in faults if id(fault) not in recent]),
        replace(found, faults=[fault for fault in faults if id(fault) in recent]),
    )


def copies(fault: Fault) -> bool:
    """Return True if the repair of a fault takes values from a row or from another item."""
    return fault.safe and bool(fault.row is not None or fault.partners)


def unsettled(faults: Sequence[Fault], later: LinkJudgement, locked: Mapping[str, Collection[str]]) -> set[int]:
    """The ids of the faults that a later look does not confirm in every value, or whose row is `locked`. Pure.

    `locked` maps a link's target to the ids of the rows that an open transaction is changing.
    """
    same = {state_of(fault) for fault in later.faults if copies(fault)}
    return {id(fault) for fault in faults if state_of(fault) not in same or is_locked(fault, locked)}


def is_locked(fault: Fault, locked: Mapping[str, Collection[str]]) -> bool:
    """Return True if an open transaction is changing the row that a fault's repair copies."""
    if fault.edge is None or fault.row is None:
        return False
    return canonical(fault.row[fault.edge.column]) in locked.get(fault.edge.target, ())


def state_of(fault: Fault) -> State:
    """Everything that a repair takes its values from, comparable: the row, the item, and the other items."""
    items: list[Any] = [record.item for record in (fault.record, *fault.partners) if record is not None]
    row = None if fault.row is None else {name: repr(value) for name, value in fault.row.items()}
    return fault.kind, fault.note, msgspec.json.encode([items, row], order="sorted")
