"""`devenv repair`: a plan that `verify --plan` wrote, carried out or taken back.

Every write is one conditional request (`verify.repair`, as for doctor's `--fix`), so an item is either as before or
as after, whenever devenv is killed; a journal in the state folder tells which writes may be ours.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Report, Targets
from devenv.core.plural import number_of
from devenv.host.addresses import is_loopback
from devenv.links.judge import compile_plan
from devenv.stores.dynamodb.client import Dynamo, split_endpoint
from devenv.verify import compare as verify
from devenv.verify.context import Context, VerifyOptions
from devenv.verify.journal import RepairJournal, journal_path, read_ours
from devenv.verify.plan import SCHEMA, PlanHead
from devenv.verify.recheck import key_bytes
from devenv.verify.repair import Write, apply_writes, describe_write
from devenv.verify.rows import fingerprints, snapshot
from devenv.verify.tasks import look_at_stores

# A first line that is longer is no plan's, and may be too much for memory.
HEAD_BYTES: Final = 1 << 20
JOURNAL_BATCH: Final = 50
TRIES: Final = 3
SHOWN: Final = 20
State = Literal["applied", "already", "changed_meanwhile", "failed"]


def read_plan(path: Path, hint: str | None = None) -> PlanHead:
    """A plan's head, when all of the plan is as it was written. UsageError, with `hint`, otherwise."""
    hint = hint or f"devenv verify --plan {path}"
    try:
        with path.open("rb") as file:
            head = msgspec.json.decode(file.readline(HEAD_BYTES), type=PlanHead)
            sha256 = hashlib.sha256()
            while part := file.read(1 << 20):
                sha256.update(part)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", detail=str(error), hint=hint) from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is not a repair plan", detail=str(error), hint=hint) from None
    if head.schema != SCHEMA or sha256.hexdigest() != head.sha256:
        detail = "it was changed after it was written" if head.schema == SCHEMA else f"its format is {head.schema}"
        raise UsageError(f"{path} is not a usable repair plan", detail=detail, hint=hint)
    return head


def plan_lines(path: Path) -> Iterator[tuple[int, Write]]:
    """The plan's writes, numbered."""
    with path.open("rb") as file:
        file.readline()
        for number, line in enumerate(file):
            yield number, msgspec.json.decode(line, type=Write)


def check_target(path: Path, head: PlanHead, context: Context, *, rows: bool) -> None:
    """UsageError unless the plan is for these stores, on this machine, and (`rows`) its rows are as they were."""
    refuse_remote(context.targets)
    hint = f"devenv verify --plan {path}"
    try:
        context.ready()
        seen = look_at_stores(context)
    except StoreError as error:
        raise error.with_hint("devenv up") from None
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
        # A path is the folder of a socket.
        if not (is_loopback(host) or host.startswith("/")):
            raise UsageError(f"{host} is not this machine, and devenv writes to this machine only")


def apply_plan(context: Context, path: Path, watch: Watch, *, allow_loss: bool) -> Report:
    """Carry out a plan, then compare again. UsageError for a plan that is damaged, stale, or for other stores.

    Items that are not as planned any more are left alone and reported.
    """
    head = read_plan(path)
    check_target(path, head, context, rows=True)
    chosen = ((number, write) for number, write in plan_lines(path) if allow_loss or write.after is not None)
    counts, skipped = carry_out(context, head, chosen, "begin", watch)
    after = verify.verify(context, VerifyOptions(), watch)
    body = {
        "action": "apply",
        "plan": str(path),
        **counts,
        "left_out": 0 if allow_loss else head.loss,
        "skipped": skipped,
        "verify": {key: after.body[key] for key in ("verdict", "reasons", "findings", "coverage")},
    }
    code = after.exit_code or (Exit.FOUND if counts["changed_meanwhile"] + counts["failed"] else Exit.DONE)
    return Report("repair", context.settings.project.name, code, body)


def undo_plan(context: Context, path: Path, watch: Watch) -> Report:
    """Put everything back that applying this plan changed. Items changed since then are left alone and reported."""
    head = read_plan(path, "devenv repair undo FILE, with the plan that was applied, unchanged")
    check_target(path, head, context, rows=False)
    ours = read_ours(journal_path(context.folder, head.sha256))
    chosen = ((number, write.undone()) for number, write in plan_lines(path) if number in ours)
    counts, skipped = carry_out(context, head, chosen, "undone", watch)
    body = {"action": "undo", "plan": str(path), **counts, "skipped": skipped}
    code = Exit.FOUND if counts["changed_meanwhile"] + counts["failed"] else Exit.DONE
    return Report("repair", context.settings.project.name, code, body)


def carry_out(
    context: Context, head: PlanHead, writes: Iterator[tuple[int, Write]], word: str, watch: Watch
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Do these numbered writes; how many came to which state, and the first of those that could not be done.

    Applying is noted before, so that whatever may have been written is known to be ours; taking back is noted after.
    """
    counts = {"applied": 0, "already": 0, "changed_meanwhile": 0, "failed": 0}
    skipped: list[dict[str, Any]] = []
    journal = RepairJournal(journal_path(context.folder, head.sha256))
    watch.begin("repair", number_of(head.writes, "item"))
    try:
        with Dynamo(context.targets.dynamodb) as dynamodb:
            while batch := list(islice(writes, JOURNAL_BATCH)):
                if word == "begin":
                    fresh = [number for number, write in batch if not is_done(dynamodb, write)]
                    journal.note(word, fresh)
                settled = []
                written = []
                for number, write in batch:
                    state = settle(dynamodb, write)
                    counts[state] += 1
                    if state in ("applied", "already"):
                        written.append(write)
                    if state in ("changed_meanwhile", "failed"):
                        skipped += [describe_write(write, state)] if len(skipped) < SHOWN else []
                    else:
                        settled.append(number)
                context.settle(written)
                if word == "undone":
                    journal.note(word, settled)
                watch.note("repair", f"{sum(counts.values())} of {number_of(head.writes, 'item')}")
    except StoreError as error:
        raise error.with_hint("run the same command again: it continues where it stopped") from None
    except KeyboardInterrupt:
        raise DevenvError(
            "interrupted",
            exit_code=Exit.INTERRUPTED,
            detail=f"{sum(counts.values())} of {number_of(head.writes, 'item')} done; each is as before or as planned",
            hint="run the same command again: it continues where it stopped",
        ) from None
    finally:
        journal.close()
    watch.end(
        "repair",
        f"{number_of(counts['applied'], 'item')} written",
        ok=not counts["changed_meanwhile"] + counts["failed"],
    )
    return counts, skipped


def settle(dynamodb: Dynamo, write: Write) -> State:
    """Do one write; when its condition does not hold, look why."""
    for _ in range(TRIES):
        (written,) = apply_writes(dynamodb, [write])
        if written.state in ("applied", "failed"):
            return written.state
        if is_done(dynamodb, write):
            return "already"
        if not is_done(dynamodb, write.undone()):
            return "changed_meanwhile"
        # The item is as planned: another transaction held it.
        time.sleep(0.05)
    return "changed_meanwhile"


def is_done(dynamodb: Dynamo, write: Write) -> bool:
    """Return True if the store is as it is after this write.

    Attributes that the write knows nothing of do not count.
    """
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
    """Return True if two attribute values are equal; sets have no order."""
    if one is None or one.keys() != other.keys():
        return False
    return all(
        sorted(one[tag]) == sorted(other[tag]) if tag in ("SS", "NS", "BS") else one[tag] == other[tag] for tag in one
    )
