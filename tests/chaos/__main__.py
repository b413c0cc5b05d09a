"""`make chaos`: the suite at full size, and a table of what was tried, for the README. CHAOS_SEED repeats a run.

The soak is a process of its own beside the rest. With CHAOS_FIGURES naming a file, figures are added to those that it
has, so that a run can be made in pieces: ARGS are pytest's. `--table` only prints what CHAOS_FIGURES has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SIZES = {"CHAOS_SIZE": "full", "CHAOS_KILLS": "12", "CHAOS_SOAK_S": "300"}
SOAK = "tests/chaos/test_soak.py"
PYTEST = (sys.executable, "-m", "pytest", "--timeout", "3600")


def run(environ: dict[str, str], arguments: list[str]) -> int:
    """The suite, the soak beside it unless ARGUMENTS choose tests; pytest's exit code, the worse one."""
    if arguments:
        where = [] if any(Path(each.partition("::")[0]).exists() for each in arguments) else ["tests/chaos"]
        return subprocess.run([*PYTEST, *where, *arguments], env=environ, check=False).returncode
    with tempfile.TemporaryFile("w+") as said:
        soak = subprocess.Popen([*PYTEST, "-s", "-p", "no:cacheprovider", SOAK], env=environ, stdout=said, stderr=said)
        code = subprocess.run([*PYTEST, "tests/chaos", f"--ignore={SOAK}"], env=environ, check=False).returncode
        code = soak.wait() or code
        said.seek(0)
        print(said.read())
    return code


def table(figures: Path) -> str:
    """What was tried, by class, in the form of README."""
    tried: Counter[str] = Counter()
    for line in figures.read_text().splitlines() if figures.exists() else ():
        fault, number = json.loads(line)
        tried[fault] += int(number)
    rows = [f"| {name} | {number} |" for name, number in sorted(tried.items())]
    return "\n".join(["| tried | number |", "| --- | --- |", *rows])


def main() -> int:
    """Run the suite, print the table; pytest's exit code."""
    if sys.argv[1:] == ["--table"]:
        print(table(Path(os.environ["CHAOS_FIGURES"])))
        return 0
    with tempfile.TemporaryDirectory(prefix="chaos-figures-") as folder:
        figures = Path(os.environ.get("CHAOS_FIGURES", f"{folder}/figures"))
        seed = os.environ.get("CHAOS_SEED", str(int(time.time())))
        environ = {**SIZES, **os.environ, "CHAOS_SEED": seed, "CHAOS_FIGURES": str(figures)}
        code = run(environ, sys.argv[1:])
        sizes = " ".join(f"{name}={environ[name]}" for name in ("CHAOS_SEED", *SIZES))
        print(f"\n{sizes}\n\n{table(figures)}")
    print("\nlost, left, let in: nothing" if code == 0 else "\nsomething failed: see above")
    return code


if __name__ == "__main__":
    sys.exit(main())
