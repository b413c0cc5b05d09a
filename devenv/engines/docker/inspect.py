"""Docker as doctor needs to see it: the engine, Compose, images, room, containers, volumes, and who else runs."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from devenv.config.services import STORES
from devenv.core.errors import DevenvError
from devenv.core.model import Failure
from devenv.engines.base import Engine
from devenv.engines.docker import compose
from devenv.engines.docker.api import Container
from devenv.engines.docker.containers import ALIVE
from devenv.engines.docker.engine import DockerEngine
from devenv.host import processes


@dataclass(frozen=True)
class MissingImage:
    """An image that is not on this machine; why it cannot be fetched, or None where its registry has it."""

    image: str
    why: str | None


@dataclass(frozen=True)
class Volume:
    """A container's volume: who owns it, and as whom the container's process runs (None: this account may not know).

    `repair` is a command that gives it to that user, where starting anew does not.
    """

    service: str
    name: str
    owner: int | None
    user: int | None
    complaint: str | None
    repair: str | None = None


@dataclass(frozen=True)
class Stray:
    """A service of this project that runs on another engine, and as which process or container."""

    service: str
    engine: str
    runs: str

    def __str__(self) -> str:
        return f"{self.service} on engine `{self.engine}` ({self.runs})"


@dataclass(frozen=True)
class View:
    """Docker as it was seen. `unusable` is why Docker's engine cannot be asked; the rest is then empty.

    `images` are those of the services, without those that a compose file of the project's own names. `free` is the room
    (bytes) where Docker keeps its data, None where this account may not know. `elsewhere` names services of this
    project that run on another engine; `unasked` says why it is not known which.
    """

    engine: str
    unusable: Failure | None = None
    version: str = ""
    compose: compose.Compose | None = None
    no_compose: Failure | None = None
    images: tuple[str, ...] = ()
    missing: tuple[MissingImage, ...] = ()
    folder: str = ""
    free: int | None = None
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    elsewhere: tuple[Stray, ...] = ()
    unasked: str = ""


def look(engine: Engine) -> View:
    """Look, as far as it concerns this project. On another engine only whether its containers run as well."""
    beside, unasked = find_elsewhere(engine)
    if not isinstance(engine, DockerEngine):
        return View(engine.name, elsewhere=beside, unasked=unasked)
    try:
        version = engine.docker.version()
    except DevenvError as error:
        return View(engine.name, unusable=error.failure, elsewhere=beside)
    found, none = None, None
    try:
        found = compose.find_compose(engine.environ)
    except DevenvError as error:
        none = error.failure
    containers = [engine.find(name) for name in engine.services if engine.is_contained(name)]
    folder = engine.docker.folder()
    return View(
        engine=engine.name,
        version=version,
        compose=found,
        no_compose=none,
        images=tuple(dict.fromkeys(filter(None, map(engine.image, engine.services)))),
        missing=tuple(find_missing(engine)),
        folder=folder,
        free=room(Path(folder)),
        containers=tuple(container for container in containers if container),
        volumes=tuple(look_at_volumes(engine)),
        elsewhere=beside,
    )


def find_missing(engine: DockerEngine) -> Iterator[MissingImage]:
    """Images of services that are not here. Docker's engine asks their registries whether they could be fetched."""
    for image in filter(None, map(engine.image, engine.services)):
        if engine.docker.has_image(image):
            continue
        why: str | None = "its registry does not have it"
        try:
            if engine.docker.is_published(image):
                why = None
        except DevenvError as error:
            why = error.detail or error.what
        yield MissingImage(image, why)


def room(folder: Path) -> int | None:
    """Free bytes where Docker keeps its data."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def look_at_volumes(engine: DockerEngine) -> Iterator[Volume]:
    """The volume of DynamoDB Local, whose image cannot repair its owner by itself."""
    container = engine.find("dynamodb")
    if container is None or container.state not in ALIVE:
        return
    mount = next((container.mounts[each] for each in container.arguments if each in container.mounts), None)
    if mount is None:
        return
    owner = user = None
    with contextlib.suppress(OSError, psutil.Error):
        if container.pid:
            owner, user = Path(mount.folder).stat().st_uid, psutil.Process(container.pid).uids().effective
    said = (line for line in reversed(engine.tail("dynamodb", 50)) if "unable to open database file" in line)
    # devenv's own compose file gives the volume away before each start.
    chown = f"docker run --rm -u 0 --entrypoint chown -v {mount.name}:/data {container.image} -R {user} /data"
    own = engine.settings.docker.file and user is not None
    yield Volume("dynamodb", mount.name, owner, user, next(said, None), f"{chown} && devenv up" if own else None)


def find_elsewhere(engine: Engine) -> tuple[tuple[Stray, ...], str]:
    """Services of this project that run on another engine than the present one; why Docker could not be asked."""
    found = list(find_processes(engine))
    try:
        found += find_containers(engine)
    except DevenvError as error:
        return tuple(found), ": ".join(filter(None, (error.what, error.detail)))
    return tuple(found), ""


def find_processes(engine: Engine) -> Iterator[Stray]:
    """Processes of this project that engines started before the present one."""
    for name, parked in engine.state.parked.items():
        for service, record in parked.services.items():
            if processes.is_running(record.process):
                yield Stray(service, name, f"pid {record.process.pid if record.process else None}")


def find_containers(engine: Engine) -> Iterator[Stray]:
    """Containers of this project that run although it is on another engine. DevenvError when Docker cannot be asked."""
    if isinstance(engine, DockerEngine) or "docker" not in engine.state.parked:
        return
    other = DockerEngine(engine.loaded, engine.folder, engine.environ, aside=True)
    for service in STORES:
        container = other.find(service)
        if container is not None and container.state in ALIVE:
            yield Stray(service, "docker", f"container {container.name}")
