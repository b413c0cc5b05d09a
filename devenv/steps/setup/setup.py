"""The step `setup`: the project's Postgres database, its schema and its rows, from SQL files.

The first run is one transaction. What it declared and which rows it made are recorded in the same transaction, in
the schema `devenv` of that very database, so the record can never disagree with the data. When the files change,
they are run in a scratch database first, where an error costs nothing, and the difference is merged.
From scratch means: build a new database beside the old one, then swap the names, so a broken file loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import msgspec

from devenv.core.errors import DevenvError, Exit, StoreError
from devenv.core.model import PostgresTarget, StepState
from devenv.core.plural import number_of
from devenv.steps.setup import extensions, merge, since
from devenv.steps.setup.migrate import plan_migration
from devenv.steps.setup.migrations import is_known
from devenv.steps.setup.psql import LeftOut, list_left_out
from devenv.steps.setup.rights import ANYTHING, choose_role, create_database
from devenv.steps.setup.rows import Row, Sequences, order_rows, pair_runs, read_rows, read_sequences
from devenv.steps.setup.run import GRANTS, ROLES, run_again, run_statements
from devenv.steps.setup.script import Script
from devenv.steps.setup.sql import Statement
from devenv.steps.since import LIMIT
from devenv.steps.step import Handles, Inputs, StepContext, StepOutcome
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Catalog, read_catalog
from devenv.stores.postgres.client import Connection, PostgresError, name, one
from devenv.stores.postgres.driver import sql
from devenv.stores.postgres.loader import as_writer
from devenv.stores.postgres.reader import make_reader, reading

REBUILD: Final = "devenv setup (rebuilds the database; all data in it is lost)"
LOCK_WAIT: Final = "10s"
SWAP_TRIES: Final = 5
IN_USE: Final = "55006"
DEADLOCK_OR_LOCKED: Final = ("55P03", "40P01")
RECORD: Final = (
    b"CREATE SCHEMA IF NOT EXISTS devenv",
    b"CREATE TABLE IF NOT EXISTS devenv.setup"
    b" (hash text NOT NULL, at timestamptz NOT NULL DEFAULT now(), catalog jsonb NOT NULL)",
    b"CREATE TABLE IF NOT EXISTS devenv.migrations (file text PRIMARY KEY, hash text NOT NULL)",
    b'CREATE TABLE IF NOT EXISTS devenv.seeded ("schema" text NOT NULL, "table" text NOT NULL, "row" jsonb NOT NULL)',
)
# The hash of the last run, what it declared but is no longer there, and databases that a killed run left behind.
LOOK: Final = b"""
SELECT hash, (SELECT string_agg(DISTINCT CASE WHEN r.oid IS NULL THEN format('%%s.%%s', t->>'schema', t->>'name')
                     ELSE format('%%s.%%s.%%s', t->>'schema', t->>'name', c->>'name') END, ', ')
  FROM jsonb_array_elements(catalog->'tables') AS t
  CROSS JOIN jsonb_array_elements(t->'columns') AS c
  LEFT JOIN pg_namespace n ON n.nspname = t->>'schema'
  LEFT JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = t->>'name'
  LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = c->>'name' AND a.attnum > 0 AND NOT a.attisdropped
  WHERE a.attname IS NULL), (SELECT count(*) FROM pg_database WHERE datname = ANY(%s))
FROM devenv.setup
"""


class Scratch(msgspec.Struct, frozen=True):
    """The result of the files: the catalog, the rows, and how far each sequence got."""

    catalog: Catalog
    rows: list[Row]
    sequences: Sequences


def present(handles: Handles) -> bool:
    """Return True if the project's database exists."""
    return handles.postgres() is not None


def lacks(ctx: StepContext, handles: Handles) -> str | None:
    """Return what a command should have made: the database, with a table or a view in it."""
    connection = handles.postgres()
    if connection is None:
        return f"there is no database {ctx.postgres.database} at {ctx.postgres.address}"
    return None if one(connection, ANYTHING) else f"database {ctx.postgres.database} has no table"


def examine(ctx: StepContext, inputs: Inputs, handles: Handles) -> StepState:
    """One query: the recorded hash, and whether what was declared is still there."""
    connection = handles.postgres()
    if connection is None:
        return StepState("setup", "pending", f"database {ctx.postgres.database} does not exist")
    record = read_record(connection)
    if record is None:
        return StepState("setup", "pending", f"database {ctx.postgres.database} has not been set up by devenv")
    hash, missing, left = record
    if hash != inputs.hash:
        changed = "migrations or settings" if ctx.settings.steps.setup.migrations else "SQL files"
        return StepState("setup", "stale", f"its {changed} changed")
    if missing:
        return StepState("setup", "stale", f"no longer there: {missing}")
    if left:
        return StepState("setup", "stale", "a killed run left a database behind")
    found = since.compare_rows(connection, declared_in(connection), None if ctx.thorough else LIMIT)
    return StepState("setup", "done", f"database {ctx.postgres.database} has what its SQL files declare{found.words}")


def read_record(connection: Connection) -> tuple[str, str | None, int] | None:
    """(hash of the last run, what it declared and is missing now, databases left behind); None before the first run."""
    try:
        with connection.transaction(), postgres.translated(connection.info.dbname):
            row = connection.execute(LOOK, [list(side_names(connection.info.dbname))]).fetchone()
    except StoreError as error:
        if error.code not in postgres.NO_TABLE:
            raise
        return None
    return (row[0], row[1], row[2]) if row else None


def read_declared(connection: Connection) -> Catalog | None:
    """Return what the files declared when they were last loaded; None before the first run."""
    if read_record(connection) is None:
        return None
    return declared_in(connection)


def declared_in(connection: Connection) -> Catalog:
    """The same, where it is known that there is a record."""
    return msgspec.convert(one(connection, "SELECT catalog FROM devenv.setup"), Catalog)


def restore(ctx: StepContext, inputs: Inputs) -> int:
    """Bring back rows that were deleted since they were loaded, with their own keys. The number of rows."""
    with postgres.connect(as_writer(ctx.postgres), label=label(ctx.postgres.database)) as connection:
        if read_record(connection) is None:
            return 0
        return since.restore_rows(connection, declared_in(connection))


def apply(ctx: StepContext, inputs: Inputs, fresh: bool) -> StepOutcome:
    """Bring the database to what the files say. DevenvError names file, line and statement."""
    script: Script = inputs.content
    left_out = list(script.left_out)
    try:
        outcome = bring(ctx, inputs, fresh, left_out)
    except DevenvError as error:
        # What was left out may be what the statement lacks.
        error.detail = "\n".join([*filter(None, [error.detail]), *list_left_out(left_out)]) or None
        if 'near ":"' in error.what and any(each.why.startswith("\\gset") for each in left_out):
            error.hint = "devenv keeps no result as a variable (\\gset): write the value there, then: devenv up"
        raise
    if ctx.postgres.own:
        make_reader(ctx.postgres)  # Here, where something is written anyway: what looks at it later writes nothing.
    return replace(outcome, warnings=(*list_left_out(left_out), *outcome.warnings))


def bring(ctx: StepContext, inputs: Inputs, fresh: bool, left_out: list[LeftOut]) -> StepOutcome:
    """Load, merge or rebuild; what this server refuses and may is added to `left_out`."""
    script: Script = inputs.content
    statements = script.statements
    database = ctx.postgres.database
    with server(ctx.postgres) as admin:
        postgres.end_others(admin)
        for name_ in side_names(database):
            drop_database(admin, name_)
        in_code = extensions.find_in_code(inputs.files) if script.by_command else ()
        extensions.provide(ctx, admin, (*in_code, *script.first, *statements))
        if script.by_command:
            from devenv.steps.setup import by_command

            return by_command.bring(ctx, admin, inputs, fresh, left_out)
        exists = one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [database]) is not None
        ctx = replace(ctx, postgres=choose_role(ctx, admin, taken=exists and not fresh))
        if fresh and exists:
            return rebuild(ctx, admin, inputs, left_out)
        if not exists:
            create_database(admin, database, ctx.postgres)
    with postgres.connect(ctx.postgres, label=label(database)) as connection:
        live = read_catalog(connection)
        if not live.tables and read_record(connection) is None:
            ctx.say(f"loading {number_of(len(inputs.names), 'SQL file')}")
            return load(connection, inputs.hash, script, left_out)
    ctx.say("running the changed SQL files in a scratch database")
    return refresh(ctx, inputs.hash, script, run_in_scratch(ctx.postgres, statements, left_out))


@contextmanager
def server(target: PostgresTarget) -> Iterator[Connection]:
    """A connection beside the project's database, for making and dropping databases."""
    beside = "template1" if target.database == "postgres" else "postgres"
    with postgres.connect(target, database=beside, autocommit=True, label=label(target.database)) as connection:
        yield connection


def label(database: str) -> str:
    """The name under which the server lists the sessions that set up `database`."""
    return side_names(database)[0].replace("scratch", "setup")


def side_names(database: str) -> tuple[str, str, str]:
    """The names of the scratch, the new and the old database that a run may need or a killed run may have left."""
    mark = hashlib.sha256(database.encode()).hexdigest()[:12]
    return f"devenv-scratch-{mark}", f"devenv-new-{mark}", f"devenv-old-{mark}"


def drop_database(admin: Connection, database: str) -> None:
    """Drop a database of devenv's own, whoever is connected to it."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name(database)))


def load(connection: Connection, hash: str, script: Script, left_out: list[LeftOut]) -> StepOutcome:
    """Run the files in an empty database and record what they made: one transaction, which the caller commits."""
    run_statements(connection, script.statements, left_out)
    return record_load(connection, hash, script)


def record_load(connection: Connection, hash: str, script: Script) -> StepOutcome:
    """Record everything in a database as made by the files."""
    catalog = read_catalog(connection)
    write_record(connection, hash, catalog, script)
    rows = sum(merge.record_all(connection, table) for table in catalog.tables)
    return StepOutcome({"tables": len(catalog.tables), "rows": rows})


def create_record(connection: Connection) -> None:
    """The tables that hold the record, unless they are there."""
    for statement in RECORD:
        connection.execute(statement)


def write_record(connection: Connection, hash: str, catalog: Catalog, script: Script) -> None:
    """Record what the files declare, beside the data."""
    create_record(connection)
    connection.execute("DELETE FROM devenv.setup")
    connection.execute(
        "INSERT INTO devenv.setup (hash, catalog) VALUES (%s, %s::jsonb)", [hash, msgspec.json.encode(catalog).decode()]
    )
    connection.execute("DELETE FROM devenv.migrations")
    for each in script.migrations:
        connection.execute("INSERT INTO devenv.migrations VALUES (%s, %s)", [each.file, each.hash])


def run_in_scratch(target: PostgresTarget, statements: tuple[Statement, ...], left_out: list[LeftOut]) -> Scratch:
    """Run the files in a scratch database and return the result.

    The database is dropped afterwards. DevenvError as in a load.
    """
    scratch = side_names(target.database)[0]
    with server(target) as admin:
        create_database(admin, scratch, target)
        try:
            with postgres.connect(target, database=scratch, label=label(target.database)) as connection:
                counted = run_statements(connection, statements, left_out)
                sequences = read_sequences(connection)
                catalog = read_catalog(connection)
                first = [read_rows(connection, table) for table in catalog.tables]
                connection.rollback()
                run_statements(connection, statements)
                second = [read_rows(connection, table) for table in catalog.tables]
                connection.rollback()
        finally:
            drop_database(admin, scratch)
    runs = zip(catalog.tables, first, second, strict=True)
    given = sequences if counted is None else counted
    rows = [row for table, one_run, other in runs for row in pair_runs(table, one_run, other, given)]
    return Scratch(catalog, order_rows(catalog, rows), sequences)


def refresh(ctx: StepContext, hash: str, script: Script, wanted: Scratch) -> StepOutcome:
    """Merge the changed schema and rows into the live database, in one transaction."""
    try:
        with postgres.connect(ctx.postgres, label=label(ctx.postgres.database)) as connection:
            connection.execute(f"SET lock_timeout = '{LOCK_WAIT}'".encode())
            run_again(connection, script.statements, ROLES)
            ran = run_pending(connection, script)
            connection.execute(f"SET lock_timeout = '{LOCK_WAIT}'".encode())
            outcome = merge_scratch(connection, ctx.postgres.database, hash, wanted, script)
            run_again(connection, script.statements, GRANTS)
            return replace(outcome, counts={"migrations run": ran, **outcome.counts})
    except PostgresError as error:
        if not error.reached:
            raise
        raise DevenvError(
            f"the changed SQL files could not be merged into database {ctx.postgres.database}",
            detail=error.detail,
            cause="another session holds a lock" if error.code in DEADLOCK_OR_LOCKED else "nothing was changed",
            hint="end that session, then: devenv up" if error.code in DEADLOCK_OR_LOCKED else REBUILD,
        ) from None


def run_pending(connection: Connection, script: Script) -> int:
    """Run the migrations that were added since, on the live data. How many; 0 too when one that ran was changed.

    Then the files' work is merged like that of any changed file. What the tool has run itself is not run again.
    """
    ran = read_migrations(connection)
    now = {each.file: each.hash for each in script.migrations}
    if not ran or any(now.get(file) != hash for file, hash in ran.items()):
        return 0
    pending = [each for each in script.migrations if each.file not in ran]
    if script.plan and script.plan.tool and pending:
        known = {str(row[0]) for row in connection.execute(script.plan.tool.known.encode())}
        pending = [each for each in pending if not is_known(script.plan, each.file, known)]
    if pending:
        strangers = merge.read_strangers(connection, read_catalog(connection))
        run_statements(connection, [statement for each in pending for statement in each.statements])
        merge.record_others(connection, read_catalog(connection), strangers)
    return len(pending)


def read_migrations(connection: Connection) -> dict[str, str]:
    """File -> hash of each migration that has run; empty before the first."""
    if one(connection, "SELECT to_regclass('devenv.migrations')") is None:
        return {}
    return {str(file): str(hash) for file, hash in connection.execute("SELECT file, hash FROM devenv.migrations")}


def merge_scratch(connection: Connection, database: str, hash: str, wanted: Scratch, script: Script) -> StepOutcome:
    """Plan the migration, refuse what would lose data, run it, merge the rows, record all."""
    present = read_catalog(connection)
    migration = plan_migration(read_declared(connection), wanted.catalog, present)
    if migration.losses:
        raise DevenvError(
            f"the changed SQL files would lose data of database {database}",
            exit_code=Exit.STEP,
            detail="\n".join(migration.losses),
            cause="devenv adds tables, columns, indexes and constraints itself, but removes no data",
            hint=f"{REBUILD}; or change the database with ALTER TABLE as you want it, then: devenv up",
        )
    connection.execute("SET check_function_bodies = off")
    for statement in migration.statements:
        connection.execute(statement)
    create_record(connection)
    seeded = merge.cut_records(merge.read_seeded(connection), present)
    work = merge.Merge(connection, wanted.catalog, read_catalog(connection), seeded)
    for row in wanted.rows:
        work.put(row)
    work.remove_rest()
    for statement in migration.afterwards:
        connection.execute(statement)
    advance_sequences(connection, wanted.sequences)
    since.refresh_views(connection)
    write_record(connection, hash, wanted.catalog, script)
    merge.write_seeded(connection, work.records)
    changes = len(migration.statements) + len(migration.afterwards)
    return StepOutcome({"schema changes": changes, **work.counts}, tuple(work.warnings))


def advance_sequences(connection: Connection, sequences: Sequences) -> None:
    """Let no sequence fall behind the numbers that the files use up."""
    present = read_sequences(connection)
    for ((schema, table), column), last in sequences.items():
        if present.get(((schema, table), column), 0) < last:
            relation = name(schema, table).as_string(connection)
            connection.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [relation, column, last])


def rebuild(ctx: StepContext, admin: Connection, inputs: Inputs, left_out: list[LeftOut]) -> StepOutcome:
    """Build a new database beside the old one, then swap their names in one transaction and drop the old one."""
    database = ctx.postgres.database
    _, new, old = side_names(database)
    ctx.say(f"rebuilding database {database}")
    create_database(admin, new, ctx.postgres)
    try:
        with postgres.connect(ctx.postgres, database=new, label=label(database)) as connection:
            outcome = load(connection, inputs.hash, inputs.content, left_out)
    except DevenvError:
        drop_database(admin, new)
        raise
    ended = swap(admin, database, new, old)
    drop_database(admin, old)
    return StepOutcome(outcome.counts, (f"ended {number_of(ended, 'session')} on the old database",) if ended else ())


def swap(admin: Connection, database: str, new: str, old: str) -> int:
    """Rename `database` to `old` and `new` to `database`, at once. How many sessions had to be ended for it."""
    ended: set[int] = set()
    comment = read_comment(admin, database)
    for attempt in range(1, SWAP_TRIES + 1):
        sessions = admin.execute(
            "SELECT datname, pid, pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = ANY(%s)"
            " AND backend_type = 'client backend'",
            [[database, new]],
        )
        ended.update(pid for where, pid, _ in sessions if where == database)
        try:
            with admin.transaction(), postgres.translated(database):
                admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name(database), name(old)))
                admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name(new), name(database)))
                if comment:
                    write_comment(admin, database, comment)
        except StoreError as error:
            # An application's pool connects again at once; the rename itself waits, so a few tries are enough.
            if error.code != IN_USE or attempt == SWAP_TRIES:
                raise
            continue
        break
    return len(ended)


def read_comment(admin: Connection, database: str) -> str | None:
    """The comment on a database, which the mark of a store that devenv did not start is; None without."""
    found = one(admin, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [database])
    return None if found is None else str(found)


def write_comment(admin: Connection, database: str, comment: str) -> None:
    admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name(database), sql.Literal(comment)))


def strangers(ctx: StepContext, inputs: Inputs) -> str | None:
    """Tables with rows that are not exactly as the files made them."""
    try:
        with reading(ctx.postgres) as connection:
            recorded = read_record(connection) is not None
            found = {}
            for table in read_catalog(connection).tables:
                found[table.title] = (
                    merge.count_strangers(connection, table) if recorded else merge.count_rows(connection, table)
                )
    except StoreError as error:
        if error.code != postgres.NO_DATABASE:
            raise
        return None
    shown = [f"{count} in {title}" for title, count in found.items() if count]
    if not shown:
        return None
    return (
        f"database {ctx.postgres.database} has rows that devenv did not write, or that changed after devenv wrote them:"
        f" {', '.join(shown)}"
    )
