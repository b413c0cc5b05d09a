"""How the read of the stores' items gets on: a check waits for one that takes long, and not for one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

# A page that took longer is no progress: a store that gives one at a time, slowly, would hold a check for hours.
SLOW_S: Final = 2.0
Value = TypeVar("Value")


class ReadProgress:
    """The progress of the shared facts, and which threads wait for them. Every method may be called by any thread."""

    def __init__(self) -> None:
        self._waited: set[threading.Thread] = set()
        self._judging = 0
        self._at = 0.0
        self._lock = threading.Lock()

    def needed(self, read: Callable[[], Value]) -> Callable[[], Value]:
        """`read`, and a note that the thread that calls it needs the items."""

        def noted() -> Value:
            self._waited.add(threading.current_thread())
            return read()

        return noted

    def concerns(self, thread: threading.Thread) -> bool:
        """Return True if this thread has needed the items."""
        return thread in self._waited

    def step(self) -> None:
        """Note that a part was read."""
        self._at = time.monotonic()

    def pages(self, pages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield pages as they are; each that came soon is progress."""
        asked = time.monotonic()
        for page in pages:
            now = time.monotonic()
            if now - asked < SLOW_S:
                self._at = now
            yield page
            asked = time.monotonic()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Judge what was read, for a block: nothing is waited for, so all of it is progress."""
        with self._lock:
            self._judging += 1
        try:
            yield
        finally:
            with self._lock:
                self._judging -= 1
            self._at = time.monotonic()

    def progressed_at(self) -> float:
        """Return when something was last read or judged (monotonic seconds)."""
        return time.monotonic() if self._judging else self._at
