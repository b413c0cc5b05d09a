"""A started reference project for tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import world
from tests.support import ProjectDir, reference_project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project after its first `up`. Tests leave it as they found it."""
    project = reference_project(tmp_path_factory.mktemp("running") / "project")
    try:
        project.ok("up")
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def undisturbed(running: ProjectDir) -> world.Data:
    """The data of a run that nothing happened to."""
    return world.data(running)
