"""Sockets of the tap: one thread that passes bytes between clients and servers without interpreting them.

Bytes go out before they are looked at. What looks at them cannot break the connection: when it raises, the connection
continues unobserved.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

CHUNK: Final = 128 * 1024
UNSEEN: Final = 1 << 20
"""Bytes that may wait until they are looked at."""
BACKLOG: Final = 256
RESET: Final = struct.pack("ii", 1, 0)
FULL: Final = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
PAUSE_S: Final = 0.1
TICK_S: Final = 0.2
QUIET_S: Final = 0.01
IN_PROGRESS: Final = frozenset([errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EAGAIN)])
WOULD_BLOCK: Final = (BlockingIOError, InterruptedError)
Address = tuple[str, int]


class Conversation(Protocol):
    """Sees every byte of a connection."""

    def sent(self, data: bytes, now: float, /) -> None:
        """Bytes from the client."""

    def received(self, data: bytes, now: float, /) -> None:
        """Bytes from the server."""

    def close(self, now: float, /) -> None:
        """The connection ended."""


class Filter(Protocol):
    """May answer the beginning of a connection itself."""

    open: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(what is answered to the client, what goes to the server)."""


class End:
    """One end of a connection: its socket, and what could not be written to it yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = bytearray()
        self.ended = False
        self.finish = False
        self.events = 0
        self.connecting = False


class ProxiedConnection:
    """A client's connection with its own connection to the server."""

    def __init__(self, relay: Relay, client: socket.socket, server: socket.socket) -> None:
        self.relay = relay
        self.client, self.server = End(client), End(server)
        self.conversation: Conversation | None = None
        self.gate: Filter | None = None

    def ready(self, end: End, events: int) -> None:
        """One end can be read or written."""
        try:
            if events & selectors.EVENT_WRITE:
                self.write(end)
            if events & selectors.EVENT_READ:
                self.read(end)
        except OSError:
            return self.drop()
        if self.flows and events == selectors.EVENT_READ:
            # Nothing waits and nothing ends: the same is waited for as before.
            return None
        if self.client.ended and self.server.ended and not (self.client.waiting or self.server.waiting):
            return self.close()
        self.watch(self.client, self.server)
        self.watch(self.server, self.client)
        return None

    @property
    def flows(self) -> bool:
        """True while both ends can be read and written at once."""
        one, other = self.client, self.server
        return not (one.waiting or other.waiting or one.ended or other.ended or other.connecting)

    def read(self, end: End) -> None:
        """Pass on what there is."""
        try:
            size = end.sock.recv_into(self.relay.buffer)
        except WOULD_BLOCK:
            return
        back = end is self.server
        other = self.client if back else self.server
        if not size:
            self.finish(end, other)
            return
        # Most reads are small: one buffer for all is cheaper than a large one for each.
        data, now = bytes(self.relay.buffer[:size]), time.time()
        if self.gate is not None and not back:
            reply, data = self.gate.feed(data)
            if reply:
                self.put(self.client, reply)
            if self.gate.open:
                self.gate = None
            if not data:
                return
        self.put(other, data)
        if self.conversation is not None:
            self.relay.passed_on(self, back, data, now)

    def observe(self, look: Callable[[bytes, float], None], data: bytes, now: float) -> None:
        """Let the conversation look at bytes that were passed on."""
        try:
            look(data, now)
        except Exception as error:  # noqa: BLE001 - watching must not break what is watched
            conversation, self.conversation = self.conversation, None
            self.relay.unparsed(f"{type(error).__name__}: {error}")
            if conversation is not None:
                with contextlib.suppress(Exception):
                    conversation.close(now)

    def put(self, end: End, data: bytes) -> None:
        """Write now what can be written, and the rest when it can."""
        if not end.waiting and not end.connecting:
            try:
                done = end.sock.send(data)
            except WOULD_BLOCK:
                done = 0
            if done == len(data):
                return
            data = data[done:]
        end.waiting += data

    def write(self, end: End) -> None:
        """Write what waited."""
        if end.connecting:
            code = end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            end.connecting = False
        if end.waiting:
            with contextlib.suppress(*WOULD_BLOCK):
                done = end.sock.send(end.waiting)
                del end.waiting[:done]
        if end.finish and not end.waiting:
            end.finish = False
            shut(end.sock)

    def finish(self, end: End, other: End) -> None:
        """One end says that nothing more comes; so does the other, once all is written."""
        end.ended = True
        if other.waiting or other.connecting:
            other.finish = True
        else:
            shut(other.sock)

    def watch(self, end: End, other: End) -> None:
        """Wait for what can happen next at this end. It is not read while the other cannot be written."""
        wanted = 0 if end.ended or other.waiting else selectors.EVENT_READ
        if end.waiting or end.connecting or end.finish:
            wanted |= selectors.EVENT_WRITE
        if wanted != end.events:
            self.relay.wait_for(self, end, wanted)

    def drop(self) -> None:
        """One end broke off: so does the other."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def close(self) -> None:
        """The connection has ended."""
        self.relay.look()
        for end in (self.client, self.server):
            self.relay.wait_for(self, end, 0)
            end.sock.close()
        if self.conversation is not None:
            self.observe(lambda data, now: self.conversation.close(now), b"", time.time())  # type: ignore[union-attr]
        self.relay.pairs.discard(self)


def shut(sock: socket.socket) -> None:
    """Say that nothing more comes."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


class TapPort:
    """A port of the tap, and where its connections lead."""

    def __init__(
        self,
        sock: socket.socket,
        target: Address,
        begin: Callable[[], Conversation],
        gate: Callable[[], Filter] | None = None,
    ) -> None:
        self.sock, self.target, self.begin, self.gate = sock, target, begin, gate
        self.paused_until = 0.0


class Relay:
    """All connections of one tap, in one thread. `tick` is called several times a second.

    `batch`: reads that may wait to be looked at while others can be passed on. 0 looks at them before the next wait.
    """

    def __init__(self, unparsed: Callable[[str], None], tick: Callable[[], None], batch: int = 0) -> None:
        self.unparsed, self.tick, self.batch = unparsed, tick, batch
        self.selector = selectors.DefaultSelector()
        self.buffer = memoryview(bytearray(CHUNK))
        self.passed: list[tuple[ProxiedConnection, bool, bytes, float]] = []
        self.size = 0
        self.listeners: list[TapPort] = []
        self.pairs: set[ProxiedConnection] = set()
        self.waker, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ, None)
        self.stopping = threading.Event()

    def listen(self, listener: TapPort) -> None:
        """Take connections."""
        listener.sock.setblocking(False)
        self.listeners.append(listener)
        self.selector.register(listener.sock, selectors.EVENT_READ, listener)

    def wait_for(self, pair: ProxiedConnection, end: End, events: int) -> None:
        """Change what is waited for at one end."""
        if not events and end.events:
            self.selector.unregister(end.sock)
        elif events and end.events:
            self.selector.modify(end.sock, events, (pair, end))
        elif events:
            self.selector.register(end.sock, events, (pair, end))
        end.events = events

    def accept(self, listener: TapPort) -> None:
        """Take a connection, and begin its own to the server."""
        try:
            client, _ = listener.sock.accept()
        except WOULD_BLOCK:
            return
        except OSError as error:
            if error.errno in FULL:
                # Out of descriptors: whoever waits is taken when some have come back.
                listener.paused_until = time.monotonic() + PAUSE_S
                self.selector.unregister(listener.sock)
            return
        try:
            server = socket.socket(socket.AF_INET6 if ":" in listener.target[0] else socket.AF_INET)
        except OSError:
            client.close()
            return
        pair = ProxiedConnection(self, client, server)
        self.pairs.add(pair)
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = server.connect_ex(listener.target)
        if code and code not in IN_PROGRESS:
            pair.drop()
            return
        pair.server.connecting = code != 0
        pair.conversation = listener.begin()
        pair.gate = listener.gate() if listener.gate else None
        pair.watch(pair.client, pair.server)
        pair.watch(pair.server, pair.client)

    def run(self) -> None:
        """Pass bytes on until `stop`."""
        last, idle = time.monotonic(), True
        while not self.stopping.is_set():
            unseen = len(self.passed)
            ready = self.selector.select(0 if unseen else TICK_S if idle else QUIET_S)
            for key, events in ready:
                self.dispatch(key.data, events)
            if self.passed and (not ready or len(self.passed) > self.batch):
                self.look()
            now = time.monotonic()
            # Soon after the last byte, so that the next command finds the record; not after each byte.
            quiet = not (ready or unseen or idle)
            if quiet or now - last >= TICK_S:
                last = now
                self.resume(now)
                self.tick()
            idle = quiet or (idle and not ready)
        for pair in list(self.pairs):
            pair.close()
        for listener in self.listeners:
            listener.sock.close()
        self.selector.close()
        self.woken.close()
        self.waker.close()
        self.tick()

    def dispatch(self, what: Any, events: int) -> None:
        """One thing that is ready."""
        if isinstance(what, tuple):
            pair, end = what
            # An earlier event of the same round may have closed it.
            if end.events:
                pair.ready(end, events)
        elif isinstance(what, TapPort):
            self.accept(what)

    def passed_on(self, pair: ProxiedConnection, back: bool, data: bytes, now: float) -> None:
        """Remember bytes to look at when nothing waits to be passed on: no client waits for what looks at them."""
        self.passed.append((pair, back, data, now))
        self.size += len(data)
        if self.size > UNSEEN:
            self.look()

    def look(self) -> None:
        """Let the conversations look at what was passed on, in its order."""
        if not self.passed:
            return
        passed, self.passed, self.size = self.passed, [], 0
        for pair, back, data, now in passed:
            if (conversation := pair.conversation) is not None:
                pair.observe(conversation.received if back else conversation.sent, data, now)

    def resume(self, now: float) -> None:
        """Listen again after a pause."""
        for listener in self.listeners:
            if listener.paused_until and now > listener.paused_until:
                listener.paused_until = 0.0
                self.selector.register(listener.sock, selectors.EVENT_READ, listener)

    def stop(self) -> None:
        """End `run`, from any thread or a signal handler."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.waker.send(b"x")


def bind(port: int) -> socket.socket:
    """A socket that listens on loopback; port 0 finds a free one. OSError when it is taken."""
    sock = socket.socket(socket.AF_INET)
    if os.name == "posix":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
