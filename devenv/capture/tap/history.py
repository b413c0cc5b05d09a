"""Recorded lines as requests with their calls, and the marks for N+1 and repeated calls. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.capture.tap.journal import record
from devenv.capture.tap.records import Request, WireCall

MANY: Final = 3
"""Calls that differ in nothing but their values are marked from this number on."""
OPEN: Final = 1000
"""Requests without an end that are waited for."""
# Words that begin statements of which many are no loop of the application.
FRAME: Final = frozenset(
    ("begin", "start", "commit", "rollback", "end", "savepoint", "release", "set", "reset", "show", "discard")
) | {"deallocate", "declare", "fetch", "close"}


@dataclass
class RequestCalls:
    """A request and its calls. Without a request: calls of none (`shared` is empty) or of one of several."""

    request: Request | None
    calls: list[WireCall] = field(default_factory=list)
    shared: tuple[int, ...] = ()


@dataclass(frozen=True)
class Repeat:
    """Calls of one request that are alike. `kind`: `n+1` with other values each, `repeated` with the same values."""

    kind: str
    times: int
    calls: tuple[int, ...]


class Groups:
    """Lines in, groups out, each when its request has ended."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[int, list[WireCall]] = OrderedDict()

    def feed(self, line: Mapping[str, Any]) -> Iterator[RequestCalls]:
        """The groups that this line completes."""
        if line.get("kind") == "started":
            self.waiting.clear()
        one = record(dict(line))
        if isinstance(one, Request):
            yield RequestCalls(one, self.waiting.pop(one.number, []))
        elif isinstance(one, WireCall):
            owners = one.owner.requests
            if len(owners) != 1:
                yield RequestCalls(None, [one], owners)
                return
            self.waiting.setdefault(owners[0], []).append(one)
            while len(self.waiting) > OPEN:
                self.waiting.popitem(last=False)


def group(lines: Iterable[Mapping[str, Any]]) -> Iterator[RequestCalls]:
    """All groups of a journal. A call that ended after its request's response is added to it."""
    groups = Groups()
    done: OrderedDict[int, RequestCalls] = OrderedDict()
    for line in lines:
        if line.get("kind") == "started":
            yield from done.values()
            done.clear()
        for found in groups.feed(line):
            if found.request is None:
                yield found
                continue
            done[found.request.number] = found
            if len(done) > OPEN:
                yield done.popitem(last=False)[1]
        for number in [n for n in groups.waiting if n in done]:
            done[number].calls += groups.waiting.pop(number)
    yield from done.values()


def shape(call: WireCall) -> str:
    """Return what calls have in common that differ in their values only."""
    if call.is_sql:
        return f"{call.operation} {call.statement}"
    request = dict(call.request) if isinstance(call.request, dict) else {}
    return json.dumps([call.operation, request], sort_keys=True, default=str)


def counts(call: WireCall) -> bool:
    """Return True if several calls like this are worth a mark: no BEGIN, no further page."""
    if not call.is_sql:
        return not (isinstance(call.request, dict) and {"ExclusiveStartKey", "NextToken"} & call.request.keys())
    words = (call.statement or "").lower().replace(";", " ").split(None, 1)
    return bool(words) and words[0] not in FRAME


def repeats(calls: Iterable[WireCall]) -> tuple[Repeat, ...]:
    """Marks of a request's calls: those that a loop sends one by one, and those that are sent twice."""
    alike: dict[str, list[tuple[int, WireCall]]] = {}
    for place, call in enumerate(calls):
        if counts(call):
            alike.setdefault(shape(call), []).append((place, call))
    found: list[Repeat] = []
    for same in alike.values():
        values = {call.digest for _, call in same}
        if len(same) > len(values):
            by_value: dict[str | None, list[int]] = {}
            for place, call in same:
                by_value.setdefault(call.digest, []).append(place)
            twice = [places for places in by_value.values() if len(places) > 1]
            places = tuple(sorted(place for each in twice for place in each))
            found.append(Repeat("repeated", len(places), places))
        if len(values) >= MANY:
            found.append(Repeat("n+1", len(same), tuple(place for place, _ in same)))
    return tuple(found)
