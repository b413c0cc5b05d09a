"""Messages by many senders while worker and store are killed: what the table then has is handled, in order.

Small by default; CHAOS_SIZE=full sends 10,000 messages by 20 senders, with five kills of the worker and two of the
store.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_stream_workers import with_worker
from tests.support import FULL, ProjectDir, dice

TABLE = "cruddur-messages"
MESSAGES, SENDERS = (10_000, 20) if FULL else (120, 4)
WORKER_KILLS, STORE_KILLS = (5, 2) if FULL else (2, 1)
HANDLES = ("ines", "rafael", "mei", "jonas", "priya")
PATIENCE_S = 1800.0 if FULL else 60.0
# The function as it is, and a line for each record: what it got, in which order. A message is its sender and a number.
NOTED = """
    with open({file!r}, "a") as notes:
        for record in event["Records"]:
            image = record["dynamodb"]["NewImage"]
            notes.write(" ".join(image[name]["S"] for name in ("pk", "sk", "message")) + "\\n")
"""


class Senders:
    """Threads that send messages over HTTP, each to its conversations; what is not accepted is sent again."""

    def __init__(self, project: ProjectDir) -> None:
        self.url = project.env()["BACKEND_URL"]
        self.tokens = {each: project.ok("env", "--token", each).out.strip() for each in HANDLES}
        self.groups = {each: [one["uuid"] for one in self.ask(each, "/api/message_groups")] for each in HANDLES}
        self.sent = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.send, args=(number,)) for number in range(SENDERS)]

    def ask(self, handle: str, path: str, body: dict[str, str] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[handle]}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=20) as answer:
            return json.load(answer)

    def send(self, number: int) -> None:
        handle = HANDLES[number % len(HANDLES)]
        groups = self.groups[handle]
        for count in range(MESSAGES // SENDERS):
            body = {"message": f"{number} {count}", "message_group_uuid": groups[count % len(groups)]}
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                # While the store is dead the application answers 503, or not at all.
                with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
                    self.ask(handle, "/api/messages", body)
                    break
                time.sleep(0.2)
            with self.lock:
                self.sent += 1

    def reached(self, share: float) -> None:
        """Wait until this share of all messages is sent."""
        end = time.monotonic() + PATIENCE_S
        while self.sent < share * MESSAGES:
            assert time.monotonic() < end, f"{self.sent} sent"
            time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectDir]:
    made = with_worker(tmp_path / "killed")
    file = made.path / "functions/group_rows.py"
    head = '    """Lambda\'s signature. `event`: records of the stream with new images."""\n'
    assert head in file.read_text()
    file.write_text(file.read_text().replace(head, head + NOTED.format(file=str(made.path / "notes"))))
    made.ok("up", timeout=240)
    yield made
    made.remove()


def kill(project: ProjectDir, name: str) -> None:
    service = next(one for one in project.json("status")["services"] if one["name"] == name)
    os.kill(int(service["pid"]), signal.SIGKILL)
    project.ok("up", timeout=240)


def stored(project: ProjectDir) -> dict[str, list[str]]:
    """Conversation -> the times of its messages, in order; of its group rows under `rows`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    with project.dynamodb(timeout=60.0) as dynamodb:
        for item in dynamodb.scan(TABLE):
            kind = "rows " if item["pk"]["S"].startswith("GRP#") else ""
            group = item["message_group_uuid"]["S"] if kind else item["pk"]["S"].removeprefix("MSG#")
            found[kind + group].append(item["sk"]["S"])
    return {group: sorted(times) for group, times in found.items()}


def handled(project: ProjectDir) -> dict[str, list[tuple[str, str]]]:
    """Conversation -> times and texts of the records that the function got, in that order, repeats included."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in (project.path / "notes").read_text().splitlines():
        key, moment, text = line.split(" ", 2)
        found[key.removeprefix("MSG#")].append((moment, text))
    return found


@pytest.mark.long
def test_every_stored_message_is_handled_in_order_through_kills(project: ProjectDir) -> None:
    before = stored(project)
    senders = Senders(project)
    for thread in senders.threads:
        thread.start()
    kills = ["group-rows"] * WORKER_KILLS + ["dynamodb"] * STORE_KILLS
    random = dice("stream kills")
    random.shuffle(kills)
    for number, name in enumerate(kills, 1):
        senders.reached(number / (len(kills) + 1))
        kill(project, name)
    for thread in senders.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    now = stored(project)
    new = {group: [t for t in times if t not in set(before[group])] for group, times in now.items() if group in before}
    end = time.monotonic() + PATIENCE_S
    while left := missed(new, handled(project)):
        assert time.monotonic() < end, f"not handled: {left[:5]} and {len(left)} in all"
        time.sleep(0.2)
    got = handled(project)
    for group, times in new.items():
        if group.startswith("rows "):
            continue
        # A record may come twice after a kill, and then all behind it come again: firsts are in order. Two senders'
        # messages are stored in another order than the application took their times; each sender's are one by one.
        firsts: defaultdict[str, list[int]] = defaultdict(list)
        for moment, text in dict.fromkeys(got[group]):
            if moment in set(times):
                sender, number = text.split()
                firsts[sender].append(int(number))
        assert sum(map(len, firsts.values())) == len(times)
        assert all(numbers == sorted(numbers) for numbers in firsts.values()), f"{group}: out of order"
    settle(project)


def missed(new: dict[str, list[str]], got: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The stored messages that the function has not got."""
    return [
        (group, moment)
        for group, times in new.items()
        if not group.startswith("rows ")
        for moment in set(times) - {moment for moment, _ in got.get(group, ())}
    ]


def settle(project: ProjectDir) -> None:
    """Both rows of each conversation show the newest message, in the end."""
    end = time.monotonic() + PATIENCE_S
    while True:
        now = stored(project)
        wrong = [g for g, times in now.items() if f"rows {g}" in now and set(now[f"rows {g}"]) != {times[-1]}]
        if not wrong:
            return
        assert time.monotonic() < end, f"rows do not show the newest message: {wrong}"
        time.sleep(0.2)
