"""The crash matrix over a project's own services, one of each kind (processes, a stream worker, a real Redis, the
issuer of tokens), on both engines that start them: killed at any change, the next `up` has each service once, the
stream worker has handled every item, a cache never holds what was made of other data, and `down` leaves nothing.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from devenv.config.load import data_home
from devenv.stores.redis.client import Redis
from tests.chaos.scenario import (
    FULL,
    Kill,
    changes,
    choose_kills,
    count,
    docker_objects,
    engine,
    kill,
    leftovers,
    nothing_left,
    of_docker,
)
from tests.e2e import redis_image
from tests.e2e.docker_support import IMAGES, docker, need_docker
from tests.e2e.many import ALL_KINDS, kinds_project, services
from tests.e2e.many import kill as kill_process
from tests.e2e.test_many_services import of_project
from tests.support import ProjectDir, dice, empty_project

pytestmark = [pytest.mark.needs_redis, pytest.mark.long]
# Of each command. On docker one takes longer.
KILLS = {"embedded": 40, "docker": 8} if FULL else {"embedded": 1, "docker": 1}
DELETED = "down --data --no-backup -y"
# A command, and what it is run on: all services up, or all down.
COMMANDS = [
    ("up", "down"),
    ("down", "up"),
    ("restart cache rows issuer", "up"),
    ("stop backend cache rows", "up"),
    ("reset -y", "up"),
    (DELETED, "up"),
]
# Its containers are started some fifty times: not for every run.
ENGINES = ["embedded", *([pytest.param("docker", marks=pytest.mark.needs_docker)] if FULL else [])]
# What a worker may take to handle an item on a machine with other work.
HANDLED_S = 60.0


def on_engine(name: str, path: Path) -> ProjectDir:
    """The project with a service of each kind; Redis is a container where the stores are."""
    if name == "embedded":
        return kinds_project(path, DEVENV_ENGINE=name)
    need_docker()
    with tempfile.TemporaryDirectory() as folder:
        image = redis_image.build(Path(folder))
    return kinds_project(path, image, DEVENV_ENGINE=name, **IMAGES)


def in_docker(name: str, path: Path) -> object:
    """All that Docker has of the project, where its engine is Docker."""
    return docker_objects(path) if name == "docker" else None


@pytest.fixture(scope="module", params=ENGINES)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The project after its first `up`. In the end no process, port, file, container or volume of it may be left."""
    make, elsewhere = partial(on_engine, request.param), partial(in_docker, request.param)
    with nothing_left(tmp_path_factory.mktemp("services"), make, elsewhere) as project:
        project.ok("up", timeout=240)
        yield project
        project.ok(*DELETED.split())
        nothing_runs(project)
        assert in_docker(request.param, project.path) in (None, [[], [], []])


def nothing_runs(project: ProjectDir) -> None:
    """No process, and no container of it is running."""
    assert of_project(project) == {}
    assert of_docker(project, "container", "-q") == []


def each_once(project: ProjectDir) -> None:
    """Every service runs, and once: one leader of a session each, or one container."""
    found = services(project)
    assert {one["state"] for one in found.values()} == {"running"}, found
    contained = {"cache"} if engine(project) == "docker" else set()
    own = set(ALL_KINDS) - contained
    leaders = [name for pid, name in of_project(project).items() if name in own and os.getsid(pid) == pid]
    assert sorted(leaders) == sorted(own)
    running = of_docker(project, "container", "--format", '{{.Label "com.docker.compose.service"}}')
    assert running == (sorted({"postgres", "dynamodb", *contained}) if contained else [])


def entries(project: ProjectDir) -> object:
    with Redis(project.env()["REDIS_URL"]) as redis:
        return redis.call("DBSIZE")


def fill(project: ProjectDir, item: str) -> None:
    """An entry in the cache, and an item that the stream worker gets."""
    with Redis(project.env()["REDIS_URL"]) as redis:
        redis.call("SET", "made of", "the data before")
    with project.dynamodb(timeout=60.0) as dynamodb:
        dynamodb.call("PutItem", {"TableName": "orders", "Item": {"pk": {"S": item}}})


def handled(project: ProjectDir, item: str) -> bool:
    """Return True once the stream worker has given an item to the function."""
    notes, end = project.path / "notes", time.monotonic() + HANDLED_S
    while not (notes.exists() and item in notes.read_text().splitlines()):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(("command", "before"), COMMANDS)
def test_killed_at_a_change_the_next_up_has_each_service_once(many: ProjectDir, command: str, before: str) -> None:
    words = command.split()
    many.ok("up", timeout=240)
    many.ok(before)
    seen = changes(many, *words)
    for number, moment in enumerate(
        choose_kills(seen, KILLS[engine(many)], dice(f"services {command} {engine(many)}"))
    ):
        many.ok("up")
        fill(many, f"{command} {number}")
        many.ok(before)
        killed = kill(many, moment, *words)
        assert many.json("up", timeout=240)["exit_code"] == 0, moment
        each_once(many)
        replaced = words[0] == "reset" or command == DELETED
        assert entries(many) in ((0, 1) if replaced else (1,)), moment
        assert replaced or handled(many, f"{command} {number}"), moment
        assert leftovers(many) == [], moment
        count("kills of a command that works on own services", int(killed))
    many.ok("down")
    nothing_runs(many)


def test_a_killed_reset_that_changed_the_data_leaves_no_older_entry(many: ProjectDir) -> None:
    """Every kill at or behind the first change of the data."""
    many.ok("up", timeout=240)
    seen = changes(many, "reset", "-y")
    marked = next(change.number for change in seen if change.what.endswith("cache.stale"))
    behind = [change for change in seen if change.number > marked]
    for number, moment in enumerate(choose_kills(behind, KILLS[engine(many)], dice("older entries"))):
        fill(many, f"older {number}")
        kill(many, moment, "reset", "-y")
        assert many.json("up", timeout=240)["exit_code"] == 0, moment
        assert entries(many) == 0, moment


@pytest.mark.parametrize("names", ["cache", "issuer", "rows", "all"])
def test_killed_services_are_brought_back_by_up(many: ProjectDir, names: str) -> None:
    """One of each kind alone, and everything at once, the stores too."""
    many.ok("up", timeout=240)
    before = services(many)
    victims = set(before) if names == "all" else {names}
    fill(many, f"killed {names}")
    assert names == "all" or handled(many, f"killed {names}")
    for name in victims:
        kill_service(many, name, before[name]["pid"])
    assert {name for name, one in services(many).items() if one["state"] == "crashed"} == victims
    many.ok("up", timeout=240)
    each_once(many)
    after = services(many)
    assert {name: one["port"] for name, one in after.items()} == {name: one["port"] for name, one in before.items()}
    fill(many, f"after {names}")
    assert handled(many, f"after {names}")
    count("killed services that were brought back", len(victims))


def kill_service(project: ProjectDir, name: str, pid: int) -> None:
    """End a service as `kill -9` does, in a container too."""
    if engine(project) == "docker" and name in ("postgres", "dynamodb", "cache"):
        [container] = of_docker(project, "container", "-q", "--filter", f"label=com.docker.compose.service={name}")
        docker("kill", "--signal", "KILL", container)
        return
    group = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    kill_process(pid)
    for each in group[1:]:
        if psutil.pid_exists(each):
            os.kill(each, signal.SIGKILL)


def test_the_files_of_the_services_go_with_the_data(many: ProjectDir) -> None:
    many.ok("up", timeout=240)
    home = data_home(many.path.resolve())
    if engine(many) == "embedded":
        [conf] = home.rglob("redis.conf")
        assert conf.stat().st_mode & 0o077 == 0
    many.ok(*DELETED.split())
    assert [*home.rglob("*")] == []


@pytest.mark.needs_docker
def test_on_docker_a_killed_container_and_a_killed_process_are_brought_back(tmp_path: Path) -> None:
    """A share of the above for every day, without the stores; and nothing is left."""
    names = ("cache", "issuer")
    with nothing_left(tmp_path, partial(on_engine, "docker"), partial(in_docker, "docker")) as project:
        project.ok("up", *names, timeout=240)
        before = services(project)
        for name in names:
            kill_service(project, name, before[name]["pid"])
        assert {name for name, one in services(project).items() if one["state"] == "crashed"} == set(names)
        project.ok("up", *names)
        after = services(project)
        assert [after[name]["state"] for name in names] == ["running", "running"]
        assert [after[name]["port"] for name in names] == [before[name]["port"] for name in names]
        project.ok(*DELETED.split())
        nothing_runs(project)


LONE = """\
[project]
name = "cruddur"

[services.lone]
command = ["{python}", "-c", "import time; time.sleep(600)"]
"""


@pytest.mark.needs_docker
def test_on_docker_a_process_that_a_killed_up_had_not_noted_is_found_again(tmp_path: Path) -> None:
    need_docker()
    project = ProjectDir(empty_project(tmp_path / "lone", LONE).path, {"DEVENV_ENGINE": "docker", **IMAGES})
    try:
        project.ok("up", "lone")
        project.ok("down")
        seen = changes(project, "up", "lone")
        project.ok("down")
        started = max(place for place, change in enumerate(seen) if "time.sleep(600)" in change.what)
        assert kill(project, Kill(seen[started + 1].number, 0.0, "noted"), "up", "lone")
        left = [pid for pid, name in of_project(project).items() if name == "lone"]
        project.ok("up", "lone")
        assert [pid for pid, name in of_project(project).items() if name == "lone"] == left
        project.ok("down")
        assert of_project(project) == {}
    finally:
        project.remove()
