"""The page's door: it opens to this machine's user, from this page, and to no other tab.

The page shows data, so four things are checked of every request, before anything else reads it: the Host (a name that
was rebound to 127.0.0.1 is another host), the Origin (another page's request), what the browser says about the site,
and a secret: the token of the first address, then a cookie that no script and no other site can use.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from devenv.core.deadline import deadline

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE: Final = frozenset(["GET", "HEAD"])
METHODS: Final = frozenset([*SAFE, "POST"])
OWN: Final = frozenset(["same-origin", "none"])
# A form of this page has a few short fields.
BODY_BYTES: Final = 65_536
QUERY_BYTES: Final = 16_384
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: with it the page's own forms would be sent with `Origin: null`.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
MISSING: Final = (
    "This page needs the address that devenv printed, with its token.\n\n"
    "Run `devenv ui` in the project's folder, and open the address that it prints.\n"
)


@dataclass(frozen=True)
class Door:
    """The one address of the page, and its two secrets: `token` opens it, `session` is the cookie's value."""

    port: int
    token: str
    session: str

    @property
    def cookie(self) -> str:
        """The cookie's name. A cookie is of a host and not of a port, so the port is a part of it."""
        return f"devenv_ui_{self.port}"

    @property
    def hosts(self) -> tuple[str, str]:
        """The values of `Host` that are this page; the first is the one that it prints."""
        return f"127.0.0.1:{self.port}", f"localhost:{self.port}"

    @property
    def address(self) -> str:
        """The page's address, without the token."""
        return f"http://{self.hosts[0]}"

    def entry(self, path: str = "/") -> str:
        """The first address: whoever has it gets the cookie."""
        return f"{self.address}{path}?{urlencode({'token': self.token})}"


@dataclass(frozen=True)
class PageRequest:
    """A request, as far as it decides who may ask."""

    method: str
    host: str
    origin: str | None = None
    site: str | None = None
    mode: str | None = None
    token: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Refusal:
    """An HTTP status and the words for it."""

    status: int
    words: str


def judge(door: Door, asked: PageRequest) -> Refusal | None:
    """Return why a request is refused, None when it is not. Pure."""
    if asked.host not in door.hosts:
        return Refusal(421, f"This is not the page's address: {door.address}\n")
    if asked.method not in METHODS:
        return Refusal(405, "This method is not allowed.\n")
    if asked.origin is not None and asked.origin != f"http://{asked.host}":
        return Refusal(403, "This request came from another page.\n")
    if asked.site is not None and asked.site not in OWN and not (asked.mode == "navigate" and asked.method in SAFE):
        return Refusal(403, "This request came from another site.\n")
    if asked.method not in SAFE and asked.origin is None:
        return Refusal(403, "Changes can be made only with the page's own forms.\n")
    if same(asked.session, door.session) or (same(asked.token, door.token) and asked.method in SAFE):
        return None
    return Refusal(401, MISSING)


def same(given: str | None, secret: str) -> bool:
    """Return True if a text is the secret, in a time that does not depend on it."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def read_request(door: Door, scope: Mapping[str, Any]) -> PageRequest:
    """The request of an ASGI scope. A header that is there twice is no browser's: it counts as a wrong one."""
    found: dict[str, str] = {}
    for raw_name, raw in scope["headers"]:
        name = raw_name.decode("latin-1")
        found[name] = "" if name in found and name in ("host", "origin") else raw.decode("latin-1")
    try:
        cookies = SimpleCookie(found.get("cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")[:QUERY_BYTES]))
    return PageRequest(
        method=scope["method"],
        host=found.get("host", ""),
        origin=found.get("origin"),
        site=found.get("sec-fetch-site"),
        mode=found.get("sec-fetch-mode"),
        token=query.get("token"),
        session=cookies[door.cookie].value if door.cookie in cookies else None,
    )


class Guard:
    """Lets a request through to `app`, or answers it; every answer gets the headers that bind the browser."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.encode(): value.encode() for name, value in HEADERS.items()}
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in own]
                message = {**message, "headers": [*kept, *own.items()]}
            await send(message)

        asked = read_request(self.door, scope)
        if refusal := judge(self.door, asked):
            await answer(bound, refusal.status, {}, refusal.words)
        elif len(scope["query_string"]) > QUERY_BYTES or content_length(scope) > BODY_BYTES:
            await answer(bound, 413, {}, "This request is too large.\n")
        elif asked.token is not None:
            # The token leaves the address bar, and so the history and what people copy.
            cookie = f"{self.door.cookie}={self.door.session}; Path=/; HttpOnly; SameSite=Strict"
            await answer(bound, 303, {"location": without_token(scope), "set-cookie": cookie}, "")
        else:
            deadline.moved()  # each request waits anew, however long a store was away before it
            await self.app(scope, receive, bound)


def content_length(scope: Scope) -> int:
    """The announced length of a body; too much where a body comes without one."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return BODY_BYTES + 1
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() else BODY_BYTES + 1


def without_token(scope: Mapping[str, Any]) -> str:
    """The path that was asked for, without the token. It begins with one slash, so that it leads to this page."""
    raw: bytes = scope.get("raw_path", b"/")
    path = "/" + raw.decode("latin-1").partition("?")[0].lstrip("/\\")
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = urlencode([pair for pair in pairs if pair[0] != "token"])
    return path + (f"?{kept}" if kept else "")


async def answer(send: Send, status: int, headers: Mapping[str, str], words: str) -> None:
    """One small answer as plain text."""
    pairs = {"content-type": "text/plain; charset=utf-8", **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": words.encode()})
