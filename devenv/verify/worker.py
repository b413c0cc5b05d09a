"""`python -m devenv.verify.worker`: does jobs that it reads from its input, one JSON line each, until that ends.

The first line is the run. Answers, also a line each: `{"progress": n}`, then `{"done": …}` or `{"failed": …}`.
"""

from __future__ import annotations

import resource
import sys
from typing import Any

import msgspec

from devenv.core.errors import DevenvError
from devenv.verify.run import Run
from devenv.verify.work import JOBS


def say(message: dict[str, Any]) -> None:
    """One line to whoever started this; when nobody listens any more, that ends it."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Read the run, then jobs."""
    lines = sys.stdin.buffer
    run = msgspec.json.decode(lines.readline(), type=Run)
    for line in lines:
        job = msgspec.json.decode(line)
        try:
            done = JOBS[job["kind"]](run, job["number"], lambda count: say({"progress": count}))
        except DevenvError as error:
            say({"failed": {"what": error.what, "detail": error.detail}})
        except (OSError, EOFError) as error:
            say({"failed": {"what": "a file of the comparison cannot be used", "detail": str(error)}})
        else:
            say({"done": done, "peak": peak_bytes()})


if __name__ == "__main__":
    main()
