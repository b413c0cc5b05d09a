"""`[services.NAME] stream = …` on the reference project: its second way to move group rows, through all commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import devenv.example
from devenv.host import processes
from devenv.links.groups import WRITE
from tests.e2e.stream_times import CONVERSATION, measure
from tests.support import ProjectDir, reference_project

OTHER = "b7d2c0f4-6a1e-4d5b-9f38-e21c7a904d16"
SECTION = """
[services.group-rows]
stream = "cruddur-messages"
handler = "functions/group_rows.py:handler"
filter = [{ eventName = ["INSERT"], dynamodb = { Keys = { pk = { S = [{ prefix = "MSG#" }] } } } }]
retries = 0
timeout_s = 20
"""


def with_worker(path: Path, section: str = SECTION) -> ProjectDir:
    project = reference_project(path)
    table = project.path / "seeds/dynamodb/tables/cruddur-messages.json"
    table = table if table.exists() else next((project.path / "seeds/dynamodb/tables").glob("*.json"))
    definition = json.loads(table.read_text())
    definition["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    table.write_text(json.dumps(definition))
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text().replace("[env]\n", '[env]\nGROUP_ROWS = "stream"\n') + section)
    (project.path / "functions").mkdir()
    shutil.copy(Path(devenv.example.__file__).parent / "group_rows.py", project.path / "functions")
    return project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = with_worker(tmp_path_factory.mktemp("streams"))
    project.ok("up", timeout=240)
    yield project
    project.remove()


def send(project: ProjectDir, text: str, group: str = CONVERSATION) -> dict[str, Any]:
    env = project.env()
    token = project.ok("env", "--token", "ines").out.strip()
    request = urllib.request.Request(
        f"{env['BACKEND_URL']}/api/messages",
        json.dumps({"message": text, "message_group_uuid": group}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        sent: dict[str, Any] = json.load(answer)
    return sent


def rows(project: ProjectDir) -> list[tuple[str, str]]:
    words = ("ddb", "query", "cruddur-messages", f"message_group_uuid={CONVERSATION}")
    items = project.json(*words, "--index", "message-group-sk-index")["items"]
    return [(item["sk"]["S"], item["message"]["S"]) for item in items]


def moved(project: ProjectDir, sent: dict[str, Any], patience_s: float = 20.0) -> None:
    """Wait until both rows tell of this message."""
    end = time.monotonic() + patience_s
    while rows(project) != [(sent["created_at"], sent["message"])] * 2:
        assert time.monotonic() < end, (rows(project), project.ok("logs", "group-rows").out)


def worker(project: ProjectDir) -> dict[str, Any]:
    return next(one for one in project.json("status")["services"] if one["name"] == "group-rows")


def test_the_function_moves_the_rows_of_a_new_message(running: ProjectDir) -> None:
    before = worker(running)["work"]
    assert (before["handled"], before["failed"]) == (0, 0)
    assert before["seeded"] > 100, "the seeds do not reach it"
    sent = send(running, "moved by the function")
    moved(running, sent)
    found = worker(running)
    assert (found["state"], found["work"]["handled"], found["work"]["error"]) == ("running", 1, None)
    assert "1 handled" in running.ok("status").out
    [check] = running.json("doctor", "--only", "SVC010")["checks"]
    assert (check["status"], check["code"]) == ("ok", "SVC010")
    traced = running.json("trace", "conversation", CONVERSATION, "--user", "ines")
    assert traced["verdict"]["status"] == "ok"
    assert [layer["name"] for layer in traced["layers"]][4:6] == ["cross-store", "stream"]


def test_the_rows_follow_one_message_after_the_other(running: ProjectDir) -> None:
    """How soon, tests/bench/streams.py prints."""
    assert len(measure(running, 5)) == 5


@pytest.mark.long
def test_messages_sent_while_the_worker_is_dead_are_handled_by_the_next_up(running: ProjectDir) -> None:
    os.kill(int(worker(running)["pid"]), signal.SIGKILL)
    sent = send(running, "sent while it was dead")
    assert rows(running) != [(sent["created_at"], sent["message"])] * 2
    assert worker(running)["state"] == "crashed"
    broken = running.json("doctor", "--only", "SVC010")
    assert [one["code"] for one in broken["checks"] if one["status"] == "fail"] == ["SVC010"]
    verdict = running.json("trace", "conversation", CONVERSATION, "--user", "ines")["verdict"]
    # The function corrects the stale rows on a copy, so they are a consequence.
    assert (verdict["layer"], verdict["class"]) == ("stream", "not_running"), verdict
    assert "the function corrects what is wrong" in verdict["cause"]
    assert (verdict["also"][0]["layer"], verdict["also"][0]["class"]) == ("dynamodb", "stale_preview")
    running.ok("up")
    moved(running, sent)


def stored(project: ProjectDir, sent: dict[str, Any]) -> bool:
    """DynamoDB Local may lose what it acknowledged right before it is killed."""
    words = ("ddb", "get", "cruddur-messages", f"pk=MSG#{CONVERSATION}", f"sk={sent['created_at']}")
    return project.devenv(*words).code == 0


def test_no_message_that_the_store_has_is_missed_when_it_is_killed(running: ProjectDir) -> None:
    store = next(one for one in running.json("status")["services"] if one["name"] == "dynamodb")
    sent = send(running, "right before the crash")
    os.kill(int(store["pid"]), signal.SIGKILL)
    running.ok("up")
    if stored(running, sent):
        moved(running, sent)
    later = send(running, "after the crash")
    moved(running, later)


def test_a_failing_function_is_named_with_its_line_and_corrected_without_a_restart(running: ProjectDir) -> None:
    file = running.path / "functions/group_rows.py"
    sound = file.read_text()
    file.write_text(sound.replace("    for record in", "    raise KeyError('sk')\n    for record in"))
    send(running, "refused")
    end = time.monotonic() + 20
    while not (work := worker(running)["work"])["failed"]:
        assert time.monotonic() < end
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "raise KeyError" in text)
    assert work["error"]["place"] == f"functions/group_rows.py:{line}"
    assert Path(work["failed_file"]).read_text().count("refused") == 1
    [check] = [one for one in running.json("doctor", "--only", "SVC010")["checks"] if one["code"] == "SVC010"]
    assert check["status"] == "fail"
    assert f"functions/group_rows.py:{line}" in check["evidence"]
    verdict = running.json("trace", "conversation", CONVERSATION, "--user", "ines")["verdict"]
    assert ("stream", "handler_error") in [(one["layer"], one["class"]) for one in (verdict, *verdict["also"])]
    file.write_text(sound)
    moved(running, send(running, "handled again"))
    [check] = [one for one in running.json("doctor", "--only", "SVC010")["checks"] if one["code"] == "SVC010"]
    assert check["status"] == "warn", "one record is still refused"
    assert check["fix"]["command"] == "devenv restart group-rows --refused"
    running.ok("restart", "group-rows", "--refused")
    [check] = [one for one in running.json("doctor", "--only", "SVC010")["checks"] if one["code"] == "SVC010"]
    assert (check["status"], worker(running)["work"]["failed"]) == ("ok", 0)


@pytest.mark.long
def test_a_record_that_was_never_handled_and_a_filter_that_leaves_it_out_are_distinguished(running: ProjectDir) -> None:
    file, settings = running.path / "functions/group_rows.py", running.path / "devenv.toml"
    sound, declared = file.read_text(), settings.read_text()
    file.write_text(sound.replace("    for record in", "    raise KeyError('sk')\n    for record in"))
    send(running, "refused")
    end = time.monotonic() + 20
    while not worker(running)["work"]["failed"]:
        assert time.monotonic() < end
    file.write_text(sound)
    send(running, "of another conversation", OTHER)
    traced = running.json("trace", "conversation", CONVERSATION, "--user", "ines")
    verdict = traced["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("stream", "not_applied"), verdict
    assert "would make message_group GRP#" in verdict["cause"]
    assert "it refused 1 record" in verdict["cause"]
    assert ("dynamodb", "stale_preview") in [(one["layer"], one["class"]) for one in verdict["also"]]
    moved(running, send(running, "handled"))
    settings.write_text(declared.replace('prefix = "MSG#"', 'prefix = "MESSAGE#"'))
    running.ok("up")
    sent = send(running, "left out")
    time.sleep(WRITE.total_seconds())  # a row may be behind by the time that a write takes
    verdict = running.json("trace", "conversation", CONVERSATION, "--user", "ines")["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("stream", "filtered"), verdict
    settings.write_text(declared)
    running.ok("up")
    assert rows(running) != [(sent["created_at"], sent["message"])] * 2, "the user's own rows stay as they are"
    moved(running, send(running, "handled again"))


def test_an_action_is_followed_by_the_function_on_the_copy(running: ProjectDir) -> None:
    before = rows(running)
    found = running.json("trace", "conversation", CONVERSATION, "--user", "ines", "--action")
    assert found["verdict"]["status"] == "ok", found["verdict"]
    written = next(layer for layer in found["layers"] if layer["name"] == "dynamodb")["output"]["written"]
    assert [len(one["things"]) for one in written] == [1, 2]
    assert rows(running) == before


def test_reset_and_down_leave_nothing_behind(running: ProjectDir) -> None:
    running.ok("reset", "-y", timeout=240)
    moved(running, send(running, "after the reset"))
    pid = int(worker(running)["pid"])
    assert "group-rows" in running.json("down")["stopped"]
    assert not processes.identify(pid)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('handler = "functions/group_rows.py:handler"', ""), "needs a command, or a handler"),
        (("group_rows.py:handler", "group_rows"), "needs a file and a function"),
        (('eventName = ["INSERT"]', 'eventName = "INSERT"'), "filter[0].eventName needs a list"),
        (('stream = "cruddur-messages"', ""), "is for a stream worker"),
        (("retries = 0", "retries = -1"), "retries"),
    ],
)
def test_a_mistake_in_the_section_is_said(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    project = with_worker(tmp_path, SECTION.replace(*change))
    found = project.devenv("config", "check")
    assert found.code == 2
    assert said in found.out + found.err


def test_a_handler_that_is_not_there_is_said_by_up(tmp_path: Path) -> None:
    project = with_worker(tmp_path, SECTION.replace("group_rows.py", "nowhere.py"))
    try:
        found = project.devenv("up", timeout=240)
        assert found.code != 0
        assert "there is no such file: functions/nowhere.py:handler" in found.out + found.err
    finally:
        project.remove()
