"""`[services.NAME] kind = "redis"` on a real server: started, known everywhere, brought back, emptied with its data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devenv.config.load import data_home
from devenv.core.errors import StoreError
from devenv.stores.redis.client import Redis
from tests.e2e import redis_image
from tests.e2e.docker_support import IMAGES, compose_project, docker, need_docker
from tests.e2e.many import kill, services
from tests.support import ProjectDir, empty_project

TOML = """\
[project]
name = "cached"

[services.cache]
kind = "redis"
port = 0

[services.reader]
command = ["{python}", "-c", "import time; print('reading', flush=True); time.sleep(600)"]
depends_on = ["cache"]
env = { PLACE = "{cache_url}", SECRET = "{cache_password}" }

[steps.setup]
files = ["tables.sql"]
"""


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[ProjectDir]:
    made = empty_project(tmp_path / "cached", TOML)
    (made.path / "tables.sql").write_text("CREATE TABLE orders (id int PRIMARY KEY);\n")
    yield made
    made.remove()


def entries(project: ProjectDir) -> object:
    with Redis(project.env()["REDIS_URL"], read_only=True) as redis:
        return redis.call("DBSIZE")


def put(project: ProjectDir) -> None:
    with Redis(project.env()["REDIS_URL"]) as redis:
        assert redis.call("SET", "orders", "[]") == "OK"


@pytest.mark.needs_redis
def test_it_is_started_asked_reported_to_others_and_brought_back(cached: ProjectDir) -> None:
    cached.ok("up", timeout=240)
    seen = services(cached)
    env = cached.env()
    assert [one["state"] for one in seen.values()] == ["running"] * 4
    # The address that is shown has no password, the variable has it, and without it nothing is answered.
    assert env["REDIS_URL"] == seen["cache"]["url"].replace("//", f"//:{env['PGPASSWORD']}@")
    assert seen["cache"]["version"]
    with pytest.raises(StoreError, match="NOAUTH"), Redis(seen["cache"]["url"].rsplit("/", 1)[0]) as stranger:
        stranger.call("PING")
    assert env["PGPASSWORD"] not in " ".join(psutil.Process(seen["cache"]["pid"]).cmdline())
    told = psutil.Process(seen["reader"]["pid"]).environ()
    assert (told["PLACE"], told["SECRET"], told["REDIS_URL"]) == (env["REDIS_URL"], env["PGPASSWORD"], env["REDIS_URL"])
    hosts = {each.laddr.ip for each in psutil.Process(seen["cache"]["pid"]).net_connections("tcp")}
    assert hosts == {"127.0.0.1"}
    [row] = cached.json("doctor", "--only", "SVC009")["checks"]
    assert (row["status"], row["evidence"]) == ("ok", "cache (ping), reader (it runs)")
    assert "Ready to accept connections" in cached.ok("logs", "cache").out

    put(cached)
    kill(seen["cache"]["pid"])
    assert services(cached)["cache"]["state"] == "crashed"
    assert "cache is crashed" in cached.json("doctor", "--only", "SVC009")["checks"][0]["evidence"]
    cached.ok("up")
    assert entries(cached) == 1
    assert services(cached)["cache"]["port"] == seen["cache"]["port"]
    assert "cache" in cached.json("down")["stopped"]
    cached.ok("up")
    assert entries(cached) == 1
    cached.ok("down", "--data", "--no-backup", "-y")
    cached.ok("up")
    assert entries(cached) == 0


@pytest.mark.needs_redis
def test_it_does_not_outlive_the_data_that_it_was_made_of(cached: ProjectDir) -> None:
    cached.ok("up", timeout=240)
    cached.ok("snapshot", "save", "kept")
    for words in (["reset", "-y"], ["snapshot", "restore", "kept"], ["setup", "-y"]):
        put(cached)
        assert "cache: emptied" in cached.ok(*words).err
        assert entries(cached) == 0
    put(cached)
    cached.ok("down")
    cached.ok("snapshot", "restore", "kept")
    cached.ok("up")
    assert entries(cached) == 0
    # A command that was killed between the data and the cache has left the mark.
    put(cached)
    assert entries(cached) == 1
    mark = data_home(cached.path.resolve()) / "services" / "cache.stale"
    mark.touch()
    assert cached.json("up")["exit_code"] == 0
    assert entries(cached) == 0
    assert not mark.exists()


def test_without_a_server_up_names_the_ways_out(cached: ProjectDir, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    ran = ProjectDir(cached.path, {**cached.environ, "PATH": str(programs)}).devenv("up", timeout=240)
    assert ran.code == 10
    assert "there is no redis-server or valkey-server on this machine, and [services.cache] needs one" in ran.err
    assert "devenv up --engine docker" in ran.err
    assert os.listdir(programs) == []


@pytest.mark.needs_docker
@pytest.mark.needs_redis
def test_on_docker_it_is_a_container_with_a_volume(tmp_path: Path) -> None:
    need_docker()
    text = TOML.replace("port = 0", f'port = 0\nimage = "{redis_image.build(tmp_path)}"')
    made = empty_project(tmp_path / "cached", text)
    (made.path / "tables.sql").write_text("CREATE TABLE orders (id int PRIMARY KEY);\n")
    cached = ProjectDir(made.path, {"DEVENV_ENGINE": "docker", **IMAGES})
    name = compose_project(cached).replace("cruddur", "cached")
    container = f"{name}-cache-1"
    try:
        cached.ok("up", timeout=240)
        seen = services(cached)["cache"]
        assert (seen["state"], seen["version"]) == ("running", "7-r1")
        secret = cached.env()["PGPASSWORD"]
        assert docker("port", container) == f"6379/tcp -> 127.0.0.1:{seen['port']}"
        assert secret not in docker("top", container, "-eo", "pid,args")
        assert "Ready to accept connections" in cached.ok("logs", "cache").out
        put(cached)
        assert {action["action"] for action in cached.json("up")["plan"]} == {"keep"}
        docker("kill", container)
        assert services(cached)["cache"]["state"] == "crashed"
        cached.ok("up")
        assert entries(cached) == 1
        assert "cache: emptied" in cached.ok("reset", "-y").err
        assert entries(cached) == 0
        put(cached)
        cached.ok("snapshot", "save", "kept")
        cached.ok("stop", "cache")
        cached.ok("snapshot", "restore", "kept")
        cached.ok("up")
        assert entries(cached) == 0
        # Without its section it is stopped, and goes with the data.
        file = cached.path / "devenv.toml"
        file.write_text(text.split("[services.cache]")[0] + "[steps.setup]" + text.split("[steps.setup]")[1])
        assert "cache: stopped, because devenv.toml no longer has this service" in cached.ok("up").err
        assert docker("inspect", "--format", "{{.State.Running}}", container) == "false"
    finally:
        cached.remove()
    left = [docker(kind, "ls", "-q", *words, "--filter", f"label=com.docker.compose.project={name}")
            for kind, words in (("container", ["-a"]), ("volume", []), ("network", []))]  # fmt: skip
    assert left == ["", "", ""]


@pytest.mark.needs_docker
def test_on_docker_an_image_that_cannot_be_fetched_is_named_with_its_key(cached: ProjectDir) -> None:
    need_docker()
    file = cached.path / "devenv.toml"
    file.write_text(file.read_text().replace("port = 0", 'port = 0\nimage = "devenv-test/nothing:1"'))
    ran = ProjectDir(cached.path, {"DEVENV_ENGINE": "docker", **IMAGES}).devenv("up", timeout=240)
    assert ran.code == 10
    assert "devenv-test/nothing:1" in ran.err
    assert "[services.cache] image" in ran.err
