"""When one of the project's own processes counts as started: the conditions of `ready`, one function each.

A condition raises StoreError while it does not hold. `up` polls all that are given; doctor asks those that run nothing.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from devenv.config.processes import Ready
from devenv.core.errors import StoreError

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.base import Engine

PATIENCE_S: Final = 2.0
COMMAND_S: Final = 10.0
# How much of a log is searched for a line.
SEARCHED: Final = 4 * 1024 * 1024


class StartedProcess(msgspec.Struct, frozen=True):
    """One process that was started, as its conditions see it. `log_start`: its log's length then, in bytes."""

    ready: Ready
    host: str
    port: int
    url: str
    log: Path
    log_start: int
    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    any_route: bool


class ReadyCondition(msgspec.Struct, frozen=True):
    """One key of `ready`. `runs`: it runs a program of the folder, so that a command that only looks leaves it out."""

    key: str
    check: Callable[[StartedProcess], None]
    runs: bool = False


def check_http(started: StartedProcess) -> None:
    request_health(started.url + (started.ready.http or "/"), started.any_route)


def request_health(address: str, any_route: bool) -> None:
    """GET an address. StoreError, whose code is the status, unless that is below 400.

    `any_route`: no path is declared, and the application may not have this one. Any status below 500 shows that it
    serves.
    """
    url = urlsplit(address)
    import http.client

    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port or 80, timeout=PATIENCE_S)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(2000)
    except (OSError, http.client.HTTPException) as error:
        raise StoreError(f"{url.geturl()} does not answer", detail=str(error), reached=False) from None
    finally:
        connection.close()
    if answer.status >= (500 if any_route else 400):
        what = f"GET {url.geturl()} answers {answer.status}"
        raise StoreError(what, detail=body.decode("utf-8", "replace"), code=str(answer.status))


def check_tcp(started: StartedProcess) -> None:
    """Its port accepts connections."""
    try:
        socket.create_connection((started.host, started.port), timeout=PATIENCE_S).close()
    except OSError as error:
        raise StoreError(
            f"{started.host}:{started.port} accepts no connection", detail=str(error), reached=False
        ) from None


def check_log(started: StartedProcess) -> None:
    """A line that it has written since it was started matches."""
    wanted = started.ready.log or ""
    try:
        with open(started.log, "rb") as file:
            file.seek(0, os.SEEK_END)
            # A log that is shorter than it was then was moved away meanwhile.
            start = started.log_start if started.log_start <= file.tell() else 0
            file.seek(max(start, file.tell() - SEARCHED))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    if not any(re.search(wanted, line) for line in lines):
        raise StoreError(f"no line of its log matches `{wanted}`", reached=False)


def check_command(started: StartedProcess) -> None:
    """The command exits 0."""
    try:
        ran = subprocess.run(
            started.command,
            cwd=started.folder,
            env=dict(started.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError("its ready command could not be run", detail=str(error), reached=False) from None
    if ran.returncode:
        said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip()[-500:]
        raise StoreError(f"its ready command exited {ran.returncode}", detail=said)


CONDITIONS: Final = (
    ReadyCondition("tcp", check_tcp),
    ReadyCondition("http", check_http),
    ReadyCondition("log", check_log),
    ReadyCondition("command", check_command, runs=True),
)


def given(ready: Ready) -> list[ReadyCondition]:
    """The conditions that a service has, cheapest first."""
    return [condition for condition in CONDITIONS if is_given(getattr(ready, condition.key))]


def is_given(value: object) -> bool:
    """Return True for a condition that devenv.toml gives."""
    return value not in (None, False, [])


def asks_port(ready: Ready) -> bool:
    """Return True if readiness is asked on the service's port."""
    return ready.http is not None or ready.tcp


def view(engine: Engine, own: Own, environment: Mapping[str, str]) -> StartedProcess:
    """Return what the conditions need to know of a process."""
    from devenv.engines.own import folder_of, process_environment, ready_command

    record = engine.state.services.get(own.name)
    host, port = engine.address(own.name)
    runs = bool(own.ready.command)
    return StartedProcess(
        ready=own.ready,
        host=host,
        port=port,
        url=engine.url(own.name, port),
        log=engine.log(own.name),
        log_start=record.log_start if record else 0,
        command=ready_command(engine, own) if runs else [],
        folder=folder_of(engine, own),
        environment=process_environment(engine, own, environment) if runs else {},
        any_route=own.any_route,
    )


def check(engine: Engine, own: Own, environment: Mapping[str, str], *, look_only: bool = False) -> list[str]:
    """Ask every condition. The keys of those that were asked; StoreError for the first that does not hold.

    `look_only` leaves out what would run a program of the folder.
    """
    started = view(engine, own, environment)
    asked = [condition for condition in given(own.ready) if not (look_only and condition.runs)]
    for condition in asked:
        condition.check(started)
    return [condition.key for condition in asked]
