"""End what belongs to a process that may be killed at any moment: `python -m devenv.testing.reaper`.

One runs for each test process.

The first line on its standard input names a folder. The other end of that pipe is open in the process it guards, so
the input ends when that process does, in whatever way. Then every process whose command line or environment names the
folder is ended, and the folder is removed. It works wherever there are pipes; nothing is left to a signal handler.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from devenv.host import processes

ASK_S: Final = 1.0


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Guard this very process: when it ends, or closes the result's `stdin`, `folder` goes with what runs on it."""
    root = Path(__file__).resolve().parents[2]
    guard = subprocess.Popen(
        [sys.executable, "-m", "devenv.testing.reaper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=root,
        start_new_session=True,
    )
    assert guard.stdin is not None  # noqa: S101 - it was asked for
    guard.stdin.write(os.fsencode(folder) + b"\n")
    guard.stdin.flush()
    return guard


def wait_for_end(parent: int) -> None:
    """Block until the other end of standard input is closed; a forked child may hold it open, but not be the parent."""
    while os.getppid() == parent:
        if select.select([sys.stdin.buffer], [], [], ASK_S)[0] and not os.read(sys.stdin.fileno(), 1):
            return


def end_all(folder: Path) -> None:
    """End every process whose command line or variables name `folder`, then remove it."""
    for found in psutil.process_iter(["pid", "cmdline", "environ"]):
        command, environ = found.info["cmdline"] or [], found.info["environ"] or {}
        named = any(str(folder) in word for word in (*command, *environ.values()))
        if named and command and found.pid != os.getpid() and (process := processes.identify(found.pid)):
            with contextlib.suppress(ProcessLookupError):
                processes.stop(process, how=at_once(command), patience_s=5)
    shutil.rmtree(folder, ignore_errors=True)


def at_once(command: Sequence[str]) -> signal.Signals:
    """The quickest way to end a program whose data is not needed any more; PostgreSQL has to end its children."""
    return signal.SIGQUIT if Path(command[0]).name == "postgres" else signal.SIGKILL


def main() -> None:
    """Guard the parent process."""
    parent = os.getppid()
    name = b""
    while not name.endswith(b"\n"):
        letter = os.read(sys.stdin.fileno(), 1)
        if not letter:
            return
        name += letter
    wait_for_end(parent)
    end_all(Path(os.fsdecode(name[:-1])))


if __name__ == "__main__":
    main()
