"""The statements that only a superuser may run: they are a folder's own code, which the user has to trust."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from devenv.config.commands import Command
from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.host.files import read_text
from devenv.host.trust import RECORD_BYTES
from devenv.host.writing import write_private
from devenv.steps.setup.mounts import read_mounts
from devenv.steps.setup.remembered import MOUNTS, Opened, digest, is_unchanged, stamp_named
from devenv.steps.setup.script import parse
from devenv.steps.setup.sql import Statement
from devenv.steps.stamps import FileStamp
from devenv.steps.step import read_named

# Words without which no statement is one of these: most files need no second look.
HINT: Final = (
    r"\bPROGRAM\b|\bCOPY\b|pg_(read|ls|stat|file|execute|write)_|\blo_(im|ex)port\b|\bEXTENSION\b|\bLANGUAGE\b|"
    r"\bSYSTEM\b|\bLOAD\b|\bSUPERUSER\b|\bSERVER\b|\bWRAPPER\b|\bSUBSCRIPTION\b|\\i"
)
HINTS: Final = late(HINT, re.IGNORECASE)
OUTSIDE: Final = (
    r"\bCOPY\b[^;]*\b(FROM|TO)\s+PROGRAM\b",
    r"\bCOPY\b[^;]*\b(FROM|TO)\s+E?'",
    r"\bpg_(read_(binary_)?file|ls_\w*dir|stat_file|file_(write|read|rename|unlink|sync))\s*\(",
    r"\bpg_(execute_server_program|read_server_files|write_server_files)\b",
    r"\blo_(im|ex)port\s*\(",
    r"\bCREATE\s+EXTENSION\s+(IF\s+NOT\s+EXISTS\s+)?\"?"
    r"(\w*plpython\w*|plperlu|pltclu|plsh|pljava\w*|file_fdw|dblink|postgres_fdw|adminpack|pg_cron)\b",
    r"\bLANGUAGE\s+['\"]?(c|internal|plpython\w*|plperlu|pltclu|plsh)\b",
    r"\bCREATE\s+(OR\s+REPLACE\s+)?((TRUSTED|PROCEDURAL)\s+)*LANGUAGE\b",
    r"\bALTER\s+SYSTEM\b",
    r"^\s*LOAD\s+'",
    r"\b(CREATE|ALTER)\s+(ROLE|USER|GROUP)\b[^;]*(?<!NO)\bSUPERUSER\b",
    r"\bCREATE\s+(SERVER|SUBSCRIPTION|FOREIGN\s+DATA\s+WRAPPER)\b",
)
ACTS: Final = late("|".join(OUTSIDE), re.IGNORECASE | re.DOTALL)


def find_acting(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The statements that name something outside the database: programs, files, untrusted languages, settings. Pure.

    Their text is enough, also where it only stands in a string; what hides from it is refused by the server instead.
    """
    return tuple(each for each in statements if ACTS.search(each.text))


class ReadFiles(msgspec.Struct, frozen=True):
    """The SQL files of a project as they were last read: `found` has place and excerpt of each of these statements.

    `key` and `opened` are digests, as in `ParsedFiles`.
    """

    key: str
    opened: dict[str, str]
    stamps: dict[str, FileStamp]
    found: tuple[tuple[str, str], ...]


def acting_commands(settings: Settings, root: Path, kept: Path) -> tuple[Command, ...]:
    """These statements in the files of step `setup`, as commands that a user agrees to; () if they cannot be read.

    `kept` remembers them for these files: it must lie where the project's folder has no say.
    """
    if settings.steps.setup.command:
        return ()
    try:
        found = look_up(settings, root, kept)
    except UsageError:
        return ()  # The step reports it.
    return tuple(Command("steps", f"[steps.setup] {place}", excerpt) for place, excerpt in found)


def look_up(settings: Settings, root: Path, kept: Path) -> tuple[tuple[str, str], ...]:
    """Place and excerpt of each of these statements; files that did not change are not parsed. UsageError."""
    last = read_kept(kept)
    known = last.stamps if last else {}
    stamps, named = stamp_named(settings, root, known)
    key = digest((named, HINT, OUTSIDE))
    opened = Opened(root, known)
    if last is not None and last.key == key:
        opened.look_again(last.opened)
        if opened.digests == last.opened:
            return last.found
    opened = Opened(root, known)
    files = read_named(root, stamps)
    found: tuple[tuple[str, str], ...] = ()
    if any(HINTS.search(file.text) for file in files):
        script = parse(settings, root, files, opened.note)
        opened.digests[MOUNTS] = digest(read_mounts(root))
        found = tuple((each.place, each.excerpt) for each in find_acting((*script.first, *script.statements)))
    if is_unchanged(root, stamps, opened):
        # A folder that cannot be written to costs the time again.
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            write_private(kept, msgspec.json.encode(ReadFiles(key, opened.digests, {**stamps, **opened.stamps}, found)))
    return found


def read_kept(kept: Path) -> ReadFiles | None:
    """Return what is remembered; None if there is nothing, or nothing usable."""
    try:
        return msgspec.json.decode(read_text(kept, RECORD_BYTES) or "", type=ReadFiles)
    except (OSError, msgspec.DecodeError):
        return None
