"""Faults of a function on a table's stream, each named at its layer, and sound variations that must stay quiet.

Those of a cache are in tests/e2e/test_cache_layer.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devenv.links.groups import WRITE
from tests.e2e.stream_times import CONVERSATION
from tests.e2e.test_stream_workers import send, with_worker, worker
from tests.support import ProjectDir

TABLE = "cruddur-messages"
PATIENCE_S = 20.0


class Bench:
    """The running project. `restore` takes back what a test did."""

    def __init__(self, project: ProjectDir) -> None:
        self.project = project
        self.function = project.path / "functions/group_rows.py"
        self.settings = project.path / "devenv.toml"
        self.sound = {file: file.read_text() for file in (self.function, self.settings)}
        self.dynamodb = project.dynamodb()
        self.undo: list[Callable[[], object]] = []

    def edit(self, old: str, new: str) -> None:
        """Change the function; the next call loads it."""
        assert old in self.function.read_text()
        self.function.write_text(self.function.read_text().replace(old, new))

    def configure(self, old: str, new: str) -> None:
        """Change devenv.toml, and start again what that changes."""
        assert old in self.settings.read_text()
        self.settings.write_text(self.settings.read_text().replace(old, new))
        self.project.ok("up")
        self.undo.append(lambda: self.project.ok("up"))

    def send(self, text: str = "a message") -> dict[str, Any]:
        return send(self.project, text)

    def stream(self, view: str | None) -> None:
        """Turn the table's stream off, or on with another view."""
        specification: dict[str, Any] = {"StreamEnabled": view is not None}
        if view is not None:
            specification["StreamViewType"] = view
        self.dynamodb.call("UpdateTable", {"TableName": TABLE, "StreamSpecification": specification})

    def delete_all(self, prefix: str) -> None:
        for item in self.dynamodb.scan(TABLE):
            if item["pk"]["S"].startswith(prefix):
                key = {name: item[name] for name in ("pk", "sk")}
                self.dynamodb.call("DeleteItem", {"TableName": TABLE, "Key": key})

    def until(self, look: Callable[[dict[str, Any]], object]) -> None:
        """Wait for the worker's work to look so."""
        end = time.monotonic() + PATIENCE_S
        while not look(worker(self.project)["work"]):
            assert time.monotonic() < end, worker(self.project)

    def trace(self) -> dict[str, Any]:
        return self.project.json("trace", "conversation", CONVERSATION, "--user", "ines")

    def restore(self) -> None:
        """Function, settings and data as they were, with the worker at the end of its stream."""
        for file, text in self.sound.items():
            file.write_text(text)
        for action in reversed(self.undo):
            action()
        self.undo.clear()
        self.project.ok("restart", "group-rows", "--refused")
        sent = self.bring_up_to_date()
        end = time.monotonic() + PATIENCE_S
        while not all(row == sent["created_at"] for row in self.rows()):
            assert time.monotonic() < end, self.project.ok("logs", "group-rows").out

    def bring_up_to_date(self) -> dict[str, Any]:
        return send(self.project, "sound again")

    def rows(self) -> list[str]:
        """The times of the conversation's rows."""
        words = ("ddb", "query", TABLE, f"message_group_uuid={CONVERSATION}", "--index", "message-group-sk-index")
        return [item["sk"]["S"] for item in self.project.json(*words)["items"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    project = with_worker(tmp_path_factory.mktemp("stream-faults"))
    try:
        project.ok("up", timeout=240)
        made = Bench(project)
        with made.dynamodb:
            yield made
    finally:
        project.remove()


@pytest.fixture
def bench(running: Bench) -> Iterator[Bench]:
    try:
        yield running
    finally:
        running.restore()


MOVE = "put({**row, **change})"
RECORD = "    for record in"


def raises(bench: Bench) -> None:
    bench.edit(RECORD, f"    raise KeyError('sk')\n{RECORD}")
    bench.send()
    bench.until(lambda work: work["failed"])


def wrong_key(bench: Bench) -> None:
    bench.edit(
        f"(delete(row), {MOVE})",
        '({"Put": {"TableName": "cruddur-messages", "Item": {**row, **change, "pk": {"S": f"GROUP#{group}"}}}},)',
    )
    bench.edit("for row in behind for", "for row in behind[:1] for")
    bench.undo.append(lambda: bench.delete_all("GROUP#"))
    time.sleep(WRITE.total_seconds())  # a row may be behind by the time that a write takes
    handled = worker(bench.project)["work"]["handled"]
    bench.send()
    bench.until(lambda work: work["handled"] > handled)


def another_table(bench: Bench) -> None:
    bench.edit(MOVE, '{"Put": {"TableName": "cruddur-rows", "Item": {**row, **change}}}')
    bench.send()
    bench.until(lambda work: work["failed"])


def not_started(bench: Bench) -> None:
    bench.project.ok("stop", "group-rows")
    bench.send()


def narrow_filter(bench: Bench) -> None:
    bench.configure('prefix = "MSG#"', 'prefix = "MESSAGE#"')
    bench.send()


def loops(bench: Bench) -> None:
    again = (
        '    import uuid\n    item = {"pk": {"S": "MSG#loop"}, "sk": {"S": str(uuid.uuid4())}, "message": {"S": "x"}}\n'
        '    dynamodb().put_item(TableName="cruddur-messages", Item=item)\n'
    )
    bench.edit(RECORD, again + RECORD)
    bench.undo.append(lambda: bench.delete_all("MSG#loop"))
    bench.send()
    bench.until(lambda work: work["stopped"])


def lags(bench: Bench) -> None:
    # The worker's call waits until the test is over; the call that trace makes on its copy comes later and does not.
    begun, over = bench.project.path / "begun", bench.project.path / "over"
    waits = f"""    import pathlib, time
    try:
        pathlib.Path({str(begun)!r}).mkdir()
    except FileExistsError:
        pass
    else:
        while not pathlib.Path({str(over)!r}).exists():
            time.sleep(0.05)
"""
    bench.configure("timeout_s = 20", "timeout_s = 120")
    bench.edit(RECORD, f"{waits}{RECORD}")
    bench.undo.append(over.touch)
    bench.send()


def stream_off(bench: Bench) -> None:
    bench.stream(None)
    bench.undo.append(lambda: bench.stream("NEW_AND_OLD_IMAGES"))
    bench.send()


def keys_only(bench: Bench) -> None:
    bench.stream(None)
    bench.stream("KEYS_ONLY")
    bench.undo += [lambda: bench.stream("NEW_AND_OLD_IMAGES"), lambda: bench.stream(None)]
    failed = worker(bench.project)["work"]["failed"]
    bench.send()
    bench.until(lambda work: work["failed"] > failed)


FAULTS = {
    "the function raises": (raises, ("stream", "handler_error"), "KeyError: 'sk'"),
    "it writes under another key": (wrong_key, ("dynamodb", "stale_preview"), ""),
    "it writes into another table": (another_table, ("stream", "handler_error"), "ResourceNotFound"),
    "it was not started": (not_started, ("stream", "not_running"), "stopped"),
    "its filter is too narrow": (narrow_filter, ("stream", "filtered"), "excludes all"),
    "it triggers itself": (loops, ("stream", "loop"), "again and again"),
    "it is slow": (lags, ("stream", "lagging"), "behind"),
    "the table has no stream": (stream_off, ("stream", "stream_off"), "no stream"),
    "its stream has no images": (keys_only, ("stream", "handler_error"), "NewImage"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_at_its_layer(bench: Bench, name: str) -> None:
    make, expected, said = FAULTS[name]
    make(bench)
    document = bench.trace()
    verdict = document["verdict"]
    assert (verdict["layer"], verdict["class"]) == expected, verdict
    assert said in f"{verdict['summary']} {verdict['cause']}"
    if name == "it writes under another key":
        stream = next(layer for layer in document["layers"] if layer["name"] == "stream")
        [note] = [note for note in stream["notes"] if "corrects none of their faults" in note]
        assert "GROUP#" in note


def two_messages(bench: Bench) -> None:
    bench.send("one")
    bench.send("two")


def a_comment(bench: Bench) -> None:
    bench.edit(RECORD, f"    # a comment\n{RECORD}")
    bench.send()


def a_wider_filter(bench: Bench) -> None:
    bench.configure('eventName = ["INSERT"]', 'eventName = ["INSERT", "MODIFY"]')
    bench.send()


def single_records(bench: Bench) -> None:
    bench.configure("retries = 0", "retries = 0\nbatch = { size = 1 }")
    two_messages(bench)


def other_items(bench: Bench) -> None:
    item = {"pk": {"S": "CONFIG"}, "sk": {"S": "theme"}, "value": {"S": "dark"}}
    bench.dynamodb.call("PutItem", {"TableName": TABLE, "Item": item})
    bench.undo.append(lambda: bench.delete_all("CONFIG"))


def restarted(bench: Bench) -> None:
    bench.send()
    bench.project.ok("restart", "group-rows")


def stopped_and_started(bench: Bench) -> None:
    bench.project.ok("stop", "group-rows")
    bench.send()
    bench.project.ok("up")


def a_retried_error(bench: Bench) -> None:
    flag = bench.project.path / "once"
    bench.configure("retries = 0", "retries = 2")
    once = f"    import pathlib\n    if not pathlib.Path({str(flag)!r}).exists():\n"
    bench.edit(RECORD, f"{once}        pathlib.Path({str(flag)!r}).touch()\n        raise OSError('once')\n{RECORD}")
    bench.send()


def the_store_restarted(bench: Bench) -> None:
    bench.project.ok("restart", "dynamodb")
    bench.send()


SOUND = {
    "nothing was done": lambda bench: None,
    "two messages": two_messages,
    "a comment in the function": a_comment,
    "a wider filter": a_wider_filter,
    "one record a call": single_records,
    "items of no kind": other_items,
    "the worker was restarted": restarted,
    "it was stopped for a while": stopped_and_started,
    "an error that a retry got over": a_retried_error,
    "the store was restarted": the_store_restarted,
}


@pytest.mark.long
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_variation_is_quiet(bench: Bench, name: str) -> None:
    SOUND[name](bench)
    assert (verdict := bench.trace()["verdict"])["status"] == "ok", verdict
