"""The role that loads the SQL files of a folder that is not trusted: it owns its database, and is no superuser.

SQL of a superuser may run programs and read any file (COPY … TO PROGRAM, pg_read_file, languages such as plpython3u,
also hidden in a DO block or a trigger). It signs in as itself: a superuser that only became another role can return.
A database that it owns is written by it, so that the functions behind the database's triggers never get more rights.
"""

from __future__ import annotations

from typing import Final

from devenv.core.model import PostgresTarget
from devenv.stores.postgres.client import Connection, connect, name, one
from devenv.stores.postgres.driver import sql
from devenv.stores.postgres.reader import as_role, keep_role

LOADER: Final = "devenv_loader"
# The first version in which CREATEROLE cannot give itself the rights of other roles.
SAFE_CREATEROLE: Final = 160000
OWNER: Final = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"


def as_loader(admin: Connection, target: PostgresTarget) -> PostgresTarget:
    """The same database as `LOADER`, which is made if need be. `admin` is a superuser's connection."""
    safe = admin.info.server_version >= SAFE_CREATEROLE
    made = "CREATE ROLE {} LOGIN CREATEDB " + ("CREATEROLE " if safe else "") + "PASSWORD {}"
    loader = as_role(target, LOADER)
    keep_role(admin, loader, made)
    if safe:
        # What it makes, it may give its tables to (ALTER TABLE … OWNER TO).
        admin.execute(sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(name(LOADER)))
    return loader


def owner_of(admin: Connection, database: str) -> str | None:
    """The role that owns a database; None if there is no such database."""
    found = one(admin, OWNER, [database])
    return None if found is None else str(found)


def give(admin: Connection, database: str, owner: str) -> None:
    """Make `owner` the owner of a database."""
    admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name(database), name(owner)))


def as_writer(target: PostgresTarget) -> PostgresTarget:
    """The same database as the role that may write there: `LOADER` in one that it owns. PostgresError."""
    if not target.own:
        return target
    beside = "template1" if target.database == "postgres" else "postgres"
    with connect(target, database=beside, autocommit=True) as admin:
        return as_loader(admin, target) if owner_of(admin, target.database) == LOADER else target
