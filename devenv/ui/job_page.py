"""A command that the page started: its lines as they come, how it ended, and a button that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from devenv.core.errors import UsageError
from devenv.ui.jobs import KEPT, PageJob
from devenv.ui.stream import follow_job, part, streaming
from devenv.ui.view import Page, fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.ui.site import Site


def found(site: Site, request: Request) -> PageJob:
    """The job of an address. UsageError when it is not known (any more)."""
    job = site.jobs.get(request.path_params["job"])
    if job is None:
        detail = f"the page keeps the last {KEPT} since it was started"
        raise UsageError("this address has expired: its command is no longer kept", detail=detail)
    return job


def show(site: Site, request: Request) -> Page:
    """A job's page."""
    job = found(site, request)
    document = {"schema": "devenv.ui/1", "job": job.id, "state": job.state, "document": job.document}
    return Page("job.html", job.about.get("title", job.kind), {"job": job}, document, job.words)


def stop(site: Site, request: Request) -> str:
    """End a job."""
    job = found(site, request)
    site.jobs.stop(job.id)
    return f"/jobs/{job.id}"


async def stream(site: Site, request: Request) -> Response:
    """A job's lines, then its end."""
    job = found(site, request)

    def line(event: Any) -> Iterator[Any]:
        if "say" in event:
            yield part("lines", fragment("job_parts.html", "line", event["say"]), "append")

    def finish() -> Iterator[Any]:
        yield part("outcome", fragment("job_parts.html", "outcome", job))

    return streaming(follow_job(request, job, line, finish))
