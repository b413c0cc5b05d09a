"""The requests of layer `http`: what a member, a stranger and somebody without a token send, and where to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from devenv.config.trace import TraceRequest
from devenv.core.templates import Unknown, fill, names_in
from devenv.host import processes
from devenv.trace.layers.pages import Ask
from devenv.trace.question import TraceContext
from devenv.trace.tokens import make_token


def requests_of(
    inquiry: TraceContext,
    declared: TraceRequest,
    url: str,
    person: Mapping[str, Any] | None,
    stranger: Mapping[str, Any] | None,
) -> dict[str, Ask]:
    """User -> the request. Unknown when it needs what is not known."""
    signed = needs_token(declared)
    values = inquiry.parameters(person)
    where = address_of(url, declared.path, {**values, "token": "{token}"})
    if signed and person is None:
        raise Unknown("person")
    asks = {"member": make_ask(inquiry, declared, where, person)}
    if signed and declared.anonymous:
        headers = {name: text for name, text in declared.headers.items() if not carries(text)}
        asks["anonymous"] = make_ask(inquiry, replace_headers(declared, headers), where, None)
    if signed and declared.stranger and stranger is not None:
        asks["stranger"] = make_ask(inquiry, declared, where, stranger)
    if declared.origin is not None and declared.headers:
        names = ",".join(sorted(name.lower() for name in declared.headers))
        headers = {
            "Origin": declared.origin,
            "Access-Control-Request-Method": declared.method,
            "Access-Control-Request-Headers": names,
        }
        asks["preflight"] = Ask("OPTIONS", where, headers)
    return asks


def replace_headers(declared: TraceRequest, headers: Mapping[str, str]) -> TraceRequest:
    """The same request with other headers."""
    from msgspec.structs import replace as changed

    return changed(declared, headers=dict(headers))


def address_of(url: str, path: str, values: Mapping[str, str]) -> str:
    """The path at the application's own host, with its parameters percent-encoded.

    Not joined as a browser joins a link: `//host/`, also one that an empty parameter leaves, would be another host, and
    would get the token.
    """
    filled = str(fill(path, {name: text if name == "token" else quote(text, safe="") for name, text in values.items()}))
    place = urlsplit(url)
    return f"{place.scheme}://{place.netloc}/{filled.removeprefix('/')}"


def make_ask(inquiry: TraceContext, declared: TraceRequest, url: str, person: Mapping[str, Any] | None) -> Ask:
    """The request as this person makes it."""
    values = inquiry.parameters(person)
    if person is not None and "token" in names_in(declared.headers) | names_in(url) | names_in(declared.body):
        values["token"] = make_token(inquiry, person)
    headers = fill(declared.headers, values)
    if declared.origin is not None:
        headers["Origin"] = declared.origin
    body = None if declared.body is None else fill(declared.body, values).encode()
    return Ask(
        declared.method,
        url.replace("{token}", values.get("token", "")),
        headers,
        body,
        "token" in values or (person is not None and carries(declared.headers)),
    )


def not_ours(inquiry: TraceContext, url: str) -> str | None:
    """Why no token may be sent to who answers at `url`: devenv starts the application, and it is another process.

    An address that devenv.toml declares for an application that devenv does not start is the user's own word.
    """
    backend = inquiry.settings.backend
    if backend is None or not backend.command:
        return None
    state = inquiry.facts.context.service("backend")
    place = urlsplit(url)
    if state.state == "running" and (state.pid is None or processes.listens_on(state.pid, place.port) is not False):
        return None
    if state.state == "running" and state.pid is not None and is_published(inquiry, state.pid, place.port):
        return None
    if not processes.answers(place.hostname or "", place.port):
        return None
    return f"no token was sent: the process at {place.netloc} is not the application that devenv starts"


def is_published(inquiry: TraceContext, pid: int, port: int | None) -> bool:
    """Return True if the application is a container of this project, and Docker's own process stands at its port.

    `pid` is the container's process, which listens in a network of its own.
    """
    if inquiry.settings.docker.backend != "container" or port is None:
        return False
    try:
        apart = os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except OSError:
        return False
    return apart and processes.is_forwarder(processes.holder(port).pid)


def needs_token(declared: TraceRequest) -> bool:
    """Return True if the request says who asks: by `{token}`, or by a column of the user's row in a header."""
    named = names_in(declared.headers) | names_in(declared.path) | names_in(declared.body)
    return "token" in named or carries(declared.headers)


def carries(header: Any) -> bool:
    """Return True if a header (or several) says who asks."""
    return any(name == "token" or name.startswith("person.") for name in names_in(header))
