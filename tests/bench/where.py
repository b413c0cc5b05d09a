"""Where the time of a command goes, for rows of `tests/bench/all.py` that miss what is wanted."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

from tests.support import ProjectDir

# A line of `python -X importtime`: its own microseconds, those with what it imports, its name.
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)")
SHOWN = 6


def parts_of(document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by part, of a report: the timings of `up` and its like, or the layers of a trace (they overlap)."""
    timings = {name: spent for name, spent in document.get("timings", {}).items() if name != "total"}
    return timings or {f"layer {one['name']}": one["ms"] / 1000 for one in document.get("layers", ())}


def imports_of(project: ProjectDir, words: tuple[str, ...]) -> dict[str, float]:
    """Seconds of one command's imports by top-level package, as `-X importtime` tells (which itself takes time)."""
    command = project.command(*words)
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        capture_output=True, text=True, env=project.environment(), cwd=project.path, check=False,
    )  # fmt: skip
    return imported(done.stderr)


def imported(told: str) -> dict[str, float]:
    """Seconds by top-level package, from the lines of `-X importtime`."""
    found: Counter[str] = Counter()
    for line in told.splitlines():
        if (each := IMPORT.match(line)) is not None:
            found[f"import {each[3].partition('.')[0]}"] += int(each[1])
    return {name: spent / 1_000_000 for name, spent in found.most_common()}


def listed(parts: Mapping[str, float]) -> str:
    """`seed 0.31 s, setup 0.20 s`: the largest parts first."""
    largest = sorted(parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {spent:.3f} s" for name, spent in islice(largest, SHOWN))
