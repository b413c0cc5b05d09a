"""How far a worker has come in its stream, and what it counted: one JSON file, replaced as a whole after each batch.

A position is the last record that was handled, by sequence number and event id. Where the store has been restored, the
number may stand for another record; the id tells.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from devenv.host.writing import replace_private


class LastRecord(msgspec.Struct, frozen=True):
    """The last record of a shard that needs no more work. `done`: the shard has ended, and all of it was handled."""

    sequence: str = ""
    event: str = ""
    done: bool = False


class HandlerError(msgspec.Struct, frozen=True):
    """How the handler failed last: the message, its place in the project (`file:line`) where known, ISO time."""

    message: str
    at: str
    place: str | None = None


class Position(msgspec.Struct):
    """The file's content. `stream` is the stream's ARN; counts are records since the file was begun.

    `waiting` are records that were read and not yet handled; `lag_s` is how long the oldest record of the last batch
    waited from when it was read until the batch ended, in seconds (DynamoDB Local tells only the minute of a change).
    `stopped` is the reason for which the worker gives its handler nothing more.
    """

    stream: str = ""
    shards: dict[str, LastRecord] = {}
    handled: int = 0
    batches: int = 0
    filtered: int = 0
    seeded: int = 0
    failed: int = 0
    errors: int = 0
    waiting: int = 0
    lag_s: float = 0.0
    last: str | None = None
    error: HandlerError | None = None
    stopped: str | None = None


def read(path: Path) -> Position | None:
    """The position in a file; None when there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write(path: Path, position: Position) -> None:
    """Replace the file. OSError when that cannot be done; what was there stays then."""
    replace_private(path, msgspec.json.encode(position))
