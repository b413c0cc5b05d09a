"""`devenv init` in a project as learners have it: with at most the edits that the written file asks for, all works."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.init.sheet import MARK
from tests.support import REPOSITORY, ProjectDir

LEGACY = REPOSITORY / "tests" / "projects" / "legacy"
GROUP = "3f1c8f3e-54a6-4f0e-8f4c-6f6b8e1d2a90"
WRITTEN = ["devenv.toml", "seeds/dynamodb/tables/talk-messages.json"]


def digests(folder: Path) -> dict[str, str]:
    """Every file of a folder, devenv's own state aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".devstate" not in path.parts and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The project after `init`, the edits that it asks for, and the first `up`."""
    path = tmp_path_factory.mktemp("legacy") / "harbour"
    shutil.copytree(LEGACY, path, ignore=shutil.ignore_patterns("__pycache__"))
    made = ProjectDir(path)
    before = digests(path)
    report = made.json("init")
    assert report["written"] == WRITTEN
    assert {name: digest for name, digest in digests(path).items() if name not in WRITTEN} == before
    # What it asks for: to agree to a link that only a part of a name speaks for, and to what belongs together.
    link, group = report["edits"]
    assert link.startswith("Does talk-messages.pk[GRP#{}] hold ids of users.uuid?")
    assert group.startswith("Do two `message_group` items (one per person) and all `message` items with the")
    file = path / "devenv.toml"
    asked = [line for line in file.read_text().splitlines() if line.startswith(MARK)]
    assert (len(asked), asked.count('#~ group = "message_group" # with EDIT 2')) == (17, 2)
    file.write_text("".join(line.removeprefix(MARK) for line in file.read_text().splitlines(keepends=True)))
    try:
        made.ok("up")
        yield made
    finally:
        made.remove()


def test_up_loads_everything(harbour: ProjectDir) -> None:
    status = harbour.json("status")
    assert [(service["name"], service["state"]) for service in status["services"]] == [
        ("postgres", "running"),
        ("dynamodb", "running"),
        ("backend", "running"),
    ]
    assert [step["state"] for step in status["steps"]] == ["done"] * 3
    assert "already up" in harbour.ok("up").out
    assert "Petrel" in harbour.ok("db", "select boat from berths").out


def test_doctor_finds_it_healthy(harbour: ProjectDir) -> None:
    report = harbour.json("doctor")
    assert (report["verdict"], report["exit_code"]) == ("healthy", 0)
    # Its functions show the first page only, and say so in their text.
    warned = {check["code"]: check["evidence"] for check in report["checks"] if check["status"] == "warn"}
    assert "backend/lib/ddb.py:52: Limit 20, and the code requests no next page" in warned["DAT015"]
    assert harbour.ok("config", "check")


def test_doctor_sees_what_the_links_are_for(harbour: ProjectDir) -> None:
    harbour.ok("db", "--write", "update users set display_name = 'Nora Pier' where handle = 'nora'")
    found = {check["code"]: check for check in harbour.json("doctor")["checks"] if check["status"] == "fail"}
    assert list(found) == ["XST003"]
    harbour.ok("db", "--write", "update users set display_name = 'Nora Quay' where handle = 'nora'")
    assert harbour.json("doctor")["verdict"] == "healthy"


def test_trace_follows_both_subjects(harbour: ProjectDir) -> None:
    messages = harbour.json("trace", "messages", GROUP)
    assert messages["verdict"]["status"] == "ok"
    assert {layer["name"]: layer["observed_count"] for layer in messages["layers"][5:]} == {
        "pattern": 5,
        "library": 5,
        "http": 5,
    }
    groups = harbour.json("trace", "message_groups", "--user", "tariq")
    assert groups["verdict"]["status"] == "ok"
    assert groups["layers"][6]["observed_count"] == 1


def test_trace_without_a_subject_lists_lines_that_work(harbour: ProjectDir) -> None:
    listed = {each["name"]: each["line"] for each in harbour.json("trace")["subjects"]}
    assert listed == {
        "message_groups": "devenv trace message_groups --user nora",
        "messages": f"devenv trace messages {GROUP}",
    }
    for line in listed.values():
        assert harbour.json(*line.split()[1:])["verdict"]["status"] == "ok"


def test_a_placeholder_that_no_request_uses_is_a_warning(harbour: ProjectDir) -> None:
    """Nothing declares that a token carries the sign-in id: what stands there changes no answer."""
    real = harbour.json("db", "select cognito_user_id from users where handle = 'nora'")["rows"][0][0]
    harbour.ok("db", "--write", "update users set cognito_user_id = 'MOCK' where handle = 'nora'")
    try:
        report = harbour.json("trace", "messages", GROUP, "--user", "nora")
        assert report["verdict"]["status"] == "ok"
        assert any("'MOCK'" in note for note in report["layers"][2]["notes"])
        doctor = harbour.json("doctor")
        found = {check["code"]: check["status"] for check in doctor["checks"] if check["status"] in ("warn", "fail")}
        assert (found["DAT012"], found["DAT015"], doctor["verdict"]) == ("warn", "warn", "healthy")
    finally:
        harbour.ok("db", "--write", f"update users set cognito_user_id = '{real}' where handle = 'nora'")


def test_an_api_that_wants_a_token_that_is_not_declared_is_not_run(harbour: ProjectDir) -> None:
    file = harbour.path / "backend" / "app.py"
    kept = file.read_text()
    old = "    return jsonify(Ddb.list_messages(Ddb.client(), message_group_uuid))"
    assert old in kept
    try:
        file.write_text(kept.replace(old, '    return {"error": "who are you?"}, 401'))
        harbour.ok("down")
        harbour.ok("up")
        report = harbour.json("trace", "messages", GROUP)
        assert (report["verdict"]["status"], report["exit_code"]) == ("not_verified", 3)
        assert report["layers"][7]["status"] == "not_run"
        assert "declares no [token]" in report["layers"][7]["unasked"]
    finally:
        file.write_text(kept)
        harbour.ok("down")
        harbour.ok("up")


def test_patterns_are_sound(harbour: ProjectDir) -> None:
    report = harbour.json("patterns", "check")
    assert report["exit_code"] == 0
    found = [check for check in report["checks"] if check["code"] == "PAT032"]
    assert "backend/lib/ddb.py:27: Limit 20, and the code requests no next page: the list ends after 20 items" in [
        check["evidence"] for check in found
    ]


def test_what_the_comments_say_of_the_code_is_what_trace_finds(harbour: ProjectDir) -> None:
    """The written file says that the function has a limit and requests no next page."""
    text = (harbour.path / "devenv.toml").read_text()
    assert "backend/lib/ddb.py:52 has Limit 20 and requests no next page." in text
    assert "bin/ddb/patterns/get-conversation:28 reads only items with begins_with(sk, …)" in text
    file = harbour.path / "backend" / "lib" / "ddb.py"
    kept = file.read_text()
    try:
        file.write_text(kept.replace('"Limit": 20', '"Limit": 3'))
        verdict = harbour.json("trace", "messages", GROUP, "--user", "nora")["verdict"]
        assert (verdict["layer"], verdict["class"]) == ("library", "wrong_query")
    finally:
        file.write_text(kept)
