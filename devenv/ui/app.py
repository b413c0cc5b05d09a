"""The page's addresses. A handler reads the project and returns a `Page`; every failure becomes a page, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.model import Failure
from devenv.ui import (
    data_page,
    doctor_page,
    job_page,
    patterns_page,
    requests_page,
    stack_page,
    table_stream,
    trace_page,
)
from devenv.ui.guard import Guard
from devenv.ui.site import Site
from devenv.ui.view import Page, asset, respond

Handler = Callable[[Site, Request], Page | str]
Stream = Callable[[Site, Request], Awaitable[Response]]
MEDIA = {"ui.css": "text/css", "ui.js": "text/javascript", "htmx.min.js": "text/javascript"}
# Handlers run in threads; `POST` ones return the address to go to.
PAGES: tuple[tuple[str, Handler], ...] = (
    ("/", stack_page.show),
    ("/logs", stack_page.show_logs),
    ("/confirm/{action}", stack_page.confirm),
    ("/jobs/{job}", job_page.show),
    ("/data", data_page.show),
    ("/data/amount", data_page.amount),
    ("/data/find", data_page.find),
    ("/trace", trace_page.show),
    ("/trace/complete", trace_page.complete),
    ("/trace/run/{job}", trace_page.show_run),
    ("/trace/{rest:path}", trace_page.show_address),
    ("/requests", requests_page.show),
    ("/patterns", patterns_page.show),
    ("/patterns/{name}", patterns_page.show_one),
    ("/doctor", doctor_page.show),
    ("/doctor/run/{job}", doctor_page.show),
    ("/doctor/fix/{job}", doctor_page.show_fix),
)
ACTIONS: tuple[tuple[str, Handler], ...] = (
    ("/do/{action}", stack_page.act),
    ("/jobs/{job}/stop", job_page.stop),
    ("/doctor/run", doctor_page.run),
    ("/trace/ask", trace_page.ask),
    ("/patterns/run", patterns_page.run),
    ("/doctor/plan/{code}", doctor_page.plan),
    ("/doctor/fix/{job}/{task}", doctor_page.repair),
)
STREAMS: tuple[tuple[str, Stream], ...] = (
    ("/stream/stack", stack_page.stream),
    ("/stream/logs", stack_page.stream_logs),
    ("/stream/jobs/{job}", job_page.stream),
    ("/stream/tables", table_stream.stream),
    ("/stream/doctor/{job}", doctor_page.stream),
    ("/stream/then/{job}", doctor_page.then),
    ("/stream/trace/{job}", trace_page.stream),
    ("/stream/requests", requests_page.stream),
)


def make_app(site: Site) -> ASGIApp:
    """The whole page of one project, behind its guard."""
    routes = [Route(path, answering(site, handler), methods=["GET"]) for path, handler in PAGES]
    routes += [Route(path, answering(site, handler), methods=["POST"]) for path, handler in ACTIONS]
    routes += [Route(path, streaming(site, stream), methods=["GET"]) for path, stream in STREAMS]
    routes.append(Route("/static/{name}", static, methods=["GET"]))
    app = Starlette(routes=routes, exception_handlers={404: partial(missing, site), Exception: partial(broken, site)})
    return Guard(app, site.door)


def answering(site: Site, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A route's function for a handler."""

    async def answer(request: Request) -> Response:
        if request.method == "POST":
            # Handlers run in threads, where a body cannot be awaited.
            body = (await request.body()).decode("utf-8", "replace")
            request.state.form = dict(parse_qsl(body, keep_blank_values=True))
        return await run_in_threadpool(work, request)

    def work(request: Request) -> Response:
        try:
            found = handler(site, request)
            return found if isinstance(found, Response) else follow_up(site, request, found)
        except DevenvError as error:
            return respond(site, request, failed(error))

    return answer


def follow_up(site: Site, request: Request, found: Page | str) -> Response:
    """A page, or the way to the address that a change leads to."""
    return RedirectResponse(found, 303) if isinstance(found, str) else respond(site, request, found)


def streaming(site: Site, stream: Stream) -> Callable[[Request], Awaitable[Response]]:
    """A route's function for a stream. One that cannot begin is no stream: the browser does not ask again."""

    async def answer(request: Request) -> Response:
        try:
            return await stream(site, request)
        except DevenvError as error:
            return PlainTextResponse(error.what, 409)

    return answer


def failed(error: DevenvError) -> Page:
    """The page of a failure, in the same four parts as on the command line."""
    if isinstance(error, StoreError) and not error.reached:
        error.with_hint("devenv up")
    status = 400 if isinstance(error, UsageError) else 503 if error.exit_code == Exit.UNCHECKED else 409
    return failure_page(error.failure, status, int(error.exit_code))


def failure_page(failure: Failure, status: int, code: int) -> Page:
    """A page that says what failed."""
    from devenv.config.masking import mask_tree

    error = mask_tree({"what": failure.what, "detail": failure.detail, "cause": failure.cause, "hint": failure.hint})
    document = {"schema": "devenv.ui/1", "exit_code": code, "error": error}
    return Page("failure.html", failure.what, {"failure": error}, document, status=status)


def missing(site: Site, request: Request, error: Exception) -> Response:
    """An address that leads nowhere."""
    page = failure_page(Failure("there is no page at this address", hint="devenv help ui"), 404, int(Exit.USAGE))
    return respond(site, request, page)


def broken(site: Site, request: Request, error: Exception) -> Response:
    """A fault of devenv's own."""
    what = f"devenv itself failed: {type(error).__name__}: {error}"
    return respond(site, request, failure_page(Failure(what, hint="devenv logs ui"), 500, int(Exit.FOUND)))


async def static(request: Request) -> Response:
    """Style and scripts, from the package."""
    name = request.path_params["name"]
    if name not in MEDIA:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(asset(name), media_type=MEDIA[name])
