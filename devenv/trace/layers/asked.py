"""The reads that the running application sends for the traced request, where it runs behind `up --tap`.

They are looked at only when its answer is wrong and its functions are right: then they tell where the two part.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devenv.capture import requests
from devenv.capture.calls import StoreCall
from devenv.core.errors import DevenvError
from devenv.core.templates import Unknown
from devenv.trace.layers.http import follow
from devenv.trace.layers.requests import requests_of
from devenv.trace.layers.tapped import is_frame
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.capture.tap.records import WireCall

# The tap writes what it saw several times a second.
PATIENCE_S: Final = 2.0
POLL_S: Final = 0.1
EARLIER: Final = "a transaction that was begun before the request"


def reads_of_request(inquiry: TraceContext, person: Mapping[str, Any] | None) -> tuple[StoreCall, ...] | None:
    """Send the request once more, alone, and return its reads as the tap saw them.

    None without a tap, for a request that may write, and where a call could be another request's, too.
    """
    from devenv.capture.tap import journal

    declared, tap = inquiry.question.trace.request, inquiry.application.tap
    if declared is None or declared.method != "GET" or tap is None:
        return None
    mark = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    try:
        ask = requests_of(inquiry, declared, tap.url, person, None)["member"]
    except (DevenvError, Unknown):
        return None
    before = tap.journal.stat().st_size if tap.journal.exists() else 0
    follow(declared, replace(ask, headers={**ask.headers, "traceparent": mark}))
    end = time.monotonic() + PATIENCE_S
    while not any(line.get("traceparent") == mark for line in lines_from(tap.journal, before)):
        if time.monotonic() > end:
            return None
        time.sleep(POLL_S)
    return reads_in(journal.read(tap.journal), mark)


def lines_from(file: Path, offset: int) -> Iterator[dict[str, Any]]:
    """The lines that tell of requests behind a place of the journal; all of a file that was begun anew."""
    from devenv.capture.tap import journal

    try:
        with open(file, "rb") as opened:
            size = opened.seek(0, io.SEEK_END)
            opened.seek(offset if offset <= size else 0)
            lines = [*filter(None, map(journal.decode, opened))]
    except FileNotFoundError:
        return
    yield from (line for line in lines if line.get("kind") == "request")


def reads_in(lines: Iterable[Mapping[str, Any]], mark: str) -> tuple[StoreCall, ...] | None:
    """The reads of the request that carries this `traceparent`; None without one, and where it shares a call.

    A call in a transaction that an ended request left open is this one's.
    """
    from devenv.capture.tap import history

    groups = list(history.group(lines))
    requests_seen = {one.request.number: one.request for one in groups if one.request is not None}
    mine = next((one for one in reversed(groups) if one.request and one.request.traceparent == mark), None)
    if mine is None or mine.request is None:
        return None
    number, began = mine.request.number, mine.request.started
    calls = list(mine.calls)
    for group in groups:
        if number not in group.shared:
            continue
        others = [requests_seen.get(one) for one in group.shared if one != number]
        if not all(one is not None and one.started + (one.ms or 0) / 1000 <= began for one in others):
            return None
        calls += group.calls
    begun: set[int] = set()
    sent = []
    for call in sorted(calls, key=lambda one: one.started):
        one = requests.from_call(call)
        if is_begin(call):
            begun.add(call.connection)
        if not requests.is_read(one) or is_frame(one):
            continue
        earlier = call.transaction not in (None, "idle") and call.connection not in begun
        place = {
            "database": call.database,
            "user": call.role,
            "search_path": call.search_path,
            "transaction": EARLIER if earlier else None,
        }
        sent.append(replace(one, place={name: text for name, text in place.items() if text is not None}))
    return tuple(requests.describe(run) for run in requests.fold_pages(sent))


def is_begin(call: WireCall) -> bool:
    """Return True for the statement that begins a transaction."""
    return call.is_sql and (call.statement or "").lower().startswith(("begin", "start transaction"))
