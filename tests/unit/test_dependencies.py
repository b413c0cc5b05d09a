"""A clean installation has every package that devenv imports: those of pyproject.toml, and what they bring for sure."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import devenv
from tests.support import REPOSITORY

HOUSE = Path(devenv.__file__).parent
# Package on the index -> what is imported, where that has another name; and what a dependency itself needs.
NAMES = {"pyyaml": {"yaml"}, "boto3": {"boto3", "botocore"}, "docker": {"docker", "requests"}}
# Imported only with an extra, or by the program that brings it.
EXTRAS = {"testing/pytest_plugin.py": {"pytest"}, "ui": {"starlette", "uvicorn"}}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"devenv"}


def test_every_import_is_a_declared_dependency() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[\[<>=~!; ]", each)[0] for each in declared]
    known = {module for name in names for module in NAMES.get(name, {name})}
    assert "typer" in known
    missing = set()
    for path in HOUSE.rglob("*.py"):
        place = path.relative_to(HOUSE).as_posix()
        extra = {module for start, modules in EXTRAS.items() if place.startswith(start) for module in modules}
        if not place.startswith("example/"):
            missing |= {(place, module) for module in imported(path) - known - extra}
    assert missing == set()
