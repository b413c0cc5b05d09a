"""A pytest plugin for a project's own tests: a running stack per test process, a restored pair of stores per test.

`devenv_stack` starts Postgres and DynamoDB Local on own ports and own data in a temporary folder, loads them by the
project's three steps, and sets the variables of `devenv env` for the test process. `devenv_stores` is the same stack
with both stores brought back to that state before the test; `devenv_stores_module` before the module. With
pytest-xdist each worker has its own. The developer's own data is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from devenv.core.model import PostgresTarget
    from devenv.stack import Stack
    from devenv.stores.postgres.client import Connection

# A database's own catalogs (initdb gives numbers below 16384); the shared ones are not copied.
CATALOGS: Final = (
    "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
    " WHERE relkind = 'r' AND NOT relisshared AND oid < 16384 ORDER BY oid"
)


@dataclass(frozen=True)
class DevenvStack:
    """A running pair of stores. `env` are the connection settings, already set for this process."""

    # Not in a repr: a failing test's output would show the password.
    env: Mapping[str, str] = field(repr=False)
    stack: Stack = field(repr=False)
    admin: Connection = field(repr=False)
    spare: Spare = field(repr=False)

    @property
    def postgres_url(self) -> str:
        """`postgresql://user:password@127.0.0.1:port/database`."""
        return self.env["DATABASE_URL"]

    @property
    def dynamodb_url(self) -> str:
        """`http://127.0.0.1:port`."""
        return self.env["AWS_ENDPOINT_URL_DYNAMODB"]

    def restore(self) -> None:
        """Bring both stores to what the steps loaded. Open connections to the database are ended."""
        from devenv.core.errors import StoreError
        from devenv.engines.embedded import dynamodb_file
        from devenv.snapshots.databases import rename_database
        from devenv.snapshots.manifest import ITEMS
        from devenv.snapshots.save import store_file
        from devenv.steps.setup import setup
        from devenv.stores.postgres.client import NO_DATABASE

        database = self.stack.settings.postgres.database
        self.spare.wait()
        try:
            setup.swap(self.admin, database, self.spare.name, self.spare.used)
        except StoreError as error:
            if error.code != NO_DATABASE:
                raise
            # The test before dropped it.
            rename_database(self.admin, self.spare.name, database)
        self.spare.renew()
        kept = self.stack.engine.home / "baseline" / ITEMS
        dynamodb_file.copy_store(kept, store_file(self.stack), durable=False)


class Spare:
    """A copy of the baseline's database for the next restore, made in a thread while a test runs.

    `admin` is its own connection; `name` is the copy; `used` is what the restore calls the database of the test before,
    which goes first.
    """

    def __init__(self, admin: Connection, database: str) -> None:
        from devenv.steps.setup import setup

        self.admin = admin
        _, self.name, self.used = setup.side_names(database)
        self.pool = ThreadPoolExecutor(max_workers=1)
        self.renew()

    def renew(self) -> None:
        """Begin to make the next copy."""
        self.made = self.pool.submit(self.make)

    def make(self) -> None:
        """Drop what was used, copy anew."""
        from devenv.snapshots import baseline
        from devenv.snapshots.databases import copy_database
        from devenv.steps.setup import setup
        from devenv.testing.scratch import copy_settings

        setup.drop_database(self.admin, self.used)
        copy_database(self.admin, baseline.DATABASE, self.name, "FILE_COPY")
        copy_settings(self.admin, baseline.DATABASE, self.name)

    def wait(self) -> None:
        """Until the copy is there; raises what its making raised."""
        self.made.result()

    def close(self) -> None:
        """End the thread."""
        self.pool.shutdown(wait=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`devenv_project` in pytest's configuration."""
    parser.addini("devenv_project", "The folder with devenv.toml. Default: the nearest one at or above the rootdir.")


@pytest.fixture(scope="session")
def devenv_stack(pytestconfig: pytest.Config) -> Iterator[DevenvStack]:
    """A running pair of stores for this test process, on own ports, loaded by the project's steps."""
    from devenv.config.load import load
    from devenv.core.errors import DevenvError
    from devenv.testing import reaper as guard
    from devenv.testing.scratch import make_folder, start_stack

    folder = make_folder()
    guarding = guard.start(folder)
    assert guarding.stdin is not None  # noqa: S101 - it was asked for
    try:
        with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
            try:
                stack = start_stack(load(find_project(pytestconfig)), folder)
                from devenv.steps.setup import setup

                target = stack.engine.targets().postgres
                make_lean(target)
                admin = opened.enter_context(setup.server(target))
                spare = opened.enter_context(
                    closing(Spare(opened.enter_context(setup.server(target)), target.database))
                )
            except DevenvError as error:
                pytest.fail(f"devenv: {error.what}\n{error.detail or ''}\n{error.hint or ''}", pytrace=False)
            env = stack.environment()
            env.pop("BACKEND_URL", None)
            for name, value in env.items():
                patch.setenv(name, value)
            yield DevenvStack(env, stack, admin, spare)
    finally:
        guarding.stdin.close()
        guarding.wait()


@pytest.fixture
def devenv_stores(devenv_stack: DevenvStack) -> DevenvStack:
    """Both stores as the steps loaded them, before each test."""
    devenv_stack.restore()
    return devenv_stack


@pytest.fixture(scope="module")
def devenv_stores_module(devenv_stack: DevenvStack) -> DevenvStack:
    """Both stores as the steps loaded them, before the tests of a module, which share what they change."""
    devenv_stack.restore()
    return devenv_stack


def find_project(pytestconfig: pytest.Config) -> Path:
    """The folder with devenv.toml, at or above the one that is named. UsageError with pytest's own way to name it."""
    from devenv.config.load import find_root
    from devenv.core.errors import UsageError

    try:
        return find_root(pytestconfig.rootpath / str(pytestconfig.getini("devenv_project") or ""))
    except UsageError as error:
        hint = "in pytest's configuration: devenv_project = the project's folder, relative to pytest's rootdir"
        raise UsageError(error.what, hint=hint) from None


def make_lean(target: PostgresTarget) -> None:
    """Let copies of the baseline's database cost less: to make, and to connect to for the first time.

    Rewritten catalogs have no maps of free space and visibility, a quarter of the files that a copy copies. The file of
    prepared catalog entries is written by the first connection after that, and copied along: without it each copy's
    first connection would write its own.
    """
    from psycopg import sql

    from devenv.snapshots import baseline
    from devenv.stores.postgres import client as postgres

    with postgres.connect(target, database=baseline.DATABASE, autocommit=True) as connection:
        tables = sql.SQL(", ").join(sql.Identifier(*row) for row in connection.execute(CATALOGS))
        connection.execute(sql.SQL("VACUUM (FULL) {}").format(tables))
    with postgres.connect(target, database=baseline.DATABASE) as connection:
        connection.execute("SELECT 1")
