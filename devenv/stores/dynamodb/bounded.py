"""A socket for `http.client` whose every read and write has the deadline of its request."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any


class BoundedSocket(io.RawIOBase):
    """A connected socket whose every read and write ends when `left` says so, as `http.client` uses one."""

    def __init__(self, socket: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self._socket = socket
        self._left = left
        # Of a server that ends the connection, http.client closes the socket before it reads the answer.
        self._readers = 0

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file of the answers; closing it leaves the connection open for the next request."""
        self._readers += 1
        return io.BufferedReader(BoundedReader(self))

    def release(self) -> None:
        """A reader is done."""
        self._readers -= 1
        if self.closed and not self._readers:
            self._socket.close()

    def sendall(self, content: Any) -> None:
        """Send all of it. TimeoutError."""
        self._socket.settimeout(self._left())
        self._socket.sendall(content)

    def receive_into(self, buffer: Any) -> int:
        """Read what is there. TimeoutError."""
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection, as soon as no answer is read any more."""
        if not self._readers:
            self._socket.close()
        super().close()


class BoundedReader(io.RawIOBase):
    """The reading side of a BoundedSocket."""

    def __init__(self, socket: BoundedSocket) -> None:
        super().__init__()
        self._socket = socket

    def close(self) -> None:
        """The answer is read."""
        if not self.closed:
            self._socket.release()
        super().close()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there. TimeoutError."""
        return self._socket.receive_into(buffer)
