"""The JSON files that a project's scripts read: what such a script makes is known from the file. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from devenv.init.tables import Found
from devenv.init.unused import REQUEST


def reads(text: str, file: str) -> bool:
    """Return True if a program's text has a file's path, or its name alone, in quotes."""
    path = PurePosixPath(file)
    end = rf"(?:{re.escape(path.parent.name)}/)?{re.escape(path.name)}"
    return re.search(rf"""['"`/]{end}['"`]""", text) is not None


def requests_read(
    notes: Iterable[str], texts: Mapping[str, str], tables: Iterable[Found]
) -> tuple[list[str], list[str]]:
    """(the notes that remain, sentences about calls that make a table with a request in a file that is used)."""
    files = [table.file for table in tables if table.whole and table.file.endswith(".json")]
    left, used = [], []
    for note in notes:
        program = note.partition(":")[0]
        read = [file for file in files if reads(texts.get(program, ""), file)] if note.endswith(REQUEST) else []
        if read:
            used.append(f"{note.partition(', whose')[0]}: used: its request is {read[0]}")
        else:
            left.append(note)
    return left, used


def item_loaders(texts: Mapping[str, str], items: Collection[str]) -> Iterator[str]:
    """The scripts that load files of items which step seed loads itself."""
    for name, text in texts.items():
        if name not in items and not name.endswith(".json") and any(reads(text, file) for file in items):
            yield name
