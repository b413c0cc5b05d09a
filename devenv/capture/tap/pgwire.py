"""The Postgres wire protocol, version 3: bytes to messages; the first messages (SSL is declined). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from devenv.capture.tap.http import Unparsed

KEPT: Final = 64 * 1024
"""Bytes of one message that are kept; of a longer one the beginning."""
LONGEST: Final = 1 << 30
HEAD: Final = struct.Struct("!BI")
SSL_REQUEST: Final = 80877103
GSSENC_REQUEST: Final = 80877104
CANCEL_REQUEST: Final = 80877102
FRONTEND: Final = frozenset(b"BCDEFHPQSXcdfp")
BACKEND: Final = frozenset(b"123ACDEGHIKNRSTVWZcdnstv")
# Messages of which only the size is read: rows and copied data.
FRONTEND_DATA: Final = frozenset(b"d")
BACKEND_DATA: Final = frozenset(b"Dd")
TYPES: Final = {
    16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "text", 26: "oid",
    114: "json", 142: "xml", 700: "float4", 701: "float8", 790: "money", 869: "inet", 1000: "bool[]", 1005: "int2[]",
    1007: "int4[]", 1009: "text[]", 1015: "varchar[]", 1016: "int8[]", 1042: "bpchar", 1043: "varchar", 1082: "date",
    1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1266: "timetz", 1560: "bit",
    1700: "numeric", 2950: "uuid", 2951: "uuid[]", 3802: "jsonb",
}  # fmt: skip


class Gate:
    """The beginning of a client's connection: what asks for encryption is declined here and never reaches the server.

    A connection that begins with TLS itself is let through as it is.
    """

    def __init__(self) -> None:
        self.held = b""
        self.open = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(what is answered to the client, what goes to the server)."""
        if self.open:
            return b"", data
        self.held += data
        reply = b""
        while not self.open and len(self.held) >= 8 and self.held[0] == 0:
            length, code = struct.unpack_from("!II", self.held)
            if length == 8 and code in (SSL_REQUEST, GSSENC_REQUEST):
                self.held = self.held[8:]
                reply += b"N"
            else:
                self.open = True
        if self.held and self.held[0] != 0:
            self.open = True
        if not self.open:
            return reply, b""
        forward, self.held = self.held, b""
        return reply, forward


class Stream:
    """One direction's messages, as (type, body, size, count). Bodies are cut at KEPT; those of `data` are dropped.

    Neighbours of the same type of `data` come as one, with their size together: an answer has many rows.
    """

    def __init__(self, kinds: frozenset[int], data: frozenset[int]) -> None:
        self.kinds, self.data = kinds, data
        self.held = bytearray()
        self.skipped: tuple[int, bytes, int, int] | None = None
        self.left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
        """The messages that end in these bytes. Unparsed when they are none of the protocol."""
        place = 0
        if self.left:
            place = min(self.left, len(data))
            self.left -= place
            if self.left or self.skipped is None:
                return
            skipped, self.skipped = self.skipped, None
            yield skipped
        if self.held:
            self.held += data[place:] if place else data
            data, place, self.held = bytes(self.held), 0, bytearray()
        end = len(data)
        while end - place >= HEAD.size:
            kind, length = HEAD.unpack_from(data, place)
            if kind not in self.kinds or not 4 <= length < LONGEST:
                raise Unparsed(f"not a Postgres message: {kind}, {length - 4} bytes")
            behind = place + 1 + length
            if kind in self.data:
                if behind <= end:
                    begin = place
                    count, place = neighbours(data, kind, behind)
                    yield kind, b"", place - begin - count * HEAD.size, count
                    continue
                kept = 0
            elif behind <= end:
                yield kind, data[place + HEAD.size : min(behind, place + HEAD.size + KEPT)], length - 4, 1
                place = behind
                continue
            elif length - 4 > KEPT and end - place - HEAD.size >= KEPT:
                kept = KEPT
            else:
                break
            begin = place + HEAD.size
            self.skipped, self.left = (kind, data[begin : begin + kept], length - 4, 1), behind - end
            return
        if place < end:
            self.held += data[place:]


def neighbours(data: bytes, kind: int, place: int) -> tuple[int, int]:
    """(how many messages of a type stand together up to the first that is cut, the place behind them).

    The one before `place` is counted.
    """
    unpack, last = HEAD.unpack_from, len(data) - HEAD.size
    count, end = 1, len(data)
    while place <= last:
        found, length = unpack(data, place)
        behind: int = place + 1 + length
        if found != kind or behind > end or length < 4:
            break
        count, place = count + 1, behind
    return count, place


def startup(data: bytes) -> tuple[int, dict[str, str]]:
    """(protocol or request code, parameters) of a startup packet without its length."""
    code = int.from_bytes(data[:4], "big")
    words = data[4:].split(b"\0")
    texts = [word.decode("utf-8", "replace") for word in words]
    return code, dict(zip(texts[0::2], texts[1::2], strict=False)) if code >> 16 == 3 else {}


def text_at(body: bytes, place: int) -> tuple[str, int]:
    """(a text that ends with a zero byte, the place behind it); of a cut text the beginning."""
    end = body.find(b"\0", place)
    if end < 0:
        end = len(body)
    return body[place:end].decode("utf-8", "replace"), end + 1


def numbers_at(body: bytes, place: int, size: int) -> tuple[list[int], int]:
    """(numbers behind a count of two bytes, the place behind them)."""
    count = int.from_bytes(body[place : place + 2], "big")
    place += 2
    end = min(len(body), place + count * size)
    found = [int.from_bytes(body[at : at + size], "big") for at in range(place, end - size + 1, size)]
    return found, place + count * size


@lru_cache(maxsize=100)
def columns_of(body: bytes) -> tuple[str, ...]:
    """Names of a RowDescription. An application asks for the same ones again and again."""
    names = []
    place = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        if place >= len(body):
            break
        name, place = text_at(body, place)
        names.append(name)
        place += 18
    return tuple(names)


def fields_of(body: bytes) -> dict[str, str]:
    """Fields of an ErrorResponse, by their letter."""
    found = {}
    for part in body.split(b"\0"):
        if part:
            found[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return found


def type_names(numbers: list[int]) -> tuple[str, ...]:
    """Names of types; `unspecified` where the client leaves it to the server."""
    return tuple("unspecified" if not one else TYPES.get(one, f"type {one}") for one in numbers)
