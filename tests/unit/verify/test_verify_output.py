"""The files that `verify` is asked to write are looked at before anything is read, and nothing is lost by them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.core.events import Watch
from devenv.core.model import DynamoTarget, PostgresTarget, Targets
from devenv.host.writing import replacing
from devenv.verify.compare import verify
from devenv.verify.context import Context, VerifyOptions
from devenv.verify.journal import RepairJournal, journal_path
from devenv.verify.output import FINDINGS, PLAN, check_output
from devenv.verify.plan import PlanHead
from devenv.verify.repair_plan import read_plan
from devenv.verify.run import StoreIdentity
from tests.shapes import messaging_settings


def refused(folder: Path, **files: Path) -> UsageError:
    """The refusal of these files; were they taken, the stores would not answer."""
    nowhere = Targets.of(PostgresTarget("127.0.0.1", 1, "x", "x"), DynamoTarget("http://127.0.0.1:1", "x", "x", "x"))
    context = Context(msgspec.convert(messaging_settings("t", "x"), Settings), nowhere, folder / "state")
    with pytest.raises(UsageError) as caught:
        verify(context, VerifyOptions(**files), Watch())
    assert not (folder / "state" / "verify").exists()
    return caught.value


@pytest.mark.parametrize("option", ["plan", "findings"])
def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path, option: str) -> None:
    missing = refused(tmp_path, **{option: tmp_path / "no" / "file"}).failure
    assert (missing.detail, missing.hint) == (f"there is no folder {tmp_path}/no", f"mkdir -p {tmp_path}/no")
    assert "is a folder" in refused(tmp_path, **{option: tmp_path}).what
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is a pipe" in refused(tmp_path, **{option: pipe}).what


@pytest.mark.parametrize("option", ["plan", "findings"])
def test_a_file_that_holds_something_else_is_kept(tmp_path: Path, option: str) -> None:
    file = tmp_path / "devenv.toml"
    file.write_text("[project]\n")
    assert refused(tmp_path, **{option: file}).detail == "it has other content, which would be lost"
    assert file.read_text() == "[project]\n"


def test_one_file_for_both_is_refused(tmp_path: Path) -> None:
    same = tmp_path / "." / "file"
    assert "cannot be both" in refused(tmp_path, plan=tmp_path / "file", findings=same).what


def test_a_plan_that_was_applied_is_kept_until_it_is_taken_back(tmp_path: Path) -> None:
    head: dict[str, Any] = {"report": "", "target": StoreIdentity("1", "x", {}), "rows": {}, "loss": 0, "classes": {}}
    path = tmp_path / "plan"
    path.write_bytes(msgspec.json.encode(PlanHead(made="now", writes=2, sha256="a" * 64, **head)) + b"\n")
    journal = RepairJournal(journal_path(tmp_path / "state", "a" * 64))
    journal.note("begin", [0, 1])
    assert "undoing it needs this file" in (refused(tmp_path, plan=path).detail or "")
    journal.note("undone", [0, 1])
    journal.close()
    assert check_output(path, PLAN) == path


def test_what_is_no_plan_is_refused_however_large(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    with path.open("wb") as file:
        file.write(PLAN + b'1","made":"')
        file.truncate(1 << 40)  # A terabyte, of which nothing is on the disk.
    with pytest.raises(UsageError, match="is not a repair plan"):
        read_plan(path)
    for content in (b"", b"{}", b"\0\1\2", b"[1]\n"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is not a repair plan"):
            read_plan(path)


def test_own_files_are_replaced_and_links_refused(tmp_path: Path) -> None:
    place = check_output(tmp_path / "file", FINDINGS)
    for content in (b"", b'{"class":"orphan"}\n'):
        (tmp_path / "file").write_bytes(content)
        assert check_output(tmp_path / "file", FINDINGS) == place == tmp_path / "file"
    for target in ("file", "nowhere"):
        (tmp_path / f"link-{target}").symlink_to(tmp_path / target)
        with pytest.raises(UsageError, match="is a symbolic link"):
            check_output(tmp_path / f"link-{target}", FINDINGS)


def fail_half_way(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise OSError("no space left")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="no space left"):
        fail_half_way(path)
    assert ([each.name for each in tmp_path.iterdir()], path.read_bytes()) == (["file"], b"old")
    with replacing(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
