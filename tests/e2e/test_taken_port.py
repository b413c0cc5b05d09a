"""Another program that answers at the port of an own process, on an engine whose stores devenv did not start."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.engines import external_project, other_stores
from tests.e2e.port_thief import robbed_service
from tests.support import ProjectDir

pytestmark = pytest.mark.long


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectDir]:
    with other_stores(tmp_path / "theirs") as stores:
        made = external_project(tmp_path / "project", stores)
        yield made
        made.remove()


def test_a_process_is_not_ready_where_another_program_answers_at_its_port(project: ProjectDir) -> None:
    section = '\n[services.late]\ncommand = ["{python}", "late.py", "{port}"]\nport = 0\nready = { tcp = true }\n'
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text() + section)
    (project.path / "late.py").write_text(robbed_service(after="time.sleep(1)"))
    try:
        said = project.ok("up", "late", "--mark").err
    finally:
        os.kill(int((project.path / "thief").read_text()), signal.SIGKILL)
    assert "is taken by" in said
    [late] = [each for each in project.json("status")["services"] if each["name"] == "late"]
    assert late["state"] == "running"
    assert str(late["port"]) in said
