"""The source files of a folder, and their digests at the moment when a process was started from them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from devenv.host.files import read_text
from devenv.host.writing import write_private

# The file in the project's state folder.
NAME: Final = "sources.json"
# A larger file is no code that a person corrects.
SOURCE_BYTES: Final = 1_000_000
RECORD_BYTES: Final = 16_000_000
SUFFIXES: Final = frozenset(
    f".{end}"
    for end in "cjs cs ex go java js jsx kt mjs mts php py rb rs ts tsx".split()  # noqa: SIM905
)
LEFT_OUT: Final = frozenset(["node_modules", "site-packages", "spec", "test", "tests"])
# A virtual environment of any name has this file.
VENV: Final = "pyvenv.cfg"
LIMIT: Final = 5_000


class SourceStamp(msgspec.Struct, frozen=True):
    """Size, times and inode of a file, and the digest of its content."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str


def source_files(folder: Path, others: frozenset[Path] = frozenset()) -> Iterator[os.DirEntry[str]]:
    """Source files below `folder`, breadth first, without packages, tests and `others`."""
    waiting, left = deque([str(folder)]), LIMIT
    while waiting and left > 0:
        try:
            with os.scandir(waiting.popleft()) as listed:
                here = list(listed)
        except OSError:
            continue
        if any(entry.name == VENV for entry in here):
            continue
        left -= len(here)
        for entry in here:
            if entry.name.startswith((".", "__pycache__")) or entry.name in LEFT_OUT or Path(entry.path) in others:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif os.path.splitext(entry.name)[1] in SUFFIXES:
                yield entry


def digest_of(path: str) -> str:
    """The digest of a file; "" of a large one, which is not read. OSError."""
    if os.stat(path).st_size > SOURCE_BYTES:
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def keep_digests(folder: Path, record: Path) -> None:
    """Remember the digests of a folder's source files; those that did not change since are not read again."""
    known, found = read_stamps(record), {}
    for entry in source_files(folder):
        with contextlib.suppress(OSError):
            status = entry.stat()
            same = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            last = known.get(entry.path)
            is_same = last is not None and (last.size, last.mtime_ns, last.ctime_ns, last.inode) == same
            found[entry.path] = last if last and is_same else SourceStamp(*same, digest_of(entry.path))
    # Without the record, the times of the files still tell of most changes.
    with contextlib.suppress(OSError):
        write_private(record, msgspec.json.encode(found))


def read_stamps(record: Path) -> dict[str, SourceStamp]:
    """Path -> what was remembered of a file; {} if there is nothing, or nothing usable."""
    try:
        return msgspec.json.decode(read_text(record, RECORD_BYTES) or "", type=dict[str, SourceStamp])
    except (OSError, msgspec.DecodeError):
        return {}


def read_digests(record: Path) -> dict[str, str]:
    """Path -> the digest that was remembered."""
    return {path: stamp.digest for path, stamp in read_stamps(record).items()}
