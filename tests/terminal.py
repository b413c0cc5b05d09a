"""A real terminal for tests: a process on it, keys pressed, what it writes."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

LIMIT_S = 60.0
# The process opens its terminal by name, which makes it the terminal of its session: so Ctrl-C arrives.
OWNER = "import os, sys; os.open(os.ttyname(0), os.O_RDWR); os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass
class Terminal:
    """A process on a terminal: `keys` are pressed, `seen` is all that it wrote."""

    master: int
    process: subprocess.Popen[bytes]
    before: list[object]
    seen: str = ""
    _place: int = 0

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, words: str) -> str:
        """Wait until it writes these words; what it wrote since the last time, up to and with them."""
        return self._wait(lambda: self.seen.find(words, self._place) + len(words) if self._has(words) else None, words)

    def end(self) -> int:
        """Wait until it ends; its exit code. The terminal must be as it was before."""
        deadline = time.monotonic() + LIMIT_S
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.seen}"
            self._read(0.02)
        while self._read(0.0):
            pass
        assert termios.tcgetattr(self.master) == self.before
        return code

    @property
    def lines(self) -> list[str]:
        """What stands on the screen in the end: prompts are erased."""
        lines = self.seen.replace("\r\n", "\n").split("\n")
        return [line.rpartition("\r\x1b[K")[2] for line in lines]

    def _has(self, words: str) -> bool:
        return words in self.seen[self._place :]

    def _wait(self, found: Callable[[], int | None], what: str) -> str:
        deadline = time.monotonic() + LIMIT_S
        while (place := found()) is None:
            assert time.monotonic() < deadline, f"waited in vain for {what!r}:\n{self.seen}"
            if not self._read(0.2):
                assert self.process.poll() is None or found(), f"it ended without {what!r}:\n{self.seen}"
        text, self._place = self.seen[self._place : place], place
        return text

    def _read(self, seconds: float) -> bool:
        """Take what it wrote, waiting at most so long for it; whether there was something."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        self.seen += os.read(self.master, 65536).decode() if ready else ""
        return bool(ready)


@contextmanager
def open_terminal(
    command: Sequence[str], environ: Mapping[str, str], width: int = 80, height: int = 24
) -> Iterator[Terminal]:
    """A command on a terminal of its own, without colours."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    before = termios.tcgetattr(master)
    kept = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**kept, "NO_COLOR": "1"},
    )
    # This side of the slave stays open: a terminal that nobody has open loses its settings.
    try:
        yield Terminal(master, process, before)
    finally:
        os.close(slave)
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
