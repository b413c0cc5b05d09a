"""The statements that only a superuser may run: they are a folder's own code, which the user has to trust."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from devenv.config.commands import Command
from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.steps.setup.migrations import gather
from devenv.steps.setup.script import parse
from devenv.steps.setup.sql import Statement
from devenv.steps.step import read_named, with_named

# Words without which no statement is one of these: most files need no second look.
HINTS: Final = late(
    r"\bPROGRAM\b|\bCOPY\b|pg_(read|ls|stat|file|execute|write)_|\blo_(im|ex)port\b|\bEXTENSION\b|\bLANGUAGE\b|"
    r"\bSYSTEM\b|\bLOAD\b|\bSUPERUSER\b|\bSERVER\b|\bWRAPPER\b|\bSUBSCRIPTION\b|\\i",
    re.IGNORECASE,
)
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


def acting_commands(settings: Settings, root: Path) -> tuple[Command, ...]:
    """These statements in the files of step `setup`, as commands that a user agrees to; () if they cannot be read."""
    source = settings.steps.setup
    if source.command:
        return ()
    try:
        files = read_named(root, with_named(gather(settings, root), root, source.files, "steps.setup"))
        if not any(HINTS.search(file.text) for file in files):
            return ()
        statements = parse(settings, root, files).statements
    except UsageError:
        return ()  # The step reports it.
    return tuple(Command("steps", f"[steps.setup] {each.place}", each.excerpt) for each in find_acting(statements))
