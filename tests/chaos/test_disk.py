"""A full disk and a disk that cannot be written: an exit code that is true, nothing lost, and `up` goes on afterwards.

As root (as CI runs) on a small file system of the project's own, where that can be mounted; otherwise by the system's
limit on the size of files. Such a limit in a first `up` and in each step is in tests/e2e/test_bad_surroundings.py
(TestNoRoom), folders that another account may not write in test_accounts.py.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.scenario import FULL, check_whole, count, home, told, untruths
from tests.e2e import world
from tests.support import LIMIT_S, ProjectDir, Ran, dice

pytestmark = pytest.mark.long

UP = ("up", "--no-backend")
WRITING = [
    ("setup", "-y"),
    ("schema-load", "-y"),
    ("seed", "-y"),
    ("reset", "-y"),
    ("snapshot", "save", "full"),
    ("snapshot", "restore", "kept"),
    ("db", "--write", "CREATE TABLE IF NOT EXISTS big AS SELECT repeat('x', 900) FROM generate_series(1, 100000)"),
    ("down",),
    ("down", "--data", "-y"),
]
READING = [("status",), ("ps",), ("logs",), ("snapshot", "list"), ("config", "check")]
# Done all the same; refused; not reached; timed out; a server crashed; a step failed.
CODES = (0, 1, 2, 3, 4, 5, 8)
SIZE_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Disk:
    """A project whose data can be without room, or unwritable."""

    project: ProjectDir
    mounted: bool

    @contextmanager
    def full(self) -> Iterator[Callable[[], None] | None]:
        """No byte more can be written. What is given is to be called in each new process."""
        if not self.mounted:
            yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE_LIMIT, SIZE_LIMIT))
            return
        ballast = home(self.project) / "ballast"
        with open(ballast, "wb", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(b"x" * 65_536):
                pass
        try:
            yield None
        finally:
            ballast.unlink()

    @contextmanager
    def unwritable(self) -> Iterator[Callable[[], None] | None]:
        """Nothing can be written at all; the stores are stopped."""
        if not self.mounted:
            yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            return
        subprocess.run(["mount", "-o", "remount,ro", str(home(self.project))], check=True)
        try:
            yield None
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(home(self.project))], check=True)

    def devenv(self, *words: str, limited: Callable[[], None] | None) -> Ran:
        """Run one command under the limit, if there is one."""
        done = subprocess.run(
            self.project.command(*words, "--json"),
            env=self.project.environment(),
            cwd=self.project.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            preexec_fn=limited,
        )
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def disk(lone: ProjectDir) -> Iterator[Disk]:
    """A started project with a snapshot `kept`; as root its data is on a file system of its own."""
    place = home(lone)
    mounted = False
    if os.geteuid() == 0:
        place.mkdir(mode=0o700, parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=320m,mode=700", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        told(lone, *UP)
        told(lone, "snapshot", "save", "kept")
        yield Disk(lone, mounted)
    finally:
        lone.devenv("down", "--data", "--no-backup", "-y")
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        with contextlib.suppress(FileNotFoundError):
            place.rmdir()


def own_row(project: ProjectDir) -> None:
    """A row that devenv did not write."""
    statement = "INSERT INTO activities (uuid, user_uuid, message, created_at) SELECT %s, uuid, %s, %s FROM users"
    values = ("11111111-2222-3333-4444-555555555555", "of my own", "2024-01-01")
    world.sql(project, f"{statement} WHERE handle = 'ines' ON CONFLICT DO NOTHING", *values)


@pytest.mark.parametrize("trouble", ["full", "unwritable"])
def test_without_room_nothing_is_lost(disk: Disk, trouble: str) -> None:
    project = disk.project
    rng = dice(trouble)
    fresh = world.data(project)
    own_row(project)
    before = world.data(project)
    for words in WRITING if FULL else rng.sample(WRITING, 3):
        told(project, *UP)
        own_row(project)
        if trouble == "unwritable":
            told(project, "down")
        without: AbstractContextManager[Callable[[], None] | None] = getattr(disk, trouble)()
        with without as limited:
            for asked in (words, rng.choice(READING)):
                ran = disk.devenv(*asked, limited=limited)
                assert untruths(project, list(asked), ran) == [], (asked, ran.all)
                assert ran.code in (CODES if asked == words else (0,)), (asked, ran.all)
                assert ran.code == 0 or (ran.document["error"]["what"] and ran.document["error"]["hint"]), ran.all
        told(project, *UP)
        world.sql(project, "DROP TABLE IF EXISTS big")
        found = world.data(project)
        if words[:2] == ("down", "--data") and found != before:
            kept = [each["name"] for each in told(project, "snapshot", "list")["snapshots"] if each["automatic"]]
            told(project, "snapshot", "restore", kept[-1])
            found = world.data(project)
            assert found == before
        assert found in (before, fresh), words
        check_whole(project)
        count("commands without room on the disk")


def test_the_file_system_is_a_small_one_where_it_can_be(disk: Disk) -> None:
    """So that the test above is what it says: with a full disk not even one block is free."""
    if disk.mounted:
        with disk.full():
            assert os.statvfs(home(disk.project)).f_bfree == 0
        assert os.statvfs(home(disk.project)).f_bfree > 0
    else:
        with disk.full() as limited:
            ran = disk.devenv("snapshot", "save", "more", limited=limited)
            assert ran.code != 0
    assert Path(home(disk.project)).exists()
