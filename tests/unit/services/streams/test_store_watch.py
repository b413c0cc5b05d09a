"""Did the store end during a call? A connection that is left open tells it: on real sockets."""

from __future__ import annotations

import socket

import pytest

from devenv.services.streams import store
from tests.e2e.world import free_port


def test_a_store_that_stays_did_not_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = store.watch_store(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert not ended()


def test_a_store_that_closed_the_connection_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = store.watch_store(f"http://127.0.0.1:{server.getsockname()[1]}")
        server.accept()[0].close()
        assert ended()


def test_a_store_that_does_not_answer_ended() -> None:
    assert store.watch_store(f"http://127.0.0.1:{free_port()}")()


def test_a_connection_that_was_idle_for_long_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "IDLE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = store.watch_store(f"http://127.0.0.1:{server.getsockname()[1]}")
        server.accept()[0].close()
        assert not ended()
