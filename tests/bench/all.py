"""Each command beside its peer, in one run and one table: `make bench`, or `python tests/bench/all.py [options]`.

A is a plain `java -jar DynamoDBLocal.jar` to its first answer, B `python -c "import boto3, psycopg"`. Everything
alternates, so that a noisy neighbour hits all alike; still, only ratios tell, and processor seconds more than time.

`--against COMMIT` takes that commit's code from git into a folder beside, and alternates with it. `--runs N`: medians
of N (7). `--json FILE` writes all samples. `--messages N`, `--items N`: how large the conversation and the snapshot are
(without them these rows are left out: they take minutes). Compose itself is measured by `tests/bench/docker.py`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# As on a user's machine, where Python keeps compiled modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from devenv.config.load import cache_folder, data_home
from tests.bench.reset import with_items
from tests.bench.up import plain_java, wait_for_archive
from tests.e2e.world import free_port
from tests.support import REPOSITORY, ProjectDir, unwind_on_sigterm

CONVERSATION: Final = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
MESSAGES: Final = "cruddur-messages"
STEPS: Final = ("setup", "schema-load", "seed")
# Rows of a command that does the same each time: (name, peer, wanted, words).
COMMANDS: Final = (
    ("up, nothing to do", "B", 0.7, ("up",)),
    ("status", "B", 0.8, ("status",)),
    ("env", "B", 0.4, ("env",)),
    ("--help", "B", 0.3, ("--help",)),
    ("--version", "B", None, ("--version",)),
    ("logs", "B", None, ("logs",)),
    ("doctor, healthy", "B", 1.1, ("doctor",)),
)


# Seconds, and processor seconds.
Sample = tuple[float, float]


@dataclass
class Row:
    """One line of the table: its samples as (seconds, processor seconds) by side, and its peer by name.

    `wanted` is the ratio that the row is meant to keep below. Without a peer it may have a `unit` of its own.
    """

    name: str
    peer: str = ""
    wanted: float | None = None
    unit: str = "s"
    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


@dataclass
class Table:
    """All rows, in the order in which they were first measured."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(
        self, side: str, name: str, sample: tuple[float, float], peer: str = "", wanted: float | None = None
    ) -> None:
        """Note one sample."""
        self.rows.setdefault(name, Row(name, peer, wanted)).samples.setdefault(side, []).append(sample)

    def middle(self, name: str, side: str, part: int) -> float | None:
        """The median of one row's seconds (part 0) or processor seconds (1); of a peer that no side has, its own."""
        samples = self.rows[name].samples if name in self.rows else {}
        found = samples.get(side) or samples.get("")
        return statistics.median(each[part] for each in found) if found else None


@dataclass
class Side:
    """One version of devenv with a project of its own, whose baselines are in a cache of its own."""

    name: str
    project: ProjectDir
    cache: Path

    def forget_baselines(self) -> None:
        """Let the next `up` be the first one of these files on this machine."""
        shutil.rmtree(self.cache / "baselines", ignore_errors=True)


def spent(call: Callable[[], Any]) -> tuple[float, float]:
    """(seconds, processor seconds of the processes that ended) of one call."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    call()
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def make_side(name: str, top: Path, tree: Path) -> Side:
    """A side whose commands run the code in `tree`; the parts are this machine's."""
    cache = top / f"cache-{name}"
    cache.mkdir(mode=0o755)
    for part in cache_folder().iterdir():
        if part.name not in ("baselines", "projects", "completion", "tests") and part.suffix != ".lock":
            (cache / part.name).symlink_to(part)
    project = ProjectDir(top / name)
    project.path.mkdir()
    shutil.copy(tree / "devenv.toml", project.path)
    shutil.copytree(tree / "seeds", project.path / "seeds")
    project.environ.update({"DEVENV_CACHE": str(cache), "PYTHONPATH": str(tree)})
    return Side(name, project, cache)


def check_out(commit: str, place: Path) -> Path:
    """The files of a commit, out of git, in a folder of their own."""
    packed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", commit, "devenv", "devenv.toml", "seeds"],
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(place, filter="data")
    return place


def measure_up(table: Table, side: Side) -> None:
    """One sample of each kind of `up`. Afterwards the stack runs, with the application."""
    project = side.project

    def up(name: str, wanted: float, *words: str) -> None:
        table.add(side.name, name, spent(lambda: project.ok("up", *words)), "A", wanted)

    project.ok("down", "--data", "--no-backup", "-y")
    side.forget_baselines()
    up("up, cold, stores and steps", 0.55, "--no-backend")
    project.ok("down", "--data", "--no-backup", "-y")
    up("up, the same files loaded before", 0.40, "--no-backend")
    project.ok("down")
    up("up, data kept, stores only", 0.36, "--no-backend")
    table.add(side.name, "the application alone", spent_alone(project), "A")
    project.ok("down")
    up("up, data kept, with the application", 0.45)


def measure_commands(table: Table, sides: list[Side]) -> None:
    """One sample of each command on running stacks: one version right after the other, each before and after."""
    for turn in (sides, sides[::-1]):
        for name, peer, wanted, words in COMMANDS:
            for side in turn:
                table.add(side.name, name, spent(partial(side.project.ok, *words)), peer, wanted)
        for side in turn:
            table.add(side.name, "trace, eight layers, its own part", traced(side.project), "B", 0.8)


def spent_alone(project: ProjectDir) -> tuple[float, float]:
    """The application's own start on running stores, without devenv, to its first healthy answer."""
    import urllib.request

    port = free_port()
    words = ["-m", "uvicorn", "devenv.example.app:app", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    log = project.path / "alone.log"
    environ = {**project.environment(), **project.env(), "CORS_ORIGINS": "http://localhost:3000"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen([sys.executable, *words], env=environ, stdout=output, stderr=output)
    try:
        while True:
            assert child.poll() is None, f"the application ended: {log.read_text()[-800:]}"
            assert time.perf_counter() - began < 60, "the application does not answer"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health-check", timeout=2):
                    break
            except OSError:
                time.sleep(0.01)
        seconds = time.perf_counter() - began
    finally:
        child.kill()
        child.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def traced(project: ProjectDir) -> tuple[float, float]:
    """A trace without the time in the application's own function and answer; the processor's seconds are all."""
    documents: list[dict[str, Any]] = []
    seconds, processor = spent(lambda: documents.append(project.json("trace", "conversation", CONVERSATION)))
    verdict = documents[0]["verdict"]
    assert verdict["status"] == "ok", verdict
    # Layers overlap: from each the time that none before it has counted.
    theirs = counted = 0.0
    spans = [
        (x["began_ms"], x["began_ms"] + x["ms"]) for x in documents[0]["layers"] if x["name"] in ("library", "http")
    ]
    for begin, end in sorted(spans):
        theirs += max(0.0, end - max(begin, counted))
        counted = max(counted, end)
    return seconds - theirs / 1000, processor


def measure_peers(table: Table) -> None:
    """One sample of A and of B."""
    answered: list[float] = []
    _, processor = spent(lambda: answered.append(plain_java()))
    table.add("", "A", (answered[0], processor))
    table.add("", "B", spent(lambda: subprocess.run([sys.executable, "-c", "import boto3, psycopg"], check=True)))


def measure_reset(table: Table, side: Side) -> None:
    """Both the three steps' work and the reset's, by their own `--timings`."""
    told = [side.project.json(step, "-y")["timings"] for step in STEPS]
    steps = sum(each[step] for step, each in zip(STEPS, told, strict=True))
    table.add(side.name, "the three steps", (steps, steps))
    timings = side.project.json("reset", "-y")["timings"]
    work = sum(part for name, part in timings.items() if name != "total")
    table.add(side.name, "reset", (work, work), "the three steps", 0.12)


def memory(project: ProjectDir) -> float:
    """Megabytes of all processes of a running stack; what several share counts for each its part."""
    pids = [service["pid"] for service in project.json("status")["services"] if service.get("pid")]
    roots = [psutil.Process(pid) for pid in pids]
    all_ = {each.pid: each for root in roots for each in (root, *root.children(recursive=True))}
    total = 0
    for each in all_.values():
        try:
            told = each.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(told, "pss", 0) or told.rss
    return total / 1_000_000


def measure_conversation(table: Table, side: Side, count: int) -> None:
    """A trace of a conversation of `count` messages, beside reading them with boto3."""
    import boto3
    from boto3.dynamodb.conditions import Key

    told = side.project.env()
    table_ = boto3.resource(
        "dynamodb",
        endpoint_url=told["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=told["AWS_REGION"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
    ).Table(MESSAGES)
    asked = Key("pk").eq(f"MSG#{CONVERSATION}")
    known = table_.query(KeyConditionExpression=asked)["Items"]
    with table_.batch_writer() as batch:
        for number in range(count - len(known)):
            more = {
                "sk": f"2020-01-01T00:00:00.{number:06}+00:00",
                "message_uuid": f"{number:08}-0000-4000-8000-{0:012}",
            }
            batch.put_item(Item={**known[0], **more})

    def read() -> None:
        page = table_.query(KeyConditionExpression=asked)
        while last := page.get("LastEvaluatedKey"):
            page = table_.query(KeyConditionExpression=asked, ExclusiveStartKey=last)

    peer = f"boto3 reads {count:,} messages"
    for _ in range(3):
        began = time.perf_counter(), time.process_time()
        read()
        table.add(side.name, peer, (time.perf_counter() - began[0], time.process_time() - began[1]))
        name = f"trace of {count:,} messages"
        sample = spent(partial(side.project.devenv, "trace", "conversation", CONVERSATION, timeout=600))
        table.add(side.name, name, sample, peer, 2.0)


def measure_snapshot(table: Table, side: Side, top: Path, count: int) -> None:
    """Saving and restoring `count` items, beside copying the files."""
    project = with_items(top / f"many-{side.name}", count)
    project.environ.update(side.project.environ)
    try:
        project.ok("up", "--no-backend", "--timeout", "3600", timeout=3600)
        both = spent(
            lambda: (
                project.ok("snapshot", "save", "bench", timeout=3600),
                project.ok("snapshot", "restore", "bench", "-y", timeout=3600),
            )
        )
        project.ok("down")
        data = data_home(project.path.resolve())
        copied = spent(lambda: [shutil.copytree(data, top / f"copy-{n}", symlinks=True) for n in range(2)])
        table.add(side.name, "copying the files, twice", copied)
        table.add(side.name, f"snapshot save, restore, {count:,} items", both, "copying the files, twice", 1.5)
    finally:
        project.remove()
        for number in range(2):
            shutil.rmtree(top / f"copy-{number}", ignore_errors=True)


def show(table: Table, sides: list[str], runs: int) -> None:
    """Print the table: each side's median, its ratio to its peer, and the ratio between the sides."""
    heads = "".join(f" {side[:10]:>10} {'ratio':>6} {'cpu':>6}" for side in sides)
    between = f" {'cpu ' + sides[0] + '/' + sides[1]:>18}"[:19] if len(sides) > 1 else ""
    print(f"{'medians of ' + str(runs):<38}{heads} {'wanted':>8}{between}")
    for row in table.rows.values():
        line = f"{row.name:<38}"
        for side in sides:
            value, processor = table.middle(row.name, side, 0), table.middle(row.name, side, 1)
            base = table.middle(row.peer, side, 0) if row.peer else None
            ratio = f"{value / base:6.2f}" if value is not None and base else " " * 6
            shown = f"{value:8.2f} {row.unit:<2}" if value is not None else " " * 11
            line += f"{shown} {ratio} {processor:6.2f}" if processor is not None else f"{shown} {ratio} {'':6}"
        peer = row.peer if len(row.peer) == 1 else ""
        line += f" {f'{row.wanted:.2f} {peer}' if row.wanted is not None else '':>8}"
        if len(sides) > 1:
            one, other = (table.middle(row.name, side, 1) for side in sides[:2])
            line += f" {one / other:18.2f}" if one and other and row.name not in ("A", "B") else ""
        print(line)


def written(table: Table, sides: list[str], runs: int) -> dict[str, Any]:
    """All samples and medians as a JSON document, for a comparison of two commits."""
    return {
        "schema": 1,
        "runs": runs,
        "sides": sides,
        "rows": [
            {
                "name": row.name,
                "peer": row.peer or None,
                "wanted": row.wanted,
                "unit": row.unit,
                "samples": row.samples,
                "ratio": {
                    side: value / base
                    for side in sides
                    if (value := table.middle(row.name, side, 0)) is not None
                    and row.peer
                    and (base := table.middle(row.peer, side, 0))
                },
            }
            for row in table.rows.values()
        ],
    }


@contextmanager
def made_sides(against: str | None) -> Iterator[tuple[list[Side], Path]]:
    """This version, and the one of the commit; all that they started is gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        trees = {"here": REPOSITORY}
        if against is not None:
            trees[against[:10]] = check_out(against, top / "tree")
        sides = [make_side(name, top, tree) for name, tree in trees.items()]
        try:
            yield sides, top
        finally:
            for side in sides:
                side.project.remove()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Timings of all commands, each beside its peer.")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--messages", type=int, metavar="N")
    parser.add_argument("--items", type=int, metavar="N")
    options = parser.parse_args()
    unwind_on_sigterm()
    table = Table()
    with made_sides(options.against) as (sides, top):
        for side in sides:
            side.project.ok("up", timeout=600)
        wait_for_archive()
        for number in range(options.runs):
            measure_peers(table)
            for side in sides if number % 2 else sides[::-1]:
                measure_up(table, side)
            measure_commands(table, sides)
        for side in sides:
            table.add(side.name, "memory of the stack", (memory(side.project), 0.0))
            table.rows["memory of the stack"].unit = "MB"
            for _ in range(min(3, options.runs)):
                measure_reset(table, side)
            if options.messages:
                measure_conversation(table, side, options.messages)
            if options.items:
                measure_snapshot(table, side, top, options.items)
    names = [side.name for side in sides]
    show(table, names, options.runs)
    if options.json:
        options.json.write_text(json.dumps(written(table, names, options.runs), indent=1))


if __name__ == "__main__":
    main()
