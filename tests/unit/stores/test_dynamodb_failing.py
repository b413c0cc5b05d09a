"""A read that DynamoDB Local fails at, which no request makes it do: it comes by chance while an index is made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import FAILED_PAUSES_S, Dynamo

# As DynamoDB Local 2.5 answers.
FAILURE = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalFailure","Message":"The request processing has failed."}'
)
LOCKED = b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","Message":"busy"}'
ALWAYS = 1000


class Failing(HTTPServer):
    """Answers `failures` requests with `answer`, the others with an empty list of tables."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = self.failures = 0
        self.answer = FAILURE


class Handler(BaseHTTPRequestHandler):
    server: Failing

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        fails = self.server.asked <= self.server.failures
        answer = self.server.answer if fails else b'{"TableNames":[]}'
        self.send_response(500 if fails else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def failing() -> Iterator[Failing]:
    with Failing() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(failing: Failing) -> Callable[[str], dict[str, object]]:
    host, port = failing.server_address[:2]
    target = DynamoTarget(f"http://{host!s}:{port}", "us-east-1", "x", "x")

    def call(operation: str) -> dict[str, object]:
        with Dynamo(target) as dynamo:
            return dynamo.call(operation, {"TableName": "t"})

    return call


def test_a_read_is_sent_again(failing: Failing, ask: Callable[[str], dict[str, object]]) -> None:
    failing.failures = 2
    assert ask("DescribeTable") == {"TableNames": []}
    assert failing.asked == 3


@pytest.mark.parametrize(
    ("operation", "answer", "asked"),
    [
        ("DescribeTable", FAILURE, len(FAILED_PAUSES_S) + 1),
        # It may have written before it failed.
        ("PutItem", FAILURE, 1),
        # Its own lock: each answer takes seconds, and the caller decides.
        ("DescribeTable", LOCKED, 1),
    ],
)
def test_what_does_not_pass_is_raised(
    failing: Failing, ask: Callable[[str], dict[str, object]], operation: str, answer: bytes, asked: int
) -> None:
    failing.failures, failing.answer = ALWAYS, answer
    with pytest.raises(StoreError, match="Internal"):
        ask(operation)
    assert failing.asked == asked
