"""`devenv up` on Docker held against Compose itself, in one run:

cold:          `devenv up` against Compose's own `up --wait` plus the three steps
nothing to do: `devenv up` against Compose's own `up --wait` plus 1.8 x `python -c "import boto3, psycopg"`

Both with new volumes, images present. The medians of ROUNDS; the ratio is what counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e import world
from tests.e2e.docker_support import compose, on_docker, why_not
from tests.support import ProjectDir

ROUNDS = 5
NAME = "devenv-bench"


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def imports() -> None:
    """What every program pays that uses both stores."""
    subprocess.run([sys.executable, "-c", "import boto3, psycopg"], check=True)


def by_hand(folder: Path, ports: dict[str, str], *words: str) -> None:
    """Compose on the repository's file."""
    done = compose(folder, NAME, *words, **ports)
    assert done.returncode == 0, done.stderr


def cold(project: ProjectDir) -> tuple[float, float]:
    """(seconds of a first `up`, seconds of its three steps)."""
    document = project.json("up", "--no-backend", "--timings")
    assert document["exit_code"] == 0, document
    timings = document["timings"]
    return timings["total"], sum(timings[step] for step in ("setup", "schema-load", "seed"))


def main() -> None:
    """Measure and print."""
    if reason := why_not():
        sys.exit(reason)
    figures: dict[str, list[float]] = {"cold": [], "steps": [], "compose cold": [], "again": [], "compose again": []}
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        ports = {f"DEVENV_{service}_PORT": str(world.free_port()) for service in ("POSTGRES", "DYNAMODB", "BACKEND")}
        with on_docker(folder) as project:
            for _ in range(ROUNDS):
                figures["compose cold"].append(seconds(lambda: by_hand(folder, ports, "up", "-d", "--wait")))
                figures["compose again"].append(seconds(lambda: by_hand(folder, ports, "up", "-d", "--wait")))
                by_hand(folder, ports, "down", "-v")
                outer = time.perf_counter()
                _, steps = cold(project)
                figures["cold"].append(time.perf_counter() - outer)
                figures["steps"].append(steps)
                figures["again"].append(seconds(lambda: project.ok("up", "--no-backend")))
                bare.append(seconds(imports))
                project.ok("down", "--data", "--no-backup", "-y")
    half = {name: statistics.median(all_) for name, all_ in figures.items()}
    base = statistics.median(bare)
    least = half["compose cold"] + half["steps"]
    allowed = half["compose again"] + 1.8 * base
    print(f"imports                      {base:6.2f} s")
    print(f"compose, cold                {half['compose cold']:6.2f} s   with the steps {least:.2f} s")
    print(f"devenv, cold                 {half['cold']:6.2f} s   {half['cold'] / least:.2f} of that (at most 1.20)")
    print(f"compose, nothing to do       {half['compose again']:6.2f} s   with 1.8 imports {allowed:.2f} s")
    print(f"devenv, nothing to do        {half['again']:6.2f} s   {half['again'] / allowed:.2f} of that (at most 1.00)")


if __name__ == "__main__":
    main()
