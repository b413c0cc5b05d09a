"""Run a short program of an engine to its end, or until the run is over: then it is killed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Final

# So long a Ctrl-C waits.
STEP_S: Final = 0.1


def run_program(
    command: Sequence[Any], halt: Callable[[], None], *, given: bytes | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The ended program, with all its output in `stdout`. `halt` raises when nothing is to be waited for any more."""
    halt()
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as child:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, _ = child.communicate(given, timeout=STEP_S)
                    return subprocess.CompletedProcess(command, child.returncode, output)
                # Communicating goes on with what it was given first.
                given = None
                halt()
        except BaseException:
            child.kill()
            raise
