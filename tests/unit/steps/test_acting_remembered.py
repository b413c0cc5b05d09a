"""SQL files are searched once for statements that need trust, and again when anything that decides about it changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.steps import stamps
from devenv.steps.setup import acting

PLAIN = "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"
READS = "COPY a FROM '/data/rows.csv';\n"
PROGRAM = "COPY a FROM PROGRAM 'id';\n"
COMPOSE = "services: {db: {volumes: ['./rows:/data']}}\n"


class Folder:
    def __init__(self, place: Path) -> None:
        self.root = place / "project"
        self.kept = place / "kept" / "sql.json"
        (self.root / "rows").mkdir(parents=True)
        (self.root / "rows/rows.csv").write_text("1\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def ask(self, *names: str) -> list[str]:
        settings = msgspec.convert(
            {"project": {"name": "x"}, "steps": {"setup": {"files": list(names or ("a.sql",))}}}, Settings
        )
        return [str(each) for each in acting.acting_commands(settings, self.root, self.kept)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the files were read again")


@pytest.mark.parametrize("text", [PLAIN, PLAIN + PROGRAM], ids=["plain", "acting"])
def test_files_that_did_not_change_are_not_searched_again(
    folder: Folder, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("a.sql", text)
    first = folder.ask()
    assert len(first) == text.count("PROGRAM")
    monkeypatch.setattr(acting, "read_named", refuse)
    assert folder.ask() == first
    # A large one is not even hashed.
    monkeypatch.setattr(stamps, "WHOLE_BYTES", 0)
    monkeypatch.setattr(stamps, "digest_of", refuse)
    assert folder.ask() == first


def keep_times(folder: Folder) -> None:
    """The same size and file time: only the time of the change itself differs."""
    before = (folder.root / "a.sql").stat()
    folder.write("a.sql", f"{PROGRAM:<{before.st_size}}")
    os.utime(folder.root / "a.sql", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "change",
    [lambda folder: folder.write("a.sql", PLAIN + PROGRAM), keep_times],
    ids=["rewritten", "same size and time"],
)
def test_a_changed_file_is_searched_again(
    folder: Folder, change: Callable[[Folder], None], large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(stamps, "WHOLE_BYTES", 0)
    folder.write("a.sql", PLAIN)
    assert folder.ask() == []
    change(folder)
    [found] = folder.ask()
    assert "COPY a FROM PROGRAM" in found


def test_a_changed_file_that_another_one_includes_is_searched_again(folder: Folder) -> None:
    folder.write("a.sql", PLAIN + "\\i b.sql\n")
    folder.write("b.sql", PLAIN.replace(" a", " b"))
    assert folder.ask() == []
    folder.write("b.sql", PROGRAM)
    assert len(folder.ask()) == 1
    (folder.root / "b.sql").unlink()
    assert folder.ask() == []


def test_a_mounted_folder_that_goes_is_noticed(folder: Folder) -> None:
    folder.write("a.sql", PLAIN + READS + PROGRAM)
    folder.write("compose.yaml", COMPOSE)
    assert len(folder.ask()) == 1
    (folder.root / "compose.yaml").unlink()
    # The step refuses the files then, before anything of them runs.
    assert folder.ask() == []


def test_another_file_of_the_settings_is_searched(folder: Folder) -> None:
    folder.write("a.sql", PLAIN)
    folder.write("z.sql", PROGRAM)
    assert folder.ask() == []
    assert len(folder.ask("a.sql", "z.sql")) == 1


@pytest.mark.parametrize("text", ["", "{", '{"key": 1}', "\0"])
def test_a_damaged_record_is_replaced(folder: Folder, text: str) -> None:
    folder.write("a.sql", PROGRAM)
    found = folder.ask()
    folder.kept.write_text(text)
    assert folder.ask() == found
    assert folder.kept.stat().st_size > len(text)
