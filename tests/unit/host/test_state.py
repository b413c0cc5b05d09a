"""state.json, the secrets and the lock: whole or not at all, private, and honest about what is damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, Exit
from devenv.host import state, writing
from tests.support import REPOSITORY

HOLD = """
import sys
from pathlib import Path
from devenv.host import state, writing
sys.argv = ["devenv", "up", "--timings"]
with state.lock(Path({folder!r}), 5, print):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    """Another devenv that holds the lock of `folder` until its stdin is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(folder=str(folder))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str]) -> None:
    holder.communicate()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    folder = state.folder(tmp_path)
    assert folder == tmp_path / ".devstate"
    assert mode(folder) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert state.folder(tmp_path) == folder


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".devstate").symlink_to(elsewhere)
    with pytest.raises(DevenvError, match="symbolic link") as caught:
        state.folder(tmp_path)
    assert str(tmp_path / ".devstate") in (caught.value.hint or "")
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / ".devstate").write_text("")
    with pytest.raises(DevenvError, match="cannot be written"):
        state.folder(tmp_path)


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    assert state.read(tmp_path) == state.State()


def test_what_is_written_is_read_back_from_a_private_file(tmp_path: Path) -> None:
    process = state.Process(pid=5, created=1.5, command=["postgres", "-D", "/a b"])
    written = state.State(
        engine="embedded",
        services={"postgres": state.Record(port=5432, process=process, started="2026-01-01T00:00:00+00:00")},
        steps={"setup": state.Mark("done", "as it was", "2026-01-01")},
    )
    before = os.umask(0)
    try:
        state.write(tmp_path, written)
    finally:
        os.umask(before)
    assert state.read(tmp_path) == written
    assert mode(tmp_path / "state.json") == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    sizes = (10, 200_000)
    file = tmp_path / "f"
    writing.write_private(file, b"x" * sizes[0])
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            writing.write_private(file, b"x" * sizes[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(len(file.read_bytes()))
    writer.join()
    assert seen <= set(sizes)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """The real limit of the system on a file's size stands in for a full disk."""
    state.write(tmp_path, state.State(engine="embedded"))
    code = (
        "import resource, signal, sys; from pathlib import Path; from devenv.host import state, writing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))\n"
        "from devenv.core.errors import DevenvError\n"
        "try: state.write(Path(sys.argv[1]), state.State(engine='other'))\n"
        "except DevenvError as error: print(error.what, '|', error.hint)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert f"{tmp_path / 'state.json'} cannot be written | free disk space" in ran.stdout
    assert state.read(tmp_path).engine == "embedded"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"services": {"postgres": {}}}', b'{"version": "x"}'])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(DevenvError) as caught:
        state.read(tmp_path)
    assert caught.value.what == f"{tmp_path / 'state.json'} is damaged"
    assert caught.value.exit_code == Exit.USAGE
    assert f"mv {tmp_path / 'state.json'}" in (caught.value.hint or "")


def test_a_file_of_a_newer_devenv_is_refused_by_its_version(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"version": 99, "services": {"postgres": {"new": "shape"}}}))
    with pytest.raises(DevenvError) as caught:
        state.read(tmp_path)
    assert caught.value.exit_code == Exit.VERSION
    assert "99" in caught.value.what
    assert "1" in caught.value.what


def test_secrets_are_made_once_private_and_long(tmp_path: Path) -> None:
    first = state.keep_secrets(tmp_path)
    assert state.keep_secrets(tmp_path) == first
    assert len(first.password) >= 24
    assert len(first.key) >= 32
    assert mode(tmp_path / "secrets.json") == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert state.keep_secrets(other) != first


def test_two_commands_that_make_the_secrets_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from devenv.host import state, writing\n"
        "print('ready', flush=True); sys.stdin.readline(); print(state.keep_secrets(Path(sys.argv[1])).password)"
    )
    for number in range(4):
        home = tmp_path / str(number)
        home.mkdir()
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=REPOSITORY,
            )
            for _ in range(4)
        ]
        for racer in racers:
            assert racer.stdout is not None
            racer.stdout.readline()
        passwords = {racer.communicate("go\n")[0] for racer in racers}
        assert passwords == {state.keep_secrets(home).password + "\n"}


def test_damaged_secrets_say_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(DevenvError, match="password of the data beside it is unknown"):
        state.keep_secrets(tmp_path)


def test_the_lock_names_who_holds_it_and_gives_up_with_7(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    said: list[str] = []
    try:
        with pytest.raises(DevenvError) as caught, state.lock(tmp_path, 0.05, said.append):
            raise AssertionError("the lock was given twice")
    finally:
        end(holder)
    assert caught.value.exit_code == Exit.LOCKED
    assert f"`devenv up --timings` (pid {holder.pid}" in caught.value.what
    assert len(said) == 1
    assert f"pid {holder.pid}" in said[0]
    assert mode(tmp_path / "lock") == 0o600
    assert mode(tmp_path / "lock.json") == 0o600


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    # The holder lets go as soon as the waiter has said that it waits.
    with state.lock(tmp_path, 60, lambda text: end(holder)):
        assert holder.returncode == 0


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    said: list[str] = []
    with state.lock(tmp_path, 0.1, said.append):
        assert said == []


def test_a_holder_that_left_no_name_is_still_reported(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    (tmp_path / "lock.json").write_text("{")
    try:
        with (
            pytest.raises(DevenvError, match="another devenv command"),
            state.lock(tmp_path, 0.05, lambda text: None),
        ):
            raise AssertionError("the lock was given twice")
    finally:
        end(holder)


def test_the_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), state.lock(tmp_path, 0.1, print):
        raise ZeroDivisionError
    with state.lock(tmp_path, 0.1, print):
        pass
