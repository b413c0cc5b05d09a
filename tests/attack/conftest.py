"""One started project for every attack of a worker; each test leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.outside import Outside
from tests.support import ProjectDir, reference_project


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project, seeded, with its application."""
    project = reference_project(tmp_path_factory.mktemp("attacked") / "project")
    try:
        project.ok("up")
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="session")
def outside(running: ProjectDir) -> Outside:
    """Makes folders that name the running stores as somebody else's."""
    return Outside(running)
