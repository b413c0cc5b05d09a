"""All projects of this user: what runs where (`ps`), and stopping all of it (`down --all`), deleted folders included.

A project is known by the registry, and a running service by the variables that it was started with (its project's
folder, the user's cache folder), so that one is found even when the registry and the project's folder are gone.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from devenv import config, processes, registry, state, up
from devenv.engines.engine import STORES
from devenv.errors import DevenvError, Exit
from devenv.model import Report
from devenv.stack import DEFAULT, Asked, open_locked, open_stack
from devenv.watch import Watch


@dataclass(frozen=True)
class Running:
    """One service that runs: its name (or its program's), pid (None: it is none of this machine's own) and port."""

    name: str
    pid: int | None
    port: int | None


@dataclass(frozen=True)
class Project:
    """One project of this user. `folder` tells whether its folder is still there; `data` where data of it lies."""

    root: str
    name: str | None
    folder: bool
    services: tuple[Running, ...]
    data: str | None


def read_all(cache: Path) -> list[Project]:
    """Every project that is remembered or runs, by folder."""
    running = read_running(cache)
    homes = {entry.root: entry.home for entry in registry.read_all(cache)}
    return [look(root, homes.get(root), running.get(root, [])) for root in sorted({*homes, *running})]


def look(root: str, home: str | None, found: Sequence[psutil.Process]) -> Project:
    """One project. `found` are the processes that were started for it."""
    folder = (Path(root) / config.FILE).is_file()
    records = {}
    if folder and (Path(root) / state.FOLDER).is_dir():
        records = {
            record.process.pid: (name, record.port)
            for name, record in read_records(Path(root))
            if record.process and processes.is_running(record.process)
        }
    pids = {process.pid: (program(process), None) for process in found} | records
    services = [Running(name, pid, port) for pid, (name, port) in sorted(pids.items())]
    others = read_others(Path(root)) if folder else []
    data = Path(home) if home else config.data_home(Path(root))
    return Project(
        root=root,
        name=read_name(Path(root)) if folder else None,
        folder=folder,
        services=(*services, *(other for other in others if other.name not in {each.name for each in services})),
        data=str(data) if data.exists() else None,
    )


def read_others(root: Path) -> list[Running]:
    """The services that an engine runs as something else than processes of this machine, as it tells."""
    try:
        if state.read(root / state.FOLDER).engine in (None, DEFAULT):
            return []
        engine = open_stack(root, asked=Asked(stopping=True)).engine
        seen = [each for each in engine.look() if engine.starts or each.name not in STORES]
    except (DevenvError, OSError):
        return []
    return [Running(each.name, each.pid, each.port) for each in seen if each.state in ("running", "starting")]


def read_records(root: Path) -> list[tuple[str, state.Record]]:
    """What a project's state file says of its services; nothing when it cannot be read."""
    try:
        return list(state.read(root / state.FOLDER).services.items())
    except DevenvError:
        return []


def read_name(root: Path) -> str | None:
    """The project's name; None when its configuration is broken, which is for its own commands to tell."""
    try:
        return config.load(root).settings.project.name
    except DevenvError:
        return None


def read_running(cache: Path) -> dict[str, list[psutil.Process]]:
    """Project folder -> the processes that the devenv of this cache folder started for it."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            variables = process.environ()
            root = variables.get("DEVENV_PROJECT") if variables.get("DEVENV_CACHE") == str(cache) else None
            # A service leads its own session; what it starts inherits the variable.
            leads = os.name != "posix" or os.getsid(process.pid) == process.pid
            if root and leads and process.status() != psutil.STATUS_ZOMBIE:
                found.setdefault(root, []).append(process)
        except (psutil.Error, OSError):
            continue
    return found


def program(process: psutil.Process) -> str:
    """A short name of a process."""
    try:
        return process.name()
    except psutil.Error:
        return "?"


def show_all() -> Report:
    """`devenv ps`. Forgets projects of which neither folder, data nor process is left."""
    cache = config.cache_folder()
    found = read_all(cache)
    for project in found:
        if is_gone(project):
            registry.forget(cache, Path(project.root))
    shown = [describe(project) for project in found if not is_gone(project)]
    return Report("ps", None, Exit.DONE, {"projects": shown})


def is_gone(project: Project) -> bool:
    """Whether nothing of a project is left."""
    return not (project.folder or project.services or project.data)


def describe(project: Project) -> dict[str, object]:
    """A project for a report: `state` is running, stopped, or deleted (its folder is)."""
    kind = "deleted" if not project.folder else "running" if project.services else "stopped"
    return {**asdict(project), "state": kind}


def down_all(data: bool, backup: bool, timeout_s: float, watch: Watch) -> Report:
    """Stop every project of this user. With `data` delete the data of all of them; of deleted folders for good.

    One that cannot be stopped does not keep the others from it: it is told, and the exit code is its own.
    """
    cache = config.cache_folder()
    stopped: list[str] = []
    failed: list[dict[str, object]] = []
    code = Exit.DONE
    for project in read_all(cache):
        try:
            if project.folder and (project.services or data):
                for engine in (None, *(parked_engines(Path(project.root)) if data else ())):
                    asked = Asked(engine, stopping=True)
                    with open_locked(Path(project.root), timeout_s, watch.say, asked=asked) as opened:
                        up.down(opened, data, backup, watch)
            stop_rest(cache, project)
            if data and not project.folder and project.data:
                shutil.rmtree(project.data)
            if project.services:
                stopped.append(project.root)
        except (DevenvError, OSError) as error:
            failed.append({"root": project.root, "error": str(error)})
            code = error.exit_code if isinstance(error, DevenvError) else Exit.FOUND
    left = [describe(project) for project in read_all(cache) if project.data and not project.folder]
    body = {"stopped": stopped, "failed": failed, "leftovers": left, "data": "deleted" if data else "kept"}
    return Report("down", None, code, body, view={"all": True})


def parked_engines(root: Path) -> tuple[str, ...]:
    """The other engines that a project has been on, and may have data on."""
    return tuple(state.read(root / state.FOLDER).parked)


def stop_rest(cache: Path, project: Project) -> None:
    """End what still runs for a project: services of a deleted folder, or such that its state does not know."""
    for process in read_running(cache).get(project.root, []):
        if known := processes.identify(process.pid):
            how = signal.SIGINT if Path(known.command[0]).name == "postgres" else signal.SIGTERM
            processes.stop(known, how=how)
