"""The global options of a call, and what every command does with them: open the project, ask, show."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from devenv import __version__
from devenv.core.deadline import DEFAULT_S, deadline
from devenv.core.errors import UsageError
from devenv.core.model import Report

if TYPE_CHECKING:
    from devenv.stack import Stack


# Global options that take no value, and those that take one; `hoist` lets them stand behind the command too.
FLAGS = {
    "--json",
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "--no-input",
    "--debug",
    "--version",
    "--allow-remote",
    "--trust",
}
VALUED = {"--project", "--color", "--timeout"}
# Commands that only look at what is there: a store that is slower than this does not answer.
QUICK = ("status", "doctor", "env")
QUICK_S = 30.0


class Globals(msgspec.Struct):
    """The global options of this call."""

    project: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_input: bool = False
    color: str = "auto"
    debug: bool = False
    allow_remote: bool = False
    trust: bool = False
    reported: bool = False
    timeout: float | None = None
    command: str = "devenv"
    again: str = "devenv"

    @property
    def limit(self) -> float:
        """Seconds that may pass without progress: `--timeout`, or what suits the command."""
        return self.timeout or (QUICK_S if self.command in QUICK else DEFAULT_S)


chosen = Globals()


def print_version(wanted: bool) -> None:
    """Print the version and leave, if wanted."""
    if wanted:
        typer.echo(f"devenv {__version__}")
        raise typer.Exit


def check_seconds(value: float | None) -> float | None:
    """A number of seconds; BadParameter for `nan`, which no comparison stops."""
    if value is not None and value != value:
        raise typer.BadParameter("nan is not a number of seconds")
    return value


def global_options(
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The project's folder. Default: this folder, or the nearest one above it with a devenv.toml.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no progress, only the result; doctor prints failures only.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more detail.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help='Never prompt; answer "no" to every question.')] = False,
    color: Annotated[
        str,
        typer.Option(
            metavar="auto|always|never", help="When to color the output; the variable NO_COLOR turns color off."
        ),
    ] = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors.")] = False,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote", help="Read stores and call applications on other machines, and read the AWS account."
        ),
    ] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Let this folder run its own commands, for this call only (see `devenv trust`)."),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            callback=check_seconds,
            help="Give up after SECONDS without progress. Default: 120; status, doctor, env: 30.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Start Postgres and DynamoDB Local, load them in order, and compare the two."""
    if color not in ("auto", "always", "never"):
        raise typer.BadParameter(f"{color!r} is not one of auto, always, never", param_hint="--color")
    chosen.project, chosen.json, chosen.quiet, chosen.verbose = project, as_json, quiet, verbose
    chosen.no_input, chosen.color, chosen.debug, chosen.allow_remote = no_input, color, debug, allow_remote
    chosen.trust, chosen.timeout = trust, timeout
    deadline.begin(chosen.limit)


def hoist(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Global options, wherever they stand before `--` (or before what `run` and `exec` run), and the other words."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(words)
    for word in pending:
        behind = {"run": 1, "exec": 2}.get(rest[0] if rest else "")
        if word == "--" or (len(rest) == behind and not word.startswith("-")):
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

    chosen.reported = True
    show_report(report, as_json=chosen.json, color=chosen.color, verbose=chosen.verbose)
    raise typer.Exit(report.exit_code)


def show_rows(report: Report, form: str) -> None:
    """Print rows as asked, and leave with the report's exit code; errors and `--json` as by every command."""
    if form == "table" or chosen.json or report.error:
        show(report)
    from devenv.render.rows_export import export_rows

    # Not typer's echo, which takes escapes out of what goes to a program.
    sys.stdout.write(export_rows(report, form))
    sys.stdout.flush()
    raise typer.Exit(report.exit_code)


def stack(engine: str | None = None, *, reads: bool = True) -> Stack:
    """The project, opened for reading. `reads`: its stores too, which need not be on this machine."""
    from devenv.stack import EngineChoice, open_stack

    opened = open_stack(chosen.project, asked=EngineChoice(engine))
    if reads:
        opened.engine.admit(chosen.allow_remote, tell)
    return opened


def tell(words: str) -> None:
    """A line on stderr, without secrets, that cannot steer the terminal."""
    from devenv.config.masking import mask_text
    from devenv.render.cells import clean

    typer.echo(clean(mask_text(words)), err=True)


def watching() -> Any:
    """A context manager that gives the watch for this call: live lines, plain lines, or none."""
    from devenv.render.progress import open_watch

    return open_watch(quiet=chosen.quiet, color=chosen.color)


def agreed(question: str, yes: bool, hint: str = "pass -y to confirm") -> None:
    """Ask before something is lost. UsageError when the answer is not yes, or nobody can be asked."""
    if yes:
        return
    if chosen.no_input or chosen.json or not sys.stdin.isatty():
        raise UsageError(f"not confirmed: {question}", detail="No terminal to ask on; nothing was changed", hint=hint)
    from devenv.cli.asking import confirm
    from devenv.config.masking import mask_text
    from devenv.render.cells import clean

    if not confirm(clean(mask_text(question))):
        raise UsageError("cancelled: you did not confirm")


Yes = Annotated[bool, typer.Option("--yes", "-y", help='Answer "yes" to every question.')]
Form = Annotated[
    Literal["table", "json", "jsonl", "csv"],
    typer.Option(
        "--format", metavar="table|json|jsonl|csv", help="How to print the rows; json prints one list of all rows."
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="embedded, docker or external. Default: DEVENV_ENGINE, else [project] engine, else the engine used last.",
    ),
]
RunningEngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", help="embedded, docker or external. Default: the engine used last."),
]


def with_view(report: Report, **view: Any) -> Report:
    """The report with hints for the text form; the JSON form leaves them out."""
    from dataclasses import replace

    return replace(report, view=view)


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and say so. UsageError when it cannot be written."""
    from devenv.config.masking import hide
    from devenv.host.writing import write_out

    write_out(path, hide(text))
    tell(f"written: {path}")
