"""An entry of a cache against what the stores hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from devenv.core.model import Fix
from devenv.trace.difference import Difference
from devenv.trace.judge.fault import (
    Judged,
    LayerFinding,
    at_layer,
    beyond,
    changed_text,
    count,
    difference,
    reachable,
    shown_in,
    without,
)
from devenv.trace.observation import CacheObservation, Entry, Observations, Subject

LAYER: Final = "cache"


def judge_cache(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
    """Findings of the entry itself, then how it differs from the stored entries.

    Where the application's function gives what the entry holds, its differences come from here.
    """
    observed = seen.layer(LAYER)
    if not isinstance(observed, CacheObservation):
        return Judged()
    expected = shown_in(subject, "library", reachable(seen))
    findings = [at_layer(LAYER, one, "error") for one in observed.findings]
    found = difference(subject, expected, observed.entries)
    if found is not None and expected is not None and not any(one.kind == "poisoned" for one in findings):
        explained = frozenset(
            (one.kind, one.subjects) for one in earlier if one.layer == "library" and gives_the_same(seen, observed)
        )
        findings += find_differences(subject, seen, observed, expected, found, explained)
    return Judged(findings=findings, expected=expected, entries=observed.entries, difference=found)


def gives_the_same(seen: Observations, observed: CacheObservation) -> bool:
    """Return True if the application's function answers with what is in the cache."""
    ran = seen.library.corrected or seen.library.ran
    if ran is None or ran.entries is None or observed.entries is None:
        return False
    return [one.fields for one in ran.entries] == [one.fields for one in observed.entries]


def find_differences(
    subject: Subject,
    seen: Observations,
    observed: CacheObservation,
    expected: Sequence[Entry],
    found: Difference,
    explains: frozenset[tuple[str, tuple[str, ...]]],
) -> Iterator[LayerFinding]:
    """`poisoned` for an empty list that should not be one, else `stale`."""
    found = without(found, seen.dynamodb.fleeting)
    missing = beyond(subject, expected, found.missing, observed.limit) if observed.limit else found.missing
    about = frozenset([observed.service, observed.key])
    fix = Fix(f"delete {observed.key}; the code that writes this data must also delete the entry (devenv help caching)")
    if not observed.entries and missing:
        text = f"{observed.key} holds an empty list, and the stores have {count(len(expected))}"
        cause = "either nothing was there when it was stored, or a failed read was stored as an answer"
        yield LayerFinding(
            "poisoned",
            text,
            cause,
            fix,
            (observed.key,),
            about,
            explains,
            layer=LAYER,
            difference=found,
            status="missing",
        )
        return
    told = [
        *([f"it lacks {count(len(missing))} that the stores have"] if missing else []),
        *([f"it has {count(len(found.extra))} that the stores do not have"] if found.extra else []),
        *([changed_text(subject, "it has", found.changed)] if found.changed else []),
    ]
    if told:
        text = f"{observed.key} is out of date: {'; '.join(told)}"
        yield LayerFinding(
            "stale", text, age_text(observed), fix, (observed.key,), about, explains, layer=LAYER, difference=found,
            status="mutated",
        )  # fmt: skip


def age_text(observed: CacheObservation) -> str | None:
    """How old the entry is and when it goes, as far as its time to live tells."""
    if observed.left_s is None:
        return "it never expires" if observed.entries is not None else None
    goes = f"it expires in {observed.left_s:.0f} s"
    if observed.ttl_s is None or observed.left_s > observed.ttl_s:
        return goes
    return f"it was stored about {observed.ttl_s - observed.left_s:.0f} s ago, and {goes}"
