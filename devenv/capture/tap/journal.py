"""The file that a tap writes its records to, and that `devenv requests` reads. JSON, one record a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from devenv.capture.tap.records import Request, WireCall, from_json, stated, to_json
from devenv.config.masking import hide
from devenv.host.writing import open_append

NAME: Final = "requests.jsonl"
BYTES: Final = 8 << 20
LINE_BYTES: Final = 64 << 10
# `json.dumps` would make one for each record.
ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# Fields of a call to Postgres that are the same in many calls. Of the others some are different in each.
SAME: Final = (
    "store", "operation", "statement", "parameters", "columns", "more", "error", "detail", "database", "search_path",
    "role", "transaction",
)  # fmt: skip
SAME_VALUES: Final = attrgetter(*SAME)


class CallJournal:
    """Appends records. The file and the one before it take at most BYTES each; only the user can read them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.descriptor = self.open()

    def open(self) -> int:
        """The file, made when it is not there."""
        with open_append(self.path) as file:
            return os.dup(file.fileno())

    def add(self, record: WireCall | Request) -> None:
        """Take a record, to be written with the next `flush`."""
        line = call_line(record) if isinstance(record, WireCall) else encode(to_json(record))
        if len(line) > LINE_BYTES:
            small = to_json(record)
            for name in ("request", "items", "columns", "parameters"):
                small.pop(name, None)
            line = encode(small)
        self.lines.append(line)

    def note(self, **values: Any) -> None:
        """Take a line that is no record."""
        self.lines.append(encode(values))

    def flush(self) -> None:
        """Write what was taken."""
        if not self.lines:
            return
        data, self.lines = b"".join(self.lines), []
        if os.fstat(self.descriptor).st_size + len(data) > BYTES:
            os.close(self.descriptor)
            os.replace(self.path, earlier(self.path))
            self.descriptor = self.open()
        while data:
            data = data[os.write(self.descriptor, data) :]


def call_line(call: WireCall) -> bytes:
    """The line of a call. To encode it as a whole would take a call to Postgres as long as to read it."""
    if not call.is_sql or call.request is not None:
        return encode(to_json(call))
    owner, text = call.owner, same_text(SAME_VALUES(call))
    text += f',"started":{call.started!r},"connection":{call.connection},"how":"{owner.how}"'
    text += f',"requests":{list(owner.requests)},"bytes_sent":{call.bytes_sent},"bytes_received":{call.bytes_received}'
    for name, value in (("ms", call.ms), ("rows", call.rows)):
        if value is not None:
            text += f',"{name}":{value!r}'
    for name, word in (("digest", call.digest), ("traceparent", call.traceparent)):
        if word is not None:
            text += f',"{name}":"{word}"'
    return (text + "}\n").encode("utf-8", "replace")


@lru_cache(maxsize=200)
def same_text(values: tuple[Any, ...]) -> str:
    """The beginning of a line: the values of SAME."""
    return hide(ENCODER.encode({"kind": "call", **stated(dict(zip(SAME, values, strict=True)))})[:-1])


def encode(values: dict[str, Any]) -> bytes:
    """A line, without the secrets that this process knows."""
    return hide(ENCODER.encode(values)).encode("utf-8", "replace") + b"\n"


def earlier(path: Path) -> Path:
    """The file that was full."""
    return path.with_name(path.name + ".1")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """All lines that are there, oldest first. A line that was cut by a crash is passed over."""
    for file in (earlier(path), path):
        yield from read_file(file)


def read_file(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of one file; none when it is not there."""
    try:
        with open(file, "rb") as lines:
            yield from filter(None, map(decode, lines))
    except FileNotFoundError:
        return


def decode(line: bytes) -> dict[str, Any] | None:
    """A line's object; None for what is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def record(line: dict[str, Any]) -> WireCall | Request | None:
    """The record of a line; None for a line of another kind, or of another version of devenv."""
    try:
        return from_json(line)
    except TypeError:
        return None
