"""What reaches the edge of a command unhandled."""

from __future__ import annotations

import errno
import json

import pytest

from devenv import cli


@pytest.mark.parametrize(("number", "ours"), [(errno.ENOSPC, False), (errno.EROFS, False), (errno.EBADF, True)])
def test_a_disk_without_room_is_no_fault_of_devenv(
    number: int, ours: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError(number, "said by the system", "/some/file")

    monkeypatch.setattr(cli, "chosen", cli.Globals(json=True, command="reset"))
    assert cli.guarded(fail) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"].startswith("devenv itself failed") == ours
    assert ("df -h" in error["hint"]) != ours
