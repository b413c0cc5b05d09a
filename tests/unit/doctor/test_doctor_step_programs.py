"""A missing row or item that no file has: the commands of the steps may load it again."""

from __future__ import annotations

import msgspec
import pytest

from devenv.config.schema import Steps
from devenv.doctor.checks.step_programs import may_load

SETUP = {"setup": {"command": ["python", "load rows.py", "--password", "hunter22"]}}
SEED = {"seed": {"command": ["npm", "run", "seed"]}}
SETUP_RUNS = "`devenv setup` rebuilds the database and runs `python 'load rows.py' --password '****'`"
SEED_RUNS = "`devenv seed` empties the tables of DynamoDB and runs `npm run seed`"


@pytest.mark.parametrize(
    ("thing", "steps", "told"),
    [
        ("row", {}, ""),
        ("row", {"setup": {"files": ["a.sql"]}}, ""),
        ("row", SETUP, f". If the row was deleted: {SETUP_RUNS}, which may load it again"),
        ("row", SEED, f". If the row was deleted: {SEED_RUNS}, which may load it again"),
        ("row", SETUP | SEED, f". If the row was deleted: {SETUP_RUNS} and {SEED_RUNS}; either may load it again"),
        ("item", SETUP, ""),
        (
            "item",
            {"seed": {"command": ["{python}", "a.py"]}},
            f". If the item was deleted: {SEED_RUNS.replace('npm run seed', 'python a.py')}, which may load it again",
        ),
        ("item", SETUP | SEED, f". If the item was deleted: {SEED_RUNS}, which may load it again"),
    ],
)
def test_the_commands_that_may_load_what_is_missing(thing: str, steps: dict[str, object], told: str) -> None:
    assert may_load(msgspec.convert(steps, Steps), thing) == told
