"""Reads devenv.toml and the variables that override it: the settings, and the origin of each value."""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from devenv.config.parse import SECTIONS, check_variables, parse, read_toml, schema
from devenv.config.schema import FILE, Project, Settings
from devenv.config.wording import in_words
from devenv.core.errors import UsageError

PREFIX = "DEVENV_"
# Further variables of a setting.
SHORT = {"project.engine": (f"{PREFIX}ENGINE",)}
# What values of [env] may use; `{{x}}` stands for `{x}`.
PLACEHOLDERS = (
    "postgres_url", "postgres_host", "postgres_port", "postgres_user", "postgres_password", "postgres_database",
    "dynamodb_url", "dynamodb_host", "dynamodb_port", "backend_url", "region", "access_key", "secret_key", "key",
)  # fmt: skip


class Loaded(msgspec.Struct, frozen=True):
    """Settings of one project folder. `origins` maps dotted keys to where the value came from."""

    root: Path
    settings: Settings
    origins: Mapping[str, str]


def load_for_stopping(project: Path | None = None) -> Loaded:
    """Settings for what must work whatever stands in devenv.toml: when it is not usable, defaults for its folder.

    A mistake in the file must not keep its services from being stopped.
    """
    try:
        return load(project)
    except UsageError:
        root = find_root(Path.cwd()) if project is None else project.resolve()
        if not (root / FILE).is_file():
            raise
        return Loaded(root, Settings(project=Project(name=root.name)), {})


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a devenv.toml. UsageError when there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UsageError(
        f"no {FILE} in {start} or any folder above it",
        hint="devenv init  (creates a devenv.toml here), or go to your project's folder, or pass --project DIR",
    )


def check_path(root: Path) -> None:
    """UsageError for a folder whose path has no UTF-8, in which state and reports name it."""
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the path {os.fsencode(root)!r} cannot be read as {sys.getfilesystemencoding()}",
            detail="devenv writes the folder's path into its files and reports, as UTF-8",
            hint="rename the folder; if only the locale is wrong: export PYTHONUTF8=1 LC_ALL=C.UTF-8",
        ) from None


def locate(project: Path | None) -> Path:
    """The project's folder: `project`, or the nearest one above the working folder. UsageError when there is none."""
    if project is None:
        return find_root(Path.cwd())
    if (project / FILE).is_file():
        return project.resolve()
    raise UsageError(
        f"no {FILE} in {project}",
        hint=f"devenv init --project {shlex.quote(str(project))}, or name the folder that holds it",
    )


def load(project: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read `project`/devenv.toml (default: the nearest one above the working folder). UsageError says what is wrong.

    `DEVENV_<SECTION>_<KEY>` in `environ` overrides a plain value: `DEVENV_POSTGRES_PORT=5433`. `DEVENV_ENGINE` is
    short for the one of `[project] engine`.
    """
    environ = os.environ if environ is None else environ
    root = locate(project)
    check_path(root)
    file = root / FILE
    tree = read_toml(file)
    origins: dict[str, str] = dict.fromkeys(flatten(tree), FILE)
    for key, value, variable in overrides(environ):
        section, name = key.split(".")
        # A project without an application does not get one by a variable that is meant for another project.
        part = tree.get(section) if section == "backend" else tree.setdefault(section, {})
        if isinstance(part, dict):
            part[name] = value
            origins[key] = f"${variable}"
    settings = parse(tree, file)
    from devenv.config.references import find_mistakes, refuse

    refuse(find_mistakes(settings), file)
    check_variables(settings, file)
    for key in flatten(msgspec.to_builtins(settings)):
        origins.setdefault(key, "default")
    return Loaded(root, settings, origins)


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where parts are kept once per machine: $DEVENV_CACHE, as root /var/cache/devenv, else the user's cache folder.

    Root's own cache is private to root, and the account that services run as must reach the parts.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get(f"{PREFIX}CACHE"):
        return Path(named).expanduser().resolve()
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/cache/devenv")
    from platformdirs import user_cache_path

    return user_cache_path("devenv", appauthor=False)


def interpreter(settings: Settings, root: Path) -> str:
    """The Python that `{python}` stands for: the named one, that of the project's environment, or devenv's own."""
    from devenv.config.interpreter import project_python

    named = settings.backend.python if settings.backend else None
    if named is None:
        return str(project_python(root) or sys.executable)
    # With a slash it is a place in the project, wherever the command runs; else a program on PATH.
    return str(root / named) if "/" in named else named


def data_home(root: Path) -> Path:
    """Where the project's data lies: its state folder, but as root a folder that an unprivileged account can reach."""
    if os.name == "posix" and os.geteuid() == 0:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        return Path("/var/lib/devenv") / f"{root.name[:32]}-{digest}"
    return root / ".devstate"


def overrides(environ: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    """(dotted key, value, variable) for every DEVENV_<SECTION>_<KEY> that names a plain setting.

    UsageError names the variable whose value does not fit.
    """
    found: list[tuple[str, Any, str]] = []
    given = {variable for variable in environ if variable.startswith(PREFIX)}
    for section, kind in SECTIONS.items() if given else ():
        for field in msgspec.structs.fields(kind):
            key = f"{section}.{field.encode_name}"
            for variable in (f"{PREFIX}{section}_{field.encode_name}".upper(), *SHORT.get(key, ())):
                # Lists and tables have a default factory; they cannot be given by a variable.
                if variable in environ and field.default_factory is msgspec.NODEFAULT:
                    found.append((key, variable_value(environ, variable, key, field.type), variable))
    refuse_unknown(environ, [variable for _, _, variable in found])
    return found


def variable_value(environ: Mapping[str, str], variable: str, key: str, kind: Any) -> Any:
    """A variable as the value of a setting. UsageError when it does not fit."""
    try:
        return msgspec.convert(environ[variable], kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"${variable} is not a valid value for {key}",
            detail=in_words(str(error), schema(), key.split(".")),
            hint=f"unset {variable}",
        ) from None


def refuse_unknown(environ: Mapping[str, str], taken: list[str]) -> None:
    """UsageError for a variable that is meant to be a setting and is none: $DEVENV_POSTGRES_PROT."""
    sections = {name.upper(): kind for name, kind in SECTIONS.items()}
    for variable in environ:
        section, _, key = variable.removeprefix(PREFIX).partition("_")
        if variable.startswith(PREFIX) and key and section in sections and variable not in taken:
            known = [field.encode_name.upper() for field in msgspec.structs.fields(sections[section])]
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean ${PREFIX}{section}_{near[0]}?" if near else f"unset {variable}"
            raise UsageError(f"${variable} is not a setting", hint=hint)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts as {dotted key: leaf}; lists count as leaves."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flatten(value, f"{prefix}.{key}" if prefix else key))
    return flat
