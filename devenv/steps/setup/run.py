"""Statements of SQL files, run in one transaction; what a server may rightly refuse is left out and listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.late import late
from devenv.steps.setup import extensions
from devenv.steps.setup.psql import LeftOut
from devenv.steps.setup.rights import TRUST
from devenv.steps.setup.rows import Sequences, read_sequences
from devenv.steps.setup.sql import Statement
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.client import Connection, PostgresError
from devenv.stores.postgres.loader import LOADER

INSTEAD: Final = {"uuid-ossp": ", or use gen_random_uuid(), which needs no extension"}
FORBIDDEN: Final = "42501"
# A file may change its session (pg_dump's do): what comes next begins as every session does.
RESET: Final = (b"RESET SESSION AUTHORIZATION", b"RESET ROLE", b"RESET ALL")
# Statements about things of the server rather than the database, the SQLSTATEs at which they are left out, and why.
# Roles are shared by all databases, so one may be there already; a dump names roles and settings of its own server.
OPTIONAL: Final = (
    (r"CREATE\s+(ROLE|USER|GROUP)\b", ("42710",), ""),
    (r"DROP\s+(ROLE|USER|GROUP)\b", ("42704", "2BP01"), ""),
    (r"CREATE\s+SCHEMA\s+(IF\s+NOT\s+EXISTS\s+)?\"?public\b", ("42P06",), ""),
    (r"SET\b", ("42704", "22023"), "a setting or role that this server does not have"),
    (
        r"(ALTER\b.*\bOWNER\s+TO|GRANT|REVOKE|REASSIGN|ALTER\s+DEFAULT)\b",
        ("42704",),
        "the role does not exist on this server",
    ),
    (r"(ALTER|COMMENT\s+ON)\s+DATABASE\b|GRANT\b.*\bON\s+DATABASE\b", ("3D000",), "the database has another name"),
)
ROLES: Final = late(r"(CREATE|ALTER|DROP)\s+(ROLE|USER|GROUP)\b", re.IGNORECASE)
GRANTS: Final = late(r"(GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES)\b", re.IGNORECASE)


def run_statements(
    connection: Connection, statements: Sequence[Statement], left_out: list[LeftOut] | None = None
) -> Sequences | None:
    """Run the files' statements in the open transaction. DevenvError names the file, the line and the statement.

    Returns how far the sequences had got before the first statement that sets one, None when none does: a number
    that was counted and one that the file gave can then still be told apart.
    """
    counted: Sequences | None = None
    origin: str | None = None
    for statement in statements:
        if origin not in (None, statement.origin):
            reset_session(connection)
        origin = statement.origin
        if counted is None and "setval" in statement.text.lower():
            counted = read_sequences(connection)
        try:
            run_one(connection, statement, [] if left_out is None else left_out)
        except PostgresError as error:
            raise statement_error(statement, error, connection.info.user) from None
    try:
        with postgres.translated(connection.info.dbname):
            connection.execute(b"SET CONSTRAINTS ALL IMMEDIATE")
    except PostgresError as error:
        raise DevenvError("the SQL files violate a constraint at the end", detail=error.detail) from None
    reset_session(connection)
    return counted


def reset_session(connection: Connection) -> None:
    """Take back every setting that a file made."""
    for reset in RESET:
        connection.execute(reset)


def run_one(connection: Connection, statement: Statement, left_out: list[LeftOut]) -> None:
    """Run one statement; add it to `left_out` when this server may refuse it. PostgresError."""
    kinds = [kind for kind in OPTIONAL if re.match(kind[0], statement.text, re.IGNORECASE | re.DOTALL)]
    if not kinds:
        return execute(connection, statement)
    try:
        with connection.transaction():
            execute(connection, statement)
    except PostgresError as error:
        allowed = [why for _, codes, why in kinds if error.code in codes]
        if not allowed:
            raise
        if allowed[0]:
            left_out.append(LeftOut(statement.place, statement.excerpt, allowed[0]))
    return None


def execute(connection: Connection, statement: Statement) -> None:
    """Send one statement, and its rows. PostgresError."""
    text = statement.text.encode()
    with postgres.translated(connection.info.dbname):
        if statement.rows is None:
            # The binary form uses the extended protocol, which takes one statement and no more.
            connection.execute(text, binary=True)
            return
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            copy.write(statement.rows.text.encode())


def run_again(connection: Connection, statements: Iterable[Statement], kind: re.Pattern[str]) -> None:
    """Run the statements of one kind once more in a database that has what the files make; what fails is left out.

    Roles and grants are not part of what is compared, and running them twice does no harm.
    """
    for statement in statements:
        if kind.match(statement.text):
            try:
                with connection.transaction():
                    execute(connection, statement)
            except PostgresError as error:
                if not error.reached:
                    raise


def statement_error(statement: Statement, error: PostgresError, user: str) -> DevenvError:
    """Postgres's error at its place in the file; `user` is the role that ran the statement."""
    if not error.reached:
        return DevenvError(f"{error.what}, while {statement.place} ran", detail=error.detail)
    primary, _, rest = (error.detail or error.what).partition("\n")
    lines = [rest, f"in: {statement.excerpt}"] if rest else [f"in: {statement.excerpt}"]
    home = extensions.home_of(primary)
    hint = home and f'CREATE EXTENSION IF NOT EXISTS "{home}"; before it{INSTEAD.get(home, "")}, then: devenv up'
    if extensions.find_wanted([statement]) and primary.startswith("could not load library"):
        hint = "this PostgreSQL lacks what the extension needs: " + extensions.SYSTEM
    if error.code == FORBIDDEN and user == LOADER:
        lines.append("files of a folder that is not trusted are run by a role that is not a superuser")
        hint = TRUST
    return DevenvError(
        f"{place_of(statement, error, rest)}: {primary}",
        detail="\n".join(lines),
        cause="all changes of the files were rolled back: they run in one transaction",
        hint=hint,
    )


def place_of(statement: Statement, error: PostgresError, context: str) -> str:
    """`file:line` of what is wrong: in the statement, or in the rows behind it."""
    row = re.search(r"^COPY .*, line (\d+)", context, re.MULTILINE)
    if statement.rows is not None and row:
        return f"{statement.rows.file}:{statement.rows.line + int(row[1]) - 1}"
    return f"{statement.file}:{statement.line_at(error.position)}"
