"""Requests to the application, as the proxy in front of it sees them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from devenv.capture.tap.assign import Requests
from devenv.capture.tap.http import Exchange, Exchanges
from devenv.capture.tap.masks import mask_path, mask_target, valid_traceparent
from devenv.capture.tap.records import Request


class ApplicationConversation:
    """A client's connection to the application. `told` gets each request when its response has ended."""

    def __init__(self, requests: Requests, told: Callable[[Request], None], *, contents: bool) -> None:
        self.requests, self.told, self.contents = requests, told, contents
        exchanges = Exchanges(self.began, self.ended, 0)
        self.sent, self.received, self.close = exchanges.sent, exchanges.received, exchanges.close

    def began(self, exchange: Exchange) -> None:
        """A request's head was seen."""
        exchange.mark = self.requests.begin(valid_traceparent(exchange.headers.get("traceparent")))

    def ended(self, exchange: Exchange) -> None:
        """A request has its response, or will have none."""
        number = exchange.mark if isinstance(exchange.mark, int) else 0
        self.requests.end(number)
        self.told(
            Request(
                number,
                exchange.method,
                (mask_target if self.contents else mask_path)(exchange.target),
                exchange.started,
                None if exchange.ended is None else (exchange.ended - exchange.started) * 1000,
                exchange.status,
                valid_traceparent(exchange.headers.get("traceparent")),
                exchange.answer_size,
            )
        )
