"""The few functions of devenv's that attacks call directly, in one place: the rest runs the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from devenv.config.environment import format_environment
from devenv.config.load import data_home, load
from devenv.core.errors import UsageError
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.engines.embedded.halting import run_program
from devenv.host.git import tracked_files
from devenv.snapshots.foreign_cluster import replace_configuration
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.stores.postgres.client import PostgresError
from devenv.stores.postgres.reader import read
from devenv.stores.postgres.reader import reading as open_reader
from tests.support import ProjectDir

__all__ = [
    "PostgresError",
    "connect_reading",
    "data_home",
    "format_environment",
    "load",
    "read",
    "read_only_dynamodb",
    "replace_configuration",
    "run_program",
    "target",
    "tracked_files",
]


def target(env: Mapping[str, str], *, own: bool = False) -> PostgresTarget:
    """The Postgres of these variables; `own`: as a server that devenv started."""
    made = PostgresTarget("127.0.0.1", int(env["PGPORT"]), env["PGUSER"], env["PGPASSWORD"], env["PGDATABASE"])
    return replace(made, own=own)


@contextmanager
def read_only_dynamodb(project: ProjectDir) -> Iterator[tuple[Any, type[Exception]]]:
    """A client that only reads, and what it raises for a write."""
    env = project.env()
    names = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with Dynamo(read_only(DynamoTarget(*(env[name] for name in names)))) as client:
        yield client, UsageError


def connect_reading(to: PostgresTarget) -> None:
    """Open a store for reading, and close it again."""
    with open_reader(to):
        pass
