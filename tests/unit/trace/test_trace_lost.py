"""A request that failed because its connection had been ended is sent again where that is safe; others are not."""

from __future__ import annotations

import pytest

from devenv.trace.layers.lost import ended_connection
from devenv.trace.observation import Answer

FAILED = Answer(status=500, detail="Internal Server Error")


@pytest.mark.parametrize(
    "line",
    [
        "psycopg.errors.AdminShutdown: terminating connection due to administrator command",
        "psycopg2.InterfaceError: error: connection already closed",
        "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation",
        "Error: Connection terminated unexpectedly",
        "error: { severity: 'FATAL', code: '57P01' }",
        "org.postgresql.util.PSQLException: This connection has been closed.",
        "ERROR: failed to query: conn closed",
        "PG::ConnectionBad: PQconsumeInput() error",
    ],
)
def test_drivers_say_it_in_their_words(line: str) -> None:
    assert ended_connection("GET", [Answer(status=200), FAILED], ["INFO: started", f"ERROR {line}"])
    assert ended_connection("GET", [Answer(status=500, detail=line)], None)


def test_another_failure_a_right_answer_and_a_write_are_not_repeated() -> None:
    ended = "ERROR: terminating connection due to administrator command"
    assert ended_connection("GET", [FAILED], ["ValueError: connection to a friend"]) is None
    assert ended_connection("GET", [Answer(status=200)], [ended]) is None
    assert ended_connection("POST", [FAILED], [ended]) is None
