"""SQL files that are no part of the setup: superseded, of another dialect, or only a list of other files. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from typing import Final

OLD: Final = frozenset(
    ("legacy", "old", "archive", "archived", "attic", "deprecated", "obsolete", "outdated", "backup")
)
SAYS_SO: Final = re.compile(
    r"\b(superseded|deprecated|obsolete|outdated|do(?:es)? not run|don't run|no longer (?:used|needed)|ran once"
    r"|not used any ?more|kept for reference)\b",
    re.IGNORECASE,
)
MYSQL: Final = re.compile(r"`\w+`|\bENGINE\s*=\s*InnoDB\b|\bAUTO_INCREMENT\b", re.IGNORECASE)
TEXTS: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$", re.DOTALL)
INCLUDE: Final = re.compile(r"^[ \t]*\\(ir?|include(?:_relative)?)[ \t]+'?([^\s']+)'?", re.MULTILINE)


def set_aside(name: str, text: str) -> str | None:
    """Why an SQL file is no part of what makes the database; None for one that may be."""
    head = re.match(r"(?:\s*(?:--[^\n]*|/\*.*?\*/))*", text, re.DOTALL)
    said = SAYS_SO.search(head[0]) if head else None
    if said is not None:
        return f'line {text.count(chr(10), 0, said.start()) + 1} says "{said[0].lower()}"'
    if MYSQL.search(TEXTS.sub("", text)):
        return "it is written for MySQL"
    return None


def old_folder(name: str) -> str | None:
    """Why a file is likely out of use, by the name of its folder."""
    folder = next((part for part in name.lower().split("/")[:-1] if OLD & {*re.split(r"[-_.]", part)}), None)
    return f"it is in a folder named {folder}" if folder else None


def included(texts: Mapping[str, str], names: Collection[str]) -> dict[str, list[str]]:
    """A file of psql that only includes others -> these, in its order; each must be one of `names`."""
    found: dict[str, list[str]] = {}
    for name in names:
        lines = [line.strip() for line in texts[name].splitlines()]
        if not all(line.startswith(("\\", "--")) or not line for line in lines):
            continue
        files = []
        for how, path in INCLUDE.findall(texts[name]):
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            # `\i` starts at the folder that psql runs in, which is often the file's own.
            files += [each for each in ([path, beside] if how in ("i", "include") else [beside]) if each in names][:1]
        if files:
            found[name] = files
    return found
