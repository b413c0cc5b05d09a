"""`devenv requests`: what the tap recorded, grouped by the application's requests."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from devenv.capture.tap import history, journal
from devenv.capture.tap.history import RequestCalls
from devenv.capture.tap.records import WireCall, to_json
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.lifecycle import tap
from devenv.stack import Stack

POLL_S: Final = 0.2


def report(stack: Stack, count: int) -> Report:
    """The last `count` requests. UsageError when nothing was ever recorded."""
    file = recorded(stack)
    requests: deque[RequestCalls] = deque(maxlen=count)
    others: deque[RequestCalls] = deque(maxlen=10 * count)
    unparsed: dict[str, int] = {}

    def lines() -> Iterator[dict[str, Any]]:
        for line in journal.read(file):
            if line.get("kind") == "started":
                unparsed.clear()
            elif line.get("kind") == "unparsed":
                unparsed.update(line.get("reasons") or {})
            yield line

    for group in history.group(lines()):
        (others if group.request is None else requests).append(group)
    since = requests[0].request.started if requests and requests[0].request else 0.0
    late = [group for group in others if group.calls[0].started >= since]
    return Report(
        "requests",
        stack.settings.project.name,
        Exit.DONE,
        {
            "recording": any(state.state == "running" for state in tap.look(stack.engine)),
            "requests": [as_document(group) for group in requests],
            "shared": [{"requests": list(g.shared), "call": call_document(g.calls[0])} for g in late if g.shared],
            "unassigned": [call_document(group.calls[0]) for group in late if not group.shared],
            "unparsed": unparsed,
        },
    )


def recorded(stack: Stack) -> Path:
    """The journal. UsageError when there is none."""
    file = tap.journal(stack.engine)
    if not file.exists() and not journal.earlier(file).exists():
        raise UsageError("nothing was recorded yet: the tap has not run", hint="devenv up --tap")
    return file


def as_document(group: RequestCalls) -> dict[str, Any]:
    """A request with its calls and marks."""
    assert group.request is not None  # noqa: S101 - only requests come here
    found = to_json(group.request)
    del found["kind"]
    return {
        "id": found.pop("number"),
        **{name: found.get(name) for name in ("method", "path", "status", "ms", "started", "traceparent")},
        "calls": [call_document(call) for call in group.calls],
        "marks": [
            {"kind": mark.kind, "times": mark.times, "calls": list(mark.calls)} for mark in history.repeats(group.calls)
        ],
    }


def call_document(call: WireCall) -> dict[str, Any]:
    """A call: what is always there, and `text` for people."""
    from devenv.capture.calls import shown
    from devenv.capture.requests import describe, from_call

    found = to_json(call)
    for name in ("kind", "requests", "digest", "key"):
        found.pop(name, None)
    return {"text": shown(describe([from_call(call)])), "rows": None, "error": None, **found}


def subject_of(stack: Stack, number: int) -> tuple[str, tuple[str, ...]]:
    """The subject and its parameters that a recorded request is about. UsageError when no subject matches."""
    lines = (line for line in journal.read(recorded(stack)) if line.get("kind") == "request")
    request = next((line for line in lines if line.get("number") == number), None)
    if request is None:
        raise UsageError(f"there is no request {number}", hint="devenv requests")
    for name, section in stack.settings.trace.items():
        declared = section.request
        if declared is None or declared.method != request["method"]:
            continue
        found = match_path(declared.path, str(request["path"]))
        if found is not None and found.keys() >= section.params.keys():
            return name, tuple(found[param] for param in section.params)
    raise UsageError(
        f"no subject has a request like {request['method']} {request['path']}",
        detail="paths are compared with [trace.SUBJECT.request]; values after `?` are not recorded",
        hint="devenv requests",
    )


def match_path(declared: str, path: str) -> dict[str, str] | None:
    """The parameters of a path that was declared with `{name}` in their places; None when it is another path. Pure."""
    parts = re.split(r"\{([\w.]+)\}", declared.partition("?")[0])
    pattern = "".join(re.escape(part) if place % 2 == 0 else "([^/]+)" for place, part in enumerate(parts))
    found = re.fullmatch(pattern, path.partition("?")[0])
    return None if found is None else dict(zip(parts[1::2], map(unquote, found.groups()), strict=True))


def follow(stack: Stack) -> Iterator[dict[str, Any]]:
    """Each request that ends from now on, until the process is ended."""
    file = recorded(stack)
    groups = history.Groups()
    position, inode = file.stat().st_size, file.stat().st_ino
    rest = b""
    while True:
        time.sleep(POLL_S)
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        if status.st_ino != inode:
            position, inode, rest = 0, status.st_ino, b""
        with open(file, "rb") as opened:
            opened.seek(position)
            data = opened.read()
        position += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in filter(None, map(journal.decode, whole)):
            for group in groups.feed(line):
                if group.request is not None:
                    yield as_document(group)
