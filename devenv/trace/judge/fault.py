"""What a fault is, and the words and lists that all layers' judges share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from devenv.core.model import Fix
from devenv.core.plural import number_of
from devenv.trace.difference import Change, Difference, compare
from devenv.trace.observation import Answer, Entry, LayerName, Seen, Subject, Trouble

LayerStatus = Literal["ok", "missing", "extra", "mutated", "reordered", "truncated", "error", "wrong_target", "not_run"]
# How a layer looks from outside when it breaks in a way that is no difference between two lists.
STATUS: Final[Mapping[str, LayerStatus]] = {
    "missing_table": "missing",
    "schema_drift": "mutated",
    "missing_row": "missing",
    "near_miss": "missing",
    "missing_item": "missing",
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


@dataclass(frozen=True)
class Broken:
    """One fault: the layer where it first shows, its class, and what to do. `difference` is the evidence in entries."""

    layer: LayerName
    kind: str
    summary: str
    cause: str | None = None
    fix: Fix | None = None
    subjects: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()
    difference: Difference | None = None
    status: LayerStatus = "error"


def broken_by(layer: LayerName, trouble: Trouble) -> Broken:
    """A layer's own trouble as a fault of that layer."""
    status: LayerStatus = "wrong_target" if layer == "environment" else STATUS.get(trouble.kind, "mutated")
    if layer == "services":
        status = STATUS.get(trouble.kind, "error")
    return Broken(
        layer, trouble.kind, trouble.summary, trouble.cause, trouble.fix, trouble.subjects, trouble.about, None, status
    )


def difference(
    subject: Subject, expected: Sequence[Entry] | None, observed: Sequence[Entry] | None
) -> Difference | None:
    """The difference of two lists; None when one of them was not captured."""
    if expected is None or observed is None:
        return None
    return compare(expected, observed, subject.types)


def without(found: Difference, fleeting: frozenset[str]) -> Difference:
    """A difference without entries that need not show: past their time to live, or written while we looked."""
    return replace(
        found,
        missing=tuple(entry for entry in found.missing if entry.id not in fleeting),
        extra=tuple(entry for entry in found.extra if entry.id not in fleeting),
    )


def reachable(seen: Seen) -> tuple[Entry, ...] | None:
    """What a right access pattern must return: all entries but those that their right key does not reach."""
    if seen.dynamodb.entries is None:
        return None
    return tuple(entry for entry in seen.dynamodb.entries if entry.id not in seen.dynamodb.hidden)


def beyond(subject: Subject, expected: Sequence[Entry], missing: Sequence[Entry], limit: int) -> tuple[Entry, ...]:
    """What is missing besides what a page of `limit` may leave out: the newest ones must be there."""
    if subject.sorted_by is None:
        return () if len(expected) - len(missing) >= limit else tuple(missing)
    newest = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "", reverse=True)[:limit]
    wanted = {entry.id for entry in newest}
    return tuple(entry for entry in missing if entry.id in wanted)


def which_part(subject: Subject, expected: Sequence[Entry], between: Difference) -> str:
    """Which entries are lost, as far as their place tells: the oldest, the newest, or some in between."""
    missing = {entry.id for entry in between.missing}
    if subject.sorted_by is None:
        return f"{number_of(len(missing), 'entry is', 'entries are')} lost"
    ordered = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "")
    lost = [entry.id in missing for entry in ordered]
    number = sum(lost)
    if all(lost[:number]):
        oldest = f"the oldest {number_of(number, 'is', 'are')} lost"
        return f"{oldest}: a list that ends after {len(ordered) - number}, as a page does"
    if all(lost[-number:]):
        return f"the newest {number_of(number, 'is', 'are')} lost"
    return f"{count(number)} in between are lost"


def changed_text(head: str, changed: Sequence[Change]) -> str:
    """Which fields changed, on how many entries. No values: they may be people's own words."""
    fields = dict.fromkeys(change.field for change in changed)
    entries = len({change.id for change in changed})
    absent = [name for name in fields if all(c.observed is None for c in changed if c.field == name)]
    names = ", ".join(f"no `{name}`" if name in absent else f"another `{name}`" for name in fields)
    return f"{head} {names} on {count(entries)}"


def count(number: int, noun: str = "entry") -> str:
    """`1 entry`, `2 entries`."""
    return number_of(number, noun)


def reason(answer: Answer, said: str | None) -> str | None:
    """What the answer says of itself, and what the application logged."""
    return "; ".join(filter(None, (answer.detail, said))) or None


def log_text(seen: Seen) -> str | None:
    """The last error that the application logged meanwhile."""
    lines = [line for line in seen.http.log or () if is_error_line(line)]
    return f"the application logged: {lines[-1].strip()}" if lines else None


def is_error_line(line: str) -> bool:
    """Whether a log line tells of an error."""
    words = line.lower()
    return any(word in words for word in ("error", "exception", "traceback", "critical", "fatal"))
