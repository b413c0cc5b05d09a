"""The projects that this user has started: one file per project in the user's cache folder, with its location only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

import msgspec

from devenv.host import writing
from devenv.host.files import read_text


class RegisteredProject(msgspec.Struct, frozen=True):
    """One project: its folder, where its data lies, and the Compose project of its containers, if it ever had any.

    `prefix` is the Python environment of the devenv that started it last.
    """

    root: str
    home: str
    compose: str = ""
    prefix: str = ""


def place(cache: Path, root: Path) -> Path:
    """The file of one project."""
    return cache / "projects" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"


def register(cache: Path, root: Path, home: Path, compose: str = "") -> None:
    """Remember a project, and which devenv started it. In a cache that cannot be written `ps` lacks the name."""
    file = place(cache, root)
    # Even the question whether it is there is refused in a cache whose projects are another user's.
    with contextlib.suppress(OSError):
        known = read(file) or RegisteredProject("", "")
        if not file.exists() or (compose and compose != known.compose) or known.prefix != sys.prefix:
            file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            entry = RegisteredProject(str(root), str(home), compose or known.compose, sys.prefix)
            writing.write_private(file, msgspec.json.encode(entry))


def forget(cache: Path, root: Path) -> None:
    """No longer remember a project."""
    with contextlib.suppress(OSError):
        place(cache, root).unlink(missing_ok=True)


def read_all(cache: Path) -> list[RegisteredProject]:
    """Every remembered project, by folder."""
    found = [read(file) for file in (cache / "projects").glob("*.json")]
    return sorted((entry for entry in found if entry), key=lambda entry: entry.root)


def read(file: Path) -> RegisteredProject | None:
    """Return what one file says; None when it cannot be read."""
    try:
        return msgspec.json.decode(read_text(file) or "", type=RegisteredProject)
    except (OSError, msgspec.DecodeError):
        return None
