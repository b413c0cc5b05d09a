"""DynamoDB Local's one SQLite file, read and replaced while the server runs.

The server opens the file like any SQLite program: it takes SQLite's own locks and sees another program's transaction
with its next statement (tested with tables that come and go). So a copy is consistent without stopping anything, and
putting a copy back is one transaction: every reader sees all of it or nothing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from devenv.core.errors import DevenvError
from devenv.host.processes import Account
from devenv.host.writing import open_new

NAME: Final = "shared-local-instance.db"
# What SQLite writes beside a file, for the case that its writer is killed.
JOURNAL: Final = "-journal"
BUSY_S: Final = 10.0
PAUSE_S: Final = 0.005
LOOK_S: Final = 0.2
STALL_S: Final = 60.0
PAGE: Final = 2_000
# From here on a file is copied as a whole: SQLite copies pages, of 1 kB each, which takes six times as long.
LARGE: Final = 64_000_000
COPY: Final = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def store_in(home: Path) -> Path:
    """The server's file, below a project's data folder."""
    return home / "dynamodb" / NAME


def forget_journal(file: Path) -> None:
    """Before another file takes the place of this one: a killed writer's journal would be played back into it."""
    file.with_name(file.name + JOURNAL).unlink(missing_ok=True)


def copy_store(source: Path, target: Path, account: Account | None = None, *, durable: bool = True) -> None:
    """Bring `target` to what `source` holds, at once. A missing source is an empty store. A new file gets mode 0600.

    `account` owns a new file. Without `durable` a power cut may damage the target. DevenvError.
    """
    if not source.exists() and not target.exists():
        return None
    fresh = not target.exists()
    with translated(target):
        if fresh:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            open_new(target).close()
            if account is not None:
                for path in (target.parent, target):
                    os.chown(path, account.uid, account.gid)
            if is_large(source):
                return copy_whole(source, target, durable=durable)
        with closing(connect(source if source.exists() else ":memory:")) as reader, closing(connect(target)) as writer:
            if not durable:
                writer.execute("PRAGMA synchronous = OFF")
            reader.backup(writer, sleep=PAUSE_S)
    return None


def is_large(file: Path) -> bool:
    """Return True if a file is copied as a whole, where SQLite's locks are not in the way of that."""
    return os.name == "posix" and file.exists() and file.stat().st_size >= LARGE


def copy_whole(source: Path, target: Path, *, durable: bool) -> None:
    """Copy all bytes of a file that nobody can write to meanwhile. OSError, sqlite3.Error.

    A process of its own does it: one that closes a file loses all of its locks on it (fcntl(2)).
    """
    with closing(connect(source)) as reader:
        reader.execute("BEGIN")
        # From here on the file is locked against writers, and what a killed one left is undone.
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        run_copy(source, target, STALL_S)
        reader.execute("ROLLBACK")
    if durable:
        with target.open("rb") as written:
            os.fsync(written.fileno())


def run_copy(source: Path, target: Path, stall: float) -> None:
    """Copy a file in a process of its own, however long it takes while bytes arrive. OSError.

    `stall`: after so many seconds without a new byte the copy is given up.
    """
    command = [sys.executable, "-I", "-S", "-c", COPY, str(source), str(target)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            copied, said = 0, None
            while said is None:
                try:
                    _, said = child.communicate(timeout=stall)
                except subprocess.TimeoutExpired:
                    before, copied = copied, target.stat().st_size if target.exists() else 0
                    if copied <= before:
                        raise OSError(f"{target}: not one byte could be written in {stall:g} s") from None
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise OSError(said.strip().rpartition("\n")[2])


def put_in_place(source: Path, target: Path, aside: Path | None, account: Account | None) -> None:
    """Let `source` become the file of a server that is stopped, and its present file become `aside` (None: it goes).

    Each file is in one place at any moment; called again after a kill, it does what is left. DevenvError.
    """
    with translated(target):
        if not source.exists():
            return
        if target.exists():
            with closing(connect(target)) as last:
                # What a killed server left is undone: its journal belongs to this file only.
                last.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if aside is not None and not aside.exists():
                target.chmod(0o600)
                target.rename(aside)
        forget_journal(target)
        if account is not None:
            os.chown(source, account.uid, account.gid)
        source.replace(target)


@contextmanager
def writers_held(store: Path) -> Iterator[None]:
    """No program can write to the store during the block; reading goes on. DynamoDB Local answers writers with 500,
    which the AWS libraries retry.
    """
    if not store.exists():
        yield
        return
    with translated(store):
        holder = connect(store)
        with closing(holder):
            holder.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    holder.execute("ROLLBACK")


def count_items(store: Path) -> dict[str, int]:
    """Table -> number of items. DevenvError when the file is not DynamoDB Local's."""
    if not store.exists():
        return {}
    with translated(store), closing(connect(store)) as connection:
        names = [row[0] for row in connection.execute("SELECT TableName FROM dm ORDER BY 1")]
        quoted = {name: name.replace('"', '""') for name in names}
        return {name: connection.execute(f'SELECT count(*) FROM "{quoted[name]}"').fetchone()[0] for name in names}  # noqa: S608 - quoted


def read_definitions(store: Path) -> dict[str, str]:
    """Table -> a digest of all that defines it, its streams and time of creation too; {} if the file cannot be read.

    It differs after every change that DescribeTable would show, but for the items.
    """
    query = "SELECT TableName, * FROM dm"
    streams = "SELECT TableName, * FROM sm ORDER BY StreamID"
    found: dict[str, Any] = {}
    try:
        # Without waiting: while a writer holds the file, the server itself is asked.
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True, timeout=LOOK_S)) as connection:
            for name, *rest in (*connection.execute(query), *connection.execute(streams)):
                found.setdefault(name, hashlib.sha256()).update(repr(rest).encode())
    except (sqlite3.Error, OSError):
        return {}
    return {name: each.hexdigest() for name, each in found.items()}


def read_items(store: Path, table: str) -> Iterator[list[bytes]]:
    """Yield the items of a table, PAGE of them at a time, as the server keeps them: in DynamoDB's JSON. DevenvError.

    The server sorts all that follows for every page of a Scan; this takes the same time for each page. Between two
    pages the file is free for writers, so an item that is replaced during the read may come twice.
    """
    quoted = table.replace('"', '""')
    query = f'SELECT rowid, ObjectJSON FROM "{quoted}" WHERE rowid > ? ORDER BY rowid LIMIT ?'  # noqa: S608 - quoted
    last = -1
    with translated(store), closing(connect(store)) as connection:
        while rows := connection.execute(query, (last, PAGE)).fetchall():
            yield [item for _, item in rows]
            last = rows[-1][0]


def renew_identity(store: Path, offset_ms: int) -> dict[str, tuple[str, str]]:
    """Let every table have been made `offset_ms` milliseconds later: a copy must not pass for what it was made from.

    Table -> its times of creation before and after, in seconds, as DescribeTable gives them.
    """
    with translated(store), closing(connect(store)) as connection:
        made = dict(connection.execute("SELECT TableName, CreationDateTime FROM dm"))
        connection.execute("UPDATE dm SET CreationDateTime = CreationDateTime + ?", (offset_ms,))
    return {name: (str(at / 1000), str((at + offset_ms) / 1000)) for name, at in made.items()}


def connect(store: Path | str) -> sqlite3.Connection:
    """An open file; every statement is its own transaction."""
    return sqlite3.connect(store, timeout=BUSY_S, isolation_level=None)


@contextmanager
def translated(store: Path) -> Iterator[None]:
    """SQLite's and the system's errors as a DevenvError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DevenvError(
            f"{store} cannot be read or copied", detail=str(error), hint="devenv down, then again"
        ) from None
