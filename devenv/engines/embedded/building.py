"""The cache folder of parts: whatever is put there is made beside its place and renamed, under one lock."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.errors import DevenvError, Exit

LOCK_PATIENCE_S: Final = 900.0
# In each fetched part: the SHA-256 sum of each of its files, for `devenv parts verify`.
SUMS: Final = ".sums.json"
# What is being done, bytes done, bytes in all (None: not known).
Progress = Callable[[str, int, int | None], None]


class Unavailable(Exception):
    """A source cannot give the archive; the text says why."""


@contextlib.contextmanager
def building(cache: Path, place: Path, progress: Progress) -> Iterator[Path | None]:
    """A fresh folder that becomes `place` when the block ends well; None when another devenv made it meanwhile.

    Holds the cache's lock; what a killed devenv left behind is removed. DevenvError (7) when the lock stays taken.
    """
    from filelock import FileLock, Timeout

    make_cache(cache)
    lock = FileLock(cache / "parts.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress("waiting for another devenv, which is filling the same cache", 0, None)
        try:
            lock.acquire(timeout=LOCK_PATIENCE_S)
        except Timeout:
            raise DevenvError(
                f"another devenv has held the cache {cache} for {LOCK_PATIENCE_S:g} s", exit_code=Exit.LOCKED
            ) from None
    try:
        for leftover in cache.glob("tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if place.exists():
            yield None
            return
        folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=cache))
        try:
            yield folder
            write_sums(folder)
            open_to_all(folder)
            folder.rename(place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def make_cache(cache: Path) -> None:
    """Make the cache folder, readable by every account."""
    for folder in reversed([folder for folder in (cache, *cache.parents) if not folder.exists()]):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def open_to_all(folder: Path) -> None:
    """Let every account read the tree: as root, the server runs as another one."""
    folder.chmod(0o755)
    for entry in folder.rglob("*"):
        if not entry.is_symlink():
            entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(file)


def sums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 sum of each file below `folder`, by its path in there; links are left out."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and file.name != SUMS:
            with file.open("rb") as content:
                found[file.relative_to(folder).as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


def write_sums(folder: Path) -> None:
    """Record the sums of a folder, so that a later change of its files is found."""
    write_whole(folder / SUMS, msgspec.json.encode(sums_of(folder)))
