"""The lines that the application logs during a request."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from devenv.trace.judge.fault import is_error_line

LOG_BYTES: Final = 64 * 1024
LOG_LINES: Final = 60
PATIENCE_S: Final = 0.5
POLL_S: Final = 0.02


def size_of(log: Path | None) -> int:
    """Return how long the log is now."""
    try:
        return log.stat().st_size if log is not None else 0
    except OSError:
        return 0


def read_log_of(log: Path | None, mark: int, *, failed: bool) -> tuple[str, ...] | None:
    """The lines of a request since `mark`. If it `failed`, its error may be logged after the answer: waits for it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = read_log(log, mark)
        if lines is None or not failed or any(map(is_error_line, lines)) or time.monotonic() > deadline:
            return lines
        time.sleep(POLL_S)


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
