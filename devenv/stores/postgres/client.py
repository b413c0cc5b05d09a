"""Everything that speaks to Postgres: connect, probe, and read the catalog. The only module that imports psycopg.

Every driver error that leaves a `connect` or `translated` block is a PostgresError.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.string import TextLoader

from devenv.core.errors import StoreError, UsageError
from devenv.core.model import PostgresTarget

Connection = psycopg.Connection[TupleRow]

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
) -> Iterator[Connection]:
    """An open connection; commits when the block ends well, rolls back otherwise. PostgresError for whatever fails.

    `label` is the name under which the server lists the session.
    """
    name = target.database if database is None else database
    address = f"{target.host}:{target.port}/{name}"
    try:
        connection = open_connection(target, name, timeout_s, autocommit, label)
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
    target: PostgresTarget, database: str, timeout_s: int, autocommit: bool, label: str = "devenv"
) -> Connection:
    """A plain psycopg connection; the caller closes it. psycopg.Error. UsageError for a target that is closed.

    To one that refuses writes it is read-only (engines/external.py).
    """
    if target.closed:
        raise UsageError(target.closed, detail="nothing was sent")
    session = SESSION if target.refused is None else {**SESSION, "default_transaction_read_only": "on"}
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
    with UNSTEERED:
        return psycopg.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password,
            dbname=database,
            connect_timeout=timeout_s,
            application_name=label,
            client_encoding="UTF8",
            options=" ".join(f"-c {key}={value}" for key, value in session.items()),
            autocommit=autocommit,
            **plain,
        )


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
    """Whether the server has that database; True when it cannot be asked. A failed connection has no code to tell."""
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
        what = f"Postgres at {address} cannot be asked: the text is not Unicode"
        raise PostgresError(what, detail=str(error)) from None


def store_error(error: psycopg.Error, address: str) -> PostgresError:
    """The driver's error in our words: its SQLSTATE as `code`, its own text as `detail`."""
    diag = error.diag
    if error.sqlstate is None and "FATAL:" in str(error):
        return refused_connection(plain(error), address)
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


@dataclass(frozen=True)
class Rows:
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
        cursor.adapters.register_loader(each, TextLoader)
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


@dataclass(frozen=True)
class Column:
    """One column. `made` says who makes its value: "" the writer, "identity" a sequence, or an expression, whose
    value is "stored" or "virtual"; the expression is then in `default`.
    """

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    made: str = ""

    @property
    def computed(self) -> bool:
        """Whether nobody but Postgres can write it."""
        return self.made in ("stored", "virtual")


@dataclass(frozen=True)
class Constraint:
    """One constraint. `kind`: primary, unique, foreign, check or exclude. A foreign one names its parent."""

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    parent: tuple[str, str] | None = None
    parent_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """One index that no constraint made. `key`: its columns, when it is unique and about plain columns of all rows."""

    name: str
    definition: str
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the project. `partition_key` is set for a partitioned one; its partitions are not listed."""

    schema: str
    name: str
    partition_key: str | None = None
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def id(self) -> tuple[str, str]:
        """(schema, name)."""
        return self.schema, self.name

    @property
    def title(self) -> str:
        """`schema.name`, for messages."""
        return f"{self.schema}.{self.name}"

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Its columns, () without one."""
        return next((each.columns for each in self.constraints if each.kind == "primary"), ())

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The column sets that name one row: the primary key first, then the unique ones by name."""
        unique = sorted((each.name, each.columns) for each in self.constraints if each.kind == "unique")
        unique += sorted((each.name, each.key) for each in self.indexes if each.key)
        first = (self.primary_key,) if self.primary_key else ()
        return first + tuple(columns for _, columns in unique)


@dataclass(frozen=True)
class Object:
    """A thing without rows of its own. `kind`: schema, extension, enum, sequence, owner, function, view or trigger.

    `definition` makes it; `removal` drops it, where nothing can be lost by that, else "".
    """

    kind: str
    name: str
    definition: str
    removal: str = ""


@dataclass(frozen=True)
class Catalog:
    """What a database declares, without the server's own, devenv's own and extensions' objects."""

    tables: tuple[Table, ...] = ()
    objects: tuple[Object, ...] = ()

    def table(self, id: tuple[str, str]) -> Table | None:
        """The table of that (schema, name)."""
        return next((table for table in self.tables if table.id == id), None)


OURS = "devenv"

# One round trip each. `project` are the schemas that belong to the project.
PROJECT = """
WITH project AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'devenv')
), extension AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
)
"""
TABLES = (
    PROJECT  # noqa: S608 - constant text
    + """
SELECT jsonb_build_object('schema', n.nspname, 'name', c.relname, 'partition_key', pg_get_partkeydef(c.oid),
  'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
      'default', CASE WHEN a.attidentity <> '' THEN NULL ELSE pg_get_expr(d.adbin, d.adrelid) END,
      'made', CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated = 's' THEN 'stored'
              WHEN a.attgenerated <> '' THEN 'virtual' ELSE '' END)
      ORDER BY a.attnum), '[]')
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', k.conname,
      'kind', CASE k.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign'
              WHEN 'c' THEN 'check' ELSE 'exclude' END,
      'definition', pg_get_constraintdef(k.oid),
      'columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY p.place), '[]')
        FROM unnest(k.conkey) WITH ORDINALITY AS p(number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number),
      'parent', (SELECT jsonb_build_array(pn.nspname, pc.relname) FROM pg_class pc
        JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE pc.oid = k.confrelid),
      'parent_columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY p.place), '[]')
        FROM unnest(k.confkey) WITH ORDINALITY AS p(number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number))
      ORDER BY k.conname), '[]')
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')),
  'indexes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', ic.relname, 'definition', pg_get_indexdef(i.indexrelid),
      'key', CASE WHEN i.indisunique AND i.indpred IS NULL AND NOT 0 = ANY(i.indkey::int2[]) THEN
        (SELECT jsonb_agg(a.attname ORDER BY p.place)
         FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS p(number, place)
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.number) ELSE '[]' END)
      ORDER BY ic.relname), '[]')
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
      AND k.conrelid = c.oid)))
FROM pg_class c JOIN project n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
ORDER BY n.nspname, c.relname
"""
)
OBJECTS = (
    PROJECT  # noqa: S608 - constant text
    + """
SELECT kind, name, definition, removal FROM (
SELECT n.oid, 'schema' AS kind, quote_ident(nspname) AS name, format('CREATE SCHEMA %I', nspname) AS definition,
    '' AS removal
FROM project n WHERE nspname <> 'public'
UNION ALL
SELECT x.oid, 'extension', quote_ident(x.extname), format('CREATE EXTENSION %I SCHEMA %I', x.extname, n.nspname), ''
FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql'
UNION ALL
SELECT t.oid, 'enum', format('%I.%I', n.nspname, t.typname), format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname,
    t.typname, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                WHERE e.enumtypid = t.oid)), ''
FROM pg_type t JOIN project n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
UNION ALL
SELECT c.oid, 'sequence', format('%I.%I', n.nspname, c.relname),
    format('CREATE SEQUENCE %I.%I AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s', n.nspname, c.relname,
           format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax), ''
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN project n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.deptype IN ('i', 'e'))
UNION ALL
SELECT c.oid, 'owner', format('%I.%I', n.nspname, c.relname),
    format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, c.relname, d.refobjid::regclass, a.attname), ''
FROM pg_class c JOIN project n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
  AND d.refclassid = 'pg_class'::regclass
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE c.relkind = 'S'
UNION ALL
SELECT p.oid, 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid),
    format('DROP ROUTINE %s', p.oid::regprocedure)
FROM pg_proc p JOIN project n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL
SELECT c.oid, 'view', format('%I.%I', n.nspname, c.relname),
    format('CREATE OR REPLACE VIEW %I.%I AS %s', n.nspname, c.relname, pg_get_viewdef(c.oid)),
    format('DROP VIEW %I.%I', n.nspname, c.relname)
FROM pg_class c JOIN project n ON n.oid = c.relnamespace WHERE c.relkind = 'v'
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
UNION ALL
SELECT t.oid, 'trigger', format('%I.%I.%I', n.nspname, c.relname, t.tgname), pg_get_triggerdef(t.oid),
    format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN project n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0
) AS objects ORDER BY oid
"""
)


def read_catalog(connection: Connection) -> Catalog:
    """What the database declares now. Names in definitions are qualified, whatever the session's search_path."""
    path = one(connection, "SELECT current_setting('search_path')")
    connection.execute("SELECT set_config('search_path', 'pg_catalog', false)")
    tables = [row[0] for row in connection.execute(TABLES.encode()).fetchall()]
    objects = [Object(*row) for row in connection.execute(OBJECTS.encode()).fetchall()]
    connection.execute("SELECT set_config('search_path', %s, false)", [path])
    return msgspec.convert({"tables": tables, "objects": objects}, Catalog)


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
