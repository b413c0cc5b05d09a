"""The small client of Redis against sockets that answer well, late, wrongly, or not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devenv.core.errors import StoreError
from devenv.stores.redis.client import Answer, Redis, encoded
from tests.e2e.world import free_port


@contextmanager
def server(*answers: bytes, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that sends one answer for each request, byte by byte with `pause`; what it was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        # The client goes when it has seen enough.
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    asked.append(connection.recv(65536))
                    for each in [answer[i : i + 1] for i in range(len(answer))] if pause else [answer]:
                        connection.sendall(each)
                        time.sleep(pause)
                connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        (b"+OK\r\n", "OK"),
        (b":-2\r\n", -2),
        (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
        (b"$0\r\n\r\n", b""),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"*0\r\n", []),
        (b"*3\r\n$1\r\na\r\n:1\r\n*2\r\n$-1\r\n+x\r\n", [b"a", 1, [None, "x"]]),
    ],
)
def test_every_form_of_an_answer_is_read_however_it_is_cut(sent: bytes, means: Answer) -> None:
    for pause in (0.0, 0.001):
        with server(sent, pause=pause) as (url, asked), Redis(url) as redis:
            assert redis.call("GET", "a key", 7) == means
            assert asked == [b"*3\r\n$3\r\nGET\r\n$5\r\na key\r\n$1\r\n7\r\n"]


def test_the_password_and_the_database_of_the_address_are_given_first() -> None:
    with server(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n") as (url, asked):
        with Redis(url.replace("//", "//:p%2Fw@") + "/3") as redis:
            assert redis.call("PING") == "PONG"
        assert asked == [encoded("AUTH", "p/w"), encoded("SELECT", "3"), encoded("PING")]


@pytest.mark.parametrize(
    ("sent", "says", "reached"),
    [
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required.", True),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not answer like Redis", False),
        (b"$999999999999\r\n", "does not answer like Redis", False),
        (b"*1\r\n" * 20, "does not answer like Redis", False),
        (b"$x\r\n", "does not answer like Redis", False),
        (b"", "does not answer", False),
    ],
)
def test_what_is_no_answer_is_an_error(sent: bytes, says: str, reached: bool) -> None:
    with server(sent) as (url, _), Redis(url, timeout=0.5) as redis:
        with pytest.raises(StoreError, match=says) as caught:
            redis.call("PING")
        assert (caught.value.reached, caught.value.code) == (reached, "NOAUTH" if reached else None)


def test_an_answer_that_trickles_has_one_deadline() -> None:
    began = time.monotonic()
    with (
        server(b"$100\r\n" + b"x" * 100, pause=0.05) as (url, _),
        Redis(url, timeout=0.4) as redis,
        pytest.raises(StoreError, match="does not answer") as caught,
    ):
        redis.call("GET", "x")
    assert "0.4 s" in (caught.value.detail or "") or "timed out" in (caught.value.detail or "")
    assert time.monotonic() - began < 3


def test_no_one_there_is_an_error() -> None:
    with pytest.raises(StoreError) as caught:
        Redis(f"redis://127.0.0.1:{free_port()}")
    assert not caught.value.reached


@pytest.mark.parametrize("command", ["SET", "flushall", "EVAL", "GETEX", "CONFIG", "DEL", "GETDEL"])
def test_a_reading_connection_cannot_write(command: str) -> None:
    with server(b"+OK\r\n") as (url, asked), Redis(url, read_only=True) as redis:
        with pytest.raises(StoreError, match="only reads"):
            redis.call(command, "x")
        assert asked == []
