"""Copied into an application: passes a request's traceparent on to both stores, and marks its SQL with its path.

The mark tells a test whose a statement is: values of a statement are not recorded.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

REQUEST: ContextVar[tuple[str, str | None]] = ContextVar("request", default=("", None))


class Passing:
    """An ASGI application around another one that remembers the request."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            trace = headers.get(b"traceparent", b"").decode() or None
            REQUEST.set((scope["path"].rpartition("/")[2], trace))
        await self.app(scope, receive, send)


def commented(query: str) -> str:
    """A statement with the mark, and with the trace if there is one."""
    mark, trace = REQUEST.get()
    return f"{query} /*{mark}*/" + (f" /*traceparent='{trace}'*/" if trace else "")


def passed(client: Any) -> Any:
    """A client of boto3 that passes the trace on in a header."""

    def add(params: Any, **_: Any) -> None:
        if trace := REQUEST.get()[1]:
            params["headers"]["traceparent"] = trace

    client.meta.events.register("before-call.dynamodb", add)
    return client
