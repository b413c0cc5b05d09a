"""`devenv verify`: every id of one store held against the other, at any size, with the proof of what was compared.

DynamoDB is read in parallel segments (`scan`) and sifted into small records (`sieve`), which spill to hash partitions
on disk (`spill`); Postgres is read in one snapshot (`rows`); the partitions are joined (`join`), and what does not fit
is read again from both stores, twice, before it is a finding (`look`). Workers (`crew`, `work`) do all that; this
module plans the jobs, keeps the checkpoint, and makes the report. What the report means is decided in `verdict`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from devenv.config.schema import Settings
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Failure, Report, Targets
from devenv.core.plural import number_of
from devenv.host.state import lock, write_private
from devenv.links.judge import compile_plan
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.stores.dynamodb.key_schema import table_keys
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.reader import reading as open_postgres
from devenv.verify.journal import journal_path, read_ours
from devenv.verify.output import FINDINGS, PLAN, check_output, replacing
from devenv.verify.plan import Head, write_plan
from devenv.verify.rows import column_classes, read_rows, snapshot
from devenv.verify.run import Run, Target, Task, segment_name
from devenv.verify.spill import read_sealed
from devenv.verify.verdict import Coverage, TableCoverage, judge_coverage
from devenv.verify.work import first_examples
from devenv.verify.worker import peak_bytes
from devenv.verify.worker_pool import Crew, Job, Told

ITEMS_PER_TASK: Final = 10_000
MAX_TASKS: Final = 128
# Half of what fits into a page, so that a segment nearly always is one: for every page DynamoDB Local reads the
# whole rest of the segment, which made a scan in one segment 20 times as slow as one in a hundred.
SEGMENT_BYTES: Final = 500_000
# More than this would cost requests, where segments of many pages are as fast: in AWS.
MAX_SEGMENTS: Final = 4096
ITEMS_PER_PARTITION: Final = 50_000
MAX_PARTITIONS: Final = 512
MAX_WORKERS: Final = 8
# A correct writer changes one store and then the other; what is still wrong after this long was not being written.
GRACE_S: Final = 1.5
# A checkpoint older than this says nothing about the stores any more.
CHECKPOINT_S: Final = 3600.0


@dataclass(frozen=True)
class Context:
    """What is compared. `folder` is the project's state folder, `tables` the declared CreateTable requests by name.

    `ready` raises a StoreError when one of the project's stores does not run.
    """

    settings: Settings
    targets: Targets
    folder: Path
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ready: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Options:
    """How. `plan` and `findings` are files to write; `max_items` bounds the scan (and so the proof).

    `workers` and `segments`: None chooses by the size of the tables and of the machine.
    """

    plan: Path | None = None
    findings: Path | None = None
    workers: int | None = None
    segments: int | None = None
    max_items: int | None = None
    restart: bool = False
    reader: Literal["raw", "sdk"] = "raw"
    grace_s: float = GRACE_S


@dataclass(frozen=True)
class Seen:
    """One look at both stores before anything is read: who they are, and what the tables and columns are like."""

    target: Target
    described: Mapping[str, Mapping[str, Any]]
    classes: Mapping[str, str]


def verify(context: Context, options: Options, watch: Watch) -> Report:
    """Compare both stores and report. UsageError when nothing is declared; a store that does not answer is exit 3."""
    if not context.settings.links and not context.settings.groups and not context.settings.entities:
        raise UsageError(
            "nothing is declared that could be compared",
            hint="declare [entities], [[links]] and [[groups]] in devenv.toml",
        )
    began = time.monotonic()
    options = replace(options, plan=plan_file(context, options.plan), findings=findings_file(options))
    folder = context.folder / "verify"
    try:
        context.ready()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock(folder, 0.0, watch.say, "wait for it to end, then: devenv verify"), Crew(folder) as crew:
            seen = look_at_stores(context)
            comparison = Comparison(context, options, watch, folder, seen, began)
            try:
                return comparison.compare(crew)
            except KeyboardInterrupt:
                raise comparison.interrupted() from None
    except StoreError as error:
        error.with_hint("devenv up")
        return report(context, Coverage(problems=(error.what,)), {}, error=error.failure, began=began)
    except OSError as error:
        # Stores raise StoreErrors: this is a file.
        raise DevenvError(
            "a file of the comparison cannot be used",
            detail=str(error),
            hint="run the same command again: it goes on where it was",
        ) from None


def plan_file(context: Context, path: Path | None) -> Path | None:
    """Where to write the plan. UsageError where that would lose something: what an applied plan changed, too."""
    if path is None:
        return None
    place = check_output(path, PLAN)
    try:
        with place.open("rb") as file:
            head = msgspec.json.decode(file.readline(), type=Head)
    except (OSError, msgspec.DecodeError):
        return place
    if read_ours(journal_path(context.folder, head.sha256)):
        raise UsageError(
            f"{path} is not replaced",
            detail="it was applied, and holds what is needed to take that back",
            hint="name another file",
        )
    return place


def findings_file(options: Options) -> Path | None:
    """Where to write all findings. UsageError as above, and for one file for both."""
    path = options.findings
    if path is None:
        return None
    if options.plan is not None and os.path.realpath(path) == os.path.realpath(options.plan):
        raise UsageError(f"{path} cannot be both the plan and the findings", hint="name another file")
    return check_output(path, FINDINGS)


def look_at_stores(context: Context) -> Seen:
    """Who both stores are. StoreError when one does not answer, or lacks a declared table or column."""
    plan = compile_plan(context.settings, {})
    with open_postgres(context.targets.postgres) as connection:
        classes = column_classes(plan, postgres.read_catalog(connection))
        identifier = postgres.system_identifier(connection)
        database = str(postgres.one(connection, "SELECT current_database()"))
    described = describe_tables(context, plan.tables)
    tables = {
        name: {
            "arn": str(table.get("TableArn", "")),
            "id": str(table.get("TableId", "")),
            "created": str(table.get("CreationDateTime", "")),
        }
        for name, table in described.items()
    }
    dotted = {".".join(place): kind for place, kind in classes.items()}
    return Seen(Target(identifier, database, tables), described, dotted)


def describe_tables(context: Context, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The description of each of these tables. StoreError when one is not there."""
    with Dynamo(read_only(context.targets.dynamodb)) as dynamodb:
        return {name: dynamodb.call("DescribeTable", {"TableName": name})["Table"] for name in names}


def plan_tasks(described: Mapping[str, Mapping[str, Any]], segments: int | None) -> tuple[Task, ...]:
    """The segments of all tables, some together as a task, which is a unit of progress and of the checkpoint.

    `segments`: as many of each table, each a task of its own.
    """
    tasks: list[Task] = []
    for table, description in described.items():
        count = segments or min(MAX_TASKS, 1 + int(description["ItemCount"]) // ITEMS_PER_TASK)
        size = int(description.get("TableSizeBytes", 0))
        total = segments or max(count, min(MAX_SEGMENTS, 1 + size // SEGMENT_BYTES))
        bounds = [total * number // count for number in range(count + 1)]
        tasks += [Task(table, first, total, end - first) for first, end in pairwise(bounds)]
    return tuple(tasks)


def make_run(context: Context, options: Options, folder: Path, seen: Seen) -> Run:
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


def key_types(table: Mapping[str, Any]) -> dict[str, str]:
    """A table's key attributes and their types, the hash key first."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    return {name: types[name] for name in table_keys(table)}


class Checkpoint(msgspec.Struct, frozen=True):
    """What is in the state folder while a comparison is unfinished: what it belongs to, and how it was cut up."""

    bound: str
    began: float
    tasks: tuple[Task, ...]
    partitions: int


class Comparison:
    """One comparison on its way: the parts of the report come together here."""

    def __init__(
        self, context: Context, options: Options, watch: Watch, folder: Path, seen: Seen, began: float
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
        self.rechecked = self.suspects = 0
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
        """What a checkpoint belongs to: these settings, these stores, this way of reading them."""
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
        """What Ctrl-C leaves."""
        read = sum(self.run.tasks[n].count for n in self.segments)
        return DevenvError(
            "interrupted",
            exit_code=Exit.INTERRUPTED,
            detail=f"{read} of {number_of(sum(task.count for task in self.run.tasks), 'segment')} read and kept",
            hint="run the same command again: it goes on where it was",
        )

    def phase(self, crew: Crew, kind: str, numbers: Sequence[int], note: Callable[[Told], None]) -> bool:
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

    def fail(self, kind: str, told: Told) -> None:
        """Note why a job could not be done."""
        failed = told.failed or {}
        self.problems.append(f"{kind} of part {told.job.number}: {failed['what']}")
        self.error = self.error or Failure(failed["what"], failed.get("detail"), hint="devenv status")

    def expected(self) -> int:
        """How many items are still to read, as the tables say."""
        items = sum(int(table["ItemCount"]) for table in self.seen.described.values())
        return max(0, items - self.items_resumed)

    def scan(self, crew: Crew) -> bool:
        """Read DynamoDB."""

        def note(told: Told) -> None:
            self.segments[told.job.number] = told.done or {}

        return self.phase(crew, "scan", [n for n in range(len(self.run.tasks)) if n not in self.segments], note)

    def read_rows(self) -> bool:
        """Read Postgres."""
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
        """Whether one side is empty: then there is nothing to look at again, as everything would look lost."""
        return any(table.items == 0 for table in self.tables()) or any(
            not facts["rows"] for facts in self.rows.values()
        )

    def note_joined(self, told: Told) -> None:
        """Count the candidates."""
        done = told.done or {}
        self.rechecked += done["candidates"]
        self.suspects += done["suspects"]

    def note_confirmed(self, told: Told) -> None:
        """Count the findings."""
        done = told.done or {}
        for name, count in done["counts"].items():
            self.counts[name] = self.counts.get(name, 0) + count
            self.examples[name] = first_examples([*self.examples.get(name, ()), *done["examples"][name]])

    def tables(self) -> list[TableCoverage]:
        """What was read of each table."""
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
                    keys=table_keys(description),
                    declared_keys=table_keys(declared) if declared else None,
                    counted=None,
                )
            )
        return found

    def finish(self, peak: int) -> Report:
        """Everything together: coverage, findings file, plan, report."""
        counted = [self.with_count(table) for table in self.tables()]
        coverage = Coverage(tuple(counted), self.rows, tuple(self.problems), self.resumed)
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
        if self.options.plan is not None and not self.problems:
            body["plan"] = write_plan(self.options.plan, self.run, self.seen.target, self.rows, digest_of(findings))
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
    "confirm": "looking again at what does not fit",
}


def progress_text(kind: str, items: int, done: int, parts: int, spent: float, expected: int) -> str:
    """How far a phase is: its rate, and how long it will still take."""
    rate = items / spent if spent else 0.0
    if kind != "scan":
        left = f", {spent / done * (parts - done):.0f} s left" if done else ""
        return f"{done} of {number_of(parts, 'part')}, {number_of(items, 'item')} looked at{left}"
    left = f", {max(0, expected - items) / rate:.0f} s left" if rate else ""
    return f"{items:,} of about {number_of(expected, 'item')}, {rate:,.0f}/s{left}"


def count_items(run: Run, before: Mapping[str, Any], table: TableCoverage) -> int:
    """The store's number of items, to hold against those read. StoreError.

    The description's number may be old. Only when it is larger than what was read, by more than what changed
    meanwhile, the table is described again (which DynamoDB Local does by counting), and then counted by reading it.
    """
    estimate = int(before["ItemCount"])
    if estimate <= table.items + table.slack:
        return max(estimate, table.items)
    with Dynamo(run.dynamodb, timeout=30.0) as dynamodb:
        estimate = min(estimate, int(dynamodb.call("DescribeTable", {"TableName": table.table})["Table"]["ItemCount"]))
        if estimate <= table.items + table.slack:
            return max(estimate, table.items)
        request = {"TableName": table.table, "Select": "COUNT"}
        return sum(int(page["Count"]) for page in dynamodb.pages("Scan", request))


def digest_of(path: Path | None) -> str:
    """SHA-256 of a file; of nothing when there is none."""
    found = hashlib.sha256()
    if path is not None:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    return found.hexdigest()


def report(
    context: Context, coverage: Coverage, body: Mapping[str, Any], *, began: float, error: Failure | None = None
) -> Report:
    """The report: the verdict follows from coverage and findings alone, and the exit code from the verdict."""
    findings = body.get("findings", {})
    reasons = judge_coverage(coverage)
    verdict = "inconsistent" if sum(findings.values()) else "not_verified" if reasons else "consistent"
    code = {"inconsistent": Exit.FOUND, "not_verified": Exit.UNCHECKED, "consistent": Exit.DONE}[verdict]
    return Report(
        "verify",
        context.settings.project.name,
        code,
        {
            "verdict": verdict,
            "reasons": list(reasons),
            "coverage": coverage.document(),
            "findings": {},
            "examples": {},
            "rechecked": 0,
            "rates": None,
            "peak_memory_mb": None,
            "compared_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **body,
            **({"error": msgspec.to_builtins(error)} if error else {}),
        },
    )
