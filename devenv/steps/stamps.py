"""Remembers files by size, times and inode, so that a large one that did not change is not read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.errors import UsageError

WHOLE_BYTES: Final = 2_000_000
PACKED_BYTES: Final = 100_000
CHUNK: Final = 1 << 20


class FileStamp(msgspec.Struct, frozen=True):
    """Size, times and inode that tell whether a file changed, and the digest of its content then."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str


class Reading(msgspec.Struct, frozen=True):
    """How files that may be large are read.

    `ledger` remembers them: one that is loaded already is not read again. Without `whole` a large one that is not
    loaded is not checked either. `say` takes progress lines.
    """

    ledger: Path | None = None
    whole: bool = True
    say: Callable[[str], None] = lambda text: None


def is_small(path: Path) -> bool:
    """True if reading the file takes no time; also if it cannot be read."""
    try:
        return path.stat().st_size <= (PACKED_BYTES if path.name.endswith(".gz") else WHOLE_BYTES)
    except OSError:
        return True


def stamp_files(
    files: Mapping[str, Path], known: Mapping[str, FileStamp], *, whole: bool = True, most: int | None = None
) -> dict[str, FileStamp]:
    """The digest of every file; one that is large and unchanged since it was stamped is not read. UsageError.

    Without `whole` a large one that changed is not read either: its digest is no known one then. A file of more than
    `most` bytes is not read: its digest is that of its size and times.
    """
    found: dict[str, FileStamp] = {}
    for name, path in files.items():
        try:
            status = os.stat(path)
            same = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            last = known.get(name)
            if last and not is_small(path) and (last.size, last.mtime_ns, last.ctime_ns, last.inode) == same:
                found[name] = last
            elif not whole and not is_small(path):
                found[name] = FileStamp(*same, "not read")
            elif most is not None and status.st_size > most:
                found[name] = FileStamp(*same, f"too large to be read: {same}")
            else:
                found[name] = FileStamp(*same, digest_of(path))
        except OSError as error:
            raise UsageError(f"{name} cannot be read", detail=error.strerror or str(error)) from None
    return found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, whose lines may end in either way. OSError."""
    digest = hashlib.sha256()
    held = b""
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            chunk = held + chunk
            held = chunk[-1:] if chunk.endswith(b"\r") else b""
            digest.update(chunk[: len(chunk) - len(held)].replace(b"\r\n", b"\n"))
    digest.update(held)
    return digest.hexdigest()
