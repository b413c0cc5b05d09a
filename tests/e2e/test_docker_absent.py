"""Where Docker's engine is missing, remote, or closed to this account: the reason, and what helps."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from devenv.doctor.checks.docker import judge_engine
from devenv.engines.docker.api import DockerClient, Endpoint, Unreachable
from devenv.engines.docker.inspect import View
from tests.chaos.test_security import stranger
from tests.e2e.docker_support import IMAGES
from tests.support import ProjectDir


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        # Where its command is there, it is installed.
        pytest.param(
            {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
            "Docker's engine does not run",
            marks=pytest.mark.needs_docker,
        ),
        ({"PATH": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "Docker is not installed"),
    ],
)
def test_an_engine_that_is_not_there_is_a_missing_prerequisite(
    project: ProjectDir, environ: dict[str, str], what: str
) -> None:
    ran = project.devenv("up", "--engine", "docker", **IMAGES, **environ)
    assert ran.code == 10
    assert f"error: {what}" in ran.err
    assert "unix:///nonexistent/docker.sock" in ran.err
    assert "hint: " in ran.err
    assert project.devenv("status", "--engine", "docker", **environ).code == 0


def test_a_remote_engine_is_refused_with_the_reason(project: ProjectDir, tmp_path: Path) -> None:
    for host in ("tcp://10.1.2.3:2375", "ssh://somebody@elsewhere"):
        ran = project.devenv("up", "--engine", "docker", DOCKER_HOST=host)
        assert ran.code == 2
        assert f"the Docker engine at {host} is a remote one" in ran.err
        assert "not on this machine's loopback" in ran.err
    assert not (tmp_path / "docker").exists()


# The SDK leaves its socket to the garbage collector when it is refused.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_engine_that_this_account_may_not_ask() -> None:
    folder = Path(tempfile.mkdtemp(prefix="socket-"))
    folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "docker.sock"))
        listener.listen()
        (folder / "docker.sock").chmod(0o600 if os.geteuid() == 0 else 0)
        # The other account may not read what is imported late.
        importlib.import_module("docker.api")
        with stranger(), pytest.raises(Unreachable) as refused:
            DockerClient(Endpoint(f"unix://{folder}/docker.sock", "the default")).version()
    shutil.rmtree(folder)
    code, failure = refused.value.exit_code, refused.value.failure
    del refused
    gc.collect()
    assert (code, failure.what) == (10, "you may not use Docker")
    outcome = judge_engine(View("docker", unusable=failure))
    assert (outcome.status, outcome.fix and outcome.fix.command) == ("fail", "sudo usermod -aG docker $USER")
