"""Files that a command is asked to write: never through a link, over another kind of file, into a pipe (36-38, 41)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import ProjectDir

TRACE = ("trace", "conversations", "--user", "andrew")
WRITES = {
    "bundle": ("doctor", "--only", "ENV", "--bundle"),
    "trace-html": (*TRACE, "--html"),
    "trace-otlp": (*TRACE, "--otlp"),
    "matrix": ("patterns", "matrix", "--html"),
    "findings": ("verify", "--findings"),
    "plan": ("verify", "--plan"),
    "policy": ("policy", "person", "--out"),
    "items": ("ddb", "export", "cruddur-messages"),
    "requests": ("requests", "--otlp"),
}


@pytest.fixture(scope="module")
def snapshot(running: ProjectDir) -> str:
    running.ok("snapshot", "save", "attacked")
    return "attacked"


def words_of(name: str) -> tuple[str, ...]:
    return ("snapshot", "export", "attacked") if name == "archive" else WRITES[name]


@pytest.mark.parametrize("name", [*WRITES, "archive"])
@pytest.mark.matrix(4)
def test_a_file_is_written_in_its_own_place_only(running: ProjectDir, snapshot: str, tmp_path: Path, name: str) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    for kind in ("link", "dangling link", "pipe", "other file"):
        out.unlink(missing_ok=True)
        victim.unlink(missing_ok=True)
        match kind:
            case "link":
                victim.write_text("mine")
                out.symlink_to(victim)
            case "dangling link":
                out.symlink_to(victim)
            case "pipe":
                os.mkfifo(out)
            case "other file":
                out.write_text("mine")
        before = out.lstat()
        ran = running.devenv(*words_of(name), str(out), timeout=60)
        assert ran.code == 2, (kind, ran.all)
        assert "Traceback" not in ran.all
        after = out.lstat()
        assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size), kind
        assert victim.exists() == (kind == "link")
        assert kind != "link" or victim.read_text() == "mine"
        assert sorted(each.name for each in tmp_path.iterdir()) == (["out", "victim"] if kind == "link" else ["out"])


@pytest.mark.parametrize("name", ["bundle", "trace-html", "matrix", "findings", "items"])
@pytest.mark.matrix(3)
def test_what_holds_data_is_its_owners(running: ProjectDir, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    before = os.umask(0)
    try:
        running.devenv(*words_of(name), str(out), timeout=60)
        running.devenv(*words_of(name), str(out), timeout=60)
    finally:
        os.umask(before)
    assert out.lstat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
