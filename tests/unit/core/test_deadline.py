"""The limit of a command: its watch ends with the command, whoever's process that is."""

from __future__ import annotations

import threading
import time

from devenv.core.deadline import GRACE_S, LEAST_S, Deadline


def test_the_watch_tells_what_was_waited_for() -> None:
    deadline, told, late = Deadline(), [], threading.Event()
    deadline.begin(-GRACE_S)
    deadline.doing = "a store"

    def leave(doing: str) -> None:
        told.append(doing)
        late.set()

    with deadline.watch(leave):
        assert late.wait(5)
    assert told == ["a store"]


def test_the_watch_ends_with_the_command() -> None:
    deadline, late = Deadline(), threading.Event()
    deadline.begin(0.1)
    with deadline.watch(lambda doing: late.set()):
        pass
    assert not late.wait(0.1 + 2 * GRACE_S)


def test_the_limit_ends_with_the_command() -> None:
    deadline = Deadline()
    with deadline.watch():
        deadline.begin(0.001)
        assert deadline.bound(10) < 1
    assert deadline.bound(10) == 10


def test_only_waits_count_and_all_of_them_until_something_moves() -> None:
    deadline = Deadline()
    deadline.begin(0.5)
    time.sleep(0.6)  # a step's program at work, or a page that nobody looks at
    assert deadline.bound(10) > 0.4
    time.sleep(0.6)
    assert deadline.bound(10) == LEAST_S
    deadline.moved()
    assert deadline.bound(10) > 0.4
