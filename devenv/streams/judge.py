"""Does a stream worker do its work? From what was seen of it to the first thing that is wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from devenv.core.plural import number_of
from devenv.streams.position import Position

Trouble = Literal["not_running", "stream_off", "loop", "handler_error", "lagging"]


@dataclass(frozen=True)
class WorkerObservation:
    """One worker as it was seen. `stream`: the table's stream now; None without one, or without the table.

    `state` is its process's. `behind`: records in the stream that it has not handled, None when that could not be
    read; `patience_s` is how long devenv waited for them to be handled.
    """

    name: str
    table: str
    state: str
    stream: str | None = None
    table_there: bool = True
    position: Position | None = None
    behind: int | None = None
    patience_s: float = 0.0


@dataclass(frozen=True)
class WorkerTrouble:
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
            else "schema-load has not made it",
            "devenv schema-load",
        )
    if seen.state != "running":
        return WorkerTrouble(
            "not_running",
            f"{seen.name} is {seen.state}, so nothing follows a change in {seen.table}",
            None,
            "devenv up",
        )
    known = seen.position or Position()
    if known.stopped:
        return WorkerTrouble("loop", f"{seen.name} is {known.stopped}", None, f"devenv restart {seen.name}")
    if known.error is not None and (known.last is None or known.error.at > known.last):
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
            f"{seen.name} is behind: {number_of(seen.behind, 'record')} of {seen.table} not handled within"
            f" {seen.patience_s:g} s",
            None,
            log,
        )
    return None


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
