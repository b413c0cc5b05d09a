"""The folder and name that a script of Python runs by, where it imports modules of its project. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath


def module_of(
    file: str, packages: Collection[str], names: Collection[str], *, relative: bool = False
) -> tuple[str, str] | None:
    """(folder, module) for `python -m`; None for a script that finds all of its imports beside itself.

    `packages` are the first words of its absolute imports, `relative` those by dots, `names` all files of the project.
    """
    path = PurePosixPath(file)
    parts = path.parts[:-1] if path.name == "__main__.py" else (*path.parts[:-1], path.stem)
    folders = [PurePosixPath(*path.parts[:depth]) for depth in range(len(path.parts))]
    # Not those beside it, which Python finds by itself.
    lacking = [name for name in packages if not is_module(folders[-1], name, names)]
    for depth, folder in enumerate(folders[:-1]):
        inside = any(is_module(folder, name, names) for name in lacking)
        package = f"{PurePosixPath(*path.parts[: depth + 1])}/__init__.py" in names
        module = ".".join(parts[depth:])
        if (inside or (relative and package)) and re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module):
            return "" if depth == 0 else str(folder), module
    if relative and len(parts) > 1:
        # A package without __init__.py.
        return "/".join(path.parts[:-2]) if len(path.parts) > 2 else "", ".".join(parts[-2:])
    return None


def is_module(folder: PurePosixPath, name: str, names: Collection[str]) -> bool:
    """Return True if a folder has a module or a package of this name."""
    place = "" if str(folder) == "." else f"{folder}/"
    return f"{place}{name}.py" in names or any(
        each.startswith(f"{place}{name}/") and each.endswith(".py") for each in names
    )
