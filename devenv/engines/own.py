"""The project's own processes (`[backend]`, `[services.<name>]`) on every engine: processes of this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.config.environment import fill_places, placeholder_values
from devenv.config.interpreter import project_python, with_programs
from devenv.config.load import interpreter
from devenv.config.schema import FILE
from devenv.config.services import STORES, Own
from devenv.core.errors import UsageError
from devenv.core.model import BACKEND
from devenv.engines import stream
from devenv.engines.kinds.registry import kind_of
from devenv.engines.process import SERVICE_MARK, Launch, fingerprint, iso
from devenv.host import processes
from devenv.host.source_files import NAME as SOURCES
from devenv.host.source_files import keep_digests
from devenv.host.state import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devenv.core.model import ServiceState, Targets
    from devenv.engines.process import ProcessServices as Engine

# The port that a process was given, by which it is found again when no record names it.
PORT_MARK: Final = "DEVENV_SERVICE_PORT"
# Logs beside those of the project's own processes.
OTHER_LOGS: Final = (*STORES, "tap", "steps", "ui", "log-clock")


def launch(engine: Engine, own: Own, environment: Mapping[str, str]) -> None:
    """Run a process, and remember it. UsageError without its folder; DevenvError when it cannot be started."""
    engine.make_home()
    if own.name == BACKEND:
        keep_digests(folder_of(engine, own).resolve(), engine.folder / SOURCES)
    started = kind_of(own).launch(engine, own, environment)
    engine.launch_process(own.name, started, fingerprint(inputs(engine, own, environment)))


def launch_command(engine: Engine, own: Own, environment: Mapping[str, str]) -> Launch:
    """How a process that runs one of the project's own commands is started. UsageError without its folder."""
    folder = folder_of(engine, own)
    if not folder.is_dir():
        raise UsageError(f"{own.section} folder: there is no folder {folder}", hint="devenv config show")
    return Launch(command(engine, own), process_environment(engine, own, environment), folder, None)


def process_environment(engine: Engine, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
    """All variables of a process: the shell's, the project's (through the tap, if there is one), its own, the marks."""
    known = engine.tapped({**environment, **variables(engine, own)})
    return {**engine.environ, **known, **service_marks(engine, own)}


def service_marks(engine: Engine, own: Own) -> dict[str, str]:
    """Variables by which a running process is found again when no record names it."""
    marks = {**engine.marks(), SERVICE_MARK: own.name}
    return marks if own.port is None else {**marks, PORT_MARK: str(engine.port(own.name))}


def execution(engine: Engine, name: str, environment: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Folder and variables of a command that runs in a service's place, as the service's own process has them.

    The service's interpreter and programs come first on PATH. Without the marks: the command is no service.
    """
    own = engine.own.get(name)
    if own is None:
        return engine.root, with_programs({**engine.environ, **engine.tapped(environment)}, engine.root)
    folder = folder_of(engine, own)
    known = {**engine.environ, **engine.tapped({**environment, **variables(engine, own)})}
    known = with_programs(
        known, folder if project_python(folder) or (folder / "node_modules").is_dir() else engine.root
    )
    if own.python is not None and "/" in own.python:
        beside = os.path.dirname(python_of(engine, own))
        known["PATH"] = os.pathsep.join([beside, known.get("PATH", os.defpath)])
    return folder, known


def command(engine: Engine, own: Own) -> list[str]:
    """The command with its placeholders filled in; of other kinds than a process, devenv's own."""
    return kind_of(own).command(engine, own)


def worker_settings(engine: Engine, own: Own) -> bytes:
    """The settings that a stream worker is started with."""
    return stream.settings_text(engine, own, filled(engine, own, own.command), python_of(engine, own))


def ready_command(engine: Engine, own: Own) -> list[str]:
    """The command of `ready`, filled in; [] without one."""
    return filled(engine, own, own.ready.command)


def filled(engine: Engine, own: Own, words: Iterable[str]) -> list[str]:
    """Words of a command with their placeholders filled in; addresses lead through the tap, if there is one."""
    fill = values(engine, own)
    found = {str(number): fill_places(word, fill) for number, word in enumerate(words)}
    return list(engine.tapped(found).values())


def inputs(engine: Engine, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
    """All that decides how a service runs."""
    return kind_of(own).inputs(engine, own, environment)


def with_pending(
    engine: Engine, seen: Iterable[ServiceState], settings: Callable[[], Mapping[str, str]]
) -> tuple[ServiceState, ...]:
    """The states, where one of the project's own processes runs with other settings than devenv.toml has, with that.

    `settings` gives what `devenv env` gives now; it is asked only when such a process runs.
    """
    found = []
    for state in seen:
        own = engine.own.get(state.name)
        record = engine.state.services.get(state.name)
        known = own is not None and state.state == "running" and not state.detail and record and record.environment
        if own is not None and known and engine.settings_changed(settings(), state.name):
            text = (
                f"a change of {own.section}, [env] or a port of {FILE} is not in effect: {state.name} has old settings"
            )
            found.append(replace(state, detail=text, command="devenv up"))
        else:
            found.append(state)
    return tuple(found)


def command_inputs(engine: Engine, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
    """All that decides how a process runs: its variables, its command and where it runs."""
    where = own.folder if own.folder != "." else ""
    known = engine.tapped({**environment, **variables(engine, own)})
    return {**known, "": shlex.join(command(engine, own)) + where + kind_of(own).settings(engine, own)}


def variables(engine: Engine, own: Own, targets: Targets | None = None) -> dict[str, str]:
    """The process's own variables, `env`; `targets` are those of a container, where it runs in one."""
    fill = values(engine, own, targets)
    return {name: fill_places(text, fill) for name, text in own.env.items()}


def values(engine: Engine, own: Own, targets: Targets | None = None) -> dict[str, str]:
    """Return what the placeholders stand for in the texts of a service."""
    found = {**placeholder_values(engine.settings, targets or engine.targets()), "python": python_of(engine, own)}
    return {**found, "port": str(engine.port(own.name))} if own.port is not None else found


def python_of(engine: Engine, own: Own) -> str:
    """The interpreter of a service: the named one, that of its folder, else the project's."""
    if own.python is not None and own.python != "{python}" and own.name != BACKEND:
        return str(engine.root / own.python) if "/" in own.python else own.python
    beside = project_python(folder_of(engine, own)) if own.folder != "." and own.python is None else None
    return str(beside) if beside else interpreter(engine.settings, engine.root)


def folder_of(engine: Engine, own: Own) -> Path:
    """The folder that a service runs in."""
    return engine.root / own.folder


def adopt(engine: Engine) -> None:
    """Remember running processes of this project that no record names, whatever devenv.toml says by now."""
    try:
        logs = {file.stem for file in (engine.folder / "logs").glob("*.log")} - set(OTHER_LOGS)
    except OSError:
        return
    known = engine.state.services
    if all(processes.is_running(engine.process(name)) for name in logs):
        return
    files = {os.path.realpath(engine.log(name)): name for name in logs}
    for name, (process, environ) in processes.find_services(engine.marks(), SERVICE_MARK, files).items():
        record = known.get(name) or Record(0)
        if name in logs and not processes.is_running(engine.process(name)):
            port = environ.get(PORT_MARK, "")
            # The port is remembered before the process is started.
            engine.remember(
                name,
                port=int(port) if port.isdecimal() else record.port,
                process=process,
                started=iso(process.created),
            )
