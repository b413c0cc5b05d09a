"""Read the services' logs: the last lines with their times, merged, then new lines as they are written."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from devenv.config.masking import mask_text
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.host.processes import tail
from devenv.render.cells import clean

POLL_S = 0.2
# How much of a log's end is read: for its last lines, and to search it.
TAIL_BYTES, SEARCH_BYTES = 256 * 1024, 16 * 1024 * 1024
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Colours and styles, which a terminal may have; nothing else of a log steers it.
STYLES: Final = late(r"\x1b\[[0-9;:]*m")


class LogLine(msgspec.Struct, frozen=True):
    """One line of one service's log, ready to be shown. `at`: epoch seconds, as exact as the clock noted it."""

    service: str
    at: float
    text: str


class LogFilter(msgspec.Struct, frozen=True):
    """Which lines are wanted: the last `lines` of each log, not before `since` (epoch seconds), with a `pattern`.

    `styles`: colours stay in.
    """

    lines: int | None = 50
    since: float | None = None
    pattern: re.Pattern[str] | None = None
    styles: bool = False

    def matches(self, line: LogLine) -> bool:
        """Return True if a line is wanted, whatever its number."""
        if self.since is not None and line.at < self.since:
            return False
        return self.pattern is None or self.pattern.search(STYLES.sub("", line.text)) is not None


class LogFollower:
    """Several logs at once: `first` has their last lines as (service, line), `more` gives what was added since.

    Follows a log through its rotation: a file that became shorter is read from its beginning.
    """

    def __init__(self, files: Mapping[str, Path], lines: int, styles: bool = False) -> None:
        self._files = files
        self._styles = styles
        self._places = {name: size(file) for name, file in files.items()}
        self._partial = dict.fromkeys(files, b"")
        self.first = [(name, shown(line, styles)) for name, file in files.items() for line in tail(file, lines)]

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
                found += [(name, shown(raw.decode("utf-8", "replace"), self._styles)) for raw in complete]
        return found


def read_logs(files: Mapping[str, Path], wanted: LogFilter, follow: bool) -> Iterator[str]:
    """The wanted lines of all logs by their time, each with time and service; then what is added."""
    follower = LogFollower(files, 0, wanted.styles)
    wide = max(map(len, files), default=0)
    today = datetime.now().astimezone().date()
    for line in history(files, wanted):
        yield form(line, wide, today)
    while follow:
        time.sleep(POLL_S)
        at = time.time()
        for name, text in follower.more():
            line = LogLine(name, at, text)
            if wanted.matches(line):
                yield form(line, wide, today)


def history(files: Mapping[str, Path], wanted: LogFilter) -> list[LogLine]:
    """The wanted lines that the logs have now, all of them in the order of their times."""
    found: list[LogLine] = []
    for name, file in files.items():
        searched = wanted.since is not None or wanted.pattern is not None
        # Without a search the last lines are those wanted: the thousands before them need not be masked.
        most, last = (SEARCH_BYTES, None) if searched else (TAIL_BYTES, wanted.lines)
        lines = [line for line in timed_lines(name, file, most, last, wanted.styles) if wanted.matches(line)]
        found += lines if wanted.lines is None else lines[len(lines) - min(wanted.lines, len(lines)) :]
    # Lines of one log keep their order: the sort is stable, and their times never go back.
    return sorted(found, key=lambda line: line.at)


def timed_lines(service: str, file: Path, most: int, last: int | None, styles: bool) -> list[LogLine]:
    """The lines in the last `most` bytes of a log, with their times; only the `last` of them, unless it is None."""
    try:
        with open(file, "rb") as handle:
            end = handle.seek(0, 2)
            start = max(0, end - most)
            handle.seek(start)
            content = handle.read()
            changed = file.stat().st_mtime
    except OSError:
        return []
    if start:
        skipped = content.find(b"\n") + 1
        start, content = start + skipped, content[skipped:]
    offsets, times = read_times(file)
    found = []
    raws = content.splitlines(keepends=True)
    if last is not None and len(raws) > last:
        left = len(raws) - last
        start += sum(map(len, raws[:left]))
        del raws[:left]
    for raw in raws:
        place = bisect_right(offsets, start)
        at = times[place - 1] if place else times[0] if times else changed
        found.append(LogLine(service, at, shown(raw.decode("utf-8", "replace").rstrip("\n"), styles)))
        start += len(raw)
    return found


def read_times(file: Path) -> tuple[list[int], list[float]]:
    """The notes of the clock on a log: bytes, and when what follows them was written."""
    offsets: list[int] = []
    times: list[float] = []
    try:
        text = Path(f"{file}.times").read_text("ascii", "replace")
    except OSError:
        return [], []
    for line in text.splitlines():
        offset, _, at = line.partition(" ")
        try:
            place, moment = int(offset), float(at)
        except ValueError:
            continue
        if offsets and place < offsets[-1]:
            # The log was begun anew.
            offsets, times = [], []
        offsets.append(place)
        times.append(max(moment, times[-1]) if times else moment)
    return offsets, times


def form(line: LogLine, wide: int, today: object) -> str:
    """A line as it is printed: time, service, text."""
    at = datetime.fromtimestamp(line.at).astimezone()
    told = f"{at:%H:%M:%S}.{at.microsecond // 100_000}"
    day = "" if at.date() == today else f"{at:%Y-%m-%d} "
    return f"{day}{told} {line.service:<{wide}} | {line.text}"


def parse_since(text: str, now: float) -> float:
    """`10m`, `2h`, or a moment (ISO 8601, local time without a zone) as epoch seconds. UsageError for others."""
    if found := re.fullmatch(r"(\d{1,9})\s*([smhd])", text.strip()):
        return now - int(found[1]) * UNITS[found[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text!r} is neither a duration nor a time", hint="--since 10m, 2h, 1d or 2026-01-31T09:00"
        ) from None


def parse_pattern(text: str) -> re.Pattern[str]:
    """A regular expression. UsageError for what is none."""
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--grep {text!r} is not a regular expression", detail=str(error)) from None


def shown(line: str, styles: bool = False) -> str:
    """A line without secrets that cannot steer the terminal; it keeps its tabs, and with `styles` its colours."""
    masked = mask_text(line.rstrip("\r"))
    if not styles:
        return cleaned(STYLES.sub("", masked))
    parts = STYLES.split(masked)
    kept = [*STYLES.findall(masked), ""]
    text = "".join(cleaned(part) + style for part, style in zip(parts, kept, strict=True))
    return f"{text}\x1b[0m" if len(kept) > 1 else text


def cleaned(text: str) -> str:
    """Control characters as escapes, but for tabs."""
    return "\t".join(map(clean, text.split("\t")))


def size(file: Path) -> int:
    """Bytes in a file; 0 when there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
