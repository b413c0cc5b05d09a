"""A stream worker beside stores that are containers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.docker_support import IMAGES, compose_project, docker, need_docker
from tests.e2e.test_stream_workers import moved, send, with_worker, worker
from tests.support import ProjectDir


@pytest.mark.needs_docker
def test_the_worker_handles_what_containers_hold(tmp_path: Path) -> None:
    need_docker()
    project = ProjectDir(with_worker(tmp_path / "project").path, {"DEVENV_ENGINE": "docker", **IMAGES})
    try:
        project.ok("up", timeout=240)
        moved(project, send(project, "moved by the function"))
        os.kill(int(worker(project)["pid"]), signal.SIGKILL)
        missed = send(project, "sent while the worker was dead")
        assert worker(project)["state"] == "crashed"
        project.ok("up", timeout=240)
        moved(project, missed)
        store = f"label=com.docker.compose.project={compose_project(project)}"
        dynamodb = docker(
            "container", "ls", "-q", "--filter", store, "--filter", "label=com.docker.compose.service=dynamodb"
        )
        docker("kill", "--signal", "KILL", dynamodb)
        project.ok("up", timeout=240)
        # DynamoDB Local may lose what it acknowledged right before it is killed: a new message moves the rows again.
        moved(project, send(project, "sent after the store was killed"))
        pid = int(worker(project)["pid"])
        project.ok("down", "--data", "-y", "--no-backup")
        assert not Path(f"/proc/{pid}").exists()
        assert docker("container", "ls", "-aq", "--filter", store) == ""
    finally:
        project.remove()
