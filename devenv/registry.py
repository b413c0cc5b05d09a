"""Which projects this user has started: a file each in the user's cache folder, with two paths and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from devenv import state


class Entry(msgspec.Struct, frozen=True):
    """One project: its folder, and where its data lies."""

    root: str
    home: str


def place(cache: Path, root: Path) -> Path:
    """The file of one project."""
    return cache / "projects" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"


def register(cache: Path, root: Path, home: Path) -> None:
    """Remember a project, unless it is known. A cache that cannot be written only costs `ps` the project's name."""
    file = place(cache, root)
    # Even the question whether it is there is refused in a cache whose projects are another user's.
    with contextlib.suppress(OSError):
        if not file.exists():
            file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            state.write_private(file, msgspec.json.encode(Entry(str(root), str(home))))


def forget(cache: Path, root: Path) -> None:
    """No longer remember a project."""
    with contextlib.suppress(OSError):
        place(cache, root).unlink(missing_ok=True)


def read_all(cache: Path) -> list[Entry]:
    """Every remembered project, by folder."""
    found = []
    for file in (cache / "projects").glob("*.json"):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Entry))
        except (OSError, msgspec.DecodeError):
            continue
    return sorted(found, key=lambda entry: entry.root)
