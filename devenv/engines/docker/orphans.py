"""Finds what Docker still holds of a Compose project, by name alone: for projects whose folder is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.engines.docker import compose
from devenv.engines.docker.api import Container, DockerClient, find_endpoint
from devenv.engines.docker.containers import ALIVE

# No other Compose project is touched, whatever a file says.
OURS: Final = re.compile(r"devenv-[a-z0-9_-]+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Left:
    """The containers and volumes of one Compose project.

    `known` is False when Docker cannot be asked: there may be something.
    """

    known: bool = True
    running: tuple[Container, ...] = ()
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def look(project: str, environ: Mapping[str, str]) -> Left:
    """Containers, running or not, and volumes. Nothing without a name, or for one that devenv did not make."""
    if not OURS.fullmatch(project):
        return Left()
    try:
        docker = DockerClient(find_endpoint(environ))
        found = [docker.container(each) for each in docker.containers(project).values()]
        return Left(
            running=tuple(each for each in found if each and each.state in ALIVE),
            containers=tuple(each.name for each in found if each),
            volumes=tuple(docker.volumes(project)),
        )
    except DevenvError:
        return Left(known=False)


def stop(project: str, environ: Mapping[str, str]) -> None:
    """Stop the containers; they and their volumes stay. DevenvError."""
    call(project, environ, "stop", hint=f"docker compose -p {project} stop")


def remove(project: str, environ: Mapping[str, str]) -> None:
    """Delete containers, volumes and network, for good. DevenvError."""
    call(project, environ, "down", "--volumes", "--remove-orphans", hint=f"docker compose -p {project} down --volumes")
    if left := look(project, environ).volumes:
        raise DevenvError(f"volumes are still there: {', '.join(left)}", hint=f"docker volume rm {left[0]}")


def call(project: str, environ: Mapping[str, str], *words: str, hint: str) -> None:
    """Run Compose on a project of which there is no file: it goes by the labels."""
    if not OURS.fullmatch(project):
        return
    program = str(compose.find_compose(environ).program)
    own = compose.clean_environment(environ, find_endpoint(environ).url)
    try:
        compose.call([program, "--ansi", "never", "--project-name", project, *words], own, Path("/"))
    except compose.Failed as failed:
        raise DevenvError(f"the containers of {project} could not be changed", detail=failed.words, hint=hint) from None
