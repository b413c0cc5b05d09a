"""How long `devenv doctor` takes on the healthy reference project, as a ratio in one run: `make bench`.

Prints medians of RUNS, alternating, for `devenv doctor` as a whole process and B, `python -c "import boto3, psycopg"`.
Wanted: at most 2.2 B. Then the judgement alone, over copies of the seeded items, in items per second.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# As on a user's machine, where Python keeps compiled modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from devenv.links.judge import judge
from devenv.stores.dynamodb.client import typed_item
from tests.shapes import NOW, PLAN, START, TABLE, USERS, World, conversation
from tests.support import reference_project, unwind_on_sigterm

RUNS = 7
CONVERSATIONS = 2_000


def whole_process() -> tuple[float, float]:
    """Median seconds of `devenv doctor`, and of B."""
    doctor, base = [], []
    with tempfile.TemporaryDirectory() as folder:
        project = reference_project(Path(folder) / "project")
        try:
            project.ok("up")
            assert project.json("doctor")["verdict"] == "healthy"
            for _ in range(RUNS):
                began = time.perf_counter()
                project.ok("doctor")
                doctor.append(time.perf_counter() - began)
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", "import boto3, psycopg"], check=True)
                base.append(time.perf_counter() - began)
        finally:
            project.remove()
    return statistics.median(doctor), statistics.median(base)


def judged_per_second() -> tuple[int, float]:
    """How many items were judged, and how many in a second: many healthy conversations of the same people."""
    world = World()
    texts = [f"text {number}" for number in range(40)]
    items = [
        typed_item(item)
        for number in range(CONVERSATIONS)
        for item in conversation(world.who("ada"), world.who("bo"), texts, START + timedelta(minutes=number))
    ]
    began = time.perf_counter()
    judgement = judge(PLAN, {TABLE: items}, {USERS: world.rows}, NOW)
    spent = time.perf_counter() - began
    assert not [fault for fault in judgement.faults if fault.kind != "duplicate"]
    return len(items), len(items) / spent


def main() -> None:
    """Measure and print."""
    unwind_on_sigterm()
    doctor, base = whole_process()
    print(f"devenv doctor, healthy        {doctor:6.3f} s   {doctor / base:4.2f} B   (wanted: at most 2.2 B)")
    print(f"B: import boto3, psycopg      {base:6.3f} s")
    count, rate = judged_per_second()
    print(f"judgement alone               {rate:,.0f} items/s over {count:,} items")


if __name__ == "__main__":
    main()
