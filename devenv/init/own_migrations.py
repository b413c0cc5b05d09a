"""Migrations that a program of the project runs, `npm run migrate` or `make migrate`, from a folder of SQL. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from devenv.core.late import late
from devenv.init.listing import SCRIPTS
from devenv.init.manifests import PackageFile
from devenv.init.step_commands import BACK, MIGRATES, PROGRAM, StepCommand, packages_of

TARGET: Final = late(r"^([\w-]+)\s*:(?!=)[^\n]*\n((?:[\t ]+[^\n]*\n?)+)", re.MULTILINE)
NAMED: Final = late(r"[\w@./-]+\.(?:py|[cm]?[jt]s)\b")
# What lists the files of a folder.
LISTS: Final = late(r"\b(?:readdir(?:Sync)?|glob(?:Sync)?|iglob|rglob|iterdir|listdir|scandir|walk)\b")


def own_migrations(
    names: Sequence[str], texts: Mapping[str, str], manifests: Iterable[PackageFile], makefile: str
) -> tuple[str, str, StepCommand] | None:
    """(program, folder, command) of the project's own migrations; None without a program that lists a folder's SQL."""
    folders = {str(PurePosixPath(name).parent) for name in names if name.endswith(".sql")}
    for program, command in (*of_packages(manifests), *of_makefile(makefile)):
        text = texts.get(program, "")
        if not LISTS.search(text):
            continue
        read = [folder for folder in sorted(folders, key=lambda each: -len(each)) if is_named(folder, program, text)]
        if len(read) == 1:
            return program, read[0], command
    return None


def is_named(folder: str, program: str, text: str) -> bool:
    """Return True if a program has a folder's path among its texts, from its own place or from the project's folder."""
    if folder == ".":
        return False
    here = posixpath.dirname(program)
    parts = PurePosixPath(folder).parts
    for found in re.findall(r"['\"`]([\w@./-]+)['\"`]", text):
        paths = {posixpath.normpath(posixpath.join(start, found)) for start in ("", here)}
        # `path.join(__dirname, "..", "db", "migrations")` has its last part alone.
        if folder in paths or found.strip("/") == parts[-1] or posixpath.dirname(posixpath.normpath(found)) == folder:
            return True
    return False


def of_packages(manifests: Iterable[PackageFile]) -> Iterator[tuple[str, StepCommand]]:
    """(program, command) of the scripts of package.json that are called after migrations."""
    for manifest in packages_of(manifests):
        for name, script in manifest.scripts.items():
            if not MIGRATES.search(name) or BACK.search(f"{name} {script}"):
                continue
            for word in PROGRAM.findall(script):
                program = posixpath.normpath(posixpath.join(manifest.folder, word))
                evidence = f'{manifest.file}, script "{name}"'
                yield program, StepCommand(("npm", "run", name), manifest.folder, (program,), evidence)


def of_makefile(text: str) -> Iterator[tuple[str, StepCommand]]:
    """(program, command) of the targets of a Makefile that are called after migrations."""
    for target in TARGET.finditer(text):
        if not MIGRATES.search(target[1]) or BACK.search(target[0]):
            continue
        for word in NAMED.findall(target[2]):
            program = posixpath.normpath(word)
            runs = "node" if program.endswith(SCRIPTS) else "{python}"
            yield program, StepCommand((runs, program), "", (program,), f'Makefile, target "{target[1]}"')
