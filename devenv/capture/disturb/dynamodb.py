"""A DynamoDB that behaves as the current disturbance says: HTTP on loopback, in front of the real one."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from devenv.capture.disturb.disturbance import Disturbance, DynamoReply

WAIT_S: Final = 60.0
PASSED: Final = ("content-type", "x-amz-target", "authorization", "x-amz-date", "x-amz-security-token")


class DisturbedDynamo(ThreadingHTTPServer):
    """The server. `disturbance` may be exchanged at any time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), DynamoHandler)
        self.target = target
        self.disturbance = Disturbance()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that is killed is expected here."""


class DynamoHandler(BaseHTTPRequestHandler):
    """One connection of a client, with its own to the store."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: DisturbedDynamo

    def setup(self) -> None:
        """Make the connection to the store."""
        super().setup()
        self.store = http.client.HTTPConnection(*self.server.target, timeout=WAIT_S)

    def finish(self) -> None:
        """End both."""
        with contextlib.suppress(OSError):
            super().finish()
        self.store.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tap records."""

    def do_POST(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        operation = str(self.headers.get("x-amz-target") or "").rpartition(".")[2]
        request = json.loads(body or b"{}")
        reply = self.server.disturbance.dynamodb(operation, request, self.forward)
        content = json.dumps(reply.body, separators=(",", ":")).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def forward(self, request: dict[str, Any]) -> DynamoReply:
        """Ask the store."""
        headers = {name: self.headers[name] for name in PASSED if name in self.headers}
        self.store.request("POST", "/", json.dumps(request).encode(), headers)
        response = self.store.getresponse()
        return DynamoReply(response.status, json.loads(response.read() or b"{}"))


@contextmanager
def serving_dynamodb(target: tuple[str, int]) -> Iterator[DisturbedDynamo]:
    """The server during the block."""
    server = DisturbedDynamo(target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
