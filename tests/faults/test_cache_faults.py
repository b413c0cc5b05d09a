"""Applications that use a cache wrongly, each named at the layer `cache`, and sound ones that must stay quiet.

The application is the reference project's, started from a file of the project that changes one function of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from devenv.stores.redis.client import Redis
from tests.e2e.test_cache_layer import first, listed, the_key_of, trace, with_cache
from tests.e2e.test_stream_workers import send
from tests.support import ProjectDir, reference_project

pytestmark = [pytest.mark.needs_redis, pytest.mark.long]
APPLICATION = """from devenv.example import cache, users
from devenv.example.stores import read
{change}
from devenv.example.app import app
"""
FORGETS = "cache.forget = lambda read_rows: None"
# A person's key is the handle; the project declares the uuid.
BY_HANDLE = """
def key_of(user_uuid):
    rows = read("SELECT handle FROM public.users WHERE uuid = %(uuid)s", {"uuid": user_uuid})
    return f"conv:{rows[0]['handle']}"

cache.key_of = key_of
"""
CACHES_ERRORS = """
sound = cache.cached

def cached(user_uuid, make):
    def answer():
        try:
            return make()
        except Exception as error:
            return {"error": str(error)}
    return sound(user_uuid, answer)

cache.cached = cached
"""
WITHOUT_END = """
sound = cache.ask
cache.ask = lambda *words: sound(*words[:3]) if words[0] == "SET" else sound(*words)
"""
SHORTER = """
sound = cache.ask
cache.ask = lambda *words: sound(*words[:4], "30") if words[0] == "SET" else sound(*words)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = with_cache(reference_project(tmp_path_factory.mktemp("cache-faults")))
    settings = project.path / "devenv.toml"
    assert "devenv.example.app:app" in settings.read_text()
    settings.write_text(settings.read_text().replace("devenv.example.app:app", "chat:app"))
    (project.path / "chat.py").write_text(APPLICATION.format(change=""))
    try:
        project.ok("up", timeout=240)
        yield project
    finally:
        project.remove()


def change(project: ProjectDir, code: str) -> None:
    """Start the application with this change, before an empty cache."""
    (project.path / "chat.py").write_text(APPLICATION.format(change=code))
    project.ok("restart", "backend")
    with Redis(project.env()["REDIS_URL"]) as redis:
        redis.call("FLUSHALL")


def send_between(project: ProjectDir) -> None:
    listed(project)
    send(project, "sent after the list was cached")


def list_without_a_store(project: ProjectDir) -> None:
    """The list is asked for while its store is down."""
    project.ok("stop", "dynamodb")
    with pytest.raises(OSError, match="HTTP Error 500"):
        listed(project)
    project.ok("up")


FAULTS: dict[str, tuple[str, Callable[[ProjectDir], object], str, str]] = {
    "it forgets to delete": (FORGETS, send_between, "stale", "out of date"),
    "it stores errors": (CACHES_ERRORS, list_without_a_store, "poisoned", ""),
    "its key is the handle": (BY_HANDLE, listed, "wrong_key", "conv:ines"),
    "it stores for ever": (WITHOUT_END, listed, "no_expiry", ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_application_is_named_at_the_cache(running: ProjectDir, name: str) -> None:
    code, use, expected, said = FAULTS[name]
    change(running, code)
    use(running)
    document = trace(running)
    assert first(document) == ("cache", expected), document["verdict"]
    assert said in f"{document['verdict']['summary']} {document['verdict']['cause']}"


def another_entry(project: ProjectDir) -> None:
    """The person's profile has an entry of its own; the list has none."""
    uuid = the_key_of(project)
    with Redis(project.env()["REDIS_URL"]) as redis:
        redis.call("FLUSHALL")
        redis.call("SET", f"profile:{uuid}", "{}", "EX", "300")


SOUND: dict[str, tuple[str, Callable[[ProjectDir], object]]] = {
    "nothing was cached": ("", lambda project: None),
    "a write deletes": ("", send_between),
    "entries that end earlier": (SHORTER, listed),
    "another entry of the person": ("", another_entry),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_use_is_quiet(running: ProjectDir, name: str) -> None:
    code, use = SOUND[name]
    change(running, code)
    use(running)
    assert (verdict := trace(running)["verdict"])["status"] == "ok", verdict
