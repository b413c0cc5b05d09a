"""How long this command waits: one limit for every wait of the process, counted from the last progress.

`--timeout` sets it. A wait of a part has its own, shorter limit where one is known (`bound`); work that moves on
(`moved`: a lot of items was written, a page was read) may take as long as it needs.
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
        self.limit_s = DEFAULT_S
        self.doing = "nothing yet"
        self._since = time.monotonic()

    def begin(self, limit_s: float) -> None:
        """Count from now on."""
        self.limit_s = limit_s
        self._since = time.monotonic()

    def moved(self) -> None:
        """Note that something was done."""
        self._since = time.monotonic()

    @contextlib.contextmanager
    def watch(self, late: Callable[[str], None]) -> Iterator[None]:
        """Inside, call `late` from a thread, with what was waited for, when the limit has been over for a second."""
        ended = threading.Event()

        def wait() -> None:
            while (left := self.left() + GRACE_S) > 0:
                if ended.wait(min(left, 0.5)):
                    return
            late(self.doing)

        threading.Thread(target=wait, daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def left(self) -> float:
        """Seconds that may still pass without progress."""
        return self._since + self.limit_s - time.monotonic()

    def bound(self, own_s: float) -> float:
        """Seconds for one wait: `own_s`, or what is left if that is less."""
        return max(LEAST_S, min(own_s, self.left()))


deadline = Deadline()
