"""`make test` and the rest of `make test-all`, as pytest collects them in full size: every test is in exactly one."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.support import REPOSITORY
from tests.unit.test_halves import command_of


def collected(target: str) -> tuple[set[str], int]:
    """Return the tests that `make TARGET` runs, and how many there are in all."""
    words = command_of(target)
    words[words.index("--numprocesses") + 1] = "0"
    environ = {**os.environ, "CHAOS_SIZE": "full"}
    ran = subprocess.run(
        [*words, "--collect-only"], cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True
    )
    said = ran.stdout
    counts = re.search(r"^(\d+)/(\d+) tests collected \((\d+) deselected\)", said, re.MULTILINE)
    assert counts, said[-2000:]
    found = {line for line in said.splitlines() if "::" in line}
    assert len(found) == int(counts[1])
    return found, int(counts[2])


@pytest.mark.long
def test_every_test_is_in_exactly_one_half() -> None:
    bare, number = collected("test")
    rest, again = collected("test-rest")
    assert bare & rest == set()
    assert number == again == len(bare | rest)
    assert min(len(bare), len(rest)) > 100
