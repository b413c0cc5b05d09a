"""`devenv self` and `devenv parts`: the installation, and what was fetched for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from devenv.cli.options import Yes, agreed, chosen, show, watching

if TYPE_CHECKING:
    from devenv.lifecycle.installed import Handover

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the commands; change nothing.")]
PartNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME…]", help="Parts, as `devenv parts list` names them.")
]


def self_show() -> None:
    """Show how devenv was installed, and the folders that it keeps, with their sizes."""
    from devenv.lifecycle.installed import show_installation

    show(show_installation())


def self_update(dry_run: DryRun = False) -> None:
    """Install the newest version with the program that installed this one (pipx, uv, pip)."""
    from devenv.lifecycle.installed import plan_update

    hand_over(plan_update(), dry_run)


def self_uninstall(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove devenv. Projects that this installation started are stopped first; folders that stay are listed."""
    from devenv.lifecycle.installed import plan_removal

    task = plan_removal()
    if not dry_run:
        up = task.report.body["stops"]
        also = f" and stop the running services of {', '.join(up)} (the data is kept)" if up else ""
        agreed(f"Remove devenv from {task.report.body['environment']}{also}?", yes)
        if up:
            stop_projects(up)
    hand_over(task, dry_run)


def stop_projects(roots: Sequence[str]) -> None:
    """Stop these projects. Ends the command, with what failed, unless all could be stopped."""
    from devenv.lifecycle.projects import down_all

    with watching() as watch:
        report = down_all(False, False, chosen.limit, watch, only=roots)
    if report.exit_code:
        show(report)


def hand_over(task: Handover, dry_run: bool) -> NoReturn:
    """Print the report, then become the installer: it replaces the files of this very program."""
    from devenv.render.report import show_report

    report = replace(task.report, body={**task.report.body, "dry_run": dry_run})
    show_report(report, as_json=chosen.json, color=chosen.color, verbose=chosen.verbose)
    if dry_run:
        raise typer.Exit
    sys.stdout.flush()
    # One document on stdout: what the installer says goes where progress goes.
    os.dup2(2, 1)
    os.execvp(task.command[0], list(task.command))  # noqa: S606 - the installer is the job


def parts_list() -> None:
    """List the parts that devenv fetched or made for all projects, with their sizes and whether a process uses them."""
    from devenv.config.load import cache_folder
    from devenv.engines.embedded.part_list import list_parts

    show(list_parts(cache_folder()))


def parts_verify() -> None:
    """Compare each fetched file with the checksum that was recorded when it was fetched."""
    from devenv.config.load import cache_folder
    from devenv.engines.embedded.part_list import verify_parts

    show(verify_parts(cache_folder()))


def parts_remove(
    names: PartNames = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all parts.")] = False,
    yes: Yes = False,
) -> None:
    """Delete parts; `devenv up` fetches again what it needs."""
    from devenv.config.load import cache_folder
    from devenv.engines.embedded.part_list import choose_parts, remove_parts

    parts = choose_parts(cache_folder(), names or (), everything)
    agreed(f"Delete {', '.join(part.name for part in parts) or 'nothing'}?", yes)
    show(remove_parts(cache_folder(), parts))
