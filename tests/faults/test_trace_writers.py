"""Traces while messages are sent: what was written in between is no fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.trace.bench import GROUP, Bench
from tests.support import FULL

PER_SECOND = 5
SENDERS = ("ines", "rafael")
# After each round its messages are deleted: a trace reads them all, and would take longer with every message.
TRACES = 20
ROUNDS = 10 if FULL else 1


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("writers") / "project", *request.param)
    yield made
    made.close()


@pytest.fixture
def writer(bench: Bench) -> Iterator[list[int]]:
    """Both members send messages during the test; the statuses of the answers."""
    over = threading.Event()
    sent: list[int] = []
    begin = time.monotonic()

    def write(handle: str) -> None:
        number = 0
        while not over.wait(max(0.0, begin + number * len(SENDERS) / PER_SECOND - time.monotonic())):
            number += 1
            body = {"message_group_uuid": GROUP, "message": f"message {number}"}
            sent.append(bench.ask("/api/messages", handle, body)["status"])

    threads = [threading.Thread(target=write, args=(handle,)) for handle in SENDERS]
    for thread in threads:
        thread.start()
    yield sent
    over.set()
    for thread in threads:
        thread.join()
    bench.restore()


LONG = [pytest.param(TRACES, marks=pytest.mark.long, id=f"{TRACES}, {number}") for number in range(ROUNDS)]


@pytest.mark.parametrize(
    "bench", [[], pytest.param(["--tap"], marks=pytest.mark.long)], ids=["direct", "tapped"], indirect=True
)
@pytest.mark.parametrize("times", [4, *LONG])
def test_a_writer_gives_no_alarm(bench: Bench, writer: list[int], times: int) -> None:
    subjects = (("conversation", GROUP), ("conversations", "--user", "ines"))
    verdicts = [bench.trace(*subjects[number % 2])["verdict"] for number in range(times)]
    assert [(one["layer"], one["summary"], one["cause"]) for one in verdicts if one["status"] == "diverged"] == []
    assert len(writer) > times, "somebody wrote"
    assert set(writer) == {200}
