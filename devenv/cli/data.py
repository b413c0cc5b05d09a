"""Commands that load, save and query the data: `setup`, `schema-load`, `seed`, `reset`, `snapshot …`, `db`, `ddb`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from devenv.cli.options import Form, Yes, agreed, chosen, show, show_rows, stack, watching, with_view
from devenv.cli.trust import agreed_stack
from devenv.core.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help="The snapshot's name.")]


def from_scratch(names: Sequence[str], command: str, yes: bool, timings: bool = False) -> None:
    """Run steps from scratch, after asking when data that devenv did not write would go."""
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.reset import run_fresh
    from devenv.lifecycle.start import Clock
    from devenv.stack import open_locked

    clock = Clock()
    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened, "steps", "services")

        def agree(losses: Sequence[str]) -> None:
            if losses:
                watch.close()
                agreed(f"{'; '.join(losses)}. Continue and discard this data? (A snapshot is kept.)", yes)

        report = run_fresh(opened, names, command, UpOptions(chosen.limit), watch, clock, agree)
    show(with_view(report, timings=timings))


def setup(yes: Yes = False) -> None:
    """Rebuild the Postgres database from its files. Every user gets a new uuid.

    The next `up` updates the items in DynamoDB. If step seed is a command, run `devenv seed` instead: `up` cannot
    update the items that the command wrote.
    """
    from_scratch(["setup"], "setup", yes)


def schema_load(yes: Yes = False) -> None:
    """Delete and recreate the DynamoDB tables. Their items are deleted; the next `up` seeds them."""
    from_scratch(["schema-load"], "schema-load", yes)


def seed(yes: Yes = False) -> None:
    """Empty the seeded DynamoDB tables and load the items again.

    If the step is a command: empty all declared tables, then run the command.
    """
    from_scratch(["seed"], "seed", yes)


def reset(
    yes: Yes = False,
    timings: Annotated[bool, typer.Option("--timings", help="Print how long each part took.")] = False,
) -> None:
    """Restore the data that the first `up` loaded; if files changed or a step is a command, run all three steps."""
    from_scratch(["setup", "schema-load", "seed"], "reset", yes, timings)


def on_snapshot(task: Literal["save", "restore", "delete"], name: str) -> None:
    """One change of the snapshots, as the only devenv that changes the project."""
    from devenv.snapshots import command as work
    from devenv.stack import open_locked

    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened)
        report = work.run(opened, task, name, watch)
    show(report)


def snapshot_save(name: Name) -> None:
    """Save both stores as they are now. On engine embedded, Postgres is unavailable for a moment."""
    on_snapshot("save", name)


def snapshot_restore(name: Name, yes: Yes = False) -> None:
    """Restore both stores from a snapshot. The current data is kept as an automatic snapshot."""
    on_snapshot("restore", name)


def snapshot_list() -> None:
    """List the snapshots of this project, oldest first."""
    from devenv.snapshots import command as work

    show(work.show_all(stack(reads=False)))


def snapshot_export(
    name: Name, file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")]
) -> None:
    """Write a snapshot to one file, for another machine."""
    from devenv.snapshots.archive import export

    show(export(stack(reads=False), name, file))


def snapshot_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `snapshot export` wrote.")],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Import under this name. Default: the name it was saved with."),
    ] = None,
) -> None:
    """Import a snapshot from a file that `snapshot export` wrote."""
    from devenv.snapshots.archive import take
    from devenv.stack import open_locked

    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        report = take(opened, file, name, watch)
    show(report)


def snapshot_diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A snapshot.")],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another snapshot. Default: the data as it is now.")
    ] = None,
) -> None:
    """List the rows and items that were added, removed or changed from A to B, by key."""
    from devenv.snapshots.diff import diff

    with watching() as watch:
        report = diff(stack(reads=False), first, second, watch)
    show(report)


def snapshot_prune(
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the N newest snapshots.")] = None,
    older: Annotated[
        str | None, typer.Option("--older", metavar="AGE", help="Delete snapshots older than AGE: 12h, 7d, 4w.")
    ] = None,
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Delete only automatic snapshots, which devenv made before a change.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete old snapshots; names and sizes are shown first."""
    from devenv.snapshots import pruning
    from devenv.stack import open_locked

    wish = pruning.wish_of(keep, older, automatic)
    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened)
        chosen_ones = pruning.choose(opened, wish)

        def agree(question: str) -> None:
            watch.close()
            agreed(question, yes)

        report = pruning.prune_chosen(opened, chosen_ones, agree, watch)
    show(report)


def snapshot_delete(name: Name, yes: Yes = False) -> None:
    """Delete a snapshot."""
    on_snapshot("delete", name)


def db(
    sql: Annotated[str | None, typer.Argument(metavar="[SQL]", help="A statement. Default: open a shell.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow changes.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="List the tables with rows, size and key.")] = False,
    describe: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Show a table's columns, constraints and indexes.")
    ] = None,
    form: Form = "table",
) -> None:
    """Query Postgres: devenv db "select * from users". Read-only unless you pass --write."""
    from devenv.query import queries

    if sum((tables, describe is not None, sql is not None)) > 1:
        raise UsageError("give one of these: a statement, --tables or --describe")
    opened = stack()
    if tables or describe is not None:
        from devenv.query import catalog

        show_rows(catalog.list_tables(opened) if describe is None else catalog.describe_table(opened, describe), form)
    if sql is None and chosen.json:
        raise UsageError("--json needs a statement: a shell prints no document", hint='devenv db --json "select 1"')
    if sql is None:
        queries.open_shell(opened, write)
    show_rows(queries.run_sql(opened, sql or "", write), form)


def list_tables(form: Form = "table") -> None:
    """List the tables with keys, indexes and item counts."""
    from devenv.query import queries

    show_rows(queries.list_tables(stack()), form)


def scan(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table's name.")],
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show at most N items.")] = 100,
    form: Form = "table",
) -> None:
    """Show the items of a table."""
    from devenv.query import queries

    show_rows(queries.scan(stack(), table, limit), form)


def partiql(
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="One statement.")],
    write: Annotated[bool, typer.Option("--write", help="Allow changes.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show at most N items.")] = 100,
    scan: Annotated[bool, typer.Option("--scan", help="Allow reading a whole table.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the DynamoDB operation; do not run the statement.")
    ] = False,
    form: Form = "table",
) -> None:
    """Run a PartiQL statement and show its DynamoDB operation. Changes need --write, a Scan needs --scan."""
    from devenv.query import queries

    show_rows(queries.run_partiql(stack(), statement, write, limit, scan, dry_run), form)
