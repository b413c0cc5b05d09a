"""The files of a folder that `init` reads: breadth first, limited per folder, without files that tools generated."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path, PurePath
from typing import Final

import msgspec

from devenv.core.late import late
from devenv.host.files import SKIPPED

# What builds, package managers and editors fill, in whatever language.
MADE: Final = SKIPPED | {
    *("build", "dist", "out", "target", "obj", ".next", ".nuxt", ".svelte-kit", ".output", ".turbo", ".nx"),
    *("vendor", "bower_components", "third_party", "site-packages", "Pods", ".bundle", ".yarn", ".pnpm-store"),
    *(".aws-sam", "cdk.out", ".serverless", ".terraform", ".gradle", ".mvn", ".parcel-cache", ".cache", ".direnv"),
    *(".pytest_cache", "coverage", "htmlcov", ".nyc_output", ".idea", ".vscode", ".vs", ".hg", ".svn", ".eggs"),
}
# A virtual environment of Python, by what is in it.
ENVIRONMENT: Final = "env"
OF_PYTHON: Final = ("pyvenv.cfg", "bin", "Scripts", "lib")
MOST_IN_FOLDER: Final = 500
SCRIPTS: Final = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")
# Languages whose functions run by a command, not in devenv's runner.
COMPILED: Final = (".go",)
# Of these languages devenv knows no way to call one function.
UNCALLED: Final = (".php", ".java", ".kt", ".cs")
NO_PROGRAM: Final = late(r"\.(test|spec|d|min|config)\.[cm]?[jt]s$")


class FolderFiles(msgspec.Struct, frozen=True):
    """Paths relative to the folder, the upper ones first. `left_out` says where there are more."""

    files: tuple[PurePath, ...]
    left_out: tuple[str, ...] = ()


def list_widely(root: Path, most: int, most_in_folder: int = MOST_IN_FOLDER) -> FolderFiles:
    """The regular files below `root`, at most `most`. Links are not followed; a folder that cannot be read has none."""
    found: list[PurePath] = []
    left_out: list[str] = []
    waiting = deque([root])
    while waiting:
        folder = waiting.popleft()
        try:
            with os.scandir(folder) as entries:
                here = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        files = [entry for entry in here if entry.is_file(follow_symlinks=False)]
        if len(files) > most_in_folder:
            name = folder.relative_to(root).as_posix()
            left_out.append(f"{name}: more than {most_in_folder} files: the rest was not read")
        for entry in files[:most_in_folder]:
            if len(found) == most:
                return FolderFiles(tuple(found), (f"more than {most} files: the rest was not read", *left_out))
            found.append(Path(entry.path).relative_to(root))
        waiting.extend(Path(e.path) for e in here if is_entered(e))
    return FolderFiles(tuple(found), tuple(left_out))


def is_entered(entry: os.DirEntry[str]) -> bool:
    """Return True for a folder in which people keep what they wrote."""
    if entry.name == ENVIRONMENT:
        # Also the usual name of a folder with variables.
        inside = not any(os.path.exists(os.path.join(entry.path, name)) for name in OF_PYTHON)
        return entry.is_dir(follow_symlinks=False) and inside
    return entry.name not in MADE and not entry.name.endswith(".egg-info") and entry.is_dir(follow_symlinks=False)


def is_script(name: str) -> bool:
    """Return True if a file is JavaScript or TypeScript that a project runs; tests and declarations are none."""
    parts = name.split("/")
    return (
        name.endswith(SCRIPTS)
        and not NO_PROGRAM.search(parts[-1])
        and not {"test", "tests", "__tests__", "spec"} & set(parts)
    )
