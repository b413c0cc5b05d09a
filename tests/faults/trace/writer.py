"""Traces while both members of a conversation send messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.trace.bench import GROUP, Bench

PER_SECOND = 5
SENDERS = ("ines", "rafael")
# After so many traces the messages are deleted: a trace reads them all, and would take longer with every message.
ROUND = 20
SUBJECTS = (("conversation", GROUP), ("conversations", "--user", "ines"))


@dataclass
class Beside:
    """What was traced beside the writer: how many, what was sent in that time, and every alarm."""

    traces: int = 0
    sent: int = 0
    seconds: float = 0.0
    refused: list[Any] = field(default_factory=list)
    alarms: list[tuple[Any, ...]] = field(default_factory=list)

    def __str__(self) -> str:
        pace = self.sent / self.seconds if self.seconds else 0.0
        return f"{self.traces} traces, {pace:.2f} messages a second, {len(self.alarms)} alarms"


def beside_a_writer(bench: Bench, times: int) -> Beside:
    """Trace both subjects in turns, `times` in all."""
    beside = Beside()
    while beside.traces < times:
        with writer(bench, beside):
            for number in range(min(ROUND, times - beside.traces)):
                verdict = bench.trace(*SUBJECTS[number % 2])["verdict"]
                if verdict["status"] == "diverged":
                    beside.alarms.append((verdict["layer"], verdict["summary"], verdict["cause"]))
                beside.traces += 1
        bench.restore()
    return beside


@contextmanager
def writer(bench: Bench, beside: Beside) -> Iterator[None]:
    """Both members send within the block; a message that is late is sent at once."""
    over = threading.Event()
    statuses: list[Any] = []
    begin = time.monotonic()

    def write(handle: str) -> None:
        number = 0
        while not over.wait(max(0.0, begin + number * len(SENDERS) / PER_SECOND - time.monotonic())):
            number += 1
            body = {"message_group_uuid": GROUP, "message": f"message {number}"}
            statuses.append(bench.ask("/api/messages", handle, body)["status"])

    threads = [threading.Thread(target=write, args=(handle,)) for handle in SENDERS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        beside.seconds += time.monotonic() - begin
        for thread in threads:
            thread.join()
        beside.sent += len(statuses)
        beside.refused += [status for status in statuses if status != 200]
