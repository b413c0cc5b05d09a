"""The commands: parse, open a stack, call one function, render its report, exit. No decisions."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, TypeVar

import typer

# Typer has no public name for "what the user typed is wrong"; its version is pinned for this too.
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.models import CommandInfo, TyperInfo

from devenv.cli import completion, data, installation, items, logs, look, options, page, project, run, services, trust
from devenv.cli.help_format import MAX_WIDTH, GroupedHelp
from devenv.cli.options import chosen, hoist
from devenv.core.deadline import deadline
from devenv.core.errors import MAKE_ROOM, DevenvError, Exit, StoreError
from devenv.core.model import Failure, Report

app = typer.Typer(
    cls=GroupedHelp,
    context_settings={"max_content_width": MAX_WIDTH},
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Start Postgres and DynamoDB Local, load them in order, and compare the two.",
    epilog="Global options can stand before or after the command. Start with: devenv up. Pages to read: devenv help.",
)
Info = TypeVar("Info", CommandInfo, TyperInfo)
# A group of commands: its word, and its line in `--help`.
GROUPS = {
    "repair": "Apply a repair plan, or undo it.",
    "patterns": "Access patterns: list, run, check, explain, matrix.",
    "ddb": "Look into DynamoDB: list-tables, scan, sql, get, query, put, delete, export, import.",
    "snapshot": "Save the state of both stores; restore it: save, restore, list, diff, prune, delete, export, import.",
    "self": "This installation of devenv: show, update, uninstall.",
    "parts": "List, verify or remove the parts that devenv fetched for all projects.",
    "config": "Print the effective settings (show), validate devenv.toml (check), print its JSON Schema (schema).",
}
# A command is a function in a file beside this one, and one line here: its word, behind that of its group, under the
# heading that `--help` lists it with (as devenv/help/commands.md does).
COMMANDS: dict[str, tuple[tuple[str, Callable[..., None]], ...]] = {
    "Run": (
        ("up", run.up),
        ("down", run.down),
        ("stop", services.stop),
        ("restart", services.restart),
        ("status", run.status),
        ("ps", run.ps),
        ("logs", logs.logs),
        ("env", run.env),
        ("run", run.run),
        ("ui", page.ui),
        ("exec", services.execute),
    ),
    "Look": (
        ("doctor", look.doctor),
        ("trace", look.trace),
        ("requests", run.list_requests),
        ("verify", look.verify),
        ("patterns list", look.patterns_list),
        ("patterns run", look.patterns_run),
        ("patterns check", look.patterns_check),
        ("patterns explain", look.patterns_explain),
        ("patterns matrix", look.patterns_matrix),
        ("db", data.db),
        ("ddb list-tables", data.list_tables),
        ("ddb scan", data.scan),
        ("ddb sql", data.partiql),
        ("ddb get", items.ddb_get),
        ("ddb query", items.ddb_query),
        ("ddb put", items.ddb_put),
        ("ddb delete", items.ddb_delete),
        ("ddb export", items.ddb_export),
        ("ddb import", items.ddb_import),
    ),
    "Data": (
        ("setup", data.setup),
        ("schema-load", data.schema_load),
        ("seed", data.seed),
        ("reset", data.reset),
        ("repair apply", look.repair_apply),
        ("repair undo", look.repair_undo),
        ("snapshot save", data.snapshot_save),
        ("snapshot restore", data.snapshot_restore),
        ("snapshot list", data.snapshot_list),
        ("snapshot export", data.snapshot_export),
        ("snapshot import", data.snapshot_import),
        ("snapshot diff", data.snapshot_diff),
        ("snapshot prune", data.snapshot_prune),
        ("snapshot delete", data.snapshot_delete),
    ),
    "Project": (
        ("init", project.start_project),
        ("config show", project.config_show),
        ("config check", project.config_check),
        ("config schema", project.config_schema),
        ("trust", trust.trust_project),
        ("policy", project.policy),
        ("completion", completion.completion),
        ("self show", installation.self_show),
        ("self update", installation.self_update),
        ("self uninstall", installation.self_uninstall),
        ("parts list", installation.parts_list),
        ("parts verify", installation.parts_verify),
        ("parts remove", installation.parts_remove),
        ("help", project.show_help),
    ),
}
# Commands that look: what they cannot look at makes the exit code 3.
LOOKING = ("doctor", "trace", "verify", "status", "ps", "patterns", "db", "ddb", "requests")
# Commands that can be ended at any moment, whatever they wait for.
BOUNDED = ("status", "env")
# What stands behind the command of `run` and `exec` is none of devenv's options.
PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def register() -> None:
    """Give Typer all commands, in the order in which the help lists them."""
    app.callback()(options.global_options)
    groups: dict[str, typer.Typer] = {}
    for heading, commands in COMMANDS.items():
        for words, command in commands:
            *group_name, word = words.split()
            settings = PASSES_ON if command in (run.run, services.execute) else None
            if not group_name:
                app.command(word, context_settings=settings, rich_help_panel=heading)(command)
                continue
            name = group_name[0]
            if name not in groups:
                groups[name] = typer.Typer(cls=GroupedHelp, no_args_is_help=True, help=GROUPS[name])
                app.add_typer(groups[name], name=name, rich_help_panel=heading)
            groups[name].command(word, context_settings=settings)(command)


register()
EVERYTHING: Final = (app.registered_commands, app.registered_groups)


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived: unwind like Ctrl-C, leave with 143."""


def terminate(number: int, frame: FrameType | None) -> None:
    """Signal handler for SIGTERM and SIGHUP."""
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `devenv` command."""
    front, rest = hoist(sys.argv[1:] if arguments is None else arguments)
    sys.excepthook = show_traceback
    signal.signal(signal.SIGTERM, terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A closed terminal. Under nohup it is ignored, and Windows has none.
    if (hangup := getattr(signal, "SIGHUP", None)) and signal.getsignal(hangup) is signal.SIG_DFL:
        signal.signal(hangup, terminate)
    for stream in (sys.stdout, sys.stderr):
        # A terminal in an old encoding gets escapes for what it lacks, not a crash.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    chosen.command = next((word for word in rest if not word.startswith("-")), "devenv")
    chosen.again = command_words(rest)
    chosen.json, chosen.debug = "--json" in front, "--debug" in front
    bounded = deadline.watch(leave_late if chosen.command in BOUNDED else None)
    with bounded, narrowed(next((word for word in rest if not word.startswith("-")), None)):
        sys.exit(guarded(lambda: call_typer([*front, *rest])))


@contextlib.contextmanager
def narrowed(word: str | None) -> Iterator[None]:
    """Inside, Typer has only what the call is about: building the parsers of all commands takes as long as a query.

    Without a word the commands are at most listed, which takes none of their parameters; an unknown one needs all, for
    the suggestion.
    """
    commands, groups = app.registered_commands, app.registered_groups
    if word is None:
        app.registered_commands, app.registered_groups = list(map(listed, commands)), list(map(closed, groups))
    elif one := [command for command in commands if named(command) == word]:
        app.registered_commands, app.registered_groups = one, []
    elif group := [group for group in groups if group.name == word]:
        app.registered_commands, app.registered_groups = [], group
    try:
        yield
    finally:
        app.registered_commands, app.registered_groups = commands, groups


@contextlib.contextmanager
def whole() -> Iterator[typer.Typer]:
    """Inside, Typer has all commands again, whatever the call is about."""
    before = app.registered_commands, app.registered_groups
    app.registered_commands, app.registered_groups = EVERYTHING
    try:
        yield app
    finally:
        app.registered_commands, app.registered_groups = before


def listed(command: CommandInfo) -> CommandInfo:
    """A command for the list of all: its words, without its parameters."""

    def nothing() -> None:
        """Stands for the command."""

    nothing.__doc__ = command.callback.__doc__
    return replaced(command, callback=nothing)


def closed(group: TyperInfo) -> TyperInfo:
    """A group for the list of all: its words, without its commands."""
    return replaced(group, typer_instance=typer.Typer(cls=GroupedHelp, help=GROUPS[str(group.name)]))


def replaced(info: Info, **changes: Any) -> Info:
    """A copy with these changes."""
    made = copy.copy(info)
    vars(made).update(changes)
    return made


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback for `--debug`, without secrets."""
    import traceback

    from devenv.config.masking import mask_text

    sys.stderr.write(mask_text("".join(traceback.format_exception(kind, error, trace))))


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


def call_typer(words: Sequence[str]) -> Any:
    """Run a command line. BrokenPipeError when the reader has gone, for which Typer would leave with 1."""
    try:
        return app(words, prog_name="devenv", standalone_mode=False)
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):
            raise leave.__context__ from None
        raise


def guarded(call: Callable[[], Any]) -> int:
    """Call, and turn what it raises into a rendered report. Returns the exit code."""
    failed = Exit.RUN_FAILED if chosen.command in ("run", "exec") else None
    try:
        code = int(call() or 0)
        # What still waits in the buffer is the command's, too: on a full disk it would be lost without a word.
        sys.stdout.flush()
        # Typer turns a Ctrl-C into this code and says nothing.
        return code if code != Exit.INTERRUPTED or chosen.reported else refuse(interrupted())
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
        # The reader (`head`, `less`) has gone.
        drop_output()
        return Exit.DONE
    except NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        return Exit.USAGE
    except ClickException as error:
        return refuse(Report(chosen.command, None, failed or Exit.USAGE, error=failure(error.format_message())))
    except Exception as error:
        if chosen.debug:
            raise
        code, why = unforeseen(error)
        return refuse(Report(chosen.command, None, failed or code, error=why))


def leave_late(doing: str) -> None:
    """End a command that waits for something that has no limit of its own. It has changed nothing."""
    what = f"no progress for {deadline.limit_s:g} s"
    detail = f"waited for: {doing}" if doing else "the command had not asked a store yet: the machine may be busy"
    code = refuse(Report(chosen.command, None, Exit.TIMEOUT, error=Failure(what, detail, hint="devenv doctor")))
    sys.stdout.flush()
    os._exit(code)


def drop_output() -> None:
    """Send what is still to be printed nowhere: an attempt to flush it at the end would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def unforeseen(error: Exception) -> tuple[Exit, Failure]:
    """The exit code and failure for what nothing below understood: a machine at its limits, or a fault of devenv."""
    # Where nothing could be looked at, nothing was found.
    unable = Exit.UNCHECKED if chosen.command in LOOKING else Exit.FOUND
    if isinstance(error, MemoryError):
        return unable, Failure("not enough memory", detail=str(error) or None, hint="ulimit -v, or free -m")
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        what = "this process has reached the system's limit of threads"
        return unable, Failure(what, detail=str(error), hint="ulimit -u -v  (processes and memory)")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        what = "this process has reached the system's limit of open files"
        return unable, Failure(what, detail=str(error), hint="ulimit -n 1024, then run it again")
    if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM):
        what = "the system's limit of processes or memory is reached"
        return unable, Failure(what, detail=str(error), hint="ulimit -u, or free -m")
    if isinstance(error, FileNotFoundError) and not has_working_folder():
        what = "the working folder was deleted"
        return Exit.USAGE, Failure(what, detail=str(error), hint="cd to a folder that exists, then run it again")
    return Exit.FOUND, unknown_failure(error)


def has_working_folder() -> bool:
    """Return False if the folder that the shell stands in was deleted."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def unknown_failure(error: Exception) -> Failure:
    """The failure for a disk without room, or a fault of devenv."""
    import shutil

    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    if isinstance(error, OSError) and error.errno in full:
        return Failure(f"{error.filename or 'the output'} cannot be written", detail=str(error), hint=MAKE_ROOM)
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        # A copied folder's error has no number, but a line for each file.
        for _, target, why in error.args[0]:
            if any(f"[Errno {number}]" in why for number in full):
                return Failure(f"{target} cannot be written", detail=why, hint=MAKE_ROOM)
    what = f"devenv itself failed: {type(error).__name__}: {error}"
    return Failure(what, hint="run it again with --debug, and report its output")


def interrupted() -> Report:
    """The report of a command that Ctrl-C ended."""
    return Report(chosen.command, None, Exit.INTERRUPTED, error=stopped("interrupted"))


def stopped(what: str) -> Failure:
    """The failure of a command that a signal ended, with the one that goes on."""
    if chosen.command in ("up", "restart", "setup", "schema-load", "seed", "reset"):
        return Failure(what, hint="devenv up  (continues where it stopped)")
    return Failure(what, hint="devenv logs --follow" if chosen.command == "logs" else f"again: {chosen.again}")


def command_words(words: Sequence[str]) -> str:
    """Return what was typed, up to the command's name: a statement behind it may have somebody's password in it."""
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

    as_json = chosen.json and flushed()
    try:
        show_report(report, as_json=as_json, color=chosen.color, verbose=chosen.verbose)
        lost = as_json and not flushed()
    except OSError:
        # A buffer that an earlier, longer text has filled fails at once.
        drop_output()
        lost = as_json
    if lost:
        # The disk or pipe behind stdout takes nothing: the sentence goes to stderr, if that takes it.
        with contextlib.suppress(OSError):
            show_report(report, as_json=False, color=chosen.color, verbose=chosen.verbose)
    return report.exit_code


def flushed() -> bool:
    """Return True if all that was printed is written; what cannot be goes nowhere then."""
    try:
        sys.stdout.flush()
    except OSError:
        drop_output()
        return False
    return True
