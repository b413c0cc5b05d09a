"""The writes of `doctor --fix`, kept as a file, so that `devenv repair undo` takes it back.

One file for each run that wrote something: `repairs/fix-<moment>.jsonl` in the state folder, a head and one write per
line. It is on disk before the first write; what was taken back is kept as `.undone`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.host.writing import write_private
from devenv.stores.dynamodb.client import Dynamo
from devenv.verify.context import Context
from devenv.verify.repair import Write, describe_write
from devenv.verify.repair_plan import refuse_remote, settle

SCHEMA: Final = "devenv.fix/1"


class FixHead(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: when, and in which DynamoDB."""

    schema: str = SCHEMA
    made: str
    endpoint: str


def keep(folder: Path, endpoint: str, writes: Sequence[Write]) -> None:
    """Write down what is about to be written. `folder` is the project's state folder."""
    if not writes:
        return
    place = folder / "repairs"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    head = FixHead(made=now.isoformat(timespec="seconds"), endpoint=endpoint)
    lines = [msgspec.json.encode(line) for line in (head, *writes)]
    write_private(place / f"fix-{now:%Y%m%dT%H%M%S%f}.jsonl", b"\n".join(lines) + b"\n")


def undo_last(context: Context) -> tuple[Report, list[Write]]:
    """Take back what the last `doctor --fix` wrote, and return the report and the writes that did it.

    Items that were changed since are left alone and reported. UsageError when there is nothing to take back.
    """
    files = sorted((context.folder / "repairs").glob("fix-*.jsonl"))
    if not files:
        raise UsageError(
            "there is no `doctor --fix` of this project to undo", hint="devenv repair undo FILE, for a repair plan"
        )
    refuse_remote(context.targets)
    first, *lines = files[-1].read_bytes().splitlines()
    msgspec.json.decode(first, type=FixHead)
    writes = [msgspec.json.decode(line, type=Write).undone() for line in reversed(lines)]
    counts = {"applied": 0, "already": 0, "changed_meanwhile": 0, "failed": 0}
    skipped: list[dict[str, Any]] = []
    done: list[Write] = []
    with Dynamo(context.targets.dynamodb) as dynamodb:
        for write in writes:
            state = settle(dynamodb, write)
            counts[state] += 1
            if state == "applied":
                done.append(write)
            elif state != "already":
                skipped.append(describe_write(write, state))
    if not skipped:
        os.replace(files[-1], files[-1].with_suffix(".undone"))
    body = {"action": "undo", "plan": str(files[-1]), **counts, "skipped": skipped}
    code = Exit.FOUND if skipped else Exit.DONE
    return Report("repair", context.settings.project.name, code, body), done
