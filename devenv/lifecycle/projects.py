"""All projects of this user: what runs where (`ps`), and stopping all (`down --all`), including deleted folders.

A project is known by the registry, and a running service by the variables that it was started with (its project's
folder, the user's cache folder), so that one is found even when the registry and the project's folder are gone.
Containers and volumes are found by the name of their Compose project, which the registry has too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from collections.abc import Container, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import psutil

from devenv.config import schema as config
from devenv.config.load import cache_folder, data_home, load
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit
from devenv.core.events import ProjectEvents, Watch
from devenv.core.model import Report
from devenv.core.value import Value
from devenv.engines.process import SERVICE_MARK
from devenv.host import processes, registry, state
from devenv.host.files import size_of
from devenv.lifecycle import log_clock
from devenv.lifecycle.down import down, may_run
from devenv.stack import DEFAULT, EngineChoice, open_locked, open_stack

# The log of a service, by which a process is known that writes its title over its variables.
LOG: Final = re.compile(rf"(?P<root>.*)/{re.escape(state.FOLDER)}/logs/(?P<name>[\w-]+)\.log")


class RunningService(Value, frozen=True):
    """One service that runs: its name (or its program's), pid (None: it is none of this machine's own) and port."""

    name: str
    pid: int | None
    port: int | None


class KnownProject(Value, frozen=True):
    """One project of this user. `folder` tells whether its folder is still there; `data`, in words, where data of it
    lies; `connected` the stores that it is up on and devenv did not start (engine external); `home` the folder among
    the data; `compose` the name of its Compose project, if it has one; `prefix` the Python environment of the devenv
    that started it last ("": not known).
    """

    root: str
    name: str | None
    folder: bool
    services: tuple[RunningService, ...]
    data: str | None
    connected: tuple[RunningService, ...] = ()
    home: str | None = None
    compose: str = ""
    prefix: str = ""


def read_all(cache: Path) -> list[KnownProject]:
    """Every project that is remembered or runs, by folder."""
    running = read_running(cache)
    known = {entry.root: entry for entry in registry.read_all(cache)}
    # A moved project has its containers along: what its old folder's entry says of them is over.
    living = {entry.compose for entry in known.values() if is_project(entry.root)}
    for entry in known.values():
        if not is_project(entry.root) and entry.compose in living:
            known[entry.root] = registry.RegisteredProject(entry.root, entry.home)
    return [look(root, known.get(root), running.get(root, [])) for root in sorted({*known, *running})]


def find_owner(cache: Path, port: int, apart: str) -> str | None:
    """Name and folder of the project whose service listens on a port of this machine; None for that in `apart`.

    A process tells its project's folder; behind a process of Docker's own, the registry's containers are asked.
    """
    pid = processes.holder(port).pid
    root = None if pid is None else folder_of(pid)
    if root is None and (pid is None or processes.is_forwarder(pid)):
        entries = (entry for entry in registry.read_all(cache) if entry.compose)
        root = next((entry.root for entry in entries if publishes(entry.compose, port)), None)
    return None if root in (None, apart) else f"{read_name(Path(root)) or Path(root).name}, {root}"


def folder_of(pid: int) -> str | None:
    """The folder of the project that a process was started for; None where it was not devenv that started it."""
    written = LOG.fullmatch(processes.output_of(pid))
    return processes.environ_of(pid).get("DEVENV_PROJECT") or (written["root"] if written else None)


def publishes(compose: str, port: int) -> bool:
    """Return True if a running container of a Compose project publishes a port."""
    return any(each.port == port for each in read_contained(compose).services)


def is_project(root: str) -> bool:
    """Return True if a project's folder is still there."""
    return (Path(root) / config.FILE).is_file()


def look(root: str, entry: registry.RegisteredProject | None, found: Sequence[psutil.Process]) -> KnownProject:
    """One project. `found` are the processes that were started for it."""
    folder = is_project(root)
    records = {}
    if folder and (Path(root) / state.FOLDER).is_dir():
        records = {
            record.process.pid: (name, record.port)
            for name, record in read_records(Path(root))
            if record.process and processes.is_running(record.process)
        }
    named = {process.pid: program(process) for process in found}
    pids = {pid: (name, None) for pid, name in named.items() if name not in (None, log_clock.NAME)} | records
    services = [RunningService(name, pid, port) for pid, (name, port) in sorted(pids.items())]
    others, connected = read_others(Path(root)) if folder else ([], [])
    contained = read_contained(entry.compose) if entry and entry.compose else Contained()
    data = Path(entry.home) if entry else data_home(Path(root))
    services += [other for other in others if other.name not in {each.name for each in services}]
    services += [each for each in contained.services if each.name not in {service.name for service in services}]
    places = [str(data)] if data.exists() else []
    return KnownProject(
        root=root,
        name=read_name(Path(root)) if folder else None,
        folder=folder,
        services=tuple(services),
        data=", ".join((*places, *contained.data)) or None,
        connected=tuple(connected),
        home=str(data) if data.exists() else None,
        compose=entry.compose if entry else "",
        prefix=entry.prefix if entry else "",
    )


class Contained(Value, frozen=True):
    """The part of a project that Docker holds: services that run, and in words where data lies."""

    services: tuple[RunningService, ...] = ()
    data: tuple[str, ...] = ()


def read_contained(name: str) -> Contained:
    """Return what Docker has of a Compose project."""
    from devenv.engines.docker import orphans as docker_left

    left = docker_left.look(name, os.environ)
    if not left.known:
        return Contained(data=(f"maybe volumes of {name} (Docker cannot be reached)",))
    services = [
        RunningService(each.service, each.pid, next((at for places in each.ports.values() for _, at in places), None))
        for each in left.running
    ]
    return Contained(tuple(services), tuple(f"Docker volume {volume}" for volume in left.volumes))


def read_others(root: Path) -> tuple[list[RunningService], list[RunningService]]:
    """The services that an engine runs as something else than processes of this machine, as it tells; and the stores
    that the project is up on without having started them.
    """
    try:
        known = state.read(root / state.FOLDER)
        if known.engine in (None, DEFAULT):
            return [], []
        engine = open_stack(root, asked=EngineChoice(stopping=True)).engine
        if not engine.starts:
            names = [name for name in state.meant_up(known) if name in STORES and may_run(engine, name)]
            return [], [RunningService(name, None, known.services[name].port) for name in sorted(names)]
        seen = [each for each in engine.look() if each.state in ("running", "starting")]
    except (DevenvError, OSError):
        return [], []
    return [RunningService(each.name, each.pid, each.port) for each in seen], []


def read_records(root: Path) -> list[tuple[str, state.Record]]:
    """Return what a project's state file says of its services; nothing when it cannot be read."""
    try:
        return list(state.read(root / state.FOLDER).services.items())
    except DevenvError:
        return []


def read_name(root: Path) -> str | None:
    """The project's name; None when its configuration is broken, which is for its own commands to tell."""
    try:
        return load(root).settings.project.name
    except DevenvError:
        return None


def read_running(cache: Path) -> dict[str, list[psutil.Process]]:
    """Project folder -> the processes that the devenv of this cache folder started for it."""
    found: dict[str, list[psutil.Process]] = {}
    known = {entry.root for entry in registry.read_all(cache)}
    for process in psutil.process_iter():
        # A service leads its own session; what it starts inherits the variable.
        if not processes.leads_session(process.pid):
            continue
        variables = processes.environ_of(process.pid)
        root = variables.get("DEVENV_PROJECT") if variables.get("DEVENV_CACHE") == str(cache) else None
        if root is None and (logs := LOG.fullmatch(processes.output_of(process.pid))):
            # Its title stands where its variables were. PostgreSQL has many processes, each leading a session.
            own = logs["root"] in known and logs["name"] not in STORES and "DEVENV_CACHE" not in variables
            root = logs["root"] if own else None
        if root and processes.identify(process.pid):
            found.setdefault(root, []).append(process)
    return found


def program(process: psutil.Process) -> str | None:
    """The service that a process is, else a short name of its program; None when it has ended since it was found."""
    try:
        marked = processes.environ_of(process.pid).get(SERVICE_MARK)
        written = LOG.fullmatch(processes.output_of(process.pid))
        name = marked or (written["name"] if written else process.name())
    except psutil.Error:
        return None
    # One that ends has no variables any more, so its name would be that of its program.
    return name if marked or processes.identify(process.pid) else None


def show_all() -> Report:
    """`devenv ps`. Forgets projects of which neither folder, data nor process is left."""
    cache = cache_folder()
    found = read_all(cache)
    for project in found:
        if is_gone(project):
            registry.forget(cache, Path(project.root))
    shown = [describe(project) for project in found if not is_gone(project)]
    return Report("ps", None, Exit.DONE, {"projects": shown})


def is_gone(project: KnownProject) -> bool:
    """Return True if nothing of a project is left."""
    return not (project.folder or project.services or project.data)


def describe(project: KnownProject) -> dict[str, object]:
    """A project for a report: `state` is running, stopped, or deleted (its folder is)."""
    kind = "deleted" if not project.folder else "running" if project.services or project.connected else "stopped"
    shown = {name: value for name, value in asdict(project).items() if name not in ("home", "compose")}
    return {**shown, "state": kind, "bytes": size_of(Path(project.home)) if project.home else 0}


def find_deleted(cache: Path) -> list[KnownProject]:
    """The projects whose folder was deleted and of which nothing runs."""
    return [project for project in read_all(cache) if not (project.folder or project.services or project.connected)]


def forget_deleted(cache: Path, projects: Sequence[KnownProject]) -> Report:
    """Delete the data of deleted folders for good, and list the rest."""
    freed = 0
    for project in projects:
        stop_contained(project, True)
        if project.home:
            freed += size_of(Path(project.home))
            shutil.rmtree(project.home)
        registry.forget(cache, Path(project.root))
    report = show_all()
    return replace(report, body={**report.body, "forgotten": [each.root for each in projects], "freed": freed})


def title(project: KnownProject) -> str:
    """A project's name, with its folder's where that is another: checkouts of one project share the name."""
    folder = Path(project.root).name
    return folder if project.name in (None, folder) else f"{project.name} ({folder})"


def down_all(data: bool, backup: bool, timeout_s: float, watch: Watch, *, only: Container[str] | None = None) -> Report:
    """Stop every project of this user. With `data` delete the data of all of them; of deleted folders for good.

    `only` limits it to the projects in these folders.

    One that cannot be stopped does not keep the others from it: it is told, and the exit code is its own. One whose
    engine is no longer installed (`engines_gone`) has nothing that runs.
    """
    cache = cache_folder()
    stopped: list[str] = []
    kept: list[dict[str, object]] = []
    failed: list[dict[str, object]] = []
    backups: list[dict[str, object]] = []
    gone: list[dict[str, object]] = []
    code = Exit.DONE
    for project in read_all(cache):
        if only is not None and project.root not in only:
            continue
        try:
            if project.folder and (project.services or project.connected or data):
                for engine in (None, *(parked_engines(Path(project.root)) if data else ())):
                    asked = EngineChoice(engine, stopping=True)
                    told = ProjectEvents(title(project), watch)
                    with open_locked(Path(project.root), timeout_s, told.say, asked=asked) as opened:
                        body = down(opened, data, backup, told).body
                    if body["backup"]:
                        backups.append({"root": project.root, "snapshot": body["backup"]})
                    if engine is None and body["left"]:
                        kept.append({"root": project.root, "services": body["left"]})
            stop_rest(cache, project)
            stop_contained(project, data)
            if data and not project.folder and project.home:
                shutil.rmtree(project.home)
            if project.services:
                stopped.append(project.root)
        except (DevenvError, OSError) as error:
            if isinstance(error, DevenvError) and error.exit_code == Exit.MISSING:
                gone.append({"root": project.root, "error": str(error)})
                continue
            hint = error.hint if isinstance(error, DevenvError) else None
            own = f"devenv down --project {shlex.quote(project.root)}"
            failed.append({"root": project.root, "error": str(error), "hint": hint or own})
            code = error.exit_code if isinstance(error, DevenvError) else Exit.FOUND
    left = [describe(project) for project in read_all(cache) if project.data and not project.folder]
    body = {
        "stopped": stopped,
        "left": kept,
        "failed": failed,
        "engines_gone": gone,
        "leftovers": left,
        "data": "deleted" if data else "kept",
        "backups": backups,
        "cache": str(cache) if cache.is_dir() else None,
    }
    return Report("down", None, code, body, view={"all": True})


def what_goes() -> list[str]:
    """The data that `down --all --data` deletes, a line each."""
    places = [(project.root, project.data) for project in read_all(cache_folder()) if project.data]
    return [f"deletes {root}: {data}" for root, data in places] or ["deletes nothing: no project has data"]


def stop_contained(project: KnownProject, data: bool) -> None:
    """End what still runs of it in containers; with `data` those of a deleted folder go, and their volumes."""
    if not project.compose:
        return
    from devenv.engines.docker import orphans as docker_left

    left = docker_left.look(project.compose, os.environ)
    if data and not project.folder and (left.containers or left.volumes):
        docker_left.remove(project.compose, os.environ)
    elif left.running:
        docker_left.stop(project.compose, os.environ)


def parked_engines(root: Path) -> tuple[str, ...]:
    """The other engines that a project has been on, and may have data on."""
    return tuple(state.read(root / state.FOLDER).parked)


def stop_rest(cache: Path, project: KnownProject) -> None:
    """End what still runs for a project: services of a deleted folder, or such that its state does not know."""
    for process in read_running(cache).get(project.root, []):
        if known := processes.identify(process.pid):
            how = signal.SIGINT if Path(known.command[0]).name == "postgres" else signal.SIGTERM
            processes.stop(known, how=how)
