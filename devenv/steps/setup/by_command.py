"""Migrations that a tool's own command runs (Alembic, Django, Knex, …): in a database beside the live one.

A first or a fresh run builds a new database and swaps the names. New migrations are tried on a copy of what the tool
makes from nothing, and then run by the tool on the live database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from devenv.config.environment import connection_environment
from devenv.core.errors import DevenvError
from devenv.core.model import Targets
from devenv.steps.command import run_program
from devenv.steps.setup import merge, setup
from devenv.steps.setup.psql import LeftOut
from devenv.steps.setup.run import run_statements
from devenv.steps.setup.script import Script
from devenv.steps.step import Inputs, StepContext, StepOutcome
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Catalog, read_catalog
from devenv.stores.postgres.client import Connection, name, one
from devenv.stores.postgres.driver import sql


def bring(ctx: StepContext, admin: Connection, inputs: Inputs, fresh: bool, left_out: list[LeftOut]) -> StepOutcome:
    """Bring the database to what the migrations make. DevenvError with the command's last words."""
    script: Script = inputs.content
    database = ctx.postgres.database
    scratch, new, old = setup.side_names(database)
    exists = one(admin, "SELECT 1 FROM pg_database WHERE datname = %s", [database]) is not None
    if exists and not fresh and is_recorded(ctx):
        ctx.say("running the migrations in a scratch database")
        try:
            catalog, _ = build(ctx, admin, inputs, scratch, left_out)
        finally:
            setup.drop_database(admin, scratch)
        return migrate(ctx, inputs, catalog)
    ctx.say(f"building database {database} by {script.plan.name if script.plan else 'command'}")
    try:
        _, outcome = build(ctx, admin, inputs, new, left_out)
    except DevenvError:
        setup.drop_database(admin, new)
        raise
    if not exists:
        admin.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s", [new])
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name(new), name(database)))
        return outcome
    setup.swap(admin, database, new, old)
    setup.drop_database(admin, old)
    return outcome


def is_recorded(ctx: StepContext) -> bool:
    """Return True if devenv has set the database up."""
    with postgres.connect(ctx.postgres, label=setup.label(ctx.postgres.database)) as connection:
        return setup.read_record(connection) is not None or bool(read_catalog(connection).tables)


def build(
    ctx: StepContext, admin: Connection, inputs: Inputs, database: str, left_out: list[LeftOut]
) -> tuple[Catalog, StepOutcome]:
    """Make a database by the files of `before`, by the command, then by the other files; record it all."""
    script: Script = inputs.content
    admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name(database)))
    if script.first:
        with postgres.connect(ctx.postgres, database=database, label=setup.label(ctx.postgres.database)) as connection:
            run_statements(connection, script.first, left_out)
    run_tool(ctx, script, database)
    with postgres.connect(ctx.postgres, database=database, label=setup.label(ctx.postgres.database)) as connection:
        if script.plan and script.plan.files and not read_catalog(connection).tables:
            raise DevenvError(
                f"{' '.join(script.plan.command)} succeeded, but made no table in the database it was given",
                detail="it got the address in DATABASE_URL, PGDATABASE and the variables of [env]",
                cause="its configuration names a database of its own",
                hint="let it read DATABASE_URL, or name the variable that it reads in [env] of devenv.toml",
            )
        run_statements(connection, script.statements, left_out)
        outcome = setup.record_load(connection, inputs.hash, script)
        return read_catalog(connection), outcome


def run_tool(ctx: StepContext, script: Script, database: str) -> None:
    """Run the tool's command on one database of the server."""
    if script.plan is not None:
        run_program(ctx, script.plan.command, environment(ctx, database))


def environment(ctx: StepContext, database: str) -> Mapping[str, str]:
    """The step's variables, with those that lead to the project's database leading to `database`."""
    here, there = (
        connection_environment(ctx.settings, Targets.of(target, ctx.dynamodb))
        for target in (ctx.postgres, replace(ctx.postgres, database=database))
    )
    return {**ctx.environ, **{key: value for key, value in there.items() if here[key] != value}}


def migrate(ctx: StepContext, inputs: Inputs, catalog: Catalog) -> StepOutcome:
    """Let the tool run its new migrations on the live database, and record what they made."""
    script: Script = inputs.content
    database = ctx.postgres.database
    with postgres.connect(ctx.postgres, label=setup.label(database)) as connection:
        ran = setup.read_migrations(connection)
        now = {each.file: each.hash for each in script.migrations}
        changed = [file for file, hash in ran.items() if now.get(file) != hash]
        if changed or not ran.keys() < now.keys():
            which = changed[0] if changed else "a file of [steps.setup] files"
            raise DevenvError(
                f"{which} changed, but it has run already",
                detail="the tool runs a migration once; devenv cannot tell what the change means for the data",
                hint=f"{setup.REBUILD}; or undo the change and add a migration",
            )
        strangers = merge.read_strangers(connection, read_catalog(connection))
    run_tool(ctx, script, database)
    with postgres.connect(ctx.postgres, label=setup.label(database)) as connection:
        merge.record_others(connection, read_catalog(connection), strangers)
        setup.write_record(connection, inputs.hash, catalog, script)
    return StepOutcome({"migrations run": len(now) - len(ran)})
