"""`make chaos`: the suite at full size, and a table of what was tried, for the README. CHAOS_SEED repeats a run."""

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


def main() -> int:
    """Run the suite, print the table; pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="chaos-figures-") as folder:
        figures = Path(folder) / "figures"
        seed = os.environ.get("CHAOS_SEED", str(int(time.time())))
        environ = {**SIZES, **os.environ, "CHAOS_SEED": seed, "CHAOS_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", "tests/chaos", "--timeout", "3600", *sys.argv[1:]]
        code = subprocess.run(command, env=environ, check=False).returncode
        tried: Counter[str] = Counter()
        for line in figures.read_text().splitlines() if figures.exists() else ():
            fault, number = json.loads(line)
            tried[fault] += int(number)
    print(f"\nCHAOS_SEED={seed}\n\n| tried | number |\n| --- | --- |")
    print("\n".join(f"| {fault} | {number} |" for fault, number in sorted(tried.items())))
    print("\nlost, left, let in: nothing" if code == 0 else "\nsomething failed: see above")
    return code


if __name__ == "__main__":
    sys.exit(main())
