"""Runs a program of the application: sends it orders, collects its output without blocking, ends it in time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from devenv.core.errors import DevenvError
from devenv.core.late import late
from devenv.core.value import Value

ERROR_LINE: Final = late(r"(?:Uncaught )?[A-Za-z_][\w.]*(?:Error|Exception)\b(?: \[\w+\])?: \S")
ANSWER_BYTES: Final = 50_000_000
SAID_BYTES: Final = 20_000
CHUNK: Final = 1 << 16


class Running(msgspec.Struct):
    """A process under way. What it tells is collected by a thread, so that it cannot block."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]
    told: bytearray
    reader: threading.Thread
    too_much: threading.Event


class Ended(Value, frozen=True):
    """How a process ended: its exit status (None: it was stopped when its time was over), and what it told."""

    status: int | None
    told: bytes
    said: str
    too_much: bool = False


def start(command: Sequence[str], environ: Mapping[str, str], folder: Path, *, ordered: bool) -> Running:
    """Start a process in a session of its own. `ordered`: it takes orders on stdin, and tells on a descriptor that is
    its last argument; otherwise it prints its answer. DevenvError when it cannot be started.
    """
    # Its own output goes to a file: a pipe that nobody empties would stop it.
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `finish`
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(
            [*command, str(write_end)] if ordered else list(command),
            stdin=subprocess.PIPE if ordered else subprocess.DEVNULL,
            stdout=said if ordered else write_end,
            stderr=said,
            cwd=folder,
            env=dict(environ),
            pass_fds=[write_end] if ordered else [],
            start_new_session=True,
        )
    except OSError as error:
        os.close(read_end)
        said.close()
        raise DevenvError(f"{command[0]} cannot be started", detail=str(error)) from None
    finally:
        os.close(write_end)
    told = bytearray()
    too_much = threading.Event()
    reader = threading.Thread(target=drain, args=(read_end, told, too_much), daemon=True)
    reader.start()
    return Running(process, said, told, reader, too_much)


def send(running: Running, lines: Iterable[Mapping[str, Any]], *, last: bool = False) -> None:
    """Give orders; `last` says that there are no more. A process that has ended already shows that at its end."""
    if running.process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError):
        running.process.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        running.process.stdin.flush()
        if last:
            running.process.stdin.close()


def drain(descriptor: int, told: bytearray, too_much: threading.Event) -> None:
    """Collect what a process tells until it closes its end, or tells too much."""
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            told += chunk
            if len(told) > 2 * ANSWER_BYTES:
                too_much.set()
                return


def finish(running: Running, seconds: float) -> Ended:
    """Wait until it ends or its time is over; what is left of its session is killed."""
    end = time.monotonic() + seconds
    running.reader.join(seconds)
    status: int | None = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = running.process.wait(0.1 if running.too_much.is_set() else max(0.1, end - time.monotonic()))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
    if running.process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            running.process.stdin.close()
    running.reader.join(1.0)
    running.said.seek(max(0, running.said.seek(0, os.SEEK_END) - SAID_BYTES))
    said = running.said.read().decode("utf-8", "replace")
    running.said.close()
    return Ended(status, bytes(running.told), said, running.too_much.is_set())


def parse_lines(told: bytes) -> Iterable[dict[str, Any]]:
    """The events of whole lines."""
    for line in told.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def last_line(text: str) -> str | None:
    """The last line that says what went wrong, in Python's or Node's words; else the last that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if ERROR_LINE.match(line)]
    return (errors or lines)[-1][:300] if lines else None
