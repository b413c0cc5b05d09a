"""Read the services' logs: the last lines, then what comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from devenv.config.masking import mask_text
from devenv.host.processes import tail
from devenv.render.cells import clean

POLL_S = 0.2


class LogFollower:
    """Several logs at once: `first` has their last lines as (service, line), `more` gives what was added since.

    Follows a log through its rotation: a file that became shorter is read from its beginning.
    """

    def __init__(self, files: Mapping[str, Path], lines: int) -> None:
        self._files = files
        self._places = {name: size(file) for name, file in files.items()}
        self._partial = dict.fromkeys(files, b"")
        self.first = [(name, shown(line)) for name, file in files.items() for line in tail(file, lines)]

    def more(self) -> list[tuple[str, str]]:
        """The whole lines that were added since it was last asked."""
        found: list[tuple[str, str]] = []
        for name, file in self._files.items():
            now = size(file)
            if now < self._places[name]:
                self._places[name] = 0
            if now > self._places[name]:
                with open(file, "rb") as handle:
                    handle.seek(self._places[name])
                    *complete, self._partial[name] = (self._partial[name] + handle.read()).split(b"\n")
                    self._places[name] = handle.tell()
                found += [(name, shown(raw.decode("utf-8", "replace"))) for raw in complete]
        return found


def read_logs(files: Mapping[str, Path], lines: int, follow: bool) -> Iterator[str]:
    """The last `lines` lines of each log, marked with the service's name when there are several; then what is added."""
    several = len(files) > 1
    follower = LogFollower(files, lines)
    found = follower.first
    while True:
        for name, line in found:
            yield f"{name} | {line}" if several else line
        if not follow:
            return
        time.sleep(POLL_S)
        found = follower.more()


def shown(line: str) -> str:
    """A line without secrets that cannot steer the terminal; it keeps its tabs."""
    return "\t".join(map(clean, mask_text(line.rstrip("\r")).split("\t")))


def size(file: Path) -> int:
    """Bytes in a file; 0 when there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
