"""Snapshots on disk: its folder, its manifest, and the journal of a restore.

A snapshot is a folder below `snapshots/` beside the data, in one of two forms:

- `files`: the whole Postgres cluster as it lies on disk, copied while the server is stopped (a fifth of a second).
  It needs nothing but itself, so it can be exported, and it outlives `devenv down --data`. Only where the data files
  are devenv's (engine `embedded`).
- `database`: the project's database as a second database of the same cluster. Made before a step or a reset runs, and
  on the other engines always: the server goes on, and a reset keeps the old database by renaming it, which costs
  nothing. It is as good as its cluster, whose number the manifest has; one that a person saves on `docker`
  has a dump besides, and outlives it.

DynamoDB's part is one file in both (item_backup.py). Postgres is stopped (or its sessions ended) and DynamoDB's writers
are held while a snapshot is taken; where the engine cannot hold them, `held` in the manifest says so. A restore first
prepares everything beside the data, then writes a journal, then swaps. A killed restore has therefore either done
nothing, or is finished by the next command that takes the project's lock.
"""

from __future__ import annotations

import platform
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from devenv import __version__
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.late import late
from devenv.core.model import DYNAMODB, POSTGRES
from devenv.host import file_clone as copies
from devenv.host import state, writing
from devenv.host.git import read_commit
from devenv.snapshots.item_backup import copies_of, read_cluster
from devenv.stack import Stack

FORMAT: Final = 1


NAME: Final = late(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MANIFEST: Final = "manifest.json"
# The parts that are a store's data: a folder as Postgres has it, a file of DynamoDB's items.
CLUSTER: Final = POSTGRES
ITEMS: Final = "dynamodb.sqlite"
FILES: Final = (CLUSTER, "ledger.sqlite", "secrets.json")


Counts = dict[str, dict[str, int] | None]


class Manifest(msgspec.Struct, frozen=True):
    """The manifest of a snapshot.

    `cluster` is the number initdb gave the Postgres cluster; `database`, in the form of that name, the copy inside it.
    `counts`: rows and items per table, None where they were not counted. `checksums`: one per part. `size` in bytes,
    without the database of the form `database`. `seconds`: the duration. `held`: DynamoDB's writers were paused.
    """

    name: str
    form: Literal["files", "database"]
    reason: str
    automatic: bool
    created: str
    project: str
    versions: dict[str, str | None]
    cluster: str
    steps: dict[str, str]
    marks: dict[str, state.Mark]
    counts: Counts
    database: str | None = None
    git: str | None = None
    checksums: dict[str, str] = {}
    size: int = 0
    method: copies.Method = "copy"
    seconds: float = 0.0
    held: bool = True
    format: int = FORMAT


class RestoreJournal(msgspec.Struct, frozen=True):
    """A restore under way, of the snapshot in folder `source`. `kept` is what becomes of the present data.

    `running`: Postgres ran. `serving`: DynamoDB did. `whole`: its file is replaced, not written into.
    """

    source: str
    manifest: Manifest
    kept: Manifest | None
    running: bool
    serving: bool = False
    whole: bool = False


def folder(home: Path) -> Path:
    """Return where a project's snapshots lie."""
    return home / "snapshots"


def check_name(name: str) -> str:
    """The name, when it can be a folder's on every system. UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name for a snapshot",
            detail="letters, digits, dots, dashes and underscores; at most 63; a letter or a digit first",
        )
    return name


def read_all(home: Path) -> list[Manifest]:
    """Every snapshot, oldest first; what is no snapshot is left out."""
    found = [read_manifest(place) for place in sorted(folder(home).glob("[!.]*")) if place.is_dir()]
    return sorted((each for each in found if each), key=lambda manifest: (manifest.created, manifest.name))


def read_manifest(place: Path) -> Manifest | None:
    """The manifest in a snapshot's folder; None when there is none that can be read."""
    try:
        return msgspec.json.decode((place / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def find(home: Path, name: str) -> tuple[Path, Manifest]:
    """A snapshot by name. UsageError when there is none of that name, or it is damaged."""
    place = folder(home) / check_name(name)
    if not place.is_dir():
        known = ", ".join(manifest.name for manifest in read_all(home))
        raise UsageError(
            f"there is no snapshot `{name}`",
            detail=f"there are: {known}" if known else None,
            hint="devenv snapshot list",
        )
    manifest = read_manifest(place)
    if manifest is None:
        raise UsageError(f"the snapshot `{name}` is damaged: {place / MANIFEST} cannot be read")
    if manifest.format != FORMAT:
        raise DevenvError(
            f"the snapshot `{name}` was made by another version of devenv (format {manifest.format})",
            exit_code=Exit.VERSION,
            hint="restore it with that version",
        )
    return place, manifest


def describe(stack: Stack, name: str, reason: str, *, automatic: bool, counts: Counts) -> Manifest:
    """The manifest of a snapshot of the present data, before anything is copied."""
    engine = stack.engine
    return Manifest(
        name=name,
        form="files",
        reason=reason,
        automatic=automatic,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        project=stack.settings.project.name,
        versions=read_versions(stack),
        cluster=read_cluster(stack) or "",
        steps=read_steps(engine.home / "ledger.sqlite"),
        marks=dict(engine.state.steps),
        counts=counts,
        git=read_commit(stack.root),
    )


def read_versions(stack: Stack) -> dict[str, str | None]:
    """The versions that a copy of the data depends on, as last started here."""
    records = stack.engine.state.services
    found: dict[str, str | None] = {"devenv": __version__, "platform": f"{sys.platform}-{platform.machine()}"}
    for name in STORES:
        record = records.get(name)
        found[name] = record.version if record else None
    return found


def read_steps(ledger: Path) -> dict[str, str]:
    """Step -> the hash of the inputs it last ran with."""
    from devenv.steps.ledger import Ledger
    from devenv.steps.registry import STEPS

    with Ledger(ledger, create=False) as opened:
        marks = {step.name: opened.mark(step.name) for step in STEPS}
    return {name: mark.hash for name, mark in marks.items() if mark}


def count_all(stack: Stack) -> Counts:
    """Rows and items per table. Postgres's are None when it does not run."""
    rows: dict[str, int] | None = None
    if stack.engine.runs(POSTGRES):
        from devenv.steps.setup import merge
        from devenv.stores.postgres.catalog import read_catalog
        from devenv.stores.postgres.reader import reading

        try:
            with reading(stack.engine.targets().postgres) as connection:
                tables = read_catalog(connection).tables
                rows = {table.title: merge.count_rows(connection, table) for table in tables}
        except StoreError:
            rows = None
    seen = stack.engine.files or stack.engine.runs(DYNAMODB)
    return {POSTGRES: rows, DYNAMODB: copies_of(stack).count() if seen else None}


# A snapshot's part for the time after its cluster.
DUMP: Final = "postgres.dump"
LEFT_OUT: Final = frozenset({"postmaster.pid", "postmaster.opts"})


def sealed(fresh: Path, manifest: Manifest, method: copies.Method, began: float) -> Manifest:
    """The manifest completed with what was copied into `fresh`, and written there."""
    parts = {path.name: path for path in sorted(fresh.iterdir()) if path.name != MANIFEST}
    done = msgspec.structs.replace(
        manifest,
        method=method,
        checksums=copies.checksums(parts),
        size=sum(map(copies.size, parts.values())),
        seconds=round(time.perf_counter() - began, 3),
    )
    writing.write_private(fresh / MANIFEST, msgspec.json.encode(done))
    return done


def describe_kept(stack: Stack, reason: str, counts: Counts) -> Manifest:
    """The manifest of an automatic snapshot; its name tells when and before what."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    word = re.sub(r"\W+", "-", reason.removeprefix("before ").strip("`").split("`")[0].removeprefix("devenv "))
    name = f"auto-{at}-{word}"[:55] + f"-{secrets.token_hex(2)}"
    return describe(stack, name, reason, automatic=True, counts=counts)


def plain(manifest: Manifest) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(manifest)
    del shown["marks"]
    return shown
