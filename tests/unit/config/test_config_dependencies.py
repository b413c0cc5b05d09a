"""Which environment a lock file describes, and the commands that make it."""

from __future__ import annotations

import pytest

from devenv.config.dependencies import (
    Folder,
    kinds_of,
    lock_hash,
    prepare_node,
    prepare_python,
    requirement_files,
    upward,
)
from devenv.config.interpreter import BIN

MAKE = "python3 -m venv .venv"
PIP = f".venv/{BIN}/python -m pip install --disable-pip-version-check --no-input"


def folder(*names: str, path: str = "") -> Folder:
    return Folder(path, frozenset(names))


@pytest.mark.parametrize(
    ("names", "tools", "commands"),
    [
        (["requirements.txt"], [], [MAKE, f"{PIP} -r requirements.txt"]),
        (
            ["requirements.txt"],
            ["uv"],
            ["uv venv --quiet .venv", f"uv pip install --python .venv/{BIN}/python -r requirements.txt"],
        ),
        (["uv.lock", "pyproject.toml"], ["uv"], ["UV_PROJECT_ENVIRONMENT=.venv uv sync --frozen"]),
        (
            ["poetry.lock", "requirements.txt"],
            ["poetry", "uv"],
            [f"VIRTUAL_ENV=.venv {MAKE}", "VIRTUAL_ENV=.venv poetry install --no-interaction"],
        ),
        (["poetry.lock", "requirements.txt"], [], [MAKE, f"{PIP} -r requirements.txt"]),
        (
            ["Pipfile.lock"],
            ["pipenv"],
            [f"VIRTUAL_ENV=.venv PIPENV_VERBOSITY=-1 {each}" for each in (MAKE, "pipenv sync")],
        ),
        (
            ["requirements/base.txt", "requirements/dev.txt", "requirements/docs.txt"],
            [],
            [MAKE, f"{PIP} -r requirements/base.txt -r requirements/dev.txt"],
        ),
    ],
)
def test_commands_of_python(names: list[str], tools: list[str], commands: list[str]) -> None:
    found = prepare_python(folder(*names), ".venv", tools, "python3")
    assert found is not None
    assert found.shown() == commands
    assert found.lacks is None


@pytest.mark.parametrize(("lock", "tool"), [("uv.lock", "uv"), ("poetry.lock", "poetry"), ("Pipfile.lock", "pipenv")])
def test_a_tool_that_is_not_there_is_named(lock: str, tool: str) -> None:
    found = prepare_python(folder(lock, "pyproject.toml"), ".venv", (), "python3")
    assert found is not None
    assert found.lacks == tool


def test_a_lock_below_is_used_in_its_folder() -> None:
    found = prepare_python(folder("requirements.txt", path="api"), ".venv", (), "python3")
    assert found is not None
    assert found.locks == ("api/requirements.txt",)
    assert found.shown()[0] == "cd api && python3 -m venv ../.venv"


@pytest.mark.parametrize("names", [[], ["pyproject.toml"], ["requirements/docs.txt", "requirements/lint.txt"]])
def test_no_lock_no_plan(names: list[str]) -> None:
    assert prepare_python(folder(*names), ".venv", ["uv"], "python3") is None
    assert prepare_node(folder(*names, "package.json"), ["npm"]) is None


@pytest.mark.parametrize(
    ("names", "tools", "command", "lacks"),
    [
        (["package-lock.json"], ["npm"], "npm ci --no-audit --no-fund --loglevel http", None),
        (["yarn.lock"], ["yarn", "npm"], "yarn install --frozen-lockfile", None),
        (["yarn.lock", ".yarnrc.yml"], ["yarn"], "yarn install --immutable", None),
        (["pnpm-lock.yaml"], ["npm"], "pnpm install --frozen-lockfile", "pnpm"),
        (["package-lock.json"], [], "npm ci --no-audit --no-fund --loglevel http", "npm"),
    ],
)
def test_commands_of_node(names: list[str], tools: list[str], command: str, lacks: str | None) -> None:
    found = prepare_node(folder(*names, path="web"), tools)
    assert found is not None
    assert found.target == "web/node_modules"
    assert found.shown() == [f"cd web && {command}"]
    assert found.lacks == lacks


def test_packages_in_zip_files_are_no_folder() -> None:
    assert prepare_node(folder("yarn.lock", ".yarnrc.yml", ".pnp.cjs"), ["yarn"]) is None


@pytest.mark.parametrize(
    ("words", "line", "kinds"),
    [
        (["{python}", "-m", "flask"], "", {"python"}),
        (["node", "api/seed.mjs"], "", {"node"}),
        (["npx", "knex", "migrate:latest"], "", {"node"}),
        (["bin/seed"], "#!/usr/bin/env python3", {"python"}),
        (["bin/seed"], "#!/usr/bin/env -S node --no-warnings", {"node"}),
        (["bin/seed"], "#!/bin/sh", {"node", "python"}),
        (["go", "run", "."], "", set()),
        (["./mvnw", "spring-boot:run"], "", set()),
    ],
)
def test_what_a_command_needs(words: list[str], line: str, kinds: set[str]) -> None:
    assert kinds_of(words, line) == kinds


def test_the_digest_follows_included_files_and_nothing_else() -> None:
    files = {"api/requirements.txt": "-r ../base.txt\n--constraint=limits.txt\na==1\n", "base.txt": "b==1", "other": ""}
    first = lock_hash(["api/requirements.txt"], files.get)
    assert lock_hash(["api/requirements.txt"], {**files, "other": "x"}.get) == first
    for name in ("api/requirements.txt", "base.txt", "api/limits.txt"):
        assert lock_hash(["api/requirements.txt"], {**files, name: "c==1"}.get) != first


def test_files_that_include_each_other_end() -> None:
    assert lock_hash(["a.txt"], {"a.txt": "-r b.txt", "b.txt": "-r a.txt"}.get)


def test_the_project_s_own_file_comes_before_those_of_a_folder() -> None:
    assert requirement_files({"requirements.txt", "requirements/dev.txt"}) == ("requirements.txt",)
    assert requirement_files({"requirements/production.txt"}) == ("requirements/production.txt",)


@pytest.mark.parametrize(
    ("path", "places"),
    [("", [""]), (".", [""]), ("a/b", ["a/b", "a", ""]), ("./a/", ["a", ""]), ("/usr/bin", ["/usr/bin", "/usr", ""])],
)
def test_folders_upward(path: str, places: list[str]) -> None:
    assert list(upward(path)) == places
