"""When an application counts as ready: with a declared path, and without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devenv.core.errors import StoreError
from devenv.doctor.checks.services import refused
from devenv.engines.ready import request_health


class StatusInPath(BaseHTTPRequestHandler):
    """`/404` answers 404; `/` too, like an application without that route."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:] or "404"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StatusInPath)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_declared_path_a_missing_route_shows_that_the_application_serves(address: str) -> None:
    request_health(f"{address}/", any_route=True)
    with pytest.raises(StoreError, match="answers 503"):
        request_health(f"{address}/503", any_route=True)


@pytest.mark.parametrize(
    ("status", "cause"),
    [("404", "no such route"), ("405", "does not accept GET"), ("401", "needs a sign-in"), ("403", "not open")],
)
def test_a_declared_path_that_is_refused_names_the_line_to_change(address: str, status: str, cause: str) -> None:
    with pytest.raises(StoreError) as caught:
        request_health(f"{address}/{status}", any_route=False)
    found = refused("backend", "[backend] health", caught.value)
    assert found is not None
    assert cause in found[0]
    assert "[backend] health" in found[1].text
    assert found[1].command == "devenv restart backend"


def test_a_server_error_is_not_blamed_on_the_path(address: str) -> None:
    with pytest.raises(StoreError) as caught:
        request_health(f"{address}/503", any_route=False)
    assert refused("backend", "[backend] health", caught.value) is None
