"""Repair plans: what `verify --plan` writes, `repair apply` carries out, and `repair undo` takes back.

A plan is a file of JSON lines: a head that says for which stores it is and what it was made from, then one write per
item, with the item as it was and as it shall be. Every write is one conditional request (`devenv.repair`), so an item
is either as before or as after, whenever devenv is killed; a journal in the state folder tells which writes were ours.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal
from zlib import crc32

import msgspec

from devenv import verify
from devenv.errors import Exit, StoreError, UsageError
from devenv.links import compile_plan
from devenv.model import Report, Targets
from devenv.repair import Write, apply_writes, describe_write
from devenv.state import write_private
from devenv.stores.dynamodb import Dynamo, split_endpoint
from devenv.verify.look import key_bytes
from devenv.verify.rows import fingerprints, snapshot
from devenv.verify.run import Run
from devenv.verify.work import open_private
from devenv.watch import Watch

SCHEMA: Final = "devenv.repair-plan/1"
BUCKETS: Final = 64
JOURNAL_BATCH: Final = 50
TRIES: Final = 3
SHOWN: Final = 20
State = Literal["applied", "already", "changed_meanwhile"]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `report`: SHA-256 of the findings; `sha256`: of the plan's other lines.

    `rows`: link -> fingerprint of the rows that it leads to. `classes` counts the writes by what they mend, `loss` those that delete something.
    """

    schema: str = SCHEMA
    made: str
    report: str
    target: verify.Target
    rows: dict[str, str]
    writes: int
    loss: int
    classes: dict[str, int]
    sha256: str


def write_plan(
    path: Path, run: Run, target: verify.Target, rows: Mapping[str, Mapping[str, Any]], report: str
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
    head = Head(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        report=report,
        target=target,
        rows={channel: facts["fingerprint"] for channel, facts in rows.items()},
        writes=number,
        loss=loss,
        classes=classes,
        sha256=sha256.hexdigest(),
    )
    unfinished = path.with_name(path.name + ".part")
    with open_private(unfinished) as file:
        file.write(msgspec.json.encode(head) + b"\n")
        with body.open("rb") as source:
            while part := source.read(1 << 20):
                file.write(part)
    unfinished.replace(path)
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


def read_plan(path: Path) -> Head:
    """A plan's head, when all of the plan is as it was written. UsageError otherwise."""
    try:
        with path.open("rb") as file:
            head = msgspec.json.decode(file.readline(), type=Head)
            sha256 = hashlib.sha256()
            while part := file.read(1 << 20):
                sha256.update(part)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", detail=str(error), hint=f"devenv verify --plan {path}") from None
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path} is not a repair plan", detail=str(error), hint=f"devenv verify --plan {path}"
        ) from None
    if head.schema != SCHEMA or sha256.hexdigest() != head.sha256:
        detail = "it was changed after it was written" if head.schema == SCHEMA else f"its format is {head.schema}"
        raise UsageError(f"{path} is not a usable repair plan", detail=detail, hint=f"devenv verify --plan {path}")
    return head


def plan_lines(path: Path) -> Iterator[tuple[int, Write]]:
    """The plan's writes, numbered."""
    with path.open("rb") as file:
        file.readline()
        for number, line in enumerate(file):
            yield number, msgspec.json.decode(line, type=Write)


def check_target(path: Path, head: Head, context: verify.Context, *, rows: bool) -> None:
    """UsageError unless the plan is for these stores, on this machine, and (`rows`) its rows are as they were."""
    refuse_remote(context.targets)
    hint = f"devenv verify --plan {path}"
    seen = verify.look_at_stores(context)
    if seen.target != head.target:
        differ = [
            name
            for name in ("system_identifier", "database", "tables")
            if getattr(seen.target, name) != getattr(head.target, name)
        ]
        raise UsageError(f"{path} was made for other stores", detail=f"other {', '.join(differ)}", hint=hint)
    if rows:
        plan = compile_plan(context.settings, {})
        with snapshot(context.targets.postgres) as connection:
            now = fingerprints(connection, plan, seen.classes)
        if now != head.rows:
            raise UsageError(f"{path} is stale", detail="rows in Postgres changed since it was made", hint=hint)


def refuse_remote(targets: Targets) -> None:
    """UsageError unless both stores are on this machine: nothing is written anywhere else."""
    for host in (split_endpoint(targets.dynamodb.endpoint).hostname or "", targets.postgres.host):
        if not is_loopback(host):
            raise UsageError(f"{host} is not this machine, and devenv writes to no other")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address, its name, or a socket's folder."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("/")


class Journal:
    """What was begun and what came of it, on disk before it is done: `begin n`, `applied n`, `undone n`."""

    def __init__(self, folder: Path, head: Head) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder / f"{head.sha256[:24]}.journal"
        if not self.path.exists():
            write_private(self.path, b"")
        self._file = self.path.open("ab")

    def ours(self) -> set[int]:
        """The numbers of the writes that were begun and not taken back: those that may be in the store."""
        found: set[int] = set()
        for line in self.path.read_text().splitlines():
            word, _, number = line.partition(" ")
            if number.isdigit():
                (found.discard if word == "undone" else found.add)(int(number))
        return found

    def note(self, word: str, numbers: Sequence[int]) -> None:
        """Write lines, and be sure that they are on the disk."""
        self._file.write("".join(f"{word} {number}\n" for number in numbers).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def apply_plan(context: verify.Context, path: Path, watch: Watch, *, allow_loss: bool) -> Report:
    """Carry out a plan, then compare again. UsageError for a plan that is damaged, stale, or for other stores.

    Items that are not as planned any more are left alone and reported.
    """
    head = read_plan(path)
    check_target(path, head, context, rows=True)
    chosen = ((number, write) for number, write in plan_lines(path) if allow_loss or write.after is not None)
    counts, skipped = carry_out(context, head, chosen, "begin", watch)
    after = verify.verify(context, verify.Options(), watch)
    body = {
        "action": "apply",
        "plan": str(path),
        **counts,
        "left_out": 0 if allow_loss else head.loss,
        "skipped": skipped,
        "verify": {key: after.body[key] for key in ("verdict", "reasons", "findings", "coverage")},
    }
    code = after.exit_code or (Exit.FOUND if counts["changed_meanwhile"] else Exit.DONE)
    return Report("repair", context.settings.project.name, code, body)


def undo_plan(context: verify.Context, path: Path, watch: Watch) -> Report:
    """Put everything back that applying this plan changed. Items changed since then are left alone and reported."""
    head = read_plan(path)
    check_target(path, head, context, rows=False)
    journal = Journal(context.folder / "repairs", head)
    ours = journal.ours()
    journal.close()
    chosen = ((number, write.undone()) for number, write in plan_lines(path) if number in ours)
    counts, skipped = carry_out(context, head, chosen, "undone", watch)
    body = {"action": "undo", "plan": str(path), **counts, "skipped": skipped}
    code = Exit.FOUND if counts["changed_meanwhile"] else Exit.DONE
    return Report("repair", context.settings.project.name, code, body)


def carry_out(
    context: verify.Context, head: Head, writes: Iterator[tuple[int, Write]], word: str, watch: Watch
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Do these numbered writes; how many came to which state, and the first of those that could not be done.

    Applying is noted before, so that whatever may have been written is known to be ours; taking back is noted after.
    """
    counts = {"applied": 0, "already": 0, "changed_meanwhile": 0}
    skipped: list[dict[str, Any]] = []
    journal = Journal(context.folder / "repairs", head)
    watch.begin("repair", f"{head.writes} items")
    try:
        with Dynamo(context.targets.dynamodb) as dynamodb:
            while batch := list(islice(writes, JOURNAL_BATCH)):
                if word == "begin":
                    fresh = [number for number, write in batch if not is_done(dynamodb, write)]
                    journal.note(word, fresh)
                settled = []
                for number, write in batch:
                    state = settle(dynamodb, write)
                    counts[state] += 1
                    if state == "changed_meanwhile":
                        skipped += [describe_write(write, state)] if len(skipped) < SHOWN else []
                    else:
                        settled.append(number)
                if word == "undone":
                    journal.note(word, settled)
                watch.note("repair", f"{sum(counts.values())} of {head.writes} items")
    except StoreError as error:
        raise error.with_hint("run the same command again: it goes on where it was") from None
    finally:
        journal.close()
    watch.end("repair", f"{counts['applied']} items written", ok=not counts["changed_meanwhile"])
    return counts, skipped


def settle(dynamodb: Dynamo, write: Write) -> State:
    """Do one write; when its condition does not hold, look why."""
    for _ in range(TRIES):
        (written,) = apply_writes(dynamodb, [write])
        if written.state == "applied":
            return "applied"
        if is_done(dynamodb, write):
            return "already"
        if not is_done(dynamodb, write.undone()):
            return "changed_meanwhile"
        # The item is as planned: another transaction held it.
        time.sleep(0.05)
    return "changed_meanwhile"


def is_done(dynamodb: Dynamo, write: Write) -> bool:
    """Whether the store is as it is after this write. Attributes that the write knows nothing of do not count."""
    keys = [{name: item[name] for name in write.keys} for item in (write.before, write.after) if item is not None]
    unique = {key_bytes(key): key for key in keys}
    found = {
        key_bytes({name: item[name] for name in write.keys}): item
        for item in dynamodb.read_keys(write.table, list(unique.values()))
    }
    if write.after is None:
        return not found
    here = found.pop(key_bytes(keys[-1]), None)
    if here is None or found:
        return False
    gone = set(write.before or ()) - set(write.after)
    return not gone & set(here) and all(same(here.get(name), value) for name, value in write.after.items())


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    """Whether two attribute values are equal; sets have no order."""
    if one is None or one.keys() != other.keys():
        return False
    return all(
        sorted(one[tag]) == sorted(other[tag]) if tag in ("SS", "NS", "BS") else one[tag] == other[tag] for tag in one
    )
