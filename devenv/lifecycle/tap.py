"""The tap as a process of the project: `up --tap` starts it between the application and its stores, `down` ends it.

Its ports are chosen before anything is started and kept from then on, so that the application's settings stay the same
when only the tap has to be started again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from devenv.config.masking import learned
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import BACKEND, DYNAMODB, ServiceState, Targets
from devenv.engines.process import iso
from devenv.host import processes
from devenv.host.state import Process, Tapped

if TYPE_CHECKING:
    from pathlib import Path

    from devenv.engines.base import Engine
    from devenv.stack import Stack

MODULE: Final = "devenv.capture.tap"
# Read by the module: what it may not keep, as far as this process knows it.
HIDDEN: Final = "DEVENV_TAP_HIDDEN"
TRIES: Final = 3
START_S: Final = 20.0
Say = Callable[[str], None]


def journal(engine: Engine) -> Path:
    """The file that holds the recorded calls."""
    from devenv.capture.tap.journal import NAME

    return engine.folder / NAME


def settle(stack: Stack, asked: bool | None, say: Say) -> None:
    """Decide whether there is to be a tap, and at which ports, before anything is started.

    `asked` is the option; without one devenv.toml decides, and a project that is up with a tap stays so.
    """
    engine = stack.engine
    wanted = asked if asked is not None else stack.settings.project.tap or engine.state.tap is not None
    if not wanted:
        if engine.state.tap is not None:
            end(engine)
            say("the tap was stopped")
        return
    if getattr(engine, "contained", False):
        raise UsageError(
            "the tap needs an application that runs as a process on this machine; yours runs in a container",
            hint="devenv up --no-tap",
        )
    known = engine.state.tap or Tapped()
    kinds = [*STORES, *(["application"] if "backend" in engine.services else [])]
    if set(known.ports) != set(kinds):
        keep(engine, replace(known, ports=choose_ports(engine, kinds)))


def choose_ports(engine: Engine, kinds: list[str]) -> dict[str, int]:
    """A free port of the project's block for each kind, from the end, where no service looks first."""
    used = {engine.port(name) for name in engine.services}
    free = (port for port in reversed(engine.block()) if port not in used and processes.port_is_free(port))
    found = dict(zip(kinds, free, strict=False))
    if len(found) < len(kinds):
        raise DevenvError(
            "there is no free port for the tap",
            exit_code=Exit.PORT,
            hint="devenv up --no-tap, or stop the programs that use the project's ports",
        )
    return found


def ensure(stack: Stack, say: Say) -> bool:
    """Start the tap unless it runs and leads where the stores are now; True when it was started.

    Called when the stores answer.
    """
    engine = stack.engine
    known = engine.state.tap
    if known is None or (known.process and processes.is_running(known.process) and fits(engine, known.process)):
        return False
    stop(engine)
    for left in reversed(range(TRIES)):
        try:
            start(engine)
            return True
        except DevenvError as error:
            if error.exit_code != Exit.PORT or not left:
                raise
        ports = choose_ports(engine, list(known.ports))
        keep(engine, replace(known, ports=ports))
        say(f"another process uses a port of the tap; the tap now uses {', '.join(map(str, ports.values()))}")
    return False


def fits(engine: Engine, process: Process) -> bool:
    """Return True if the process was started with the ports and addresses of now."""
    wanted = routes(engine)
    return process.command[-len(wanted) :] == wanted


def routes(engine: Engine) -> list[str]:
    """The tap's ports and where each leads, as its command line has them."""
    known = engine.state.tap or Tapped()
    return [f"{kind}={port}:{host}:{to}" for kind, port in known.ports.items() for host, to in [target(engine, kind)]]


def target(engine: Engine, kind: str) -> tuple[str, int]:
    """Return where a route of this kind leads."""
    if kind == "application":
        return engine.address(BACKEND)
    return Targets.of(*engine.store_targets())[kind].place


def start(engine: Engine) -> None:
    """Run the tap, and wait until it listens. DevenvError: 6 when a port is taken, 5 when it ended."""
    known = engine.state.tap or Tapped()
    began = time.time()
    engine.make_home()
    # -P: what lies in the working folder is no module.
    command = [sys.executable, "-P", "-m", MODULE, "--journal", str(journal(engine)), *routes(engine)]
    env = {**engine.environ, **engine.marks(), HIDDEN: json.dumps(learned())}
    child = processes.spawn(command, log=engine.log("tap"), cwd=engine.folder, env=env)
    seen = processes.identify_child(child)
    keep(engine, replace(known, process=seen or Process(child.pid, 0.0, command), started=iso(began)))
    while child.poll() is None and time.time() < began + START_S:
        if all(processes.has_port(child.pid, port) for port in known.ports.values()):
            return
        time.sleep(0.01)
    code = child.poll()
    stop(engine)
    raise DevenvError(
        "the tap could not be started",
        exit_code=Exit.PORT if code == Exit.PORT else Exit.CRASHED if code is not None else Exit.TIMEOUT,
        detail="\n".join(engine.tail("tap")),
        hint="devenv up --no-tap",
    )


def stop(engine: Engine) -> bool:
    """End the tap's process, also one that a killed `up` had no time to record; its ports stay chosen."""
    known = engine.state.tap
    stopped = bool(known and known.process and processes.stop(known.process))
    if not stopped and engine.log("tap").exists() and (lost := find_lost(engine)):
        stopped = processes.stop(lost)
    if known is not None and known.process is not None:
        keep(engine, replace(known, process=None, started=None))
    return stopped


def end(engine: Engine) -> bool:
    """End the tap's process, and have no tap from now on."""
    stopped = stop(engine)
    if engine.state.tap is not None:
        keep(engine, None)
    return stopped


def forget(engine: Engine) -> None:
    """Delete what was recorded."""
    from devenv.capture.tap.journal import earlier

    for file in (journal(engine), earlier(journal(engine))):
        file.unlink(missing_ok=True)


def find_lost(engine: Engine) -> Process | None:
    """A running tap of this project that no record names."""
    file = str(journal(engine))
    return processes.find_all({"tap": lambda command: MODULE in command and file in command}).get("tap")


def keep(engine: Engine, known: Tapped | None) -> None:
    """Remember what is known of the tap."""
    engine.state = replace(engine.state, tap=known)
    engine.save()


def look(engine: Engine) -> tuple[ServiceState, ...]:
    """The tap's state beside those of the services; none where there is no tap."""
    known = engine.state.tap
    if known is None:
        return ()
    running = processes.is_running(known.process)
    port = known.ports.get("application") or known.ports.get(DYNAMODB)
    return (
        ServiceState(
            name="tap",
            state="running" if running else "crashed" if known.process else "stopped",
            pid=known.process.pid if known.process and running else None,
            host="127.0.0.1",
            port=port,
            url=f"http://127.0.0.1:{port}",
            started=known.started if running else None,
            detail=None if running or not known.process else "it ended by itself",
        ),
    )


def visitor_environment(stack: Stack) -> dict[str, str]:
    """Return what `devenv env` and `run` give: the application is reached through the tap, the stores directly."""
    found = stack.environment()
    known = stack.engine.state.tap
    if known is None or "application" not in known.ports or not processes.is_running(known.process):
        return found
    from devenv.capture.tap.addresses import redirect

    return redirect(found, {stack.engine.address("backend"): ("127.0.0.1", known.ports["application"])})
