"""`devenv trace` on the reference project: what is typed wrongly, what must not be shown, what an API may answer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import redis_image
from tests.e2e.docker_support import IMAGES, need_docker
from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import route
from tests.support import ProjectDir, empty_project


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("trace") / "project")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def mended(bench: Bench) -> Iterator[None]:
    yield
    bench.restore()


def named(document: dict[str, Any]) -> tuple[str | None, str | None]:
    return document["verdict"]["layer"], document["verdict"]["class"]


def test_eight_layers_in_their_order(bench: Bench) -> None:
    document = bench.trace("conversation", GROUP)
    assert document["schema"] == "devenv.trace/1"
    assert (document["exit_code"], document["verdict"]["status"]) == (0, "ok")
    assert [layer["name"] for layer in document["layers"]] == [
        "environment", "services", "postgres", "dynamodb", "cross-store", "pattern", "library", "http",
    ]  # fmt: skip
    assert [layer["status"] for layer in document["layers"]] == ["ok"] * 8
    assert document["subject"]["user"] == "ines", "the first member by handle"


@pytest.mark.parametrize("typed", [["conversation", "abc"], ["conversation"], ["conversations", GROUP], ["letters"]])
def test_what_is_typed_wrongly_is_refused(bench: Bench, typed: list[str]) -> None:
    document = bench.trace(*typed)
    assert document["exit_code"] == 2
    assert document["error"]["hint"] or document["error"]["detail"]


def test_an_unknown_conversation(bench: Bench) -> None:
    document = bench.trace("conversation", GROUP[:-1] + "0")
    assert (document["exit_code"], named(document)) == (1, ("dynamodb", "missing_item"))
    assert document["verdict"]["fix"]["command"] == f"devenv trace conversation {GROUP}"


def test_an_id_of_something_else_is_recognised(bench: Bench) -> None:
    user = bench.trace("conversation", bench.uuid("mei"))
    assert named(user) == ("dynamodb", "missing_item")
    assert "mei" in user["verdict"]["cause"]
    message = bench.trace("conversation", bench.messages()[3]["message_uuid"]["S"])
    assert f"it is the message_uuid of a message in {GROUP}" in message["verdict"]["cause"]


def test_an_unknown_handle(bench: Bench) -> None:
    document = bench.trace("conversation", GROUP, "--user", "nobody-of-that-name")
    assert (document["exit_code"], named(document)) == (1, ("postgres", "missing_row"))


NEIGHBOUR = """\
[project]
name = "neighbour"

[services.pages]
command = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
port = PORT
ready = { tcp = true }
"""


# The same as a container.
CONTAINED = """\
[project]
name = "neighbour"

[services.pages]
kind = "redis"
image = "IMAGE"
port = PORT
"""
DOCKER = [pytest.mark.needs_docker, pytest.mark.needs_redis]


@pytest.mark.parametrize("ended", ["stopped", "crashed", pytest.param("stopped for a container", marks=DOCKER)])
@pytest.mark.long
def test_another_project_on_the_application_s_port_is_not_the_application(
    bench: Bench, tmp_path: Path, ended: str
) -> None:
    backend = next(each for each in bench.project.json("status")["services"] if each["name"] == "backend")
    text, environ = NEIGHBOUR, dict[str, str]()
    if ended.endswith("container"):
        need_docker()
        text, environ = CONTAINED.replace("IMAGE", redis_image.build(tmp_path)), {"DEVENV_ENGINE": "docker", **IMAGES}
    other = empty_project(tmp_path / "neighbour", text.replace("PORT", str(backend["port"])))
    other = ProjectDir(other.path, environ)
    try:
        if ended.startswith("stopped"):
            bench.project.ok("stop", "backend")
        else:
            os.kill(backend["pid"], signal.SIGKILL)
        other.ok("up", "pages")
        [pages] = [each for each in other.json("status")["services"] if each["name"] == "pages"]
        assert pages["port"] == backend["port"]
        document = bench.trace("conversation", GROUP)
        assert (document["exit_code"], document["verdict"]["status"]) == (3, "not_verified")
        said = f"port {backend['port']} is used by another devenv project: neighbour, {other.path.resolve()}"
        assert said in document["verdict"]["summary"]
        layers = {layer["name"]: layer for layer in document["layers"]}
        assert (layers["environment"]["unasked"], layers["http"]["unasked"]) == (said, said)
        assert layers["library"]["status"] == "ok"
    finally:
        other.remove()
        bench.project.ok("up")


def test_neither_secrets_nor_tokens_nor_words_are_shown(bench: Bench) -> None:
    shown = bench.project.devenv("trace", "conversation", GROUP, "--json").out
    for name in ("PGPASSWORD", "AUTH_SECRET"):
        assert bench.env[name] not in shown
    assert "eyJ" not in shown
    words = [item["message"]["S"] for item in bench.messages() if len(item["message"]["S"]) >= 8]
    assert not [text for text in words if json.dumps(text, ensure_ascii=False)[1:-1] in shown]


def test_words_are_shown_on_request(bench: Bench) -> None:
    shown = bench.project.devenv("trace", "conversation", GROUP, "--show-payloads", "--json").out
    assert json.dumps(bench.messages()[0]["message"]["S"], ensure_ascii=False)[1:-1] in shown


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('    return Response("<html></html>", media_type="text/html")', "not_json"),
        ('    return Response("[{", media_type="application/json")', "not_json"),
        ('    return Response("[" + " " * 51_000_000 + "]", media_type="application/json")', "body_changed"),
        ('    return Response(status_code=307, headers={"Location": request.scope["path"]})', "status"),
    ],
    ids=["html", "invalid", "51 MB", "a redirect to itself"],
)
@pytest.mark.matrix(4)
def test_answers_that_are_no_list(bench: Bench, body: str, kind: str) -> None:
    route(body)(bench)
    assert named(bench.trace("conversation", GROUP, "--user", "ines")) == ("http", kind)


def test_a_function_that_talks_and_leaves_threads_behind_is_heard_all_the_same(bench: Bench) -> None:
    noisy = """\
    import subprocess, sys, threading
    print("x" * 200_000)
    threading.Thread(target=time.sleep, args=(3600,)).start()
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
"""
    first = '    items = newest(f"MSG#{message_group_uuid}", before, limit)'
    bench.patch("messages.py", (first, noisy + first))
    document = bench.trace("conversation", GROUP, "--user", "ines")
    library = next(layer for layer in document["layers"] if layer["name"] == "library")
    assert (library["status"], library["observed_count"]) == ("ok", len(bench.messages()))
