"""The projects of this suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.scenario import nothing_left, told
from tests.support import ProjectDir


@pytest.fixture
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A fresh reference project, not started; after the test nothing of it may be left."""
    with nothing_left(tmp_path_factory.mktemp("lone")) as project:
        yield project


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project after its first `up`, for all tests of a file; in the end nothing of it may be left."""
    with nothing_left(tmp_path_factory.mktemp("shared")) as project:
        told(project, "up", "--no-backend")
        yield project


@pytest.fixture
def seeded(shared: ProjectDir) -> ProjectDir:
    """The shared project, running, with freshly seeded data."""
    told(shared, "up", "--no-backend")
    told(shared, "reset", "-y")
    return shared
