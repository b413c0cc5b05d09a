"""The text files of a project's folder, read safely: within limits, without following symbolic links, never run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

# Folders that hold what tools made, not what people wrote.
SKIPPED: Final = frozenset(
    [".git", ".devstate", ".venv", "venv", "env", "node_modules", "__pycache__", ".tox", ".mypy_cache", ".ruff_cache"]
)
MOST_FILES: Final = 20_000
TEXT_BYTES: Final = 1_000_000
LOOK_BYTES: Final = 8_000


class Listing(msgspec.Struct, frozen=True):
    """Files below a folder, as paths relative to it, sorted. `cut`: there are more than were listed."""

    files: tuple[Path, ...]
    cut: bool = False


def list_files(root: Path, most: int = MOST_FILES) -> Listing:
    """The regular files below `root`: no symbolic link is followed, nor are folders that tools fill entered."""
    found: list[Path] = []
    for path in walk(root):
        if len(found) == most:
            return Listing(tuple(found), cut=True)
        found.append(path.relative_to(root))
    return Listing(tuple(sorted(found)))


def walk(folder: Path) -> Iterator[Path]:
    """Every regular file at or below `folder`, the upper ones first. A folder that cannot be read has none."""
    try:
        with os.scandir(folder) as entries:
            here = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    yield from (Path(entry.path) for entry in here if entry.is_file(follow_symlinks=False))
    for entry in here:
        if entry.name not in SKIPPED and entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))


def read_text(path: Path, most: int = TEXT_BYTES) -> str | None:
    """The text of a regular file; None for what is none: a link, a device, binary, or larger than `most` bytes.

    OSError when it cannot be read.
    """
    # Without blocking: the name may have become a pipe since it was listed.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or b"\0" in (head := file.read(LOOK_BYTES)):
            return None
        if status.st_size > most:
            return None
        content = head + file.read(most)
    return None if b"\0" in content else content.decode("utf-8", "replace")


def size_of(path: Path) -> int:
    """Return the bytes on disk of a file or of all files below a folder; what cannot be read counts nothing."""
    total = 0
    pending = [path]
    while pending:
        entry = pending.pop()
        try:
            status = entry.lstat()
            # Sparse files take less than their length; what is small may take a whole block.
            total += status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
            if stat.S_ISDIR(status.st_mode):
                pending += entry.iterdir()
        except OSError:
            continue
    return total
