"""The calls of a command in any language, seen by a tap that stands before the stores while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.capture import requests
from devenv.config.services import STORES
from devenv.core.model import Targets

if TYPE_CHECKING:
    from devenv.capture.tap.records import Request, WireCall

CALLS: Final = 10_000
BYTES: Final = 200_000_000
FRAME: Final = frozenset(
    ("begin", "start", "commit", "rollback", "end", "savepoint", "release", "set", "reset", "show", "discard")
) | {"deallocate", "close"}


class Watched(msgspec.Struct):
    """The requests of a command. `environ` leads through the tap."""

    environ: Mapping[str, str]
    targets: Targets
    calls: list[WireCall] = msgspec.field(default_factory=list)
    size: int = 0
    too_many: bool = False

    def take(self, record: WireCall | Request) -> None:
        """Keep a call, up to a bound."""
        from devenv.capture.tap.records import WireCall

        if not isinstance(record, WireCall):
            return
        self.size += record.bytes_sent + record.bytes_received
        if len(self.calls) >= CALLS or self.size > BYTES:
            self.too_many = True
        else:
            self.calls.append(record)

    def reads(self, store: str | None) -> Sequence[requests.Sent] | None:
        """The reads in the order in which they began. None when they are not known.

        No call of `store` is no proof that there was none: an address that is written in the code leads past the tap.
        """
        seen = {call.store for call in self.calls}
        if self.too_many or not seen or (store is not None and store not in seen):
            return None
        sent = [self.located(call) for call in sorted(self.calls, key=lambda call: call.started)]
        return [one for one in sent if requests.is_read(one) and not is_frame(one)]

    def located(self, call: WireCall) -> requests.Sent:
        """A call with the address behind the tap."""
        sent = requests.from_call(call)
        if not call.is_sql:
            return replace(sent, url=self.targets.dynamodb.endpoint)
        postgres = self.targets.postgres
        place = {"host": postgres.host, "port": postgres.port, "database": call.database, "user": call.role}
        return replace(sent, place={name: value for name, value in place.items() if value is not None})


def is_frame(sent: requests.Sent) -> bool:
    """Return True for a statement that only frames others: of transactions and session settings."""
    if not sent.is_sql:
        return False
    words = str(sent.request).lower().replace(";", " ").split(None, 1)
    return not words or words[0] in FRAME


@contextmanager
def watching(environ: Mapping[str, str], targets: Targets) -> Iterator[Watched]:
    """Stand a tap before both stores during the block, for a process that is given `environ` of what is yielded."""
    from devenv.capture.tap.addresses import redirect
    from devenv.capture.tap.server import Tap, TapRoute

    places = {name: targets[name].place for name in STORES}
    watched = Watched(environ, targets)
    with contextlib.ExitStack() as stack:
        if not targets.dynamodb.endpoint.startswith("https:"):
            tap = Tap(tuple(TapRoute(kind, 0, place) for kind, place in places.items()), watched.take, contents=True)
            stack.enter_context(tap)
            ports = {place: ("127.0.0.1", tap.ports[kind]) for kind, place in places.items()}
            watched.environ = redirect(environ, ports)
        yield watched
