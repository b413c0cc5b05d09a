"""What is judged of Docker without Docker: endpoints, states, Compose's errors, a container's addresses, doctor."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, UsageError
from devenv.doctor.checks.docker import (
    judge_compose,
    judge_health,
    judge_images,
    judge_ports,
    judge_room,
    judge_volumes,
)
from devenv.engines.docker import api as docker_api
from devenv.engines.docker import compose
from devenv.engines.docker import orphans as docker_left
from devenv.engines.docker.api import Container, find_endpoint
from devenv.engines.docker.compose import Compose, Failed, clean_environment, env_file
from devenv.engines.docker.containers import judge, project_name, seen_from_here, shared_file
from devenv.engines.docker.inspect import MissingImage, View, Volume
from devenv.host.installation import install_command

MEANT = "2026-06-24T20:57:02+00:00"


def made(state: str = "running", **fields: object) -> Container:
    """A container of Postgres."""
    told = {
        "id": "1", "name": "p-backend-1", "service": "postgres", "image": "postgres:18.6", "state": state,
        "health": "healthy", "exit_code": 137, "killed_for_memory": False, "pid": 7, "started": f"{MEANT[:19]}.5Z",
        "environment": {}, "ports": {5432: (("127.0.0.1", 5432),)},
    }  # fmt: skip
    return Container(**{**told, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("container", "meant", "boot", "state"),
    [
        (None, None, 0.0, "stopped"),
        (None, MEANT, 0.0, "crashed"),
        (made(), None, 0.0, "running"),
        (made("paused"), MEANT, 0.0, "running"),
        (made("restarting"), MEANT, 0.0, "starting"),
        (made("exited"), MEANT, 0.0, "crashed"),
        (made("exited"), None, 0.0, "stopped"),
        (made("exited"), MEANT, 4e9, "stopped"),
        (made("created"), MEANT, 0.0, "stopped"),
    ],
)
def test_the_contracts_word_for_a_container(
    container: Container | None, meant: str | None, boot: float, state: str
) -> None:
    assert judge("postgres", container, meant, boot).state == state


def test_the_engine_is_that_of_docker_host_then_the_context(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    meta = tmp_path / "contexts" / "meta" / "8b1a5bd1a3e8c3b4"
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    with pytest.raises(UsageError, match="Docker's context `far` cannot be read"):
        find_endpoint(environ)
    assert not meta.exists()
    assert find_endpoint({**environ, "DOCKER_HOST": "unix:///x.sock"}).path == "/x.sock"
    with pytest.raises(UsageError, match="is a remote one"):
        find_endpoint({**environ, "DOCKER_HOST": "tcp://127.0.0.1:2375"})


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("Bind for 127.0.0.1:15432 failed: port is already allocated", 15432),
        ("userland proxy: listen tcp4 127.0.0.1:8000: bind: address already in use", 8000),
        ("failed to bind host port 127.0.0.1:5432/tcp: address already in use", 5432),
        ("dial tcp 10.0.0.1:443: connection refused", None),
    ],
)
def test_a_taken_port_is_read_from_composes_words(words: str, port: int | None) -> None:
    assert Failed(words).port == port


def test_values_for_compose_are_literal_and_the_shells_do_not_outrank_them() -> None:
    assert env_file({"A": "x$y", "B": "it's"}) == b"A='x$y'\nB=\"it's\"\n"
    environ = {"PATH": "/bin", "POSTGRES_PASSWORD": "x", "DEVENV_POSTGRES_PORT": "1", "COMPOSE_FILE": "y"}
    assert clean_environment(environ, "unix:///s") == {"PATH": "/bin", "DOCKER_HOST": "unix:///s"}


def test_compose_of_python_and_early_plugins_are_too_old() -> None:
    assert [Compose(Path("c"), version).is_old for version in ("1.29.2", "2.19.1", "2.20.0", "5.6.1")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_an_old_compose_alone_is_reported_with_the_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "cli-plugins" / "docker-compose"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 1.29.2\n")
    old.chmod(0o755)
    # Whatever this machine has besides.
    monkeypatch.setattr(compose, "PLUGIN_FOLDERS", ())
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": str(tmp_path)}
    with pytest.raises(DevenvError) as refused:
        compose.find_compose(environ)
    assert (refused.value.exit_code, refused.value.what) == (10, "Docker Compose 1.29.2 is too old")
    outcome = judge_compose(View("docker", no_compose=refused.value.failure))
    assert (outcome.status, outcome.fix and outcome.fix.command) == ("fail", install_command("docker"))
    old.unlink()
    with pytest.raises(DevenvError, match="is not installed"):
        compose.find_compose(environ)


def test_a_rootless_engines_socket_is_taken_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_api, "SOCKET", str(tmp_path / "none.sock"))
    environ = {"DOCKER_CONFIG": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_endpoint(environ).path == str(tmp_path / "none.sock")
    (tmp_path / "docker.sock").touch()
    found = find_endpoint(environ)
    assert (found.path, found.origin) == (str(tmp_path / "docker.sock"), "the rootless engine")


def test_where_dynamodb_keeps_its_data_is_read_from_its_arguments() -> None:
    whole = ["-jar", "DynamoDBLocal.jar", "-sharedDb", "-dbPath", "/data"]
    assert shared_file(whole) == "/data/shared-local-instance.db"
    assert shared_file(["-jar", "x", "-sharedDb"]) == "./shared-local-instance.db"
    assert shared_file(["-jar", "x", "-inMemory", "-sharedDb"]) is None
    assert shared_file(["-jar", "x", "-dbPath", "/data"]) is None


def test_a_containers_addresses_as_they_are_from_here() -> None:
    environment = {
        "DATABASE_URL": "postgresql://u:p@postgres:5432/d",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:8000",
        "OTHER_URL": "http://host.docker.internal:9/x",
        "CORS_ORIGINS": "http://localhost:3000",
    }
    same = {"CORS_ORIGINS": "http://localhost:3000"}
    seen = seen_from_here(made(environment=environment), {("postgres", 5432): 15432}, same, same)
    assert seen == {
        "DATABASE_URL": "postgresql://u:p@127.0.0.1:15432/d",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://localhost-in-container-p-backend-1:8000",
        "OTHER_URL": "http://127.0.0.1:9/x",
        "CORS_ORIGINS": "http://localhost:3000",
    }


def test_each_folder_has_a_compose_project_of_its_own() -> None:
    names = {project_name("My App.x", Path(path)) for path in ("/a", "/b")}
    assert len(names) == 2
    assert all(name.startswith("devenv-my-app-x-") for name in names)


# The SDK leaves a socket that leads nowhere to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_no_other_compose_project_is_touched_whatever_the_registry_says() -> None:
    nowhere = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    for name in ("", "shop", "devenv-shop", "devenv-x-1234567", "../devenv-x-12345678"):
        assert docker_left.look(name, nowhere) == docker_left.Left()
        docker_left.remove(name, nowhere)
    assert docker_left.look("devenv-x-12345678", nowhere) == docker_left.Left(known=False)
    gc.collect()


def test_doctor_judges_what_was_seen() -> None:
    everywhere = View("docker", containers=(made(ports={5432: (("0.0.0.0", 5432),)}),))
    assert judge_ports(everywhere).status == "fail"
    assert judge_ports(View("docker", containers=(made(),))).status == "ok"
    assert judge_health(View("docker", containers=(made(health=None),))).status == "warn"
    assert judge_health(View("docker", containers=(made(health="unhealthy"),))).status == "fail"
    assert [judge_room(View("docker", free=free)).status for free in (10**6, 10**8, 10**10)] == ["fail", "warn", "ok"]
    assert judge_images(View("docker", missing=(MissingImage("x:1", "denied"),))).status == "fail"
    assert judge_images(View("docker", missing=(MissingImage("x:1", None),))).status == "ok"
    wrong, right = (Volume("dynamodb", "v", owner, 1000, None) for owner in (0, 1000))
    assert judge_volumes(View("docker", volumes=(wrong,))).status == "fail"
    assert judge_volumes(View("docker", volumes=(right,))).status == "ok"
