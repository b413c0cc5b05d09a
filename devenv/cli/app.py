"""The commands: parse, open a stack, call one function, render its report, exit. No decisions."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

# Typer has no public name for "what the user typed is wrong"; its version is pinned for this too.
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.models import CommandInfo

from devenv import __version__
from devenv.core.errors import MAKE_ROOM, DevenvError, Exit, StoreError, UsageError
from devenv.core.model import Failure, Report

if TYPE_CHECKING:
    from devenv.stack import Stack
    from devenv.verify.compare import Context

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Start Postgres and DynamoDB Local, load them in order, and compare the two.",
    epilog="Global options may stand before or after the command. First steps: devenv up, devenv status.",
)
ddb = typer.Typer(no_args_is_help=True, help="Look into DynamoDB: tables, items, PartiQL.")
config_app = typer.Typer(no_args_is_help=True, help="The effective settings, their origins, and their schema.")
snapshot = typer.Typer(no_args_is_help=True, help="Both stores at one point: save, restore, list, delete.")
app.add_typer(ddb, name="ddb")
app.add_typer(snapshot, name="snapshot")
app.add_typer(config_app, name="config")
repair_app = typer.Typer(no_args_is_help=True, help="Carry out a repair plan, or take it back.")
app.add_typer(repair_app, name="repair")

patterns_app = typer.Typer(no_args_is_help=True, help="Access patterns: list, run, check, explain, matrix.")
app.add_typer(patterns_app, name="patterns")

# Global options that take no value, and those that take one; `hoist` lets them stand behind the command too.
FLAGS = {"--json", "-q", "--quiet", "-v", "--verbose", "--no-input", "--debug", "--version", "--allow-remote"}
VALUED = {"--project", "--color"}


@dataclass
class Globals:
    """The global options of this call."""

    project: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_input: bool = False
    color: str = "auto"
    debug: bool = False
    allow_remote: bool = False
    command: str = "devenv"
    again: str = "devenv"


chosen = Globals()


def print_version(wanted: bool) -> None:
    """Print the version and leave, if wanted."""
    if wanted:
        typer.echo(f"devenv {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    project: Annotated[
        Path | None, typer.Option(help="The project's folder. Default: the nearest with a devenv.toml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More detail.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; a question counts as no.")] = False,
    color: Annotated[str, typer.Option(help="auto, always or never. NO_COLOR counts too.")] = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Read stores that are not on this machine, and the AWS account.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Start Postgres and DynamoDB Local, load them in order, and compare the two."""
    if color not in ("auto", "always", "never"):
        raise typer.BadParameter(f"{color!r} is not one of auto, always, never", param_hint="--color")
    chosen.project, chosen.json, chosen.quiet, chosen.verbose = project, as_json, quiet, verbose
    chosen.no_input, chosen.color, chosen.debug, chosen.allow_remote = no_input, color, debug, allow_remote


def hoist(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Global options, wherever they stand before `--` (or before what `run` runs), and the other words."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(words)
    for word in pending:
        if word == "--" or (rest[:1] == ["run"] and not word.startswith("-")):
            rest += [word, *pending]
        elif word in FLAGS or word.split("=")[0] in VALUED:
            front.append(word)
            if word in VALUED:
                front += [value for value in [next(pending, None)] if value is not None]
        else:
            rest.append(word)
    return front, rest


def show(report: Report) -> None:
    """Print a report in the chosen form and leave with its exit code."""
    from devenv.render.report import show_report

    show_report(report, as_json=chosen.json, color=chosen.color, verbose=chosen.verbose)
    raise typer.Exit(report.exit_code)


def stack(engine: str | None = None, *, reads: bool = True) -> Stack:
    """The project, opened for reading. `reads`: its stores too, which need not be on this machine."""
    from devenv.stack import Asked, open_stack

    opened = open_stack(chosen.project, asked=Asked(engine))
    if reads:
        opened.engine.admit(chosen.allow_remote, lambda text: typer.echo(text, err=True))
    return opened


def watching() -> Any:
    """A context manager that gives the watch for this call: live lines, plain lines, or none."""
    from devenv.render.progress import open_watch

    return open_watch(quiet=chosen.quiet, color=chosen.color)


def agreed(question: str, yes: bool, hint: str = "add -y to agree") -> None:
    """Ask before something is lost. UsageError when the answer is not yes, or nobody can be asked."""
    if yes:
        return
    if chosen.no_input or chosen.json or not sys.stdin.isatty():
        raise UsageError(question, detail="nobody can be asked here, so nothing was done", hint=hint)
    if not typer.confirm(question, err=True):
        raise UsageError("not done: you did not agree")


def check_seconds(value: float) -> float:
    """A number of seconds; BadParameter for `nan`, which no comparison stops."""
    if value != value:
        raise typer.BadParameter("nan is not a number of seconds")
    return value


Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, callback=check_seconds, help="Seconds to wait for locks and services.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Agree to what would be asked.")]
StepName = Annotated[str | None, typer.Option(metavar="STEP")]
EngineOption = Annotated[
    str | None, typer.Option("--engine", metavar="NAME", help="embedded, docker or external. Default: the last one.")
]


@app.command()
def up(
    timeout: Timeout = 120.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan with its reasons; do nothing.")] = False,
    force: Annotated[str | None, typer.Option(metavar="STEP", help="Run STEP and the later ones even if done.")] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Skip the steps before STEP; run it and the later ones."),
    ] = None,
    engine: EngineOption = None,
    no_backend: Annotated[bool, typer.Option("--no-backend", help="Only the stores.")] = False,
    strict_ports: Annotated[bool, typer.Option("--strict-ports", help="Fail when a port is taken.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Print what took how long.")] = False,
    mark: Annotated[
        bool, typer.Option("--mark", help="Engine external: agree that devenv writes to these stores from now on.")
    ] = False,
    tap: Annotated[
        bool | None,
        typer.Option("--tap/--no-tap", help="Record the application's calls to both stores (devenv requests)."),
    ] = None,
) -> None:
    """Start the services, wait until each answers, run the steps that are not done."""
    from devenv.lifecycle import up as work
    from devenv.lifecycle.plan import Options
    from devenv.lifecycle.start import Clock
    from devenv.stack import Asked, open_locked

    for name in (force, first):
        check_step(name)
    clock = Clock()
    with watching() as watch:

        def agree(question: str) -> None:
            watch.close()
            agreed(question, mark, "devenv up --engine external --mark")

        options = Options(timeout, dry_run, force, first, not no_backend, strict_ports, agree, tap)
        if dry_run:
            report = work.up(stack(engine), options, watch, clock)
        else:
            with open_locked(chosen.project, timeout, watch.say, asked=Asked(engine)) as opened:
                report = work.up(opened, options, watch, clock)
    show(with_view(report, timings=timings))


def with_view(report: Report, **view: Any) -> Report:
    """The report with hints for the text form; the JSON form leaves them out."""
    from dataclasses import replace

    return replace(report, view=view)


def check_step(name: str | None) -> None:
    """UsageError unless `name` is a step or None."""
    from devenv.lifecycle.plan import ORDER

    if name is not None and name not in ORDER:
        raise UsageError(f"there is no step `{name}`", hint=f"one of: {', '.join(ORDER)}")


@app.command()
def down(
    data: Annotated[bool, typer.Option("--data", help="Delete the data too.")] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="With --data: keep no copy.")] = False,
    yes: Yes = False,
    timeout: Timeout = 120.0,
    everything: Annotated[bool, typer.Option("--all", help="All projects of this user, deleted ones too.")] = False,
    engine: EngineOption = None,
) -> None:
    """Stop what `up` started. Data stays, unless --data."""
    from devenv.config.schema import load_for_stopping
    from devenv.lifecycle import down as work
    from devenv.stack import Asked, open_locked

    if data:
        keeps = "for good, without a copy" if no_backup else "(a copy is kept)"
        whose = "of ALL projects of this user" if everything else "of this project"
        agreed(f"Delete all data {whose} in both stores {keeps}?", yes)
    if everything:
        from devenv.lifecycle.projects import down_all

        with watching() as watch:
            report = down_all(data, not no_backup, timeout, watch)
        show(report)
    asked = Asked(engine, stopping=True)
    with watching() as watch, open_locked(chosen.project, timeout, watch.say, load_for_stopping, asked) as opened:
        report = work.down(opened, data, not no_backup, watch)
    show(report)


@app.command()
def status(engine: EngineOption = None) -> None:
    """Services, ports, pids, versions and steps."""
    from devenv.lifecycle.status import status as look

    show(look(stack(engine)))


@app.command()
def ps() -> None:
    """All projects of this user: what runs, where, and what is left of deleted folders."""
    from devenv.lifecycle.projects import show_all

    show(show_all())


@app.command()
def env(
    form: Annotated[str, typer.Option("--format", help="shell, dotenv, json, fish or powershell.")] = "shell",
    token: Annotated[str | None, typer.Option(metavar="HANDLE", help="Print a bearer token of this person.")] = None,
) -> None:
    """Print the connection settings for a shell: eval "$(devenv env)"."""
    from devenv.config.environment import FORMATS, format_environment
    from devenv.lifecycle.tap import visitor_environment

    if form not in FORMATS:
        raise UsageError(f"there is no format `{form}`", hint=f"one of: {', '.join(FORMATS)}")
    opened = stack(reads=False)
    if any(service.state != "running" for service in opened.engine.look()):
        typer.echo("note: not all services run; start them with: devenv up", err=True)
    opened.engine.keep_secrets()
    values = visitor_environment(opened)
    if token is not None:
        from devenv.query.queries import require_running
        from devenv.trace.tokens import token_of

        require_running(opened, "postgres")
        environ = {**values, **opened.engine.backend_variables()}
        made = token_of(opened.settings, opened.engine.targets().postgres, environ, token)
        if chosen.json:
            show(Report("env", opened.settings.project.name, Exit.DONE, {"token": made}))
        typer.echo(made)
        return
    if chosen.json:
        show(Report("env", opened.settings.project.name, Exit.DONE, {"env": values}))
    typer.echo(format_environment(values, form))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def run(command: Annotated[list[str], typer.Argument(metavar="-- CMD…")]) -> None:
    """Run a command with the connection settings; its exit code passes through (125: devenv itself failed)."""
    from devenv.lifecycle.tap import visitor_environment

    opened = stack(reads=False)
    opened.engine.keep_secrets()
    environment = {**opened.environ, **visitor_environment(opened)}
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - running the user's command is the job
    except FileNotFoundError:
        raise DevenvError(f"{command[0]}: no such command", exit_code=Exit.NO_COMMAND) from None
    except OSError as error:
        raise DevenvError(f"{command[0]} cannot be run", exit_code=Exit.NOT_EXECUTABLE, detail=str(error)) from None


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="postgres, dynamodb, backend or steps. Default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--tail", min=0, help="Lines of each log.")] = 50,
) -> None:
    """Print the services' logs, also after a stop."""
    from devenv.cli.logs import read_logs

    opened = stack(reads=False)
    names = (*opened.engine.services, *(["tap"] if opened.engine.log("tap").exists() else []), "steps")
    if service is not None and service not in names:
        raise UsageError(f"there is no service `{service}`", hint=f"one of: {', '.join(names)}")
    wanted = [service] if service else list(names)
    opened.engine.gather_logs(wanted)
    if chosen.json:
        from devenv.host.processes import tail

        found = {name: tail(opened.engine.log(name), lines) for name in wanted}
        show(Report("logs", opened.settings.project.name, Exit.DONE, {"logs": found}))
    with opened.engine.following_logs(wanted if follow else ()):
        for line in read_logs({name: opened.engine.log(name) for name in wanted}, lines, follow):
            typer.echo(line)


@app.command("requests")
def list_requests(
    lines: Annotated[int, typer.Option("--tail", min=1, max=10_000, help="How many requests.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """List the application's last requests, each with its calls to both stores (needs `devenv up --tap`)."""
    from devenv.query import requests as query

    opened = stack(reads=False)
    report = query.report(opened, lines)
    if not follow:
        show(report)
    if chosen.json:
        raise UsageError("--follow prints text only", hint="devenv requests --json --tail 100")
    from devenv.render.requests_text import following_text, requests_text

    for line in requests_text(report, chosen.verbose):
        typer.echo(line)
    for group in query.follow(opened):
        for line in following_text(group, chosen.verbose):
            typer.echo(line)


def from_scratch(names: Sequence[str], command: str, yes: bool, timeout: float, timings: bool = False) -> None:
    """Run steps from scratch, after asking when data that devenv did not write would go."""
    from devenv.lifecycle.plan import Options
    from devenv.lifecycle.reset import run_fresh
    from devenv.lifecycle.start import Clock
    from devenv.stack import open_locked

    clock = Clock()
    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:

        def agree(losses: Sequence[str]) -> None:
            if losses:
                watch.close()
                agreed(f"{'; '.join(losses)}. Go on and lose it? (A snapshot is kept.)", yes)

        report = run_fresh(opened, names, command, Options(timeout), watch, clock, agree)
    show(with_view(report, timings=timings))


@app.command()
def setup(yes: Yes = False, timeout: Timeout = 120.0) -> None:
    """Rebuild the Postgres database from its files. Every user gets a new uuid; the next `up` makes DynamoDB follow."""
    from_scratch(["setup"], "setup", yes, timeout)


@app.command("schema-load")
def schema_load(yes: Yes = False, timeout: Timeout = 120.0) -> None:
    """Delete and create the DynamoDB tables. Their items go; the next `up` seeds them."""
    from_scratch(["schema-load"], "schema-load", yes, timeout)


@app.command()
def seed(yes: Yes = False, timeout: Timeout = 120.0) -> None:
    """Empty the seeded DynamoDB tables and load the items again."""
    from_scratch(["seed"], "seed", yes, timeout)


@app.command()
def reset(
    yes: Yes = False,
    timeout: Timeout = 120.0,
    timings: Annotated[bool, typer.Option("--timings", help="Print what took how long.")] = False,
) -> None:
    """Freshly seeded data: the baseline that the first `up` kept, or all three steps from scratch."""
    from_scratch(["setup", "schema-load", "seed"], "reset", yes, timeout, timings)


def on_snapshot(task: Literal["save", "restore", "delete"], name: str, timeout: float) -> None:
    """One change of the snapshots, as the only devenv that changes the project."""
    from devenv.snapshots import command as work
    from devenv.stack import open_locked

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        report = work.run(opened, task, name, watch)
    show(report)


@snapshot.command("save")
def snapshot_save(name: str, timeout: Timeout = 120.0) -> None:
    """Save both stores as they are now. Postgres is away for a fifth of a second."""
    on_snapshot("save", name, timeout)


@snapshot.command("restore")
def snapshot_restore(name: str, timeout: Timeout = 120.0) -> None:
    """Bring both stores to a snapshot. What is there now is kept as an automatic snapshot."""
    on_snapshot("restore", name, timeout)


@snapshot.command("list")
def snapshot_list() -> None:
    """The snapshots of this project, oldest first."""
    from devenv.snapshots import command as work

    show(work.show_all(stack(reads=False)))


@snapshot.command("export")
def snapshot_export(name: str, file: Path) -> None:
    """Write a snapshot into one file, for another machine."""
    from devenv.snapshots.archive import export

    show(export(stack(reads=False), name, file))


@snapshot.command("import")
def snapshot_import(
    file: Path,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Another name than it was saved with.")
    ] = None,
    timeout: Timeout = 120.0,
) -> None:
    """Take a snapshot from a file that `snapshot export` wrote."""
    from devenv.snapshots.archive import take
    from devenv.stack import open_locked

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        report = take(opened, file, name, watch)
    show(report)


@snapshot.command("delete")
def snapshot_delete(name: str, timeout: Timeout = 120.0) -> None:
    """Delete a snapshot."""
    on_snapshot("delete", name, timeout)


@app.command()
def doctor(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these checks: code, name or group.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Not these checks.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the checks.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="What a check means, and how to repair.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Do the repairs that lose nothing, then check again.")] = False,
    fail_on: Annotated[Literal["warn", "fail"], typer.Option(help="What makes the exit code 1.")] = "fail",
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one redacted file for a bug report.")
    ] = None,
) -> None:
    """Check the environment, the services, the schemas, the data and the ids of both stores."""
    from devenv.doctor import runner as work

    if list_all:
        show(Report("doctor", None, Exit.DONE, {"list": work.list_checks()}))
    if explain:
        show(Report("doctor", None, Exit.DONE, {"explain": work.explain(explain)}))
    from devenv.doctor.gather import doctor_context
    from devenv.lifecycle.steps import read_inputs

    opened = stack()
    if fix:
        opened.engine.permit(None)
    inputs = read_inputs(opened)
    with watching() as watch:
        drift = work.names_group("drift", only or ())
        context = doctor_context(opened, inputs, watch, remote=chosen.allow_remote, drift=drift)
        run = work.mend if fix else work.diagnose
        report = run(context, only=only or (), skip=skip or (), fail_on=fail_on)
    if bundle:
        from devenv.doctor.bundle import make_bundle

        write_file(bundle, make_bundle(context, report))
    show(report)


@app.command()
def db(
    sql: Annotated[str | None, typer.Argument(help="A statement. Without it: a shell.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow changes.")] = False,
) -> None:
    """Ask Postgres: devenv db "select * from users". Read-only unless --write."""
    from devenv.query import queries

    opened = stack()
    if sql is None and chosen.json:
        raise UsageError("--json needs a statement: a shell prints no document", hint='devenv db --json "select 1"')
    if sql is None:
        queries.open_shell(opened, write)
    show(queries.run_sql(opened, sql or "", write))


@ddb.command("list-tables")
def list_tables() -> None:
    """The tables, with keys, indexes and item counts."""
    from devenv.query import queries

    show(queries.list_tables(stack()))


@ddb.command()
def scan(
    table: str,
    limit: Annotated[int, typer.Option(min=1, help="Items to show at most.")] = 100,
) -> None:
    """The items of a table."""
    from devenv.query import queries

    show(queries.scan(stack(), table, limit))


@ddb.command("sql")
def partiql(
    statement: str,
    write: Annotated[bool, typer.Option("--write", help="Allow changes.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Items to show at most.")] = 100,
    scan: Annotated[bool, typer.Option("--scan", help="Allow it to read a whole table.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it amounts to.")] = False,
) -> None:
    """Run a PartiQL statement, and tell what it amounts to. Read-only unless --write, no Scan unless --scan."""
    from devenv.query import queries

    show(queries.run_partiql(stack(), statement, write, limit, scan, dry_run))


@config_app.command("show")
def config_show() -> None:
    """Every effective setting and where it comes from."""
    from devenv.cli import settings_report
    from devenv.config import schema as config

    show(settings_report.show_settings(config.load(chosen.project)))


@config_app.command("check")
def config_check() -> None:
    """Check devenv.toml and the files it names."""
    from devenv.cli import settings_report
    from devenv.config import schema as config

    show(settings_report.check_settings(config.load(chosen.project)))


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of devenv.toml, for editors."""
    import json

    from devenv.config.schema import schema

    if chosen.json:
        show(Report("config", None, Exit.DONE, {"json_schema": schema()}))
    typer.echo(json.dumps(schema(), indent=2))


@app.command()
def trace(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="What devenv.toml declares as [trace.SUBJECT].")],
    values: Annotated[list[str] | None, typer.Argument(metavar="VALUE…", help="Its parameters: an id, mostly.")] = None,
    user: Annotated[str | None, typer.Option(metavar="HANDLE", help="Who asks. Default: its first member.")] = None,
    step: Annotated[bool, typer.Option("--step", help="Walk through the layers, with a pause at each.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page to look at, or to send.")] = None,
    otlp: Annotated[Path | None, typer.Option(metavar="FILE", help="Write OTLP/JSON, for Jaeger and the like.")] = None,
    show_payloads: Annotated[
        bool, typer.Option("--show-payloads", help="Show people's own words, in files too.")
    ] = False,
) -> None:
    """Follow one request through all layers, and name the first that breaks."""
    from devenv.trace.run import trace as work

    if step and chosen.json:
        raise UsageError("--step and --json exclude each other", hint="leave one of them out")
    if step:
        from devenv.render.trace_step import check_terminal, walk

        check_terminal()

    def ask() -> Report:
        return work(stack(), subject, tuple(values or ()), user, payloads=show_payloads)

    report = ask()
    if step:
        from devenv.render.report import use_color

        report = walk(report, ask, color=use_color(chosen.color, sys.stdout))
    if html:
        from devenv.render.trace_html import write_html

        write_file(html, write_html(report))
    if otlp:
        from devenv.render.trace_otlp import write_otlp

        write_file(otlp, write_otlp(report))
    if step:
        raise typer.Exit(report.exit_code)
    show(report)


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and say so. UsageError when it cannot be written."""
    from devenv.host.state import write_out

    write_out(path, text)
    typer.echo(f"written: {path}", err=True)


def verify_context(opened: Stack) -> Context:
    """What `verify` and `repair` compare."""
    from devenv.engines.base import STORES
    from devenv.lifecycle.steps import read_inputs
    from devenv.query.queries import require_running
    from devenv.verify.compare import Context

    def ready() -> None:
        for name in STORES:
            require_running(opened, name)

    definitions = read_inputs(opened)["schema-load"].content or ()
    tables = {definition.table: definition.request for definition in definitions}
    return Context(opened.settings, opened.engine.targets(), opened.folder, tables, ready)


@app.command()
def verify(
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a repair plan.")] = None,
    findings: Annotated[Path | None, typer.Option(metavar="FILE", help="Where all findings go, as JSON lines.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
    segments: Annotated[int | None, typer.Option(min=1, help="Segments per table. Default: by its size.")] = None,
    max_items: Annotated[int | None, typer.Option(min=1, help="Read no more; then nothing is proven.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Do not resume a killed comparison.")] = False,
    sdk: Annotated[bool, typer.Option("--sdk", help="Read through the AWS SDK (slower).")] = False,
) -> None:
    """Compare every id of both stores, and prove it."""
    from devenv.verify import compare as work

    options = work.Options(plan, findings, workers, segments, max_items, restart, "sdk" if sdk else "raw")
    opened = stack()
    with watching() as watch:
        report = work.verify(verify_context(opened), options, watch)
    show(report)


@repair_app.command("apply")
def repair_apply(
    plan: Annotated[Path, typer.Argument(metavar="FILE")],
    allow_loss: Annotated[bool, typer.Option("--allow-loss", help="Delete orphans too.")] = False,
    timeout: Timeout = 120.0,
) -> None:
    """Carry out a repair plan, item by item, each only if it is still as planned; then compare again."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import apply_plan

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        opened.engine.permit(None)
        report = apply_plan(verify_context(opened), plan, watch, allow_loss=allow_loss)
    show(report)


@repair_app.command("undo")
def repair_undo(plan: Annotated[Path, typer.Argument(metavar="FILE")], timeout: Timeout = 120.0) -> None:
    """Put everything back that applying this plan changed."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import undo_plan

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        opened.engine.permit(None)
        report = undo_plan(verify_context(opened), plan, watch)
    show(report)


@app.command("init")
def start_project() -> None:
    """Write a commented devenv.toml: an example in an empty folder, fitted to what it finds in a project's."""
    from devenv.init.command import init

    show(init((chosen.project or Path.cwd()).resolve()))


@app.command("help")
def show_help(
    topic: Annotated[str | None, typer.Argument(metavar="[PAGE]", help="A page. Default: list the pages.")] = None,
) -> None:
    """Show a help page: devenv help traces. Without a page: list them."""
    from devenv.help.pages import help_report

    show(help_report(topic))


@app.command()
def policy(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="deny-deletion, organisation, endpoint, trail, roles (or one of: application, compute-trust, person,"
            " person-trust, boundary). Default: all.",
        ),
    ] = None,
    table: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Default: the declared ones.")] = None,
    region: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Default: [safety] regions.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="The AWS account, 12 digits.")] = None,
    admin: Annotated[list[str] | None, typer.Option(metavar="ARN", help="A role that the denials leave alone.")] = None,
    writes: Annotated[bool, typer.Option("--writes", help="The application writes items too.")] = False,
    lock: Annotated[bool, typer.Option("--lock", help="Deny also what undoes protection: UpdateTable, …")] = False,
    compute: Annotated[
        Literal["ecs-tasks", "lambda", "ec2"], typer.Option(help="What the application runs on, for its role.")
    ] = "ecs-tasks",
    pool: Annotated[
        str | None, typer.Option(metavar="ID", help="The Cognito identity pool that people sign in at.")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json: the documents alone.")] = "text",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A file; a folder for several policies.")] = None,
    yes: Yes = False,
) -> None:
    """Write AWS policies for the tables: no deletion, regions, roles, the VPC endpoint, CloudTrail."""
    from dataclasses import replace

    from devenv.config import schema as config
    from devenv.policy import registry as work
    from devenv.policy.documents import as_text
    from devenv.policy.wish import Wish

    loaded = config.load(chosen.project)
    regions = region or (loaded.settings.safety.regions if loaded.settings.safety else [])
    tables = tuple(table) if table else work.declared_tables(loaded)
    account = account or (loaded.settings.safety.account if loaded.settings.safety else None)
    wish = Wish(tables, tuple(regions), account, tuple(admin or ()), writes, lock, compute, pool)
    report = work.make_report(loaded, wish, name)
    if out is not None:
        files = work.files_of(report, name, out)
        if there := [str(path) for path in files if path.exists()]:
            agreed(f"Overwrite {', '.join(there)}?", yes)
        work.write_files(files)
        report = replace(report, body={**report.body, "written": list(map(str, files))})
    elif form == "json" and not chosen.json:
        documents = {each["name"]: each["document"] for each in report.body["policies"]}
        typer.echo(as_text(documents[name] if name and work.is_single(name) else documents), nl=False)
        raise typer.Exit
    show(report)


@patterns_app.command("list")
def patterns_list() -> None:
    """The declared patterns. No store is asked."""
    from devenv.patterns import command

    show(command.list_patterns(stack(reads=False)))


@patterns_app.command("run")
def patterns_run(
    name: str,
    param: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A parameter. Default: from the data.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Items to show at most.")] = 20,
) -> None:
    """Execute one pattern, and its script if it has one: items, pages, read units, cost, PartiQL."""
    from devenv.patterns import command

    show(command.run_pattern(stack(), name, param or (), limit))


@patterns_app.command("check")
def patterns_check(
    scripts: Annotated[bool, typer.Option("--scripts", help="Run the patterns' scripts, and compare.")] = False,
    rules: Annotated[bool, typer.Option("--list", help="Print the rules.")] = False,
) -> None:
    """Run all patterns, and judge them, their keys, their indexes and the data."""
    from devenv.patterns import command

    show(command.list_rules(stack(reads=False)) if rules else command.check_patterns(stack(), scripts))


@patterns_app.command("explain")
def patterns_explain(name: str) -> None:
    """Why a pattern is a Query, a GetItem or a Scan, and what it reads, in two paragraphs."""
    from devenv.patterns import command

    show(command.explain_pattern(stack(), name))


@patterns_app.command("matrix")
def patterns_matrix(
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as one page.")] = None,
) -> None:
    """Entities, patterns and keys against each other; one table against one per entity."""
    from devenv.patterns import command

    report = command.show_matrix(stack())
    if html:
        from devenv.render.patterns_html import write_html

        write_file(html, write_html(report))
    show(report)


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived: unwind like Ctrl-C, leave with 143."""


def terminate(number: int, frame: FrameType | None) -> None:
    """Signal handler for SIGTERM and SIGHUP."""
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `devenv` command."""
    front, rest = hoist(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, terminate)
    # A closed terminal. Under nohup it is ignored, and Windows has none.
    if (hangup := getattr(signal, "SIGHUP", None)) and signal.getsignal(hangup) is signal.SIG_DFL:
        signal.signal(hangup, terminate)
    # Importing makes many objects and no garbage: collecting meanwhile takes a twentieth of a short command.
    gc.set_threshold(200_000)
    for stream in (sys.stdout, sys.stderr):
        # A terminal in an old encoding gets escapes for what it lacks, not a crash.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    chosen.command = next((word for word in rest if not word.startswith("-")), "devenv")
    chosen.again = command_words(rest)
    chosen.json, chosen.debug = "--json" in front, "--debug" in front
    # Building the parsers of all commands takes as long as a query; an unknown word needs them, for the suggestion.
    if one := [command for command in app.registered_commands if named(command) == chosen.command]:
        app.registered_commands, app.registered_groups = one, []
    sys.exit(guarded(lambda: app([*front, *rest], prog_name="devenv", standalone_mode=False)))


def entry() -> NoReturn:
    """The `devenv` command: `main`, then leave at once.

    Taking the interpreter down, object by object, takes a seventh of a short command and does nothing for it: files
    are closed, locks released and threads joined by then (mypy leaves in the same way).
    """
    code = int(Exit.DONE)
    # A shell may close them (`>&-`); Python then has None in their place, and every print would fail.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    try:
        main()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else Exit.FOUND
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def named(command: CommandInfo) -> str:
    """The word that calls a command."""
    return command.name or (command.callback.__name__ if command.callback else "")


def guarded(call: Callable[[], Any]) -> int:
    """Call, and turn what it raises into a rendered report. Returns the exit code."""
    failed = Exit.RUN_FAILED if chosen.command == "run" else None
    try:
        code = int(call() or 0)
        # Typer turns a Ctrl-C into this code and says nothing.
        return code if code != Exit.INTERRUPTED else refuse(interrupted())
    except DevenvError as error:
        if isinstance(error, StoreError) and not error.reached:
            error.with_hint("devenv doctor")
        if chosen.debug:
            raise
        code = failed if failed and error.exit_code not in (Exit.NOT_EXECUTABLE, Exit.NO_COMMAND) else error.exit_code
        return refuse(Report(chosen.command, None, code, error=error.failure))
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return refuse(interrupted())
    except Terminated:
        return refuse(Report(chosen.command, None, Exit.TERMINATED, error=stopped("terminated")))
    except BrokenPipeError:
        # The reader (`head`, `less`) has gone; Python's own attempt to flush at the end would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        return Exit.USAGE
    except ClickException as error:
        return refuse(Report(chosen.command, None, failed or Exit.USAGE, error=failure(error.format_message())))
    except Exception as error:
        if chosen.debug:
            raise
        return refuse(Report(chosen.command, None, failed or Exit.FOUND, error=unforeseen(error)))


def unforeseen(error: Exception) -> Failure:
    """The failure for what nothing below has understood: a disk without room, or a fault of devenv."""
    import shutil

    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    if isinstance(error, OSError) and error.errno in full:
        return Failure(f"{error.filename or 'a file'} cannot be written", detail=str(error), hint=MAKE_ROOM)
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # A copied folder's error has no number, but a line for each file.
        for _, target, why in error.args[0]:
            if any(f"[Errno {number}]" in why for number in full):
                return Failure(f"{target} cannot be written", detail=why, hint=MAKE_ROOM)
    what = f"devenv itself failed: {type(error).__name__}: {error}"
    return Failure(what, hint="run it again with --debug, and report what it prints")


def interrupted() -> Report:
    """The report of a command that Ctrl-C ended."""
    return Report(chosen.command, None, Exit.INTERRUPTED, error=stopped("interrupted"))


def stopped(what: str) -> Failure:
    """The failure of a command that a signal ended, with the one that goes on."""
    if chosen.command in ("up", "setup", "schema-load", "seed", "reset"):
        return Failure(what, hint="devenv up  (goes on where it was)")
    return Failure(what, hint="devenv logs --follow" if chosen.command == "logs" else f"again: {chosen.again}")


def command_words(words: Sequence[str]) -> str:
    """What was typed, up to the command's name: a statement behind it may have somebody's password in it."""
    groups = {group.name for group in app.registered_groups}
    names = [word for word in words if not word.startswith("-")]
    called = names[: 2 if names[:1] and names[0] in groups else 1]
    return " ".join(["devenv", *called, *(["…"] if len(words) > len(called) else [])])


def failure(what: str) -> Failure:
    """A failure with a hint to the help of the command, if there is such a command."""
    known = {*map(named, app.registered_commands), *(group.name for group in app.registered_groups)}
    return Failure(what, hint=f"devenv {chosen.command} --help" if chosen.command in known else "devenv --help")


def refuse(report: Report) -> int:
    """Print a failed report; its exit code."""
    from devenv.render.report import show_report

    show_report(report, as_json=chosen.json, color=chosen.color, verbose=chosen.verbose)
    return report.exit_code
