"""Assign calls to requests. Nothing is guessed: a call that could belong to several requests is `shared`. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from devenv.capture.tap.records import Owner

NOBODY: Final = Owner()
REMEMBERED: Final = 200
"""Ended requests whose trace ids are still known, for calls that come after the response."""


def trace_id(traceparent: str) -> str:
    return traceparent.split("-")[1]


class Requests:
    """The requests in flight, with the traces that are known to be theirs.

    A call belongs to the request whose traceparent it carries. Without one it belongs to the only request in flight.
    """

    def __init__(self) -> None:
        self.active: dict[int, str | None] = {}
        self.ended: OrderedDict[int, str] = OrderedDict()
        self.numbers = 0

    def begin(self, traceparent: str | None) -> int:
        """A request's head was seen. Its number."""
        self.numbers += 1
        self.active[self.numbers] = traceparent
        return self.numbers

    def end(self, number: int) -> None:
        """A request's response was seen to its end."""
        traceparent = self.active.pop(number, None)
        if traceparent is not None:
            self.ended[number] = traceparent
            if len(self.ended) > REMEMBERED:
                self.ended.popitem(last=False)

    def owner(self, traceparent: str | None) -> Owner:
        """The owner of a call that begins now."""
        if traceparent is None:
            return self.by_time(tuple(self.active))
        for known in (self.active, self.ended):
            for matches in (
                [number for number, one in known.items() if one == traceparent],
                [number for number, one in known.items() if one and trace_id(one) == trace_id(traceparent)],
            ):
                if matches:
                    return Owner("traceparent" if len(matches) == 1 else "shared", tuple(matches))
        # An application that begins a trace of its own for a request that brought none.
        untraced = tuple(number for number, one in self.active.items() if one is None)
        found = self.by_time(tuple(self.active)) if untraced else Owner()
        if found.how == "alone":
            self.active[found.requests[0]] = traceparent
        return found

    @staticmethod
    def by_time(active: tuple[int, ...]) -> Owner:
        """The owner of a call that carries no trace."""
        if not active:
            return NOBODY
        return Owner("alone" if len(active) == 1 else "shared", active)
