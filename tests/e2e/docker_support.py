"""Docker for tests: the images of .ci/docker, projects on them, and the engine as `docker` itself tells of it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devenv.engines.docker.containers import project_name
from tests.support import REPOSITORY, ProjectDir, reference_project

IMAGES: Mapping[str, str] = {
    "DEVENV_POSTGRES_IMAGE": "devenv-test/postgres:15-r2",
    "DEVENV_DYNAMODB_IMAGE": "devenv-test/dynamodb-local:1-r2",
    "DEVENV_BACKEND_IMAGE": "devenv-test/python:3.11-r2",
}
COMPOSE = Path(sys.executable).with_name("docker-compose")


@functools.cache
def why_not() -> str | None:
    """Why Docker cannot be used; None when it can. Waits for a build of the images that is under way."""
    waited = subprocess.run(
        [REPOSITORY / ".ci" / "docker", "--wait"], capture_output=True, text=True, timeout=700, check=False
    )
    return waited.stdout + waited.stderr if waited.returncode else None


def need_docker() -> None:
    """Fail, with the reason, unless the engine runs and the images are there."""
    if reason := why_not():
        pytest.fail(reason, pytrace=False)


@contextmanager
def on_docker(folder: Path, **environ: str) -> Iterator[ProjectDir]:
    """The reference project on containers. Nothing of it is left behind."""
    need_docker()
    project = ProjectDir(reference_project(folder / "project").path, {"DEVENV_ENGINE": "docker", **IMAGES, **environ})
    try:
        yield project
    finally:
        name = compose_project(project)
        project.remove()
        left = [docker(kind, "ls", "-q", *words, "--filter", f"label=com.docker.compose.project={name}")
                for kind, words in (("container", ["-a"]), ("volume", []), ("network", []))]  # fmt: skip
        assert left == ["", "", ""], "containers, volumes or networks are left"


def compose_project(project: ProjectDir) -> str:
    """The name of the Compose project of a folder that was not moved."""
    return project_name("cruddur", project.path.resolve())


def container(project: ProjectDir, service: str) -> str:
    """The name of a service's container."""
    return f"{compose_project(project)}-{service}-1"


def docker(*words: str) -> str:
    """What one docker command prints."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"docker {words}: {done.stderr}"
    return done.stdout.strip()


def inspect(name: str) -> dict[str, Any]:
    """All that Docker tells of one container."""
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


def compose(folder: Path, project: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Compose by hand on the repository's own file, as somebody without devenv would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEVENV_", "COMPOSE_"))}
    file = REPOSITORY / "compose" / "compose.yaml"
    return subprocess.run(
        [COMPOSE, "-f", file, *words],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={**kept, **IMAGES, "COMPOSE_PROJECT_NAME": project, **environ},
    )  # fmt: skip
