"""`devenv logs`: lines of several logs by their time, since a moment, by a pattern, with colours on a terminal only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.host import log_clock
from devenv.lifecycle.logs import LogFilter, history, parse_pattern, parse_since, read_logs, read_times, shown

RED = "\x1b[31m"


def write(log: Path, *parts: tuple[float, str]) -> Path:
    """A log, of which each part was written at a time, as the clock notes it."""
    for at, text in parts:
        log_clock.note(str(log), log.stat().st_size if log.exists() else 0, at)
        with open(log, "ab") as file:
            file.write(text.encode())
    return log


def test_lines_of_all_logs_are_merged_by_time(tmp_path: Path) -> None:
    one = write(tmp_path / "one.log", (100.0, "a1\na2\n"), (300.0, "a3\n"))
    two = write(tmp_path / "two.log", (200.0, "b1\n"), (400.0, "b2"))
    found = history({"one": one, "two": two}, LogFilter())
    assert [(line.text, line.at) for line in found] == [
        ("a1", 100.0),
        ("a2", 100.0),
        ("b1", 200.0),
        ("a3", 300.0),
        ("b2", 400.0),
    ]
    printed = list(read_logs({"one": one, "two": two}, LogFilter(1), follow=False))
    assert [re.sub(r"^\S+ (\d\d:){2}\d\d\.\d ", "", line) for line in printed] == ["one | a3", "two | b2"]


def test_since_and_pattern_choose_lines(tmp_path: Path) -> None:
    log = write(tmp_path / "one.log", (100.0, "GET /a 200\n"), (200.0, "GET /b 500\n"), (300.0, "GET /c 200\n"))
    files = {"one": log}
    assert [line.text for line in history(files, LogFilter(since=150.0))] == ["GET /b 500", "GET /c 200"]
    assert [line.text for line in history(files, LogFilter(pattern=parse_pattern(r" 2\d\d$")))] == [
        "GET /a 200",
        "GET /c 200",
    ]
    assert history(files, LogFilter(since=301.0)) == []
    assert history(files, LogFilter(lines=0)) == []


@pytest.mark.parametrize("lines", [0, 1, 2, 9])
def test_the_last_lines_keep_their_own_times(tmp_path: Path, lines: int) -> None:
    log = write(tmp_path / "one.log", (100.0, "a1\na2\n"), (200.0, "b1\nb2"))
    known = [("a1", 100.0), ("a2", 100.0), ("b1", 200.0), ("b2", 200.0)]
    found = history({"one": log}, LogFilter(lines))
    assert [(line.text, line.at) for line in found] == (known[-lines:] if lines else [])


def test_a_log_that_was_begun_again_has_new_times(tmp_path: Path) -> None:
    log = write(tmp_path / "one.log", (100.0, "x" * 50 + "\n"), (150.0, "old\n"))
    log.write_bytes(b"")
    write(log, (200.0, "new\n"), (250.0, "newer\n"))
    assert read_times(log) == ([0, 4], [200.0, 250.0])
    assert [line.at for line in history({"one": log}, LogFilter())] == [200.0, 250.0]


def test_a_log_without_times_has_that_of_its_file(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("line\n")
    os.utime(log, (500.0, 500.0))
    assert [line.at for line in history({"one": log, "none": tmp_path / "none.log"}, LogFilter())] == [500.0]
    Path(f"{log}.times").write_text("nonsense\n3\n-1 x\n")
    assert [line.at for line in history({"one": log}, LogFilter())] == [500.0]


def test_spans_and_moments() -> None:
    assert parse_since("10m", 1000.0) == 400.0
    assert parse_since("2h", 10_000.0) == 2800.0
    assert parse_since("1970-01-01T00:01:00+00:00", 0.0) == 60.0
    for text in ("", "10", "m", "-5m", "soon", "10 weeks", "1e9s"):
        with pytest.raises(UsageError):
            parse_since(text, 0.0)
    with pytest.raises(UsageError, match="not a regular expression"):
        parse_pattern("(")


def test_colours_stay_for_a_terminal_and_nothing_else_steers_it() -> None:
    line = f"{RED}error\x1b[0m\x1b[2J\x1b]0;title\x07 done"
    assert shown(line) == "error\\x1b[2J\\x1b]0;title\\x07 done"
    assert shown(line, styles=True) == f"{RED}error\x1b[0m\\x1b[2J\\x1b]0;title\\x07 done\x1b[0m"
    # A pattern is compared with what is read, not with its colours.
    assert shown("a\tb", styles=True) == "a\tb"


def test_the_clock_notes_what_grows_and_ends_with_the_project(tmp_path: Path) -> None:
    logs, state = tmp_path / "logs", tmp_path / "state.json"
    logs.mkdir()
    (logs / "old.log").write_text("old\n")
    (logs / "contained.since").write_text("")
    (logs / "link.log").symlink_to("/dev/zero")
    code = f"from devenv.host import log_clock as c; c.GRACE_S = c.CHECK_S = 0.2; c.main({str(logs)!r}, {str(state)!r})"
    state.write_text('{"services": {"a": {"started": "now"}}}')
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", code]) as clock:
        deadline = time.monotonic() + 20
        try:
            # Only once it looks is a line of its own a growth.
            while not read_times(logs / "old.log")[0] and time.monotonic() < deadline:
                with open(logs / "old.log", "a") as file:
                    file.write("new\n")
                time.sleep(0.3)
            assert read_times(logs / "old.log")[0][0] >= 4
            (logs / "contained.log").write_text("has its own times\n")
            (logs / "new.log").write_text("first\n")
            while not read_times(logs / "new.log")[0] and time.monotonic() < deadline:
                time.sleep(0.02)
            offsets, times = read_times(logs / "new.log")
            assert offsets == [0]
            assert began <= times[0] <= time.time()
            assert not (logs / "contained.log.times").exists()
            assert clock.poll() is None
            state.write_text('{"services": {"a": {"started": null}}}')
            assert clock.wait(20) == 0
        finally:
            clock.kill()


def test_times_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_clock, "LIMIT", 200)
    log = tmp_path / "one.log"
    for number in range(100):
        log_clock.note(str(log), number * 10, 1000.0 + number)
    assert Path(f"{log}.times").stat().st_size < 250
    offsets, times = read_times(log)
    assert (offsets[-1], times[-1]) == (990, 1099.0)
    assert all(offset == (at - 1000.0) * 10 for offset, at in zip(offsets, times, strict=True))
