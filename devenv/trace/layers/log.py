"""The lines that the application logs during a request."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOG_BYTES: Final = 64 * 1024
LOG_LINES: Final = 60


def size_of(log: Path | None) -> int:
    """Return how long the log is now."""
    try:
        return log.stat().st_size if log is not None else 0
    except OSError:
        return 0


def read_log(log: Path | None, mark: int) -> tuple[str, ...] | None:
    """The lines written since `mark`; None when there is no log. A log that was cut meanwhile is read as a whole."""
    if log is None:
        return None
    try:
        with open(log, "rb") as file:
            end = file.seek(0, 2)
            file.seek(max(mark, end - LOG_BYTES) if end >= mark else 0)
            lines = file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    return tuple(lines[-LOG_LINES:])
