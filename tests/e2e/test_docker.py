"""What is special about Docker: what happens to containers, volumes, ports and the engine; and Compose by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg
import pytest

from devenv.config.load import data_home
from devenv.engines.docker.containers import project_name
from devenv.host import registry
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
from tests.e2e.own_engine import OwnEngine
from tests.support import ProjectDir, empty_project, reference_project

pytestmark = pytest.mark.needs_docker


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
        [check, *_] = docker_project.json("doctor", "--only", "SVC001")["checks"]
    finally:
        docker("unpause", name)
    assert ran.code == 4
    assert f"its container {name} is paused" in ran.err
    assert f"hint: docker unpause {name}" in ran.err
    assert check["fix"]["command"] == f"docker unpause {name}"
    docker_project.ok("up")


@pytest.mark.parametrize("one_off", [("--label", "com.docker.compose.oneoff=True"), ()], ids=["compose run", "foreign"])
def test_another_container_with_a_service_label_is_not_the_service(
    docker_project: ProjectDir, one_off: tuple[str, ...]
) -> None:
    """As `docker compose run postgres psql` makes one, or whoever."""
    project, before = compose_project(docker_project), world.pids(docker_project)
    labels = [
        f"--label=com.docker.compose.{key}={value}" for key, value in (("project", project), ("service", "postgres"))
    ]
    other = docker("run", "-d", *labels, *one_off, "--entrypoint", "sleep", IMAGES["DEVENV_POSTGRES_IMAGE"], "600")
    try:
        assert world.pids(docker_project) == before
        docker_project.ok("down")
        assert states(docker_project)["postgres"] == "stopped"
        docker_project.ok("up", "--timeout", "60")
        assert inspect(other)["State"]["Running"]
    finally:
        docker("rm", "-f", "-v", other)


def test_a_container_that_ends_while_starting_ends_the_wait(tmp_path: Path) -> None:
    with on_docker(tmp_path) as project:
        image = f"{compose_project(project)}-broken"
        folder = tmp_path / "broken"
        folder.mkdir()
        # It says why, and ends.
        words = 'FROM devenv-test/postgres:15-r2\nENTRYPOINT ["sh", "-c", "echo out of luck >&2; exit 3"]\n'
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


def test_data_whose_volume_was_removed_is_recreated_and_the_other_store_follows(docker_project: ProjectDir) -> None:
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


OWN_FILE = """\
services:
  postgres:
    image: {DEVENV_POSTGRES_IMAGE}
    environment: {{POSTGRES_PASSWORD: theirs, POSTGRES_USER: boss}}
    ports: ["{port}:5432"]
  dynamodb:
    image: {DEVENV_DYNAMODB_IMAGE}
    command: -jar DynamoDBLocal.jar -sharedDb -dbPath /data
    ports: ["127.0.0.1:${{DEVENV_DYNAMODB_PORT}}:8000"]
    volumes: ["data:/data"]
volumes:
  data:
"""


def test_an_own_compose_file_and_what_doctor_finds_in_it(tmp_path: Path) -> None:
    """On all interfaces, without health checks, with a volume that belongs to root: as many have it."""
    with on_docker(tmp_path, DEVENV_DOCKER_FILE="own.yaml") as project:
        own, port = project.path / "own.yaml", world.free_port()
        ran = project.devenv("up")
        assert (ran.code, f"there is no {own}" in ran.err) == (2, True), ran.all
        own.write_text("services: {db: {image: x}}")
        ran = project.devenv("up")
        assert (ran.code, f"hint: docker compose -f {own} config" in ran.err) == (2, True), ran.all
        own.write_text(OWN_FILE.format(port=port, **IMAGES))
        # It never answers. On a busy machine the container takes longer than 10 s to say why; it keeps running.
        for limit in ("10", "30", "90"):
            ran = project.devenv("up", "--no-backend", "--timeout", limit)
            assert ran.code == 4, ran.all
            if "cannot write its volume" in ran.err:
                break
        else:
            pytest.fail(ran.all)
        checks = {check["code"]: check for check in project.json("doctor", "--only", "docker")["checks"]}
        assert {code: checks[code]["status"] for code in ("DOC005", "DOC006", "DOC007")} == {
            "DOC005": "fail", "DOC006": "warn", "DOC007": "fail",
        }  # fmt: skip
        assert f"0.0.0.0:{port}" in checks["DOC005"]["evidence"]
        # The printed command mends it.
        subprocess.run(checks["DOC007"]["fix"]["command"].partition(" && ")[0].split(), check=True)
        project.ok("up", "--no-backend")
        assert project.json("doctor", "--only", "DOC007")["exit_code"] == 0
        assert f"postgresql://boss@127.0.0.1:{port}/cruddur" in project.ok("status").out
        assert world.orphans(project) == set()
        assert "were not paused" not in project.ok("snapshot", "save", "one").err

        # Edited while it runs: named, with what puts it into effect, and only for the service that is meant.
        text = own.read_text()
        own.write_text(f"# a comment\n{text}")
        assert "not in effect" not in project.ok("status").out
        own.write_text(text.replace("-jar DynamoDBLocal.jar", "-jar DynamoDBLocal.jar -delayTransientStatuses"))
        for words in (("status",), ("up", "--no-backend"), ("doctor", "--only", "SVC006")):
            told = " ".join(project.devenv(*words).out.split())
            assert (
                "own.yaml was edited; the edit is not in effect: dynamodb was started with the earlier content" in told
            ), told
            assert "devenv down && devenv up" in told
        pending = {one["name"]: one["detail"] for one in project.json("status")["services"]}
        assert pending["postgres"] is None
        assert "not in effect" in project.ok("status", DEVENV_DOCKER_FILE="other.yaml").out
        project.ok("down")
        project.ok("up", "--no-backend")
        assert "not in effect" not in project.ok("status").out
        assert "-delayTransientStatuses" in inspect(container(project, "dynamodb"))["Config"]["Cmd"]


def test_an_image_that_is_nowhere_is_a_missing_prerequisite(project: ProjectDir) -> None:
    need_docker()
    nowhere = {**IMAGES, "DEVENV_ENGINE": "docker", "DEVENV_DYNAMODB_IMAGE": "localhost:9/none:1"}
    ran = project.devenv("up", **nowhere)
    assert ran.code == 10
    assert "the image localhost:9/none:1 is not on this machine and could not be fetched" in ran.err
    assert "hint: docker pull localhost:9/none:1, or name another one: [dynamodb] image" in ran.err
    [check] = project.json("doctor", "--only", "DOC003", **nowhere)["checks"]
    assert (check["status"], check["fix"]["command"]) == ("fail", "docker pull localhost:9/none:1")
    ran = project.devenv("up", **{**nowhere, "DEVENV_DYNAMODB_IMAGE": "No Image"})
    assert (ran.code, "`No Image` cannot be an image's name" in ran.err) == (2, True)
    shutil.rmtree(data_home(project.path.resolve()), ignore_errors=True)


def test_no_room_in_a_volume_is_reported(tmp_path: Path) -> None:
    """A volume of 8 MB: the server ends while it makes its data, and says why."""
    with on_docker(tmp_path) as project:
        name = compose_project(project)
        labels = [f"--label=com.docker.compose.{key}" for key in (f"project={name}", "volume=postgres")]
        small = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=8m"]
        docker("volume", "create", *labels, *small, f"{name}_postgres")
        ran = project.devenv("up", "--no-backend")
        assert ran.code == 5
        assert "No space left on device" in ran.err
        assert "cause: its disk is full" in ran.err
        assert "hint: docker system df" in ran.err


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


def test_while_docker_cannot_be_asked_nothing_is_mixed_up(docker_project: ProjectDir) -> None:
    """Its containers still hold their ports, which are not taken by somebody else."""
    nowhere = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    data, port = world.data(docker_project), docker_project.env()["PGPORT"]
    for line in (["snapshot", "save", "x"], ["reset", "-y"], ["setup", "-y"], ["up"]):
        ran = docker_project.devenv(*line, **nowhere)
        assert (ran.code, "hint: sudo systemctl start docker" in ran.err) == (10, True), ran.all
    assert docker_project.devenv("db", "SELECT 1", **nowhere).code == 3
    assert (docker_project.env()["PGPORT"], world.data(docker_project)) == (port, data)
    # A state that says something else is put right.
    state = docker_project.path / ".devstate" / "state.json"
    world.edit(state, f'"port": {port}', '"port": 4')
    assert docker_project.json("db", "SELECT 1")["rows"] == [[1]]
    assert {line["action"] for line in docker_project.json("up")["plan"]} == {"keep"}
    assert docker_project.env()["PGPORT"] == port


def test_a_stopped_engine_and_its_return(tmp_path: Path) -> None:
    """With an engine of the test's own, on its own socket and disk: filled, stopped under a running project, and
    started again. It is the current context's.
    """
    need_docker()
    with OwnEngine() as engine:
        engine.start()
        engine.copy_images()
        with_engine = {"DEVENV_ENGINE": "docker", "DOCKER_CONFIG": str(engine.context()), **IMAGES}
        project = ProjectDir(reference_project(tmp_path / "project").path, with_engine)
        project.ok("up", "--no-backend")
        data = world.data(project)
        with engine.filled():
            [check] = project.json("doctor", "--only", "DOC004")["checks"]
            assert (check["status"], check["fix"]["command"]) == ("fail", "docker system df"), check
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


def test_both_engines_at_once_are_a_finding(docker_project: ProjectDir) -> None:
    """Containers that somebody starts by hand while the project is on another engine."""
    docker_project.ok("down")
    variables = {name: value for name, value in docker_project.environ.items() if name != "DEVENV_ENGINE"}
    project = ProjectDir(docker_project.path, variables)
    ports = {f"DEVENV_{name}_PORT": str(world.free_port()) for name in ("POSTGRES", "DYNAMODB")}
    project.ok("up", "--engine", "embedded", "--no-backend", **ports)
    name = container(project, "postgres")
    docker("start", name)
    [check] = project.json("doctor", "--only", "DOC008")["checks"]
    assert (check["status"], name in check["evidence"]) == ("warn", True), check
    assert check["fix"]["command"] == "devenv down --engine docker"
    project.ok("down", "--engine", "docker")
    assert not inspect(name)["State"]["Running"]
    assert project.json("doctor", "--only", "DOC008")["exit_code"] == 0
    project.ok("down", "--data", "--no-backup", "-y")
    docker_project.ok("up", "--engine", "docker")


def test_what_is_left_of_a_deleted_folder_is_found_and_goes(tmp_path: Path) -> None:
    need_docker()
    cache = {"DEVENV_ENGINE": "docker", "DEVENV_CACHE": str(tmp_path / "cache"), **IMAGES}
    project = ProjectDir(empty_project(tmp_path / "project").path, cache)
    beside = ProjectDir(empty_project(tmp_path / "beside").path, cache)
    name, root = project_name("empty", project.path.resolve()), str(project.path)
    try:
        project.ok("up")
        shutil.rmtree(project.path)
        [seen] = beside.json("ps")["projects"]
        assert (seen["root"], seen["state"]) == (root, "deleted")
        assert {service["name"] for service in seen["services"]} == {"postgres", "dynamodb"}
        # A project that was moved took its containers along.
        place = Path(cache["DEVENV_CACHE"])
        registry.register(place, beside.path, beside.path, name)
        data = {each["root"]: each["data"] or "" for each in beside.json("ps")["projects"]}
        assert [where for where in data if "Docker volume" in data[where]] == [str(beside.path)]
        registry.forget(place, beside.path)
        registry.register(place, project.path, data_home(project.path), name)
        # Without its engine there may be something: it is not forgotten.
        [seen] = beside.json("ps", DOCKER_HOST="unix:///nonexistent/docker.sock")["projects"]
        assert "Docker cannot be reached" in seen["data"]
        ran = beside.ok("down", "--all")
        assert f"stopped: {root}" in ran.out
        assert f"Docker volume {name}_postgres" in ran.out
        assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={name}") == ""
        # Volumes are found without their containers too.
        containers = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={name}").split()
        docker("rm", *containers)
        beside.ok("down", "--all", "--data", "-y")
        assert beside.json("ps")["projects"] == []
        assert docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={name}") == ""
    finally:
        compose(tmp_path, name, "down", "-v")
        shutil.rmtree(data_home(project.path.resolve()), ignore_errors=True)


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
        # The application answers that it is not well, which `up` waits to change; on a busy machine it boots longer.
        for limit in ("8", "30", "90"):
            project.devenv("up", "--timeout", limit)
            verdict = project.json("trace", "conversation", world.TELESCOPE)["verdict"]
            if verdict["class"] == "wrong_database":  # before: stale_process, as the old container still runs
                break
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
