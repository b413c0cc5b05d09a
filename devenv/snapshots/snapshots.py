"""Both stores at one point: save, restore, list, delete; and what makes a restore all or nothing.

A snapshot is a folder below `snapshots/` beside the data, in one of two forms:

- `files`: the whole Postgres cluster as it lies on disk, copied while the server is stopped (a fifth of a second).
  It needs nothing but itself, so it can be exported, and it outlives `devenv down --data`. Only where the data files
  are devenv's (engine `embedded`).
- `database`: the project's database as a second database of the same cluster. Made before a step or a reset runs, and
  on the other engines always: the server goes on, and a reset keeps the old database by renaming it, which costs
  nothing. It is as good as its cluster, whose number the manifest has; one that a person saves on `docker`
  has a dump besides, and outlives it.

DynamoDB's part is one file in both (item_copies.py). Postgres is stopped (or its sessions ended) and DynamoDB's writers
are held while a snapshot is taken; where the engine cannot hold them, `held` in the manifest says so. A restore first
prepares everything beside the data, then writes a journal, then swaps. A killed restore has therefore either done
nothing, or is finished by the next command that takes the project's lock.
"""

from __future__ import annotations

import hashlib
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from devenv import __version__
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Report
from devenv.engines.base import STORES
from devenv.engines.embedded import dynamodb_file, postgres
from devenv.engines.wait import await_store, start_store
from devenv.host import file_clone as copies
from devenv.host import state
from devenv.snapshots.item_backup import FileCopies, copies_of, read_cluster
from devenv.stack import Stack

if TYPE_CHECKING:
    from devenv.stores.postgres.client import Connection

FORMAT: Final = 1
AUTOMATIC: Final = 5
FULL: Final = 20
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MANIFEST: Final = "manifest.json"
DYNAMODB: Final = "dynamodb.sqlite"
FILES: Final = ("postgres", "ledger.sqlite", "secrets.json")
SHARE_TRIES: Final = 5
# With this the names of the databases begin that hold a snapshot.
KEPT: Final = "devenv-kept-"
Counts = dict[str, dict[str, int] | None]


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot is. `cluster` is the number initdb gave the Postgres cluster; `database`, in the form of that
    name, the copy inside it. `counts`: rows and items per table, None where they were not counted. `checksums`: one
    per part. `size` in bytes, without the database of the form `database`. `seconds`: how long it took. `held`: whether
    nobody could write to DynamoDB meanwhile.
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


class Journal(msgspec.Struct, frozen=True):
    """A restore under way, of the snapshot in folder `source`. `kept` is what becomes of the present data."""

    source: str
    manifest: Manifest
    kept: Manifest | None
    running: bool


def folder(home: Path) -> Path:
    """Where a project's snapshots lie."""
    return home / "snapshots"


def check_name(name: str) -> str:
    """The name, when it can be a folder's on every system. UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a snapshot's name",
            detail="letters, digits, dots, dashes and underscores; at most 63; a letter or a digit first",
        )
    return name


# What is there


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
    for name in ("postgres", "dynamodb"):
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


def read_commit(root: Path) -> str | None:
    """The git commit that is checked out; None outside of git."""
    try:
        ran = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return ran.stdout.strip() or None if ran.returncode == 0 else None


def count_all(stack: Stack) -> Counts:
    """Rows and items per table. Postgres's are None when it does not run."""
    rows: dict[str, int] | None = None
    if stack.engine.runs("postgres"):
        from devenv.steps.setup import merge
        from devenv.stores.postgres import client as store

        try:
            with store.connect(stack.engine.targets().postgres, read_only=True) as connection:
                tables = store.read_catalog(connection).tables
                rows = {table.title: merge.count_rows(connection, table) for table in tables}
        except StoreError:
            rows = None
    seen = stack.engine.files or stack.engine.runs("dynamodb")
    return {"postgres": rows, "dynamodb": copies_of(stack).count() if seen else None}


def store_file(stack: Stack) -> Path:
    """DynamoDB Local's file of this project, where the engine has one."""
    return FileCopies(stack.engine).store


# Save


def save(stack: Stack, name: str, watch: Watch, *, reason: str = "saved", automatic: bool = False) -> Manifest:
    """Copy both stores as they are at one point. UsageError when the name is taken."""
    began = time.perf_counter()
    home = stack.engine.home
    place = folder(home) / check_name(name)
    if place.exists():
        raise UsageError(f"there is a snapshot `{name}` already", hint=f"devenv snapshot delete {name}")
    stack.engine.adopt()
    if not stack.engine.files:
        return save_database(stack, name, watch, reason, automatic, began)
    if not (home / "postgres").exists():
        raise DevenvError("there is no data to save", hint="devenv up")
    manifest = describe(stack, name, reason, automatic=automatic, counts=count_all(stack))
    watch.begin("snapshot", f"saving `{name}`")
    with building(place) as fresh, still(stack):
        try:
            method = copies.copy_tree(
                home / "postgres", fresh / "postgres", stack.engine.account(), LEFT_OUT.__contains__
            )
            for part in FILES[1:]:
                if (home / part).exists():
                    shutil.copy2(home / part, fresh / part)
            copies_of(stack).copy_to(fresh / DYNAMODB)
        except OSError as error:
            raise state.unwritable(fresh, error) from None
        manifest = sealed(fresh, manifest, method, began)
    watch.end("snapshot", f"`{name}` saved in {manifest.seconds:.2f} s", ok=True)
    return manifest


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
            "who wrote to DynamoDB meanwhile was not held back: stop the application first, for one point in time"
        )
    return kept


# A snapshot's part for the time after its cluster.
DUMP: Final = "postgres.dump"
LEFT_OUT: Final = frozenset({"postmaster.pid", "postmaster.opts"})


def sealed(fresh: Path, manifest: Manifest, method: copies.Method, began: float) -> Manifest:
    """The manifest completed with what was copied into `fresh`, and written there."""
    parts = {path.name: path for path in sorted(fresh.iterdir()) if path.name != MANIFEST}
    done = msgspec.structs.replace(
        manifest,
        method=method,
        checksums={name: copies.checksum(path) for name, path in parts.items()},
        size=sum(map(copies.size, parts.values())),
        seconds=round(time.perf_counter() - began, 3),
    )
    state.write_private(fresh / MANIFEST, msgspec.json.encode(done))
    return done


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
    running = stack.engine.runs("postgres")
    with stack.engine.hold_writers():
        stack.engine.stop("postgres")
        try:
            yield
        finally:
            if running:
                start_store(stack.engine, "postgres")


# Restore


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
    state.write_private(place / MANIFEST, msgspec.json.encode(manifest))
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


def has_data(stack: Stack) -> bool:
    """Whether there is present data, which a restore has to keep."""
    if stack.engine.files:
        return (stack.engine.home / "postgres").exists()
    from devenv.steps.setup import setup

    target = stack.engine.targets().postgres
    with setup.server(target) as admin:
        row = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [target.database]).fetchone()
    return row is not None


def describe_kept(stack: Stack, reason: str, counts: Counts) -> Manifest:
    """The manifest of an automatic snapshot; its name tells when and before what."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    word = re.sub(r"\W+", "-", reason.removeprefix("before ").strip("`").split("`")[0].removeprefix("devenv "))
    name = f"auto-{at}-{word}"[:55] + f"-{secrets.token_hex(2)}"
    return describe(stack, name, reason, automatic=True, counts=counts)


def check_fits(stack: Stack, manifest: Manifest) -> None:
    """Refuse (exit 9) what the installed engine could not open, and what belongs to another cluster."""
    here = read_versions(stack)
    if stack.engine.files:
        account = stack.engine.account()
        binaries = postgres.find_binaries(stack.settings.postgres.source, stack.engine.cache, account)
        here["postgres"] = binaries.version
    elif manifest.form == "files":
        raise UsageError(
            f"the snapshot `{manifest.name}` is a copy of data files, which engine `{stack.engine.name}` cannot take",
            hint="devenv up --engine embedded, and restore it there",
        )
    dumped = not stack.engine.files and DUMP in manifest.checksums
    depends = (("postgres", "PostgreSQL"), ("dynamodb", "DynamoDB Local"), ("platform", "platform"))
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
            f"the snapshot `{manifest.name}` is a part of data that is no longer here",
            cause="it was made before a step or a reset, inside the Postgres cluster of then",
            hint="devenv snapshot list  (restore the snapshot with that data first)",
        )


def decisive(part: str, version: str) -> str:
    """What data depends on: the first number of an engine's version, all of a platform's name."""
    return version if part == "platform" else version.split(".")[0]


def put_back(stack: Stack, place: Path, manifest: Manifest, kept: Manifest | None) -> None:
    """Prepare beside the data, write the journal, swap. Before the journal nothing has changed."""
    home = stack.engine.home
    verify(place, manifest)
    if manifest.form == "database" and DUMP not in manifest.checksums:
        require_database(stack, manifest)
    if manifest.form == "files":
        stage(stack, place, home / ".incoming", manifest)
    elif kept is not None:
        # Its two halves are set aside one after the other, with writers at work in between.
        kept = msgspec.structs.replace(kept, form="database", database=database_name(stack, kept.name), held=False)
    journal = Journal(str(place), manifest, kept, stack.engine.runs("postgres"))
    state.write_private(home / "restore.json", msgspec.json.encode(journal))
    finish(stack, journal)


def require_database(stack: Stack, manifest: Manifest) -> None:
    """DevenvError unless the snapshot's database is in the server: an older copy of the same cluster lacks it."""
    from devenv.steps.setup import setup
    from devenv.stores.postgres.client import one

    with postgres_up(stack), setup.server(stack.engine.targets().postgres) as admin:
        if not one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [manifest.database or ""]):
            raise DevenvError(
                f"the snapshot `{manifest.name}` is a part of data that is no longer here",
                exit_code=Exit.VERSION,
                cause="a snapshot older than it was restored since, and with it the server's data of then",
                hint="devenv snapshot list  (restore the snapshot with that data first)",
            )


def verify(place: Path, manifest: Manifest) -> None:
    """Refuse a snapshot whose files are not as they were written. DevenvError names the part."""
    for part, wanted in manifest.checksums.items():
        if not (place / part).exists() or copies.checksum(place / part) != wanted:
            raise DevenvError(
                f"the snapshot `{manifest.name}` is damaged: {place / part} is not as it was saved",
                cause="nothing was touched",
                hint=f"devenv snapshot delete {manifest.name}",
            )


def stage(stack: Stack, place: Path, incoming: Path, manifest: Manifest) -> None:
    """Copy a snapshot's files beside the data, owned as the data is."""
    stack.engine.make_home()
    account = stack.engine.account()
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        # As root the cluster lies two folders deep while it is renamed; the account need not look into either.
        copies.copy_tree(place / "postgres", incoming / "postgres", account)
        for part in (*FILES[1:], DYNAMODB):
            if part in manifest.checksums:
                shutil.copy2(place / part, incoming / part)
    except OSError as error:
        raise state.unwritable(incoming, error) from None


def finish(stack: Stack, journal: Journal) -> None:
    """Carry out what the journal says, from wherever a killed run had got to."""
    with stores_up(stack):
        exchange(stack, journal)
    if journal.running and not stack.engine.runs("postgres"):
        start_store(stack.engine, "postgres")


def exchange(stack: Stack, journal: Journal) -> None:
    """The same, with the stores up that have to be."""
    home = stack.engine.home
    items = copies_of(stack)
    kept = folder(home) / journal.kept.name if journal.kept else None
    is_kept = kept is None or kept.exists()
    out = home / ".outgoing" if kept is None or is_kept else kept.with_name(f".new-{kept.name}")
    out.parent.mkdir(mode=0o700, exist_ok=True)
    out.mkdir(mode=0o700, exist_ok=True)
    if not is_kept:
        once(items.copy_to, out / items.part)
    if journal.manifest.form == "files":
        swap_files(stack, journal, out)
        items.copy_from(home / ".incoming" / items.part)
    else:
        place = Path(journal.source)
        if not is_kept:
            keep_once(home / "ledger.sqlite", out / "ledger.sqlite")
        with postgres_up(stack):
            swap_database(stack, journal)
        items.copy_from(place / items.part)
        replace_file(place / "ledger.sqlite", home / "ledger.sqlite")
        items.settle(place / items.part, home / "ledger.sqlite")
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
    return state.write_private(target, source.read_bytes())


def swap_files(stack: Stack, journal: Journal, out: Path) -> None:
    """Move the present files to `out` and the staged ones into their place; each part is in one place at a time."""
    home = stack.engine.home
    incoming = home / ".incoming"
    stack.engine.stop("postgres")
    for part in FILES:
        arriving = part in journal.manifest.checksums
        if (home / part).exists() and (not arriving or (incoming / part).exists()):
            (home / part).rename(out / part)
        if (incoming / part).exists():
            (incoming / part).rename(home / part)
    stack.engine.forget_secrets()


def swap_database(stack: Stack, journal: Journal) -> None:
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


# The form `database`


def database_name(stack: Stack, name: str) -> str:
    """The name of the database that holds a snapshot; in a server that others use too, with the project's mark."""
    made = f"{KEPT}{project_mark(stack)}-{name}" if stack.engine.shared else f"{KEPT}{name}"
    return made if len(made) <= 63 else f"{made[:50]}-{hashlib.sha256(made.encode()).hexdigest()[:12]}"


def project_mark(stack: Stack) -> str:
    """Eight digits that tell this project's databases from those of others in the same server."""
    return hashlib.sha256(f"{stack.root}\0{stack.engine.targets().postgres.database}".encode()).hexdigest()[:8]


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
            if dump:
                stack.engine.dump_database(manifest.database or "", fresh / DUMP)
            manifest = sealed(fresh, msgspec.structs.replace(manifest, held=held), "template", began)
    return manifest


def copy_database(
    admin: Connection, source: str, target: str, strategy: Literal["WAL_LOG", "FILE_COPY"] = "WAL_LOG"
) -> None:
    """CREATE DATABASE … TEMPLATE: an exact copy. Whoever is connected to the source is sent away for it.

    `FILE_COPY` is four times faster than `WAL_LOG` on a server that does not wait for the disk, else slower.
    """
    from psycopg import sql

    from devenv.steps.setup.setup import IN_USE
    from devenv.stores.postgres import client as store

    for attempt in range(1, SHARE_TRIES + 1):
        admin.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s"
            " AND backend_type = 'client backend'",
            [source],
        )
        try:
            with store.translated(source):
                admin.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
                        store.name(target), store.name(source), sql.SQL(strategy)
                    )
                )
            return
        except StoreError as error:
            # An application's pool connects again at once.
            if error.code != IN_USE or attempt == SHARE_TRIES:
                raise


def rename_database(admin: Connection, source: str, target: str) -> None:
    """ALTER DATABASE … RENAME."""
    from psycopg import sql

    from devenv.stores.postgres import client as store

    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(store.name(source), store.name(target)))


@contextmanager
def postgres_up(stack: Stack) -> Iterator[None]:
    """Postgres runs during the block; it is stopped again when it did not run before."""
    running = stack.engine.runs("postgres")
    if not running:
        stack.engine.assign_ports(("postgres",), False)
        start_store(stack.engine, "postgres")
    try:
        yield
    finally:
        if not running:
            stack.engine.stop("postgres")


@contextmanager
def stores_up(stack: Stack) -> Iterator[None]:
    """Both stores run during the block where they have to be asked for their data; else nothing is done."""
    started = [name for name in STORES if not stack.engine.runs(name)] if not stack.engine.files else []
    if started:
        stack.engine.assign_ports(tuple(started), False)
        stack.engine.prepare(started)
    for name in started:
        start_store(stack.engine, name)
    try:
        yield
    finally:
        for name in started:
            stack.engine.stop(name)


# Delete, tidy, recover


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
    state.write_private(moving / MANIFEST, msgspec.json.encode(manifest))
    return finish_moving(stack, moving, manifest)


def finish_moving(stack: Stack, moving: Path, manifest: Manifest) -> Manifest:
    """Move what is still in its place, then let the snapshot have its name."""
    home = stack.engine.home
    once(copies_of(stack).copy_to, moving / DYNAMODB)
    for part in FILES:
        if (home / part).exists() and not (moving / part).exists():
            (home / part).rename(moving / part)
    for name in LEFT_OUT:
        (moving / "postgres" / name).unlink(missing_ok=True)
    shutil.rmtree(home / "dynamodb", ignore_errors=True)
    done = sealed(moving, manifest, "move", time.perf_counter())
    moving.rename(folder(home) / manifest.name)
    stack.engine.forget_secrets()
    return done


def check_journal(home: Path, journal: Journal) -> None:
    """DevenvError for a journal that leads out of the project's data: devenv did not write it here."""
    source = Path(journal.source)
    inside = source.parent in (folder(home), home) and ".." not in source.parts
    if not inside or (journal.kept and not NAME.fullmatch(journal.kept.name)):
        raise DevenvError(
            f"{home / 'restore.json'} names files outside of this project's data",
            detail=f"{journal.source}, {journal.kept.name if journal.kept else 'nothing kept'}",
            cause="the folder was copied from somewhere with it, or moved in the midst of a restore; nothing was done",
            hint=f"mv {home / 'restore.json'} {home / 'restore.json.old'} && devenv up",
        )


def recover(stack: Stack, watch: Watch) -> None:
    """Finish the restore that a killed command began, and remove what other killed commands left half made."""
    home = stack.engine.home
    try:
        journal = msgspec.json.decode((home / "restore.json").read_bytes(), type=Journal)
    except (FileNotFoundError, NotADirectoryError):
        journal = None
    except (OSError, msgspec.DecodeError) as error:
        raise DevenvError(f"{home / 'restore.json'} cannot be read", detail=str(error)) from None
    if journal is not None:
        check_journal(home, journal)
        watch.say(f"finishing the interrupted restore of `{journal.manifest.name}`")
        stack.engine.adopt()
        if stack.engine.runs("postgres"):
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
    if not wanted or (stack.engine.files and not (stack.engine.home / "postgres").exists()):
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
    await_store(stack.engine, "postgres")
    with setup.server(stack.engine.targets().postgres) as admin:
        end_others(admin)


# Reports of the commands


def report(stack: Stack, body: Mapping[str, object]) -> Report:
    """A report of `devenv snapshot`."""
    return Report("snapshot", stack.settings.project.name, Exit.DONE, body)


def show_all(stack: Stack) -> Report:
    """`snapshot list`."""
    # Without an answer it is not known, and a restore tells.
    cluster = read_cluster(stack) if stack.engine.files or stack.engine.runs("postgres") else None
    unknown = cluster is None and not stack.engine.files
    manifests = read_all(stack.engine.home)
    names = read_databases(stack) if any(manifest.form == "database" for manifest in manifests) else None

    def is_usable(manifest: Manifest) -> bool:
        if manifest.form == "files" or DUMP in manifest.checksums or unknown:
            return True
        return manifest.cluster == cluster and (names is None or manifest.database in names)

    found = [{**plain(manifest), "usable": is_usable(manifest)} for manifest in manifests]
    return report(stack, {"snapshots": found})


def read_databases(stack: Stack) -> set[str] | None:
    """The names of the server's databases; None when it does not run, or does not answer."""
    from devenv.stores.postgres import client as store

    if not stack.engine.runs("postgres"):
        return None
    try:
        with store.connect(stack.engine.targets().postgres, database="postgres", read_only=True) as connection:
            return {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database")}
    except StoreError:
        return None


def plain(manifest: Manifest) -> dict[str, object]:
    """A manifest for a report."""
    shown: dict[str, object] = msgspec.to_builtins(manifest)
    del shown["marks"]
    return shown


def run(stack: Stack, task: Literal["save", "restore", "delete"], name: str, watch: Watch) -> Report:
    """`snapshot save|restore|delete NAME`, under the project's lock."""
    stack.engine.permit(None)
    recover(stack, watch)
    if task == "save":
        return report(stack, {"saved": plain(save(stack, name, watch))})
    if task == "delete":
        return report(stack, {"deleted": plain(delete(stack, name))})
    manifest, kept = restore(stack, name, watch)
    gone = prune(stack, needed=name)
    if manifest.form == "files" and stack.engine.runs("postgres"):
        drop_strays(stack)
    restart = stack.engine.runs("backend") and stack.engine.settings_changed(stack.environment())
    body = {
        "restored": plain(manifest),
        "kept": kept.name if kept else None,
        "pruned": gone,
        "restart_backend": restart,
    }
    return report(stack, body)
