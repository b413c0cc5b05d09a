"""`devenv trust`, and the question that commands ask before they run a folder's own commands."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devenv.cli.options import chosen, show
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report

if TYPE_CHECKING:
    from devenv.config.commands import Runner
    from devenv.config.load import Loaded
    from devenv.stack import Stack


def consent(loaded: Loaded, *runners: Runner) -> bool:
    """Return if this folder may run what `runners` and the stores run; else ask once, and remember the answer "yes".

    True if the folder is trusted, False if there is nothing to run and it is not. `--trust` and DEVENV_TRUST=1 agree
    for this call only. UsageError without a terminal, or if the answer is no.
    """
    from devenv.lifecycle.agreement import agreed_lines, is_trusted, needs_trust

    if chosen.trust or os.environ.get("DEVENV_TRUST") == "1" or is_trusted(loaded):
        return True
    if not needs_trust(loaded, "stores", *runners):
        return False
    lines = agreed_lines(loaded)
    shown = "\n".join(lines)
    what = f"{loaded.root} is not trusted to run its own commands"
    if chosen.no_input or chosen.json or not sys.stdin.isatty():
        raise UsageError(what, detail=shown, hint="read them, then run `devenv trust` (for one call: --trust)")
    from devenv.cli.asking import confirm
    from devenv.render.cells import clean

    typer.echo(
        f"{loaded.root}\nThis folder wants to run:\n" + "\n".join(f"  {clean(line)}" for line in lines), err=True
    )
    if not confirm("Trust it? You are asked again if these commands change."):
        raise UsageError(what, detail="you did not confirm; nothing was started")
    keep(loaded.root, lines)
    return True


def keep(root: Path, lines: Sequence[str]) -> None:
    """Trust a folder from now on. DevenvError if the user's own state folder cannot hold the record."""
    from devenv.host import trust

    records = trust.trust_folder()
    try:
        trust.remember(records, root, lines)
    except OSError as error:
        raise DevenvError(
            f"your trust could not be saved in {records}",
            detail=error.strerror,
            hint="free disk space, or make that folder writable; or trust it for one call: --trust",
        ) from None


def agreed_stack(opened: Stack, *runners: Runner) -> Stack:
    """The opened project, with what `consent` says of it."""
    return replace(opened, trusted=consent(opened.loaded, *runners))


def trust_written(root: Path) -> None:
    """Trust what `devenv init` has just written: the user asked for it, and its report names the commands."""
    from devenv.config.load import load
    from devenv.host import trust
    from devenv.lifecycle.agreement import agreed_lines, can_be_trusted

    # A user's state folder that cannot be written only costs the question later.
    with contextlib.suppress(OSError, DevenvError):
        if can_be_trusted(loaded := load(root)):
            trust.remember(trust.trust_folder(), root, agreed_lines(loaded))


def trust_project(
    listing: Annotated[bool, typer.Option("--list", help="List the trusted folders.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Stop trusting this folder.")] = False,
) -> None:
    """Trust this folder to run its own commands; --list lists the trusted folders, --revoke ends the trust."""
    from devenv.config.load import load
    from devenv.config.schema import FILE
    from devenv.host import trust
    from devenv.lifecycle.agreement import agreed_lines, can_be_trusted

    records = trust.trust_folder()
    if listing:
        entries = [{"root": entry.root, "commands": list(entry.commands)} for entry in trust.read_all(records)]
        show(Report("trust", None, Exit.DONE, {"trusted": entries}))
    root = (chosen.project or Path()).absolute()
    if revoke and not (root / FILE).exists() and trust.revoke(records, root):
        # Its settings file is gone, and so may be the folder.
        show(Report("trust", None, Exit.DONE, {"root": str(root), "revoked": True}))
    loaded = load(chosen.project)
    name = loaded.settings.project.name
    if revoke:
        known = trust.revoke(records, loaded.root)
        show(Report("trust", name, Exit.DONE, {"root": str(loaded.root), "revoked": known}))
    lines = agreed_lines(loaded)
    if can_be_trusted(loaded):
        keep(loaded.root, lines)
    setup = loaded.settings.steps.setup
    sql = bool(setup.files or setup.before)
    body = {"root": str(loaded.root), "commands": list(lines), "sql": sql}
    show(Report("trust", name, Exit.DONE, body))
