"""Does a stream worker do its work? From what was seen of it to the first thing that is wrong. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.services.streams.position import Position

Trouble = Literal["not_running", "stream_off", "loop", "handler_error", "lagging", "not_applied", "filtered"]


class WorkerObservation(Value, frozen=True):
    """One worker as it was seen. `stream`: the table's stream now; None without one, or without the table.

    `state` is its process's. `behind`: records in the stream that it has not handled, None when that could not be
    read; `patience_s` is how long devenv waited for them to be handled. `refused` records are kept in `refused_file`.
    """

    name: str
    table: str
    state: str
    stream: str | None = None
    table_there: bool = True
    position: Position | None = None
    behind: int | None = None
    patience_s: float = 0.0
    refused: int = 0
    refused_file: str = ""


class Replay(msgspec.Struct, frozen=True):
    """A function run on a scratch copy for items that exist. `unrun`: it was not, and why.

    `given` records passed the filter, `left_out` did not; where none passed, those were given instead. `changes` are
    what it did, in words; `corrected` the faults (class, subjects) that were gone afterwards, `behind` those of rows
    behind their items that stood before.
    """

    given: int = 0
    left_out: int = 0
    changes: tuple[str, ...] = ()
    error: str | None = None
    place: str | None = None
    corrected: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    behind: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    unrun: str | None = None


class WorkerTrouble(msgspec.Struct, frozen=True):
    """A worker's trouble: its kind, a sentence, why (if known), and the command that helps."""

    kind: Trouble
    text: str
    cause: str | None
    command: str


def judge_worker(seen: WorkerObservation) -> WorkerTrouble | None:
    """The first thing that is wrong, in the order in which correcting it changes something."""
    log = f"devenv logs {seen.name}"
    if seen.stream is None:
        what = "has no stream" if seen.table_there else "is not there"
        return WorkerTrouble(
            "stream_off",
            f"{seen.name} gets no records: table {seen.table} {what}",
            'its definition lacks "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "…"}'
            if seen.table_there
            else "schema-load has not created it",
            "devenv schema-load",
        )
    if seen.state != "running":
        return WorkerTrouble(
            "not_running",
            f"{seen.name} is {seen.state}, so nothing processes the changes in {seen.table}",
            None,
            "devenv up",
        )
    known = seen.position or Position()
    if known.stopped:
        return WorkerTrouble("loop", f"{seen.name} is {known.stopped}", None, f"devenv restart {seen.name}")
    if known.error is not None and failing(known):
        where = f" at {known.error.place}" if known.error.place else ""
        return WorkerTrouble(
            "handler_error",
            f"{seen.name}: the function failed{where} with its last batch: {known.error.message}",
            None,
            log,
        )
    if seen.behind:
        return WorkerTrouble(
            "lagging",
            f"{seen.name} is behind: {number_of(seen.behind, 'record')} of {seen.table} not processed within"
            f" {seen.patience_s:g} s",
            None,
            log,
        )
    return None


def failing(known: Position) -> bool:
    """Return True if nothing was handled since the last error."""
    return known.error is not None and (known.last is None or known.error.at > known.last)


def explained(seen: WorkerObservation, found: Replay) -> frozenset[tuple[str, tuple[str, ...]]]:
    """The stored faults that are known to go away with a worker's trouble.

    A function that fails on the copy corrects nothing there: rows are behind for it only if it failed in the same way
    before. One that fails for the first time may be one that cannot be run twice.
    """
    error = seen.position.error if seen.position is not None else None
    if found.error is None or seen.position is None or error is None:
        return found.corrected
    same = error.place == found.place if found.place else error.message == found.error
    return found.behind if same and (seen.position.failed or failing(seen.position)) else found.corrected


def judge_replay(seen: WorkerObservation, found: Replay) -> WorkerTrouble | None:
    """The trouble that running the function again shows of a worker that has no other."""
    if found.error is not None:
        where = f" at {found.place}" if found.place else ""
        return WorkerTrouble(
            "handler_error",
            f"{seen.name}: run on a copy for these items, the function failed{where}: {found.error}",
            None,
            f"devenv logs {seen.name}",
        )
    if not found.corrected:
        return None
    did = "; ".join(found.changes)
    if not found.given:
        return WorkerTrouble(
            "filtered",
            f"{seen.name} does not get these items: its `filter` excludes all {found.left_out} of them",
            f"run on a copy without the filter, the function corrects what is wrong: {did}",
            "devenv config show",
        )
    failed = seen.position.failed if seen.position else 0
    refused = f"; it refused {number_of(failed, 'record')}" if failed else ""
    return WorkerTrouble(
        "not_applied",
        f"{seen.name} did not make the updates that these items need",
        f"run on a copy, the function corrects what is wrong: {did}{refused}",
        f"devenv logs {seen.name}",
    )


def summary(known: Position | None) -> str:
    """A worker's work so far, in a few words."""
    if known is None:
        return "no record yet"
    counts: Final = (
        (known.handled, "handled"),
        (known.filtered, "filtered out"),
        (known.seeded, "from seeds"),
        (known.failed, "refused"),
        (known.waiting, "waiting"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{told or 'no record yet'}" + (f", last in {known.lag_s:g} s" if known.handled else "")
