"""`devenv init`: a commented devenv.toml for a folder, fitted to what is there; with an example when it is empty.

What it finds is read as text; no program, script or module of the folder is run. It overwrites nothing: when one of the
files that it would write is there, it writes none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from devenv.config import FILE
from devenv.errors import DevenvError, Exit, UsageError
from devenv.model import Report

LABEL: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def init(root: Path) -> Report:
    """Write what `root` needs to be a project. UsageError when it is one, or a file is in the way."""
    from devenv.init.draft import Drafter
    from devenv.init.example import example_files
    from devenv.init.survey import survey

    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint=f"mkdir {root}")
    if os.path.lexists(root / FILE):
        raise UsageError(f"{root / FILE} is there already", hint="devenv config check")
    found = survey(root)
    seen: tuple[str, ...]
    edits: tuple[str, ...]
    if found.is_empty:
        files = example_files(project_name(root))
        seen, edits = found.left_out, ()
    else:
        draft = Drafter(found, project_name(root)).draft()
        files = {FILE: draft.text, **{name: as_json(request) for name, request in draft.files.items()}}
        seen, edits = draft.found, draft.edits
    check(files[FILE], root)
    write_all(root, files)
    body = {
        "folder": str(root),
        "example": found.is_empty,
        "found": list(seen),
        "written": list(files),
        "edits": list(edits),
        "next": "devenv up",
    }
    return Report("init", project_name(root), Exit.DONE, body)


def project_name(root: Path) -> str:
    """The folder's name, as far as a project can be called so."""
    return LABEL.sub("-", root.name).strip("-._")[:63].strip("-._") or "project"


def as_json(request: Mapping[str, Any]) -> str:
    """A table's request as a file holds it."""
    return json.dumps(request, indent=2) + "\n"


def check(text: str, root: Path) -> None:
    """The file must be one that devenv reads, whatever names the folder's files have. DevenvError otherwise."""
    import tomllib

    from devenv.config import parse

    try:
        parse(tomllib.loads(text), root / FILE)
    except (tomllib.TOMLDecodeError, UsageError) as error:
        detail = error.detail if isinstance(error, UsageError) else str(error)
        raise DevenvError(
            "devenv init would write a devenv.toml that is not valid, so it wrote nothing",
            detail=detail,
            hint="report this, and begin with an empty folder meanwhile: devenv init --project DIR",
        ) from None


def write_all(root: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none. UsageError when one is there already, or its folder leads out of the project."""
    there = [name for name in files if os.path.lexists(root / name)]
    if there:
        raise UsageError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, so nothing was written",
            hint=f"move {there[0]} away, then: devenv init",
        )
    made: list[Path] = []
    try:
        for name, text in files.items():
            make_folders(root, root / name, made)
            with open(os.open(root / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
                made.append(root / name)
                file.write(text)
    except OSError as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise UsageError(f"{root} cannot be written, so nothing was kept", detail=str(error)) from None


def make_folders(root: Path, file: Path, made: list[Path]) -> None:
    """The missing folders above a file. OSError when one of them is a link, and so may lie elsewhere."""
    for folder in reversed(file.parents):
        if not folder.is_relative_to(root) or folder == root:
            continue
        if folder.is_symlink():
            raise OSError(f"{folder} is a symbolic link, which devenv does not follow")
        if not folder.is_dir():
            folder.mkdir()
            made.append(folder)
