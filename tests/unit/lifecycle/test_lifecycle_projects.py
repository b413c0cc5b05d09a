"""The processes of a project, by name."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from devenv.lifecycle.projects import program


def test_a_process_has_the_name_of_its_service_and_one_that_ended_has_none() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "DEVENV_SERVICE": "log-clock"},
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        found = psutil.Process(child.pid)
        assert program(found) == "log-clock"
        child.kill()
        # Not waited for: its remains keep the number, and the name of its program.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert found.name().startswith("python")
        assert program(found) is None
    assert program(found) is None
