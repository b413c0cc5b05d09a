"""Rows 10 and 11 of failures.md, and worse: services of a real project that are stopped, killed, paused or replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.faults.test_doctor_faults import findings
from tests.support import ProjectDir, reference_project

CODES = {"postgres": "SVC001", "dynamodb": "SVC002", "backend": "SVC003"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = reference_project(tmp_path_factory.mktemp("services") / "project")
    project.ok("up")
    yield project
    project.remove()


@pytest.fixture
def project(running: ProjectDir) -> Iterator[ProjectDir]:
    """The project, up at the beginning and at the end."""
    running.ok("up")
    yield running
    running.ok("up")


def pid(project: ProjectDir, name: str) -> int:
    return next(int(s["pid"]) for s in project.json("status")["services"] if s["name"] == name)


def port(project: ProjectDir, name: str) -> int:
    return next(int(s["port"]) for s in project.json("status")["services"] if s["name"] == name)


@contextmanager
def paused(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.matrix(3)
def test_a_killed_service_is_named_and_up_brings_it_back(project: ProjectDir, name: str) -> None:
    os.kill(pid(project, name), signal.SIGKILL)
    report = project.json("doctor")
    found = findings(report)
    assert (report["exit_code"], report["verdict"]) == (1, "unhealthy")
    assert list(found) == [CODES[name]]
    assert found[CODES[name]]["fix"]["command"] == "devenv up"
    project.ok("up")
    assert project.json("doctor")["verdict"] == "healthy"


@pytest.mark.long
@pytest.mark.parametrize("name", CODES)
def test_a_paused_service_is_named_with_what_to_do(project: ProjectDir, name: str) -> None:
    """Its port accepts connections and nothing answers; doctor ends by its own limits."""
    process = pid(project, name)
    with paused(process):
        report = project.json("doctor", timeout=60)
    found = findings(report)
    assert list(found) == [CODES[name]]
    assert found[CODES[name]]["fix"]["command"] == f"kill -CONT {process}"
    assert project.json("doctor")["verdict"] == "healthy"


@pytest.mark.long
def test_everything_stopped_is_reported_service_by_service(project: ProjectDir) -> None:
    project.ok("down")
    report = project.json("doctor")
    found = findings(report)
    assert set(found) == {"SVC001", "SVC002"}
    assert {row["cause"] for row in found.values()} == {"it is not running"}
    assert report["exit_code"] == 1


@pytest.mark.long
def test_another_program_on_the_port_is_not_the_service(project: ProjectDir) -> None:
    taken = port(project, "dynamodb")
    project.ok("down")
    command = [sys.executable, "-m", "http.server", str(taken), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as squatter:
        try:
            wait_for(taken)
            report = project.json("doctor")
        finally:
            squatter.terminate()
    row = findings(report)["SVC002"]
    assert "is not DynamoDB" in row["evidence"]


@pytest.mark.long
def test_dynamodb_without_shared_db_is_named_and_its_command_fixes_it(project: ProjectDir) -> None:
    """Row 9: the tables are gone for every key and region but those they were made with."""
    server = psutil.Process(pid(project, "dynamodb"))
    taken, command, environ = port(project, "dynamodb"), server.cmdline(), server.environ()
    server.kill()
    server.wait(30)
    with subprocess.Popen([word for word in command if word != "-sharedDb"], env=environ, cwd=project.path) as divided:
        try:
            wait_for(taken)
            report = project.json("doctor")
            assert list(findings(report)) == ["SVC002"]
            assert (report["exit_code"], findings(report)["SVC002"]["subjects"]) == (1, [str(divided.pid)])
            for part in findings(report)["SVC002"]["fix"]["command"].split(" && "):
                project.ok(*part.split()[1:])
        finally:
            divided.kill()
    assert project.json("doctor")["verdict"] == "healthy"


def wait_for(number: int) -> None:
    """Until something listens on the port."""
    import socket

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", number), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {number}")
