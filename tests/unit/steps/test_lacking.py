"""A program that ends because a package is not there: what is missing, and the one command that installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config.interpreter import has_packages, project_python
from devenv.steps.lacking import explain_lacking, missing_interpreter

THEN = ', then in devenv.toml: [backend] python = ".venv/bin/python"'
MAKE = "python3 -m venv .venv && .venv/bin/pip install {}" + THEN
IN_PROJECT = "POETRY_VIRTUALENVS_IN_PROJECT=1 {}" + THEN

PYTHON = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'colorama.ansi'\n"
NODE = "Error: Cannot find module 'pg'\nRequire stack:\n- /x/seed.js\n"
ESM = "Error [ERR_MODULE_NOT_FOUND]: Cannot find package '@aws-sdk/client-dynamodb' imported from /x/seed.mjs\n"


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["requirements.txt"], "devenv up --prepare"),
        (["app/requirements.txt"], "devenv up --prepare"),
        (["poetry.lock", "pyproject.toml"], "devenv up --prepare"),
        (["requirements/base.txt", "requirements/dev.txt"], "devenv up --prepare"),
        (["pyproject.toml"], MAKE.format("./")),
        ([], MAKE.format("…")),
        # The project has an environment, and the package is not in it.
        ([".venv/pyvenv.cfg", ".venv/bin/python", "requirements.txt"], MAKE.format("-r requirements.txt")),
        ([".venv/pyvenv.cfg", ".venv/bin/python", "poetry.lock"], IN_PROJECT.format("poetry install")),
    ],
)
def test_a_package_of_python(tmp_path: Path, files: list[str], hint: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    project_python.cache_clear()
    found = explain_lacking(tmp_path, PYTHON, "/usr/bin/python3")
    assert found is not None
    assert found[0] == "/usr/bin/python3 has no package colorama"
    assert found[1] == hint


@pytest.mark.parametrize(
    "said", ["/usr/bin/python3: No module named uvicorn", "/opt/a b/python3.11: No module named x"]
)
def test_a_module_that_python_was_to_run(tmp_path: Path, said: str) -> None:
    (tmp_path / "requirements.txt").touch()
    project_python.cache_clear()
    found = explain_lacking(tmp_path, f"{said}\n", "/usr/bin/python3")
    assert found is not None
    assert found[1] == "devenv up --prepare"


def test_an_interpreter_that_does_not_exist_is_made(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    project_python.cache_clear()
    assert missing_interpreter(tmp_path, f"{tmp_path}/.venv/bin/python") == "devenv up --prepare"
    assert missing_interpreter(tmp_path, f"{tmp_path}/bin/serve") is None
    assert missing_interpreter(tmp_path, "python3") is None


@pytest.mark.parametrize(("said", "name"), [(NODE, "pg"), (ESM, "@aws-sdk/client-dynamodb")])
@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ([], "cd api && npm install, then: devenv up"),
        (["package-lock.json"], "devenv up --prepare"),
        (["package-lock.json", "node_modules"], "cd api && npm ci, then: devenv up"),
    ],
)
def test_a_package_of_node(tmp_path: Path, said: str, name: str, more: list[str], hint: str) -> None:
    (tmp_path / "api").mkdir()
    for each in ("package.json", *more):
        (tmp_path / "api" / each).touch()
    assert explain_lacking(tmp_path, said, "python") == (f"the package {name} is not installed", hint)


def test_a_module_of_the_project_and_another_end_are_no_package(tmp_path: Path) -> None:
    (tmp_path / "colorama").mkdir()
    assert explain_lacking(tmp_path, PYTHON, "python") is None
    assert explain_lacking(tmp_path, "Error: Cannot find module './db'\n", "python") is None
    assert explain_lacking(tmp_path, "KeyError: 'x'\n", "python") is None


@pytest.mark.parametrize(("package", "whole"), [("pip-25.0", False), ("setuptools-80", False), ("flask-3.1", True)])
def test_an_environment_that_a_lock_command_left_empty_is_none(tmp_path: Path, package: str, whole: bool) -> None:
    python = tmp_path / "bin" / "python"
    (tmp_path / "lib" / "python3.12" / "site-packages" / f"{package}.dist-info").mkdir(parents=True)
    python.parent.mkdir()
    python.touch()
    assert has_packages(python), "an interpreter outside a virtual environment is accepted as it is"
    (tmp_path / "pyvenv.cfg").touch()
    assert has_packages(python) is whole
