"""A service as a process of this machine: on most engines the application."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from devenv.config.schema import FILE
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.late import late
from devenv.core.model import BACKEND, ServiceState, Targets
from devenv.core.value import Value
from devenv.engines.project import EngineProject
from devenv.host import processes
from devenv.host.processes import Account
from devenv.host.state import Process

if TYPE_CHECKING:
    pass

# A variable of the project's own processes: the service's name, beside the project's marks.
SERVICE_MARK = "DEVENV_SERVICE"
NO_MODULE: Final = late(r"No module named '?([\w.]+)")
# As Python, Node, Go, the JVM and Windows say it, with the port or without it.
IN_USE: Final = late(r"EADDRINUSE|address (?:is )?already in use|only one usage of each socket address", re.IGNORECASE)
ERROR_NUMBER: Final = late(r"\[?(?:Errno|WinError) \d+\]?")
PORT_NUMBER: Final = late(r"(?<![\d.])\d{2,5}(?![\d.])")
STORE_S: Final = 60.0
SERVICE_S: Final = 10.0
# What puts changed settings of a store into effect; the data stays.
RESTART = "devenv down && devenv up"


class Launch(Value, frozen=True):
    """How one service is run: command, environment, working folder, account, and the signal that ends it cleanly."""

    command: list[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None
    version: str | None = None


class ProcessServices(EngineProject):
    """Starts, finds, watches and stops services that are processes of this machine."""

    def process(self, name: str) -> Process | None:
        """The recorded process of a service, running or not; None where it is no process of this machine's own.

        A program may give itself another title later (Redis, Node): with pid, start time and the service's log as its
        output it is the one that was started.
        """
        record = self.state.services.get(name)
        process = record.process if record else None
        if process is None or processes.is_running(process):
            return process
        now = processes.identify(process.pid)
        same = now is not None and processes.same(now, replace(process, command=now.command))
        return now if same and processes.output_of(process.pid) == os.path.realpath(self.log(name)) else process

    def application_environment(self) -> dict[str, str] | None:
        """The variables that the running application really has; None when it does not run or they are not ours."""
        process = self.process("backend")
        found = processes.environment(process) if process else None
        return None if found is None else self.untapped(found)

    def tap_places(self) -> dict[tuple[str, int], tuple[str, int]]:
        """Return where the stores are, and at which addresses the tap stands before them; empty without a tap."""
        if self.state.tap is None:
            return {}
        ports = self.state.tap.ports
        stores = Targets.of(*self.store_targets())
        return {target.place: ("127.0.0.1", ports[name]) for name, target in stores.items() if name in ports}

    def tapped(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the settings as own processes get them: through the tap, if there is one."""
        places = self.tap_places()
        if not places:
            return dict(environment)
        from devenv.capture.tap.addresses import redirect

        return redirect(environment, places)

    def untapped(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return a process's settings with the stores' own addresses in place of those of the running tap."""
        if self.state.tap is None or not processes.is_running(self.state.tap.process):
            return dict(environment)
        from devenv.capture.tap.addresses import redirect

        return redirect(environment, {tap: store for store, tap in self.tap_places().items()})

    def adopt_own(self) -> None:
        """Find the project's own processes, as those of this machine, by the variables that they were given."""
        from devenv.engines import own

        own.adopt(self)

    def launch_process(self, name: str, launch: Launch, inputs: str = "") -> None:
        """Run one service detached, and remember it. `inputs` is a hash of what decides how it runs."""
        log_start = processes.size_of(self.log(name))
        try:
            child = processes.spawn(
                launch.command, log=self.log(name), cwd=launch.cwd, env=launch.env, account=launch.account
            )
        except OSError as error:
            from devenv.steps.lacking import missing_interpreter

            raise DevenvError(
                f"{name} could not be started: {shlex.join(launch.command[:3])} …",
                exit_code=Exit.MISSING if isinstance(error, FileNotFoundError) else Exit.CRASHED,
                detail=str(error),
                hint=missing_interpreter(self.root, launch.command[0]) if name in self.own else None,
            ) from None
        self.remember(
            name,
            process=processes.identify_child(child) or Process(child.pid, 0.0, launch.command),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            version=launch.version,
            environment=inputs,
            settings=self.launch_settings(name),
            log_start=log_start if log_start <= processes.LOG_LIMIT else 0,
        )

    def launch_settings(self, name: str) -> dict[str, str]:
        """The settings of devenv.toml that decide how a store runs, and that a running one does not follow."""
        return {}

    def pending_settings(self, name: str) -> str | None:
        """Which settings a running store does not have yet, in words; None when it has them all, or it is not known."""
        record = self.state.services.get(name)
        now = self.launch_settings(name)
        known = record.settings if record else {}
        changed = [
            f"[{name}] {key} = {now[key]} is not in effect: {name} was started with {known[key]}"
            for key in now
            if key in known and known[key] != now[key]
        ]
        return "; ".join(changed) or None

    def settings_since(self, name: str, began: float) -> dict[str, str]:
        """The present settings of a store that runs without a record since `began` (epoch seconds).

        Empty, so not known, when devenv.toml was written later.
        """
        try:
            return self.launch_settings(name) if (self.root / FILE).stat().st_mtime < began else {}
        except OSError:
            return {}

    def unknown_settings(self, name: str) -> str | None:
        """Which settings a running store was started with is not known, in words: its record was lost, or is older."""
        record = self.state.services.get(name)
        known = record.settings if record else {}
        lost = [key for key, value in self.launch_settings(name).items() if value and key not in known]
        return f"devenv has no record of the {', '.join(lost)} that {name} was started with" if lost else None

    def look_at_process(self, name: str) -> ServiceState:
        """One service's state, from the process table alone."""
        record = self.state.services.get(name)
        if record is None:
            return ServiceState(name, "stopped", detail="never started")
        process = self.process(name)
        running = processes.is_running(process)
        # A process from before the last boot did not crash: the machine went down under it.
        crashed = process is not None and not running and process.created > processes.boot_time()
        detail = None
        if process is not None and not running:
            detail = "it ended by itself" if crashed else "the machine was restarted"
        pending = self.pending_settings(name) if running else None
        return ServiceState(
            name=name,
            state="running" if running else "crashed" if crashed else "stopped",
            pid=process.pid if process and running else None,
            host="127.0.0.1",
            port=record.port or None,
            url=self.url(name, record.port) if record.port else None,
            version=record.version,
            started=record.started if running else None,
            detail=pending or detail,
            command=RESTART if pending else None,
            unsure=self.unknown_settings(name) if running else None,
        )

    def stop_process(self, name: str, how: signal.Signals = signal.SIGTERM) -> bool:
        """Stop one service's process cleanly and remember that it was meant. False when it was not running."""
        process = self.process(name)
        if process is None:
            return False
        # A store that writes to a busy disk needs its time: one that is killed may lose what was committed last.
        stopped = processes.stop(process, how=how, patience_s=STORE_S if name in STORES else SERVICE_S)
        self.end_left(name)
        self.remember(name, process=None, started=None)
        return stopped

    def end_left(self, name: str) -> None:
        """End what one of the project's own processes started and left: the server behind `npm run`, without npm."""
        process = self.process(name)
        if process is not None and name not in STORES:
            marks = {SERVICE_MARK: name, "DEVENV_CACHE": str(self.cache)}
            processes.end_session(process, marks, os.path.realpath(self.log(name)))

    def recognise_process(self, name: str) -> bool:
        """Return True if a service just launched still runs, perhaps as another program (`env`, `sh -c "exec …"`)."""
        process = self.process(name)
        now = processes.identify(process.pid) if process else None
        if process is None or now is None or not processes.same(now, replace(process, command=now.command)):
            return False
        recorded = self.state.services[name].process
        if recorded is None or now.command != recorded.command:
            self.remember(name, process=now)
        return True

    def process_ended(self, name: str) -> DevenvError:
        """The error for a process that ended while it was waited for: 6 when somebody else has its port, else 5."""
        from devenv.config.interpreter import project_python
        from devenv.engines.own import python_of
        from devenv.steps.lacking import PREPARE, explain_lacking
        from devenv.steps.unset import explain, named_unset

        port = self.port(name)
        tail = self.tail(name)
        taken = f"is taken by {processes.holder(port)}" if port and not processes.port_is_free(port) else None
        if taken is None and port and port_was_taken(tail, port):
            taken = "was in use, by a program that has ended since"
        own = self.own.get(name) if not taken else None
        python = python_of(self, own) if own and "{python}" in own.command else None
        named = own is not None and own.python is not None
        cause, hint = missing_module(tail, python, named, self.section(name))
        lacks = explain_lacking(self.root, "\n".join(tail), python or "") if own and not named else None
        # An environment that does not exist is no interpreter to name in devenv.toml: it is to be made first.
        if lacks and (cause is None or lacks[1] == PREPARE or project_python(self.root) is None):
            cause, hint = cause or lacks[0], lacks[1]
        if own and cause is None and (unset := named_unset(self.root, own.command, "\n".join(tail))):
            cause, hint = explain(unset, self.root)
        return DevenvError(
            f"{name} ended while starting" + (f": port {port} {taken}" if taken else ""),
            exit_code=Exit.PORT if taken else Exit.CRASHED,
            detail="\n".join([*tail, f"(whole log: {self.log(name)})"]),
            cause=cause,
            hint=hint or ("devenv up" if taken else f"devenv logs {name}"),
        )

    def marks(self) -> dict[str, str]:
        """Variables that tell whose a process is: of which project, and of which user's devenv."""
        return {"DEVENV_PROJECT": str(self.root), "DEVENV_CACHE": str(self.cache)}

    def launch_own(self, name: str, environment: Mapping[str, str]) -> None:
        """One of the project's own processes: its command, as the user."""
        from devenv.engines import own

        own.launch(self, self.own[name], environment)

    def backend_variables(self, targets: Targets | None = None) -> dict[str, str]:
        """The application's own variables, `[backend] env`; `targets` where it runs in a container."""
        from devenv.engines import own

        return own.variables(self, self.own[BACKEND], targets) if BACKEND in self.own else {}

    def settings_changed(self, environment: Mapping[str, str], name: str = BACKEND) -> bool:
        """Return True if one of the project's own processes was started with other settings than `environment`."""
        record = self.state.services.get(name)
        return record is not None and record.environment != self.inputs_of(name, environment)

    def inputs_of(self, name: str, environment: Mapping[str, str]) -> str:
        """A hash of all that decides how one of the project's own processes runs."""
        from devenv.engines import own

        return fingerprint(own.inputs(self, self.own[name], environment)) if name in self.own else ""


def port_was_taken(lines: Sequence[str], port: int) -> bool:
    """Return True if a program's last words are that this port, or one that it does not name, was in use. Pure."""
    said = [ERROR_NUMBER.sub("", line) for line in lines if IN_USE.search(line)]
    return any(not (ports := PORT_NUMBER.findall(line)) or str(port) in ports for line in said)


def missing_module(
    lines: Sequence[str], python: str | None, named: bool, section: str = "[backend]"
) -> tuple[str | None, str | None]:
    """(cause, hint) when an application's last words are that its interpreter `python` lacks a module; else None. Pure.

    `named`: devenv.toml names that interpreter, in `section`; else it is the one that runs devenv.
    """
    lacks = next((found[1] for line in reversed(lines) if (found := NO_MODULE.search(line))), None)
    if lacks is None or python is None:
        return None, None
    if named:
        return (
            f"{python} has no module `{lacks}`",
            f"{shlex.quote(python)} -m pip install …  (what the application needs)",
        )
    return (
        f"{python}, which runs devenv, has no module `{lacks}`",
        f'in devenv.toml, {section}: python = ".venv/bin/python"  (the application\'s own interpreter)',
    )


def fingerprint(environment: Mapping[str, str]) -> str:
    """A hash of settings, so that they can be compared later without keeping secrets in the state file."""
    lines = "\n".join(f"{name}={value}" for name, value in sorted(environment.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def iso(epoch_s: float) -> str:
    """Epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds")
