"""The keys of `[services.<name>]` that make a process a stream worker."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from devenv.config.types import Section

# Lambda's own limits for an event source mapping of a stream, and for a function's time-out.
MOST_RECORDS: Final = 10_000
MOST_WINDOW_S: Final = 300.0
MOST_RETRIES: Final = 10_000
MOST_TIMEOUT_S: Final = 900.0
SUFFIXES: Final = {".py": "python", ".js": "node", ".cjs": "node", ".mjs": "node"}
FilterPattern = dict[str, Any]
OnFailure = Literal["file", "drop"]


class Batch(Section, frozen=True):
    """`batch = { size = 100, window_s = 0 }`: the most records of one call, and how long a smaller batch waits."""

    size: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECORDS)] = 100
    window_s: Annotated[float, msgspec.Meta(ge=0, le=MOST_WINDOW_S)] = 0.0


class HandlerPlace(NamedTuple):
    """The file of a handler, its function, and what runs it; `language` is None for a file of another kind."""

    file: str
    function: str
    language: str | None


def handler_places(handler: str) -> list[HandlerPlace]:
    """Return where a handler may be: `file.py:function`, or as AWS writes it, `folder/file.function`. Pure."""
    file, colon, function = handler.rpartition(":")
    if colon:
        return [HandlerPlace(file, function, SUFFIXES.get(PurePosixPath(file).suffix))]
    stem, dot, function = handler.rpartition(".")
    if not dot or not stem or not function:
        return []
    return [HandlerPlace(stem + suffix, function, language) for suffix, language in SUFFIXES.items()]
