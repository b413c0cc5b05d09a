"""The limit of a command: its watch ends with the command, whoever's process that is."""

from __future__ import annotations

import threading

from devenv.core.deadline import GRACE_S, Deadline


def test_the_watch_tells_what_was_waited_for() -> None:
    deadline, told, late = Deadline(), [], threading.Event()
    deadline.doing = "a store"
    deadline.begin(-GRACE_S)

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
