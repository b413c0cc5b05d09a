"""Brings both stores to a snapshot, all or nothing: prepares beside the data, writes a journal, swaps."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.events import Watch
from devenv.core.model import DYNAMODB, POSTGRES
from devenv.engines.embedded import dynamodb_file, postgres
from devenv.engines.kinds.registry import emptied
from devenv.engines.wait import start_store
from devenv.host import file_clone as copies
from devenv.host import state, writing
from devenv.snapshots.databases import copy_database, database_name, postgres_up, rename_database, stores_up
from devenv.snapshots.item_backup import FileCopies, copies_of, read_cluster
from devenv.snapshots.manifest import (
    CLUSTER,
    DUMP,
    FILES,
    ITEMS,
    MANIFEST,
    NAME,
    Manifest,
    RestoreJournal,
    count_all,
    describe_kept,
    find,
    folder,
    read_versions,
    sealed,
)
from devenv.snapshots.save import has_data
from devenv.snapshots.services import restore_services, save_services
from devenv.stack import Stack


def restore(stack: Stack, name: str, watch: Watch) -> tuple[Manifest, Manifest | None]:
    """Bring both stores to a snapshot. The snapshot, and the one that the data of before became (None without data).

    Refused before anything is touched: another engine version (exit 9), another cluster, a damaged snapshot.
    """
    place, manifest = find(stack.engine.home, name)
    stack.engine.adopt()
    with stores_up(stack):
        manifest = revived(stack, place, manifest)
        check_fits(stack, manifest)
        watch.begin("snapshot", f"restoring `{name}`")
        kept = describe_kept(stack, f"before `snapshot restore {name}`", count_all(stack)) if has_data(stack) else None
        put_back(stack, place, manifest, kept)
    watch.end("snapshot", f"`{name}` restored", ok=True)
    return manifest, kept


def revived(stack: Stack, place: Path, manifest: Manifest) -> Manifest:
    """A snapshot whose cluster is gone gets its database back from the dump that was made of it, if there is one."""
    from psycopg import sql

    from devenv.steps.setup import setup
    from devenv.stores.postgres import client as store

    cluster = "" if stack.engine.files else read_cluster(stack)
    if not cluster or not manifest.database or manifest.cluster == cluster or DUMP not in manifest.checksums:
        return manifest
    verify(place, manifest)
    with setup.server(stack.engine.targets().postgres) as admin:
        setup.drop_database(admin, manifest.database)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(store.name(manifest.database)))
    stack.engine.load_database(manifest.database, place / DUMP)
    manifest = msgspec.structs.replace(manifest, cluster=cluster)
    writing.write_private(place / MANIFEST, msgspec.json.encode(manifest))
    return manifest


@contextmanager
def portable(stack: Stack, place: Path, manifest: Manifest) -> Iterator[Path]:
    """A copy of a snapshot of the form `database` that needs no cluster, because it has a dump; gone with the block."""
    if DUMP in manifest.checksums:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="devenv-export-") as name, stores_up(stack):
        if manifest.cluster != read_cluster(stack):
            check_fits(stack, manifest)
        for part in manifest.checksums:
            shutil.copy2(place / part, Path(name) / part)
        stack.engine.dump_database(manifest.database or "", Path(name) / DUMP)
        sealed(Path(name), manifest, manifest.method, time.perf_counter() - manifest.seconds)
        yield Path(name)


def check_fits(stack: Stack, manifest: Manifest) -> None:
    """Refuse (exit 9) what the installed engine could not open, and what belongs to another cluster."""
    here = read_versions(stack)
    if stack.engine.files:
        account = stack.engine.account()
        binaries = postgres.find_binaries(stack.settings.postgres.source, stack.engine.cache, account)
        here[POSTGRES] = binaries.version
    elif manifest.form == "files":
        raise UsageError(
            f"the snapshot `{manifest.name}` is a copy of data files, which engine `{stack.engine.name}` cannot take",
            hint="devenv up --engine embedded, and restore it there",
        )
    dumped = not stack.engine.files and DUMP in manifest.checksums
    depends = ((POSTGRES, "PostgreSQL"), (DYNAMODB, "DynamoDB Local"), ("platform", "platform"))
    for part, title in () if dumped else depends:
        then, now = manifest.versions.get(part), here[part]
        if then and now and decisive(part, then) != decisive(part, now):
            raise DevenvError(
                f"the snapshot `{manifest.name}` was made with {title} {then}, and this is {title} {now}",
                exit_code=Exit.VERSION,
                cause="a copy of the data can be opened by the same engine only; nothing was touched",
                hint=f"install {title} {then} again, or rebuild from the seeds: devenv reset",
            )
    if manifest.form == "database" and manifest.cluster != read_cluster(stack):
        raise DevenvError(
            f"the snapshot `{manifest.name}` cannot be restored: its database was deleted",
            cause="its database was part of Postgres data that has been replaced since",
            hint="devenv snapshot list  (restore the snapshot with that data first)",
        )


def decisive(part: str, version: str) -> str:
    """Return what data depends on: the first number of an engine's version, all of a platform's name."""
    return version if part == "platform" else version.split(".")[0]


def put_back(stack: Stack, place: Path, manifest: Manifest, kept: Manifest | None) -> None:
    """Prepare beside the data, write the journal, swap. Before the journal nothing has changed."""
    home = stack.engine.home
    if manifest.form == "files":
        stage_verified(stack, place, home / ".incoming", manifest)
    else:
        verify(place, manifest)
        if DUMP not in manifest.checksums:
            require_database(stack, manifest)
    if manifest.form == "database" and kept is not None:
        # Its two halves are set aside one after the other, with writers at work in between.
        kept = msgspec.structs.replace(kept, form="database", database=database_name(stack, kept.name), held=False)
    # To write a large file into that of a running server takes far longer than to start the server on another one.
    whole = isinstance(copies_of(stack), FileCopies) and dynamodb_file.is_large(place / ITEMS)
    if whole and manifest.form == "database":
        stage_items(place / ITEMS, home / ".incoming")
    runs = stack.engine.runs
    journal = RestoreJournal(str(place), manifest, kept, runs(POSTGRES), runs(DYNAMODB), whole)
    writing.write_private(home / "restore.json", msgspec.json.encode(journal))
    finish(stack, journal)


def require_database(stack: Stack, manifest: Manifest) -> None:
    """DevenvError unless the snapshot's database is in the server: an older copy of the same cluster lacks it."""
    from devenv.steps.setup import setup
    from devenv.stores.postgres.client import one

    with postgres_up(stack), setup.server(stack.engine.targets().postgres) as admin:
        if not one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [manifest.database or ""]):
            raise DevenvError(
                f"the snapshot `{manifest.name}` cannot be restored: its database was deleted",
                exit_code=Exit.VERSION,
                cause="an older snapshot was restored since; it replaced the Postgres data that held this database",
                hint="devenv snapshot list  (restore the snapshot with that data first)",
            )


def verify(place: Path, manifest: Manifest) -> None:
    """Refuse a snapshot whose files are not as they were written. DevenvError names the part."""
    there = {part: place / part for part in manifest.checksums if (place / part).exists()}
    found = copies.checksums(there)
    for part, wanted in manifest.checksums.items():
        if found.get(part) != wanted:
            raise DevenvError(
                f"the snapshot `{manifest.name}` is damaged: {place / part} changed since it was saved",
                cause="nothing was touched",
                hint=f"devenv snapshot delete {manifest.name}",
            )


def stage_verified(stack: Stack, place: Path, incoming: Path, manifest: Manifest) -> None:
    """Verify a snapshot's files while they are copied beside the data; a copy of damaged ones is deleted again."""
    with ThreadPoolExecutor(1) as pool:
        copied = pool.submit(stage, stack, place, incoming, manifest)
        try:
            verify(place, manifest)
        except BaseException:
            wait([copied])
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        copied.result()


def stage(stack: Stack, place: Path, incoming: Path, manifest: Manifest) -> None:
    """Copy a snapshot's files beside the data, owned as the data is."""
    stack.engine.make_home()
    account = stack.engine.account()
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        # As root the cluster lies two folders deep while it is renamed; the account need not look into either.
        copies.copy_tree(place / CLUSTER, incoming / CLUSTER, account)
        for part in (*FILES[1:], ITEMS):
            if part in manifest.checksums:
                shutil.copy2(place / part, incoming / part)
    except OSError as error:
        raise state.unwritable(incoming, error) from None


def stage_items(source: Path, incoming: Path) -> None:
    """Copy a snapshot's items beside the data."""
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        copies.copy_file(str(source), str(incoming / ITEMS), cloning=True)
    except OSError as error:
        raise state.unwritable(incoming, error) from None


def finish(stack: Stack, journal: RestoreJournal) -> None:
    """Carry out what the journal says, from wherever a killed run had got to."""
    with stores_up(stack), emptied(stack.engine):
        exchange(stack, journal)
    for name, ran in ((POSTGRES, journal.running), (DYNAMODB, journal.serving)):
        if ran and not stack.engine.runs(name):
            start_store(stack.engine, name)


def exchange(stack: Stack, journal: RestoreJournal) -> None:
    """The same, with the stores up that have to be."""
    home = stack.engine.home
    items = copies_of(stack)
    kept = folder(home) / journal.kept.name if journal.kept else None
    is_kept = kept is None or kept.exists()
    out = home / ".outgoing" if kept is None or is_kept else kept.with_name(f".new-{kept.name}")
    out.parent.mkdir(mode=0o700, exist_ok=True)
    out.mkdir(mode=0o700, exist_ok=True)
    place = Path(journal.source)
    if not is_kept:
        if not journal.whole:
            once(items.copy_to, out / items.part)
        save_services(stack.engine, out)
    if isinstance(items, FileCopies) and journal.whole:
        items.swap(home / ".incoming" / items.part, None if is_kept else out / items.part)
    if journal.manifest.form == "files":
        swap_files(stack, journal, out)
        if not journal.whole:
            items.copy_from(home / ".incoming" / items.part)
    else:
        if not is_kept:
            keep_once(home / "ledger.sqlite", out / "ledger.sqlite")
        with postgres_up(stack):
            swap_database(stack, journal)
        if not journal.whole:
            items.copy_from(place / items.part)
        replace_file(place / "ledger.sqlite", home / "ledger.sqlite")
        items.settle(place / items.part, home / "ledger.sqlite")
    restore_services(stack.engine, place)
    stack.engine.restore_steps(journal.manifest.marks)
    if kept is not None and journal.kept is not None and not is_kept:
        sealed(out, journal.kept, "template" if journal.kept.form == "database" else "move", time.perf_counter())
        out.rename(kept)
    (home / "restore.json").unlink()
    for left in (home / ".incoming", home / ".outgoing"):
        shutil.rmtree(left, ignore_errors=True)


def keep_once(source: Path, target: Path) -> None:
    """Copy an SQLite file unless an earlier, killed run had done so: by now the source may be the new one."""
    once(partial(dynamodb_file.copy_store, source), target)


def once(copy: Callable[[Path], None], target: Path) -> None:
    """Let `copy` make the file, unless it is there; it is there only when it is whole."""
    if not target.exists():
        half = target.with_name(f".half-{target.name}")
        half.unlink(missing_ok=True)
        copy(half)
        if half.exists():
            half.rename(target)


def replace_file(source: Path, target: Path) -> None:
    """Let `target` be a copy of `source`, at once; without a source it goes."""
    dynamodb_file.forget_journal(target)
    if not source.exists():
        return target.unlink(missing_ok=True)
    return writing.copy_private(source, target)


def swap_files(stack: Stack, journal: RestoreJournal, out: Path) -> None:
    """Move the present files to `out` and the staged ones into their place; each part is in one place at a time."""
    home = stack.engine.home
    incoming = home / ".incoming"
    stack.engine.stop(POSTGRES)
    for part in FILES:
        arriving = part in journal.manifest.checksums
        if (home / part).exists() and (not arriving or (incoming / part).exists()):
            (home / part).rename(out / part)
        if (incoming / part).exists():
            (incoming / part).rename(home / part)
    stack.engine.forget_secrets()


def swap_database(stack: Stack, journal: RestoreJournal) -> None:
    """Put a copy of the snapshot's database into the place of the project's, which is kept under its new name."""
    from devenv.steps.setup import setup

    target = stack.engine.targets().postgres
    _, new, old = setup.side_names(target.database)
    kept = journal.kept.database if journal.kept and journal.kept.database else None
    with setup.server(target) as admin:
        names = {row[0] for row in admin.execute("SELECT datname FROM pg_database")}
        for name in (new, old):
            if name in names:
                setup.drop_database(admin, name)
        copy_database(admin, journal.manifest.database or "", new)
        if target.database not in names:
            rename_database(admin, new, target.database)
            if comment := setup.read_comment(admin, journal.manifest.database or ""):
                setup.write_comment(admin, target.database, comment)
        elif kept and kept not in names:
            setup.swap(admin, target.database, new, kept)
        else:
            setup.swap(admin, target.database, new, old)
            setup.drop_database(admin, old)


def check_journal(home: Path, journal: RestoreJournal) -> None:
    """DevenvError for a journal that leads out of the project's data: devenv did not write it here."""
    source = Path(journal.source)
    inside = source.parent in (folder(home), home) and ".." not in source.parts
    if not inside or (journal.kept and not NAME.fullmatch(journal.kept.name)):
        raise DevenvError(
            f"{home / 'restore.json'} names files outside of this project's data",
            detail=f"{journal.source}, {journal.kept.name if journal.kept else 'nothing kept'}",
            cause="the folder was copied together with this file, or moved during a restore; nothing was changed",
            hint=f"mv {home / 'restore.json'} {home / 'restore.json.old'} && devenv up",
        )
