"""How the application reaches its two stores. Time limits are short: a store that hangs must not hang us too."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, LiteralString, TypeVar

import boto3
import botocore.exceptions
import psycopg
from botocore.config import Config
from botocore.exceptions import ClientError
from psycopg.rows import DictRow, dict_row

from devenv.example.settings import settings

# What the drivers raise when a store does not answer, as opposed to answering that we are wrong.
UNAVAILABLE: tuple[type[Exception], ...] = (
    psycopg.OperationalError,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
)


PATIENCE = 10.0  # seconds that a call tries to get past others, and past throttling
THROTTLED = {
    *("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"),
    *("ProvisionedThroughputExceeded", "ThrottlingError"),  # of a transaction's part
}
Answer = TypeVar("Answer")


class Busy(Exception):
    """A store was too busy for PATIENCE seconds: it throttled, or others kept writing to the same items."""


def postgres() -> psycopg.Connection[DictRow]:
    """A connection for one `with` block: committed at its end, rolled back on an exception, then closed.

    One per use instead of a pool: connecting on the same machine takes 5 ms, no session survives to block
    `DROP DATABASE`, and a database that was rebuilt or restarted needs no care.
    """
    return psycopg.connect(
        settings().database_url,
        row_factory=dict_row,
        connect_timeout=3,
        options="-c TimeZone=UTC -c statement_timeout=5s",
    )


def read(query: LiteralString, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one statement that only reads. A connection that is lost on the way is replaced once."""
    for last in (False, True):
        connection = postgres()
        try:
            with connection:
                return connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            if last or not connection.broken:
                raise
    raise AssertionError  # the second round returns or raises


def patiently(call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns, called again with growing pauses while DynamoDB throttles. Busy after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.05
    while True:
        try:
            return call()
        except ClientError as error:
            if error.response["Error"]["Code"] not in THROTTLED:
                raise
            if time.monotonic() > deadline:
                raise Busy from error
        time.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, 0.5)


@functools.cache
def dynamodb() -> Any:
    """The one DynamoDB client of this process; it is thread-safe. Making it needs no connection."""
    config = Config(
        connect_timeout=2,
        read_timeout=3,
        max_pool_connections=40,  # as many as there are threads that answer requests
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    return boto3.client("dynamodb", config=config)


def check_postgres() -> None:
    """Return when Postgres answers and has the users table, else raise the driver's exception."""
    with postgres() as connection:
        connection.execute("SELECT 1 FROM public.users LIMIT 0")


def check_dynamodb() -> None:
    """Return when DynamoDB answers and has the message table, else raise the driver's exception, or ConnectionError."""
    answer = dynamodb().describe_table(TableName=settings().table)
    if "Table" not in answer:  # boto3 takes any HTTP 200 for an answer
        raise ConnectionError("what answers there is not DynamoDB")


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """An item without DynamoDB's type tags: `{"sk": {"S": "x"}}` becomes `{"sk": "x"}`."""
    return {name: next(iter(value.values())) for name, value in item.items()}
