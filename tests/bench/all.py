"""Each command beside its peer, in one run and one table: `make bench`, or `python tests/bench/all.py [options]`.

A is a plain `java -jar DynamoDBLocal.jar` to its first answer, B `python -c "import boto3, psycopg"`. Everything
alternates, so that a noisy neighbour hits all alike; still, only ratios tell, and processor seconds more than time.

    python tests/bench/all.py                          every row but the snapshot
    python tests/bench/all.py --long                   every row, also `snapshot save` and `restore` of 1,000,000 items
    python tests/bench/all.py --against COMMIT --json FILE      beside another commit, all samples in a file

`--against COMMIT` takes that commit's code from git into a folder beside, and alternates with it. `--runs N`: medians
of N (7). `--messages N` and `--items N`: how large the conversation (10,000; 0 leaves it out) and the snapshot are
(`--items` implies `--long`, which takes many minutes). Below the table stands, for each row that misses what is wanted,
where its time goes. Compose itself is measured by `tests/bench/docker.py`.

Rows "own work" are what a command says of itself by `--timings`: they compare parts of one version. Between versions
they tell nothing, since work (an import, a connection) moves in and out of what a command times; whole commands do.
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

from devenv.config.load import cache_folder
from tests.bench.reset import copy_stores, with_items
from tests.bench.up import plain_java, wait_for_archive
from tests.bench.where import imports_of, listed, parts_of
from tests.e2e.world import free_port
from tests.support import REPOSITORY, ProjectDir, unwind_on_sigterm

CONVERSATION: Final = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
MESSAGES: Final = "cruddur-messages"
STEPS: Final = ("setup", "schema-load", "seed")
THREE: Final = "the three steps, as commands"
HERE: Final = "here"
OWN_WORK: Final = "the three steps, own work"
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


# Seconds, and processor seconds (None: not known).
Sample = tuple[float, float | None]


@dataclass
class Row:
    """One line of the table: its samples by side, and its peer by name.

    `wanted` is the ratio that the row is meant to keep below; without a peer it is a figure in the row's own `unit`.
    `parts` are the seconds of this version's parts, last measured.
    """

    name: str
    peer: str = ""
    wanted: float | None = None
    unit: str = "s"
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)


@dataclass
class Table:
    """All rows, in the order in which they were first measured."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, side: str, name: str, sample: Sample, peer: str = "", wanted: float | None = None) -> None:
        """Note one sample."""
        self.rows.setdefault(name, Row(name, peer, wanted)).samples.setdefault(side, []).append(sample)

    def note(self, side: str, name: str, parts: dict[str, float]) -> None:
        """Keep the seconds of a row's parts, of this version."""
        if side == HERE:
            self.rows[name].parts = parts

    def middle(self, name: str, side: str, part: int) -> float | None:
        """The median of one row's seconds (part 0) or processor seconds (1); of a peer that no side has, its own."""
        samples = self.rows[name].samples if name in self.rows else {}
        found = samples.get(side) or samples.get("")
        known = [value for each in found or () if (value := each[part]) is not None]
        return statistics.median(known) if known else None

    def missed(self, side: str) -> list[Row]:
        """The rows that are above what is wanted."""
        found = []
        for row in self.rows.values():
            value, base = self.middle(row.name, side, 0), self.middle(row.peer, side, 0) if row.peer else 1.0
            if row.wanted is not None and value is not None and base and value / base > row.wanted:
                found.append(row)
        return found


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


def told(project: ProjectDir, *words: str, timeout: float = 600.0) -> tuple[tuple[float, float], dict[str, Any]]:
    """(seconds, processor seconds) of one command with --json, and its document."""
    documents: list[dict[str, Any]] = []
    return spent(lambda: documents.append(project.json(*words, timeout=timeout))), documents[0]


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
    git = project.path / ".git"

    def up(name: str, wanted: float | None, *words: str) -> None:
        sample, document = told(project, "up", *words)
        assert document["exit_code"] == 0, document
        table.add(side.name, name, sample, "A", wanted)
        table.note(side.name, name, parts_of(document))

    # Only checkouts of git share what was loaded: the folder is one for these two rows.
    project.ok("down", "--data", "--no-backup", "-y")
    subprocess.run(["git", "init", "-q", str(project.path)], check=True)
    side.forget_baselines()
    up("up, cold, in git (shares what it loads)", None, "--no-backend")
    project.ok("down", "--data", "--no-backup", "-y")
    up("up, the same files loaded before, in git", 0.40, "--no-backend")
    shutil.rmtree(git)
    project.ok("down", "--data", "--no-backup", "-y")
    up("up, cold, stores and steps", 0.55, "--no-backend")
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
            name = "trace, eight layers, its own part"
            sample, parts = traced(side.project)
            table.add(side.name, name, sample, "B", 0.8)
            table.note(side.name, name, parts)


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


def traced(project: ProjectDir) -> tuple[Sample, dict[str, float]]:
    """A trace without the time in the application's own function and answer, and the seconds of its layers.

    The processor's seconds are those of all of it.
    """
    (seconds, processor), document = told(project, "trace", "conversation", CONVERSATION)
    verdict = document["verdict"]
    assert verdict["status"] == "ok", verdict
    # Layers overlap: from each the time that none before it has counted.
    theirs = counted = 0.0
    spans = [(x["began_ms"], x["began_ms"] + x["ms"]) for x in document["layers"] if x["name"] in ("library", "http")]
    for begin, end in sorted(spans):
        theirs += max(0.0, end - max(begin, counted))
        counted = max(counted, end)
    return (seconds - theirs / 1000, processor), parts_of(document)


def measure_peers(table: Table) -> None:
    """One sample of A and of B."""
    answered: list[float] = []
    _, processor = spent(lambda: answered.append(plain_java()))
    table.add("", "A", (answered[0], processor))
    table.add("", "B", spent(lambda: subprocess.run([sys.executable, "-c", "import boto3, psycopg"], check=True)))


def measure_reset(table: Table, side: Side) -> None:
    """The steps and the reset, as commands and by their own `--timings`."""

    def run(name: str, peer: str = "") -> dict[str, float]:
        sample, document = told(side.project, name, "-y")
        assert document["exit_code"] == 0, document
        table.add(side.name, f"devenv {name}", sample, peer)
        return parts_of(document)

    steps = {step: run(step)[step] for step in STEPS}
    whole = [table.rows[f"devenv {step}"].samples[side.name][-1] for step in STEPS]
    table.add(side.name, THREE, (sum(each[0] for each in whole), sum(each[1] or 0.0 for each in whole)))
    table.add(side.name, OWN_WORK, (sum(steps.values()), None))
    work = run("reset", THREE)
    table.add(side.name, "reset, own work", (sum(work.values()), None), OWN_WORK, 0.12)
    table.note(side.name, "reset, own work", work)


def memory(project: ProjectDir) -> float:
    """Megabytes of all processes of a running stack; what several share counts for each its part."""
    pids = [service["pid"] for service in project.json("status")["services"] if service.get("pid")]
    roots = [psutil.Process(pid) for pid in pids]
    all_ = {each.pid: each for root in roots for each in (root, *root.children(recursive=True))}
    total = 0
    for each in all_.values():
        try:
            used = each.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(used, "pss", 0) or used.rss
    return total / 1_000_000


def measure_conversation(table: Table, side: Side, count: int) -> None:
    """A trace of a conversation of `count` messages, beside reading them with boto3."""
    import boto3
    from boto3.dynamodb.conditions import Key

    env = side.project.env()
    table_ = boto3.resource(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
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
        sample, document = told(side.project, "trace", "conversation", CONVERSATION)
        # Of so many messages the API's last pages are not read, which the verdict says; nothing else may be wrong.
        assert document["verdict"]["status"] in ("ok", "not_verified"), document["verdict"]
        table.add(side.name, name, sample, peer, 2.0)
        table.note(side.name, name, parts_of(document))


def measure_snapshot(table: Table, side: Side, top: Path, count: int) -> None:
    """Saving and restoring `count` items, beside copying the files."""
    project = with_items(top / f"many-{side.name}", count)
    project.environ.update(side.project.environ)
    try:
        project.ok("up", "--no-backend", "--timeout", "3600", timeout=3600)
        saved = spent(partial(project.ok, "snapshot", "save", "bench", timeout=3600))
        restored = spent(partial(project.ok, "snapshot", "restore", "bench", "-y", timeout=3600))
        project.ok("down")
        copied = spent(lambda: [copy_stores(project, top / f"copy-{n}") for n in range(2)])
        table.add(side.name, "copying the files, twice", copied)
        name = f"snapshot save, restore, {count:,} items"
        both = saved[0] + restored[0], saved[1] + restored[1]
        table.add(side.name, name, both, "copying the files, twice", 1.5)
        table.note(side.name, name, {"save": saved[0], "restore": restored[0]})
    finally:
        project.remove()
        for number in range(2):
            shutil.rmtree(top / f"copy-{number}", ignore_errors=True)


def show_missed(table: Table, side: Side) -> None:
    """Print where the time goes of each row that misses what is wanted: its parts, or what the command imports."""
    words = {name: each for name, _, _, each in COMMANDS}
    for row in table.missed(side.name):
        parts = row.parts or (imports_of(side.project, words[row.name]) if row.name in words else {})
        print(f"{row.name}: above {row.wanted:g}{f'; {listed(parts)}' if parts else ''}")


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
        trees = {HERE: REPOSITORY}
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
    parser.add_argument("--messages", type=int, metavar="N", default=10_000)
    parser.add_argument("--long", action="store_true", help="also the snapshot of --items items")
    parser.add_argument("--items", type=int, metavar="N")
    options = parser.parse_args()
    items = options.items or (1_000_000 if options.long else 0)
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
            table.add(side.name, "memory of the stack", (memory(side.project), None))
            table.rows["memory of the stack"].unit, table.rows["memory of the stack"].wanted = "MB", 450.0
            for _ in range(min(3, options.runs)):
                measure_reset(table, side)
            if options.messages:
                measure_conversation(table, side, options.messages)
            if items:
                measure_snapshot(table, side, top, items)
        names = [side.name for side in sides]
        show(table, names, options.runs)
        show_missed(table, sides[0])
    if options.json:
        options.json.write_text(json.dumps(written(table, names, options.runs), indent=1))


if __name__ == "__main__":
    main()
