"""A Postgres that behaves as the current disturbance says: a relay that parses messages and transactions.

It stands behind a tap, which declines SSL and GSS; so the first message of a client is its startup message.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from devenv.capture.disturb.disturbance import Disturbance

CHUNK: Final = 1 << 16
# Statements that only frame others.
FRAME: Final = re.compile(
    rb"\s*(begin|start|commit|end|rollback|set|reset|show|discard|deallocate|savepoint|release)\b", re.IGNORECASE
)
ROUNDS: Final = frozenset(b"QS")


class DisturbedPostgres:
    """The relay. `disturbance` may be exchanged at any time."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.disturbance = Disturbance()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self.listener.getsockname()[1])
        self.links: set[PostgresLink] = set()
        self.guard = threading.Lock()

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            link = PostgresLink(self, client, server)
            with self.guard:
                self.links.add(link)
            for work in (link.upwards, link.downwards):
                threading.Thread(target=work, daemon=True).start()

    def drop_idle(self) -> int:
        """End every connection that waits for a statement; how many."""
        with self.guard:
            idle = [link for link in self.links if link.idle]
        for link in idle:
            link.close()
        return len(idle)

    def close(self) -> None:
        """End everything."""
        # A shutdown wakes the thread that accepts; closing alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.guard:
            links = list(self.links)
        for link in links:
            link.close()


class PostgresLink:
    """A client's connection with its own to the server. `state` is the letter of the last ReadyForQuery."""

    def __init__(self, relay: DisturbedPostgres, client: socket.socket, server: socket.socket) -> None:
        self.relay, self.client, self.server = relay, client, server
        self.state = b""
        self.asked = False
        # Prepared statements that only frame others, by name.
        self.frames: set[bytes] = set()
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def idle(self) -> bool:
        """True while it waits for a statement outside of a transaction."""
        return self.state == b"I" and not self.asked

    def close(self) -> None:
        """End both ends at once, as a lost network does."""
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        with self.relay.guard:
            self.relay.links.discard(self)

    def upwards(self) -> None:
        """Pass messages of the client on, one by one."""
        held = bytearray()
        started = works = False
        with contextlib.suppress(OSError):
            while data := self.client.recv(CHUNK):
                held += data
                out = bytearray()
                while (size := message_size(held, typed=started)) is not None:
                    message = bytes(held[:size])
                    del held[:size]
                    if started:
                        work = self.is_work(message)
                        works = works or work
                        if work and not self.may_pass():
                            return self.close()
                        if message[0] in ROUNDS:
                            self.asked = True
                            if works and (slow := self.relay.disturbance.slow_s):
                                self.relay.disturbance.struck += 1
                                time.sleep(slow)
                            works = False
                    started = True
                    out += message
                self.server.sendall(out)
        return self.close()

    def is_work(self, message: bytes) -> bool:
        """Return True for a message that executes, or prepares, more than the frame of a transaction."""
        letter = message[:1]
        if letter == b"Q":
            return FRAME.match(message, 5) is None
        if letter == b"P":
            name, _, text = message[5:].partition(b"\0")
            (self.frames.add if FRAME.match(text) else self.frames.discard)(name)
            return name not in self.frames
        # Bind: the name of a portal, then that of the statement.
        return letter == b"B" and message[5:].split(b"\0", 2)[1] not in self.frames

    def may_pass(self) -> bool:
        """Return False once, for the first work in a transaction, where the connection is to be lost there."""
        disturbance = self.relay.disturbance
        if not (disturbance.drops_transaction and self.state == b"T"):
            return True
        disturbance.drops_transaction = False
        disturbance.struck += 1
        return False

    def downwards(self) -> None:
        """Pass bytes of the server on, and note how the transaction stands."""
        held = bytearray()
        with contextlib.suppress(OSError):
            while data := self.server.recv(CHUNK):
                held += data
                while (size := message_size(held, typed=True)) is not None:
                    if held[0] == ord("Z"):
                        self.state, self.asked = bytes(held[5:6]), False
                    del held[:size]
                self.client.sendall(data)
        self.close()


def message_size(held: bytearray, *, typed: bool) -> int | None:
    """The size of the first message, when all of it is there."""
    head = 5 if typed else 4
    if len(held) < head:
        return None
    size = int(struct.unpack_from("!I", held, head - 4)[0]) + head - 4
    return size if len(held) >= size else None


@contextmanager
def serving_postgres(target: tuple[str, int]) -> Iterator[DisturbedPostgres]:
    """The relay during the block."""
    relay = DisturbedPostgres(target)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
