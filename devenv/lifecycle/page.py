"""The live page as a process of the project: `devenv ui` notes itself, `up --ui` starts it, `down` ends it.

The note is a file of its own beside the state: a change of a service needs the project's lock, the page does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.core.errors import DevenvError, Exit
from devenv.host import processes, state
from devenv.host.state import Process
from devenv.host.writing import write_private

if TYPE_CHECKING:
    from devenv.engines.base import Engine

NAME: Final = "ui.json"
LOG: Final = "ui"
START_S: Final = 20.0


class ServedPage(msgspec.Struct, frozen=True):
    """A running page: its process, and the address that opens it (with the token)."""

    process: Process
    entry: str


def note(root: Path, entry: str) -> None:
    """Remember that this process serves the page of the project. DevenvError when the state cannot be written."""
    own = processes.identify(os.getpid())
    if own is not None:
        write_private(state.folder(root) / NAME, msgspec.json.encode(ServedPage(own, entry)))


def read(root: Path) -> ServedPage | None:
    """The page of this project that runs now; None when none does."""
    try:
        found = msgspec.json.decode((state.place(root) / NAME).read_bytes(), type=ServedPage)
    except (OSError, msgspec.DecodeError):
        return None
    return found if processes.is_running(found.process) else None


def is_noted(root: Path) -> bool:
    """Return True while this process is the one that serves the project's page."""
    found = read(root)
    return found is not None and found.process.pid == os.getpid()


def forget(root: Path) -> None:
    """Take the note away, if it is this process's own."""
    if is_noted(root):
        with contextlib.suppress(OSError):
            (state.place(root) / NAME).unlink()


def start(engine: Engine, *, trust: bool, allow_remote: bool) -> str:
    """Start the page beside the services, unless it runs; the address that opens it. DevenvError when it does not."""
    if found := read(engine.root):
        return found.entry
    options = [("--trust", trust), ("--allow-remote", allow_remote)]
    words = [word for word, wanted in options if wanted]
    # -P: what lies in the working folder is no module.
    command = [sys.executable, "-P", "-m", "devenv", "--project", str(engine.root), "ui", "--no-open", *words]
    child = processes.spawn(command, log=engine.log(LOG), cwd=engine.folder, env={**engine.environ, **engine.marks()})
    end = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < end:
        if found := read(engine.root):
            return found.entry
        time.sleep(0.05)
    code = child.poll()
    if code is None:
        child.terminate()
    raise DevenvError(
        "the page could not be started",
        exit_code=Exit.TIMEOUT if code is None else Exit.CRASHED,
        detail="\n".join(engine.tail(LOG)),
        hint="devenv ui",
    )


def stop(root: Path) -> bool:
    """End the project's page; True when one ran."""
    found = read(root)
    stopped = found is not None and processes.stop(found.process)
    with contextlib.suppress(OSError):
        (state.place(root) / NAME).unlink()
    return stopped
