"""HTTP/1.1: the bytes of a connection, in both directions, as exchanges. Pure: it knows no sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

HEAD_BYTES: Final = 256 * 1024
BODILESS: Final = frozenset([204, 304])


class Unparsed(Exception):
    """Bytes that are not the protocol: they are passed on, but no longer read."""


@dataclass
class HttpHead:
    """A start line and its headers, names in lower case."""

    words: tuple[str, str, str]
    headers: dict[str, str]

    @property
    def status(self) -> int:
        """A response's status."""
        return int(self.words[1])


Event = HttpHead | bytes | None
"""A head, a part of a body, or None for the end of a message."""


@dataclass
class Exchange:
    """A request with its response, as far as they were seen. Bodies are cut at the limit; their sizes are whole."""

    method: str
    target: str
    headers: dict[str, str]
    started: float
    body: bytearray = field(default_factory=bytearray)
    body_size: int = 0
    status: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: bytearray = field(default_factory=bytearray)
    answer_size: int = 0
    ended: float | None = None
    mark: object = None


class Messages:
    """One direction of a connection. `feed` gives the events of these bytes, however they are cut."""

    def __init__(self, has_body: Callable[[HttpHead], bool | None]) -> None:
        """`has_body` says of a head without a length: False no body, True one until the end, None as HTTP has it."""
        self.has_body = has_body
        self.held = bytearray()
        self.step: Callable[[], Iterator[Event]] = self.read_head
        self.left = 0
        self.done = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events of the next bytes. Unparsed when they are not HTTP."""
        self.held += data
        self.done = False
        while not self.done:
            yield from self.step()

    def close(self) -> Iterator[Event]:
        """The end of the connection, which ends a body without a length."""
        if self.step == self.read_rest:
            yield None

    def line(self) -> bytes | None:
        """The next line without its end; None when it is not there yet."""
        end = self.held.find(b"\n")
        if end < 0:
            if len(self.held) > HEAD_BYTES:
                raise Unparsed("a line does not end")
            self.done = True
            return None
        line = bytes(self.held[:end]).rstrip(b"\r")
        del self.held[: end + 1]
        return line

    def read_head(self) -> Iterator[Event]:
        """A start line and headers."""
        while self.held[:2] == b"\r\n" or self.held[:1] == b"\n":
            del self.held[: 1 if self.held[:1] == b"\n" else 2]
        end, size = self.held.find(b"\r\n\r\n"), 4
        # Not searched in the body, which may be large.
        if (place := self.held.find(b"\n\n", 0, end if end >= 0 else len(self.held))) >= 0:
            end, size = place, 2
        if end < 0:
            if len(self.held) > HEAD_BYTES:
                raise Unparsed("the headers do not end")
            self.done = True
            return
        head = parse_head(bytes(self.held[:end]))
        del self.held[: end + size]
        yield head
        yield from self.begin_body(head)

    def begin_body(self, head: HttpHead) -> Iterator[Event]:
        """Prepare to read the body that follows a head."""
        body = self.has_body(head)
        coding = head.headers.get("transfer-encoding", "").lower()
        length = head.headers.get("content-length")
        if body is False:
            yield None
        elif "chunked" in coding:
            self.step = self.read_chunk_size
        elif length is not None:
            if not length.isdecimal():
                raise Unparsed("a length is not a number")
            self.left = int(length)
            self.step = self.read_length
        elif body is True:
            self.step = self.read_rest
        else:
            yield None

    def take(self) -> bytes:
        """Return what is there of the bytes that are left."""
        if self.left >= len(self.held):
            part, self.held = bytes(self.held), bytearray()
        else:
            part = bytes(self.held[: self.left])
            del self.held[: len(part)]
        self.left -= len(part)
        return part

    def read_length(self) -> Iterator[Event]:
        """A body of known length."""
        if part := self.take():
            yield part
        if self.left == 0:
            self.step = self.read_head
            yield None
        else:
            self.done = True

    def read_rest(self) -> Iterator[Event]:
        """A body that ends with the connection."""
        self.left = len(self.held)
        if part := self.take():
            yield part
        self.done = True

    def read_chunk_size(self) -> Iterator[Event]:
        """The line before a chunk."""
        line = self.line()
        if line is None:
            return
        try:
            self.left = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            raise Unparsed("a chunk's size is not a number") from None
        self.step = self.read_chunk if self.left else self.read_trailer
        yield from ()

    def read_chunk(self) -> Iterator[Event]:
        """A chunk's bytes."""
        if part := self.take():
            yield part
        if self.left:
            self.done = True
        else:
            self.step = self.read_chunk_end

    def read_chunk_end(self) -> Iterator[Event]:
        """The line end behind a chunk."""
        line = self.line()
        if line is None:
            return
        if line:
            raise Unparsed("a chunk is longer than it says")
        self.step = self.read_chunk_size
        yield from ()

    def read_trailer(self) -> Iterator[Event]:
        """Headers behind the last chunk."""
        line = self.line()
        if line == b"":
            self.step = self.read_head
            yield None


def parse_head(text: bytes) -> HttpHead:
    """A head from its lines. Unparsed when it is none."""
    lines = text.decode("latin-1").splitlines()
    words = lines[0].split(" ", 2) if lines else []
    if len(words) == 2:
        words.append("")
    if len(words) != 3 or not (words[0].startswith("HTTP/1.") or words[2].startswith("HTTP/1.")):
        raise Unparsed("no HTTP/1.1")
    if words[0].startswith("HTTP/") and not words[1].isdecimal():
        raise Unparsed("a status is not a number")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Unparsed("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    return HttpHead((words[0], words[1], words[2]), headers)


class Exchanges:
    """Both directions of a connection to exchanges: `began` is told of each request's head, `ended` of each response's
    end (or the connection's). Bodies are kept up to `limit` bytes.
    """

    def __init__(self, began: Callable[[Exchange], None], ended: Callable[[Exchange], None], limit: int) -> None:
        self.began, self.ended, self.limit = began, ended, limit
        self.open: deque[Exchange] = deque()
        self.asking: Exchange | None = None
        self.answering: HttpHead | None = None
        self.requests = Messages(lambda head: None)
        self.responses = Messages(self.response_has_body)
        self.raw = False

    def response_has_body(self, head: HttpHead) -> bool | None:
        """Return True if a body follows a response's head."""
        method = self.open[0].method if self.open else "GET"
        return head.status >= 200 and head.status not in BODILESS and method != "HEAD"

    def sent(self, data: bytes, now: float) -> None:
        """Bytes from the client."""
        if self.raw:
            return
        for event in self.requests.feed(data):
            if isinstance(event, HttpHead):
                self.asking = Exchange(event.words[0], event.words[1], event.headers, now)
                self.open.append(self.asking)
                self.began(self.asking)
            elif self.asking is not None and event is not None:
                keep(self.asking.body, event, self.limit)
                self.asking.body_size += len(event)

    def received(self, data: bytes, now: float) -> None:
        """Bytes from the server."""
        if self.raw:
            return
        for event in self.responses.feed(data):
            if not self.open:
                raise Unparsed("a response without a request")
            first = self.open[0]
            if isinstance(event, HttpHead):
                self.answering = event
                if event.status >= 200 or event.status == 101:
                    first.status, first.answer_headers = event.status, event.headers
            elif event is not None:
                keep(first.answer, event, self.limit)
                first.answer_size += len(event)
            elif first.status is not None:
                self.finish(now)
                if first.status == 101:
                    self.raw = True
                    return

    def finish(self, now: float) -> None:
        """The first open exchange has its response."""
        first = self.open.popleft()
        first.ended = now
        self.ended(first)

    def close(self, now: float) -> None:
        """The connection ended."""
        if self.raw:
            return
        for _ in self.responses.close():
            if self.open:
                self.finish(now)
        while self.open:
            self.ended(self.open.popleft())


def keep(kept: bytearray, part: bytes, limit: int) -> None:
    """Append as much as the limit allows."""
    if (room := limit - len(kept)) > 0:
        kept += part[:room]
