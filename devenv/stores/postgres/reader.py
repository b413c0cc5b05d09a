"""Postgres, opened for reading: the one place that decides what a statement may do, whoever wrote it.

Five bounds, each of which holds where another one is not available:

- a role that can read everything, and change and run nothing, in a server that devenv started (`READER`, made there
  at its first use). In other servers no role is made. There a superuser becomes `pg_read_all_data`; and because SQL
  could undo that (`set_config`), a superuser's statement may only call functions that do nothing but compute;
- read-only transactions;
- `ask`: one statement by the extended protocol, which sends no second one, in a transaction that is rolled back;
- only statements that read. Any other one is parsed by the server, for its own words about it, and never executed;
- five seconds for a statement, and for a lock.

Where a statement could act as a superuser, the server describes it first, and `acting` judges the description.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

from devenv.core.late import late
from devenv.core.model import PostgresTarget
from devenv.stores.postgres import acting
from devenv.stores.postgres.client import (
    LOCK_S,
    Connection,
    PostgresError,
    Rows,
    connect,
    milliseconds,
    one,
    rows_of,
    translated,
)
from devenv.stores.postgres.driver import psycopg, sql

READER: Final = "devenv_reader"
READ_ONLY: Final = "25006"
CANCELLED: Final = "57014"
LIMIT_S: Final = 5.0
READING: Final = frozenset(["SELECT", "WITH", "TABLE", "VALUES", "SHOW", "EXPLAIN"])
PLANNED: Final = READING - {"SHOW", "EXPLAIN"}
REFUSED: Final = "this connection only reads"
# A superuser reads as this role, and an error is better than rows that a policy hides.
LESS: Final = b"""
SELECT set_config('role', 'pg_read_all_data', true), set_config('row_security', 'off', true)
WHERE to_regrole('pg_read_all_data') IS NOT NULL
"""
LIMITS: Final = "SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}"
# The server describes a parsed statement to this session alone, a superuser's not even to its own log. Planning then
# evaluates no checks of tables.
DESCRIBE: Final = b"""
SET LOCAL client_min_messages = 'log'; SET LOCAL debug_pretty_print = off; SET LOCAL debug_print_rewritten = on;
SET LOCAL constraint_exclusion = off
"""
UNLOGGED: Final = b"SET LOCAL log_min_messages = 'panic'"
QUIET: Final = b"SET LOCAL client_min_messages = 'notice'; SET LOCAL debug_print_rewritten = off"
MAKE: Final = "CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {} IN ROLE pg_read_all_data, pg_monitor"
PARAMETER: Final = late(r"%(?:\(([^)]+)\)s|%)")


@contextmanager
def reading(
    target: PostgresTarget,
    *,
    database: str | None = None,
    autocommit: bool = False,
    timeout_s: int = 5,
    label: str = "devenv",
) -> Iterator[Connection]:
    """A connection that cannot write, for devenv's own statements. PostgresError for whatever fails.

    SQL that a configuration or a user wrote goes through `Asking` instead.
    """
    quiet = replace(target, refused=target.refused or REFUSED)
    reader = as_role(quiet) if target.own else quiet

    def enter() -> Connection:
        opened = connect(reader, database=database, autocommit=autocommit, timeout_s=timeout_s, label=label)
        return stack.enter_context(opened)

    with ExitStack() as stack:
        try:
            connection = enter()
        except PostgresError as error:
            if not target.own or READER not in (error.detail or ""):
                raise
            make_reader(target)
            connection = enter()
        if target.own and connection.info.parameter_status("is_superuser") == "on":
            raise PostgresError(
                f"the role {READER}, which devenv uses to read Postgres at {target.address}, is a superuser",
                detail=f"it could write; remove that right: ALTER ROLE {READER} NOSUPERUSER",
            )
        if not target.own and connection.info.parameter_status("is_superuser") == "on":
            refuse_shadows(connection, target)
        yield connection


def refuse_shadows(connection: Connection, target: PostgresTarget) -> None:
    """PostgresError if a superuser's statement of devenv's could call a function of the database."""
    with translated(target.address), connection.transaction():
        raw = psycopg.RawCursor(connection)
        raw.execute(acting.CATALOG_FIRST)
        shadows = tell(raw, acting.SHADOWS)
    if shadows:
        raise PostgresError(
            f"{target.user} is a superuser of Postgres at {target.address}, where reading could call functions of"
            " the database, so nothing is read",
            detail=f"a superuser's query could call {shadows}: a function that has a built-in function's name, or that"
            " an index uses. Name a role that is no superuser in [external] postgres of devenv.toml",
            code=READ_ONLY,
        )


@contextmanager
def asking(target: PostgresTarget, *, limit_s: float = LIMIT_S) -> Iterator[Asking]:
    """Ask one statement after the other, each by itself."""
    with reading(target, autocommit=True) as connection:
        yield Asking(connection, target, limit_s)


def read(target: PostgresTarget, text: str, values: Mapping[str, Any] | None = None) -> Rows:
    """One statement's answer. See `Asking.ask`."""
    with asking(target) as each:
        return each.ask(text, values)


class Asking:
    """Statements of others on a connection that only reads."""

    def __init__(self, connection: Connection, target: PostgresTarget, limit_s: float) -> None:
        self._connection = connection
        self._target = target
        self._limit_s = limit_s
        # As it signed in: once it became another role, the server says no.
        self._superuser = connection.info.parameter_status("is_superuser") == "on"

    def ask(self, text: str, values: Mapping[str, Any] | None = None, *, as_text: bool = False) -> Rows:
        """One statement, whose `%(name)s` are bound to `values`; without values it is sent as it is.

        PostgresError with code READ_ONLY for what is no statement that reads. `as_text`: times come as Postgres
        writes them, also those that Python cannot hold.
        """
        if "\0" in text:
            raise PostgresError("a statement with a NUL character is not run", code=READ_ONLY)
        statement, bound = (text, []) if values is None else positional(text, values)
        connection = self._connection
        lock_s = milliseconds(min(self._limit_s, LOCK_S))
        with translated(self._target.address):
            try:
                with connection.transaction(force_rollback=True):
                    raw = psycopg.RawCursor(connection)
                    raw.execute(LIMITS.format(f"'{milliseconds(self._limit_s)}'", f"'{lock_s}'").encode())
                    self._inspect(raw, statement)
                    if self._superuser:
                        raw.execute(LESS)
                    raw.execute(acting.AS_SET_UP)
                    return rows_of(psycopg.RawCursor(connection), statement, bound, as_text=as_text)
            except psycopg.errors.QueryCanceled as error:
                what = f"the statement took longer than {self._limit_s:g} s and was cancelled"
                raise PostgresError(what, detail=str(error), code=CANCELLED) from None

    def _inspect(self, raw: psycopg.RawCursor[Any], statement: str) -> None:
        """Let the server parse the statement, where that tells more. PostgresError when it must not be executed."""
        inner = acting.explained(statement) if first_word(statement) == "EXPLAIN" else statement
        refused = first_word(statement) not in READING or (inner is not statement and first_word(inner) not in PLANNED)
        definers = set() if self._superuser else self._definers(raw)
        suspect = self._superuser or bool(definers)
        if not (refused or suspect or acting.SUSPECT.search(statement)):
            return
        described: list[str] = []

        def hear(notice: psycopg.errors.Diagnostic) -> None:
            described.append(notice.message_detail or "")

        made = self._made(raw, inner) if suspect else {}
        raw.execute(DESCRIBE)
        if self._superuser:
            raw.execute(UNLOGGED)
        raw.execute(acting.AS_SET_UP)
        self._connection.add_notice_handler(hear)
        try:
            # An EXPLAIN is described without the views in it, so its statement is described in its place.
            parsed = self._connection.pgconn.prepare(b"", (statement if refused else inner).encode())
        finally:
            self._connection.remove_notice_handler(hear)
        if parsed.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(parsed)
        if refused:
            raise PostgresError(
                f"{first_word(statement) or 'this statement'} is not allowed in Postgres at"
                f" {self._target.address}: this connection is read-only",
                detail=f"statements that only read begin with {', '.join(sorted(READING))}",
                code=READ_ONLY,
            )
        raw.execute(acting.CATALOG_FIRST)
        raw.execute(QUIET)
        self._judge(raw, acting.called_by(described), definers, made)

    def _judge(
        self, raw: psycopg.RawCursor[Any], called: acting.Called, definers: set[int], made: Mapping[int, str]
    ) -> None:
        """PostgresError if the statement, as the server describes it, could do more than read."""
        functions = acting.functions_of(raw, called)
        if types := sorted({made[each].lstrip("_") for each in called.types if each in made}):
            raise not_made(", ".join(types))
        if mine := sorted(set(functions) & definers):
            names = tell(raw, acting.NAMES, mine)
            raise definer(f"{names} is not called: it is SECURITY DEFINER and belongs to a superuser")
        if self._superuser:
            if found := tell(raw, acting.ACTING, acting.COMPUTING, functions):
                raise self._refusal(f"{found} is not called")
        elif definers and (found := tell(raw, acting.REACHING, acting.COMPUTING, functions)):
            names = tell(raw, acting.NAMES, sorted(definers))
            raise definer(f"{found} is not called: it could call {names}, SECURITY DEFINER of a superuser")
        elif found := tell(raw, acting.OUTSIDE, functions):
            raise PostgresError(
                f"{found} is not called: this connection is read-only",
                detail="it could act outside of its transaction, which is rolled back",
                code=READ_ONLY,
            )
        if (self._superuser or definers) and (found := tell(raw, acting.PROGRAMS, sorted(called.relations))):
            raise PostgresError(
                f"{found} is not read: its rows are the output of a program that the server would run",
                detail="read it as a role that may only read",
                code=READ_ONLY,
            )

    def _made(self, raw: psycopg.RawCursor[Any], statement: str) -> dict[int, str]:
        """Types whose values call functions of the database, by oid.

        PostgresError if a literal may become one: parsing makes it.
        """
        raw.execute(acting.TYPES, [acting.COMPUTING])
        made: dict[int, str] = dict(raw.fetchall())
        text = statement.lower()
        names = sorted({name.lstrip("_") for name in made.values()})
        found = [name for name in names if re.search(rf"(?<!\w)_*{re.escape(name.lower())}(?!\w)", text)]
        if found or (made and 'u&"' in text):
            raise not_made(", ".join(found or names))
        return made

    def _definers(self, raw: psycopg.RawCursor[Any]) -> set[int]:
        """The functions of superusers that this role may call and that act as their owner."""
        raw.execute(acting.DEFINERS)
        (found,) = raw.fetchone() or ([],)
        return set(found)

    def _refusal(self, what: str) -> PostgresError:
        """The error for what a superuser's statement may not do."""
        return PostgresError(
            f"{self._target.user} is a superuser of Postgres at {self._target.address}, so {what}",
            detail="run by a superuser, a function can write and run programs even in a read-only transaction;"
            " name a role that may only read: [external] postgres in devenv.toml",
            code=READ_ONLY,
        )


def tell(raw: psycopg.RawCursor[Any], query: bytes | str, *values: Any) -> str:
    """The one text that a query of `acting` gives; "" for none."""
    raw.execute(query.encode() if isinstance(query, str) else query, values)
    (found,) = raw.fetchone() or ("",)
    return found or ""


def definer(what: str) -> PostgresError:
    """The error for what runs as a superuser, whoever calls it."""
    return PostgresError(
        what,
        detail="it could change anything and run programs; give it to a role that is not a superuser:"
        " ALTER FUNCTION … OWNER TO …",
        code=READ_ONLY,
    )


def not_made(types: str) -> PostgresError:
    """The error for values of types that call functions of the database when they are made or compared."""
    return PostgresError(
        f"devenv makes no value of type {types}: its checks or comparisons may run as a superuser",
        detail="cast to its base type, or sign in as a role that may only read",
        code=READ_ONLY,
    )


def positional(text: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A statement with `$1` for each `%(name)s` and `%` for `%%`, and the values in their order. Pure.

    PostgresError for a name without a value.
    """
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in values:
            raise PostgresError(f"%({name})s has no value")
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return PARAMETER.sub(number, text), [values[name] for name in names]


def first_word(text: str) -> str:
    """The first word of a statement, in capitals, behind comments and parentheses as Postgres reads them. Pure."""
    place = acting.after_blanks(text, 0, acting.SPACE + "(")
    found = re.compile(r"[A-Za-z]+").match(text, place)
    return found[0].upper() if found else ""


def as_role(target: PostgresTarget, role: str = READER) -> PostgresTarget:
    """The same database as a role of devenv's, with the password that belongs to this server's."""
    password = hashlib.sha256(f"{role} {target.password}".encode()).hexdigest()
    return replace(target, user=role, password=password)


def as_reader(target: PostgresTarget) -> PostgresTarget:
    """The same database as a role that can read everything and change nothing; for programs that are not devenv."""
    with reading(target):
        return as_role(target)


def make_reader(target: PostgresTarget) -> None:
    """Make the role in a server that devenv started, or give it the password that belongs to it.

    A read-only transaction alone is not enough: a superuser's may still write files and run programs (COPY … TO
    PROGRAM), and can become any role again from within a query.
    """
    # Beside the project's database, whose functions could stand in the place of built-in ones.
    beside = "template1" if target.database == "postgres" else "postgres"
    with connect(target, database=beside, autocommit=True) as connection:
        keep_role(connection, as_role(target), MAKE)


def keep_role(connection: Connection, role: PostgresTarget, make: str) -> None:
    """Make a role of devenv's by `make`, or give it the password that belongs to it."""
    # Its hash, so that no log can hold the password.
    user = role.user.encode()
    secret = connection.pgconn.encrypt_password(role.password.encode(), user, b"scram-sha-256").decode()
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [zlib.crc32(user)])
        known = one(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", [role.user])
        verb = "ALTER ROLE {} PASSWORD {}" if known else make
        connection.execute(sql.SQL(verb).format(sql.Identifier(role.user), sql.Literal(secret)))
