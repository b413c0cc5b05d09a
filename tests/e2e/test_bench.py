"""A benchmark that is ended half-way leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.support import LIMIT_S, REPOSITORY

pytestmark = pytest.mark.long


def started_in(folder: Path) -> list[int]:
    """The processes that work for projects in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = Path(process.environ().get("DEVENV_PROJECT", "/")).is_relative_to(folder)
        except psutil.Error:
            continue
        found += [process.pid] if mine else []
    return found


def test_a_terminated_benchmark_takes_its_project_away(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as told:
        bench = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "tests" / "bench" / "reset.py"), "small"],
            stdout=told, stderr=told, env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        world.until(lambda: len(started_in(tmp_path)) >= 2 or bench.poll() is not None, "both stores")
        [folder] = [place / "reference" for place in tmp_path.iterdir()]
        home = data_home(folder.resolve())
        assert home.exists()
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert started_in(tmp_path) == []
    assert not home.exists()
    assert list(tmp_path.iterdir()) == []
