"""The application's source files that are newer than its process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devenv.host.source_files import LIMIT, keep_digests, read_digests
from devenv.trace.sources import changed_since

STARTED = 1_000_000.0


def write(folder: Path, name: str, later_s: float) -> None:
    """A file that was changed so many seconds after the start."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (STARTED + later_s, STARTED + later_s))


def test_the_newest_changed_source_is_named(tmp_path: Path) -> None:
    write(tmp_path, "app/main.py", 5)
    write(tmp_path, "app/routes/users.ts", 9)
    write(tmp_path, "app/old.py", -5)
    write(tmp_path, "app/data.json", 20)
    assert changed_since(tmp_path, STARTED, frozenset()) == os.path.join("app", "routes", "users.ts")


@pytest.mark.parametrize(
    "name",
    ["app/old.py", "node_modules/x/index.js", "tests/test_app.py", ".git/hook.py", "env/lib/x.py", "seeds/load.py"],
)
def test_what_the_application_does_not_run_is_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, -5 if name == "app/old.py" else 5)
    write(tmp_path, "env/pyvenv.cfg", 5)
    assert changed_since(tmp_path, STARTED, frozenset([tmp_path / "seeds"])) is None


def test_a_large_folder_is_read_from_above_and_not_to_its_end(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for number in range(LIMIT):
        (tmp_path / "a" / f"{number}.txt").touch()
    write(deep, "late.py", 5)
    assert changed_since(tmp_path, STARTED, frozenset()) is None
    write(tmp_path, "near.py", 5)
    assert changed_since(tmp_path, STARTED, frozenset()) == "near.py"


def test_a_change_right_after_the_start_may_have_been_read_by_it(tmp_path: Path) -> None:
    write(tmp_path, "main.py", 0.1)
    assert changed_since(tmp_path, STARTED, frozenset()) is None
    write(tmp_path, "main.py", 0.5)
    assert changed_since(tmp_path, STARTED, frozenset()) == "main.py"


def test_a_correction_with_an_old_time_is_found_by_its_digest(tmp_path: Path) -> None:
    folder, record = tmp_path / "app", tmp_path / "sources.json"
    for name in ("main.py", "other.py"):
        write(folder, name, -50)
    keep_digests(folder, record)
    started = time.time() - 10
    assert changed_since(folder, started, frozenset(), read_digests(record)) is None
    # Its mode alone is no change of the code.
    (folder / "other.py").chmod(0o600)
    assert changed_since(folder, started, frozenset(), read_digests(record)) is None
    (folder / "main.py").write_text("y")
    os.utime(folder / "main.py", (STARTED, STARTED))
    assert changed_since(folder, started, frozenset(), read_digests(record)) == "main.py"
    # A process that was started after that has read it.
    later = time.time() + 10
    assert changed_since(folder, later, frozenset(), read_digests(record)) is None
    # The next start remembers it.
    keep_digests(folder, record)
    assert changed_since(folder, started, frozenset(), read_digests(record)) is None


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_without_a_usable_record_the_times_decide(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.json").write_text(text)
    write(tmp_path, "main.py", 5)
    digests = read_digests(tmp_path / "sources.json")
    assert changed_since(tmp_path, STARTED, frozenset(), digests) == "main.py"
