"""Processes that outlive us: known by pid, start time and command together, and stopped only when all three match."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from devenv.host import processes
from devenv.host.processes import Account, Holder
from devenv.host.state import Process
from tests.e2e.world import free_port
from tests.support import REPOSITORY

# Says that it is ready, then waits for ever.
WAITER = "import sys, time; print('ready', flush=True); time.sleep(600)"
# Like WAITER, but cannot be asked to end.
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITER
# Has a child of its own that cannot be asked to end.
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); import time; time.sleep(600)"
LIMIT_S = 30.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a limit that only a defect reaches."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@dataclass
class Started:
    """What this test started."""

    folder: Path
    pids: list[int]

    def __call__(self, code: str, *arguments: str, ready: bool = True) -> Process:
        """Run Python `code` by `spawn` and return its identity once it is ready."""
        log = self.folder / f"{len(self.pids)}.log"
        child = processes.spawn(
            [sys.executable, "-c", code, *arguments], log=log, cwd=self.folder, env={"PATH": os.environ["PATH"]}
        )
        self.pids.append(child.pid)
        child.returncode = 0  # reaped by hand: Popen must not warn that it still runs
        if ready:
            until(lambda: "ready" in processes.tail(log))
        found = processes.identify(child.pid)
        assert found is not None
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    started = Started(tmp_path, [])
    yield started
    for pid in started.pids:
        for each in [*processes.children(pid), pid]:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue
        processes.reap(pid)


def test_a_process_is_known_again(start: Started) -> None:
    process = start(WAITER)
    assert process.command == [sys.executable, "-c", WAITER]
    assert processes.is_running(process)
    assert processes.identify(process.pid) == process


def test_nothing_is_no_process() -> None:
    assert not processes.is_running(None)
    assert processes.identify(2**22 + 1) is None


@pytest.mark.parametrize("other", [{"created": 1.0}, {"command": ["postgres", "-D", "/data"]}, {"command": []}])
def test_a_pid_that_another_program_got_is_never_signalled(start: Started, other: dict[str, object]) -> None:
    decoy = start(WAITER)
    recorded = replace(decoy, **other)  # type: ignore[arg-type]
    assert not processes.is_running(recorded)
    assert processes.stop(recorded) is False
    assert processes.environment(recorded) is None
    assert processes.is_running(decoy)


def test_a_start_time_may_move_by_a_clock_adjustment(start: Started) -> None:
    process = start(WAITER)
    assert processes.is_running(replace(process, created=process.created + 1.0))
    assert not processes.is_running(replace(process, created=process.created + 10.0))


def test_a_file_saved_just_before_a_start_is_older_than_the_process(start: Started, tmp_path: Path) -> None:
    """Within the same second, too: the time of boot is known in whole seconds."""
    for number in range(3):
        before, after = tmp_path / f"before{number}", tmp_path / f"after{number}"
        before.touch()
        time.sleep(0.05)
        child = psutil.Process(start(WAITER).pid)
        time.sleep(0.05)
        after.touch()
        assert before.stat().st_mtime < processes.started_at(child) < after.stat().st_mtime


def test_the_remains_of_an_ended_process_do_not_run(start: Started) -> None:
    process = start(WAITER)
    os.kill(process.pid, signal.SIGKILL)
    # Not reaped: it stays in the process table as a zombie.
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert processes.identify(process.pid) is None
    assert not processes.is_running(process)


def test_stop_asks_and_waits(start: Started) -> None:
    process = start(WAITER)
    assert processes.stop(process) is True
    assert not processes.is_running(process)
    assert processes.stop(process) is False


def test_stop_kills_what_does_not_listen(start: Started) -> None:
    process = start(DEAF)
    assert processes.stop(process, patience_s=0.05) is True
    assert not processes.is_running(process)


def test_a_process_that_ended_since_it_was_looked_at_gets_no_signal() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    processes.send(child.pid, signal.SIGTERM)


def test_stop_ends_the_children_too(start: Started) -> None:
    process = start(PARENT)
    [child] = [seen for seen in map(processes.identify, processes.children(process.pid)) if seen]
    assert processes.stop(process) is True
    until(lambda: not processes.is_running(child))


def test_a_spawned_process_has_its_own_session_and_a_private_log(start: Started) -> None:
    process = start(WAITER)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert (start.folder / "0.log").stat().st_mode & 0o777 == 0o600


def test_a_spawned_process_sees_only_what_it_is_given(start: Started) -> None:
    environment = processes.environment(start(WAITER))
    assert environment is not None
    assert set(environment) - {"LC_CTYPE"} == {"PATH"}


def test_output_is_appended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    child = processes.spawn(["/bin/sh", "-c", "echo out; echo err >&2"], log=log, cwd=tmp_path, env={})
    assert child.wait() == 0
    assert processes.tail(log) == ["before", "out", "err"]


def test_a_missing_program_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.spawn([str(tmp_path / "missing")], log=tmp_path / "log", cwd=tmp_path, env={})


def test_running_processes_are_found_by_their_command_line(start: Started) -> None:
    one, two = start(WAITER, "/data/one"), start(WAITER, "/data/two")
    found = processes.find_all(
        {
            "one": lambda command: "/data/one" in command,
            "two": lambda command: "/data/two" in command,
            "three": lambda command: "/data/three" in command,
        }
    )
    assert found == {"one": one, "two": two}


def test_a_log_over_the_limit_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab") as service:
        service.write(b"x" * (processes.LOG_LIMIT + 1))
        service.flush()
        processes.rotate(log)
        assert log.stat().st_size == 0
        service.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "log.1").stat().st_size == processes.LOG_LIMIT + 1


def test_a_small_log_and_a_missing_one_stay_as_they_are(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes.rotate(log)
    assert not log.exists()
    log.write_text("little\n")
    processes.rotate(log)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.tail(log) == []
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)) + b"caf\xe9 without an end")
    assert processes.tail(log, 2) == ["line 99999", "caf\ufffd without an end"]
    assert processes.tail(log, 0) == []


def test_a_port_is_free_or_held_by_someone_who_can_be_named(start: Started) -> None:
    code = (
        "import socket, sys, time; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen();"
        "print(s.getsockname()[1], flush=True); print('ready', flush=True); time.sleep(600)"
    )
    for host in ("127.0.0.1", "0.0.0.0"):
        process = start(code, host)
        port = int(processes.tail(start.folder / f"{len(start.pids) - 1}.log")[0])
        assert not processes.port_is_free(port)
        holder = processes.holder(port)
        assert holder.pid == process.pid
        assert holder.command is not None
        assert holder.command.startswith(sys.executable)
        assert holder.owner == psutil.Process().username()
        assert holder.place is None
        assert str(holder).startswith(f"pid {process.pid}, `{sys.executable}")
        assert f"owner {holder.owner}" in str(holder)
        processes.stop(process)
        assert processes.port_is_free(port)


def test_the_holder_of_a_port_is_named_with_its_devenv_project(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        child = subprocess.Popen(
            [sys.executable, "-c", WAITER],
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={"DEVENV_PROJECT": "/home/ann/shop"},
        )
        port = listener.getsockname()[1]
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    try:
        assert (
            processes.holder(port).place
            == "of the devenv project /home/ann/shop (to stop it: devenv down --project /home/ann/shop)"
        )
    finally:
        child.kill()
        child.communicate()


def test_a_port_is_answered_by_the_process_by_its_child_or_by_a_stranger(start: Started) -> None:
    listen = (
        "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(s.getsockname()[1]);"
    )
    listen += "print('ready', flush=True); time.sleep(600)"
    wrapper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {listen!r}])"
    direct, wrapped, other = start(listen), start(wrapper), start(WAITER)
    ports = [int(processes.tail(start.folder / f"{number}.log")[0]) for number in (0, 1)]
    assert processes.stranger(ports[0], direct) is None
    assert processes.stranger(ports[1], wrapped) is None
    found = processes.stranger(ports[0], other)
    assert found is not None
    assert found.pid == direct.pid


def test_a_port_of_an_unseen_process_is_not_that_of_a_store(start: Started) -> None:
    """The process is not seen here because there is none: one of another account looks the same (see below)."""
    other = start(WAITER)
    port = free_port()
    assert processes.stranger(port, other) is None, "it may be an application's container"
    assert processes.stranger(port, other, alone=True) == Holder(port, None, None, None, None)


@pytest.mark.needs_chroot
def test_the_server_of_another_pid_namespace_is_a_stranger(start: Started) -> None:
    """Two projects may choose one port at the same moment. The one in a container must not load the other's store."""
    code = (
        "import subprocess, sys\n"
        "from devenv.host import processes\n"
        f"own = subprocess.Popen([sys.executable, '-c', {WAITER!r}], stdout=subprocess.PIPE)\n"
        "own.stdout.readline()\n"
        "print(processes.stranger(int(sys.argv[1]), processes.identify(own.pid), alone=True))\n"
        "own.kill()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        inside = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
        ran = subprocess.run(
            [*inside, str(server.getsockname()[1])], capture_output=True, text=True, check=False, timeout=LIMIT_S,
            cwd=REPOSITORY,
        )  # fmt: skip
    assert ran.stdout == "a process of another user\n", ran.stderr


def test_a_held_port_is_reported_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        began = time.monotonic()
        assert not processes.frees_soon(held.getsockname()[1], patience_s=600)
        assert time.monotonic() - began < LIMIT_S
        port = held.getsockname()[1]
    assert processes.frees_soon(port)


def test_a_free_port_has_no_holder() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        assert processes.holder(port) == Holder(port, None, None, None, None)
    assert "another user" in str(Holder(port, None, None, None, None))


class TestAccount:
    """Whom the stores run as. Only root has to choose; everybody else stays."""

    def test_an_ordinary_user_stays_who_they_are(self, tmp_path: Path) -> None:
        pid = os.fork()
        if pid == 0:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os._exit(processes.choose_account(Path("/"), {}) is not None)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    @pytest.mark.parametrize("sudo", ["0", "", "x", "²", "-5", "99999999", "9" * 30])
    def test_an_account_without_entry_or_sense_is_passed_over(self, tmp_path: Path, sudo: str) -> None:
        chosen = processes.choose_account(tmp_path, {"SUDO_UID": sudo})
        assert chosen is None or chosen.uid != 0

    def test_root_drops_to_the_owner_of_the_project(self, tmp_path: Path) -> None:
        import pwd

        daemon = pwd.getpwnam("daemon")
        if os.geteuid() == 0:
            os.chown(tmp_path, daemon.pw_uid, daemon.pw_gid)
            assert processes.choose_account(tmp_path, {}) == Account("daemon", daemon.pw_uid, daemon.pw_gid)
        else:
            assert processes.choose_account(tmp_path, {}) is None

    def test_no_account_is_no_argument(self) -> None:
        assert processes.as_account(None) == {}
        assert processes.as_account(Account("ann", 7, 8)) == {"user": 7, "group": 8, "extra_groups": []}
