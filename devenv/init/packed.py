"""Data files that are packed with gzip, such as those of an export to S3, read as text within limits."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Final

# What step seed reads packed.
ENDINGS: Final = (".json.gz", ".jsonl.gz", ".ndjson.gz", ".csv.gz")


def read_packed(path: Path, most: int) -> str | None:
    """The text of a packed file; None for what is not packed or no text, and for more than `most` bytes, unpacked."""
    try:
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error):
        return None
    if len(content) > most or b"\0" in content:
        return None
    return content.decode("utf-8", "replace")
