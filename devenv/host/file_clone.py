"""Folders copied: as clones that share their blocks where the file system can, byte by byte elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from devenv.host.processes import Account

Method = Literal["clone", "copy", "move", "template"]
FICLONE: Final = 0x40049409  # linux/fs.h: share the blocks of one file with another (btrfs, XFS, bcachefs).
CHUNK: Final = 1 << 20


def clone_file(source: Path, target: Path) -> bool:
    """Make `target` a clone of `source`; False where the file system (or the system) has no clones."""
    if sys.platform != "linux":
        return False
    import fcntl

    with open(source, "rb") as reader, open(target, "wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
        except OSError:
            return False
    return True


def copy_tree(
    source: Path, target: Path, account: Account | None, skip: Callable[[str], bool] = lambda name: False
) -> Method:
    """Copy a folder with its modes to `target`, which must not exist; how it was done. OSError.

    Symbolic links stay links. `account` owns the copy. `skip` is asked of each file's path in the folder.
    """
    cloning = True
    for folder, names, files in os.walk(source):
        here = target / os.path.relpath(folder, source)
        here.mkdir(mode=0o700)
        own(here, account)
        for name in [each for each in names if os.path.islink(os.path.join(folder, each))] + files:
            if skip(os.path.relpath(os.path.join(folder, name), source)):
                continue
            from_, to = os.path.join(folder, name), here / name
            if os.path.islink(from_):
                os.symlink(os.readlink(from_), to)
            else:
                cloning = cloning and clone_file(Path(from_), to)
                if not cloning:
                    shutil.copyfile(from_, to)
                shutil.copymode(from_, to)
            own(to, account)
    return "clone" if cloning else "copy"


def own(path: Path, account: Account | None) -> None:
    if account is not None:
        os.lchown(path, account.uid, account.gid)


def checksum(path: Path) -> str:
    """CRC-32 over a file, or over a folder's names, sizes and contents: finds damage, not malice. Hexadecimal."""
    value = 0
    for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
        value = zlib.crc32(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode(), value)
        with open(file, "rb") as reader:
            while chunk := reader.read(CHUNK):
                value = zlib.crc32(chunk, value)
    return f"{value:08x}"


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and not each.is_symlink())
