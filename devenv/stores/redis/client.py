"""A client of Redis and Valkey, as small as devenv needs it: one connection, RESP2, every call with a deadline."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Final
from urllib.parse import unquote, urlsplit

from devenv.core.errors import StoreError

# An answer: a status, a number, bytes, nothing, or a list of answers.
Answer = str | int | bytes | None | list["Answer"]
MOST_BYTES: Final = 64 * 1024 * 1024
DEEPEST: Final = 8
# What cannot change anything, whatever its arguments are.
READING: Final = frozenset(
    (
        *("AUTH", "DBSIZE", "EXISTS", "INFO", "PING", "PTTL", "SCAN", "SELECT", "TTL", "TYPE"),
        *("BITCOUNT", "GET", "GETRANGE", "MGET", "STRLEN"),
        *("HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HSCAN", "HVALS"),
        *("LINDEX", "LLEN", "LRANGE", "SCARD", "SISMEMBER", "SMEMBERS", "SSCAN"),
        *("XLEN", "XRANGE", "ZCARD", "ZRANGE", "ZSCAN", "ZSCORE"),
    )
)


class Redis:
    """One connection to `redis://:PASSWORD@HOST:PORT/DATABASE`. Errors are StoreError; `reached` tells which kind.

    `timeout` is that of one call, from its first byte to the last of the answer. With `read_only` every command that
    could write is refused here.
    """

    def __init__(self, url: str, timeout: float = 5.0, *, read_only: bool = False) -> None:
        place = urlsplit(url)
        self.host, self.port = place.hostname or "127.0.0.1", place.port or 6379
        self.timeout = timeout
        self.read_only = read_only
        self._buffer = b""
        self._read = 0
        self._end = time.monotonic() + timeout
        try:
            self._socket = socket.create_connection((self.host, self.port), timeout=timeout)
        except OSError as error:
            raise self.silent(error) from None
        try:
            if place.password:
                user = [unquote(place.username)] if place.username else []
                self.call("AUTH", *user, unquote(place.password))
            if place.path.strip("/"):
                self.call("SELECT", place.path.strip("/"))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def call(self, command: str, *arguments: str | bytes | int) -> Answer:
        """Send one command and return its answer. StoreError when it is refused, or not answered in time."""
        if self.read_only and command.upper() not in READING:
            raise StoreError(f"{command.upper()} could write, and this connection only reads")
        self._end = time.monotonic() + self.timeout
        self._read = 0
        try:
            self._socket.settimeout(self.left())
            self._socket.sendall(encoded(command, *arguments))
            return self.answer()
        except OSError as error:
            raise self.silent(error) from None
        except ValueError:
            raise StoreError(f"{self.host}:{self.port} does not answer like Redis", reached=False) from None

    def silent(self, error: OSError) -> StoreError:
        """The error for a server that cannot be asked."""
        return StoreError(f"{self.host}:{self.port} does not answer", detail=str(error), reached=False)

    def left(self) -> float:
        """Seconds until the deadline of the present call. TimeoutError when it is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self.timeout:g} s")
        return left

    def answer(self, depth: int = 0) -> Answer:
        """Read one answer. ValueError for what is none."""
        line = self.line()
        mark, rest = line[:1], line[1:]
        if mark == b"+":
            return rest.decode("utf-8", "replace")
        if mark == b"-":
            text = rest.decode("utf-8", "replace")
            raise StoreError(text, code=text.split(" ", 1)[0])
        if mark == b":":
            return int(rest)
        if mark == b"$":
            return None if rest == b"-1" else self.exactly(int(rest) + 2)[:-2]
        if mark == b"*" and depth < DEEPEST:
            return None if rest == b"-1" else [self.answer(depth + 1) for _ in range(int(rest))]
        raise ValueError(line[:20])

    def line(self) -> bytes:
        """Read up to the next end of line, without it."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            self.receive()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def exactly(self, count: int) -> bytes:
        """Read that many bytes."""
        if not 0 <= count <= MOST_BYTES:
            raise ValueError(count)
        parts = [self._buffer]
        have = len(self._buffer)
        while have < count:
            self._buffer = b""
            self.receive()
            parts.append(self._buffer)
            have += len(self._buffer)
        whole = b"".join(parts)
        self._buffer = whole[count:]
        return whole[:count]

    def receive(self) -> None:
        """Read what has come. OSError at the end of the connection, ValueError for an answer without an end."""
        self._socket.settimeout(self.left())
        found = self._socket.recv(65_536)
        if not found:
            raise ConnectionResetError("it ended the connection")
        self._read += len(found)
        if self._read > MOST_BYTES:
            raise ValueError("too long")
        self._buffer += found


def encoded(*words: str | bytes | int) -> bytes:
    """Return a command as RESP writes it: a list of byte strings. Pure."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)])


def ping(url: str, timeout: float = 2.0) -> None:
    """Ask if it answers, and takes the password. StoreError otherwise."""
    with Redis(url, timeout) as redis:
        redis.call("PING")


def empty(url: str, timeout: float = 30.0) -> None:
    """Delete everything in it. StoreError."""
    with Redis(url, timeout) as redis:
        redis.call("FLUSHALL")
