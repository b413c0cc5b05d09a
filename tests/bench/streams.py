"""From a message's HTTP request until the function has moved both group rows: median and worst, printed.

python tests/bench/streams.py [--messages 50]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.stream_times import WANTED_MS, measure
from tests.e2e.test_stream_workers import with_worker
from tests.support import unwind_on_sigterm


def main() -> None:
    """Start the project, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=50)
    given = arguments.parse_args()
    unwind_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        project = with_worker(Path(folder) / "streams")
        try:
            project.ok("up", timeout=240)
            both = measure(project, given.messages)
        finally:
            project.remove()
    found = sorted(request for request, _ in both)
    median = statistics.median(found)
    most = found[int(len(found) * 0.95)]
    print(f"{len(found)} messages: median {median:.0f} ms, 95 % within {most:.0f} ms, worst {found[-1]:.0f} ms")
    print(f"from the answer: median {statistics.median(answer for _, answer in both):.0f} ms")
    print(f"median / {WANTED_MS:g} ms wanted = {median / WANTED_MS:.2f}")


if __name__ == "__main__":
    main()
