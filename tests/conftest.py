"""Fixtures for all tests: real stores, started by devenv itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from devenv.model import DynamoTarget, PostgresTarget
from tests.support import ProjectDir, empty_project, reference_project

# Some machines have it set. Then every command of a test would compile all of devenv again: a third of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Behind a shell's `&` it is ignored, and then it would be for every process that a test starts, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a test waits for the stores a third of its time."""
    return (psutil.cpu_count(logical=False) or psutil.cpu_count() or 1) + 1


@dataclass(frozen=True)
class Stores:
    """Two bare stores for tests that make their own databases and tables."""

    postgres: PostgresTarget
    dynamodb: DynamoTarget
    postgres_url: str


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """A running Postgres and DynamoDB Local without any data, for the whole session."""
    project = empty_project(tmp_path_factory.mktemp("stores"))
    try:
        project.ok("up")
        env = project.env()
        yield Stores(
            PostgresTarget("127.0.0.1", int(env["PGPORT"]), env["PGUSER"], env["PGPASSWORD"], env["PGDATABASE"]),
            DynamoTarget(
                env["AWS_ENDPOINT_URL_DYNAMODB"],
                env["AWS_REGION"],
                env["AWS_ACCESS_KEY_ID"],
                env["AWS_SECRET_ACCESS_KEY"],
            ),
            env["DATABASE_URL"],
        )
    finally:
        project.remove()


@pytest.fixture
def project(tmp_path: object) -> Iterator[ProjectDir]:
    """A fresh copy of the reference project, not started."""
    made = reference_project(tmp_path / "project")  # type: ignore[operator]
    yield made
    made.remove()
