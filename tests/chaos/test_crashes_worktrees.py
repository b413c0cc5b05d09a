"""The crash matrix where checkouts of one project share a baseline: its making, and another checkout's first `up`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.snapshots import baseline
from tests.chaos.scenario import changes, check_whole, choose_kills, count, home, kill, told
from tests.chaos.test_crashes import KILLS as BOTH
from tests.chaos.test_crashes import UP, state
from tests.e2e.test_worktrees import Repository, repository
from tests.support import ProjectDir, dice

__all__ = ["repository"]
pytestmark = [pytest.mark.needs_git, pytest.mark.long]
KILLS = (BOTH + 1) // 2
AWAY = ("down", "--data", "--no-backup", "-y")


# As a `seed` that is killed in the midst of writing a large ledger.
KILLED_WRITER = """
import os, signal, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1], isolation_level=None)
ledger.execute("PRAGMA cache_size = 1")
ledger.execute("BEGIN IMMEDIATE")
ledger.execute("UPDATE items SET written = randomblob(4096)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def kept(repository: Repository) -> list[str]:
    """What lies in the user's cache for other checkouts."""
    return sorted(path.name for path in (repository.cache / "baselines").glob("*"))


def check(repository: Repository, project: ProjectDir) -> None:
    """The project is whole, and so is what the checkouts share."""
    check_whole(project)
    assert [name for name in kept(repository) if name.startswith(".")] == []


def test_killed_in_another_checkouts_first_up(repository: Repository) -> None:
    rng = dice("worktree")
    told(repository.first, *UP)
    shared = kept(repository)
    assert len(shared) == 1
    other = repository.worktree("wt-killed")
    seen = changes(other, *UP)
    expected = state(other)
    # What SQLite would play back into the next ledger goes with this one.
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(home(other) / "ledger.sqlite")], check=False)
    assert (home(other) / "ledger.sqlite-journal").stat().st_size > 512
    told(other, *AWAY)
    assert not home(other).exists()
    for moment in choose_kills(seen, KILLS, rng):
        told(other, *AWAY)
        killed = kill(other, moment, *UP)
        told(other, *UP)
        assert state(other) == expected, moment
        check(repository, other)
        assert kept(repository) == shared
        count("commands killed", killed)


def test_killed_while_it_shares_its_baseline(repository: Repository) -> None:
    rng = dice("sharing")
    first, other = repository.first, repository.worktree("wt-sharing")
    seen = changes(first, *UP)
    [name] = kept(repository)
    expected = state(first)
    # From the copy of the cluster on.
    sharing = [each for each in seen if each.number >= next(e.number for e in seen if "/baselines/.new-" in e.what)]
    for moment in choose_kills(sharing, KILLS, rng):
        told(first, *AWAY)
        for place in (repository.cache / "baselines").iterdir():
            shutil.rmtree(place)
        killed = kill(first, moment, *UP)
        told(first, *UP)
        assert state(first) == expected, moment
        assert kept(repository) in ([], [name]), moment
        check(repository, first)
        told(other, *UP)
        assert state(other) == expected, moment
        check(repository, other)
        told(other, *AWAY)
        count("commands killed", killed)


def test_what_a_living_command_copies_for_others_stays(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    for number in (os.getpid(), dead.pid):
        (tmp_path / "baselines" / f".new-baseline-x-{number}" / "postgres").mkdir(parents=True)
    (tmp_path / "baselines" / "baseline-x").mkdir()
    baseline.drop_halves(tmp_path)
    assert {place.name for place in (tmp_path / "baselines").iterdir()} == {
        f".new-baseline-x-{os.getpid()}",
        "baseline-x",
    }
