"""Which layer breaks first, and why: a pure function over what the layers gave.

Each layer is held against the one before it: what must survive (ids, fields, order) and what may be taken away and by
what (a page that is followed, an item past its time). Nothing here knows a symptom's usual cause: a later failure is
left out only where an earlier layer's own output already implies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from devenv.trace.difference import Difference
from devenv.trace.judge.environment import judge_environment
from devenv.trace.judge.fault import OK, STORES, Broken, LayerStatus, broken_by, difference, reachable
from devenv.trace.judge.http import expected_of_http, judge_http, rightly_refused
from devenv.trace.judge.library import expected_of_library, judge_library
from devenv.trace.judge.pattern import judge_pattern
from devenv.trace.observation import LAYERS, Entry, LayerName, Seen, Subject


@dataclass(frozen=True)
class LayerVerdict:
    """One layer judged. `expected` are the entries of the layer before, `entries` its own (None: not captured).

    `follows` is the earlier layer whose fault explains a bad answer that is no fault of this one; `right` says why a
    refusal is none at all.
    """

    name: LayerName
    status: LayerStatus
    expected: Sequence[Entry] | None
    entries: Sequence[Entry] | None
    difference: Difference | None
    broken: tuple[Broken, ...]
    follows: LayerName | None = None
    right: str | None = None

    @property
    def expected_count(self) -> int | None:
        """How many entries there should be; None: nothing to compare with."""
        return None if self.expected is None else len(self.expected)

    @property
    def observed_count(self) -> int | None:
        """How many there are; None: not captured."""
        return None if self.entries is None else len(self.entries)


@dataclass(frozen=True)
class Judgement:
    """The first fault and the further ones, and how each layer stands. `unverified` are layers that could not tell."""

    first: Broken | None
    also: tuple[Broken, ...]
    layers: tuple[LayerVerdict, ...]
    unverified: tuple[str, ...]

    @property
    def status(self) -> Literal["ok", "diverged", "not_verified"]:
        """The verdict's status."""
        return "diverged" if self.first else "not_verified" if self.unverified else "ok"


def judge(subject: Subject, seen: Seen) -> Judgement:
    """Name the first layer whose output breaks the contract with the one before; further faults follow in order."""
    found: list[Broken] = []
    compared: dict[LayerName, tuple[Sequence[Entry] | None, Difference | None]] = {}
    found += judge_environment(seen)
    for layer in ("services", "postgres", "dynamodb", "cross-store"):
        found += [broken_by(layer, trouble) for trouble in seen.layer(layer).troubles]
    found = drop_shadowed(found)
    stored = reachable(seen)
    compared["pattern"] = (stored, difference(subject, stored, seen.pattern.entries))
    found += judge_pattern(subject, seen, found)
    ran = seen.library.corrected or seen.library.ran
    given = expected_of_library(subject, seen)
    compared["library"] = (given, difference(subject, given, ran.entries if ran else None))
    found += judge_library(subject, seen, given, found)
    shown = expected_of_http(seen)
    member = seen.http.member
    compared["http"] = (shown, difference(subject, shown, member.entries if member else None))
    found += judge_http(subject, seen, shown, found)
    judged = (judge_layer(name, seen, found, *compared.get(name, (None, None))) for name in LAYERS)
    layers = tuple(explained(subject, seen, found, layer) if layer.status == "ok" else layer for layer in judged)
    unverified = tuple(
        layer.name for layer in layers if seen.layer(layer.name).failure is not None and not layer.broken
    )
    return Judgement(found[0] if found else None, tuple(found[1:]), layers, unverified)


def drop_shadowed(found: list[Broken]) -> list[Broken]:
    """Without what a store that does not answer, or lacks a table, makes of the data in it: they were never seen.

    Nor what a changed column makes of the rows that have it.
    """
    down = {b.about for b in found if b.kind in ("unreachable", "not_ready", "missing_table")}
    hidden = {
        layer
        for layer, service in (("postgres", "postgres"), ("cross-store", "postgres"), ("dynamodb", "dynamodb"))
        if any(service in about for about in down)
    }
    drifted = {name for b in found if b.kind == "schema_drift" for name in b.about} - STORES
    return [b for b in found if b.layer not in hidden and not (b.layer == "postgres" and b.about & drifted)]


def judge_layer(
    name: LayerName, seen: Seen, found: Iterable[Broken], expected: Sequence[Entry] | None, between: Difference | None
) -> LayerVerdict:
    """How one layer stands."""
    observation = seen.layer(name)
    mine = tuple(broken for broken in found if broken.layer == name)
    entries = observed_entries(name, seen)
    if mine:
        status = mine[0].status
    elif observation.unasked is not None:
        status = "not_run"
    elif observation.failure is not None:
        status = "error"
    else:
        status = "ok"
    evidence = mine[0].difference if mine and mine[0].difference else between if mine else None
    return LayerVerdict(name, status, expected, entries, evidence, mine)


def explained(subject: Subject, seen: Seen, found: Sequence[Broken], layer: LayerVerdict) -> LayerVerdict:
    """A layer without a fault of its own, with why its answer is bad, where it is: nobody shall take it for healthy."""
    before = LAYERS[: LAYERS.index(layer.name)]
    right = None
    if is_failure(layer.name, seen):
        right = rightly_refused(subject, seen, found) if layer.name == "http" else None
    elif layer.name in ("library", "http") and is_another_list(subject, seen, layer):
        # Rows and items that are wrong leave a list as long as it was: these take from it, or add to it.
        before = tuple(name for name in before if name in ("environment", "services", "pattern", "library"))
    else:
        return layer
    follows = next((broken.layer for broken in found if broken.layer in before), None)
    return replace(layer, follows=follows, right=right)


def is_another_list(subject: Subject, seen: Seen, layer: LayerVerdict) -> bool:
    """Whether a layer gave other entries than are stored, though it agrees with the layer before; a page may end."""
    stored, given = reachable(seen), layer.entries
    limit = subject.limits.get(layer.name)
    if stored is None or given is None or (limit and len(given) >= limit):
        return False
    if layer.name == "http" and seen.http.member is not None and seen.http.member.more:
        return False
    between = {entry.id for entry in given} ^ {entry.id for entry in stored}
    return bool(between - seen.dynamodb.fleeting)


def is_failure(name: LayerName, seen: Seen) -> bool:
    """Whether what a layer gave is a refusal or a failure, whoever is to blame for it."""
    match name:
        case "pattern":
            return seen.pattern.refused is not None
        case "library":
            ran = seen.library.corrected or seen.library.ran
            guards = (guard for guard, _ in seen.library.guards)
            return any(run is not None and run.outcome != "returned" for run in (ran, *guards))
        case "http":
            member = seen.http.member
            return member is not None and (member.status is None or member.status not in OK)
    return False


def observed_entries(name: LayerName, seen: Seen) -> Sequence[Entry] | None:
    """The entries that a layer gave."""
    if name == "library":
        ran = seen.library.corrected or seen.library.ran
        return ran.entries if ran else None
    if name == "http":
        return seen.http.member.entries if seen.http.member else None
    return seen.layer(name).entries
