"""One comparison at work: hands out tasks, collects what is left over, and keeps a checkpoint."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import DevenvError, Exit, StoreError
from devenv.core.events import Watch
from devenv.core.model import Failure, Report
from devenv.core.plural import number_of
from devenv.host.writing import replacing, write_private
from devenv.stores.dynamodb.key_schema import table_keys
from devenv.verify.context import Context, VerifyOptions
from devenv.verify.plan import write_plan
from devenv.verify.report import report
from devenv.verify.rows import read_rows, snapshot
from devenv.verify.run import Run, Task, segment_name
from devenv.verify.spill import read_sealed
from devenv.verify.tasks import ITEMS_PER_PARTITION, MAX_PARTITIONS, Seen, count_items, key_types, plan_tasks
from devenv.verify.verdict import Coverage, TableCoverage
from devenv.verify.work import first_examples
from devenv.verify.worker import peak_bytes
from devenv.verify.worker_pool import Crew, Job, JobMessage

MAX_WORKERS: Final = 8


# A checkpoint older than this says nothing about the stores any more.
CHECKPOINT_S: Final = 3600.0


def make_run(context: Context, options: VerifyOptions, folder: Path, seen: Seen) -> Run:
    """Everything that the workers are told."""
    tasks = plan_tasks(seen.described, options.segments)
    items = sum(int(table["ItemCount"]) for table in seen.described.values())
    return Run(
        place=str(folder),
        settings=context.settings,
        postgres=context.targets.postgres,
        dynamodb=context.targets.dynamodb,
        keys={name: key_types(table) for name, table in seen.described.items()},
        classes=dict(seen.classes),
        partitions=min(MAX_PARTITIONS, 1 + items // ITEMS_PER_PARTITION),
        tasks=tasks,
        reader=options.reader,
        cap=None if options.max_items is None else -(-options.max_items // len(tasks)),
        plan=options.plan is not None,
    )


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of an unfinished comparison on disk: what it belongs to, and how it was cut up."""

    bound: str
    began: float
    tasks: tuple[Task, ...]
    partitions: int


class Comparison:
    """One comparison on its way: the parts of the report come together here."""

    def __init__(
        self, context: Context, options: VerifyOptions, watch: Watch, folder: Path, seen: Seen, began: float
    ) -> None:
        self.context = context
        self.options = options
        self.watch = watch
        self.folder = folder
        self.seen = seen
        self.began = began
        self.run = make_run(context, options, folder, seen)
        self.segments: dict[int, Mapping[str, Any]] = {}
        self.resumed = self.items_resumed = 0
        self.rows: Mapping[str, Mapping[str, Any]] = {}
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self.rechecked = self.suspects = self.withheld = self.recreated = 0
        self.declare: set[str] = set()
        self.problems: list[str] = []
        self.seconds: dict[str, float] = {}
        self.error: Failure | None = None

    def compare(self, crew: Crew) -> Report:
        """All phases, each only when the one before was complete."""
        self.open_checkpoint()
        count = self.options.workers or min(MAX_WORKERS, os.cpu_count() or 1, len(self.run.tasks))
        crew.begin(self.run, count)
        if self.scan(crew) and self.read_rows() and not self.one_sided():
            partitions = range(self.run.partitions)
            if self.phase(crew, "join", partitions, self.note_joined) and self.suspects:
                # Give writes under way the time to end.
                time.sleep(self.options.grace_s)
                self.phase(crew, "confirm", partitions, self.note_confirmed)
        made = self.finish(crew.peak_bytes + peak_bytes())
        if not self.problems:
            self.clear()
        return made

    def open_checkpoint(self) -> None:
        """Find what an earlier, killed comparison of the same has finished; say so, or say why it starts again."""
        file = self.folder / "checkpoint.json"
        run = self.run
        mark = Checkpoint(self.bound(), time.time(), run.tasks, run.partitions)
        try:
            before = msgspec.json.decode(file.read_bytes(), type=Checkpoint)
        except (OSError, msgspec.DecodeError):
            before = None
        if before is not None and not self.options.restart:
            if before.bound != mark.bound:
                self.watch.say("an unfinished comparison had other settings or other stores: starting again")
            elif mark.began - before.began > CHECKPOINT_S:
                self.watch.say("an unfinished comparison is too old: starting again")
            else:
                self.run = msgspec.structs.replace(run, tasks=before.tasks, partitions=before.partitions)
                found = {n: read_sealed(self.folder, segment_name(n)) for n in range(len(before.tasks))}
                self.segments = {n: sealed.facts for n, sealed in found.items() if sealed is not None}
                self.resumed = sum(before.tasks[n].count for n in self.segments)
                self.items_resumed = sum(facts["items"] for facts in self.segments.values())
                total = sum(task.count for task in before.tasks)
                self.watch.say(f"resuming: {self.resumed} of {number_of(total, 'segment')} there")
                return
        self.clear()
        write_private(file, msgspec.json.encode(mark))

    def bound(self) -> str:
        """Return what a checkpoint belongs to: these settings, these stores, this way of reading them."""
        run, seen = self.run, self.seen
        parts = [run.settings, run.postgres.address, run.dynamodb.endpoint, seen.target, run.keys, run.classes]
        parts += [run.cap, run.reader, self.options.segments]
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()

    def clear(self) -> None:
        """Remove everything that a comparison left."""
        for path in self.folder.iterdir():
            if path.name.partition("-")[0].partition(".")[0] in TEMPORARY:
                path.unlink()

    def interrupted(self) -> DevenvError:
        """Return what Ctrl-C leaves."""
        read = sum(self.run.tasks[n].count for n in self.segments)
        return DevenvError(
            "interrupted",
            exit_code=Exit.INTERRUPTED,
            detail=f"{read} of {number_of(sum(task.count for task in self.run.tasks), 'segment')} read and kept",
            hint="run the same command again: it continues where it stopped",
        )

    def phase(self, crew: Crew, kind: str, numbers: Sequence[int], note: Callable[[JobMessage], None]) -> bool:
        """Have all jobs of a kind done; False when one failed or is missing."""
        started = time.monotonic()
        jobs = [Job(kind, number) for number in numbers]
        self.watch.begin(kind, TITLES[kind])
        done = items = 0
        for told in crew.work(jobs):
            items += told.progress
            if told.failed is not None:
                self.fail(kind, told)
            elif told.done is not None:
                done += 1
                note(told)
            expected = self.expected()
            text = progress_text(kind, items, done, len(jobs), time.monotonic() - started, expected)
            self.watch.note(kind, text, items / expected if kind == "scan" and expected else done / len(jobs))
        self.seconds[kind] = time.monotonic() - started
        whole = done == len(jobs)
        if not whole and not self.problems:
            self.problems.append(f"{len(jobs) - done} of {number_of(len(jobs), 'part')} of the {kind} phase not done")
        self.watch.end(
            kind,
            f"{done} of {number_of(len(jobs), 'part')}, {number_of(items, 'item')}, {self.seconds[kind]:.1f} s",
            whole,
        )
        return whole

    def fail(self, kind: str, told: JobMessage) -> None:
        """Note why a job could not be done."""
        failed = told.failed or {}
        self.problems.append(f"{kind} of part {told.job.number}: {failed['what']}")
        self.error = self.error or Failure(failed["what"], failed.get("detail"), hint="devenv status")

    def expected(self) -> int:
        """Return how many items are still to read, as the tables say."""
        items = sum(int(table["ItemCount"]) for table in self.seen.described.values())
        return max(0, items - self.items_resumed)

    def scan(self, crew: Crew) -> bool:
        """Read DynamoDB."""

        def note(told: JobMessage) -> None:
            self.segments[told.job.number] = told.done or {}

        return self.phase(crew, "scan", [n for n in range(len(self.run.tasks)) if n not in self.segments], note)

    def read_rows(self) -> bool:
        started = time.monotonic()
        self.watch.begin("rows", TITLES["rows"])
        masks: dict[str, set[int]] = {}
        for facts in self.segments.values():
            for channel, seen in facts["masks"].items():
                masks.setdefault(channel, set()).update(seen)
        try:
            with snapshot(self.run.postgres) as connection:
                self.rows = read_rows(self.run, connection, masks)
        except StoreError as error:
            self.problems.append(f"rows: {error.what}")
            self.error = self.error or error.with_hint("devenv status").failure
            self.watch.end("rows", error.what, ok=False)
            return False
        self.seconds["rows"] = time.monotonic() - started
        # Several links may lead to the same rows.
        total = sum(Coverage(rows=self.rows).targets().values())
        self.watch.end("rows", f"{number_of(total, 'row')}, {self.seconds['rows']:.1f} s", ok=True)
        return True

    def one_sided(self) -> bool:
        """Return True if one side is empty: then there is nothing to look at again, as everything would look lost."""
        return any(table.items == 0 for table in self.tables()) or any(
            not facts["rows"] for facts in self.rows.values()
        )

    def note_joined(self, told: JobMessage) -> None:
        """Count the candidates."""
        done = told.done or {}
        self.rechecked += done["candidates"]
        self.suspects += done["suspects"]

    def note_confirmed(self, told: JobMessage) -> None:
        """Count the findings."""
        done = told.done or {}
        self.withheld += done["withheld"]
        self.recreated += done["recreated"]
        self.declare.update(done["declare"])
        for name, count in done["counts"].items():
            self.counts[name] = self.counts.get(name, 0) + count
            self.examples[name] = first_examples([*self.examples.get(name, ()), *done["examples"][name]])

    def tables(self) -> list[TableCoverage]:
        """Return what was read of each table."""
        found = []
        kinds = {kind.table for kind in self.run.links().kinds}
        for table, description in self.seen.described.items():
            numbers = [n for n, task in enumerate(self.run.tasks) if task.table == table]
            facts = [self.segments[n] for n in numbers if n in self.segments]
            declared = self.context.tables.get(table)
            found.append(
                TableCoverage(
                    table=table,
                    segments=sum(self.run.tasks[n].count for n in numbers),
                    finished=sum(fact["finished"] for fact in facts),
                    capped=sum(fact["capped"] for fact in facts),
                    items=sum(fact["items"] for fact in facts),
                    known=sum(fact["known" if table in kinds else "items"] for fact in facts),
                    expired=sum(fact["expired"] for fact in facts),
                    unread=summed(fact.get("unread", {}) for fact in facts),
                    ids=summed(fact.get("ids", {}) for fact in facts),
                    keys=table_keys(description),
                    declared_keys=table_keys(declared) if declared else None,
                    counted=None,
                )
            )
        return found

    def finish(self, peak: int) -> Report:
        """Everything together: coverage, findings file, plan, report."""
        counted = [self.with_count(table) for table in self.tables()]
        settings = self.context.settings
        unlinked = not settings.links and settings.project.cross_store and self.seen.has_rows
        coverage = Coverage(tuple(counted), self.rows, tuple(self.problems), self.resumed, unlinked)
        findings = self.write_findings()
        body: dict[str, Any] = {
            "findings": dict(sorted(self.counts.items())),
            "examples": self.examples,
            "findings_file": str(findings) if findings else None,
            "rechecked": self.rechecked,
            "rates": self.rates(coverage),
            "peak_memory_mb": round(peak / 1e6, 1),
            "target": msgspec.to_builtins(self.seen.target),
        }
        if self.declare:
            body["recreated"] = {"ids": self.recreated, "declare": sorted(self.declare)}
        if self.options.plan is not None and not self.problems:
            plan = write_plan(self.options.plan, self.run, self.seen.target, self.rows, digest_of(findings))
            body["plan"] = {**plan, "left_out": plan["left_out"] + self.withheld}
        return report(self.context, coverage, body, error=self.error, began=self.began)

    def with_count(self, table: TableCoverage) -> TableCoverage:
        """With the store's own number of items, where that matters: an estimate first, counted when it disagrees."""
        if self.problems or table.capped:
            return table
        try:
            return msgspec.structs.replace(
                table, counted=count_items(self.run, self.seen.described[table.table], table)
            )
        except StoreError as error:
            self.problems.append(f"count: {error.what}")
            return table

    def write_findings(self) -> Path | None:
        """All findings, a JSON line each, in one file; None when nothing was compared to the end."""
        if self.problems:
            return None
        path = self.options.findings or self.context.folder / "findings.jsonl"
        with replacing(path) as file:
            for part in sorted(self.folder.glob("findings-*")):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
        return path

    def rates(self, coverage: Coverage) -> dict[str, Any]:
        """Items a second, of the scan and of the whole, and where the time went."""
        spent = time.monotonic() - self.began
        items = coverage.items
        scan = self.seconds.get("scan", 0.0)
        return {
            "items_per_second": round(items / spent) if spent else None,
            "scan_items_per_second": round(items / scan) if scan else None,
            "seconds": {name: round(value, 3) for name, value in {**self.seconds, "total": spent}.items()},
        }


TEMPORARY: Final = frozenset(["segment", "rows", "suspects", "findings", "writes", "checkpoint", "merge"])
TITLES: Final = {
    "scan": "reading DynamoDB",
    "rows": "reading Postgres",
    "join": "comparing",
    "confirm": "confirming the differences",
}


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums of several counts by name."""
    found: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = found.get(name, 0) + count
    return found


def progress_text(kind: str, items: int, done: int, parts: int, spent: float, expected: int) -> str:
    """Return how far a phase is: its rate, and how long it will still take."""
    rate = items / spent if spent else 0.0
    if kind != "scan":
        left = f", {spent / done * (parts - done):.0f} s left" if done else ""
        return f"{done} of {number_of(parts, 'part')}, {number_of(items, 'item')} checked{left}"
    left = f", {max(0, expected - items) / rate:.0f} s left" if rate else ""
    return f"{items:,} of about {number_of(expected, 'item')}, {rate:,.0f}/s{left}"


def digest_of(path: Path | None) -> str:
    """SHA-256 of a file; of nothing when there is none."""
    found = hashlib.sha256()
    if path is not None:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    return found.hexdigest()
