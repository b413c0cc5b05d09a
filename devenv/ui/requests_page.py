"""The Requests page: what the tap recorded, live, each request with its calls to both stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from devenv.config.masking import mask_tree
from devenv.config.services import STORES
from devenv.core.errors import UsageError
from devenv.ui.stream import follow_value, part, streaming
from devenv.ui.view import Page, fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.stack import Stack
    from devenv.ui.site import Site

SHOWN: Final = 100
EVERY_S: Final = 0.7


def read(opened: Stack) -> dict[str, Any] | None:
    """The last requests, newest first; None when nothing was ever recorded."""
    from devenv.query.requests import report

    try:
        body: Mapping[str, Any] = mask_tree(dict(report(opened, SHOWN).body))
    except UsageError:
        return None
    requests = [for_page(opened, each) for each in reversed(body["requests"])]
    return {**body, "requests": requests}


def for_page(opened: Stack, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request with what the template shows: when, how it ended, how much it read, and its trace."""
    calls = request["calls"]
    status = request["status"]
    tone = "bad" if status is None or status >= 500 else "warn" if status >= 400 else "ok"
    return {
        **request,
        "at": datetime.fromtimestamp(request["started"]).astimezone().strftime("%H:%M:%S"),
        "tone": tone,
        **{store: sum(call.get("store") == store for call in calls) for store in STORES},
        "units": sum(call.get("units") or 0 for call in calls) or None,
        "repeats": {place for mark in request["marks"] for place in mark["calls"]},
        "trace": trace_address(opened, request),
    }


def trace_address(opened: Stack, request: Mapping[str, Any]) -> str:
    """The address of the trace that a request is about; "" when no subject matches."""
    from devenv.query.requests import match_path

    for name, section in opened.settings.trace.items():
        declared = section.request
        if declared is None or declared.method != request["method"]:
            continue
        found = match_path(declared.path, str(request["path"]))
        if found is not None and found.keys() >= section.params.keys():
            return "/trace/" + "/".join(
                quote(part, safe="") for part in (name, *(found[each] for each in section.params))
            )
    return ""


def show(site: Site, request: Request) -> Page:
    """The page."""
    opened = site.open()
    found = read(opened)
    values = {"project": opened.settings.project.name, "found": found}
    return Page(
        "requests.html", "Requests", values, {"schema": "devenv.requests/1", **(found or {})}, ["requests", "--follow"]
    )


async def stream(site: Site, request: Request) -> Response:
    """The list, whenever a request was added."""

    def parts(found: Mapping[str, Any] | None) -> Iterator[Any]:
        yield part("requests", fragment("requests_parts.html", "listing", found))

    return streaming(follow_value(request, lambda: read(site.open()), parts, EVERY_S))
