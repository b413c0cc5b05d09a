"""The role that runs the SQL files, and the statements that only a superuser may run: they are a folder's own code.

The files of a trusted folder are run by the server's superuser, as a tool of the project would. Those of any other
folder are run by a role that owns its database and may do no more (stores/postgres/loader.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from psycopg import sql

from devenv.config.commands import Command
from devenv.config.schema import Settings
from devenv.core.errors import DevenvError, UsageError
from devenv.core.late import late
from devenv.core.model import PostgresTarget
from devenv.steps.setup.sql import Statement
from devenv.steps.step import StepContext
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.loader import LOADER, as_loader, give, owner_of

TRUST: Final = "read its SQL files, then run `devenv trust` (for one call: --trust)"
SCHEMA_OF_OWNER: Final = 150000
ANYTHING: Final = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
AND n.nspname NOT IN ('information_schema', 'devenv'))
"""
# Words without which no statement is one of these: most files need no second look.
HINTS: Final = late(
    r"\bPROGRAM\b|\bCOPY\b|pg_(read|ls|stat|file|execute|write)_|\blo_(im|ex)port\b|\bEXTENSION\b|\bLANGUAGE\b|"
    r"\bSYSTEM\b|\bLOAD\b|\bSUPERUSER\b|\bSERVER\b|\bWRAPPER\b|\bSUBSCRIPTION\b|\\i",
    re.IGNORECASE,
)
OUTSIDE: Final = (
    r"\bCOPY\b[^;]*\b(FROM|TO)\s+PROGRAM\b",
    r"\bCOPY\b[^;]*\b(FROM|TO)\s+E?'",
    r"\bpg_(read_(binary_)?file|ls_\w*dir|stat_file|file_(write|read|rename|unlink|sync))\s*\(",
    r"\bpg_(execute_server_program|read_server_files|write_server_files)\b",
    r"\blo_(im|ex)port\s*\(",
    r"\bCREATE\s+EXTENSION\s+(IF\s+NOT\s+EXISTS\s+)?\"?"
    r"(\w*plpython\w*|plperlu|pltclu|plsh|pljava\w*|file_fdw|dblink|postgres_fdw|adminpack|pg_cron)\b",
    r"\bLANGUAGE\s+['\"]?(c|internal|plpython\w*|plperlu|pltclu|plsh)\b",
    r"\bCREATE\s+(OR\s+REPLACE\s+)?((TRUSTED|PROCEDURAL)\s+)*LANGUAGE\b",
    r"\bALTER\s+SYSTEM\b",
    r"^\s*LOAD\s+'",
    r"\b(CREATE|ALTER)\s+(ROLE|USER|GROUP)\b[^;]*(?<!NO)\bSUPERUSER\b",
    r"\bCREATE\s+(SERVER|SUBSCRIPTION|FOREIGN\s+DATA\s+WRAPPER)\b",
)
ACTS: Final = late("|".join(OUTSIDE), re.IGNORECASE | re.DOTALL)


def find_acting(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The statements that name something outside the database: programs, files, untrusted languages, settings. Pure.

    Their text is enough, also where it only stands in a string; what hides from it is refused by the server instead.
    """
    return tuple(each for each in statements if ACTS.search(each.text))


def acting_commands(settings: Settings, root: Path) -> tuple[Command, ...]:
    """These statements in the files of step `setup`, as commands that a user agrees to; () if they cannot be read."""
    from devenv.steps.registry import STEPS

    source = settings.steps.setup
    if source.command:
        return ()
    step = STEPS[0]
    try:
        inputs = step.read_files(settings, root)
        if not any(HINTS.search(file.text) for file in inputs):
            return ()
        statements = step.parse(settings, root, inputs).statements
    except UsageError:
        return ()  # The step reports it.
    return tuple(Command("steps", f"[steps.setup] {each.place}", each.excerpt) for each in find_acting(statements))


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
