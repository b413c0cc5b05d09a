"""The project's own Python and programs: virtual environments of every kind, and node_modules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from devenv.core.late import late

FOLDERS: Final = (".venv", "venv", "env", ".env")
CONDA: Final = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", ".conda")
# Tools that keep the environment elsewhere: what shows that a project uses them, and what prints its interpreter.
ASKED: Final = (("poetry.lock", ("poetry", "env", "info", "--executable")), ("Pipfile", ("pipenv", "--py")))
PATIENCE_S: Final = 10.0
INSTALLERS: Final = late(r"(pip|setuptools|wheel)-", re.IGNORECASE)
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")


@cache
def project_python(root: Path) -> Path | None:
    """The interpreter of the project's own environment; None when it has none."""
    for folder in FOLDERS:
        found = root / folder / BIN / f"python{EXE}"
        if (root / folder / "pyvenv.cfg").is_file() and found.exists():
            return found
    return conda_python(root) or asked_python(root)


def conda_python(root: Path) -> Path | None:
    """The interpreter of the environment that environment.yml names."""
    for name in ("environment.yml", "environment.yaml"):
        try:
            found = re.search(r"^name:\s*['\"]?([\w.-]+)", (root / name).read_text("utf-8", "replace"), re.MULTILINE)
        except OSError:
            continue
        for base in CONDA if found else ():
            python = Path.home() / base / "envs" / found[1] / ("python.exe" if EXE else "bin/python")  # type: ignore[index]
            if python.exists():
                return python
    return None


def asked_python(root: Path) -> Path | None:
    """The interpreter that poetry or pipenv names. None when the tool is not there, or has installed nothing yet."""
    for file, command in ASKED:
        if not (root / file).is_file() or shutil.which(command[0]) is None:
            continue
        try:
            ran = subprocess.run(
                command,
                cwd=root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        lines = ran.stdout.strip().splitlines()
        if ran.returncode == 0 and lines and has_packages(Path(lines[-1])):
            return Path(lines[-1])
    return None


def has_packages(python: Path) -> bool:
    """Return True unless it is of an empty virtual environment, as `poetry lock` and `pipenv lock` leave one."""
    home = python.parent.parent
    if not python.is_file() or not (home / "pyvenv.cfg").is_file():
        return python.is_file()
    found = [*home.glob("lib/python*/site-packages/*.dist-info"), *home.glob("Lib/site-packages/*.dist-info")]
    return any(not INSTALLERS.match(folder.name) for folder in found)


def with_programs(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The variables with the project's own programs first on PATH, as in a shell in which its environment is active."""
    first = []
    changed = dict(environ)
    if python := project_python(root):
        first.append(str(python.parent))
        if (python.parent.parent / "pyvenv.cfg").is_file():
            changed["VIRTUAL_ENV"] = str(python.parent.parent)
            changed.pop("PYTHONHOME", None)
    if (root / "node_modules" / ".bin").is_dir():
        first.append(str(root / "node_modules" / ".bin"))
    changed["PATH"] = os.pathsep.join([*first, environ.get("PATH", os.defpath)])
    return changed
