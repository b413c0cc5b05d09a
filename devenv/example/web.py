"""Added to every answer: CORS headers, a log line, and a reason when it is an error."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from devenv.example.messages import NotAMember, UnknownGroup
from devenv.example.stores import UNAVAILABLE, Busy

log = logging.getLogger("uvicorn.error")  # what the server itself writes to: stderr

# What the library raises, as HTTP says it.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    UnknownGroup: (404, "there is no such conversation"),
    NotAMember: (403, "you are not a member of this conversation"),
    Busy: (503, "too many people write to this conversation at once, try again"),
    **dict.fromkeys(UNAVAILABLE, (503, "a store does not answer, see /api/health-check")),
}

# Names of this machine alone. A web page whose own name is made to lead here (DNS rebinding) sends that name.
OURS = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)

MEANINGS = {
    400: "The path, the query or the JSON is malformed.",
    401: "The bearer token is missing, expired, or not ours.",
    403: "Not a member of the conversation.",
    404: "Not found.",
    422: "The body is not acceptable.",
    503: "A store does not answer.",
}


class Problem(BaseModel):
    """Every error: one sentence, and what exactly was wrong where there is more to say."""

    reason: str
    details: list[str] = []


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors a route can answer with, for the OpenAPI document."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in statuses}


def problem(
    status: int, reason: str, details: list[str] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error as a JSON answer. ASCII only, so that it can repeat even text that UTF-8 cannot hold."""
    body = json.dumps({"reason": reason, "details": details or []})
    return Response(body, status, headers, media_type="application/json")


class Api(FastAPI):
    """FastAPI that answers every error as a Problem, and whose document says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_middleware(BaseHTTPMiddleware, dispatch=answer_crash)
        self.exception_handler(RequestValidationError)(answer_invalid)
        self.exception_handler(HTTPException)(answer_http)
        for kind in REFUSALS:
            self.exception_handler(kind)(answer_refusal)

    def openapi(self) -> dict[str, Any]:
        """The document. FastAPI declares 422 wherever there are parameters; here it belongs to bodies only."""
        document = super().openapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                if "requestBody" not in operation:
                    operation["responses"].pop("422", None)
        return document


def answer_invalid(_: Request, error: RequestValidationError) -> Response:
    """400 for the URL and for JSON that cannot be read, 422 for a body that can but is not acceptable."""
    found = error.errors()
    details = [f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}" for each in found]
    malformed = any(each["loc"][0] != "body" or each["type"] == "json_invalid" for each in found)
    return problem(400 if malformed else 422, "the request is not valid", details)


def answer_http(_: Request, error: HTTPException) -> Response:
    """404 and 405 of the router, and what the routes raise themselves."""
    return problem(error.status_code, error.detail, headers=error.headers)


def answer_refusal(_: Request, error: Exception) -> Response:
    """The library's refusals, and stores that do not answer."""
    status, reason = next(answer for kind, answer in REFUSALS.items() if isinstance(error, kind))
    if status >= 500:
        log.error("%s: %s", type(error).__name__, error)
    return problem(status, reason)


async def answer_crash(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """500 for what nobody foresaw. The traceback goes to the log; the caller learns only where to look."""
    try:
        return await call_next(request)
    except Exception as error:
        log.exception("%s %s failed", request.method, request.scope["path"])
        return problem(500, f"the application failed ({type(error).__name__}), its log says where")


class OwnHost:
    """Answer only requests whose Host is loopback's, or one of `hosts` (names without a port): 421 for any other."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = {host.lower().encode() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket"):
            given = [value.strip() for name, value in scope["headers"] if name == b"host"]
            if len(given) != 1 or not (OURS.fullmatch(given[0]) or given[0].lower().split(b":")[0] in self.hosts):
                await problem(421, "this application answers only to names of this machine")(scope, receive, send)
                return
        await self.app(scope, receive, send)


class AccessLog:
    """One line per request on stdout, before the answer leaves: date, method, path, status, milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.perf_counter()

        async def log_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = datetime.now(UTC).isoformat(timespec="milliseconds")
                path = scope["raw_path"].decode("ascii", "replace")  # still percent-encoded: cannot break the line
                ms = (time.perf_counter() - started) * 1000
                sys.stdout.write(f"{date} {scope['method']} {path} {message['status']} {ms:.1f}ms\n")
                sys.stdout.flush()
            await send(message)

        await self.app(scope, receive, log_and_send)
