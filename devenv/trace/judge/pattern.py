"""The declared access pattern against the items that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from devenv.capture.calls import StoreCall, shown_key
from devenv.core.model import Fix
from devenv.core.plural import number_of
from devenv.trace.difference import Difference, ids
from devenv.trace.judge.fault import (
    Judged,
    LayerFinding,
    LayerStatus,
    changed_text,
    count,
    difference,
    reachable,
    without,
    wrong_order,
)
from devenv.trace.observation import Entry, Observations, PatternObservation, Subject


def judge_pattern(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
    """The declared access pattern against the items that are there."""
    stored, given = reachable(seen), seen.pattern.entries
    return Judged(
        findings=find_pattern(subject, seen, earlier),
        expected=stored,
        entries=given,
        difference=difference(subject, stored, given),
        refused=seen.pattern.refused is not None,
    )


def find_pattern(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> list[LayerFinding]:
    """Return what is wrong with what the pattern returns."""
    pattern = seen.pattern
    asked = pattern.asked
    if asked is None or any(broken.layer == "services" and "dynamodb" in broken.about for broken in earlier):
        return []
    if pattern.refused is not None:
        kind = "wrong_index" if asked.index else "wrong_key"
        detail = pattern.failure.detail if pattern.failure else None
        summary = f"the store refuses the declared pattern: {pattern.refused}{f' ({detail})' if detail else ''}"
        return [pattern_fault(kind, summary, "it refers to a name that does not exist", None)]
    expected = reachable(seen)
    between = difference(subject, expected, pattern.entries)
    if between is None or expected is None or pattern.entries is None:
        return []
    between = without(between, seen.dynamodb.fleeting)
    found = list(judge_pattern_losses(seen, between, expected))
    misplaced = {entry.id for entry in seen.dynamodb.entries or ()}
    if strange := [name for name in between.extra_ids if name not in misplaced]:
        text = f"it also returns {count(len(strange))} that {'is' if len(strange) == 1 else 'are'} not the subject's"
        fault = pattern_fault("wrong_key", text, f"its key matches items that {where_of(subject)} does not", between)
        found.append(replace(fault, fix=Fix(compare_both(subject))))
    elif pattern.strays and not found:
        text = f"it also returns {count(pattern.strays, 'item')} of another kind"
        found.append(pattern_fault("wrong_key", text, "its key also matches other kinds of items", between))
    if between.changed and not found:
        kind = "wrong_index" if asked.index else "narrowed"
        cause = f"index {asked.index} does not contain all attributes" if asked.index else "it projects some of them"
        found.append(pattern_fault(kind, changed_text(subject, "it returns", between.changed), cause, between))
    wanted = wrong_order(subject, "pattern", pattern.entries, expected, None, "") if asked.direction else None
    if not found and wanted:
        text = f"its order is not {wanted}"
        cause = f"it requests {asked.direction} order" + (f" of index {asked.index}" if asked.index else "")
        found.append(pattern_fault("reordered", text, cause, between))
    if not found and seen.dynamodb.found and (odd := unexpected(pattern, asked)):
        found.append(odd)
    if asked.operation == "Scan" and asked.key:
        text = f"it reads the whole table ({number_of(asked.scanned or 0, 'item')}) for {len(pattern.entries)}"
        found.append(pattern_fault("scan", text, "a Scan is declared although a Query by key is enough", between))
    return found


def where_of(subject: Subject) -> str:
    """Return how a message names the declaration of which items are the subject's."""
    return f"`where` of [trace.{subject.name}]"


def compare_both(subject: Subject) -> str:
    """Return the advice for items that the key brings and `where` does not: the item, `where` or the key is wrong."""
    return (
        f"compare the key of these items with {where_of(subject)}. Is an item's key wrong? Correct the item. Do the"
        " items belong to the subject? Correct `where`. Otherwise correct the pattern in devenv.toml and the"
        " application's query"
    )


def unexpected(pattern: PatternObservation, asked: StoreCall) -> LayerFinding | None:
    """Fewer or more items than the pattern itself declares as `expected`; they are what is stored."""
    least, most = pattern.expected
    number = asked.count
    if number is None or (number >= least and (most is None or number <= most)):
        return None
    bound = f"at least {least}" if number < least else f"at most {most}"
    text = f"it returns {count(number, 'item')}; {bound} are expected"
    cause = "either the data or `expected` is wrong"
    fault = pattern_fault("unexpected_count", text, cause, None)
    return fault if number < least else replace(fault, status="extra")


def judge_pattern_losses(seen: Observations, between: Difference, expected: Sequence[Entry]) -> Iterator[LayerFinding]:
    """Which of the pattern's own restrictions takes the missing entries away: each is lifted in turn."""
    pattern, asked = seen.pattern, seen.pattern.asked
    if not between.missing or asked is None:
        return
    names = {
        "limit": ("truncated", f"its limit of {asked.limit} ends the list, and the next page is not requested"),
        "filter": ("filtered", f"its filter ({asked.filter}) drops them"),
        "sort": ("narrowed", f"its sort-key condition ({asked.sort}) leaves them out"),
    }
    left = set(between.missing_ids)
    losses: list[LayerFinding] = []
    for stage, entries in pattern.stages:
        back = left & set(ids(entries))
        if back:
            kind, cause = names[stage]
            text = f"it returns {len(pattern.entries or ())} of {len(expected)}: {cause}"
            losses.append(pattern_fault(kind, text, cause, between, lost=tuple(back)))
            left -= back
    if left:
        kind = "wrong_index" if asked.index else "wrong_key"
        where = f"index {asked.index}" if asked.index else f"key {shown_key(asked)}"
        text = f"it returns {len(pattern.entries or ())} of {len(expected)}: {count(len(left))} not under {where}"
        cause = (
            f"index {asked.index} does not hold them, or the query uses another key"
            if asked.index
            else f"they are stored under a different key than {shown_key(asked)}"
        )
        if pattern.strays:
            cause += f"; it finds {count(pattern.strays, 'item')} of another kind there"
        losses.append(pattern_fault(kind, text, cause, between, lost=tuple(left)))
    yield from sorted(losses, key=lambda broken: -len(broken.subjects))


def pattern_fault(
    kind: str, summary: str, cause: str, between: Difference | None, lost: tuple[str, ...] = ()
) -> LayerFinding:
    status: LayerStatus = (
        "truncated"
        if kind == "truncated"
        else "reordered"
        if kind == "reordered"
        else "mutated"
        if kind == "scan"
        else "missing"
        if between is None or between.missing
        else "extra"
    )
    return LayerFinding(
        kind,
        f"the declared pattern: {summary}",
        cause,
        Fix("correct the pattern in devenv.toml and the application's query", None),
        lost or (between.missing_ids if between else ()),
        frozenset(["pattern"]),
        layer="pattern",
        difference=between,
        status=status,
    )
