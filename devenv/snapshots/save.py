"""Makes a snapshot of both stores at one point, in the form that the engine allows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from devenv.core.errors import DevenvError, UsageError
from devenv.core.events import Watch
from devenv.core.model import POSTGRES
from devenv.engines.embedded import dynamodb_file
from devenv.engines.wait import start_store
from devenv.host import file_clone as copies
from devenv.host import state
from devenv.snapshots.databases import copy_database, database_name, stores_up
from devenv.snapshots.item_backup import FileCopies, copies_of
from devenv.snapshots.manifest import (
    CLUSTER,
    DUMP,
    FILES,
    ITEMS,
    LEFT_OUT,
    Manifest,
    check_name,
    count_all,
    describe,
    describe_kept,
    folder,
    sealed,
)
from devenv.snapshots.services import save_services
from devenv.stack import Stack


def store_file(stack: Stack) -> Path:
    """DynamoDB Local's file of this project, where the engine has one."""
    return FileCopies(stack.engine).store


def save(stack: Stack, name: str, watch: Watch, *, reason: str = "saved", automatic: bool = False) -> Manifest:
    """Copy both stores as they are at one point. UsageError when the name is taken."""
    began = time.perf_counter()
    home = stack.engine.home
    place = folder(home) / check_name(name)
    if place.exists():
        raise UsageError(f"a snapshot `{name}` already exists", hint=f"devenv snapshot delete {name}")
    stack.engine.adopt()
    if not stack.engine.files:
        return save_database(stack, name, watch, reason, automatic, began)
    if not (home / CLUSTER).exists():
        raise DevenvError("there is no data to save", hint="devenv up")
    manifest = describe(stack, name, reason, automatic=automatic, counts=count_all(stack))
    watch.begin("snapshot", f"saving `{name}`")
    with building(place) as fresh:
        with still(stack):
            method = copy_files(stack, fresh)
        # The copy has nothing to do with the stores any more: they need not rest while it is read again.
        manifest = sealed(fresh, manifest, method, began)
    watch.end("snapshot", f"`{name}` saved in {manifest.seconds:.2f} s", ok=True)
    return manifest


def copy_files(stack: Stack, fresh: Path) -> copies.Method:
    """Copy the data files of both stores, which are at rest, into `fresh`; how it was done."""
    home = stack.engine.home
    try:
        method = copies.copy_tree(home / CLUSTER, fresh / CLUSTER, stack.engine.account(), LEFT_OUT.__contains__)
        for part in FILES[1:]:
            if (home / part).exists():
                shutil.copy2(home / part, fresh / part)
        copies_of(stack).copy_to(fresh / ITEMS)
        save_services(stack.engine, fresh)
    except OSError as error:
        raise state.unwritable(fresh, error) from None
    return method


def save_database(stack: Stack, name: str, watch: Watch, reason: str, automatic: bool, began: float) -> Manifest:
    """The same in the form `database`, on an engine whose data files are not devenv's."""
    watch.begin("snapshot", f"saving `{name}`")
    with stores_up(stack):
        manifest = describe(stack, name, reason, automatic=automatic, counts=count_all(stack))
        # What a person saves outlives the data, on every engine that starts its stores.
        kept = keep_as(stack, manifest, began, dump=not automatic and not stack.engine.shared)
    if kept is None:
        raise DevenvError("there is no data to save", hint="devenv up")
    watch.end("snapshot", f"`{name}` saved in {kept.seconds:.2f} s", ok=True)
    if not kept.held:
        watch.say(
            "Writes to DynamoDB were not paused; for the same point in time in both stores, stop the application first"
        )
    return kept


@contextmanager
def building(place: Path) -> Iterator[Path]:
    """A folder that becomes `place` when the block ends well, and goes when it does not."""
    fresh = place.with_name(f".new-{place.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        fresh.mkdir(mode=0o700)
    except OSError as error:
        raise state.unwritable(fresh, error) from None
    try:
        yield fresh
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    fresh.rename(place)


@contextmanager
def still(stack: Stack) -> Iterator[None]:
    """Both stores at rest: DynamoDB's writers wait, and Postgres, if it runs, is stopped for the block."""
    running = stack.engine.runs(POSTGRES)
    with stack.engine.hold_writers():
        stack.engine.stop(POSTGRES)
        try:
            yield
        finally:
            if running:
                start_store(stack.engine, POSTGRES)


def has_data(stack: Stack) -> bool:
    """Return True if there is present data, which a restore has to keep."""
    if stack.engine.files:
        return (stack.engine.home / CLUSTER).exists()
    from devenv.steps.setup import setup

    target = stack.engine.targets().postgres
    with setup.server(target) as admin:
        row = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [target.database]).fetchone()
    return row is not None


def keep(stack: Stack, reason: str, began: float) -> Manifest | None:
    """Keep the present data in the form `database`, before a command changes it. None when there is no database yet.

    Postgres and DynamoDB must run.
    """
    return keep_as(stack, describe_kept(stack, reason, count_all(stack)), began)


def keep_as(stack: Stack, manifest: Manifest, began: float, *, dump: bool = False) -> Manifest | None:
    """The same, as the snapshot that is described. With `dump` it outlives its cluster."""
    from devenv.steps.setup import setup

    target = stack.engine.targets().postgres
    home = stack.engine.home
    items = copies_of(stack)
    manifest = msgspec.structs.replace(manifest, form="database", database=database_name(stack, manifest.name))
    with setup.server(target) as admin:
        names = {row[0] for row in admin.execute("SELECT datname FROM pg_database")}
        if target.database not in names:
            return None
        with building(folder(home) / manifest.name) as fresh:
            # What a killed command left under this name.
            setup.drop_database(admin, manifest.database or "")
            with items.held() as held:
                copy_database(admin, target.database, manifest.database or "")
                items.copy_to(fresh / items.part)
                dynamodb_file.copy_store(home / "ledger.sqlite", fresh / "ledger.sqlite")
                save_services(stack.engine, fresh)
            if dump:
                stack.engine.dump_database(manifest.database or "", fresh / DUMP)
            manifest = sealed(fresh, msgspec.structs.replace(manifest, held=held), "template", began)
    return manifest
