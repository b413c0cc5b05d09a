"""A scratch pair of both stores, with all its data in a temporary folder: for tests, and for runs that write.

`start_stack` loads a pair by the project's own steps; the pytest plugin uses it. `scratch_copy` makes a pair with the
present data of a running project, on own ports, and can run the project's application on it. The user's stores are
only read. When this process ends, in whatever way, its reaper ends what runs on the folder and removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.config.issuer import ISSUER, has_issuer
from devenv.config.load import Loaded
from devenv.config.services import STORES
from devenv.core.errors import DevenvError
from devenv.core.events import Watch
from devenv.core.model import DYNAMODB, POSTGRES
from devenv.engines.embedded.building import Progress
from devenv.engines.embedded.engine import EmbeddedEngine
from devenv.engines.embedded.postgres_store import PostgresStore
from devenv.engines.kinds.registry import transient
from devenv.engines.process import Launch
from devenv.host import processes
from devenv.host.state import Tapped
from devenv.stack import Stack
from devenv.testing import reaper

if TYPE_CHECKING:
    from devenv.stores.postgres.client import Connection

# The data lives for one run: nothing has to outlive a power cut.
DISPOSABLE: Final = (
    *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"),
    *("-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "checkpoint_timeout=1d"),
)
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
ROOM: Final = 1 << 30
BESIDE: Final = (
    "UPDATE pg_database AS t SET datacl = s.datacl, datconnlimit = s.datconnlimit FROM pg_database AS s"
    " WHERE s.datname = %s AND t.datname = %s"
    " AND (s.datacl, s.datconnlimit) IS DISTINCT FROM (t.datacl, t.datconnlimit)",
    "INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)"
    " SELECT t.oid, c.setrole, c.setconfig FROM pg_db_role_setting AS c JOIN pg_database AS s ON s.oid = c.setdatabase"
    " CROSS JOIN pg_database AS t WHERE s.datname = %s AND t.datname = %s",
)
# What pg_dump leaves out: roles that are no superusers, and the settings of the database and of roles in it.
ROLES: Final = (
    "SELECT rolname, rolcanlogin, rolinherit, rolbypassrls, rolcreatedb, rolcreaterole,"
    " ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)"
    " FROM pg_roles r WHERE NOT rolsuper AND rolname !~ '^(pg_|rds)' AND rolname <> current_user ORDER BY oid"
)
PASSWORDS: Final = "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"
SETTINGS: Final = (
    "SELECT coalesce(r.rolname, ''), c.setconfig FROM pg_db_role_setting c LEFT JOIN pg_roles r ON r.oid = c.setrole"
    " WHERE c.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
SETTING: Final = (
    "INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)"
    " SELECT d.oid, coalesce((SELECT oid FROM pg_roles WHERE rolname = %s), 0), %s FROM pg_database d"
    " WHERE d.datname = %s"
)


class DisposablePostgres(PostgresStore):
    """PostgreSQL, faster and less careful."""

    def launch(self, engine: EmbeddedEngine, progress: Progress) -> Launch:
        """The same with other options."""
        launch = super().launch(engine, progress)
        return replace(launch, command=[*launch.command, *DISPOSABLE])


class DisposableEngine(EmbeddedEngine):
    """The embedded engine with its data for one run in `home`, without care for a power cut."""

    def __init__(self, loaded: Loaded, folder: Path, environ: Mapping[str, str], home: Path) -> None:
        super().__init__(loaded, folder, environ)
        self.home = home
        self.postgres = DisposablePostgres()

    def marks(self) -> dict[str, str]:
        """The state folder in place of the project's: the project's own `up` must not take these processes for its."""
        return {**super().marks(), "DEVENV_PROJECT": str(self.folder)}

    def return_ports(self) -> list[str]:
        """Nothing: the ports of the settings belong to the project itself."""
        return []

    def improve(self) -> None:
        """Nothing: a disposable pair leaves no process behind."""


def make_folder(name: str = "devenv-pytest-") -> Path:
    """A private temporary folder, in memory where there is room."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix=name, dir=MEMORY if roomy else None)).resolve()
    if os.name == "posix" and os.geteuid() == 0:
        # The account that the stores run as walks through it; it cannot list it.
        folder.chmod(0o711)
    return folder


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_scratch(loaded: Loaded, folder: Path, environ: Mapping[str, str]) -> Stack:
    """The project with its state and data in `folder`, and own ports; nothing is started."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    stack = Stack(loaded, state, DisposableEngine(loaded, state, environ, folder / "data"), environ)
    stack.engine.keep_secrets()
    for name in (*STORES, *(["backend"] if "backend" in stack.engine.services else [])):
        stack.engine.remember(name, port=free_port())
    for own in transient(stack.engine):
        # Never the project's own, whose entries are made of the project's data.
        stack.engine.remember(own.name, port=free_port(), wanted=own.port or 0)
    return stack


# --- a pair loaded by the project's steps ---


def start_stack(loaded: Loaded, folder: Path) -> Stack:
    """Start and load the stores of a project with all data in `folder`. DevenvError as from `devenv up`."""
    from devenv.lifecycle import up
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.start import Clock
    from devenv.lifecycle.steps import read_inputs
    from devenv.snapshots import baseline

    # The tests of a folder are its code: who runs them trusts it.
    stack = replace(open_scratch(loaded, folder, dict(os.environ)), trusted=True)
    up.up(stack, UpOptions(backend=False), Watch(), Clock())
    if not (stack.engine.home / "baseline").exists():
        # What a command makes may differ each time; here it need only be the same for all tests of this run.
        if not baseline.keep_database(stack):
            keep_with_settings(stack)
        if not baseline.keep_rest(stack, read_inputs(stack), 0.0):
            raise DevenvError(
                "DynamoDB Local did not write the seeded items to its file in time", hint="run pytest again"
            )
    return stack


def keep_with_settings(stack: Stack) -> None:
    """Copy a database that has settings or grants of its own, which `reset` does not take on, to the baseline's."""
    from devenv.snapshots import baseline
    from devenv.snapshots.databases import copy_database
    from devenv.steps.setup import setup

    target = stack.engine.targets().postgres
    with setup.server(target) as admin:
        setup.drop_database(admin, baseline.DATABASE)
        copy_database(admin, target.database, baseline.DATABASE)
        copy_settings(admin, target.database, baseline.DATABASE)


def copy_settings(admin: Connection, source: str, target: str) -> None:
    """Give a fresh copy what lies beside a database: grants, limit, settings. By the catalogs: the cluster is ours."""
    for statement in BESIDE:
        admin.execute(statement.encode(), [source, target])


# --- a copy of the present data ---


@dataclass(frozen=True)
class ScratchCopy:
    """A copy of both stores of a project. `stack` is the project on it: its targets and environment are the copy's."""

    stack: Stack
    folder: Path

    def start_application(self, tap: Mapping[str, int]) -> None:
        """Run the project's application on the copy, through the ports of a tap by kind. DevenvError as from `up`."""
        from devenv.engines.wait import await_store, start_store

        engine = self.stack.engine
        self.set_tap(tap)
        for own in transient(engine):
            # Where it cannot be started (on docker it is a container) the application finds none.
            with contextlib.suppress(DevenvError):
                start_store(engine, own.name)
        engine.launch("backend", self.stack.environment(), lambda text, done, total: None)
        await_store(engine, "backend")

    def start_workers(self) -> None:
        """Run the project's stream workers on the copy, each from the present end of its stream. DevenvError."""
        from devenv.engines import stream
        from devenv.engines.wait import await_store
        from devenv.services.streams.look import end_of_stream
        from devenv.services.streams.position import write

        engine, environment = self.stack.engine, self.stack.environment()
        for own in engine.own.values():
            if own.worker is None:
                continue
            file = stream.state_file(engine, own.name)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(file, end_of_stream(engine.targets().dynamodb, own.worker.stream or ""))
            engine.launch(own.name, environment, lambda text, done, total: None)
            await_store(engine, own.name)

    def set_tap(self, tap: Mapping[str, int]) -> None:
        """Let what is started from now on reach the copy through these ports; this process serves them."""
        engine = self.stack.engine
        engine.state = msgspec.structs.replace(
            engine.state, tap=Tapped(ports=dict(tap), process=processes.identify(os.getpid()))
        )

    def stop_application(self) -> None:
        for name in ("backend", *(own.name for own in transient(self.stack.engine))):
            self.stack.engine.stop(name)


@contextmanager
def scratch_copy(source: Stack, say: Callable[[str], None] = lambda text: None) -> Iterator[ScratchCopy]:
    """A running copy of both stores of a running project during the block. DevenvError when it cannot be made."""
    folder = make_folder("devenv-scratch-")
    guarding = reaper.start(folder)
    assert guarding.stdin is not None  # noqa: S101 - it was asked for
    try:
        say("copying both stores to a scratch pair")
        stack = open_scratch(source.loaded, folder, dict(source.environ))
        stack.engine.make_home()
        if has_issuer(source.settings):
            # Its tokens are signed with the same key: the copy's application asks the running issuer.
            stack.engine.remember(ISSUER, port=source.engine.port(ISSUER))
        with ThreadPoolExecutor(2) as pool:
            for made in [pool.submit(copy_rows, source, stack, folder), pool.submit(copy_items, source, stack, folder)]:
                made.result()
        yield ScratchCopy(stack, folder)
    finally:
        guarding.stdin.close()
        guarding.wait()


def copy_items(source: Stack, stack: Stack, folder: Path) -> None:
    """Start DynamoDB with the tables and items of the source."""
    from devenv.engines.embedded import dynamodb_file
    from devenv.engines.wait import start_store
    from devenv.snapshots.item_backup import ApiCopies, FileCopies, copies_of

    origin = copies_of(source)
    if isinstance(origin, FileCopies):
        kept = FileCopies(stack.engine).store
        dynamodb_file.copy_store(origin.store, kept, stack.engine.account(), durable=False)
        return start_store(stack.engine, DYNAMODB)
    file = folder / "items.jsonl"
    origin.copy_to(file)
    start_store(stack.engine, DYNAMODB)
    return ApiCopies(stack.engine).copy_from(file)


def copy_rows(source: Stack, stack: Stack, folder: Path) -> None:
    """Start Postgres with the roles, the database and its settings of the source."""
    from devenv.engines.wait import start_store
    from devenv.steps.setup import setup
    from devenv.stores.postgres import client as postgres

    theirs, mine = source.engine.targets().postgres, stack.engine.targets().postgres
    file = folder / "postgres.dump"
    with ThreadPoolExecutor(1) as pool:
        dumped = pool.submit(source.engine.dump_database, theirs.database, file)
        start_store(stack.engine, POSTGRES)
        dumped.result()
    with postgres.connect(theirs) as connection, postgres.translated(theirs.address):
        roles = list(connection.execute(ROLES.encode()).fetchall())
        settings = list(connection.execute(SETTINGS.encode()).fetchall())
    passwords = read_passwords(source)
    with setup.server(mine) as admin, postgres.translated(mine.address):
        make_roles(admin, roles, passwords)
        setup.drop_database(admin, mine.database)
        admin.execute(make_database(mine.database))
    stack.engine.postgres_program(
        f"{mine.database} could not be copied", "pg_restore", "--exit-on-error", "--dbname", mine.database, str(file)
    )
    with setup.server(mine) as admin, postgres.translated(mine.address):
        for role, values in settings:
            admin.execute(SETTING.encode(), [role, values, mine.database])


def make_database(name: str) -> bytes:
    """The statement that makes an empty database."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres

    return sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(postgres.name(name)).as_bytes()


def read_passwords(source: Stack) -> dict[str, str]:
    """Role -> its password as the server keeps it; none where only a superuser may know."""
    from devenv.core.errors import StoreError
    from devenv.stores.postgres import client as postgres

    target = source.engine.targets().postgres
    try:
        with postgres.connect(target) as connection, postgres.translated(target.address):
            return dict(connection.execute(PASSWORDS.encode()).fetchall())
    except StoreError:
        return {}


def make_roles(admin: Connection, roles: list[tuple[object, ...]], passwords: Mapping[str, str]) -> None:
    """Make the roles with their attributes and memberships, so that owners and grants can be restored."""
    from psycopg import sql

    words = ("LOGIN", "INHERIT", "BYPASSRLS", "CREATEDB", "CREATEROLE")
    for role, *flags, _ in roles:
        given = [word if flag else f"NO{word}" for word, flag in zip(words, flags, strict=True)]
        statement = sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(str(role)), sql.SQL(" ".join(given)))
        if str(role) in passwords:
            statement += sql.SQL(" PASSWORD {}").format(sql.Literal(passwords[str(role)]))
        admin.execute(statement)
    for role, *_, groups in roles:
        for group in groups if isinstance(groups, list) else ():
            admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(str(role))))
