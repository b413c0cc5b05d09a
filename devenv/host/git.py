"""Facts of git about a folder, read from its files: git itself is never started.

Git runs what a repository's own configuration names (monitors, filters, hooks, remote helpers, even to list files), and
a repository may come with a clone or an archive, in any folder of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devenv.core.late import late
from devenv.host.files import MOST_FILES, Listing, read_text

MOST_BYTES: Final = 50_000_000
LONGEST: Final = 4096
COMMIT: Final = late(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
NAME_MASK: Final = 0xFFF
EXTENDED: Final = 0x4000
# Stat data before the object's id, and flags behind it.
FIXED: Final = 40
FOLDER: Final = 0o040000


def find_repository(root: Path) -> tuple[Path, Path] | None:
    """The repository's folder (`.git`, or of a worktree) and the top of its files; None outside of one.

    As `safe.bareRepository=explicit` has it: a folder that only looks like a repository is none.
    """
    for top in (root, *root.parents):
        place = top / ".git"
        if place.is_dir() and (place / "HEAD").is_file():
            return place, top
        if place.is_file():
            text = read_small(place) or ""
            named = top / text.removeprefix("gitdir:").strip()
            return (named, top) if text.startswith("gitdir:") and (named / "HEAD").is_file() else None
    return None


def read_small(path: Path) -> str | None:
    """The text of a small file; None when it is none, or cannot be read."""
    try:
        return read_text(path)
    except OSError:
        return None


def read_commit(root: Path) -> str | None:
    """The commit that is checked out; None outside of a repository, or before the first one."""
    found = find_repository(root.resolve())
    head = (read_small(found[0] / "HEAD") or "").strip() if found else ""
    if found is None or not head.startswith("ref:"):
        return head if COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    if not re.fullmatch(r"refs/[\w./+@-]+", name) or ".." in name:
        return None
    common = (read_small(found[0] / "commondir") or ".").strip()
    for place in (found[0], found[0] / common):
        text = (read_small(place / name) or "").strip()
        if COMMIT.fullmatch(text):
            return text
        packed = re.search(rf"^({COMMIT.pattern}) {re.escape(name)}$", read_small(place / "packed-refs") or "", re.M)
        if packed:
            return packed[1]
    return None


def tracked_files(root: Path) -> Listing | None:
    """The files below `root` that git tracks; None outside of a repository, or when its index cannot be read.

    A sparse index holds folders in the place of the files in them; then the listing is `cut`.
    """
    root = root.resolve()
    found = find_repository(root)
    content = read_index(found[0] / "index") if found else None
    if found is None or content is None:
        return None
    below = f"{root.relative_to(found[1]).as_posix()}/".removeprefix("./")
    names: list[str] = []
    cut = False
    try:
        for name, mode in entries(content):
            if mode == FOLDER:
                cut = True
            elif name.startswith(below) and ".." not in name.split("/") and not name.startswith("/"):
                names.append(name.removeprefix(below))
    except (struct.error, ValueError, IndexError):
        return None
    unique = list(dict.fromkeys(names))
    return Listing(tuple(map(Path, unique[:MOST_FILES])), cut=cut or len(unique) > MOST_FILES)


def read_index(path: Path) -> bytes | None:
    """The bytes of an index; None without one, for a link, or for one that is too large."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES else None
    except OSError:
        return None


def entries(content: bytes) -> Iterator[tuple[str, int]]:
    """(name, mode) of each entry of an index (gitformat-index(5), versions 2 to 4). ValueError for what is none."""
    signature, version, count = struct.unpack_from(">4sII", content)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(version)
    length = id_length(content)
    place, name = 12, b""
    for _ in range(count):
        (mode,) = struct.unpack_from(">I", content, place + 24)
        (flags,) = struct.unpack_from(">H", content, place + FIXED + length)
        begin = place + FIXED + length + (4 if version > 2 and flags & EXTENDED else 2)
        if version == 4:
            dropped, begin = variable_number(content, begin)
            end = content.index(b"\0", begin)
            name = name[: len(name) - dropped] + content[begin:end]
            place = end + 1
        else:
            end = content.index(b"\0", begin + min(flags & NAME_MASK, NAME_MASK - 1))
            name = content[begin:end]
            # Padded with one to eight NULs to a multiple of eight.
            place += (end - place + 8) & ~7
        if len(name) > LONGEST:
            raise ValueError("a name is too long")
        yield os.fsdecode(name), mode
    if content.startswith(b"link", place):
        raise ValueError("the rest of it is in another file")


def id_length(content: bytes) -> int:
    """Return how long object ids are: the index ends with the hash of all before it, in the repository's own kind."""
    return 32 if hashlib.sha256(content[:-32]).digest() == content[-32:] else 20


def variable_number(content: bytes, place: int) -> tuple[int, int]:
    """A number as pack files write offsets, and where it ends."""
    value = content[place] & 0x7F
    while content[place] & 0x80:
        place += 1
        value = (value + 1) << 7 | (content[place] & 0x7F)
    return value, place + 1
