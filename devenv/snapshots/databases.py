"""The databases of snapshots in a Postgres cluster: names, exact copies; stores that are started for a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from devenv.config.services import STORES
from devenv.core.errors import StoreError
from devenv.core.model import POSTGRES
from devenv.engines.wait import start_store
from devenv.stack import Stack

if TYPE_CHECKING:
    from devenv.stores.postgres.client import Connection


SHARE_TRIES: Final = 5
# With this the names of the databases begin that hold a snapshot.
KEPT: Final = "devenv-kept-"


def database_name(stack: Stack, name: str) -> str:
    """The name of the database that holds a snapshot; in a server that others use too, with the project's mark."""
    made = f"{KEPT}{project_mark(stack)}-{name}" if stack.engine.shared else f"{KEPT}{name}"
    return made if len(made) <= 63 else f"{made[:50]}-{hashlib.sha256(made.encode()).hexdigest()[:12]}"


def project_mark(stack: Stack) -> str:
    """Eight digits that tell this project's databases from those of others in the same server."""
    return hashlib.sha256(f"{stack.root}\0{stack.engine.targets().postgres.database}".encode()).hexdigest()[:8]


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
    from psycopg import sql

    from devenv.stores.postgres import client as store

    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(store.name(source), store.name(target)))


@contextmanager
def postgres_up(stack: Stack) -> Iterator[None]:
    """Postgres runs during the block; it is stopped again when it did not run before."""
    running = stack.engine.runs(POSTGRES)
    if not running:
        stack.engine.assign_ports((POSTGRES,), False)
        start_store(stack.engine, POSTGRES)
    try:
        yield
    finally:
        if not running:
            stack.engine.stop(POSTGRES)


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
