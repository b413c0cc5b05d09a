"""What a reset, a second checkout and a restored pair per test cost beside the three steps: `make bench`.

Three tables, each in one run on one machine:
1. `reset` (its own work by `--timings`, with the snapshot it keeps) beside the three steps on the same running stores,
   on the reference project and on 100,000 items.
2. The first `up` of a second worktree beside the first one's.
3. A suite of TESTS tests on two workers, each with a restored pair, beside the same suite that runs the three steps: in
   the test's own process on the same stores (no command to start, no disk to wait for), and, as who has no plugin does
   it, by the three commands on the project's stores, which one process has for itself.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from devenv.config.load import cache_folder, data_home
from tests.support import ProjectDir, reference_project, unwind_on_sigterm

RUNS = 5
TESTS = 200
STEP_TESTS = 40
COMMAND_TESTS = 5
STEPS = ("setup", "schema-load", "seed")
PATIENCE_S = 3600.0

SUITE = """
import os, subprocess, sys, time, pytest
from types import SimpleNamespace
from devenv import stack
from devenv.lifecycle.load import StepLoader
from devenv.lifecycle.plan import ORDER, Options
from devenv.lifecycle.start import Clock, ServiceStarter
from devenv.lifecycle.steps import read_inputs
from devenv.stores.postgres import client as postgres
from devenv.stores.dynamodb.client import Dynamo
from devenv.core.events import Watch

@pytest.fixture
def by_steps(devenv_stack):
    services = ServiceStarter(devenv_stack.stack, Options(), Watch(), Clock())
    StepLoader(services).run_all(read_inputs(devenv_stack.stack), ORDER)
    services.close()
    return devenv_stack

@pytest.fixture
def by_commands():
    for step in ("setup", "schema-load", "seed"):
        subprocess.run([sys.executable, "-m", "devenv", "-q", step, "-y"], check=True, capture_output=True)
    return SimpleNamespace(stack=stack.open_stack(None))

@pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
def test_pair(request, number):
    began = time.perf_counter()
    targets = request.getfixturevalue(os.environ["FIXTURE"]).stack.engine.targets()
    with postgres.connect(targets.postgres) as connection:
        assert postgres.one(connection, "SELECT count(*) FROM activities") == 8
        connection.execute("DELETE FROM activities")
    with Dynamo(targets.dynamodb) as dynamodb:
        assert dynamodb.call("Scan", {"TableName": "cruddur-messages", "Select": "COUNT"})["Count"] == 162
        dynamodb.call("PutItem", {"TableName": "cruddur-messages", "Item": {"pk": {"S": "mine"}, "sk": {"S": "x"}}})
    with open(f"took-{os.getpid()}", "a") as file:
        print(time.perf_counter() - began, file=file)
"""


@contextmanager
def place() -> Iterator[Path]:
    """A temporary folder that every account may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def copy_stores(project: ProjectDir, folder: Path) -> float:
    """Seconds to copy both stores' files to a new folder, without the snapshots that lie beside them."""
    home = data_home(project.path.resolve())
    began = time.perf_counter()
    for name in ("postgres", "dynamodb"):
        shutil.copytree(home / name, folder / name, symlinks=True)
    return time.perf_counter() - began


def with_items(path: Path, count: int) -> ProjectDir:
    """The reference project with a seed file of `count` more messages."""
    project = reference_project(path)
    items = [
        {
            "pk": f"MSG#00000000-0000-4000-8000-{number // 1000:012}",
            "sk": f"2023-01-01T00:00:00.{number:06}+00:00",
            "message_uuid": f"00000000-0000-4000-9000-{number:012}",
            "message": f"message {number}",
            "user_uuid": "${users[handle=ines].uuid}",
            "user_handle": "ines",
        }
        for number in range(count)
    ]
    document = {"table": "cruddur-messages", "items": items}
    (path / "seeds/dynamodb/items/many.json").write_text(json.dumps(document))
    return project


def resets(project: ProjectDir, runs: int, *, large: bool = False) -> None:
    """Print the median of the steps' work and of the reset's, and their ratio.

    A large seed takes minutes: there the steps' work is that of the first `up`.
    """
    try:
        first = project.json("up", "--no-backend", "--timeout", str(PATIENCE_S), timeout=PATIENCE_S)["timings"]
        steps, work, methods = [sum(first[step] for step in STEPS)] if large else [], [], set()
        for _ in range(runs):
            if not large:
                told = [project.json(step, "-y", timeout=PATIENCE_S)["timings"] for step in STEPS]
                steps.append(sum(told[number][step] for number, step in enumerate(STEPS)))
            told = project.json("reset", "-y", timeout=PATIENCE_S)
            methods.add(told["method"])
            work.append(sum(part for name, part in told["timings"].items() if name != "total"))
        show("the three steps", steps, None)
        show(f"reset (method: {', '.join(sorted(methods))})", work, statistics.median(steps))
    finally:
        project.remove()


def worktrees(top: Path) -> None:
    """Print the first `up` of the first checkout and of others."""
    cache = top / "cache"
    cache.mkdir()
    for part in cache_folder().iterdir():
        if part.name not in ("baselines", "projects"):
            (cache / part.name).symlink_to(part)
    firsts, seconds = [], []
    first = ProjectDir(top / "first", {"DEVENV_CACHE": str(cache)})
    second = ProjectDir(top / "second", first.environ)
    who = ["-c", "user.email=bench@example.com", "-c", "user.name=bench"]
    for _ in range(RUNS):
        try:
            reference_project(first.path)
            for words in (
                ["init", "-q"],
                ["add", "-A"],
                ["commit", "-qm", "x"],
                ["worktree", "add", "-q", str(second.path)],
            ):
                subprocess.run(["git", *who, *words], cwd=first.path, check=True, capture_output=True)
            for project, found in ((first, firsts), (second, seconds)):
                began = time.perf_counter()
                project.ok("up")
                found.append(time.perf_counter() - began)
                project.ok("down")
        finally:
            first.devenv("down", "--all", "--data", "--no-backup", "-y")
            for left in (first.path, second.path, cache / "baselines"):
                shutil.rmtree(left, ignore_errors=True)
    show("first checkout, cold up", firsts, None)
    show("second checkout, first up", seconds, statistics.median(firsts))


def suite(project: ProjectDir) -> None:
    """Print the time per test of the sample suite in both ways."""
    (project.path / "test_suite.py").write_text(SUITE)
    base = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if (
        "devenv_stack"
        not in subprocess.run([*base[:3], "--fixtures"], cwd=project.path, capture_output=True, text=True).stdout
    ):
        base += ["-p", "devenv.testing.pytest_plugin"]

    def took(fixture: str, tests: int, workers: int) -> list[float]:
        env = project.environment(FIXTURE=fixture, TESTS=str(tests))
        subprocess.run([*base, "-n", str(workers)], cwd=project.path, env=env, check=True, stdout=subprocess.DEVNULL)
        found = []
        for file in project.path.glob("took-*"):
            # A worker's first test waits for its stores to start.
            found += [float(line) for line in file.read_text().splitlines()[1:]]
            file.unlink()
        return found

    steps = took("by_steps", STEP_TESTS, 2)
    pairs = took("devenv_stores", TESTS, 2)
    try:
        project.ok("up", "--no-backend")
        commands = took("by_commands", COMMAND_TESTS, 1)
    finally:
        project.remove()
    pair = statistics.median(pairs)
    show(f"per test, a restored pair ({TESTS} tests)", pairs, None)
    for name, samples in (
        (f"the steps in-process, same stores ({STEP_TESTS})", steps),
        (f"the three commands, 1 process ({COMMAND_TESTS})", commands),
    ):
        show(name, samples, None)
        print(f"  {statistics.median(samples) / pair:.1f} x a restored pair")


def show(name: str, samples: list[float], base: float | None) -> None:
    """One line: median, spread, ratio."""
    median = statistics.median(samples)
    ratio = f"{median / base:8.3f}" if base else " " * 8
    print(f"{name:<40} {median:9.3f} {min(samples):9.3f} {max(samples):9.3f} {ratio}", flush=True)


def main() -> None:
    """Measure and print: all, or the parts that are named (small, worktrees, suite, and a number of items)."""
    unwind_on_sigterm()
    words = sys.argv[1:] or ["small", "worktrees", "suite", "100000"]
    print(f"{'':<40} {'median s':>9} {'min':>9} {'max':>9} {'ratio':>8}")
    with place() as top:
        for word in words:
            if word == "small":
                print("reference project, 162 items")
                resets(reference_project(top / "reference"), RUNS)
            elif word == "worktrees":
                worktrees(top)
            elif word == "suite":
                suite(reference_project(top / "suite"))
            else:
                print(f"{int(word) + 162} items")
                resets(with_items(top / "many", int(word)), 2, large=True)


if __name__ == "__main__":
    main()
