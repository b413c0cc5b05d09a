"""A cache before the list of conversations: one entry per person in Redis, off unless `LIST_CACHE_S` is set.

Cache aside: a reader stores what it read, a writer deletes the entries of everybody whose list it changed. A slow
reader may store an old list after that; `LIST_CACHE_S` seconds bound how long it stays. Without Redis all is read.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from io import BufferedRWPair
from typing import Any
from urllib.parse import unquote, urlsplit

from devenv.example.settings import settings

PATIENCE_S = 1.0


def key_of(user_uuid: str) -> str:
    """The key of a person's list."""
    return f"conv:{user_uuid}"


def cached(user_uuid: str, make: Callable[[], Any]) -> Any:
    """The person's entry, or else what `make` returns, which is stored."""
    if not settings().list_cache_s:
        return make()
    with contextlib.suppress(OSError, ValueError):
        if (found := ask("GET", key_of(user_uuid))) is not None:
            return json.loads(found)
    made = make()
    with contextlib.suppress(OSError):
        ask("SET", key_of(user_uuid), json.dumps(made), "EX", str(settings().list_cache_s))
    return made


def forget(read_rows: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
    """Delete the lists of a conversation's members, whose group rows (`read_rows`) have moved."""
    if settings().list_cache_s and (keys := [key_of(row["pk"]["S"].removeprefix("GRP#")) for row in read_rows()]):
        with contextlib.suppress(OSError):
            ask("DEL", *keys)


def ask(*words: str) -> str | None:
    """Send one command on a connection of its own. OSError when it is not answered, or refused."""
    place = urlsplit(settings().redis_url)
    password = [("AUTH", unquote(place.password))] if place.password else []
    address = (place.hostname or "127.0.0.1", place.port or 6379)
    with socket.create_connection(address, PATIENCE_S) as connection, connection.makefile("rwb") as stream:
        answer = None
        for command in (*password, words):
            parts = [word.encode() for word in command]
            stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            stream.flush()
            answer = read(stream)
    return answer


def read(stream: BufferedRWPair) -> str | None:
    """One answer of Redis: a text, or nothing."""
    line = stream.readline().strip().decode()
    if not line or line.startswith("-"):
        raise OSError(line or "Redis ended the connection")
    if not line.startswith("$"):
        return line[1:]
    return None if line == "$-1" else stream.read(int(line[1:]) + 2)[:-2].decode()
