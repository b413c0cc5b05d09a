"""The environment that a project's lock file describes: which tool makes it, where, and with which commands. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from devenv.config.interpreter import BIN
from devenv.core.late import late

Kind = Literal["python", "node"]
VENV: Final = ".venv"
PROGRAM: Final = f"{{target}}/{BIN}/python"
MODULES: Final = "node_modules"
# Exact lock files of Python with the tool that each needs, the most exact first; requirements files come after them.
PYTHON_LOCKS: Final = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("Pipfile.lock", "pipenv"))
NODE_LOCKS: Final = (("package-lock.json", "npm"), ("yarn.lock", "yarn"), ("pnpm-lock.yaml", "pnpm"))
# Of several files in requirements/, the one for development, and the one that it builds on.
FOR_WORK: Final = ("local", "dev", "develop", "development")
COMMON: Final = ("base", "common", "requirements", "main", "prod", "production")
TOOLS: Final = ("uv", "poetry", "pipenv", "npm", "yarn", "pnpm")
GET_TOOL: Final = {
    "uv": "pipx install uv",
    "poetry": "pipx install poetry",
    "pipenv": "pipx install pipenv",
    "npm": "install Node.js, which brings npm",
    "yarn": "npm install --global yarn",
    "pnpm": "npm install --global pnpm",
}
# Lines of a requirements file that name another one.
INCLUDED: Final = late(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(\S+)", re.MULTILINE)
PYTHON_WORD: Final = late(
    r"\{python\}|python[\d.]*|flask|uvicorn|gunicorn|hypercorn|alembic|celery|django-admin|uv|poetry|pipenv|.*\.py"
)
NODE_WORD: Final = late(r"node|npm|npx|yarn|pnpm|tsx|ts-node|nodemon|knex|prisma|next|nest|vite|.*\.[cm]?[jt]sx?")
OTHER_WORD: Final = late(r"go|java|mvnw?|gradlew?|ruby|bundle|rails|rake|cargo|dotnet|php|.*\.jar")


class Folder(msgspec.Struct, frozen=True):
    """A folder of the project: its path relative to the project ("" is the project's own), and names of files in it.

    Files of `requirements/` are named `requirements/dev.txt`.
    """

    path: str
    files: frozenset[str]

    def at(self, name: str) -> str:
        """The path of a file in it, relative to the project."""
        return posixpath.join(self.path, name)


class Preparation(msgspec.Struct, frozen=True):
    """One environment to make: `target` is its folder; the commands run in `folder`. Paths are relative to the project.

    `{target}` in commands and variables is the absolute path of the target. `lacks` is the tool that is not installed;
    the commands then cannot run.
    """

    target: str
    folder: str
    locks: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    variables: Mapping[str, str] = {}
    lacks: str | None = None

    def shown(self) -> list[str]:
        """The commands as a person reads them."""
        inside = posixpath.relpath(self.target, self.folder or ".")
        into = f"cd {self.folder} && " if self.folder else ""
        names = "".join(f"{name}={value.replace('{target}', inside)} " for name, value in self.variables.items())
        return [into + names + " ".join(word.replace("{target}", inside) for word in words) for words in self.commands]


def kinds_of(words: Sequence[str], first_line: str = "") -> set[Kind]:
    """The environments that a command may need; both where its words do not tell.

    `first_line` is that of its script.
    """
    names = [posixpath.basename(word) for word in words]
    if "python" in first_line:
        return {"python"}
    if "node" in first_line:
        return {"node"}
    found: set[Kind] = set()
    if any(PYTHON_WORD.fullmatch(name) for name in names):
        found.add("python")
    if any(NODE_WORD.fullmatch(name) for name in names):
        found.add("node")
    if found or any(OTHER_WORD.fullmatch(name) for name in names):
        return found
    return {"python", "node"}


def prepare_python(folder: Folder, target: str, tools: Collection[str], python: str) -> Preparation | None:
    """How to make a virtual environment at `target`; None when the folder has no lock or requirements file.

    `python` is the interpreter that makes it where the tool does not.
    """
    make = (python, "-m", "venv", "{target}")
    inside = (PROGRAM, "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    active = {"VIRTUAL_ENV": "{target}"}
    commands: Mapping[str, tuple[tuple[tuple[str, ...], ...], Mapping[str, str]]] = {
        "uv": ((("uv", "sync", "--frozen"),), {"UV_PROJECT_ENVIRONMENT": "{target}"}),
        "poetry": ((make, ("poetry", "install", "--no-interaction")), active),
        "pipenv": ((make, ("pipenv", "sync")), {**active, "PIPENV_VERBOSITY": "-1"}),
    }
    lacking = None
    for lock, tool in PYTHON_LOCKS:
        if lock in folder.files:
            found = Preparation(target, folder.path, (folder.at(lock),), *commands[tool])
            if tool in tools:
                return found
            lacking = lacking or Preparation(target, folder.path, found.locks, *commands[tool], lacks=tool)
    if not (files := requirement_files(folder.files)):
        return lacking
    named = tuple(word for file in files for word in ("-r", file))
    if "uv" in tools:
        steps = (
            ("uv", "venv", "--quiet", "{target}"),
            ("uv", "pip", "install", "--python", PROGRAM, *named),
        )
    else:
        steps = (make, (*inside, *named))
    return Preparation(target, folder.path, tuple(map(folder.at, files)), steps)


def prepare_node(folder: Folder, tools: Collection[str]) -> Preparation | None:
    """How to fill the folder's node_modules; None when it has no lock file, or keeps its packages elsewhere."""
    if ".pnp.cjs" in folder.files:
        return None
    commands = {
        "npm": ("npm", "ci", "--no-audit", "--no-fund", "--loglevel", "http"),
        "yarn": ("yarn", "install", "--immutable" if ".yarnrc.yml" in folder.files else "--frozen-lockfile"),
        "pnpm": ("pnpm", "install", "--frozen-lockfile"),
    }
    for lock, tool in NODE_LOCKS:
        if lock in folder.files:
            lacks = None if tool in tools else tool
            target = folder.at(MODULES)
            return Preparation(target, folder.path, (folder.at(lock),), (commands[tool],), lacks=lacks)
    return None


def requirement_files(names: Collection[str]) -> tuple[str, ...]:
    """The requirements files to install from: `requirements.txt`, else those of `requirements/` for development."""
    if "requirements.txt" in names:
        return ("requirements.txt",)
    inside = sorted(name for name in names if posixpath.dirname(name) == "requirements")
    by_stem = {posixpath.splitext(posixpath.basename(name))[0].lower(): name for name in inside}
    common = next((by_stem[stem] for stem in COMMON if stem in by_stem), None)
    work = next((by_stem[stem] for stem in FOR_WORK if stem in by_stem), None)
    if chosen := tuple(name for name in (common, work) if name):
        return chosen
    return tuple(inside) if len(inside) == 1 else ()


def upward(path: str) -> Iterator[str]:
    """A folder of the project and those above it, up to the project's own ("")."""
    path = "" if path == "." else posixpath.normpath(path) if path else ""
    # An absolute path ends at "/", whose folder is "/" again.
    while path.strip("/"):
        yield path
        path = posixpath.dirname(path)
    yield ""


def lock_hash(locks: Sequence[str], read: Callable[[str], str | None]) -> str:
    """One digest of the lock files, and of the files that requirements files name. `read` gives a file's text."""
    digest = hashlib.sha256()
    pending, seen = list(locks), set[str]()
    while pending:
        name = pending.pop(0)
        if name in seen or name.startswith("../"):
            continue
        seen.add(name)
        text = read(name)
        digest.update(f"{name}\0{text}\0".encode("utf-8", "surrogatepass"))
        if text and name.endswith(".txt"):
            pending += [
                posixpath.normpath(posixpath.join(posixpath.dirname(name), at)) for at in INCLUDED.findall(text)
            ]
    return digest.hexdigest()
