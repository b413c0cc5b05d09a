"""Commands that run things: `up`, `down`, `status`, `ps`, `env`, `run`, `requests`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devenv.cli.options import EngineOption, RunningEngineOption, Yes, agreed, chosen, show, stack, watching, with_view
from devenv.cli.trust import agreed_stack, consent
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report

if TYPE_CHECKING:
    from devenv.engines.base import Engine


def up(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Only these services, with what they need.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with its reasons; change nothing.")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Run STEP and all later steps again, and earlier steps that are not done."),
    ] = None,
    restore_seeds: Annotated[
        bool,
        typer.Option("--restore-seeds", help="Bring back rows and items that were deleted after they were loaded."),
    ] = False,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Run STEP and all later steps again; skip the earlier steps."),
    ] = None,
    engine: EngineOption = None,
    no_backend: Annotated[bool, typer.Option("--no-backend", help="Start the stores only.")] = False,
    strict_ports: Annotated[
        bool, typer.Option("--strict-ports", help="Fail if a port is taken; do not use another free port.")
    ] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Print how long each part took.")] = False,
    mark: Annotated[
        bool, typer.Option("--mark", help="Engine external: allow devenv to write to these stores from now on.")
    ] = False,
    tap: Annotated[
        bool | None,
        typer.Option("--tap/--no-tap", help="Record the application's calls to both stores (see `devenv requests`)."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui", help="Also open the live page (see `devenv ui`).")] = False,
    prepare: Annotated[
        bool | None,
        typer.Option(
            "--prepare/--no-prepare",
            help="Install what the lock file lists, if there is no environment yet or the file changed. Default: ask.",
        ),
    ] = None,
) -> None:
    """Start the services, wait until each responds, run the steps that are not done."""
    from devenv.lifecycle import up as work
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.start import Clock
    from devenv.stack import EngineChoice, open_locked

    for name in (force, first):
        check_step(name)
    if names and (no_backend or force or first):
        raise UsageError(
            "--no-backend, --force and --from are for all services, not for named ones", hint=f"devenv up {names[0]}"
        )
    clock = Clock()
    with watching() as watch:

        def agree(question: str) -> None:
            watch.close()
            agreed(question, mark, "devenv up --engine external --mark")

        options = UpOptions(
            chosen.limit,
            dry_run,
            force,
            first,
            not no_backend,
            strict_ports,
            agree,
            tap,
            restore_seeds,
            tuple(names or ()),
            True,
            prepare,
            None if chosen.no_input or chosen.json or not sys.stdin.isatty() else confirmed,
        )
        if dry_run:
            report = work.up(stack(engine), options, watch, clock)
        else:
            with open_locked(chosen.project, chosen.limit, watch.say, asked=EngineChoice(engine)) as opened:
                opened = agreed_stack(opened, "steps", *(() if no_backend else ("services",)))
                report = work.up(opened, options, watch, clock)
                if ui:
                    from devenv.cli.page import open_beside

                    open_beside(opened.engine)
    show(with_view(report, timings=timings))


def confirmed(what: str, commands: Sequence[str]) -> bool:
    """Show what would be installed, and how; return the answer."""
    from devenv.cli.asking import confirm
    from devenv.config.masking import mask_text
    from devenv.render.cells import clean

    lines = [what, *(f"  {command}" for command in commands)]
    typer.echo("\n".join(clean(mask_text(line)) for line in lines), err=True)
    return confirm("Run this now? devenv asks again if the file changes.")


def check_step(name: str | None) -> None:
    """UsageError unless `name` is a step or None."""
    from devenv.lifecycle.plan import ORDER

    if name is not None and name not in ORDER:
        raise UsageError(f"there is no step `{name}`", hint=f"one of: {', '.join(ORDER)}")


def down(
    data: Annotated[bool, typer.Option("--data", help="Delete the data too.")] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="With --data: keep no snapshot of the data.")] = False,
    yes: Yes = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Act on all projects of this user, including those whose folder was deleted.")
    ] = False,
    engine: RunningEngineOption = None,
) -> None:
    """Stop what `up` started; the data is kept unless you pass --data."""
    from devenv.config.load import load_for_stopping
    from devenv.lifecycle import down as work
    from devenv.stack import EngineChoice, open_locked

    if data:
        keeps = "without a backup" if no_backup else "(a backup is kept)"
        whose = "of ALL projects of this user" if everything else "of this project"
        if everything:
            from devenv.lifecycle.projects import what_goes

            for line in what_goes():
                typer.echo(line, err=True)
        agreed(f"Delete all data {whose} in both stores {keeps}?", yes)
    if everything:
        from devenv.lifecycle.projects import down_all

        with watching() as watch:
            report = down_all(data, not no_backup, chosen.limit, watch)
        show(report)
    asked = EngineChoice(engine, stopping=True)
    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say, load_for_stopping, asked) as opened:
        report = work.down(opened, data, not no_backup, watch)
    show(report)


def status(engine: EngineOption = None) -> None:
    """Show the services with ports, pids and versions, and the steps."""
    from devenv.lifecycle.status import status as look

    show(look(stack(engine)))


def ps(
    forget: Annotated[
        bool, typer.Option("--forget", help="Permanently delete the data of projects whose folder was deleted.")
    ] = False,
    yes: Yes = False,
) -> None:
    """List all projects of this user: what runs where, the size of the data, and the data of deleted folders."""
    from devenv.config.load import cache_folder
    from devenv.lifecycle.projects import describe, find_deleted, forget_deleted, show_all

    if not forget:
        show(show_all())
    gone = find_deleted(cache_folder())
    if gone:
        from devenv.core.plural import number_of, size_words

        size = size_words(sum(int(str(describe(each)["bytes"])) for each in gone))
        places = ", ".join(each.root for each in gone)
        agreed(f"Delete the data of {number_of(len(gone), 'deleted folder')} ({size}) for good: {places}?", yes)
    show(forget_deleted(cache_folder(), gone))


def env(
    form: Annotated[
        str, typer.Option("--format", metavar="shell|dotenv|json|fish|powershell", help="The syntax to print.")
    ] = "shell",
    token: Annotated[str | None, typer.Option(metavar="HANDLE", help="Print a bearer token for this user.")] = None,
) -> None:
    """Print the connection settings for a shell: eval "$(devenv env)"."""
    from devenv.config.environment import FORMATS, format_environment
    from devenv.lifecycle.tap import visitor_environment

    if form not in FORMATS:
        raise UsageError(f"there is no format `{form}`", hint=f"one of: {', '.join(FORMATS)}")
    opened = stack(reads=False)
    if not point_away(opened.engine):
        typer.echo("note: not all services are running; start them with `devenv up`", err=True)
    opened.engine.keep_secrets()
    values = visitor_environment(opened)
    if token is not None:
        from devenv.trace.tokens import token_of

        consent(opened.loaded, "token")
        opened.postgres()
        declared = opened.settings.token
        # A command of the project gets the shell's variables, too; the key of a JWT is only looked for in [env].
        shell = opened.environ if declared and declared.command else {}
        environ = {**shell, **values, **opened.engine.backend_variables()}
        made = token_of(opened.settings, opened.engine.targets(), opened.root, environ, token)
        if chosen.json:
            show(Report("env", opened.settings.project.name, Exit.DONE, {"token": made}))
        typer.echo(made)
        return
    if chosen.json:
        show(Report("env", opened.settings.project.name, Exit.DONE, {"env": values}))
    lines = format_environment(values, form)
    if sys.stdout.isatty():
        from devenv.render.cells import clean

        # To be looked at; a program that reads them gets every byte as it is.
        lines = "\n".join(map(clean, lines.split("\n")))
    # Not typer's echo, which takes escapes out of what goes to a program.
    sys.stdout.write(f"{lines}\n")


def point_away(engine: Engine) -> bool:
    """Let no setting name a port at which somebody else answers: a program would write to a foreign store.

    For this command only, a stopped store gets the port that `devenv up` would give it. Returns True if all run.
    """
    from devenv.config.services import STORES
    from devenv.lifecycle.up import return_ports

    def say(sentence: str) -> None:
        typer.echo(f"note: at the next `devenv up`, {sentence}", err=True)

    seen = engine.look()
    return_ports(engine, seen, say)
    if engine.name != "external":
        stopped = tuple(each.name for each in seen if each.name in STORES and each.state in ("stopped", "crashed"))
        # A Docker that does not answer does not tell which ports its containers have.
        with suppress(DevenvError):
            for sentence in engine.assign_ports(stopped, strict=False):
                say(sentence)
    return all(service.state == "running" for service in seen)


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command and its arguments.")],
) -> None:
    """Run a command with the connection settings; its exit code passes through (125: devenv itself failed)."""
    from devenv.lifecycle.tap import visitor_environment

    opened = stack(reads=False)
    point_away(opened.engine)
    opened.engine.keep_secrets()
    environment = {**opened.environ, **visitor_environment(opened)}
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - running the user's command is the job
    except FileNotFoundError:
        raise DevenvError(f"{command[0]}: no such command", exit_code=Exit.NO_COMMAND) from None
    except OSError as error:
        raise DevenvError(f"{command[0]} cannot be run", exit_code=Exit.NOT_EXECUTABLE, detail=str(error)) from None


def list_requests(
    lines: Annotated[
        int, typer.Option("--tail", metavar="N", min=1, max=10_000, help="Print the last N requests.")
    ] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")] = False,
    otlp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write OTLP/JSON, for Jaeger and similar tools.")
    ] = None,
) -> None:
    """List the application's last requests, each with its calls to both stores (needs `devenv up --tap`)."""
    from devenv.query import requests as query

    opened = stack(reads=False)
    report = query.report(opened, lines)
    if otlp:
        from devenv.cli.options import write_file
        from devenv.render.requests_otlp import write_requests_otlp

        write_file(otlp, write_requests_otlp(report))
    if not follow:
        show(report)
    if chosen.json:
        raise UsageError("--follow prints text only", hint="devenv requests --json --tail 100")
    from devenv.config.masking import mask_text
    from devenv.render.requests_text import following_text, requests_text

    for line in requests_text(report, chosen.verbose):
        typer.echo(mask_text(line))
    for group in query.follow(opened):
        for line in following_text(group, chosen.verbose):
            typer.echo(mask_text(line))
