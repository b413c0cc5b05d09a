"""Each row of the list of attempts (README.md beside this file) names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d[\d, ]*) \| .* \| (.*) \|$", re.M)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = ROW.findall((Path(__file__).parent / "README.md").read_text())


def functions(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("rows", "tests"), ROWS, ids=[rows for rows, _ in ROWS])
def test_each_attempt_has_a_test(rows: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert named, rows
    for file, function in named:
        assert function in functions(TESTS / file), f"{file}::{function}"


def test_the_list_is_whole() -> None:
    """The rows of the issue on trust; those of the other issues stand there too."""
    rows = {int(number) for numbers, _ in ROWS for number in re.findall(r"\d+", numbers)}
    assert {8, 10, 11, 13, 14, 16, 18, 26, 30, 32, 43, 49, 50, 51, 53, 79} <= rows
