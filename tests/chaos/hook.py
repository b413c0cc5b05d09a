"""Run devenv, watched from inside: `python hook.py ARGUMENTS…` is `devenv ARGUMENTS…`.

An audit hook (PEP 578) sees every change that the process is about to make to the world: files opened for writing,
renamed, linked or removed, folders made, processes started or signalled, SQLite files opened, DynamoDB written to.
With CHAOS_KILL=N the process ends itself with SIGKILL right before its N-th change, so that the state it leaves is
exactly that after N - 1 changes; with CHAOS_DELAY too, so many seconds after that, in the midst of what cannot be seen
from here (SQL). CHAOS_EVENTS names a file that gets one line per change, with the time.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chown", "os.kill",
    "shutil.rmtree", "subprocess.Popen", "sqlite3.connect", "fcntl.flock",
}  # fmt: skip
NEEDS_NONE, NEEDS_ONE = ("os.mkdir",), ("os.remove", "shutil.rmtree")
READS = ("List", "Describe", "Get", "BatchGet", "TransactGet", "Query", "Scan")
TARGET = b"DynamoDB_20120810."


def change(event: str, arguments: tuple[object, ...]) -> str | None:
    """What is about to change, in words; None for an event that changes nothing that lasts."""
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING or not isinstance(path, str | bytes):
            return None
        name = os.fsdecode(path)
        return None if name.startswith(("/dev/", "/proc/")) or name.endswith(".pyc") else f"open {name}"
    if event == "http.client.send":
        data = arguments[1]
        if not isinstance(data, bytes) or TARGET not in data:
            return None
        operation = data.split(TARGET)[1].split(b"\r\n")[0].decode()
        return None if operation.startswith(READS) else f"send {operation}"
    if event not in CHANGES or (event == "sqlite3.connect" and arguments[0] == ":memory:"):
        return None
    if event in (*NEEDS_NONE, *NEEDS_ONE):
        path, useless = str(arguments[0]), event in NEEDS_NONE
        # The folder is there already, or nothing is there to be removed.
        if os.path.isabs(path) and os.path.lexists(path) == useless:
            return None
    return " ".join([event.partition(".")[2], *map(str, arguments[:2])])[:300]


def install() -> None:
    """Watch this process from now on."""
    end = int(os.environ.pop("CHAOS_KILL", "0"))
    delay = float(os.environ.pop("CHAOS_DELAY", "0"))
    told = os.environ.pop("CHAOS_EVENTS", "")
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if told else -1
    lock = threading.Lock()
    inside = threading.local()
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if getattr(inside, "busy", False):
            return
        inside.busy = True
        try:
            if what := change(event, arguments):
                with lock:
                    seen += 1
                    if file >= 0:
                        line = f"{time.monotonic():.6f} {what}".replace("\n", " ")
                        os.write(file, line.encode(errors="replace") + b"\n")
                    if seen == end and delay:
                        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
                    elif seen == end:
                        os.kill(os.getpid(), signal.SIGKILL)
        finally:
            inside.busy = False

    sys.addaudithook(watch)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    install()
    from devenv.cli.app import entry

    entry()
