"""Commands about the project itself: `init`, `config`, `policy`, `help`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from devenv.cli.options import Yes, agreed, chosen, show, stack
from devenv.cli.trust import trust_written
from devenv.core.errors import Exit
from devenv.core.model import Report


def config_show() -> None:
    """Print every effective setting and its origin."""
    from devenv.cli import settings_report
    from devenv.config.load import load

    show(settings_report.show_settings(load(chosen.project)))


def config_check(
    live: Annotated[
        bool,
        typer.Option("--live", help="Also check that the tables and columns named in devenv.toml exist in the stores."),
    ] = False,
) -> None:
    """Validate devenv.toml and the files it names; list all mistakes, each with its line."""
    from devenv.cli import settings_report
    from devenv.config.load import load

    if live:
        show(settings_report.check_live(stack()))
    show(settings_report.check_settings(load(chosen.project)))


def config_schema() -> None:
    """Print the JSON Schema of devenv.toml, for editors."""
    import json

    from devenv.config.parse import schema

    if chosen.json:
        show(Report("config", None, Exit.DONE, {"json_schema": schema()}))
    typer.echo(json.dumps(schema(), indent=2))


def start_project(
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also accept likely guesses; less certain ones stay comments.")
    ] = False,
) -> None:
    """Write a commented devenv.toml: for the project in this folder, or an example project if the folder is empty.

    On a terminal, `init` asks about uncertain parts.
    """
    from devenv.cli.guesses import choose_likely, prompt
    from devenv.init.command import init

    asks = not (chosen.no_input or chosen.json) and sys.stdin.isatty() and sys.stderr.isatty()
    report = init((chosen.project or Path.cwd()).resolve(), choose_likely if yes else prompt if asks else None)
    trust_written((chosen.project or Path.cwd()).resolve())
    show(report)


def show_help(
    topic: Annotated[str | None, typer.Argument(metavar="[PAGE]", help="A page. Default: list the pages.")] = None,
) -> None:
    """Show a help page, or list the pages."""
    from devenv.help.pages import help_report

    show(help_report(topic))


def policy(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="deny-deletion, organisation, endpoint, trail, roles (or one of: application, compute-trust, person,"
            " person-trust, boundary). Default: all.",
        ),
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A table to protect. Default: the declared ones.")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An allowed region. Default: [safety] regions.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="The AWS account, 12 digits.")] = None,
    admin: Annotated[
        list[str] | None, typer.Option(metavar="ARN", help="A role that is exempt from the denials.")
    ] = None,
    writes: Annotated[bool, typer.Option("--writes", help="Also allow the application to write items.")] = False,
    lock: Annotated[
        bool, typer.Option("--lock", help="Also deny the actions that remove protection, such as UpdateTable.")
    ] = False,
    compute: Annotated[
        Literal["ecs-tasks", "lambda", "ec2"],
        typer.Option(
            metavar="ecs-tasks|lambda|ec2",
            help="The AWS service that runs the application: only it may take on the application's role.",
        ),
    ] = "ecs-tasks",
    pool: Annotated[
        str | None, typer.Option(metavar="ID", help="The Cognito identity pool that people sign in with.")
    ] = None,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", metavar="text|json", help="json prints the documents alone.")
    ] = "text",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file (to this folder for several policies).")
    ] = None,
    yes: Yes = False,
) -> None:
    """Write AWS policies for the tables: no deletion, regions, roles, the VPC endpoint, CloudTrail."""
    from dataclasses import replace

    from devenv.config.load import load
    from devenv.policy import registry as work
    from devenv.policy.documents import as_text
    from devenv.policy.wish import Wish

    loaded = load(chosen.project)
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
