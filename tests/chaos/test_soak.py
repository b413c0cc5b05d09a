"""Random operations, one after another: memory, files and processes do not grow.

CHAOS_SOAK_S seconds (`make soak`: an hour).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.chaos.scenario import check_whole, count, footprint, home, told
from tests.e2e import world
from tests.support import ProjectDir, dice

pytestmark = pytest.mark.long

SECONDS = float(os.environ.get("CHAOS_SOAK_S", "45"))
OPERATIONS = [
    ("up", "--no-backend"),
    ("up",),
    ("up", "--no-backend", "--force", "seed"),
    ("status",),
    ("doctor",),
    ("verify",),
    ("trace", "conversation", world.TELESCOPE),
    ("patterns", "check"),
    ("db", "SELECT * FROM users"),
    ("ddb", "scan", world.TABLE),
    ("setup", "-y"),
    ("schema-load", "-y"),
    ("seed", "-y"),
    ("reset", "-y"),
    ("snapshot", "save", "soak"),
    ("snapshot", "restore", "soak"),
    ("snapshot", "delete", "soak"),
    ("db", "--write", "INSERT INTO activities (user_uuid, message) SELECT uuid, 'soak' FROM users"),
    ("logs",),
    ("env",),
    ("down",),
]
# What may come back different without an error: a name that is taken, or not there; what does not run; findings.
CODES = (0, 1, 2, 3, 9)


@dataclass(frozen=True)
class Size:
    """What a project uses: processes, open files and memory of its servers, files and bytes of its own."""

    processes: int
    handles: int
    memory_mb: float
    files: int
    megabytes: float
    databases: int


def measure(project: ProjectDir) -> Size:
    """After a reset and a restart of everything, so that only what stays is measured."""
    told(project, "up", "--no-backend")
    told(project, "reset", "-y")
    told(project, "down")
    told(project, "up", "--no-backend")
    servers = [psutil.Process(pid) for found in world.servers(project).values() for pid in found]
    servers += [child for each in servers for child in each.children(recursive=True)]
    servers = list({each.pid: each for each in servers}.values())
    paths = [path for top in {home(project), project.path / ".devstate"} for path in top.rglob("*")]
    # Snapshots that devenv makes by itself are bounded by their number: five after `down`.
    paths = [path for path in paths if "/snapshots/" not in str(path) and path.is_file()]
    return Size(
        processes=sum(footprint(project.path.parent).processes.values()),
        handles=sum(each.num_fds() for each in servers),
        memory_mb=sum(each.memory_info().rss for each in servers) / 2**20,
        files=len(paths),
        megabytes=sum(path.stat().st_size for path in paths) / 2**20,
        databases=len(world.sql(project, "SELECT 1 FROM pg_database")),
    )


@pytest.mark.timeout(SECONDS + 600)
def test_it_does_not_grow(lone: ProjectDir) -> None:
    rng = dice("soak")
    told(lone, "up")
    end = time.monotonic() + SECONDS
    for words in OPERATIONS:
        told(lone, *words, codes=CODES)
    before, memory = measure(lone), psutil.Process().memory_info().rss
    done = 0
    while time.monotonic() < end:
        told(lone, *rng.choice(OPERATIONS), codes=CODES)
        done += 1
        temp = list(Path(lone.environ["TMPDIR"]).iterdir())
        assert temp == []
        snapshots = len(list((home(lone) / "snapshots").iterdir()))
        assert snapshots <= 25
    after = measure(lone)
    print(f"{done} operations: {before} -> {after}, this process {memory >> 20} -> MB")
    assert after.processes == before.processes
    assert after.databases <= before.databases + 5
    assert after.handles <= before.handles * 1.5
    assert after.memory_mb <= before.memory_mb * 1.5
    assert after.files <= before.files * 1.5 + 50 * (after.databases + 1)
    assert after.megabytes <= before.megabytes * 2 + 64
    check_whole(lone, snapshots_too=False)
    count("operations of the soak", done)
