"""Deletes snapshots, takes the data of `down --data` away, and finishes or undoes what killed commands left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.errors import DevenvError
from devenv.core.events import Watch
from devenv.core.model import POSTGRES
from devenv.engines.wait import await_store
from devenv.host import writing
from devenv.snapshots.databases import KEPT, database_name, postgres_up, project_mark, stores_up
from devenv.snapshots.item_backup import copies_of, read_cluster
from devenv.snapshots.manifest import (
    CLUSTER,
    DUMP,
    FILES,
    ITEMS,
    LEFT_OUT,
    MANIFEST,
    Manifest,
    RestoreJournal,
    count_all,
    describe_kept,
    find,
    folder,
    read_all,
    read_manifest,
    sealed,
)
from devenv.snapshots.restore import check_journal, finish, once
from devenv.snapshots.save import has_data, keep_as, store_file
from devenv.snapshots.services import save_services
from devenv.stack import Stack

AUTOMATIC: Final = 5
FULL: Final = 20


def delete(stack: Stack, name: str) -> Manifest:
    """Delete a snapshot, and the database that is a part of it."""
    place, manifest = find(stack.engine.home, name)
    remove(stack, place, manifest)
    return manifest


def remove(stack: Stack, place: Path, manifest: Manifest) -> None:
    """Take a snapshot's folder away, then its database."""
    from devenv.steps.setup import setup

    gone = place.with_name(f".gone-{place.name}")
    place.rename(gone)
    if manifest.database and (not stack.engine.files or manifest.cluster == read_cluster(stack)):
        with postgres_up(stack):
            if manifest.cluster == read_cluster(stack):
                with setup.server(stack.engine.targets().postgres) as admin:
                    setup.drop_database(admin, manifest.database)
    shutil.rmtree(gone, ignore_errors=True)


def prune(stack: Stack, *, needed: str = "", stopping: bool = False) -> list[str]:
    """Delete the oldest automatic snapshots, but for the one that is `needed`; their names. Others stay for ever.

    To drop a database Postgres writes all that is in memory to the disk, which a reset should not have to wait for. So
    while it runs FULL snapshots may gather, and `down`, where Postgres writes all anyway, brings them to AUTOMATIC.
    """
    home = stack.engine.home
    automatic = [manifest for manifest in read_all(home) if manifest.automatic]
    if not stopping and len(automatic) <= FULL:
        return []
    gone = [manifest for manifest in automatic[: max(0, len(automatic) - AUTOMATIC)] if manifest.name != needed]
    for manifest in gone:
        remove(stack, folder(home) / manifest.name, manifest)
    if stopping:
        drop_strays(stack)
    return [manifest.name for manifest in gone]


def drop_strays(stack: Stack) -> None:
    """Drop the databases of snapshots that are gone: the copy of an older cluster brings them back. Postgres must run.

    In a server that others use too there is nothing to do: its files are never replaced.
    """
    from devenv.steps.setup import setup

    if stack.engine.shared:
        return
    known = {manifest.database for manifest in read_all(stack.engine.home)}
    with setup.server(stack.engine.targets().postgres) as admin:
        for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall():
            if name.startswith(KEPT) and name not in known:
                setup.drop_database(admin, name)


def forget_databases(home: Path, shared: bool) -> None:
    """Delete the snapshots that are a part of the data, before that goes for good; in a `shared` server all are."""
    for manifest in read_all(home):
        if manifest.form == "database" and (shared or DUMP not in manifest.checksums):
            shutil.rmtree(folder(home) / manifest.name)


def take_away(stack: Stack, backup: bool) -> str | None:
    """`down --data` on stores that go on running, or whose files are not devenv's: the data goes, but for a copy.

    The copy is whole before anything is deleted. Its name, if there was anything to copy.
    """
    began = time.perf_counter()
    kept = None
    with stores_up(stack):
        if backup and has_data(stack):
            manifest = describe_kept(stack, "before `devenv down --data`", count_all(stack))
            kept = keep_as(stack, manifest, began, dump=not stack.engine.shared)
        if stack.engine.shared:
            erase(stack, kept)
    return kept.name if kept else None


def erase(stack: Stack, kept: Manifest | None) -> None:
    """Delete what this project has in stores that others use too. With `kept`, snapshots and the mark stay."""
    from devenv.steps.schema_load import schema_load
    from devenv.steps.setup import setup
    from devenv.stores.dynamodb.client import Dynamo

    targets = stack.engine.targets()
    database = targets.postgres.database
    ours = {database, f"devenv-baseline-{project_mark(stack)}", *setup.side_names(database)}
    if kept is None:
        stack.engine.expect_erasure()
        ours |= {manifest.database for manifest in read_all(stack.engine.home) if manifest.database}
    with setup.server(targets.postgres) as admin:
        comment = setup.read_comment(admin, database)
        if kept is not None and kept.database and comment:
            setup.write_comment(admin, kept.database, comment)
        for name in sorted(ours):
            setup.drop_database(admin, name)
    with Dynamo(targets.dynamodb) as dynamo:
        for table in copies_of(stack).tables():
            schema_load.delete_table(dynamo, table)


def move_away(stack: Stack) -> Manifest:
    """The data of stopped stores becomes an automatic snapshot: its folders are moved. For `down --data`."""
    manifest = describe_kept(stack, "before `devenv down --data`", count_all(stack))
    moving = folder(stack.engine.home) / f".moving-{manifest.name}"
    moving.parent.mkdir(mode=0o700, exist_ok=True)
    moving.mkdir(mode=0o700)
    writing.write_private(moving / MANIFEST, msgspec.json.encode(manifest))
    return finish_moving(stack, moving, manifest)


def finish_moving(stack: Stack, moving: Path, manifest: Manifest) -> Manifest:
    """Move what is still in its place, then let the snapshot have its name."""
    home = stack.engine.home
    once(copies_of(stack).copy_to, moving / ITEMS)
    save_services(stack.engine, moving)
    for part in FILES:
        if (home / part).exists() and not (moving / part).exists():
            (home / part).rename(moving / part)
    for name in LEFT_OUT:
        (moving / CLUSTER / name).unlink(missing_ok=True)
    shutil.rmtree(store_file(stack).parent, ignore_errors=True)
    done = sealed(moving, manifest, "move", time.perf_counter())
    moving.rename(folder(home) / manifest.name)
    stack.engine.forget_secrets()
    return done


def recover(stack: Stack, watch: Watch) -> None:
    """Finish the restore that a killed command began, and remove what other killed commands left half made."""
    home = stack.engine.home
    try:
        journal = msgspec.json.decode((home / "restore.json").read_bytes(), type=RestoreJournal)
    except (FileNotFoundError, NotADirectoryError):
        journal = None
    except (OSError, msgspec.DecodeError) as error:
        raise DevenvError(f"{home / 'restore.json'} cannot be read", detail=str(error)) from None
    if journal is not None:
        check_journal(home, journal)
        watch.say(f"finishing the interrupted restore of `{journal.manifest.name}`")
        stack.engine.adopt()
        if stack.engine.runs(POSTGRES):
            end_orphans(stack)
        finish(stack, journal)
    for moving in folder(home).glob(".moving-*"):
        if manifest := read_manifest(moving):
            finish_moving(stack, moving, manifest)
        else:
            moving.rmdir()
    halves = [*folder(home).glob(".new-*"), *folder(home).glob(".gone-*")]
    drop_halves(stack, halves)
    for left in (home / ".incoming", home / ".outgoing", home / ".new-baseline", *halves):
        shutil.rmtree(left, ignore_errors=True)


def drop_halves(stack: Stack, halves: Sequence[Path]) -> None:
    """Drop the databases of snapshots that a killed command had half made, or half deleted."""
    from devenv.steps.setup import setup

    named = [half.name.removeprefix(".new-").removeprefix(".gone-") for half in halves]
    # Where the data are files, only the automatic ones are databases.
    named = [name for name in named if name.startswith("auto-") or not stack.engine.files]
    wanted = {database_name(stack, name) for name in named}
    if not wanted or (stack.engine.files and not (stack.engine.home / CLUSTER).exists()):
        return
    with postgres_up(stack):
        end_orphans(stack)
        with setup.server(stack.engine.targets().postgres) as admin:
            found = admin.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", [list(wanted)]).fetchall()
            for row in found:
                setup.drop_database(admin, row[0])


def end_orphans(stack: Stack) -> None:
    """End what Postgres still does for a killed command: a copy that it finished later would be nobody's."""
    from devenv.steps.setup import setup
    from devenv.stores.postgres.client import end_others

    # It may be starting yet, for the killed command.
    await_store(stack.engine, POSTGRES)
    with setup.server(stack.engine.targets().postgres) as admin:
        end_others(admin)
