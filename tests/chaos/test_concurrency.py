"""Many commands at once: no deadlock, every exit code true, one owner at a time, readers never blocked.

Four `up` at once, a held lock, and projects that want the same ports are in tests/e2e/test_bad_luck.py, ten checkouts
in test_worktrees.py.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.scenario import HOOK, check_whole, count, nothing_left, told, untruths
from tests.e2e import world
from tests.support import ProjectDir, Ran, dice

pytestmark = pytest.mark.long

PATIENCE_S = 240.0
CHANGING = [
    ("up", "--no-backend"),
    ("up", "--no-backend", "--force", "seed"),
    ("down",),
    ("setup", "-y"),
    ("seed", "-y"),
    ("reset", "-y"),
    ("snapshot", "save", "same"),
    ("snapshot", "restore", "same"),
    ("snapshot", "delete", "same"),
]
READING = [
    ("status",),
    ("ps",),
    ("logs", "postgres"),
    ("config", "show"),
    ("env",),
    ("snapshot", "list"),
    ("db", "SELECT 1"),
    ("ddb", "list-tables"),
    ("verify",),
    ("doctor", "--only", "services"),
]


def begin(project: ProjectDir, *words: str, events: Path | None = None) -> subprocess.Popen[str]:
    """Start a command; with `events` every change that it makes is written there."""
    watch = {} if events is None else {"CHAOS_EVENTS": str(events)}
    return subprocess.Popen(
        [sys.executable, str(HOOK), "--project", str(project.path), *words, "--json"],
        env=project.environment(PYTHONDONTWRITEBYTECODE="1", **watch),
        cwd=project.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(child: subprocess.Popen[str]) -> Ran:
    """Wait for a command."""
    out, err = child.communicate(timeout=PATIENCE_S)
    return Ran(child.returncode, out, err)


def ownership(events: Path) -> tuple[float, float] | None:
    """When a command had the project's lock: from its note, which it writes as the owner, until it lets go of it."""
    lines = [line.split(" ", 1) for line in events.read_text().splitlines()] if events.exists() else []
    taken = [float(at) for at, what in lines if what.startswith("rename ") and what.endswith(".devstate/lock.json")]
    unlock = f" {fcntl.LOCK_UN}"
    freed = [float(at) for at, what in lines if what.startswith("flock ") and what.endswith(unlock)]
    return (taken[0], freed[-1]) if taken and freed else None


def test_twenty_commands_at_once_on_one_project(lone: ProjectDir, tmp_path: Path) -> None:
    rng = dice("twenty")
    told(lone, "up", "--no-backend")
    told(lone, "snapshot", "save", "same")
    expected = world.data(lone)
    chosen = [rng.choice(CHANGING) for _ in range(12)] + [rng.choice(READING) for _ in range(8)]
    rng.shuffle(chosen)
    files = [tmp_path / str(number) for number in range(len(chosen))]
    children = [begin(lone, *words, events=file) for words, file in zip(chosen, files, strict=True)]
    ran = [end(child) for child in children]
    for words, each in zip(chosen, ran, strict=True):
        # What is there by now is others' work too, so only code and document are compared.
        changed = [line for line in untruths(lone, [words[0]], each) if "is said to be" not in line]
        assert [line for line in changed if "ended well" not in line] == [], (words, each.all)
        # One comparison at a time, as it keeps what it has read: a second one does not wait for it.
        codes = (0, 1, 2, 3, 5, *([7] if words == ("verify",) else []))
        assert each.code in codes, (words, each.all)
    held = sorted(found for file in files if (found := ownership(file)))
    assert len(held) >= 10
    assert [(one, other) for one, other in pairwise(held) if one[1] > other[0]] == [], "two owners at a time"
    told(lone, "up", "--no-backend")
    told(lone, "reset", "-y")
    assert world.data(lone) == expected
    # What `setup` keeps is a database of the cluster: a restore that came after it has put an older cluster back.
    check_whole(lone, snapshots_too=("snapshot", "restore", "same") not in chosen)
    count("commands at once", len(chosen))


def test_five_projects_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ExitStack() as opened:
        tops = [tmp_path_factory.mktemp("five") for _ in range(5)]
        projects = [opened.enter_context(nothing_left(top)) for top in tops]
        for words in (("up",), ("seed", "-y"), ("down",), ("up", "--no-backend")):
            for project, each in zip(
                projects, [end(child) for child in [begin(p, *words) for p in projects]], strict=True
            ):
                assert untruths(project, list(words), each) == [], (words, each.all)
                assert each.code == 0, (words, each.all)
            count("commands at once", len(projects))
        ports = [service["port"] for p in projects for service in told(p, "status")["services"][:2]]
        assert len(set(ports)) == 10
        first = world.data(projects[0])
        assert all(world.data(project) == first for project in projects[1:])


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_reader_does_not_wait_for_who_changes(shared: ProjectDir, words: tuple[str, ...]) -> None:
    """The owner is stopped in the middle of its work, so that who waited for it would wait for ever."""
    code = (
        "import os, signal, sys; from pathlib import Path; from devenv.host import state\n"
        "with state.lock(Path(sys.argv[1]) / '.devstate', 5, print): os.kill(os.getpid(), signal.SIGSTOP)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(shared.path)], env=shared.environment(), cwd=shared.path)
    try:
        assert os.waitid(os.P_PID, owner.pid, os.WSTOPPED | os.WNOWAIT) is not None
        assert shared.devenv("up", "--timeout", "0.2", "--json").code == 7, "the lock is held"
        told(shared, *words, codes=(0, 1) if words[0] == "doctor" else (0,))
        count("readers beside an owner")
    finally:
        os.kill(owner.pid, signal.SIGCONT)
        assert owner.wait(60) == 0
