"""The journal of a repair plan: each write on disk before it is done, and its outcome."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from devenv.host.writing import open_append, write_private


def journal_path(folder: Path, sha256: str) -> Path:
    """Return where the journal of a plan is. `folder` is the project's state folder, `sha256` the plan's own."""
    return folder / "repairs" / f"{sha256[:24]}.journal"


def read_ours(path: Path) -> set[int]:
    """The numbers of the writes that were begun and not taken back: those that may be in the store."""
    found: set[int] = set()
    for line in path.read_text().splitlines() if path.exists() else ():
        word, _, number = line.partition(" ")
        if number.isdigit():
            (found.discard if word == "undone" else found.add)(int(number))
    return found


class RepairJournal:
    """A journal that is being written: `begin n` before a write, `undone n` after one was taken back."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_private(path, b"")
        self._file = open_append(path)

    def note(self, word: str, numbers: Sequence[int]) -> None:
        """Write lines, and be sure that they are on the disk."""
        self._file.write("".join(f"{word} {number}\n" for number in numbers).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
