"""What reaches the edge of a command unhandled."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from devenv.cli import app as cli
from devenv.cli.options import Globals


@pytest.mark.parametrize(("number", "ours"), [(errno.ENOSPC, False), (errno.EROFS, False), (errno.EBADF, True)])
def test_a_disk_without_room_is_no_fault_of_devenv(
    number: int, ours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError(number, "said by the system", "/some/file")

    monkeypatch.setattr(cli, "chosen", Globals(json=True, command="reset"))
    assert cli.guarded(fail) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"].startswith("devenv itself failed") == ours
    assert ("df -h" in error["hint"]) != ours


@pytest.mark.parametrize(("target", "ours"), [("/dev/full", False), ("missing/there", True)])
def test_a_folder_that_could_not_be_copied_for_want_of_room_is_no_fault_of_devenv(
    tmp_path: Path, target: str, ours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    for folder in (source, place):
        folder.mkdir()
    (source / "file").write_text("content")
    (place / "file").symlink_to(target)
    monkeypatch.setattr(cli, "chosen", Globals(json=True, command="up"))
    assert cli.guarded(lambda: shutil.copytree(source, place, dirs_exist_ok=True) and None) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"].startswith("devenv itself failed") == ours
    assert ("df -h" in error["hint"]) != ours


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ("doctor", "devenv doctor"),
        ("db --write secret", "devenv db …"),
        ("snapshot restore one", "devenv snapshot restore …"),
        ("ddb sql secret", "devenv ddb sql …"),
    ],
)
def test_what_was_typed_behind_a_command_is_not_repeated(words: str, again: str) -> None:
    assert cli.command_words(words.split()) == again


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("seed", "devenv up  (continues where it stopped)"),
        ("logs", "devenv logs --follow"),
        ("verify", "again: devenv verify"),
    ],
)
def test_a_stopped_command_says_how_to_go_on(
    command: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end() -> None:
        cli.terminate(15, None)

    again = cli.command_words([command])
    monkeypatch.setattr(cli, "chosen", Globals(json=True, command=command, again=again))
    assert cli.guarded(end) == 143
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["what"], error["hint"]) == ("terminated", hint)


@pytest.mark.parametrize("typo", ["stp", "sotp", "restrt", "rest", "sed", "sead", "rset", "stup", "setp", "schma"])
def test_a_typo_never_suggests_what_may_lose_data(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([typo])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert not any(f"'{word}'" in said for word in ("setup", "schema-load", "seed", "reset"))
    if typo in ("stp", "restrt"):
        assert {"stp": "'stop'", "restrt": "'restart'"}[typo] in said


def test_a_typo_in_a_group_never_suggests_what_may_lose_data(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["snapshot", "delte"], ["snapshot", "restor"], ["ddb", "delet"], ["repair", "aply"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        assert "Did you mean" not in capsys.readouterr().err, words
