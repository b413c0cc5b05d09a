"""The time limit of a command: one limit for all waits of the process, counted from the last progress.

`--timeout` sets it. A wait of a part has its own, shorter limit where one is known (`bound`); work that moves on
(`moved`: a lot of items was written, a page was read) may take as long as it needs, and so may work that is no wait:
a step's program, or a page that nobody looks at.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

DEFAULT_S: Final = 120.0
# A limit that is over still lets a call fail by its own, so that the error names what was asked.
LEAST_S: Final = 0.05
# So long the command's own error may take; it names more.
GRACE_S: Final = 0.7


class Deadline:
    """The limit of this process."""

    def __init__(self) -> None:
        self.begin(DEFAULT_S)

    def begin(self, limit_s: float) -> None:
        """Count from now on."""
        self.limit_s = limit_s
        self.doing = ""
        self.moved()

    def moved(self) -> None:
        """Note that something was done: the next wait is the first."""
        self._moved = time.monotonic()
        self._waits_since: float | None = None

    @contextlib.contextmanager
    def watch(self, late: Callable[[str], None] | None = None) -> Iterator[None]:
        """The time of one command: the limit ends with it, whoever's process that is.

        Call `late` from a thread, with what was waited for, when nothing moved for the limit and a moment more.
        """
        ended = threading.Event()

        def wait(late: Callable[[str], None]) -> None:
            while (left := self._moved + self.limit_s + GRACE_S - time.monotonic()) > 0:
                if ended.wait(min(left, 0.5)):
                    return
            late(self.doing)

        if late is not None:
            threading.Thread(target=wait, args=(late,), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            self.begin(DEFAULT_S)

    def left(self) -> float:
        """Seconds that may still be waited without progress."""
        now = time.monotonic()
        return (now if self._waits_since is None else self._waits_since) + self.limit_s - now

    def bound(self, own_s: float) -> float:
        """Seconds for one wait that begins now: `own_s`, or what is left if that is less."""
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        return max(LEAST_S, min(own_s, self.left()))


deadline = Deadline()
