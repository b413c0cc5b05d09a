"""`make test` and the rest of `make test-all`: every test in exactly one of them, and CI runs both."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import HALVES, NEEDS, draw, half, missing_markers
from tests.support import REPOSITORY


@pytest.mark.parametrize(
    ("markers", "wanted"),
    [
        ((), "bare"),
        (("parametrize", "timeout", "filterwarnings"), "bare"),
        *(((marker,), "rest") for marker in NEEDS),
        (("parametrize", "needs_git", "long"), "rest"),
    ],
)
def test_one_need_is_enough_to_be_in_the_rest(markers: Sequence[str], wanted: str) -> None:
    assert half(markers) == wanted


def test_of_slow_tests_some_cases_run_every_day_and_each_case_has_its_day() -> None:
    cases = {"one": ["a"], "two": ["b", "c"], "many": list("defghij")}
    days = [draw(cases, f"202611{day:02}") for day in range(1, 31)]
    assert {tuple(len(day & set(names)) for names in cases.values()) for day in days} == {(0, 1, 2), (1, 1, 2)}
    assert set.union(*days) == set("abcdefghij")
    assert 9 <= sum("a" in day for day in days) <= 21
    assert draw(cases, "20261101") == days[0]


@pytest.mark.matrix(3)
@pytest.mark.parametrize("number", range(4))
def test_cases_of_a_matrix_are_in_one_half_each(request: pytest.FixtureRequest, number: int) -> None:
    assert (number % 3 == 0) is (half(mark.name for mark in request.node.iter_markers()) == "bare")


@pytest.mark.parametrize(
    ("program", "markers", "missing"),
    [
        ("git", (), ["needs_git"]),
        ("/usr/bin/docker", ("needs_git",), ["needs_docker"]),
        ("/usr/bin/docker", ("needs_docker",), []),
        ("/usr/bin/digit", (), []),
        ("/usr/bin/npm", (), ["needs_npm"]),
        (str(Path(sys.executable).parent / "npm"), (), []),  # installed by a package of Python
    ],
)
def test_a_program_gives_away_what_a_test_needs(program: str, markers: Sequence[str], missing: list[str]) -> None:
    assert missing_markers(program, markers) == missing


def test_a_test_that_starts_a_program_without_its_marker_fails() -> None:
    with pytest.raises(AssertionError, match="must be marked needs_git"):
        subprocess.run(["git", "--version"], check=False)


def command_of(target: str) -> list[str]:
    """Return the command line of pytest that `make TARGET` runs."""
    # Without what the `make` that runs this test was given.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS")}
    asked = ["make", "--no-print-directory", "--dry-run", "--assume-old", ".venv/developer.stamp", target]
    ran = subprocess.run(asked, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True)
    [line] = [line for line in ran.stdout.splitlines() if "pytest" in line]
    return shlex.split(line)


def test_ci_and_test_all_run_both_halves_unchanged() -> None:
    lines = (REPOSITORY / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if re.search(r"\bmake\b", line) and not line.startswith("#")] == [
        "make check",
        "make test",
        "CHAOS_SOAK_S=300 make test-rest",
    ]
    halves = [command_of(target)[-1] for target in ("test", "test-rest")]
    assert halves == list(HALVES)
    recipe = (REPOSITORY / "Makefile").read_text().partition("\ntest-all:")[2].partition("\n\n")[0].split()
    assert recipe == ["$(MAKE)", "test", "$(MAKE)", "test-rest"]
