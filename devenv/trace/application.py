"""The process that serves the application: found by what devenv started, by its port, or in a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from devenv.core.errors import DevenvError
from devenv.core.model import Targets
from devenv.host.addresses import is_loopback
from devenv.host.source_files import NAME as SOURCES
from devenv.host.source_files import read_digests
from devenv.trace.question import Application, RunningTap

if TYPE_CHECKING:
    from devenv.links.facts import FactsContext
    from devenv.stack import Stack


def find_application(stack: Stack, context: FactsContext) -> Application:
    """The process that serves the application: the one that devenv started, else whoever listens at its address.

    A service of another devenv project that listens there is not the application.
    """
    from urllib.parse import urlsplit

    from devenv.host import processes

    backend = stack.settings.backend
    if backend is None:
        return Application()
    recorded = stack.engine.process("backend")
    ours = recorded is not None and processes.is_running(recorded)
    url = urlsplit(context.targets.backend_url or "")
    if other := find_other(stack, url.hostname, url.port):
        return Application(other=other)
    if not ours and (contained := find_contained(stack, url.port)):
        return contained
    pid = serving(recorded.pid, url.port) if ours and recorded else None
    if pid is None and is_loopback(url.hostname or "") and url.port:
        pid = processes.holder(url.port).pid
    if pid is None:
        return Application()
    log = stack.engine.log("backend") if ours else None
    seen = look_at(pid)
    environ = None if seen.environ is None else stack.engine.untapped(seen.environ)
    stale = ours and stack.engine.settings_changed(stack.environment())
    family = (recorded.pid, *processes.children(recorded.pid)) if ours and recorded else (pid,)
    return replace(
        seen,
        environ=environ,
        log=log,
        stale=stale,
        tap=find_tap(stack) if ours else None,
        connected=find_connected(stack, context, family),
        digests=read_digests(stack.engine.folder / SOURCES) if ours else {},
    )


def find_connected(stack: Stack, context: FactsContext, family: Iterable[int]) -> frozenset[str] | None:
    """The stores that the application's processes have open connections to, also through the tap."""
    from devenv.host.connections import connected

    taps = stack.engine.tap_places()
    stores = Targets.of(context.targets.postgres, context.targets.dynamodb)
    places = {store: target.place for store, target in stores.items()}
    return connected(family, {store: [place, *filter(None, [taps.get(place)])] for store, place in places.items()})


def find_tap(stack: Stack) -> RunningTap | None:
    """The tap before the application; None where none runs."""
    from devenv.host import processes

    known = stack.engine.state.tap
    if known is None or "application" not in known.ports or not processes.is_running(known.process):
        return None
    from devenv.lifecycle.tap import journal

    return RunningTap(f"http://127.0.0.1:{known.ports['application']}", journal(stack.engine))


def find_other(stack: Stack, host: str | None, port: int | None) -> str | None:
    """The other devenv project that listens on the application's port, in words; None where the application does."""
    from devenv.host import processes

    if not host or not is_loopback(host) or not port or not processes.answers(host, port):
        return None
    state = stack.engine.look_at("backend")
    if state.state == "running" and (state.pid is None or processes.listens_on(state.pid, port) is not False):
        return None
    from devenv.lifecycle.projects import find_owner

    owner = find_owner(stack.engine.cache, port, stack.engine.marks()["DEVENV_PROJECT"])
    return None if owner is None else f"port {port} is used by another devenv project: {owner}"


def find_contained(stack: Stack, port: int | None) -> Application | None:
    """The application where it is a container: the project's own, or one that publishes the port; else None."""
    from devenv.host import processes

    if stack.engine.name != "docker" and (port is None or not processes.is_forwarder(processes.holder(port).pid)):
        return None
    from devenv.engines.docker.engine import DockerEngine

    engine = stack.engine
    try:
        docker = (
            engine if isinstance(engine, DockerEngine) else DockerEngine(engine.loaded, engine.folder, engine.environ)
        )
        container = docker.application_container(port)
    except DevenvError:
        return None
    if container is None:
        return None
    ours = docker is engine and docker.contained
    return Application(
        container.pid or 0,
        docker.seen_from_here(container),
        started=datetime.fromisoformat(f"{container.started[:26].rstrip('Z')}+00:00").timestamp(),
        log=engine.log("backend") if ours else None,
        stale=ours and engine.settings_changed(stack.environment()),
    )


def serving(pid: int, port: int | None) -> int:
    """The process of this family that listens on the port: a shell or a reloader may stand before it.

    A reloader shares its socket with the process that answers, which it started last.
    """
    from devenv.host import processes
    from devenv.host.listening import listening

    answering: list[tuple[float, int]] = []
    if not (members := processes.children(pid)):
        return pid
    for member in (pid, *members):
        try:
            if any(found == port for _, found in listening(member)):
                answering.append((psutil.Process(member).create_time(), member))
        except psutil.Error:
            continue
    return max(answering)[1] if answering else pid


def look_at(pid: int) -> Application:
    """Return what the system tells of a process; the rest None where it is not this account's to know."""
    from devenv.host import processes

    try:
        process = psutil.Process(pid)
        started = processes.started_at(process)
    except psutil.Error:
        return Application(pid)
    environ: Mapping[str, str] | None = None
    folder: Path | None = None
    python: str | None = None
    try:
        environ = process.environ()
        folder = Path(process.cwd())
        command = process.cmdline()
    except psutil.Error:
        command = []
    if command and Path(command[0]).is_absolute() and Path(command[0]).name.startswith("python"):
        python = command[0]
    return Application(pid, environ, folder, python, started)
