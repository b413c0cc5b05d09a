"""Traces while messages are sent: what was written in between is no fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.faults.trace.bench import GROUP, Bench
from tests.support import FULL

PER_SECOND = 5


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("writers") / "project")
    yield made
    made.close()


@pytest.fixture
def writer(bench: Bench) -> Iterator[list[int]]:
    """Messages are sent during the test; the statuses of the answers."""
    over = threading.Event()
    sent: list[int] = []

    def write() -> None:
        while not over.wait(1 / PER_SECOND):
            body = {"message_group_uuid": GROUP, "message": f"message {len(sent)}"}
            sent.append(bench.ask("/api/messages", ("ines", "rafael")[len(sent) % 2], body)["status"])

    thread = threading.Thread(target=write)
    thread.start()
    yield sent
    over.set()
    thread.join()
    bench.restore()


@pytest.mark.parametrize("times", [4, pytest.param(200 if FULL else 30, marks=pytest.mark.long)])
def test_a_writer_gives_no_alarm(bench: Bench, writer: list[int], times: int) -> None:
    verdicts = [bench.trace("conversation", GROUP)["verdict"] for _ in range(times)]
    assert [one["summary"] for one in verdicts if one["status"] == "diverged"] == []
    assert len(writer) > times, "somebody wrote"
    assert set(writer) == {200}
