"""`devenv self`: how devenv was installed, what an update or a removal changes, and what is kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devenv import __version__
from devenv.config.load import cache_folder
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report
from devenv.host.files import size_of
from devenv.host.git import read_commit
from devenv.host.installation import (
    DISTRIBUTION,
    Installation,
    completion_files,
    read_installation,
    spoken,
    tool_missing,
)
from devenv.host.trust import sql_folder, trust_folder
from devenv.lifecycle.projects import KnownProject, read_all


@dataclass(frozen=True)
class Handover:
    """One change of the installation: the report to print first, and the command that then takes over."""

    report: Report
    command: Sequence[str]


def show_installation() -> Report:
    """`devenv self`: version, kind of installation, the commands that update and remove it, and what it keeps."""
    found = read_installation()
    return Report("self", None, Exit.DONE, {**describe(found), "folders": folders(read_all(cache_folder()))})


def describe(found: Installation) -> dict[str, Any]:
    """An installation for a report."""
    update, remove = found.update(), found.remove()
    return {
        "version": __version__,
        "distribution": DISTRIBUTION,
        "kind": found.kind,
        "environment": str(found.prefix),
        "source": found.source,
        "python": sys.executable,
        "update": spoken(update) if update else clone_update(found),
        "remove": spoken(remove) if remove else f"rm -rf {found.prefix}",
    }


def clone_update(found: Installation) -> str:
    """The command that updates a clone."""
    root = found.source.removeprefix("file://")
    return f"git -C {root} pull && make -C {root} up"


def folders(projects: Sequence[KnownProject]) -> list[dict[str, Any]]:
    """The folders that devenv keeps outside of its own package: parts, trust, and the data of each project."""
    kept = (
        (cache_folder(), "parts that were fetched"),
        (trust_folder(), "folders that are trusted"),
        (sql_folder(), "SQL files that were checked for trust"),
    )
    found = [{"path": str(path), "what": what, "bytes": size_of(path)} for path, what in kept if path.is_dir()]
    found += [
        {"path": str(file), "what": "completion of a shell", "bytes": size_of(file)}
        for file in completion_files(Path.home(), os.environ)
    ]
    for project in projects:
        if project.home and Path(project.home).is_dir():
            name = project.name or Path(project.root).name
            found.append({"path": project.home, "what": f"data of {name}", "bytes": size_of(Path(project.home))})
        state = Path(project.root) / ".devstate"
        if str(state) != project.home and state.is_dir():
            found.append({"path": str(state), "what": "state and logs", "bytes": size_of(state)})
    return found


def plan_update() -> Handover:
    """The command of `self update`. UsageError for a clone, which git updates."""
    found = read_installation()
    command = found.update()
    if command is None:
        raise UsageError("this devenv runs from a clone, which git updates", hint=clone_update(found))
    require_tool(command)
    body = {**describe(found), "runs": spoken(command), "action": "update", "from": describe_checkout(found.checkout)}
    return Handover(Report("self", None, Exit.DONE, body), command)


def describe_checkout(checkout: Path | None) -> dict[str, Any] | None:
    """The folder that the code comes from, its commit, and how many of its files differ from the installed ones."""
    if checkout is None:
        return None
    installed = Path(__file__).parents[1]
    files = {file.relative_to(checkout / installed.name) for file in (checkout / installed.name).rglob("*.py")}
    differ = sum(not same_file(installed / file, checkout / installed.name / file) for file in files)
    return {"path": str(checkout), "commit": read_commit(checkout), "files": len(files), "differ": differ}


def same_file(one: Path, other: Path) -> bool:
    """Return True if both files can be read and have the same content."""
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def plan_removal() -> Handover:
    """The command of `self uninstall`, what it stops first, and the folders that stay. UsageError for a clone."""
    found = read_installation()
    projects = read_all(cache_folder())
    command = found.remove()
    if command is None:
        raise UsageError("this devenv runs from a clone: its folder is yours to delete", hint=f"rm -rf {found.prefix}")
    require_tool(command)
    stays = folders(projects)
    if found.kind == "environment":
        what = "the virtual environment, with the packages that devenv needed"
        stays.append({"path": str(found.prefix), "what": what, "bytes": size_of(found.prefix)})
    up = [project for project in projects if project.services]
    stops = [project.root for project in up if project.prefix in ("", sys.prefix)]
    others = [{"path": project.root, "environment": project.prefix} for project in up if project.root not in stops]
    body = {**describe(found), "runs": spoken(command), "action": "uninstall", "stops": stops, "folders": stays}
    body["left_running"] = others
    return Handover(Report("self", None, Exit.DONE, body), command)


def require_tool(command: Sequence[str]) -> None:
    """DevenvError (10) if the program that installed devenv is gone."""
    if tool_missing(command):
        raise DevenvError(
            f"{command[0]} installed this devenv, and is not on PATH",
            exit_code=Exit.MISSING,
            hint=f"put {command[0]} on PATH, then: {spoken(command)}",
        )
