"""Devenv's memory between commands: `.devstate/state.json`, secrets beside the data, and the project lock."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec.structs import replace

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Done
from devenv.host.writing import create_private, replace_private, write_private

FOLDER = ".devstate"
VERSION = 1
WAIT = "wait for it to end, or raise the time limit: devenv up --timeout 300"
REPLACED = ("state.json", "lock.json")
# A hundred times what a large project needs; more is cut, and then it is damaged.
STATE_BYTES = 10_000_000


class Process(msgspec.Struct, frozen=True):
    """Identity of one process: pid, start time (epoch seconds) and command line as the system shows it."""

    pid: int
    created: float
    command: list[str]


class Record(msgspec.Struct, frozen=True):
    """A service that devenv starts. `process` is None when it was stopped on purpose, or is a container.

    `started` tells whether the service is meant to be up: `down` takes it away. `environment` is a hash of the settings
    the process was started with, to see when they have changed. `wanted` is the port that devenv.toml asked for when
    `port` was given; 0: not known. `settings` are those of devenv.toml that the process was started with. `log_start`
    is how long its log was then, in bytes.
    """

    port: int
    wanted: int = 0
    process: Process | None = None
    started: str | None = None
    version: str | None = None
    environment: str = ""
    settings: dict[str, str] = {}
    log_start: int = 0


class Tapped(msgspec.Struct, frozen=True):
    """The tap: its ports by what they stand before. `process` is None when it was not started, or was stopped."""

    ports: dict[str, int] = {}
    process: Process | None = None
    started: str | None = None


class Mark(msgspec.Struct, frozen=True):
    """How a step stood when it was last looked at, for when the stores are stopped."""

    state: Done
    reason: str
    at: str


class Version(msgspec.Struct, frozen=True):
    """The part of state.json that every devenv can read."""

    version: int = VERSION


class Parked(msgspec.Struct, frozen=True):
    """The record of an engine that the project was on before."""

    services: dict[str, Record] = {}
    steps: dict[str, Mark] = {}


class State(Version, frozen=True):
    """All of state.json. `version` guards against files of another devenv.

    `root` is the project's folder when this was written: a copied or moved folder is known by it. `services` and
    `steps` are those of `engine`; those of the other engines that the project has been on are `parked`. `training` is
    what the embedded engine left at work in the background. `tap` is there when the application is to go through it.
    `log_clock` notes the times of the logs.
    """

    root: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    engine: str | None = None
    services: dict[str, Record] = {}
    steps: dict[str, Mark] = {}
    parked: dict[str, Parked] = {}
    training: Process | None = None
    tap: Tapped | None = None
    log_clock: Process | None = None


class Secrets(msgspec.Struct, frozen=True):
    """Generated once per data folder: the Postgres password and the application's development key."""

    password: str
    key: str


def switch(known: State, engine: str) -> State:
    """The same knowledge with `engine` as the one that the project is on. Pure."""
    if known.engine in (None, engine):
        return known
    parked = {**known.parked, str(known.engine): Parked(known.services, known.steps)}
    own = parked.pop(engine, Parked())
    return replace(known, engine=engine, services=own.services, steps=own.steps, parked=parked)


def meant_up(known: State) -> list[str]:
    """The services that were started on the state's engine and not stopped since. Pure."""
    return [name for name, record in known.services.items() if record.started]


def place(root: Path) -> Path:
    """Return where the project's state folder is, or would be. DevenvError for one that leads elsewhere."""
    path = root / FOLDER
    if path.is_symlink():
        raise link_refused(path)
    refuse_links(path, path / "logs", path / "repairs")
    return path


def refuse_links(*folders: Path) -> None:
    """DevenvError for a symbolic link directly in one of the folders: what is written there would end up elsewhere.

    Files that are only ever replaced as a whole may be links: the link itself is replaced. A pipe or a device in their
    place would keep the reader waiting.
    """
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                for each in entries:
                    if each.is_symlink() and each.name not in REPLACED:
                        raise link_refused(Path(each.path))
                    if not (each.is_symlink() or each.is_file() or each.is_dir()):
                        raise pipe_refused(Path(each.path))
        except OSError:
            continue


def link_refused(path: Path) -> DevenvError:
    """The error for a symbolic link among devenv's own files."""
    return DevenvError(
        f"{path} is a symbolic link, which devenv does not follow", hint=f"remove it: rm {shlex.quote(str(path))}"
    )


def pipe_refused(path: Path) -> DevenvError:
    """The error for a pipe, a device or a socket among devenv's own files."""
    return DevenvError(f"{path} is not a regular file", hint=f"remove it: rm {shlex.quote(str(path))}")


def folder(root: Path) -> Path:
    """The project's state folder, made 0700 when missing. DevenvError when it cannot be written."""
    path = place(root)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            write_private(ignore, b"*\n")
    except OSError as error:
        raise unwritable(path, error) from None
    return path


def unwritable(path: Path, error: OSError) -> DevenvError:
    """The error for a state file or folder that cannot be written."""
    return DevenvError(
        f"{path} cannot be written",
        detail=str(error),
        hint=f"free disk space, or give yourself the folder: chown -R $USER {path.parent}",
    )


def read(state_folder: Path) -> State:
    """The remembered state; an empty one when there is none. DevenvError for a file that is not ours."""
    file = state_folder / "state.json"
    try:
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
            content = opened.read(STATE_BYTES)
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise DevenvError(f"{file} cannot be read", detail=str(error), hint=f"ls -l {file}") from None
    try:
        # The version first: another one's file may have another shape.
        if (version := msgspec.json.decode(content, type=Version).version) != VERSION:
            raise DevenvError(
                f"{file} was written by another version of devenv (format {version}, this one knows {VERSION})",
                exit_code=Exit.VERSION,
                hint="run `devenv down` with that version first, then `devenv up` with this one",
            )
        return msgspec.json.decode(content, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DevenvError(
            f"{file} is damaged",
            exit_code=Exit.USAGE,
            detail=str(error),
            cause="it was edited by hand, or written by another version of devenv",
            hint=f"mv {file} {file}.old && devenv up  (data is kept; running services are found again)",
        ) from None


def write(state_folder: Path, state: State) -> None:
    """Remember `state`, in one step."""
    file = state_folder / "state.json"
    try:
        write_private(file, json.dumps(msgspec.to_builtins(state), indent=1).encode())
    except OSError as error:
        raise unwritable(file, error) from None


def keep_secrets(home: Path, *, keep: bool = True) -> Secrets:
    """The secrets of the data in `home`, generated at the first call; without `keep`, for this process only."""
    file = home / "secrets.json"
    try:
        if file.exists():
            return msgspec.json.decode(file.read_bytes(), type=Secrets)
        # Generated once for each project's data; its import takes longer than reading what was generated.
        import secrets as random

        made = Secrets(password=random.token_urlsafe(24), key=random.token_urlsafe(48))
        return made if not keep or create_private(file, msgspec.json.encode(made)) else keep_secrets(home)
    except OSError as error:
        raise unwritable(file, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DevenvError(
            f"{file} is damaged, so the password of the data beside it is unknown",
            detail=str(error),
            hint="devenv down --data",
        ) from None


@contextmanager
def lock(state_folder: Path, timeout_s: float, say: Callable[[str], None], hint: str = WAIT) -> Iterator[None]:
    """Be the only devenv that changes this project. Waits up to `timeout_s` seconds, then exit 7 names the holder.

    `hint` says what to do then.
    """
    from filelock import FileLock, Timeout

    guard = FileLock(state_folder / "lock", mode=0o600)
    owner = state_folder / "lock.json"
    try:
        guard.acquire(timeout=0)
    except Timeout:
        say(f"waiting for {describe_owner(owner)}")
        try:
            guard.acquire(timeout=timeout_s, poll_interval=0.02)
        except Timeout:
            raise DevenvError(
                f"another devenv holds this project: {describe_owner(owner)}",
                exit_code=Exit.LOCKED,
                detail=f"waited {timeout_s:g} s for {guard.lock_file}",
                hint=hint,
            ) from None
    except OSError as error:
        raise unwritable(state_folder / "lock", error) from None
    try:
        # Replaced, not written into: a symbolic link in its place must not lead elsewhere.
        note = json.dumps({"pid": os.getpid(), "command": sys.argv[1:], "since": time.time()})
        try:
            replace_private(owner, note.encode())
        except OSError as error:
            raise unwritable(owner, error) from None
        yield
    finally:
        guard.release()


def describe_owner(owner: Path) -> str:
    """The holder of the lock, in words: `devenv up` (pid 123, for 4 s)."""
    try:
        seen = json.loads(owner.read_text())
        words = " ".join(["devenv", *seen["command"]])
        return f"`{words}` (pid {seen['pid']}, for {time.time() - seen['since']:.0f} s)"
    except (OSError, ValueError, KeyError, TypeError):
        return "another devenv command"
