"""Postgres, opened for reading: the one place that decides what a statement may do, whoever wrote it.

Five bounds, each of which holds where another one is not available:

- a role that can read everything, and change and run nothing, in a server that devenv started (`READER`, made there
  at its first use). In other servers no role is made. There a superuser becomes `pg_read_all_data`; and because SQL
  could undo that (`set_config`), a superuser's statement may only call functions that do nothing but compute;
- read-only transactions;
- `ask`: one statement by the extended protocol, which sends no second one, in a transaction that is rolled back;
- only statements that read. Any other one is parsed by the server, for its own words about it, and never executed;
- five seconds for a statement, and for a lock.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import error_from_result

from devenv.core.late import late
from devenv.core.model import PostgresTarget
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

READER: Final = "devenv_reader"
READ_ONLY: Final = "25006"
CANCELLED: Final = "57014"
LIMIT_S: Final = 5.0
READING: Final = frozenset(["SELECT", "WITH", "TABLE", "VALUES", "SHOW", "EXPLAIN"])
PLANNED: Final = READING - {"SHOW", "EXPLAIN"}
REFUSED: Final = "this connection only reads"
# Of Postgres's own functions, those that may give another value each time and do nothing else.
COMPUTING: Final = [
    *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7", "pg_sleep"),
    *("currval", "lastval", "pg_is_in_recovery", "pg_lock_status", "pg_blocking_pids", "pg_relation_size"),
    *("pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size", "pg_tablespace_size"),
]
# A superuser reads as this role, and an error is better than rows that a policy hides.
LESS: Final = b"""
SELECT set_config('role', 'pg_read_all_data', true), set_config('row_security', 'off', true)
WHERE to_regrole('pg_read_all_data') IS NOT NULL
"""
LIMITS: Final = b"SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)"
# A role that may change nothing may still call these, and they then act as a superuser.
DEFINERS: Final = b"""
SELECT coalesce(array_agg(p.oid::int8), '{}') FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
WHERE p.prosecdef AND r.rolsuper AND p.prorettype <> 'trigger'::regtype AND p.oid >= 16384
  AND has_function_privilege(p.oid, 'EXECUTE')
"""
DESCRIBE_MINE: Final = b"""
SELECT set_config('client_min_messages', 'log', true), set_config('debug_pretty_print', 'off', true),
  set_config('debug_print_rewritten', 'on', true)
"""
# The checks of a domain are functions that the description does not name: of a user's domain, or a type that holds one.
MADE: Final = late(r":resulttype(\d+)")
DOMAINS: Final = b"""
SELECT string_agg(t.oid::regtype::text, ', ') FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem
WHERE t.oid = ANY ($1) AND t.oid >= 16384 AND (t.typtype IN ('d', 'c') OR e.typtype IN ('d', 'c'))
"""
HOLDERS: Final = b"""
SELECT DISTINCT t.typname FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
JOIN pg_type d ON d.oid = a.atttypid OR d.oid = (SELECT e.typelem FROM pg_type e WHERE e.oid = a.atttypid)
JOIN pg_constraint c ON c.contypid = d.oid
WHERE d.typtype = 'd' AND d.oid >= 16384
"""
# The server describes a parsed statement to this session alone, and keeps it out of its own log.
DESCRIBE: Final = b"""
SELECT set_config('client_min_messages', 'log', true), set_config('log_min_messages', 'panic', true),
  set_config('debug_pretty_print', 'off', true), set_config('debug_print_rewritten', 'on', true)
"""
QUIET: Final = (
    b"SELECT set_config('client_min_messages', 'notice', true), set_config('debug_print_rewritten', 'off', true)"
)
# The server breaks its description into lines, anywhere.
CALLED: Final = late(r":\w*(?:funcid|fnoid)\s+(\d+)")
ACTING: Final = b"""
SELECT coalesce(string_agg(DISTINCT p.oid::regprocedure::text, ', '), '') FROM pg_proc p
WHERE p.oid = ANY($1::oid[]) AND NOT (
  p.pronamespace = 'pg_catalog'::regnamespace AND (p.provolatile <> 'v' OR p.proname = ANY($2::text[])))
"""
MAKE: Final = "CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {} IN ROLE pg_read_all_data, pg_monitor"
PARAMETER: Final = late(r"%(?:\(([^)]+)\)s|%)")
SPACE: Final = " \t\n\r\f\v"


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
        yield connection


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
        with translated(self._target.address):
            try:
                with connection.transaction(force_rollback=True):
                    raw = psycopg.RawCursor(connection)
                    raw.execute(LIMITS, [milliseconds(self._limit_s), milliseconds(min(self._limit_s, LOCK_S))])
                    self._inspect(raw, statement)
                    if self._superuser:
                        raw.execute(LESS)
                    return rows_of(psycopg.RawCursor(connection), statement, bound, as_text=as_text)
            except psycopg.errors.QueryCanceled as error:
                what = f"the statement took longer than {self._limit_s:g} s and was cancelled"
                raise PostgresError(what, detail=str(error), code=CANCELLED) from None

    def _inspect(self, raw: psycopg.RawCursor[Any], statement: str) -> None:
        """Let the server parse the statement, where that tells more. PostgresError when it must not be executed."""
        refused = first_word(statement) not in READING
        definers = set() if self._superuser else self._definers(raw)
        if not (refused or self._superuser or definers):
            return
        described: list[str] = []

        def hear(notice: psycopg.errors.Diagnostic) -> None:
            described.append(notice.message_detail or "")

        if self._superuser or definers:
            self._refuse_made_in_parsing(raw, statement)
        if self._superuser:
            raw.execute(DESCRIBE)
        elif definers:
            raw.execute(DESCRIBE_MINE)
        self._connection.add_notice_handler(hear)
        try:
            parsed = self._connection.pgconn.prepare(b"", statement.encode())
        finally:
            self._connection.remove_notice_handler(hear)
        if parsed.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise error_from_result(parsed)
        if refused:
            raise PostgresError(
                f"{first_word(statement) or 'this statement'} is not allowed in Postgres at"
                f" {self._target.address}: this connection is read-only",
                detail=f"statements that only read begin with {', '.join(sorted(READING))}",
                code=READ_ONLY,
            )
        raw.execute(QUIET)
        self._judge(raw, described, definers)

    def _judge(self, raw: psycopg.RawCursor[Any], described: Sequence[str], definers: set[int]) -> None:
        """PostgresError if the statement, as the server describes it, could act as a superuser."""
        called = {int(number) for text in described for number in CALLED.findall(text)}
        if self._superuser or definers:
            made = {int(number) for text in described for number in MADE.findall(re.sub(r"\s+", "", text))}
            raw.execute(DOMAINS, [sorted(made)])
            (domains,) = raw.fetchone() or ("",)
            if domains:
                raise not_made(domains)
        if self._superuser:
            self._refuse_acting(raw, sorted(called))
        if mine := sorted(called & definers):
            raw.execute(b"SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE oid = ANY ($1)", [mine])
            (names,) = raw.fetchone() or ("",)
            raise PostgresError(
                f"{names} is not called: it is SECURITY DEFINER and belongs to a superuser",
                detail="it could change anything and run programs; give it to a role that is not a superuser:"
                " ALTER FUNCTION … OWNER TO …",
                code=READ_ONLY,
            )

    def _refuse_made_in_parsing(self, raw: psycopg.RawCursor[Any], statement: str) -> None:
        """PostgresError if a literal may become a value of a type that holds such a domain: parsing makes it."""
        raw.execute(HOLDERS)
        names = [name for (name,) in raw.fetchall()]
        text = statement.lower()
        if found := [name for name in names if name.lower() in text or 'u&"' in text]:
            raise not_made(", ".join(found))

    def _definers(self, raw: psycopg.RawCursor[Any]) -> set[int]:
        """The functions of superusers that this role may call and that act as their owner."""
        raw.execute(DEFINERS)
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

    def _refuse_acting(self, raw: psycopg.RawCursor[Any], called: Sequence[int]) -> None:
        """PostgresError if one of these functions does more than compute: as a superuser it could do anything."""
        if not called:
            return
        raw.execute(ACTING, [list(called), COMPUTING])
        (acting,) = raw.fetchone() or ("",)
        if acting:
            raise self._refusal(f"{acting} is not called")


def not_made(types: str) -> PostgresError:
    """The error for values of a domain, whose checks may call any function, as a superuser."""
    return PostgresError(
        f"devenv makes no value of type {types}: a check of this domain may run as a superuser",
        detail="cast to the domain's base type, or sign in as a role that may only read",
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
    """The first word of a statement, in capitals, behind comments and parentheses as Postgres reads them. Pure.

    Its comments nest: one that is thought to end early could pass a COPY off as a SELECT.
    """
    place = 0
    while place < len(text):
        if text[place] in SPACE or text[place] == "(":
            place += 1
        elif text.startswith("--", place):
            ends = [end for sign in "\n\r" if (end := text.find(sign, place)) >= 0]
            place = min(ends, default=len(text))
        elif text.startswith("/*", place):
            place = after_comment(text, place)
        else:
            break
    found = re.compile(r"[A-Za-z]+").match(text, place)
    return found[0].upper() if found else ""


def after_comment(text: str, place: int) -> int:
    """Return where the comment that begins at `place` ends."""
    depth = 0
    for sign in re.compile(r"/\*|\*/").finditer(text, place):
        depth += 1 if sign[0] == "/*" else -1
        if depth == 0:
            return sign.end()
    return len(text)


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
    with connect(target, autocommit=True) as connection:
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
