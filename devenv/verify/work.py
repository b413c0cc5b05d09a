"""The three kinds of job that make up a comparison, each a function of the run and a number; workers do them.

`scan` a segment; `join` a partition and look at its candidates; `confirm` what that look found, some time later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from devenv.host.writing import open_over
from devenv.links.judge import ReadPlan
from devenv.links.recreated import declarations
from devenv.links.resolve import other_id
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.reader import reading as open_postgres
from devenv.verify.join import Partition
from devenv.verify.recheck import (
    LINK_FAULTS,
    Chunk,
    StoreReader,
    answer_for,
    describe,
    fault_mark,
    identity_faults,
    make_chunks,
)
from devenv.verify.repair import Write, plan_repairs
from devenv.verify.run import ROWS, Run, segment_name
from devenv.verify.scan import TIMEOUT_S, scan_segment
from devenv.verify.spill import Sealed

Tell = Callable[[int], None]
EXAMPLES: Final = 3


def join_partition(run: Run, number: int, tell: Tell) -> dict[str, Any]:
    """Find a partition's candidates and look at each once; what stays suspicious goes into a file."""
    segments = [read_index(run.folder, segment_name(task)) for task in range(len(run.tasks))]
    partition = Partition(run, segments, read_index(run.folder, ROWS), number)
    plan = run.links()
    candidates = suspects = 0
    with open_private(run.folder / f"suspects-{number:04}") as file, reading(run, plan) as reader:
        for chunk in make_chunks(run, plan, partition.candidates()):
            candidates += len(chunk.suspects)
            judgement = reader.look(chunk)
            found = identity_faults(plan, answer_for(plan, chunk, judgement))
            tell(sum(len(suspect.items) for suspect in chunk.suspects))
            if found:
                suspects += len(found)
                seen = frozenset(fault_mark(fault) for fault in judgement.faults)
                file.write(msgspec.json.encode(msgspec.structs.replace(chunk, seen=seen)) + b"\n")
    return {"candidates": candidates, "suspects": suspects}


def confirm_partition(run: Run, number: int, tell: Tell) -> dict[str, Any]:
    """Look at a partition's suspects again; what is wrong as before is written as findings, and as planned writes."""
    plan = run.links()
    counts: dict[str, int] = {}
    withheld = recreated = 0
    declared: dict[str, None] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    findings = open_private(run.folder / f"findings-{number:04}")
    writes = open_private(run.folder / f"writes-{number:04}")
    with findings, writes, reading(run, plan) as reader, (run.folder / f"suspects-{number:04}").open("rb") as file:
        for line in file:
            chunk = msgspec.json.decode(line, type=Chunk)
            judgement = reader.look(chunk)
            kept = replace(judgement, faults=[f for f in judgement.faults if fault_mark(f) in chunk.seen])
            kept = reader.explain(kept)
            found = identity_faults(plan, answer_for(plan, chunk, kept))
            for fault, name in found:
                described = describe(fault, name)
                counts[name] = counts.get(name, 0) + 1
                examples[name] = first_examples([*examples.get(name, ()), described])
                findings.write(msgspec.json.encode(described) + b"\n")
            recreated += sum(fault.recreated is not None for fault, _ in found)
            declared.update(dict.fromkeys(declarations(fault for fault, _ in found)))
            if run.plan:
                mine = {id(fault) for fault, _ in found}
                # What else is wrong with the same items belongs into the same write: a half is made from a whole row.
                faults = [fault for fault in kept.faults if id(fault) in mine or fault.kind in LINK_FAULTS]
                for write in plan_repairs(replace(kept, faults=faults), plan):
                    writes.write(msgspec.json.encode(write) + b"\n")
                # A row with another id is there: its items are corrected once the natural key is declared.
                orphans = [fault for fault, name in found if name == "orphan" and fault.recreated is None]
                # An item with another id that names a row is not lost: which id is wrong, a person knows.
                lost = [fault.record for fault in orphans if not other_id(plan, judgement.named, fault)]
                withheld += len(orphans) - len(lost)
                for write in deletions(plan, lost):
                    writes.write(msgspec.json.encode(write) + b"\n")
            tell(len(chunk.suspects))
    return {
        "counts": counts,
        "examples": examples,
        "withheld": withheld,
        "recreated": recreated,
        "declare": list(declared),
    }


def first_examples(described: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first findings, each of other words: the same twice shows nothing more."""
    found: dict[str, dict[str, Any]] = {}
    for each in described:
        found.setdefault(each["note"], each)
    return list(found.values())[:EXAMPLES]


def deletions(plan: ReadPlan, records: list[Any]) -> Iterator[Write]:
    """Writes that delete these items: the class that loses something."""
    for record in records:
        yield Write(record.table, plan.keys[record.table], record.item, None, ("orphan",))


@contextmanager
def reading(run: Run, plan: ReadPlan) -> Iterator[StoreReader]:
    """Both stores, open for looking at candidates; each look sees what is there then. StoreError."""
    with (
        Dynamo(read_only(run.dynamodb), timeout=TIMEOUT_S) as dynamodb,
        open_postgres(run.postgres, autocommit=True) as connection,
        postgres.translated(run.postgres.address),
    ):
        yield StoreReader(plan, dynamodb, connection)


@cache
def read_index(folder: Path, name: str) -> Sealed:
    """Return what a sealed spill of this run says of itself; every partition's job needs that of all. OSError."""
    return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Sealed)


def open_private(path: Path) -> IO[bytes]:
    """A new file that only its owner can read."""
    return open_over(path)


JOBS: Final[Mapping[str, Callable[[Run, int, Tell], dict[str, Any]]]] = {
    "scan": scan_segment,
    "join": join_partition,
    "confirm": confirm_partition,
}
