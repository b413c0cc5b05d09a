"""The one writer of files: never through a link, never into a pipe or a device, all or nothing.

A test lists the modules that open a file for writing in another way, each with its reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from devenv.core.errors import UsageError
from devenv.core.late import late

NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
# Data or secrets may be in it; what is meant to be shared (settings, policies) is as the umask has it.
PRIVATE: Final = 0o600
SHARED: Final = 0o666
HEAD_BYTES: Final = 4096
# `.state.json.1234.k2j3h4k5`: of process 1234.
HALF_WRITTEN: Final = late(r"\.[\w-]+\.\w+\.(\d+)(?:\.\w+)?")
# JSON that says of which kind it is, and any other by its first key.
SCHEMA: Final = re.compile(rb'\{\s*"schema"\s*:\s*"([^"]*)"')
FIRST_KEY: Final = re.compile(rb'\{\s*"([^"]*)"')


def write_private(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Replace `path` by `content` in one step: a reader or a crash sees the old file or the new one."""
    with replacing(path, mode) as file:
        file.write(content)


def copy_private(source: Path, path: Path) -> None:
    """Replace `path` by a copy of a file of any size, in one step. OSError."""
    with open(source, "rb") as given, replacing(path) as file:
        shutil.copyfileobj(given, file)


def create_private(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """The same, but only where there is no `path` yet; False when another process was first."""
    with half_written(path, mode) as (file, name):
        file.write(content)
        sync(file)
        try:
            os.link(name, path)
        except FileExistsError:
            return False
    return True


def replace_private(path: Path, content: bytes) -> None:
    """Like `write_private`, for what need not survive a power cut."""
    with replacing(path, durable=False) as file:
        file.write(content)


def open_new(path: Path) -> IO[bytes]:
    """A new file, its owner's. FileExistsError for anything that is there already, a link too."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, PRIVATE), "wb")


def open_over(path: Path) -> IO[bytes]:
    """A new file in the place of one that devenv left half written."""
    path.unlink(missing_ok=True)
    return open_new(path)


def open_append(path: Path) -> IO[bytes]:
    """A log or journal, to append to. OSError for a link, a pipe or a device in its place."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_FOLLOW | NO_WAIT, PRIVATE)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileExistsError(f"{path} is not a regular file")
    os.set_blocking(handle, True)
    return open(handle, "ab")


@contextmanager
def replacing(path: Path, mode: int = PRIVATE, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well, and is removed when it fails. OSError."""
    with half_written(path, mode) as (file, name):
        yield file
        if durable:
            sync(file)
        else:
            file.flush()
        os.replace(name, path)


@contextmanager
def half_written(path: Path, mode: int) -> Iterator[tuple[IO[bytes], str]]:
    """A file beside `path` under a name of this process (see `sweep`), gone at the end of the block."""
    name = f"{path.parent}/.{path.name}.{os.getpid()}.{os.urandom(4).hex()}"
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, mode)
    try:
        with open(handle, "wb") as file:
            yield file, name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def sync(file: IO[bytes]) -> None:
    """Return when the content is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def creating(file: Path) -> Iterator[IO[bytes]]:
    """A new file, mode 0600, that gets its name when the block ends well. OSError.

    Where the system has files without a name, nothing is left when devenv is killed meanwhile.
    """
    try:
        handle = os.open(file.parent, os.O_WRONLY | os.O_TMPFILE, PRIVATE)
    except (AttributeError, OSError):
        with half_written(file, PRIVATE) as (output, name):
            yield output
            sync(output)
            os.link(name, file)
        return
    with open(handle, "wb") as output:
        yield output
        sync(output)
        # Only with a folder given (an absolute path ignores it) does Python call what follows the link.
        os.link(f"/proc/self/fd/{handle}", file, src_dir_fd=handle, follow_symlinks=True)


@contextmanager
def writing_out(path: Path, mode: int = PRIVATE, *, agreed: bool = False) -> Iterator[IO[bytes]]:
    """A file that the user named, written as a whole. UsageError when it cannot be written, or must not be.

    It may replace an earlier file of the same kind only; with `agreed`, any regular file. What a killed attempt left
    beside it is removed.
    """
    try:
        refuse_place(path)
        sweep(path.parent, half_of(path.name))
        with half_written(path, mode) as (file, name):
            yield file
            sync(file)
            with open(name, "rb") as made:
                content = made.read(HEAD_BYTES)
            if not agreed:
                refuse_other_kind(path, content)
            os.replace(name, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written", detail=str(error)) from None


def write_out(path: Path, text: str, mode: int = PRIVATE, *, agreed: bool = False) -> None:
    """Write a text to a file that the user named (see `writing_out`)."""
    with writing_out(path, mode, agreed=agreed) as file:
        file.write(text.encode())


def refuse_place(path: Path) -> None:
    """UsageError for a path where there is something else than a regular file: a link, a pipe, a device, a folder."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
        what = next((name for test, name in kinds if test(found.st_mode)), "a device or a socket")
        raise UsageError(
            f"{path} is {what}; devenv writes regular files only",
            detail="nothing was written",
            hint="name a new file, or print the report with --json and redirect it",
        )


def refuse_other_kind(path: Path, content: bytes) -> None:
    """UsageError if there is a file at `path` that is of another kind than what is to replace it."""
    with contextlib.suppress(FileNotFoundError), open(os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT), "rb") as file:
        there = file.read(HEAD_BYTES)
        if there and kind_of(there) != kind_of(content):
            raise UsageError(
                f"{path} exists and is a file of another kind, so it was not replaced",
                detail=f"there: {kind_of(there)}; to be written: {kind_of(content)}",
                hint="name another file, or delete this one",
            )


def kind_of(content: bytes) -> str:
    """Return what a file's first bytes say that it is: HTML, JSON (by its schema or first key), an archive, text."""
    head = content.lstrip()
    if head[:9].lower() == b"<!doctype" or head[:5].lower() == b"<html":
        return "HTML"
    if found := SCHEMA.match(head):
        return f"JSON of schema {found[1].decode('utf-8', 'replace')}"
    if found := FIRST_KEY.match(head):
        return f'JSON that begins with "{found[1].decode("utf-8", "replace")}"'
    if content.startswith(b"\x1f\x8b"):
        return "a gzip archive"
    return "nothing" if not head else "text or data"


def half_of(name: str) -> re.Pattern[str]:
    """The names of `half_written` for a file of this name."""
    return re.compile(rf"\.{re.escape(name)}\.(\d+)\.\w+")


def sweep(folder: Path, names: re.Pattern[str] = HALF_WRITTEN) -> None:
    """Remove from a folder the half written files of processes that were killed: their names tell whose they are."""
    for left in folder.glob(".*.*"):
        found = names.fullmatch(left.name)
        if found and not is_alive(int(found[1])):
            with contextlib.suppress(OSError):
                left.unlink()


def is_alive(pid: int) -> bool:
    """Return True if there is such a process."""
    import psutil

    return psutil.pid_exists(pid)
