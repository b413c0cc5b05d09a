"""Folders copied: as clones that share their blocks where the file system can, byte by byte elsewhere."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal

from devenv.host.processes import Account

Method = Literal["clone", "copy", "move", "template"]
FICLONE: Final = 0x40049409  # linux/fs.h: share the blocks of one file with another (btrfs, XFS, bcachefs).
CHUNK: Final = 1 << 20
MOST: Final = 1 << 30
# So many parts of a snapshot are read at the same time: a cluster, a file of items, small ones.
AT_ONCE: Final = 3


def copy_tree(
    source: Path, target: Path, account: Account | None, skip: Callable[[str], bool] = lambda name: False
) -> Method:
    """Copy a folder with its modes to `target`, which must not exist; how it was done. OSError.

    Symbolic links stay links. `account` owns the copy. `skip` is asked of each file's path in the folder.
    """
    return "clone" if copy_folder(str(source), str(target), account, skip) else "copy"


def copy_folder(
    source: str,
    target: str,
    account: Account | None,
    skip: Callable[[str], bool],
    inside: str = "",
    cloning: bool = True,
) -> bool:
    """Copy a folder with those in it; True while each file could be cloned.

    A cluster has over a thousand files, and shutil makes many more system calls for each.
    """
    os.mkdir(target, 0o700)
    own(target, account)
    with os.scandir(source) as entries:
        for entry in entries:
            name, to = inside + entry.name, os.path.join(target, entry.name)
            if entry.is_dir(follow_symlinks=False):
                cloning = copy_folder(entry.path, to, account, skip, f"{name}/", cloning)
            elif skip(name):
                continue
            elif entry.is_symlink():
                os.symlink(os.readlink(entry.path), to)
                own(to, account)
            elif entry.is_file():
                cloning = copy_file(entry.path, to, cloning)
                own(to, account)
            else:
                raise OSError(f"neither a file nor a folder: {entry.path}")
    return cloning


def copy_file(source: str, target: str, cloning: bool) -> bool:
    """Copy a file with its mode, as a clone if `cloning`; False where it is none. OSError."""
    with open(source, "rb", buffering=0) as reader, open(target, "wb") as writer:
        cloning = cloning and clone(reader, writer)
        if not cloning:
            copy_bytes(reader, writer)
        mode = os.fstat(reader.fileno()).st_mode
    os.chmod(target, stat.S_IMODE(mode))
    return cloning


def copy_bytes(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy the rest of a file; on Linux without taking it through this process. OSError."""
    if sys.platform == "linux" and hasattr(os, "copy_file_range"):
        with suppress(OSError):  # Between some file systems; the loop goes on from where it got to.
            while os.copy_file_range(source.fileno(), target.fileno(), MOST):
                pass
    while chunk := source.read(CHUNK):
        target.write(chunk)


def clone(source: IO[bytes], target: IO[bytes]) -> bool:
    """Share the blocks of a file; False where the file system (or the system) has no clones."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
    except OSError:
        return False
    return True


def own(path: Path | str, account: Account | None) -> None:
    if account is not None:
        os.lchown(path, account.uid, account.gid)


def checksum(path: Path) -> str:
    """CRC-32 over a file, or over a folder's names, sizes and contents: finds damage, not malice. Hexadecimal."""
    value = 0
    chunk = bytearray(CHUNK)
    view = memoryview(chunk)
    for name, entry in sorted(files_in(path)) if path.is_dir() else [((".",), str(path))]:
        with open(entry, "rb", buffering=0) as reader:
            length = os.fstat(reader.fileno()).st_size
            value = zlib.crc32(f"{os.sep.join(name)}\0{length}\0".encode(), value)
            while read := reader.readinto(chunk):
                value = zlib.crc32(view[:read], value)
    return f"{value:08x}"


def checksums(parts: Mapping[str, Path]) -> dict[str, str]:
    """Name -> checksum of each file or folder, several at the same time: neither reading nor adding holds the GIL."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(parts, pool.map(checksum, parts.values()), strict=True))


def files_in(folder: Path | str, inside: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The files in a folder and in those below it: (the names on the way to it, its path). A link to a file is one."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = (*inside, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from files_in(entry.path, name)
            elif entry.is_file():
                yield name, entry.path


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    found = (os.lstat(file) for _, file in files_in(path))
    return sum(each.st_size for each in found if stat.S_ISREG(each.st_mode))
