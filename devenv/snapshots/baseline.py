"""The baseline: both stores as a first `up` left them, kept so that `reset` need not run the steps again.

It is a snapshot in the form `database`, named by the hash of everything that made it: the steps' files, the engines,
devenv itself. `doubt` names the first reason not to trust it; then the steps run, and the reason is told.

Checkouts of one project (git worktrees, clones) share one more, in the user's cache: the whole cluster as files, so
that the first `up` of another checkout copies it instead of running initdb and the steps.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import DYNAMODB, POSTGRES
from devenv.engines.embedded import cluster, dynamodb_file, postgres
from devenv.engines.wait import start_store
from devenv.host import file_clone as copies
from devenv.host import writing
from devenv.snapshots.databases import copy_database, project_mark
from devenv.snapshots.item_backup import copies_of, read_cluster
from devenv.snapshots.manifest import (
    CLUSTER,
    ITEMS,
    Counts,
    Manifest,
    describe,
    describe_kept,
    read_manifest,
    read_versions,
    sealed,
)
from devenv.snapshots.restore import check_fits, put_back
from devenv.snapshots.save import building, store_file
from devenv.stack import Stack

DATABASE: Final = "devenv-baseline"
SHARED: Final = 5
DAY_MS: Final = 86_400_000
SETTLE_S: Final = 5.0
SETTLE_POLL_S: Final = 0.01
SETTINGS: Final = (
    "SELECT count(*) FROM pg_database d WHERE d.datname = %s AND (d.datacl IS NOT NULL OR d.datconnlimit <> -1"
    " OR EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))"
)
Inputs = Mapping[str, Any]


def name_of(stack: Stack, inputs: Inputs, known: Mapping[str, str | None] = MappingProxyType({})) -> str:
    """The name of the baseline that these inputs and engines make. DevenvError (10) without Postgres.

    `known` stands for versions that are to count in another way than by what was started here.
    """
    settings = stack.settings
    versions = {**read_versions(stack), **known}
    if stack.engine.files:
        binaries = postgres.find_binaries(settings.postgres.source, stack.engine.cache, stack.engine.account())
        versions[POSTGRES] = binaries.version
    parts = [
        *(f"{name}={version}" for name, version in sorted(versions.items())),
        *(f"{name}={step.hash}" for name, step in inputs.items()),
        *(settings.project.name, settings.postgres.database, settings.postgres.user),
    ]
    return "baseline-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def shared_place(stack: Stack, inputs: Inputs) -> Path | None:
    """Where the baseline is that all checkouts of this project share; None outside of git, which has no checkouts.

    DynamoDB Local's version is not known before it is started, and its file is the same for all that are supported.
    """
    in_git = any((folder / ".git").exists() for folder in (stack.root, *stack.root.parents))
    if not stack.engine.files or not in_git or not_repeatable(inputs):
        return None
    return stack.engine.cache / "baselines" / name_of(stack, inputs, {DYNAMODB: None})


def share_cluster(stack: Stack, place: Path) -> Path | None:
    """The first half of sharing, once setup has run: copy the whole cluster, for which Postgres is stopped a moment.

    Like `keep_database` it takes place while DynamoDB Local boots. The unfinished folder; None when it cannot be made.
    """
    fresh = place.with_name(f".new-{place.name}-{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        fresh.mkdir(mode=0o700)
        stack.engine.stop(POSTGRES)
        try:
            copies.copy_tree(stack.engine.home / CLUSTER, fresh / CLUSTER, None, cluster.without_wal)
        finally:
            start_store(stack.engine, POSTGRES)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        return None
    return fresh


def drop_halves(cache: Path) -> None:
    """Delete what killed commands had half copied for other checkouts."""
    for left in (cache / "baselines").glob(".new-*"):
        number = left.name.rpartition("-")[2]
        if not (number.isdecimal() and writing.is_alive(int(number))):
            shutil.rmtree(left, ignore_errors=True)


def share_rest(stack: Stack, place: Path, fresh: Path) -> None:
    """The second half: the files that `keep_rest` kept, the secrets that fit the cluster, the manifest."""
    kept = stack.engine.home / "baseline"
    manifest = read_manifest(kept)
    if manifest is None or place.exists():
        shutil.rmtree(fresh, ignore_errors=True)
        return
    for part in (ITEMS, "ledger.sqlite"):
        shutil.copy2(kept / part, fresh / part)
    shutil.copy2(stack.engine.home / "secrets.json", fresh / "secrets.json")
    manifest = msgspec.structs.replace(manifest, name=place.name, form="files", database=None)
    sealed(fresh, manifest, "copy", time.perf_counter())
    try:
        fresh.rename(place)
    except OSError:
        # Another checkout was first.
        shutil.rmtree(fresh, ignore_errors=True)
    for old in sorted(place.parent.glob("[!.]*"), key=lambda each: each.stat().st_mtime)[:-SHARED]:
        shutil.rmtree(old, ignore_errors=True)


def adopt(stack: Stack, place: Path) -> bool:
    """Begin a checkout's data with the shared baseline; False when there is none that can be trusted.

    The cluster itself is copied when Postgres is started, beside the boot of DynamoDB Local. Were devenv killed before
    that, the next `up` would make a new one, and DynamoDB would follow it like any rebuilt database.
    """
    engine = stack.engine
    manifest = read_manifest(place)
    small = (ITEMS, "ledger.sqlite", "secrets.json")
    try:
        if manifest is None or any(copies.checksum(place / part) != manifest.checksums[part] for part in small):
            return False
        check_fits(stack, manifest)
        engine.make_home()
        dynamodb_file.forget_journal(engine.home / "ledger.sqlite")
        for part in small[1:]:
            writing.copy_private(place / part, engine.home / part)
        dynamodb_file.copy_store(place / ITEMS, store_file(stack), engine.account())
        os.utime(place)
    except (DevenvError, OSError, KeyError):
        return False
    renew(stack)
    engine.forget_secrets()
    engine.origin = (place / CLUSTER, manifest.checksums[CLUSTER])
    return True


def renew(stack: Stack) -> None:
    """Let DynamoDB's tables be others than those they were copied from, and let the ledger know them."""
    from devenv.steps.ledger import Ledger

    identities = dynamodb_file.renew_identity(store_file(stack), -1 - secrets.randbelow(DAY_MS))
    with Ledger(stack.engine.home / "ledger.sqlite") as ledger:
        for table, (old, new) in identities.items():
            if ledger.identity(table) == old:
                ledger.set_identity(table, new)


def not_repeatable(inputs: Inputs) -> str | None:
    """Why these steps can have no baseline, or None: what a command reads besides its files is not known."""
    if not any(step.names for step in inputs.values()):
        return "no step has files"
    commands = [name for name, step in inputs.items() if step.command]
    return f"step {commands[0]} is a command of the project, so its result may differ each time" if commands else None


def keep_database(stack: Stack) -> bool:
    """The first half of making a baseline, once setup has run: copy the database. False when a copy would lack some.

    It takes place while DynamoDB Local is still booting, so nobody waits for it.
    """
    from devenv.steps.setup import setup
    from devenv.stores.postgres.client import one

    target = stack.engine.targets().postgres
    shutil.rmtree(stack.engine.home / "baseline", ignore_errors=True)
    with setup.server(target) as admin:
        # A database's own settings and grants are not a part of its copy.
        if one(admin, SETTINGS, [target.database]):
            return False
        setup.drop_database(admin, database_of(stack))
        copy_database(admin, target.database, database_of(stack))
    return True


def database_of(stack: Stack) -> str:
    """The name of the baseline's database; in a server that others use too, with the project's mark."""
    return f"{DATABASE}-{project_mark(stack)}" if stack.engine.shared else DATABASE


def nothing_there(stack: Stack, inputs: Inputs) -> bool:
    """Return True if neither the project's database nor a declared table has anything in it. Both stores must run."""
    from devenv.steps.step import describe
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.stores.postgres import client as store
    from devenv.stores.postgres.catalog import read_catalog
    from devenv.stores.postgres.reader import reading

    targets = stack.engine.targets()
    try:
        with reading(targets.postgres) as connection:
            if read_catalog(connection).tables:
                return False
    except StoreError as error:
        if error.code != store.NO_DATABASE:
            raise
    with Dynamo(targets.dynamodb) as dynamo:
        return all(describe(dynamo, table) is None for table in declared_tables(inputs))


def keep_rest(stack: Stack, inputs: Inputs, began: float) -> bool:
    """The second half, once all steps have run: DynamoDB's file, the ledger, and the name. False when it cannot be."""
    home = stack.engine.home
    items = copies_of(stack)
    stored: dict[str, int] | None
    if stack.engine.files:
        stored = count_settled(store_file(stack), home / "ledger.sqlite", declared_tables(inputs))
    else:
        stored = items.count()
    if stored is None:
        return False
    counts: Counts = {POSTGRES: None, DYNAMODB: stored}
    manifest = describe(stack, name_of(stack, inputs), "after the first up", automatic=True, counts=counts)
    manifest = msgspec.structs.replace(manifest, form="database", database=database_of(stack))
    shutil.rmtree(home / "baseline", ignore_errors=True)
    with building(home / "baseline") as fresh:
        items.copy_to(fresh / items.part)
        dynamodb_file.copy_store(home / "ledger.sqlite", fresh / "ledger.sqlite")
        sealed(fresh, manifest, "template", began)
    return True


def declared_tables(inputs: Inputs) -> set[str]:
    """The tables that schema-load's files define."""
    return {definition.table for definition in inputs["schema-load"].content or ()}


def count_settled(store: Path, ledger: Path, tables: set[str], patience_s: float = SETTLE_S) -> dict[str, int] | None:
    """The items of each table, once the file holds all that devenv wrote into `tables`; None when it never does.

    A server that has just booted was seen to answer before the last transaction was in its file.
    """
    from devenv.steps.ledger import Ledger

    with Ledger(ledger, create=False) as written:
        wanted = {table: count for table, count in written.counts().items() if table in tables}
    deadline = time.monotonic() + patience_s
    while True:
        stored = dynamodb_file.count_items(store)
        if all(stored.get(table, 0) >= count for table, count in wanted.items()):
            return stored
        if time.monotonic() > deadline:
            return None
        time.sleep(SETTLE_POLL_S)


def doubt(stack: Stack, inputs: Inputs) -> str | None:
    """Why the baseline cannot stand for a run of the three steps, in words; None when it can. Postgres must run."""
    if reason := not_repeatable(inputs):
        return reason
    place = stack.engine.home / "baseline"
    manifest = read_manifest(place)
    if manifest is None:
        return "there is no baseline yet" if not place.exists() else "the baseline cannot be read"
    if manifest.name != name_of(stack, inputs):
        return "the steps' files, an engine or devenv changed since the baseline was made"
    there = {part: place / part for part in manifest.checksums if (place / part).exists()}
    found = copies.checksums(there)
    for part, wanted in manifest.checksums.items():
        if found.get(part) != wanted:
            return f"the baseline is damaged: {part}"
    if manifest.cluster != read_cluster(stack):
        return "the baseline was made for another data folder of Postgres"
    return doubt_stores(stack, manifest)


def doubt_stores(stack: Stack, manifest: Manifest) -> str | None:
    """Why restoring the baseline would do something else to the present stores than the steps do."""
    from devenv.steps.setup import setup
    from devenv.stores.postgres.client import one

    others = sorted(set(copies_of(stack).tables()) - (manifest.counts[DYNAMODB] or {}).keys())
    if others:
        return f"DynamoDB has a table that the steps do not create: {others[0]}"
    target = stack.engine.targets().postgres
    with setup.server(target) as admin:
        if one(admin, SETTINGS, [target.database]):
            return f"database {target.database} has settings or grants of its own"
        if not one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [manifest.database]):
            return f"the baseline's database {manifest.database} is gone"
    return None


def restore(stack: Stack) -> Manifest:
    """Bring both stores to the baseline; what was there becomes the snapshot that is returned."""
    place = stack.engine.home / "baseline"
    manifest = read_manifest(place)
    if manifest is None:
        raise DevenvError("the baseline cannot be read", hint="devenv reset")
    kept = describe_kept(stack, "before `devenv reset`", {POSTGRES: None, DYNAMODB: None})
    put_back(stack, place, manifest, kept)
    return kept


def remake(stack: Stack, inputs: Inputs) -> bool:
    """Make the baseline from freshly loaded stores; False where there can be none. Both must run."""
    began = time.perf_counter()
    tables = set(copies_of(stack).tables())
    if not_repeatable(inputs) or tables - declared_tables(inputs) or not keep_database(stack):
        return False
    return keep_rest(stack, inputs, began)
