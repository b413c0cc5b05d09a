"""Processes that outlive devenv: start them detached, recognise them later, stop only our own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from devenv.core.errors import DevenvError, Exit
from devenv.host.listening import listening
from devenv.host.state import Process
from devenv.host.writing import open_append

# A symbolic link in the place of a log must not lead root elsewhere. (Windows has no such flag.)
LOG_LIMIT = 10 * 1024 * 1024
# A start time is computed from the boot time, which moves by up to a second when the clock is adjusted.
CLOCK_SLACK_S = 2.0


class Account(msgspec.Struct, frozen=True):
    """An unprivileged account to run services as, because PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int


class Holder(msgspec.Struct, frozen=True):
    """The process that listens on a port. Fields are None where the system does not tell this user."""

    port: int
    pid: int | None
    command: str | None
    owner: str | None
    place: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        command = f"`{self.command}`" if self.command else None
        owner = f"owner {self.owner}" if self.owner else None
        return ", ".join(filter(None, (f"pid {self.pid}", command, owner, self.place)))


def spawn(
    command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str], account: Account | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` detached (own session), output appended to `log`. OSError when it cannot be executed."""
    rotate(log)
    # As root the log stays root's own file: the service gets it already open.
    with open_append(log) as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
            **as_account(account),
        )


def identify_child(child: subprocess.Popen[bytes]) -> Process | None:
    """The identity of a process just started; None when it has ended already.

    On a busy machine the new program is there before its command line is: a moment too early, and it would be
    remembered with an empty one, and never be known again.
    """
    while child.poll() is None:
        seen = identify(child.pid)
        if seen is not None and seen.command:
            return seen
        time.sleep(0.001)
    return None


def as_account(account: Account | None) -> dict[str, Any]:
    """Arguments for `subprocess` that drop to `account`; none for None."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def identify(pid: int) -> Process | None:
    """The identity of a running process; None when there is none (or only its unreaped remains)."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return Process(pid=pid, created=process.create_time(), command=process.cmdline())
    except psutil.Error:
        return None


def is_running(process: Process | None) -> bool:
    """Return True if exactly this process runs: pid, start time and command all match."""
    if process is None:
        return False
    now = identify(process.pid)
    return now is not None and same(now, process)


def same(one: Process, other: Process) -> bool:
    """Return True if two identities name one process."""
    return one.pid == other.pid and abs(one.created - other.created) < CLOCK_SLACK_S and one.command == other.command


def find_all(matches: Mapping[str, Callable[[list[str]], bool]]) -> dict[str, Process]:
    """Name -> the running process whose command line `matches` it: one that a killed devenv had no time to record.

    Our commands carry the data folder of one project, so what matches is ours.
    """
    found: dict[str, Process] = {}
    # That it is no zombie, `identify` finds out: asked of every process, it doubles the time.
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"]
        if not command:
            continue
        for name, match in matches.items():
            if name not in found and match(command) and (seen := identify(process.pid)):
                found[name] = seen
    return found


def find_services(
    marks: Mapping[str, str], service: str, logs: Mapping[str, str]
) -> dict[str, tuple[Process, dict[str, str]]]:
    """Service -> its running process that `spawn` began with these variables, and its environment.

    `service` is the variable that names the service. Some programs write their title over their variables (Redis): they
    are known by the log that they write to, of `logs` (file -> service), and their environment is empty here.
    """
    found: dict[str, tuple[Process, dict[str, str]]] = {}
    for pid in psutil.pids():
        if not leads_session(pid):
            continue
        environ = environ_of(pid)
        if not (marks.items() <= environ.items() and service in environ):
            environ = {}
        name = environ.get(service) or logs.get(output_of(pid))
        if name and (seen := identify(pid)):
            found.setdefault(name, (seen, environ))
    return found


def end_session(leader: Process, marks: Mapping[str, str], log: str, patience_s: float = 5.0) -> None:
    """Kill what is left of a session that `spawn` began, once its leader ended: with these variables or this log."""
    if not hasattr(os, "getsid"):
        return
    left = []
    for pid in psutil.pids():
        try:
            if pid == leader.pid or os.getsid(pid) != leader.pid:
                continue
        except OSError:
            continue
        is_ours = marks.items() <= environ_of(pid).items() or output_of(pid) == log
        if is_ours and (seen := identify(pid)):
            left.append(seen)
            send(pid, signal.SIGKILL)
    end = time.monotonic() + patience_s
    # Until they are gone they hold their ports.
    while not all(map(has_ended, left)) and time.monotonic() < end:
        time.sleep(0.01)


def environ_of(pid: int) -> dict[str, str]:
    """The variables a process was started with; none where they cannot be read."""
    try:
        return psutil.Process(pid).environ()
    except psutil.Error:
        return {}


def output_of(pid: int) -> str:
    """The file that a process writes its output to; empty where that cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/fd/1").removesuffix(" (deleted)")
    except OSError:
        return ""


def leads_session(pid: int) -> bool:
    """Return True if a process began its session, as those do that `spawn` starts; True where there are no sessions."""
    try:
        return not hasattr(os, "getsid") or os.getsid(pid) == pid
    except OSError:
        return False


def stop(process: Process, *, how: signal.Signals = signal.SIGTERM, patience_s: float = 10.0) -> bool:
    """Signal the process (and its group, which `spawn` made), wait, kill what stays. False when it was not running."""
    if not is_running(process):
        return False
    members = [process, *(child for child in map(identify, children(process.pid)) if child)]
    send(process.pid, how)
    if hasattr(signal, "SIGCONT"):
        # A paused process would get the signal only when it goes on.
        send(process.pid, signal.SIGCONT)
    end = time.monotonic() + patience_s
    while not has_ended(process) and time.monotonic() < end:
        reap(process.pid)
        time.sleep(0.01)
    for member in members:
        if is_running(member):
            send(member.pid, signal.SIGKILL)
    while not has_ended(process):
        reap(process.pid)
        time.sleep(0.01)
    return True


def send(pid: int, how: signal.Signals) -> None:
    """Send a signal; a process that ended since it was looked at gets none."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def has_ended(process: Process) -> bool:
    """Return True if a process that was just signalled is gone, with its ports.

    The command line does not count here: it is empty already while the process still closes its files.
    """
    now = identify(process.pid)
    return now is None or abs(now.created - process.created) >= CLOCK_SLACK_S


def children(pid: int) -> list[int]:
    """Pids of all descendants."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def reap(pid: int) -> None:
    """Collect an ended child of this very process, so that it does not look alive."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except (ChildProcessError, AttributeError):
        return


def environment(process: Process) -> dict[str, str] | None:
    """The environment a running process was started with; None when it is gone or not ours to read."""
    try:
        return psutil.Process(process.pid).environ() if is_running(process) else None
    except (psutil.Error, OSError):
        return None


def rotate(log: Path) -> None:
    """Move a log over LOG_LIMIT bytes to `<log>.1`, by copying, since a running service keeps its file open."""
    try:
        if not log.is_symlink() and log.stat().st_size > LOG_LIMIT:
            shutil.copy2(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)
    except FileNotFoundError:
        return


def size_of(log: Path) -> int:
    """Bytes in a log; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def tail(log: Path, lines: int = 10, start: int = 0) -> list[str]:
    """The last `lines` lines of a log, of those from byte `start` on; [] when there is none. Reads at most 256 KB."""
    try:
        with open(log, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            # One that is shorter than `start` was moved away since.
            file.seek(max(start if start <= end else 0, end - 256 * 1024))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:] if lines else []
    except FileNotFoundError:
        return []


def listens_on(pid: int, port: int | None) -> bool | None:
    """Return True if a process, or a child of it, listens on a TCP port; None when one of them cannot be looked at."""
    own = has_port(pid, port)
    if own:
        return True
    # Only now: to find them, the whole process table is read.
    seen = [own, *(has_port(child, port) for child in children(pid))]
    return True if any(seen) else None if None in seen else False


def has_port(pid: int, port: int | None) -> bool | None:
    """Return True if this very process listens on the port, False if it does not or has ended, None if unknown."""
    try:
        return any(found == port for _, found in listening(pid))
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None


def answers(host: str, port: int | None) -> bool:
    """Return True if something accepts connections there."""
    try:
        socket.create_connection((host, port or 80), timeout=1.0).close()
    except OSError:
        return False
    return True


def port_is_free(port: int) -> bool:
    """Return True if nobody listens on the port, on loopback or on all interfaces."""
    for host, family in (("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET)):  # noqa: S104 - asked, not served
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def frees_soon(port: int, patience_s: float = 1.0) -> bool:
    """Return True if a port is free, or is so within a moment while no process is seen to hold it.

    A killed process of several threads counts as ended before its last thread has closed its sockets.
    """
    end = time.monotonic() + patience_s
    while not port_is_free(port):
        if time.monotonic() > end or holder(port).pid is not None:
            return False
        time.sleep(0.02)
    return True


def holder(port: int) -> Holder:
    """The process that listens on `port`, as far as this user may know."""
    pid = next(
        (seen.pid for seen in listeners() if is_listener(seen, port) and seen.pid),
        None,
    )
    if pid is None:
        return Holder(port, None, None, None, None)
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        return Holder(port, pid, " ".join(command)[:120], process.username(), place_of(process, command))
    except psutil.Error:
        return Holder(port, pid, None, None, None)


def is_forwarder(pid: int | None) -> bool:
    """Return True if a process is Docker's own, which stands before a container's port."""
    try:
        return pid is not None and psutil.Process(pid).name() == "docker-proxy"
    except psutil.Error:
        return False


def stranger(port: int, process: Process, *, alone: bool = False) -> Holder | None:
    """The process that answers on `port` instead of `process` (or its children), or None.

    `alone`: nobody may answer for it, so that a process which cannot be seen (of another user, or in a container) is
    a stranger too. Otherwise, and where the system hides the sockets of `process`, it may be its own.
    """
    own = listens_on(process.pid, port)
    if own:
        return None
    found = holder(port)
    return None if found.pid is None and (own is None or not alone) else found


def is_listener(seen: Any, port: int) -> bool:
    """Return True if a socket of psutil listens on `port`."""
    return bool(seen.laddr and seen.laddr.port == port and seen.status == psutil.CONN_LISTEN)


def listeners() -> list[Any]:
    """All TCP sockets this user may see."""
    try:
        return psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return []


def place_of(process: psutil.Process, command: Sequence[str]) -> str | None:
    """Which project or container a process belongs to, in words, or None."""
    if "docker-proxy" in " ".join(command[:1]):
        return "a container published by Docker (docker ps names it)"
    project = process.environ().get("DEVENV_PROJECT")
    return f"of the devenv project {project} (to stop it: devenv down --project {project})" if project else None


def choose_account(root: Path, environ: Mapping[str, str]) -> Account | None:
    """None unless devenv runs as root; then the account its services run as.

    In order: who owns the project folder, who called sudo, `postgres`, `nobody`. It needs an entry in the user
    database, because initdb looks itself up there. DevenvError (exit 10) when there is none.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    caller = environ.get("SUDO_UID", "")
    wanted: list[int | str] = [root.stat().st_uid, int(caller) if caller.isdecimal() else 0, "postgres", "nobody"]
    for who in wanted:
        try:
            entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
        except (KeyError, OverflowError):
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise DevenvError(
        "PostgreSQL refuses to run as root, and there is no other account to run it as",
        exit_code=Exit.MISSING,
        hint="useradd --system postgres",
    )


def started_at(process: psutil.Process) -> float:
    """When a process was started at the latest, in epoch seconds. psutil.Error if it is gone.

    Linux gives the time of boot in whole seconds, and psutil adds to it: by up to a second too early, so that a file
    saved just before a restart would count as changed after it.
    """
    created = process.create_time()
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return created
    exact = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + created - psutil.boot_time()
    # Another clock, in a container or after the system's was set, tells nothing.
    return exact if created <= exact <= created + 1.1 else created + 1


def boot_time() -> float:
    """When this machine started, in epoch seconds."""
    return psutil.boot_time()
