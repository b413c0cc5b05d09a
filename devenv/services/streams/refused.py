"""The file of refused records: one batch a line, as JSON with its records, the time and the error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

# Behind the file's name: its records are to be given to the function again.
AGAIN: Final = ".again"


def read_batches(path: Path) -> list[list[dict[str, Any]]]:
    """The batches of a file; none when it is not there. A line that a crash cut off is left out."""
    found = []
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            records = json.loads(line)["records"]
        except (ValueError, KeyError, TypeError):
            continue
        found.append(records)
    return found


def count_records(path: Path) -> int:
    """How many records a file holds."""
    return sum(map(len, read_batches(path)))
