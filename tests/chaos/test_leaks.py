"""Nothing is left: by commands, by killed servers, by `down --data`. (Every project of this suite ends with the same
comparison: tests/chaos/scenario.py, `nothing_left`.)
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.chaos.scenario import FULL, count, footprint, home, leftovers, nothing_left, of_docker, told
from tests.chaos.test_crashes_services import in_docker, on_engine
from tests.e2e import world
from tests.support import ProjectDir, reference_project

COMMANDS = [
    ("up", "--no-backend"),
    ("status",),
    ("env",),
    ("ps",),
    ("logs",),
    ("doctor",),
    ("verify",),
    ("trace", "conversation", world.TELESCOPE),
    ("patterns", "check"),
    ("db", "SELECT 1"),
    ("ddb", "scan", world.TABLE),
    ("snapshot", "list"),
    ("config", "check"),
    ("setup", "-y"),
    ("up",),
    ("reset", "-y"),
    ("snapshot", "save", "one"),
    ("snapshot", "restore", "one"),
    ("snapshot", "delete", "one"),
    ("down",),
]


# Of a project with a service of each kind.
ON_SERVICES = [
    ("up",),
    ("status",),
    ("env",),
    ("ps",),
    ("logs",),
    ("doctor",),
    ("exec", "worker", "--", "true"),
    ("restart", "cache", "rows", "issuer"),
    ("stop", "backend"),
    ("up", "frontend"),
    ("snapshot", "save", "one"),
    ("reset", "-y"),
    ("snapshot", "restore", "one"),
    ("snapshot", "delete", "one"),
    ("down",),
]
CASES = [
    pytest.param(reference_project, partial(in_docker, "embedded"), COMMANDS, id="reference"),
    *(
        pytest.param(
            partial(on_engine, name),
            partial(in_docker, name),
            ON_SERVICES,
            marks=[pytest.mark.needs_redis, *marks],
            id=f"own-{name}",
        )
        for name, marks in (("embedded", []), *([("docker", [pytest.mark.needs_docker])] if FULL else []))
    ),
]


@pytest.mark.long
@pytest.mark.parametrize(("make", "elsewhere", "commands"), CASES)
def test_no_command_leaves_anything(
    make: Callable[[Path], ProjectDir],
    elsewhere: Callable[[Path], object],
    commands: Sequence[tuple[str, ...]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with nothing_left(tmp_path_factory.mktemp("lone"), make, elsewhere) as project:
        temp = Path(project.environ["TMPDIR"])
        python = {"python", Path(sys.executable).name, f"python3.{sys.version_info.minor}"}
        for words in commands:
            codes = {"trace": (0, 1, 3), "doctor": (0, 1), "patterns": (0, 1)}
            # What a command of the project prints is no document.
            if words[0] == "exec":
                project.ok(*words)
            else:
                told(project, *words, codes=codes.get(words[0], (0,)))
            assert list(temp.iterdir()) == [], words
            assert leftovers(project) == [], words
            names = {process.split(" ")[0] for process in footprint(temp.parent).processes}
            assert names <= {"postgres", "java", "redis-server", *python}
            count("commands after which nothing was left")
        assert footprint(temp.parent).processes == {}
        assert footprint(temp.parent).ports == frozenset()
        assert of_docker(project, "container", "-q") == []


def unpacked(pid: int) -> set[Path]:
    """The library that DynamoDB Local has unpacked, as the process has it mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {Path(found) for found in re.findall(r"(/\S*libsqlite4java\S*\.so)\b", maps)}


@pytest.mark.long
def test_what_a_killed_dynamodb_unpacked_is_gone_after_the_next_start(shared: ProjectDir) -> None:
    temp = home(shared) / "temp"
    for _ in range(3):
        pid = world.pids(shared)["dynamodb"]
        assert {path.parent for path in unpacked(pid)} == {temp}
        os.kill(pid, signal.SIGKILL)
        world.until(lambda pid=pid: not psutil.pid_exists(pid), "the end of the process")
        told(shared, "up", "--no-backend")
        assert len(list(temp.iterdir())) == 1
        count("killed servers after which nothing was left")
    told(shared, "down")
    assert not temp.exists()
    told(shared, "up", "--no-backend")


def test_a_terminal_that_goes_away_leaves_nothing(lone: ProjectDir) -> None:
    """SIGHUP and SIGPIPE: `up | head`, a closed window."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        # Under nohup, SIGHUP is ignored, and so it is in every child.
        child = subprocess.Popen(
            lone.command("up"),
            env=lone.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=lone.path,
            preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
        )
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(number)
        child.communicate(timeout=120)
        assert child.returncode == 143
        told(lone, "down")
        assert footprint(lone.path.parent).processes == {}
        assert leftovers(lone) == []
        count("commands ended by a signal")
