"""Everything that speaks to Postgres: connect, ask, probe.

Every driver error that leaves a `connect` or `translated` block is a PostgresError.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from devenv.core.deadline import deadline
from devenv.core.errors import Exit, StoreError, UsageError
from devenv.core.model import PostgresTarget
from devenv.core.value import Value
from devenv.stores.postgres.driver import psycopg, sql

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

Connection: TypeAlias = "psycopg.Connection[TupleRow]"

# Values are read and compared as text, so the text form must not depend on how a server or a database is set up.
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
}
# Types with values that Python cannot hold: infinity, years BC, 24:00, a century's interval.
TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# The first libpq that can refuse ways to sign in.
MODERN = 160000
# So long a look waits for a lock. One that is held longer is held by somebody who forgot it.
LOCK_S = 5.0
LOCKED = "55P03"
CANCELLED = "57014"
NO_DATABASE = "3D000"
NO_TABLE = ("42P01", "3F000")
NO_COLUMN = "42703"
FOREIGN_KEY = "23503"


class PostgresError(StoreError):
    """A StoreError with what Postgres adds: `position` is the 1-based character in the statement, if known."""

    def __init__(
        self,
        what: str,
        *,
        detail: str | None = None,
        code: str | None = None,
        reached: bool = True,
        position: int | None = None,
    ) -> None:
        super().__init__(what, detail=detail, code=code, reached=reached)
        self.position = position


@contextmanager
def connect(
    target: PostgresTarget,
    *,
    database: str | None = None,
    autocommit: bool = False,
    timeout_s: int = 5,
    read_only: bool = False,
    label: str = "devenv",
    looks: bool = False,
) -> Iterator[Connection]:
    """An open connection; commits when the block ends well, rolls back otherwise. PostgresError for whatever fails.

    `label` is the name under which the server lists the session. What only looks (`looks`, `read_only`, a target that
    refuses writes) waits LOCK_S for a lock and the command's limit for an answer; what writes, the limit for a lock.
    """
    name = target.database if database is None else database
    address = f"{target.host}:{target.port}/{name}"
    try:
        looks = looks or read_only or target.refused is not None
        connection = open_connection(target, name, timeout_s, autocommit, label, looks=looks)
    except psycopg.Error as error:
        failure = store_error(error, address)
        if not failure.reached:
            failure = store_error(error, target.address)  # no database answers: the project's tells most
        silent = isinstance(error, psycopg.errors.ConnectionTimeout)
        if name != "postgres" and not silent and not database_exists(target, name, timeout_s):
            failure = PostgresError(f"Postgres at {address} has no such database", code=NO_DATABASE)
        raise failure from None
    # psycopg leaves a connection open when its commit fails.
    with translated(address), closing(connection), connection:
        connection.read_only = read_only or target.refused is not None
        yield connection


def open_connection(
    target: PostgresTarget,
    database: str,
    timeout_s: int,
    autocommit: bool,
    label: str = "devenv",
    *,
    looks: bool = True,
) -> Connection:
    """A plain psycopg connection; the caller closes it. psycopg.Error. UsageError for a target that is closed.

    To one that refuses writes it is read-only (engines/external.py).
    """
    if target.closed:
        raise UsageError(target.closed, detail="nothing was sent")
    session = {**SESSION, **time_limits(looks)}
    if target.refused is not None:
        session["default_transaction_read_only"] = "on"
    # The servers that devenv starts speak no TLS.
    plain: dict[str, Any] = {"sslmode": "disable"} if target.host in LOOPBACK else {}
    if target.own and psycopg.pq.version() >= MODERN:
        # Whoever has the port in its place does not get the password.
        plain["require_auth"] = "!password"
    if not target.keys:
        # A folder named the address: the user's own ~/.pgpass, certificate and ticket are not for it. (libpq
        # complains about a password file that is there and is no file.)
        plain |= {"passfile": f"{os.devnull}/none", "gssencmode": "disable"}
        plain |= {"sslcertmode": "disable"} if psycopg.pq.version() >= MODERN else {}
    deadline.doing = f"Postgres at {target.host}:{target.port}/{database}"
    with UNSTEERED:
        return psycopg.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password,
            dbname=database,
            connect_timeout=max(1, int(deadline.bound(timeout_s))),
            application_name=label,
            client_encoding="UTF8",
            options=" ".join(f"-c {key}={value}" for key, value in session.items()),
            autocommit=autocommit,
            **plain,
        )


def time_limits(looks: bool) -> dict[str, str]:
    """The settings that keep a session from waiting for ever: for a lock, and of one that looks for an answer."""
    limit = deadline.limit_s
    if not looks:
        return {"lock_timeout": milliseconds(limit)}
    return {"lock_timeout": milliseconds(min(LOCK_S, limit)), "statement_timeout": milliseconds(limit)}


def milliseconds(seconds: float) -> str:
    """A number of seconds as Postgres takes it."""
    return f"{max(1, int(seconds * 1000))}ms"


class Unsteered:
    """A `with` block, of any number of threads at once, without libpq's variables in the environment.

    PGHOSTADDR would lead every connection to another machine, PGSERVICE and PGTZ have no keyword to override them.
    They come back at the end: the process may be somebody's test run, and the variables his.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: dict[str, str] = {}

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._kept = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith("PG")}
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                os.environ.update(self._kept)


UNSTEERED = Unsteered()


def database_exists(target: PostgresTarget, database: str, timeout_s: int) -> bool:
    """Return True if the server has that database, and True when it cannot be asked.

    A failed connection has no code to tell.
    """
    try:
        with open_connection(target, "postgres", timeout_s, autocommit=True) as connection:
            return one(connection, "SELECT 1 FROM pg_database WHERE datname = %s", [database]) is not None
    except psycopg.Error:
        return True


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn a driver error in the block into a PostgresError that names `address` (`host:port/database`)."""
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error, address) from None
    except UnicodeEncodeError as error:
        # Bytes of a command line that are not UTF-8, or half of a surrogate pair: never sent.
        what = f"Postgres at {address} cannot be queried: the text is not Unicode"
        raise PostgresError(what, detail=str(error)) from None


def store_error(error: psycopg.Error, address: str) -> PostgresError:
    """The driver's error in our words: its SQLSTATE as `code`, its own text as `detail`."""
    diag = error.diag
    if error.sqlstate is None and "no password supplied" in str(error):
        missing = PostgresError(f"Postgres at {address} asks for a password, and there is none", detail=plain(error))
        missing.hint = "export DEVENV_EXTERNAL_PASSWORD=…  (or [external] password in devenv.toml)"
        return missing
    if error.sqlstate is None and "FATAL:" in str(error):
        return refused_connection(plain(error), address)
    if error.sqlstate == LOCKED or (error.sqlstate == CANCELLED and "timeout" in str(error)):
        what = "waited too long for a lock" if error.sqlstate == LOCKED else "took too long to answer"
        late = PostgresError(f"Postgres at {address} {what}", detail=plain(error), code=error.sqlstate)
        late.exit_code = Exit.TIMEOUT
        if error.sqlstate == LOCKED:
            late.cause = "another session holds it"
            late.hint = "devenv doctor --only SVC005  (names the session)"
        return late
    lost = isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate[:2] in ("08", "57")
    )
    if error.sqlstate is None and not lost:
        return PostgresError(f"Postgres at {address} could not be used", detail=plain(error))
    if lost:
        return PostgresError(
            f"Postgres at {address} does not answer", detail=plain(error), code=error.sqlstate, reached=False
        )
    extra = (diag.message_detail, diag.message_hint, diag.context)
    detail = "\n".join([diag.message_primary or str(error), *(part for part in extra if part)])
    position = int(diag.statement_position) if diag.statement_position else None
    return PostgresError(
        f"Postgres at {address} refused a statement", detail=detail, code=error.sqlstate, position=position
    )


def plain(error: psycopg.Error) -> str:
    """libpq's words in one line: it indents what follows with tabs."""
    return " ".join(str(error).split())


def refused_connection(text: str, address: str) -> PostgresError:
    """The error for a server that answered and refused; libpq gives no SQLSTATE for that, only the words."""
    if re.search(r'database ".*" does not exist', text, re.DOTALL):
        return PostgresError(f"Postgres has no database at {address}", detail=text, code=NO_DATABASE)
    if "the database system is" in text:
        return PostgresError(f"Postgres at {address} is not ready", detail=text, code="57P03", reached=False)
    return PostgresError(f"Postgres at {address} refused the connection", detail=text)


def probe(target: PostgresTarget, timeout_s: int = 2) -> str:
    """The server's version (`18.6`), from a real query. PostgresError when it does not answer."""
    with connect(target, database="postgres", autocommit=True, timeout_s=timeout_s) as connection:
        return str(one(connection, "SELECT current_setting('server_version')")).split(" ")[0]


class Rows(Value, frozen=True):
    """The answer to one statement: column names, rows, and the command's tag (`UPDATE 3`)."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    status: str


def rows_of(
    cursor: psycopg.RawCursor[TupleRow], statement: str, values: Sequence[Any] = (), *, as_text: bool = False
) -> Rows:
    """Execute one statement, whose parameters are `$1`; more than one is an error, as it is prepared.

    `as_text`: times come as Postgres writes them, also those that Python cannot hold.
    """
    for each in TIMES if as_text else ():
        cursor.adapters.register_loader(each, psycopg.types.string.TextLoader)
    # As bytes: its text is whoever's, and not a literal of ours.
    cursor.execute(statement.encode(), values, prepare=True)
    columns = [column.name for column in cursor.description or ()]
    return Rows(columns, cursor.fetchall() if columns else [], cursor.statusmessage or "")


def write(target: PostgresTarget, text: str) -> Rows:
    """Execute one statement that may write, and commit."""
    with connect(target) as connection, translated(target.address):
        return rows_of(psycopg.RawCursor(connection), text, as_text=True)


def one(connection: Connection, query: Any, parameters: Sequence[Any] = ()) -> Any:
    """The first column of the first row, or None when there is no row."""
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None


def end_others(connection: Connection) -> None:
    """End the other sessions of this one's label, and wait for their end, up to ten seconds each.

    They are a killed devenv's: the server goes on with what it was asked for, though nobody waits for the answer.
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
    )


def system_identifier(connection: Connection) -> str:
    """The number initdb gave this cluster; another one means another cluster."""
    return str(one(connection, "SELECT system_identifier FROM pg_control_system()"))


def name(*parts: str) -> sql.Identifier:
    """A quoted, possibly qualified name: `name("public", "users")`."""
    return sql.Identifier(*parts)


def execute(connection: Connection, query: sql.Composable, parameters: Sequence[Any]) -> psycopg.Cursor[TupleRow]:
    """Run a composed query with bound values. A `%` in quoted names and literals is theirs, not a placeholder."""
    return connection.execute(escape(query, connection).encode(), parameters)


def escape(query: sql.Composable, connection: Connection) -> str:
    """The query's text, with `%` doubled inside quoted names and literals only."""
    if isinstance(query, sql.Composed):
        return "".join(escape(part, connection) for part in query)
    text = query.as_string(connection)
    return text if isinstance(query, sql.SQL) else text.replace("%", "%%")
