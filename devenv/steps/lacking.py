"""Packages that a program lacks: which interpreter it ran with, and the command that installs them. Nothing is run."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from devenv.config.dependencies import MODULES, NODE_LOCKS
from devenv.config.interpreter import project_python
from devenv.core.late import late

# The second is what `python -m NAME` says.
PYTHON: Final = late(r"(?:ModuleNotFoundError|^.*python[\w.]*): No module named '?(\w+)", re.MULTILINE)
NODE: Final = late(r"Cannot find (?:module|package) '([^'./][^']*)'")
# The answers of DynamoDB and of DynamoDB Local for a table that is not there, and how programs name a table.
NO_TABLE: Final = late(r"ResourceNotFoundException|non-existent table")
# Postgres' words: relation "users" already exists, type "state" already exists.
EXISTS: Final = late(
    r"\b(relation|type|function|schema|constraint|trigger|index|view|extension|column|policy) (\"[^\"]{1,120}\")"
    r"(?: (?:of|for) relation \"[^\"]{1,120}\")? already exists"
)
NAMED: Final = late(r"""(?:TableName['"]?\s*[:=]|\bTable\()\s*['"]([\w.-]{3,255})['"]""")
NAME: Final = late(r"[\w.-]{3,255}")
SHOWN: Final = 3
BYTES: Final = 200_000
# Files that say which packages a project needs, the most exact first.
LOCKS: Final = ("uv.lock", "poetry.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml")
ENVIRONMENT: Final = ".venv/bin/python"
PREPARE: Final = "devenv up --prepare"


def explain_lacking(root: Path, said: str, python: str) -> tuple[str, str] | None:
    """(cause, hint) for a program that ended because a package is not there; None for any other end.

    `python` is the interpreter that `{python}` stands for. A module of the project itself is no package.
    """
    if found := PYTHON.search(said):
        name = found[1]
        if any((root / place).exists() for place in (name, f"{name}.py")):
            return None
        return f"{python} has no package {name}", python_hint(root)
    if found := NODE.search(said):
        name = found[1]
        folder = next((each for each in folders(root) if (each / "package.json").is_file()), root)
        words = "npm ci" if (folder / "package-lock.json").is_file() else "npm install"
        if not (folder / MODULES).exists() and any((folder / lock).is_file() for lock, _ in NODE_LOCKS):
            return f"the package {name} is not installed", PREPARE
        place = "" if folder == root else f"cd {folder.relative_to(root)} && "
        return f"the package {name} is not installed", f"{place}{words}, then: devenv up"
    return None


def explain_existing(said: str) -> tuple[str, str] | None:
    """(cause, hint) for a setup that creates what an earlier setup made; None for any other end."""
    if not (found := EXISTS.search(said)):
        return None
    return (
        f"the database already has {found[1]} {found[2]}: an earlier setup, or another program, created it",
        "devenv setup (rebuilds the database; all data in it is lost)",
    )


def explain_table(
    said: str, programs: Iterable[Path], environ: Mapping[str, str], made: bool
) -> tuple[str, str] | None:
    """(cause, hint) for a program that asked for a table of DynamoDB that is not there; None for any other end.

    `made`: the project declares how its tables are made.
    """
    if not NO_TABLE.search(said):
        return None
    names = {value: None for name, value in environ.items() if "TABLE" in name and NAME.fullmatch(value)}
    for file in programs:
        with contextlib.suppress(OSError):
            names |= dict.fromkeys(NAMED.findall(file.read_text(errors="replace")[:BYTES]))
    shown = f" (it names {', '.join([*names][:SHOWN])})" if names else ""
    if made:
        return f"it uses a table that does not exist{shown}", "devenv ddb list-tables"
    return (
        f"it uses a table that does not exist{shown}: [steps.schema-load] is not declared, so devenv created none",
        'in devenv.toml: [steps.schema-load] files = ["TABLE.json"], or command = ["node", "create-table.js"]',
    )


def folders(root: Path) -> list[Path]:
    """The project's folder and those in it, hidden ones aside."""
    try:
        inner = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        inner = []
    return [root, *(path for path in inner if path.name != "node_modules")]


def missing_interpreter(root: Path, program: str) -> str | None:
    """The command that makes the environment of a Python that does not exist; None for another program."""
    path = Path(program)
    if path.name.startswith("python") and path.is_absolute() and not path.exists():
        return python_hint(root)
    return None


def python_hint(root: Path) -> str:
    """How to make an environment with the project's packages, and how to name it."""
    file = next((each / lock for lock in LOCKS for each in folders(root) if (each / lock).is_file()), None)
    several = any((each / "requirements").is_dir() and not project_python(each) for each in folders(root))
    if several and (file is None or file.name == "pyproject.toml") and project_python(root) is None:
        return PREPARE
    if file is None:
        make = "python3 -m venv .venv && .venv/bin/pip install …"
    else:
        if file.name != "pyproject.toml" and not any(map(project_python, (root, file.parent))):
            return PREPARE
        place = file.relative_to(root).as_posix()
        into = "" if file.parent == root else f"cd {file.parent.relative_to(root)} && "
        make = {
            "uv.lock": f"{into}uv sync",
            "poetry.lock": f"{into}POETRY_VIRTUALENVS_IN_PROJECT=1 poetry install",
            "Pipfile.lock": f"{into}PIPENV_VENV_IN_PROJECT=1 pipenv sync",
            "requirements.txt": f"python3 -m venv .venv && .venv/bin/pip install -r {place}",
            "pyproject.toml": f"python3 -m venv .venv && .venv/bin/pip install ./{into and file.parent.name}",
        }[file.name]
        if file.name == "uv.lock" and shutil.which("uv") is None:
            make = f"python3 -m venv .venv && .venv/bin/pip install ./{into and file.parent.name}"
        if into and make.startswith("cd "):
            return f'{make}, then in devenv.toml: [backend] python = "{file.parent.relative_to(root)}/{ENVIRONMENT}"'
    return f'{make}, then in devenv.toml: [backend] python = "{ENVIRONMENT}"'
