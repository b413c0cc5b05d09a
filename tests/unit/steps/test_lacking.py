"""A program that ends because a package is not there: what is missing, and the one command that installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.steps.lacking import explain_lacking

PYTHON = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'colorama.ansi'\n"
NODE = "Error: Cannot find module 'pg'\nRequire stack:\n- /x/seed.js\n"
ESM = "Error [ERR_MODULE_NOT_FOUND]: Cannot find package '@aws-sdk/client-dynamodb' imported from /x/seed.mjs\n"


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["requirements.txt"], "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
        (["app/requirements.txt"], "python3 -m venv .venv && .venv/bin/pip install -r app/requirements.txt"),
        (["poetry.lock", "pyproject.toml"], "POETRY_VIRTUALENVS_IN_PROJECT=1 poetry install"),
        (["api/Pipfile.lock"], "cd api && PIPENV_VENV_IN_PROJECT=1 pipenv sync"),
        ([], "python3 -m venv .venv && .venv/bin/pip install …"),
    ],
)
def test_a_package_of_python(tmp_path: Path, files: list[str], hint: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = explain_lacking(tmp_path, PYTHON, "/usr/bin/python3")
    assert found is not None
    assert found[0] == "/usr/bin/python3 has no package colorama"
    assert found[1].startswith(f"{hint}, then in devenv.toml: [backend] python = ")


@pytest.mark.parametrize(("said", "name"), [(NODE, "pg"), (ESM, "@aws-sdk/client-dynamodb")])
@pytest.mark.parametrize(("lock", "words"), [(True, "cd api && npm ci"), (False, "cd api && npm install")])
def test_a_package_of_node(tmp_path: Path, said: str, name: str, lock: bool, words: str) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "package.json").touch()
    if lock:
        (tmp_path / "api" / "package-lock.json").touch()
    assert explain_lacking(tmp_path, said, "python") == (
        f"the package {name} is not installed",
        f"{words}, then: devenv up",
    )


def test_a_module_of_the_project_and_another_end_are_no_package(tmp_path: Path) -> None:
    (tmp_path / "colorama").mkdir()
    assert explain_lacking(tmp_path, PYTHON, "python") is None
    assert explain_lacking(tmp_path, "Error: Cannot find module './db'\n", "python") is None
    assert explain_lacking(tmp_path, "KeyError: 'x'\n", "python") is None
