"""What is special about Docker: what happens to containers, volumes, ports and the engine; and Compose by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg
import pytest

from devenv.config import data_home
from tests.e2e import world
from tests.e2e.docker_support import (
    IMAGES,
    compose,
    compose_project,
    container,
    docker,
    inspect,
    need_docker,
    on_docker,
)
from tests.support import ProjectDir, reference_project


@pytest.fixture(scope="module")
def docker_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project on containers, up. Tests leave it up, with the data of the seeds."""
    with on_docker(tmp_path_factory.mktemp("docker")) as project:
        project.ok("up")
        yield project


def states(project: ProjectDir) -> dict[str, str]:
    """Service -> state."""
    return {service["name"]: service["state"] for service in project.json("status")["services"]}


# What others can see of it


def test_only_loopback_is_published_and_no_secret_is_on_a_command_line(docker_project: ProjectDir) -> None:
    password = docker_project.env()["PGPASSWORD"]
    for service in ("postgres", "dynamodb"):
        told = inspect(container(docker_project, service))
        places = [place for bound in told["NetworkSettings"]["Ports"].values() for place in bound or ()]
        assert places
        assert {place["HostIp"] for place in places} == {"127.0.0.1"}
        assert password not in json.dumps([told["Config"]["Cmd"], told["Config"]["Healthcheck"], told["Args"]])
    assert inspect(container(docker_project, "dynamodb"))["Config"]["User"] == "dynamodblocal"
    file = data_home(docker_project.path.resolve()) / "docker" / "compose.env"
    assert password in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_to_do_does_not_need_compose(docker_project: ProjectDir, tmp_path: Path) -> None:
    """Looking is the engine's API alone: with no Compose anywhere, `up` still finds that all is well."""
    path = docker_project.environment()["PATH"]
    own = os.pathsep.join(folder for folder in path.split(os.pathsep) if not (Path(folder) / "docker-compose").exists())
    assert {line["action"] for line in docker_project.json("up", PATH=own, DOCKER_CONFIG=str(tmp_path))["plan"]} == {
        "keep"
    }


# Containers


def test_a_killed_container_is_seen_and_comes_back_with_its_data(docker_project: ProjectDir) -> None:
    data = world.data(docker_project)
    docker("kill", container(docker_project, "dynamodb"))
    seen = {service["name"]: service for service in docker_project.json("status")["services"]}
    assert seen["dynamodb"]["state"] == "crashed"
    assert "code 137" in seen["dynamodb"]["detail"]
    assert docker_project.devenv("ddb", "list-tables").code == 3
    assert docker_project.devenv("doctor").code == 1
    document = docker_project.json("up")
    assert document["exit_code"] == 0
    plan = {line["target"]: line["action"] for line in document["plan"]}
    assert (plan["postgres"], plan["dynamodb"], plan["seed"]) == ("keep", "start", "keep")
    assert world.data(docker_project) == data


def test_a_container_stopped_by_hand_did_end_without_devenv(docker_project: ProjectDir) -> None:
    docker("stop", container(docker_project, "postgres"))
    assert states(docker_project)["postgres"] == "crashed"
    assert "database system is shut down" in docker_project.ok("logs", "postgres").out
    assert docker_project.devenv("db", "SELECT 1").code == 3
    docker_project.ok("up")
    assert states(docker_project)["postgres"] == "running"


def test_a_paused_container_is_called_so(docker_project: ProjectDir) -> None:
    name = container(docker_project, "postgres")
    docker("pause", name)
    try:
        ran = docker_project.devenv("up", "--timeout", "3")
    finally:
        docker("unpause", name)
    assert ran.code == 4
    assert f"its container {name} is paused" in ran.err
    assert f"hint: docker unpause {name}" in ran.err
    docker_project.ok("up")


def test_a_container_that_ends_while_starting_ends_the_wait(tmp_path: Path) -> None:
    with on_docker(tmp_path) as project:
        image = f"{compose_project(project)}-broken"
        folder = tmp_path / "broken"
        folder.mkdir()
        # It says why, and ends.
        words = 'FROM devenv-test/postgres:15\nENTRYPOINT ["sh", "-c", "echo out of luck >&2; exit 3"]\n'
        (folder / "Dockerfile").write_text(words)
        docker("build", "-q", "-t", image, str(folder))
        try:
            began = time.monotonic()
            ran = project.devenv("up", "--timeout", "100", DEVENV_POSTGRES_IMAGE=image)
            assert time.monotonic() - began < 90
        finally:
            project.remove()
            docker("rmi", image)
    assert ran.code == 5
    assert "postgres ended while starting: its container exited with code 3" in ran.err
    assert "out of luck" in ran.err


def test_data_whose_volume_was_removed_is_made_anew_and_the_other_store_follows(docker_project: ProjectDir) -> None:
    data = world.data(docker_project)
    docker("rm", "-f", container(docker_project, "postgres"))
    docker("volume", "rm", f"{compose_project(docker_project)}_postgres")
    assert states(docker_project)["postgres"] == "crashed"
    plan = {line["target"]: line["action"] for line in docker_project.json("up")["plan"]}
    assert (plan["postgres"], plan["setup"], plan["schema-load"], plan["seed"]) == ("start", "run", "keep", "run")
    assert world.data(docker_project) == data
    assert world.orphans(docker_project) == set()


def test_a_volume_of_another_user_is_given_back(docker_project: ProjectDir) -> None:
    """The known failure of this image, `unable to open database file`, cannot come from a root-owned volume."""
    data = world.data(docker_project)
    docker_project.ok("down")
    volume = f"{compose_project(docker_project)}_dynamodb"
    docker("run", "--rm", "--user", "0", "--entrypoint", "chown", "-v", f"{volume}:/data",
           IMAGES["DEVENV_DYNAMODB_IMAGE"], "-R", "0:0", "/data")  # fmt: skip
    docker_project.ok("up")
    assert world.data(docker_project) == data


# Ports


def test_a_taken_port_is_left_to_its_holder(tmp_path: Path) -> None:
    with on_docker(tmp_path) as project, socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ran = project.devenv("up", "--strict-ports", DEVENV_POSTGRES_PORT=str(port))
        assert ran.code == 6
        assert re.search(rf"port {port}, which postgres wants, is taken by pid {os.getpid()}", ran.err)
        assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={compose_project(project)}") == ""
        ran = project.ok("up", "--no-backend", DEVENV_POSTGRES_PORT=str(port))
        assert f"port {port} is taken by pid {os.getpid()}" in ran.err
        assert world.sql(project, "SELECT count(*) FROM users") == [(6,)]


# The engine


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "Docker's engine does not run"),
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


def test_a_stopped_engine_and_its_return(tmp_path: Path) -> None:
    """With an engine of the test's own, on its own socket: stopped under a running project, and started again."""
    need_docker()
    with OwnEngine() as engine:
        engine.start()
        engine.copy_images()
        with_engine = {"DEVENV_ENGINE": "docker", "DOCKER_HOST": engine.host, **IMAGES}
        project = ProjectDir(reference_project(tmp_path / "project").path, with_engine)
        project.ok("up", "--no-backend")
        data = world.data(project)
        engine.stop()
        assert set(states(project).values()) == {"stopped"}
        ran = project.devenv("up")
        assert ran.code == 10
        assert "error: Docker's engine does not run" in ran.err
        assert project.devenv("down").code == 10
        assert project.devenv("down", "--data", "-y").code == 10
        doctor = project.json("doctor", "--only", "docker")
        assert doctor["exit_code"] == 1
        assert any("does not run" in check["evidence"] for check in doctor["checks"] if check["status"] == "fail")
        engine.start()
        project.ok("up", "--no-backend")
        assert world.data(project) == data
        project.ok("down", "--data", "--no-backup", "-y")


class OwnEngine:
    """A second dockerd with a folder, a socket and addresses of its own; it leaves the packet filter alone."""

    def __init__(self) -> None:
        # Sockets have short paths.
        self.folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
        self.host = f"unix://{self.folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OwnEngine:
        return self

    def __exit__(self, *reason: object) -> None:
        if self.process:
            self.stop()
        # A dockerd that could not start leaves its folder mounted on itself.
        subprocess.run(["umount", "-l", self.folder / "data"], capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers. (With --bridge it would remove the first one's default bridge.)"""
        words = ["dockerd", "-H", self.host, "--data-root", str(self.folder / "data"),
                 "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid"),
                 "--iptables=false",
                 "--default-address-pool", "base=10.213.0.0/16,size=24"]  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        asked = ["docker", "-H", self.host, "version"]
        world.until(lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, "dockerd")

    def stop(self) -> None:
        """Stop it, as the system's service manager would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.process = None

    def copy_images(self) -> None:
        """Give it the stores' images of the first one."""
        names = [IMAGES["DEVENV_POSTGRES_IMAGE"], IMAGES["DEVENV_DYNAMODB_IMAGE"]]
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saved:
            load = ["docker", "-H", self.host, "load", "-q"]
            subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
        assert saved.returncode == 0


# Side by side


def test_a_copy_on_docker_and_its_original_do_not_see_each_other(
    docker_project: ProjectDir, running: ProjectDir
) -> None:
    """Shows 4 of the issue: one project on `embedded`, a copy of it on `docker`."""
    before = world.data(running)
    people = {str(uuid) for (uuid,) in world.sql(running, "SELECT uuid FROM users")}
    assert not people & {str(uuid) for (uuid,) in world.sql(docker_project, "SELECT uuid FROM users")}
    data = world.data(docker_project)
    world.sql(docker_project, "UPDATE users SET display_name = 'Somebody' WHERE handle = 'ines'")
    docker_project.ok("down")
    assert world.data(running) == before
    assert set(states(running).values()) == {"running"}
    docker_project.ok("up")
    assert world.sql(docker_project, "SELECT display_name FROM users WHERE handle = 'ines'") == [("Somebody",)]
    docker_project.ok("reset", "-y")
    assert world.data(docker_project) == data


# The application in a container, and Compose by hand


def test_the_application_in_a_container_and_where_its_variables_lead(tmp_path: Path) -> None:
    with on_docker(tmp_path, DEVENV_DOCKER_BACKEND="container") as project:
        for part in ("compose", "devenv"):
            (project.path / part).symlink_to(Path(__file__).parents[2] / part)
        build = str(Path(__file__).parents[2])
        project.environ["DEVENV_DOCKER_CONTEXT"] = build
        project.ok("up")
        told = inspect(container(project, "backend"))
        assert told["State"]["Running"]
        variables = dict(entry.partition("=")[::2] for entry in told["Config"]["Env"])
        assert variables["AWS_ENDPOINT_URL_DYNAMODB"] == "http://dynamodb:8000"
        trace = project.json("trace", "conversation", world.TELESCOPE)
        assert (trace["exit_code"], trace["verdict"]["status"]) == (0, "ok"), trace["verdict"]
        assert project.json("doctor")["verdict"] == "healthy"
        assert {line["action"] for line in project.json("up")["plan"]} == {"keep"}
        # `localhost` is the container itself there, whatever listens here.
        wrong = project.path / "devenv.toml"
        port = project.env()["PGPORT"]
        world.edit(wrong, "env = { CORS", f'env = {{ PGHOST = "localhost", PGPORT = "{port}", '
                   f'DATABASE_URL = "postgresql://postgres:x@localhost:{port}/cruddur", CORS')  # fmt: skip
        project.devenv("up", "--timeout", "20")
        verdict = project.json("trace", "conversation", world.TELESCOPE)["verdict"]
        assert (verdict["layer"], verdict["class"]) == ("environment", "wrong_database"), verdict
        assert f"localhost-in-container-{container(project, 'backend')}" in json.dumps(verdict)
        docker("rmi", "-f", f"{compose_project(project)}-backend")


def test_compose_by_hand(tmp_path: Path) -> None:
    need_docker()
    name = f"devenv-by-hand-{os.getpid()}"
    ports = {f"DEVENV_{service}_PORT": str(world.free_port()) for service in ("POSTGRES", "DYNAMODB", "BACKEND")}
    try:
        up = compose(tmp_path, name, "up", "-d", "--wait", **ports)
        assert up.returncode == 0, up.stderr
        address = f"host=127.0.0.1 port={ports['DEVENV_POSTGRES_PORT']} user=postgres password=postgres"
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        dynamodb = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{ports['DEVENV_DYNAMODB_PORT']}",
            region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip
        assert dynamodb.list_tables()["TableNames"] == []
        again = compose(tmp_path, name, "up", "-d", "--wait", **ports)
        assert again.returncode == 0, again.stderr
    finally:
        down = compose(tmp_path, name, "--profile", "backend", "down", "-v", "--rmi", "local", **ports)
    assert down.returncode == 0, down.stderr
    assert docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={name}") == ""
