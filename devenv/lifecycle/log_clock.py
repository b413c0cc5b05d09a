"""The clock of the logs as a process of the project: `up` starts it, `down` ends it (host/log_clock.py)."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.engines.process import SERVICE_MARK
from devenv.host import log_clock, processes
from devenv.lifecycle.logs import size

if TYPE_CHECKING:
    from devenv.engines.base import Engine
    from devenv.host.state import Process

# Its mark among the project's processes; it is none of the services.
NAME = "log-clock"


def command(engine: Engine) -> list[str]:
    """Return the command line of the clock of this project's logs."""
    return [
        sys.executable,
        "-I",
        "-S",
        log_clock.__file__,
        str(engine.folder / "logs"),
        str(engine.folder / "state.json"),
    ]


def ensure(engine: Engine) -> bool:
    """Start the clock unless it runs; True when it was started. Without it, lines have less exact times."""
    known = engine.state.log_clock
    if known and processes.is_running(known) and known.command == command(engine):
        return False
    stop(engine)
    engine.make_home()
    now = time.time()
    with contextlib.suppress(OSError):
        for log in (engine.folder / "logs").glob("*.log"):
            if not log.with_suffix(".since").exists():
                log_clock.note(str(log), size(log), now)
        environ = {**engine.environ, **engine.marks(), SERVICE_MARK: NAME}
        child = processes.spawn(command(engine), log=engine.log(NAME), cwd=engine.folder, env=environ)
        keep(engine, processes.identify_child(child))
    return True


def stop(engine: Engine) -> None:
    """End the clock, also one that a killed `up` had no time to record."""
    known = engine.state.log_clock
    stopped = bool(known and processes.stop(known))
    if not stopped and engine.log(NAME).exists():
        wanted = command(engine)
        if lost := processes.find_all({NAME: lambda found: found[1:] == wanted[1:]}).get(NAME):
            processes.stop(lost)
    if known is not None:
        keep(engine, None)


def keep(engine: Engine, known: Process | None) -> None:
    """Remember the clock's process."""
    engine.state = replace(engine.state, log_clock=known)
    engine.save()
