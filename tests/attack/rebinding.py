"""A resolver in an attacker's hands: a SOCKS proxy that decides anew for each connection where a name leads."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Page(BaseHTTPRequestHandler):
    """An attacker's web server: an empty page for every path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"<title>attacker</title>")

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Resolver(socketserver.ThreadingTCPServer):
    """SOCKS 5 without authentication. Every name leads to the attacker's page until `rebind`, then to 127.0.0.1."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, page_port: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.page_port = page_port
        self.rebound = False
        self.lock = threading.Lock()
        self.leading_to_page: set[socket.socket] = set()

    def reset(self) -> None:
        """Lead to the attacker's page again."""
        self.rebound = False

    def rebind(self) -> None:
        """Lead to this machine, and end the connections to the page: a slow browser keeps a second one in reserve."""
        with self.lock:
            self.rebound = True
            for each in self.leading_to_page:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def destination(self, peer: socket.socket, port: int) -> int:
        """Return the port that a connection of the browser leads to."""
        with self.lock:
            if self.rebound:
                return port
            self.leading_to_page.add(peer)
            return self.page_port


class Connection(socketserver.BaseRequestHandler):
    """One connection through the proxy."""

    def handle(self) -> None:
        peer: socket.socket = self.request
        server: Any = self.server
        with suppress(OSError):
            peer.recv(peer.recv(2)[1])
            peer.sendall(b"\x05\x00")
            kind = peer.recv(4)[3]
            length = {1: 4, 4: 16}.get(kind) or peer.recv(1)[0]
            peer.recv(length)
            port = struct.unpack(">H", peer.recv(2))[0]
            with socket.create_connection(("127.0.0.1", server.destination(peer, port)), 10) as there:
                peer.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
                back = threading.Thread(target=pump, args=(there, peer), daemon=True)
                back.start()
                pump(peer, there)
                back.join(30)

    def finish(self) -> None:
        server: Any = self.server
        with server.lock:
            server.leading_to_page.discard(self.request)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Bytes in one direction, to their end."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def resolver() -> Iterator[Resolver]:
    """The attacker's page and resolver, for a block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page, Resolver(page.server_address[1]) as made:
        for each in (page, made):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        yield made
        made.shutdown()
        page.shutdown()
