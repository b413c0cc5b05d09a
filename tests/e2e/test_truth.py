"""What a ✓ says, on real projects: what is not in effect, or was not looked at, is named."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import free_port
from tests.support import ProjectDir, empty_project, reference_project

CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
BARE = '[project]\nname = "truth"\n[postgres]\nport = {port}\n'


def test_the_reference_project_is_healthy_and_its_conversation_is_traced(running: ProjectDir) -> None:
    doctor = running.json("doctor")
    assert (doctor["verdict"], doctor["exit_code"]) == ("healthy", 0), doctor["checks"]
    trace = running.json("trace", "conversation", CONVERSATION)
    assert (trace["verdict"]["status"], trace["exit_code"]) == ("ok", 0), trace["verdict"]
    assert not any(layer["uncovered"] for layer in trace["layers"])
    assert "every layer agrees" in running.ok("trace", "conversation", CONVERSATION).out
    # Without a subject: lines to paste, each of which runs.
    for each in running.json("trace")["subjects"]:
        assert each["line"], each
        assert running.json(*shlex.split(each["line"])[1:])["verdict"]["status"] == "ok", each


@pytest.mark.long
def test_a_lookup_that_cannot_be_called_is_named_as_not_looked_at(tmp_path: Path) -> None:
    project = reference_project(tmp_path / "project")
    schema, settings = project.path / "seeds" / "postgres" / "schema.sql", project.path / "devenv.toml"
    schema.write_text(schema.read_text().replace("email text NOT NULL", "nickname text, email text NOT NULL"))
    known = 'display_name = "{person.display_name}" }'
    settings.write_text(settings.read_text().replace(known, known.replace(" }", ', nickname = "{person.nickname}" }')))
    try:
        project.ok("up")
        trace = project.json("trace", "conversation", CONVERSATION)
        assert (trace["verdict"]["status"], trace["exit_code"]) == ("not_verified", 3), trace["verdict"]
        assert "find_by_sign_in" in trace["verdict"]["summary"]
    finally:
        project.remove()


def test_the_configuration_agrees_with_the_stores(running: ProjectDir) -> None:
    assert "items of cruddur-messages" in running.ok("config", "check", "--live").out


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """Two stores, and nothing declared about them."""
    project = empty_project(tmp_path_factory.mktemp("truth") / "project", BARE.format(port=free_port()))
    try:
        project.ok("up")
        yield project
    finally:
        project.remove()


def test_a_project_of_which_nothing_is_compared_is_not_healthy(bare: ProjectDir) -> None:
    doctor = bare.devenv("doctor")
    assert doctor.code == 3
    assert "not verified: no links between the stores are declared" in doctor.out
    text = (bare.path / "devenv.toml").read_text()
    (bare.path / "devenv.toml").write_text(text.replace("[postgres]", "cross_store = false\n[postgres]"))
    assert bare.json("doctor")["verdict"] == "healthy"
    (bare.path / "devenv.toml").write_text(text)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (r"port = \d+", "port = 1", r"\[postgres\] port = 1 is not in effect: postgres was started with \d+"),
        (r"(?m)$\Z", '\nsource = "system"\n', r"\[postgres\] source = system is not in effect"),
        (r"(?m)$\Z", '\n[dynamodb]\nlocal = "elsewhere"\n', r"\[dynamodb\] local = elsewhere is not in effect"),
        (r"(?m)$\Z", "\n[dynamodb]\nport = 2\n", r"\[dynamodb\] port = 2 is not in effect"),
        (r"(?m)$\Z", '\n[dynamodb]\nversion = "1.0"\n', r"\[dynamodb\] version = 1.0 is not in effect"),
    ],
)
def test_a_setting_that_is_not_in_effect_is_named_with_what_makes_it_so(
    bare: ProjectDir, old: str, new: str, says: str
) -> None:
    file: Path = bare.path / "devenv.toml"
    text = file.read_text()
    assert "not in effect" not in bare.ok("status").out
    file.write_text(re.sub(old, new, text, count=1))
    try:
        for words in (("status",), ("up",), ("doctor", "--only", "SVC006")):
            told = " ".join(bare.devenv(*words).out.split())
            assert re.search(says, told), told
            assert "devenv down && devenv up" in told
    finally:
        file.write_text(text)


def test_another_first_user_is_refused_at_once(bare: ProjectDir) -> None:
    file = bare.path / "devenv.toml"
    text = file.read_text()
    file.write_text(text.rstrip() + '\nuser = "boss"\n')
    try:
        told = " ".join(bare.devenv("doctor", "--only", "SVC006").out.split())
        assert "[postgres] user = boss is not in effect: postgres was started with postgres" in told
        refused = bare.devenv("up")
        assert (refused.code, "the data folder was made for user postgres" in refused.err) == (2, True), refused.all
        assert 'user = "postgres" in devenv.toml' in refused.err
    finally:
        file.write_text(text)


def test_a_store_that_runs_without_a_record_has_the_settings_only_if_the_file_is_older(bare: ProjectDir) -> None:
    file, state = bare.path / "devenv.toml", bare.path / ".devstate" / "state.json"
    try:
        state.unlink()
        os.utime(file, (1_000_000_000, 1_000_000_000))
        assert bare.json("doctor", "--only", "SVC006")["checks"][0]["status"] == "ok"
        state.unlink(missing_ok=True)
        file.touch()
        doctor = bare.json("doctor", "--only", "SVC006")
        assert (doctor["verdict"], doctor["exit_code"]) == ("not_verified", 3)
        told = "devenv has no record of the port, source, user that postgres was started with"
        assert f"postgres: {told}" in doctor["checks"][0]["evidence"]
        assert told in " ".join(bare.ok("status").out.split())
    finally:
        bare.ok("down")
        bare.ok("up")
    assert bare.json("doctor", "--only", "SVC006")["checks"][0]["status"] == "ok"


SERVED = """
[backend]
command = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
health = "/"
"""


@pytest.mark.long
def test_a_process_with_other_settings_than_the_file_has_is_named_until_up(
    bare: ProjectDir,
) -> None:
    file = bare.path / "devenv.toml"
    text = file.read_text()
    served = text.rstrip() + "\n" + SERVED
    file.write_text(served)
    try:
        bare.ok("up")
        assert "not in effect" not in bare.ok("status").out
        changes = {
            "its command": served.replace('"http.server", ', '"http.server", "--directory", ".", '),
            "its variables": served + 'env = { GREETING = "hello" }\n',
            "[env]": served.replace("[backend]", '[env]\nGREETING = "hello"\n[backend]'),
        }
        for changed in changes.values():
            file.write_text(changed)
            for words in (("status",), ("doctor", "--only", "SVC006")):
                told = " ".join(bare.ok(*words).out.split())
                assert "[backend], [env] or a port of devenv.toml is not in effect: backend has old settings" in told
                assert "devenv up" in told
        bare.ok("up")
        assert "not in effect" not in bare.ok("status").out
        assert bare.json("doctor", "--only", "SVC006")["checks"][0]["status"] == "ok"
    finally:
        file.write_text(text)
        bare.ok("up")
