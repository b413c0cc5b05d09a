"""Commands for single services: `stop`, `restart`, `exec`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from devenv.cli.options import chosen, show, stack, watching
from devenv.cli.trust import agreed_stack, consent
from devenv.core.errors import DevenvError, Exit, UsageError

Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Services that `devenv status` lists.")]


def stop(names: Names) -> None:
    """Stop single services; their data is kept, and the others keep running."""
    from devenv.config.load import load_for_stopping
    from devenv.lifecycle.single import stop as work
    from devenv.stack import EngineChoice, open_locked

    choice = EngineChoice(stopping=True)
    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say, load_for_stopping, choice) as opened:
        report = work(opened, names, watch)
    show(report)


def restart(
    names: Names,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Also retry the records that a stream worker's function could not process."),
    ] = False,
) -> None:
    """Restart single services; also start the services that they need."""
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.single import restart as work
    from devenv.lifecycle.start import Clock
    from devenv.stack import open_locked

    clock = Clock()
    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened, "steps", "services")
        report = work(opened, names, UpOptions(chosen.limit, clock=True), watch, clock, refused=refused)
    show(report)


def execute(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A service that `devenv status` lists.")],
    command: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command and its arguments.")],
) -> None:
    """Run a command in a service's folder, with the service's variables and interpreter."""
    from devenv.engines.own import execution
    from devenv.lifecycle.names import check_names

    opened = stack(reads=False)
    check_names(opened.engine, [name])
    consent(opened.loaded, "services")
    opened.engine.keep_secrets()
    folder, environment = execution(opened.engine, name, opened.environment())
    if not folder.is_dir():
        raise UsageError(f"{name}: there is no folder {folder}", hint="devenv config show")
    # What stands behind the name is not parsed, the `--` before it neither.
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise UsageError("exec needs a command", hint=f"devenv exec {name} -- CMD")
    sys.stdout.flush()
    os.chdir(folder)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - running the user's command is the job
    except FileNotFoundError:
        raise DevenvError(f"{command[0]}: no such command", exit_code=Exit.NO_COMMAND) from None
    except OSError as error:
        raise DevenvError(f"{command[0]} cannot be run", exit_code=Exit.NOT_EXECUTABLE, detail=str(error)) from None
