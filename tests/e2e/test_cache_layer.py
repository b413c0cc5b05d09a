"""`[cache.NAME]` on the reference project with a real Redis: sound entries, and four faults at the layer `cache`."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from devenv.stores.redis.client import Redis
from tests.e2e.stream_times import CONVERSATION
from tests.e2e.test_stream_workers import send
from tests.support import ProjectDir, reference_project

pytestmark = pytest.mark.needs_redis
SECTIONS = """
[services.cache]
kind = "redis"
port = 0

[cache.conversations]
key = "conv:{person.uuid}"
ttl_s = 60
"""


def with_cache(project: ProjectDir) -> ProjectDir:
    settings = project.path / "devenv.toml"
    text = settings.read_text().replace("[env]\n", '[env]\nLIST_CACHE_S = "60"\n')
    settings.write_text(text.replace("# --- Steps", SECTIONS + "\n# --- Steps"))
    return project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = with_cache(reference_project(tmp_path_factory.mktemp("cached")))
    try:
        project.ok("up", timeout=240)
        yield project
    finally:
        project.remove()


@pytest.fixture
def redis(running: ProjectDir) -> Iterator[Redis]:
    with Redis(running.env()["REDIS_URL"]) as opened:
        opened.call("FLUSHALL")
        yield opened


def listed(project: ProjectDir, handle: str = "ines") -> list[dict[str, Any]]:
    """The list of a person's conversations, over HTTP."""
    token = project.ok("env", "--token", handle).out.strip()
    url = f"{project.env()['BACKEND_URL']}/api/message_groups"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def the_key_of(project: ProjectDir) -> str:
    """The uuid of ines, as the application's key has it."""
    with Redis(project.env()["REDIS_URL"]) as redis:
        listed(project)
        return the_key(redis).removeprefix("conv:")


def the_key(redis: Redis) -> str:
    keys = redis.call("SCAN", "0")
    assert isinstance(keys, list)
    assert isinstance(keys[1], list)
    [key] = keys[1]
    assert isinstance(key, bytes)
    return key.decode()


def trace(project: ProjectDir) -> dict[str, Any]:
    return project.json("trace", "conversations", "--user", "ines")


def first(document: dict[str, Any]) -> tuple[str, str]:
    return document["verdict"]["layer"], document["verdict"]["class"]


def test_a_sound_entry_is_looked_at_between_library_and_http(running: ProjectDir, redis: Redis) -> None:
    listed(running)
    document = trace(running)
    assert document["verdict"]["status"] == "ok", document["verdict"]
    names = [layer["name"] for layer in document["layers"]]
    assert names[-3:] == ["library", "cache", "http"]
    layer = document["layers"][-2]
    assert layer["observed_count"] == layer["expected_count"] == 2
    assert layer["output"]["expires_in_s"] <= 60


def test_a_write_deletes_the_entry_of_both_members(running: ProjectDir, redis: Redis) -> None:
    listed(running)
    sent = send(running, "after the list was cached")
    assert redis.call("DBSIZE") == 0
    assert listed(running)[0]["message"] == sent["message"]
    assert trace(running)["verdict"]["status"] == "ok"


def test_a_trace_of_another_subject_does_not_ask_for_an_entry(running: ProjectDir) -> None:
    document = running.json("trace", "conversation", CONVERSATION, "--user", "ines")
    assert document["verdict"]["status"] == "ok", document["verdict"]
    assert next(layer for layer in document["layers"] if layer["name"] == "cache")["status"] == "not_run"


def test_faults_of_an_entry_are_named_at_the_cache(running: ProjectDir, redis: Redis) -> None:
    listed(running)
    key = the_key(redis)
    sound = redis.call("GET", key)
    assert isinstance(sound, bytes)
    old = json.loads(sound)
    old[0]["message"] = "an older text"
    for value, options, expected in (
        (json.dumps(old), ("EX", "30"), "stale"),
        ('{"error": "throttled"}', ("EX", "30"), "poisoned"),
        ("[]", ("EX", "30"), "poisoned"),
        (sound, (), "no_expiry"),
    ):
        redis.call("SET", key, value, *options)
        document = trace(running)
        assert first(document) == ("cache", expected), document["verdict"]
        if expected == "stale":
            assert "stored about" in document["verdict"]["cause"]
            assert "an older text" not in json.dumps(document), "people's own words stay out"


def test_an_entry_under_another_key_is_named(running: ProjectDir, redis: Redis) -> None:
    # Another entry of the same person is none of the list's.
    redis.call("SET", f"profile:{the_key_of(running)}", "{}", "EX", "300")
    assert trace(running)["verdict"]["status"] == "ok"
    assert running.json("down")["exit_code"] == 0
    settings = running.path / "devenv.toml"
    declared = settings.read_text()
    # The application caches under the uuid; the project says the handle.
    settings.write_text(declared.replace('"conv:{person.uuid}"', '"conv:{person.handle}"'))
    running.ok("up")
    listed(running)
    document = trace(running)
    assert first(document) == ("cache", "wrong_key"), document["verdict"]
    settings.write_text(declared)
    running.ok("up")
    assert trace(running)["verdict"]["status"] == "ok"


ONE_KEY = """\
from devenv.example import cache
cache.key_of = lambda user_uuid: "conv:list"
from devenv.example.app import app
"""


def test_an_answer_that_the_cache_holds_for_everybody_is_named_with_both_keys(
    running: ProjectDir, redis: Redis
) -> None:
    key = the_key_of(running)
    settings = running.path / "devenv.toml"
    declared = settings.read_text()
    assert "devenv.example.app:app" in declared
    settings.write_text(declared.replace("devenv.example.app:app", "one_key:app"))
    (running.path / "one_key.py").write_text(ONE_KEY)
    redis.call("FLUSHALL")
    try:
        running.ok("up")
        assert listed(running, "rafael") == listed(running)
        document = trace(running)
    finally:
        settings.write_text(declared)
        running.ok("up")
    assert first(document) == ("http", "items_lost"), document["verdict"]
    assert document["verdict"]["summary"].startswith("the API returns 1 of 2, and 1 entry that")
    held = f"the cache holds this answer under `conv:list`; the declared key of this user is `conv:{key}`"
    assert held in document["verdict"]["cause"]
    assert "delete `conv:list`" in document["verdict"]["fix"]["text"]


def test_a_second_cache_of_a_subject_is_named_as_not_looked_at(running: ProjectDir, redis: Redis) -> None:
    listed(running)
    settings = running.path / "devenv.toml"
    declared = settings.read_text()
    second = '\n[cache.pages]\nsubject = "conversations"\nkey = "page:{person.uuid}"\n'
    settings.write_text(declared + second)
    verdict = trace(running)["verdict"]
    settings.write_text(declared)
    assert verdict["status"] == "not_verified"
    assert "[cache.pages]" in verdict["summary"]


def test_an_action_reaches_a_cache_of_its_own(running: ProjectDir) -> None:
    listed(running)
    with Redis(running.env()["REDIS_URL"]) as redis:
        before = redis.call("DBSIZE")
        found = running.json("trace", "conversation", CONVERSATION, "--user", "ines", "--action")
        assert found["verdict"]["status"] == "ok", found["verdict"]
        assert redis.call("DBSIZE") == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("conv:{person.uuid}", "conv:{person_uuid}"), "person_uuid"),
        (("[cache.conversations]", "[cache.lists]"), "lists"),
        (('kind = "redis"\nport = 0', 'command = ["true"]'), "`service`, because no [services.NAME] has kind"),
    ],
)
def test_a_mistake_in_the_section_is_said(tmp_path: Any, change: tuple[str, str], said: str) -> None:
    project = with_cache(reference_project(tmp_path))
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text().replace(*change))
    found = project.devenv("config", "check")
    assert found.code == 2, found.all
    assert said in found.all
