"""The plan that `verify --plan` writes: a head that says for which stores it is, then one write per item.

A file of JSON lines. What several findings want of one item becomes one write; what needs a key that another item
has, or contradicts itself, is left out and counted.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from devenv.host.writing import replacing
from devenv.stores.dynamodb.client import Dynamo
from devenv.verify.recheck import key_bytes
from devenv.verify.repair import Write
from devenv.verify.run import Run, StoreIdentity
from devenv.verify.work import open_private

SCHEMA: Final = "devenv.repair-plan/1"
BUCKETS: Final = 64


class PlanHead(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `report`: SHA-256 of the findings; `sha256`: of the plan's other lines.

    `rows`: link -> fingerprint of the rows that it leads to. `classes` counts the writes by what they mend, `loss`
    those that delete something.
    """

    schema: str = SCHEMA
    made: str
    report: str
    target: StoreIdentity
    rows: dict[str, str]
    writes: int
    loss: int
    classes: dict[str, int]
    sha256: str


def write_plan(
    path: Path, run: Run, target: StoreIdentity, rows: Mapping[str, Mapping[str, Any]], report: str
) -> dict[str, Any]:
    """Write the plan for what a comparison confirmed, and say what is in it. Writes about one item become one."""
    body = run.folder / "merge-body"
    sha256 = hashlib.sha256()
    classes: dict[str, int] = {}
    loss = left_out = number = 0
    split_writes(run.folder)
    with open_private(body) as file, Dynamo(run.dynamodb) as dynamodb:
        for bucket in range(BUCKETS):
            merged, dropped = merge(read_writes(run.folder / f"merge-{bucket:02}"))
            free = list(drop_taken(dynamodb, merged))
            left_out += dropped + len(merged) - len(free)
            for write in free:
                line = msgspec.json.encode(write) + b"\n"
                file.write(line)
                sha256.update(line)
                number += 1
                loss += write.after is None
                for name in write.reasons:
                    classes[name] = classes.get(name, 0) + 1
    head = PlanHead(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        report=report,
        target=target,
        rows={channel: facts["fingerprint"] for channel, facts in rows.items()},
        writes=number,
        loss=loss,
        classes=classes,
        sha256=sha256.hexdigest(),
    )
    with replacing(path) as file:
        file.write(msgspec.json.encode(head) + b"\n")
        with body.open("rb") as source:
            shutil.copyfileobj(source, file)
    return {"file": str(path), "writes": number, "loss": loss, "classes": classes, "left_out": left_out}


def split_writes(folder: Path) -> None:
    """Sort the planned writes into files by a hash of their item's key, so that those of one item meet."""
    files = [open_private(folder / f"merge-{bucket:02}") for bucket in range(BUCKETS)]
    try:
        for part in sorted(folder.glob("writes-*")):
            with part.open("rb") as source:
                for line in source:
                    files[crc32(item_key(msgspec.json.decode(line, type=Write))) % BUCKETS].write(line)
    finally:
        for file in files:
            file.close()


def read_writes(path: Path) -> Iterator[Write]:
    """The writes in a file of JSON lines."""
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Write)


def item_key(write: Write) -> bytes:
    """Which item a write is about: the one that is there, else the one that will be."""
    item = write.before or write.after or {}
    return write.table.encode() + key_bytes({name: item[name] for name in write.keys})


def merge(writes: Iterator[Write]) -> tuple[list[Write], int]:
    """One write for each item, and how many were dropped because two wanted different things of one attribute.

    Where an item can only be deleted, that is all that is planned for it.
    """
    by_item: dict[bytes, list[Write]] = {}
    for write in writes:
        by_item.setdefault(item_key(write), []).append(write)
    merged: list[Write] = []
    dropped = 0
    for same in by_item.values():
        first = next((write for write in same if write.after is None), same[0])
        if first.after is None or first.before is None:
            if all(write.before == first.before for write in same) and (
                first.after is None or same.count(first) == len(same)
            ):
                merged.append(first)
            else:
                dropped += 1
            continue
        combined = combine(same)
        if combined is None:
            dropped += 1
        else:
            merged.append(combined)
    return merged, dropped


def combine(same: Sequence[Write]) -> Write | None:
    """The changes of several writes of one item as one; None when they contradict each other."""
    first = same[0]
    changes: dict[str, Mapping[str, Any] | None] = {}
    for write in same:
        if write.before != first.before:
            return None
        for name, (_, after) in write.changes.items():
            if changes.setdefault(name, after) != after:
                return None
    after = {**(first.before or {}), **{name: value for name, value in changes.items() if value is not None}}
    for name in [name for name, value in changes.items() if value is None]:
        after.pop(name, None)
    return replace(first, after=after, reasons=tuple(dict.fromkeys(r for write in same for r in write.reasons)))


def drop_taken(dynamodb: Dynamo, writes: Sequence[Write]) -> Iterator[Write]:
    """The writes without those that need a key which another item has."""
    wanted: dict[str, dict[bytes, Any]] = {}
    for write in writes:
        if target := new_key(write):
            wanted.setdefault(write.table, {})[key_bytes(target)] = target
    taken = {
        (table, key_bytes({name: item[name] for name in next(iter(keys.values()))}))
        for table, keys in wanted.items()
        for item in dynamodb.read_keys(table, list(keys.values()))
    }
    for write in writes:
        target = new_key(write)
        if target is None or (write.table, key_bytes(target)) not in taken:
            yield write


def new_key(write: Write) -> dict[str, Any] | None:
    """The key that a write needs to be free; None when it needs none."""
    if write.after is None or not (write.before is None or write.moves):
        return None
    return {name: write.after[name] for name in write.keys}
