"""The fault, and the words and lists that all layers' judges share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Final, Literal

from devenv.core.late import late
from devenv.core.model import Finding
from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.trace.difference import Change, Difference, compare, in_order
from devenv.trace.judge.how import how_text
from devenv.trace.observation import Answer, Entry, Observations, Subject

# How the cause of a list that ends like a page ends.
ONE_PAGE: Final = "as if only the first page had been read"
NO_NEXT: Final = "to a next page"
NO_NEW: Final = "has only entries of earlier pages"
LayerStatus = Literal["ok", "missing", "extra", "mutated", "reordered", "truncated", "error", "wrong_target", "not_run"]
# How a layer looks from outside when it breaks in a way that is no difference between two lists.
STATUS: Final[Mapping[str, LayerStatus]] = {
    "missing_table": "missing",
    "schema_drift": "mutated",
    "missing_row": "missing",
    "near_miss": "missing",
    "missing_item": "missing",
    "unmatched": "missing",
    "expired": "missing",
    "half_group": "missing",
    "orphan": "missing",
    "ambiguous_row": "extra",
    "duplicate": "extra",
    "open_to_strangers": "extra",
    "nothing_returned": "missing",
    "body_changed": "mutated",
    "wrong_query": "mutated",
    "scan": "mutated",
}
OK: Final = range(200, 300)
STORES: Final = frozenset(["postgres", "dynamodb"])
FORM: Final = "its form is not the declared one"
TROUBLE: Final = ("error", "exception", "traceback", "critical", "fatal")
# `"GET /orders HTTP/1.1" 500 Internal Server Error`.
TRACEBACK: Final = "Traceback (most recent call last)"
FRAME: Final = late(r'[\s|]*File "([^"<]+)", line (\d+), in ')
LIBRARIES: Final = ("site-packages", "dist-packages", "/lib/python", "\\Lib\\")
# The first line of an error that Node prints: its name and message; the lines under it are frames and properties.
NAMED_ERROR: Final = late(r"\s*(?:Uncaught )?[A-Za-z_][\w.]*(?:Error|Exception)\b(?: \[\w+\])?: \S")
NODE_FRAME: Final = late(r"\s+at (?:async )?(?:[^(]*\()?(?:file://)?(/[^()]+|[A-Za-z]:[^()]+?):(\d+):\d+\)?")
OWN_PARTS: Final = ("node_modules", "node:")
ANSWERED: Final = late(r'HTTP/\d(?:\.\d)?"?\s+\d{3}\b')


class LayerFinding(Finding, frozen=True, kw_only=True):
    """A finding at the layer where it first shows. `difference` is the evidence in entries.

    `others`: it concerns only requests of others (a page of another origin, a stranger, no token), not this one.
    """

    layer: str
    others: bool = False
    difference: Difference | None = None
    status: LayerStatus = "error"


class Judged(Value, frozen=True, kw_only=True):
    """The verdict on one layer. `expected` are the entries of the layer before, `entries` its own; None: not captured.

    `refused`: its answer is a refusal or a failure, whoever is to blame; `right` says why that is right. `another`: it
    gave other entries than are stored, though it agrees with the layer before.
    """

    findings: Sequence[LayerFinding] = ()
    expected: Sequence[Entry] | None = None
    entries: Sequence[Entry] | None = None
    difference: Difference | None = None
    refused: bool = False
    right: str | None = None
    another: bool = False


# Of one layer: the subject, what all layers gave, and what the layers before it are found to have wrong.
Judge = Callable[[Subject, Observations, Sequence[LayerFinding]], Judged]


def at_layer(layer: str, finding: Finding, status: LayerStatus = "mutated") -> LayerFinding:
    """Return what a layer itself found. `status` is how that looks from outside, where its class does not say."""
    parts = {one.name: getattr(finding, one.name) for one in fields(Finding)}
    return LayerFinding(**parts, layer=layer, status=STATUS.get(finding.kind, status))


def judge_findings(
    layer: str, status: LayerStatus, subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]
) -> Judged:
    """A layer that is not compared with others: what it found by itself."""
    mine = seen.layer(layer)
    return Judged(findings=[at_layer(layer, one, status) for one in mine.findings], entries=mine.entries)


def judge_stored(
    layer: str, service: str, subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]
) -> Judged:
    """A layer that looks at the data of a service, whatever any query thinks: what it found by itself.

    Left out is what a store that does not answer, or lacks a table, makes of the data in it, and what a changed column
    makes of the rows that have it.
    """
    judged = judge_findings(layer, "mutated", subject, seen, earlier)
    if any(service in one.about for one in earlier if one.kind in ("unreachable", "not_ready", "missing_table")):
        return replace(judged, findings=[])
    if layer != "postgres":
        return judged
    drifted = {name for one in earlier if one.kind == "schema_drift" for name in one.about} - STORES
    return replace(judged, findings=[one for one in judged.findings if not one.about & drifted])


def difference(
    subject: Subject, expected: Sequence[Entry] | None, observed: Sequence[Entry] | None
) -> Difference | None:
    """The difference of two lists; None when one of them was not captured."""
    if expected is None or observed is None:
        return None
    return compare(expected, observed, subject.types)


def without(found: Difference, fleeting: frozenset[str]) -> Difference:
    """A difference without entries that need not show: past their time to live, or written during the trace."""
    return replace(
        found,
        missing=tuple(entry for entry in found.missing if entry.id not in fleeting),
        extra=tuple(entry for entry in found.extra if entry.id not in fleeting),
        changed=tuple(change for change in found.changed if change.id not in fleeting),
    )


def reachable(seen: Observations) -> tuple[Entry, ...] | None:
    """Return what a right access pattern must return: all entries but those that their right key does not reach."""
    if seen.dynamodb.entries is None:
        return None
    return tuple(entry for entry in seen.dynamodb.entries if entry.id not in seen.dynamodb.hidden)


def is_another_list(subject: Subject, seen: Observations, layer: str, given: Sequence[Entry] | None) -> bool:
    """Return True if a layer gave other entries or values than are stored, though it agrees with the layer before.

    A page may end.
    """
    stored, limit = shown_in(subject, layer, reachable(seen)), subject.limits.get(layer)
    if stored is None or given is None or (limit and len(given) >= limit):
        return False
    between = without(compare(stored, given, subject.types), seen.dynamodb.fleeting)
    return bool(between.missing or between.extra or between.changed)


def shown_in(subject: Subject, layer: str, entries: Sequence[Entry] | None) -> tuple[Entry, ...] | None:
    """The entries of the kinds that a layer's answer shows."""
    unshown = subject.unshown.get(layer, frozenset())
    return None if entries is None else tuple(entry for entry in entries if entry.kind not in unshown)


def wrong_order(
    subject: Subject,
    layer: str,
    observed: Sequence[Entry],
    expected: Sequence[Entry],
    between: Difference | None,
    like: str,
) -> str | None:
    """The order that the entries of a kind should have and do not have, in words; None when all are in order.

    Without a declared one it is that of `expected`, which is called `like`; `between` None: then any is right.
    """
    for kind in dict.fromkeys(entry.kind for entry in observed):
        mine = [entry for entry in observed if entry.kind == kind]
        field, direction = subject.sorting.get(kind, (subject.sorted_by, subject.orders.get(layer)))
        whose = f" for `{kind}`" if kind else ""
        if field and direction:
            if not in_order(mine, field, direction):
                return f"{direction} by {field}{whose}"
        elif between is not None:
            before = [entry.id for entry, _ in between.pairs if entry.kind == kind]
            again = set(before)
            if before != [entry.id for entry in expected if entry.kind == kind and entry.id in again]:
                return f"{like}{whose}"
    return None


def beyond(subject: Subject, expected: Sequence[Entry], missing: Sequence[Entry], limit: int) -> tuple[Entry, ...]:
    """Return what is missing besides what a page of `limit` may leave out: the newest ones must be there."""
    if subject.sorted_by is None:
        return () if len(expected) - len(missing) >= limit else tuple(missing)
    newest = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "", reverse=True)[:limit]
    wanted = {entry.id for entry in newest}
    return tuple(entry for entry in missing if entry.id in wanted)


def which_part(
    subject: Subject, expected: Sequence[Entry], between: Difference, first: Collection[str | None] = ()
) -> str:
    """Which entries are lost, as far as their place tells: the oldest, the newest, or some in between.

    `first` are the ids of the first page: what loses entries of later pages only leaves alike ones there.
    """
    missing = {entry.id for entry in between.missing}
    if kinds := list(dict.fromkeys(entry.kind for entry in between.missing if entry.kind)):
        numbers = (sum(entry.kind == kind for entry in between.missing) for kind in kinds)
        return f"lost: {', '.join(f'{number} of `{kind}`' for number, kind in zip(numbers, kinds, strict=True))}"
    if subject.sorted_by is None:
        return f"{number_of(len(missing), 'entry is', 'entries are')} lost"
    ordered = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "")
    lost = [entry.id in missing for entry in ordered]
    number = sum(lost)
    if all(lost[:number]):
        oldest = f"the oldest {number_of(number, 'is', 'are')} lost"
        if between.extra:
            return oldest
        return f"{oldest}: the list ends after {len(ordered) - number}, {ONE_PAGE}"
    if all(lost[-number:]):
        return f"the newest {number_of(number, 'is', 'are')} lost"
    shared = shared_text(subject, expected, between)
    if not shared and first:
        shared = shared_text(subject, [entry for entry in expected if entry.id not in first], between)
        shared = shared and f"{shared} behind page 1"
    inner = number if shared or between.extra else number - lost.index(False)
    if 0 < inner < number / 2:
        end = f"the oldest {number_of(number - inner, 'is', 'are')} lost: the list ends after {len(lost) - number}"
        return f"{count(inner)} in between {'is' if inner == 1 else 'are'} lost, and {end}, {ONE_PAGE}"
    return f"{count(number)} in between are lost{shared}"


def shared_text(subject: Subject, expected: Sequence[Entry], between: Difference) -> str:
    """`: exactly those with `by` = ada`: the value that exactly the lost entries have; "" without one."""
    lost = {id(entry) for entry in between.missing}
    kept = [entry for entry in expected if id(entry) not in lost]
    if len(between.missing) < 2 or not kept:
        return ""
    for name, text in between.missing[0].fields.items():
        shared = text is not None and all(entry.fields.get(name) == text for entry in between.missing)
        if shared and name not in subject.payload and all(entry.fields.get(name) != text for entry in kept):
            return f": exactly those with `{name}` = {text}"
    return ""


def changed_text(subject: Subject, head: str, changed: Sequence[Change]) -> str:
    """Which fields changed, on how many entries.

    No values: they may be people's own words. Only of the first field that shows a column of a linked row.
    """
    fields = dict.fromkeys(change.field for change in changed)
    entries = len({change.id for change in changed})
    absent = [name for name in fields if all(c.observed is None for c in changed if c.field == name)]
    if len(absent) == len(fields):
        without = ", ".join(f"`{name}`{renamed(changed, name)}" for name in absent)
        return f"{head} {count(entries)} without {without}{linked_text(subject, changed)}"
    lacking = {name: f"no `{name}`{renamed(changed, name)}" for name in absent}
    ways = {name: how_text([c for c in changed if c.field == name], subject.types.get(name)) for name in fields}
    names = ", ".join(lacking.get(name, f"a different `{name}`{ways[name]}") for name in fields)
    return f"{head} {names} on {count(entries)}{linked_text(subject, changed)}"


def linked_text(subject: Subject, changed: Sequence[Change]) -> str:
    """The first field that is not what the linked row has, with both values; empty where there is none."""
    for change in changed:
        place = subject.linked_place(change.id, change.field)
        if place and change.field not in subject.payload:
            values = [f"`{text}`" if text is not None else "null" for text in (change.observed, change.expected)]
            return f": `{change.field}` of {change.id} is {values[0]}, {place} is {values[1]}"
    return ""


def renamed(changed: Sequence[Change], name: str) -> str:
    """` (the value is in `displayName`)`, where one other field has it on all entries."""
    others = {change.instead for change in changed if change.field == name}
    other = others.pop() if len(others) == 1 else None
    return f" (the value is in `{other}`)" if other else ""


def count(number: int, noun: str = "entry") -> str:
    """`1 entry`, `2 entries`."""
    return number_of(number, noun)


def share_of(returned: int, expected: int, between: Difference, source: str) -> str:
    """`1 of 2`, and how many came instead of the others: `2 of 2` would hide that one of them is another."""
    if not between.extra:
        return f"{returned} of {expected}"
    return f"{returned - len(between.extra)} of {expected}, and {count(len(between.extra))} that {source}"


def reason(answer: Answer, said: str | None) -> str | None:
    """Return what the answer says of itself, and what the application logged."""
    return "; ".join(filter(None, (answer.detail, said))) or None


def log_text(seen: Observations) -> str | None:
    """The last error that the application logged meanwhile, with the line of its own code that raised it."""
    lines = seen.http.log or ()
    last = last_error(lines)
    if last is None:
        return None
    place = raised_at(lines[:last]) or raised_below(lines[last + 1 :])
    return f"the application logged: {lines[last].strip()}{place}"


def last_error(lines: Sequence[str]) -> int | None:
    """The index of the line that names the last error. Of an error that Node printed, that is its first line."""
    last = next((number for number in reversed(range(len(lines))) if is_error_line(lines[number])), None)
    if last is None:
        return None
    # Properties of the error are indented below its frames, and may have `Exception` in them, too.
    for number in range(last, -1, -1):
        if NAMED_ERROR.match(lines[number]) and (number == last or lines[number + 1].lstrip().startswith("at ")):
            return number
        if not lines[number].startswith((" ", "\t", "}", "]")):
            break
    return last


def raised_below(lines: Sequence[str]) -> str:
    """` (raised in src/server.js:25)`: the first frame under an error of Node that is no library's; "" without one."""
    for line in lines:
        if (found := NODE_FRAME.match(line)) is None:
            if not line.lstrip().startswith("at "):
                break
        elif not any(part in found[1] for part in OWN_PARTS):
            return f" (raised in {'/'.join(found[1].replace(chr(92), '/').split('/')[-2:])}:{found[2]})"
    return ""


def raised_at(lines: Sequence[str]) -> str:
    """` (raised in app/stores.py:61)`: the innermost frame of a Python traceback that is no library's; "" without one.

    `lines` end before the error itself.
    """
    for line in reversed(lines):
        if TRACEBACK in line:
            break
        if (found := FRAME.match(line)) and not any(part in found[1] for part in LIBRARIES):
            return f" (raised in {'/'.join(found[1].replace(chr(92), '/').split('/')[-2:])}:{found[2]})"
    return ""


def is_error_line(line: str) -> bool:
    """Return True if a log line tells of an error: not the line of an answer, which repeats its status only."""
    words = line.lower()
    return ANSWERED.search(line) is None and any(word in words for word in TROUBLE)
