"""Creates the environment that a lock file describes, before the steps run, with the user's consent.

Nothing is made twice: a stamp with the lock's digest is written into a finished environment last. While one is being
made, a journal in the state folder says so; the next `up` removes what a killed one left, and brings the old one back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.config.commands import migrations_of
from devenv.config.dependencies import (
    GET_TOOL,
    MODULES,
    TOOLS,
    VENV,
    Folder,
    Kind,
    Preparation,
    kinds_of,
    lock_hash,
    prepare_node,
    prepare_python,
    upward,
)
from devenv.config.interpreter import BIN, FOLDERS, project_python
from devenv.core.deadline import deadline
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Action
from devenv.host import processes
from devenv.host.state import Process
from devenv.host.writing import create_private, open_append, write_private

if TYPE_CHECKING:
    from devenv.core.events import Watch
    from devenv.lifecycle.plan import UpOptions
    from devenv.stack import Stack

STAMP: Final = ".devenv-prepared"
JOURNAL, REFUSED, ASIDE = "prepare.json", "prepare-refused.json", "prepare.old"
POLL_S: Final = 0.2
# However much a tool prints: no environment takes longer.
LIMIT_S: Final = 3600.0
ENDING_S: Final = 5.0
TEXT_BYTES: Final = 20_000_000


class Journal(msgspec.Struct, frozen=True):
    """An environment that is being made, and the tool that is at work.

    `made` is the number of the folder (its inode) as last seen; 0: none yet. One that somebody else makes has another.
    """

    target: str
    process: Process | None = None
    made: int = 0


class Use(msgspec.Struct, frozen=True):
    """A command of the project, and the folder that it runs in. `python`: the interpreter that devenv.toml names."""

    folder: str
    words: tuple[str, ...]
    python: str | None = None
    own_folder: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """An environment that is not there, or is older than its lock file."""

    plan: Preparation
    digest: str
    reason: str
    there: bool


def settle(stack: Stack, options: UpOptions, watch: Watch) -> tuple[Action, ...]:
    """Make what is missing, where the user agrees; else say how. DevenvError when a tool fails, or is not there.

    Only for trusted folders: a package may run its own code while it is installed.
    """
    recover(stack, watch)
    if not stack.trusted or options.prepare is False:
        return ()
    refused = read_refused(stack.folder)
    agreed = []
    for wanted in find_wanted(stack, options.backend, asked=bool(options.prepare)):
        plan, text = wanted.plan, f"{wanted.plan.target}: {wanted.reason}"
        if plan.lacks:
            text += f"; it is made with {plan.lacks}, which is not installed"
            if options.prepare:
                raise DevenvError(text, exit_code=Exit.MISSING, hint=GET_TOOL[plan.lacks])
            watch.say(f"{text}: {GET_TOOL[plan.lacks]}")
        elif options.prepare or (options.confirm and refused.get(plan.target) != wanted.digest):
            if options.prepare or (options.confirm and options.confirm(text, plan.shown())):
                agreed.append(wanted)
            else:
                refused[plan.target] = wanted.digest
                write_private(stack.folder / REFUSED, msgspec.json.encode(refused))
        else:
            verb = "update" if wanted.there else "create"
            watch.say(f"{text}; to {verb} it: devenv up --prepare")
    for wanted in agreed:
        make(stack, wanted, options.timeout_s, watch)
    return tuple(Action(wanted.plan.target, "prepare", wanted.reason) for wanted in agreed)


def planned(stack: Stack, options: UpOptions) -> tuple[Action, ...]:
    """The same as a plan: nothing is made."""
    return tuple(
        Action(wanted.plan.target, "prepare", f"{wanted.reason}; only with --prepare or your consent")
        for wanted in find_wanted(stack, options.backend)
        if not wanted.plan.lacks
    )


def find_wanted(stack: Stack, backend: bool, asked: bool = False) -> list[Wanted]:
    """The environments that the project's commands lack. Unless `asked`, one that is active in the shell is enough."""
    active = not asked and any(stack.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    tools = {tool for tool in TOOLS if shutil.which(tool, path=stack.environ.get("PATH", os.defpath))}
    found: dict[str, Wanted] = {}
    for use in uses_of(stack, backend):
        script = next((word for word in use.words if (stack.root / use.folder / word).is_file()), None)
        for kind in sorted(kinds_of(use.words, first_line(stack.root / use.folder / script) if script else "")):
            if active and kind == "python":
                continue
            plan = plan_for(stack.root, use, script, kind, tools)
            if plan is not None and plan.target not in found and (wanted := compare(stack.root, plan)):
                found[plan.target] = wanted
    return list(found.values())


def uses_of(stack: Stack, backend: bool) -> Iterator[Use]:
    """The project's own commands that run on this machine."""
    settings = stack.settings
    steps, application = settings.steps, settings.backend
    python = application.python if application else None
    for step in (steps.setup, steps.schema_load, steps.seed):
        if step.command:
            yield Use("", tuple(step.command), python)
    if migrations := migrations_of(settings):
        yield Use("", tuple(migrations), python)
    if not backend:
        return
    for own in stack.engine.own.values():
        if own.name == "backend" and settings.docker.backend == "container":
            continue
        if own.command or own.worker:
            handler = own.worker.handler if own.worker else None
            function = [handler.rpartition(":")[0] or handler] if handler else []
            folder = "" if own.folder == "." else own.folder
            yield Use(folder, (*own.command, *function), own.python, own.name != "backend" and bool(folder))
    for subject in settings.trace.values():
        if subject.library:
            yield Use("", tuple(subject.library.command) or ("{python}",), python)


def plan_for(root: Path, use: Use, script: str | None, kind: Kind, tools: set[str]) -> Preparation | None:
    """How to make what one command lacks; None when it has it, or when no lock file describes it."""
    beside = upward(os.path.join(use.folder, os.path.dirname(script))) if script else ()
    folders = [look(root, place) for place in dict.fromkeys([*beside, *upward(use.folder)]) if is_inside(root, place)]
    if kind == "node":
        return next(filter(None, (prepare_node(folder, tools) for folder in folders)), None)
    if use.python is not None and "/" not in use.python:
        return None
    lock = next((folder for folder in folders if prepare_python(folder, VENV, tools, "")), None)
    if lock is None:
        below = [folder for folder in inner_folders(root) if prepare_python(folder, VENV, tools, "")]
        lock = below[0] if len(below) == 1 else None
    if lock is None:
        return None
    if use.python is not None:
        place = PurePosixPath(os.path.normpath(use.python))
        target = str(place.parent.parent)
        if place.parent.name != BIN or not is_ours(root, target):
            return None
        there = (root / use.python).exists()
    else:
        target = f"{lock.path}/{VENV}" if use.own_folder and lock.path else VENV
        there = any(project_python(root / place) is not None for place in dict.fromkeys(["", use.folder, lock.path]))
    if there and not (root / target / STAMP).is_file():
        return None
    return prepare_python(lock, target, tools, sys.executable)


def compare(root: Path, plan: Preparation) -> Wanted | None:
    """The environment of a plan, if it is to be made; None when it is there. One without a stamp is the user's own."""
    target, locks = root / plan.target, " and ".join(plan.locks)
    there = os.path.lexists(target)
    stamp = None if target.is_symlink() else read_text(target / STAMP)
    if there and stamp is None:
        return None
    digest = lock_hash(plan.locks, lambda name: read_text(root / name) if is_inside(root, name) else None)
    if there and stamp == digest:
        return None
    reason = f"made from an older {locks}" if there else f"missing ({locks} describes it)"
    return Wanted(plan, digest, reason, there)


def look(root: Path, place: str) -> Folder:
    """A folder's files that may describe an environment."""
    names: set[str] = set()
    with contextlib.suppress(OSError):
        names = {entry.name for entry in os.scandir(root / place) if entry.is_file()}
        if (inner := root / place / "requirements").is_dir():
            names |= {f"requirements/{file.name}" for file in inner.glob("*.txt")}
    return Folder(place, frozenset(names))


def inner_folders(root: Path) -> list[Folder]:
    """The folders directly in the project's own, hidden ones and those of tools aside."""
    from devenv.host.files import SKIPPED

    with contextlib.suppress(OSError):
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
        return [look(root, name) for name in names if name not in SKIPPED and not name.startswith(".")]
    return []


def is_inside(root: Path, place: str) -> bool:
    """Return True if a folder lies in the project, wherever links lead."""
    return (root / place).resolve().is_relative_to(root.resolve())


def first_line(script: Path) -> str:
    with contextlib.suppress(OSError), script.open("rb") as file:
        line = file.readline(200)
        return line.decode("utf-8", "replace") if line.startswith(b"#!") else ""
    return ""


def read_text(file: Path) -> str | None:
    """A file's text; None when it cannot be read or is no regular file."""
    with contextlib.suppress(OSError):
        if file.is_file():
            with file.open("rb") as opened:
                return opened.read(TEXT_BYTES).decode("utf-8", "surrogateescape")
    return None


def read_refused(folder: Path) -> dict[str, str]:
    """Target -> digest of the lock for which the user said no."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / REFUSED).read_bytes(), type=dict[str, str])
    return {}


def make(stack: Stack, wanted: Wanted, limit_s: float, watch: Watch) -> None:
    """Run the commands of one preparation. On any end but a good one the old environment is there again."""
    plan, target = wanted.plan, stack.root / wanted.plan.target
    began = time.perf_counter()
    watch.begin(plan.target, wanted.reason)
    fill = str(target)
    environ = {**stack.environ, **{name: text.replace("{target}", fill) for name, text in plan.variables.items()}}
    environ.pop("PYTHONHOME", None)
    write_journal(stack.folder, Journal(plan.target))
    try:
        if target.is_dir():
            os.rename(target, stack.folder / ASIDE)
        for words, shown in zip(plan.commands, plan.shown(), strict=True):
            watch.note(plan.target, shown)
            command = [word.replace("{target}", fill) for word in words]
            run_tool(stack, plan, command, shown, environ, limit_s, watch)
        if not target.is_dir():
            raise DevenvError(f"{plan.target} was not made, although {plan.commands[-1][0]} succeeded")
        finish(stack.folder, target, wanted.digest)
    except BaseException as error:
        discard(stack.folder, target)
        text = error.what if isinstance(error, DevenvError) else "interrupted"
        watch.end(plan.target, text, ok=False)
        raise
    project_python.cache_clear()
    watch.end(plan.target, f"made from {' and '.join(plan.locks)} ({time.perf_counter() - began:.1f} s)", ok=True)


def run_tool(
    stack: Stack,
    plan: Preparation,
    command: Sequence[str],
    shown: str,
    environ: Mapping[str, str],
    limit_s: float,
    watch: Watch,
) -> None:
    """Run one command to its end, its output in the log. DevenvError when it fails or says nothing for too long."""
    from devenv.steps.command import last_lines

    log = stack.engine.log("steps")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open_append(log) as output:
        output.write(f"$ {shown}\n".encode())
        output.flush()
        start = seen = output.tell()
        program = shutil.which(command[0], path=environ.get("PATH", os.defpath)) or command[0]
        # What is there by now, an earlier command of this preparation has made.
        made = number_of_folder(stack.root / plan.target)
        try:
            child = subprocess.Popen(
                [program, *command[1:]],
                cwd=stack.root / plan.folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C comes to devenv alone, which ends the tool and all that it started.
                start_new_session=True,
            )
        except OSError as error:
            raise DevenvError(f"{shown}: could not be started", detail=str(error)) from None
    try:
        journal = Journal(plan.target, processes.identify_child(child), made)
        write_journal(stack.folder, journal)
        end, quiet = time.monotonic() + LIMIT_S, time.monotonic() + limit_s
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(POLL_S if journal.made else POLL_S / 10)
                break
            if (made := number_of_folder(stack.root / plan.target)) != journal.made:
                journal = msgspec.structs.replace(journal, made=made)
                write_journal(stack.folder, journal)
            now, size = time.monotonic(), processes.size_of(log)
            if size != seen:
                seen, quiet = size, now + limit_s
                deadline.moved()
                watch.note(plan.target, "".join(processes.tail(log, 1, start)) or shown)
            if now > min(end, quiet):
                raise DevenvError(
                    f"{shown}: no progress for {limit_s:g} s" if now > quiet else f"{shown}: not ready after an hour",
                    exit_code=Exit.TIMEOUT,
                    detail=f"{last_lines(log, start)}\n(whole log: {log})",
                    hint=f"devenv up --prepare --timeout {limit_s * 5:g}",
                )
    finally:
        end_group(child)
    if code:
        raise DevenvError(
            f"{shown}: " + (f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"),
            detail=f"{last_lines(log, start)}\n(whole log: {log})",
            hint="fix it, then run `devenv up --prepare`; to start without it: devenv up --no-prepare",
        )


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the tool, if it still runs, and all that it started."""
    if child.poll() is not None:
        return
    signal_group(child.pid, signal.SIGTERM)
    end = time.monotonic() + ENDING_S
    while processes.identify(child.pid) is not None and time.monotonic() < end:
        time.sleep(0.02)
    # Not collected yet, so the number of the group is still its own.
    signal_group(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    child.wait()


def number_of_folder(folder: Path) -> int:
    """The inode of a folder; 0 where there is none."""
    with contextlib.suppress(OSError):
        return folder.stat().st_ino
    return 0


def signal_group(leader: int, how: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.killpg(leader, how)


def write_journal(folder: Path, journal: Journal) -> None:
    write_private(folder / JOURNAL, msgspec.json.encode(journal))


def finish(folder: Path, target: Path, digest: str) -> None:
    """Stamp a finished environment, then forget what it replaces."""
    if target.name != MODULES:
        create_private(target / ".gitignore", b"*\n")
    write_private(target / STAMP, digest.encode())
    (folder / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def discard(folder: Path, target: Path) -> None:
    """Remove a half made environment, and bring back the one that was there before."""
    if not (target / STAMP).is_file():
        shutil.rmtree(target, ignore_errors=True)
        if (folder / ASIDE).is_dir() and not target.exists():
            os.rename(folder / ASIDE, target)
    (folder / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def recover(stack: Stack, watch: Watch) -> None:
    """Remove what a killed `up` left half made: its tool may still be at work."""
    folder = stack.folder
    try:
        journal = msgspec.json.decode((folder / JOURNAL).read_bytes(), type=Journal)
    except FileNotFoundError:
        if (folder / ASIDE).is_dir():
            shutil.rmtree(folder / ASIDE, ignore_errors=True)
        return
    except (OSError, msgspec.DecodeError):
        (folder / JOURNAL).unlink(missing_ok=True)
        return
    target = stack.root / journal.target
    if not is_ours(stack.root, journal.target):
        (folder / JOURNAL).unlink(missing_ok=True)
        return
    if journal.process is not None and processes.is_running(journal.process):
        signal_group(journal.process.pid, signal.SIGKILL)
        processes.stop(journal.process)
    if target.exists() and number_of_folder(target) != journal.made:
        watch.say(f"{journal.target} is kept: the interrupted `devenv up` did not create this folder")
        (folder / JOURNAL).unlink(missing_ok=True)
        return
    if not (target / STAMP).is_file():
        watch.say(f"{journal.target}: removed what an interrupted `devenv up` left incomplete")
    discard(folder, target)


def is_ours(root: Path, target: str) -> bool:
    """Return True if a folder of this name and place may be one that devenv makes: in the project, and no link."""
    place = root / target
    if os.path.isabs(target) or ".." in PurePosixPath(target).parts or place.is_symlink():
        return False
    return place.name in (*FOLDERS, MODULES) and is_inside(root, os.path.dirname(target))
