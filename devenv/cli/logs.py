"""Read the services' logs: the last lines, then what comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from devenv.config.masking import mask_text
from devenv.host.processes import tail
from devenv.render.cells import clean

POLL_S = 0.2


def read_logs(files: Mapping[str, Path], lines: int, follow: bool) -> Iterator[str]:
    """The last `lines` lines of each log, marked with the service's name when there are several; then what is added.

    Follows a log through its rotation: a file that became shorter is read from its beginning.
    """
    several = len(files) > 1
    places = {name: size(file) for name, file in files.items()}
    for name, file in files.items():
        for line in tail(file, lines):
            yield f"{name} | {shown(line)}" if several else shown(line)
    partial = dict.fromkeys(files, b"")
    while follow:
        for name, file in files.items():
            now = size(file)
            if now < places[name]:
                places[name] = 0
            if now > places[name]:
                with open(file, "rb") as handle:
                    handle.seek(places[name])
                    *complete, partial[name] = (partial[name] + handle.read()).split(b"\n")
                    places[name] = handle.tell()
                for raw in complete:
                    line = shown(raw.decode("utf-8", "replace"))
                    yield f"{name} | {line}" if several else line
        time.sleep(POLL_S)


def shown(line: str) -> str:
    """A line without secrets that cannot steer the terminal; it keeps its tabs."""
    return "\t".join(map(clean, mask_text(line.rstrip("\r")).split("\t")))


def size(file: Path) -> int:
    """Bytes in a file; 0 when there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
