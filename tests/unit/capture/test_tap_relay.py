"""The sockets of the tap: what passes is looked at in its order, and what looks at it holds nobody up."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devenv.capture.tap.relay import Relay, TapPort, bind

CLIENTS = 6
MESSAGES = 40


class Noted:
    """Notes what it sees; `refuses` that message."""

    def __init__(self, seen: list[tuple[int, str, bytes]], number: int, refuses: bytes = b"none") -> None:
        self.seen, self.number, self.refuses = seen, number, refuses

    def note(self, direction: str, data: bytes) -> None:
        self.seen.append((self.number, direction, data))
        if self.refuses in data:
            raise ValueError("not readable")

    def sent(self, data: bytes, now: float) -> None:
        self.note(">", data)

    def received(self, data: bytes, now: float) -> None:
        self.note("<", data)

    def close(self, now: float) -> None:
        self.note("x", b"")


@contextmanager
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends everything back."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(seen: list[tuple[int, str, bytes]], unparsed: Counter[str], batch: int, refuses: bytes) -> Iterator[int]:
    """A relay before an echo; its port. All is seen when it has ended."""
    made = Relay(lambda reason: unparsed.update([reason]), lambda: None, batch)
    numbers = iter(range(1000))
    with echo() as target:
        sock = bind(0)
        made.listen(TapPort(sock, target, lambda: Noted(seen, next(numbers), refuses)))
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            made.stop()
            thread.join(20)


def talk(port: int, number: int, got: dict[int, bytes]) -> None:
    """Send messages, each when the one before has come back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        got[number] = b""
        for message in range(MESSAGES):
            data = f"{number}:{message};".encode()
            client.sendall(data)
            back = b""
            while len(back) < len(data) and (part := client.recv(65536)):
                back += part
            got[number] += back


@pytest.mark.parametrize("batch", [0, 1, 7, 1000])
@pytest.mark.parametrize("refuses", [b"none", b":11;"])
def test_all_of_it_passes_and_is_looked_at_in_its_order(batch: int, refuses: bytes) -> None:
    seen: list[tuple[int, str, bytes]] = []
    unparsed: Counter[str] = Counter()
    got: dict[int, bytes] = {}
    with relay(seen, unparsed, batch, refuses) as port:
        threads = [threading.Thread(target=talk, args=(port, number, got)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    last = MESSAGES if refuses == b"none" else 12
    for number in range(CLIENTS):
        assert got[number] == b"".join(f"{number}:{message};".encode() for message in range(MESSAGES))
    for number in range(CLIENTS):
        mine = [(direction, data) for one, direction, data in seen if one == number]
        # Each message goes, then comes back, and the end is seen once.
        whole = "".join(f"{direction}{data.decode().partition(':')[2]}" for direction, data in mine)
        ways = [f">{message};<{message};" for message in range(last)]
        if refuses != b"none":
            ways[-1] = f">{last - 1};"
        assert whole == "".join(ways) + "x"
    assert unparsed == ({} if refuses == b"none" else {"ValueError: not readable": CLIENTS})


@pytest.mark.parametrize("batch", [0, 1000])
def test_what_passed_is_looked_at_soon_after_also_when_nothing_more_comes(batch: int) -> None:
    seen: list[tuple[int, str, bytes]] = []
    with (
        relay(seen, Counter(), batch, b"none") as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as client,
    ):
        client.sendall(b"one")
        assert client.recv(100) == b"one"
        end = time.monotonic() + 10
        while len(seen) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert seen == [(0, ">", b"one"), (0, "<", b"one")]
