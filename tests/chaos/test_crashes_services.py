"""The crash matrix over a project's own services, a real Redis among them: killed at any change, the next `up` has each
service once, a cache never holds what was made of other data, and `down` leaves no process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from devenv.config.load import data_home
from devenv.stores.redis.client import Redis
from tests.chaos.scenario import FULL, changes, choose_kills, count, kill, leftovers
from tests.e2e.many import OWN, many_project, services
from tests.e2e.test_many_services import of_project
from tests.support import ProjectDir, dice

pytestmark = pytest.mark.needs_redis
KILLS = 40 if FULL else 1
# A command, and what it is run on: all services up, or all down.
COMMANDS = [("up", "down"), ("down", "up"), ("restart cache", "up"), ("stop backend cache", "up"), ("reset -y", "up")]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = many_project(tmp_path_factory.mktemp("services") / "many")
    file = made.path / "devenv.toml"
    text = file.read_text()
    section = text[text.index("[services.cache]") : text.index("[env]")]
    text = text.replace(section, '[services.cache]\nkind = "redis"\nport = 0\n\n')
    file.write_text(text.replace('"redis://{cache_url}"', '"redis://127.0.0.1:{cache_port}"'))
    yield made
    made.ok("down", "--data", "--no-backup", "-y")
    assert of_project(made) == {}
    made.remove()


def each_once(project: ProjectDir) -> None:
    """Every service runs, and once: one leader of a session each."""
    found = services(project)
    assert {one["state"] for one in found.values()} == {"running"}, found
    leaders = [name for pid, name in of_project(project).items() if name in OWN and os.getsid(pid) == pid]
    assert sorted(leaders) == sorted(OWN)


def entries(project: ProjectDir) -> object:
    with Redis(project.env()["REDIS_URL"]) as redis:
        return redis.call("DBSIZE")


@pytest.mark.parametrize(("command", "before"), COMMANDS)
def test_killed_at_a_change_the_next_up_has_each_service_once(many: ProjectDir, command: str, before: str) -> None:
    words = command.split()
    many.ok("up", timeout=240)
    many.ok(before)
    seen = changes(many, *words)
    for moment in choose_kills(seen, KILLS, dice(f"services {command}")):
        many.ok("up")
        with Redis(many.env()["REDIS_URL"]) as redis:
            redis.call("SET", "made of", "the data before")
        many.ok(before)
        killed = kill(many, moment, *words)
        assert many.json("up", timeout=240)["exit_code"] == 0, moment
        each_once(many)
        assert entries(many) in ((0, 1) if words[0] == "reset" else (1,)), moment
        assert leftovers(many) == [], moment
        count("kills of a command that works on own services", int(killed))
    many.ok("down")
    assert of_project(many) == {}


def test_a_killed_reset_that_changed_the_data_leaves_no_older_entry(many: ProjectDir) -> None:
    """Every kill at or behind the first change of the data."""
    many.ok("up", timeout=240)
    seen = changes(many, "reset", "-y")
    marked = next(change.number for change in seen if change.what.endswith("cache.stale"))
    behind = [change for change in seen if change.number > marked]
    for moment in choose_kills(behind, KILLS, dice("older entries")):
        with Redis(many.env()["REDIS_URL"]) as redis:
            redis.call("SET", "made of", "the data before")
        kill(many, moment, "reset", "-y")
        assert many.json("up", timeout=240)["exit_code"] == 0, moment
        assert entries(many) == 0, moment


def test_the_files_of_a_cache_go_with_the_data(many: ProjectDir) -> None:
    many.ok("up", timeout=240)
    home = data_home(many.path.resolve())
    [conf] = home.rglob("redis.conf")
    assert conf.stat().st_mode & 0o077 == 0
    many.ok("down", "--data", "--no-backup", "-y")
    assert not conf.exists()
    assert not (home / "services").exists()
