"""A tap: its ports, what it records, and where the records go."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from devenv.capture.tap.application import ApplicationConversation
from devenv.capture.tap.assign import Requests
from devenv.capture.tap.dynamodb import DynamoConversation
from devenv.capture.tap.pgwire import Gate
from devenv.capture.tap.postgres import PostgresConversation
from devenv.capture.tap.records import Request, WireCall
from devenv.capture.tap.relay import Address, Conversation, Relay, TapPort, bind

KINDS: Final = ("postgres", "dynamodb", "application")
REASONS: Final = 50


@dataclass(frozen=True)
class TapRoute:
    """A port of the tap (0: any free one), and where it leads."""

    kind: str
    port: int
    target: Address


class Tap:
    """Ports before an application's stores and before itself. Used as a context, it runs in a thread of its own.

    `told` gets the records, in the tap's thread. `contents`: values are kept, except for what may be a secret. `batch`:
    see Relay; with 0 a call is told before the application can do much with its result.
    """

    def __init__(
        self,
        routes: tuple[TapRoute, ...],
        told: Callable[[WireCall | Request], None],
        *,
        contents: bool = False,
        tick: Callable[[], None] = lambda: None,
        batch: int = 0,
    ) -> None:
        self.told, self.contents = told, contents
        self.salt = os.urandom(16)
        self.requests = Requests()
        self.connections = 0
        self.unparsed: Counter[str] = Counter()
        self.relay = Relay(self.count_unparsed, tick, batch)
        self.ports: dict[str, int] = {}
        self.thread: threading.Thread | None = None
        begins: dict[str, Callable[[], Conversation]] = {
            "postgres": self.begin_postgres,
            "dynamodb": self.begin_dynamodb,
            "application": self.begin_application,
        }
        for route in routes:
            sock = bind(route.port)
            self.ports[route.kind] = sock.getsockname()[1]
            self.relay.listen(
                TapPort(sock, route.target, begins[route.kind], Gate if route.kind == "postgres" else None)
            )

    def count_unparsed(self, reason: str) -> None:
        """Something was passed on that could not be read."""
        self.unparsed[reason if len(self.unparsed) < REASONS else "other"] += 1

    def begin_postgres(self) -> Conversation:
        self.connections += 1
        return PostgresConversation(
            self.told, self.requests.owner, contents=self.contents, salt=self.salt, connection=self.connections
        )

    def begin_dynamodb(self) -> Conversation:
        self.connections += 1
        return DynamoConversation(
            self.told,
            self.requests.owner,
            self.count_unparsed,
            contents=self.contents,
            salt=self.salt,
            connection=self.connections,
        )

    def begin_application(self) -> Conversation:
        return ApplicationConversation(self.requests, self.told, contents=self.contents)

    def __enter__(self) -> Tap:
        self.thread = threading.Thread(target=self.relay.run, name="devenv tap", daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.relay.stop()
        if self.thread is not None:
            self.thread.join()
