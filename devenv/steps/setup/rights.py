"""The role that runs the SQL files.

The files of a trusted folder are run by the server's superuser, as a tool of the project would. Those of any other
folder are run by a role that owns its database and may do no more (stores/postgres/loader.py).
"""

from __future__ import annotations

from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.model import PostgresTarget
from devenv.steps.step import StepContext
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.driver import sql
from devenv.stores.postgres.loader import LOADER, as_loader, give, owner_of

TRUST: Final = "read its SQL files, then run `devenv trust` (for one call: --trust)"
SCHEMA_OF_OWNER: Final = 150000
ANYTHING: Final = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
AND n.nspname NOT IN ('information_schema', 'devenv'))
"""


def choose_role(ctx: StepContext, admin: Connection, *, taken: bool) -> PostgresTarget:
    """Return the database as the role that runs the files. DevenvError if it would have to be a superuser.

    `taken`: the database is there and is to be kept.
    """
    target = ctx.postgres
    owner = owner_of(admin, target.database) if taken and target.own else None
    if ctx.trusted:
        if owner == LOADER:
            give(admin, target.database, target.user)
        return target
    if not target.own:
        if admin.info.parameter_status("is_superuser") == "on":
            raise DevenvError(
                f"{target.user} is a superuser of {target.address}, and this folder is not trusted",
                detail="SQL that a superuser runs may run programs on that server",
                hint=f"{TRUST}; or name another role in [external] postgres",
            )
        return target
    loader = as_loader(admin, target)
    if owner not in (None, LOADER):
        hand_over(admin, target, loader)
    return loader


def hand_over(admin: Connection, target: PostgresTarget, loader: PostgresTarget) -> None:
    """Give a database that is still empty to the loader. DevenvError for one that a superuser has set up."""
    with postgres.connect(target, autocommit=True) as connection:
        if postgres.one(connection, ANYTHING):
            raise DevenvError(
                f"database {target.database} was set up while this folder was trusted, and the folder is no longer"
                " trusted",
                detail="its SQL files changed; they would be run by a superuser, who may run programs",
                hint=TRUST,
            )
        if connection.info.server_version < SCHEMA_OF_OWNER:
            connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(name(loader.user)))
    give(admin, target.database, loader.user)


def create_database(admin: Connection, database: str, target: PostgresTarget) -> None:
    """Make an empty database that belongs to the role that runs the files."""
    query = "CREATE DATABASE {} TEMPLATE template0 OWNER {}"
    admin.execute(sql.SQL(query).format(name(database), name(target.user)))


def clear(ctx: StepContext) -> None:
    """Let a command that runs from scratch find what its first run found: no database (or an empty `postgres`).

    A server that devenv did not start is left to the command.
    """
    from devenv.steps.setup.setup import drop_database, server

    database = ctx.postgres.database
    if not ctx.postgres.own:
        return
    with server(ctx.postgres) as admin:
        drop_database(admin, database)
        if database == "postgres":
            create_database(admin, database, ctx.postgres)


def provide(ctx: StepContext, error: DevenvError) -> bool:
    """Make the project's database, empty, for a command that ended because it is not there; False for any other end."""
    from devenv.steps.setup.setup import server

    database = ctx.postgres.database
    if not ctx.postgres.own or f'database "{database}" does not exist' not in (error.detail or ""):
        return False
    with server(ctx.postgres) as admin:
        if postgres.one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [database]) is not None:
            return False
        create_database(admin, database, ctx.postgres)
    ctx.say(f"the command expects database {database}: made it, empty; running the command again")
    return True
