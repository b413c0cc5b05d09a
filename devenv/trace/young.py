"""Entries of the last seconds: a difference in them may be a write under way, or a fault that lasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.verdict import Judgement, judge
from devenv.trace.layer import Layer
from devenv.trace.layers.dynamodb import MEANWHILE
from devenv.trace.layers.registry import LAYERS
from devenv.trace.observation import Observations, Subject

NAMED: Final = 3
SLACK_S: Final = 0.05


def judge_young(
    subject: Subject, seen: Observations, layers: Sequence[Layer] = LAYERS
) -> tuple[Judgement, Mapping[str, datetime]]:
    """The verdict without entries of the last seconds, and those of them that would change it, with their times."""
    sure = judge(subject, without_young(seen), layers)
    young = seen.dynamodb.young
    if not young:
        return sure, {}
    known = {(one.layer, one.kind) for one in faults_of(sure)}
    more = [one for one in faults_of(judge(subject, seen, layers)) if (one.layer, one.kind) not in known]
    if not more:
        return sure, {}
    named = {name for one in more for name in one.subjects} & young.keys()
    return sure, {name: moment for name, moment in young.items() if name in named or not named}


def faults_of(found: Judgement) -> tuple[LayerFinding, ...]:
    """All faults of a judgement."""
    return (found.first, *found.also) if found.first is not None else ()


def without_young(seen: Observations) -> Observations:
    """The observations, with the entries of the last seconds as ones that need not show."""
    stored = seen.dynamodb
    return replace(seen, dynamodb=replace(stored, fleeting=stored.fleeting | stored.young.keys()))


def wait_s(moments: Iterable[datetime], now: datetime) -> float:
    """Return how long entries of these times are still young, in seconds; bounded, if a clock is ahead."""
    left = (max(moments) + MEANWHILE - now).total_seconds()
    return min(max(left, 0.0), 2 * MEANWHILE.total_seconds()) + SLACK_S


def told_young(disputed: Iterable[str]) -> str:
    """The entries of the last seconds that the layers show differently, in words."""
    names = list(disputed)
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return f"the layers differ about {listed}, written in the last {MEANWHILE.seconds} s"
