"""Server-sent events: parts of the page as they change, each with the place that it belongs to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.ui.jobs import PageJob

POLL_S: Final = 0.15
# A proxy or a browser may take a silent connection for a dead one.
BEAT_S: Final = 15.0
How = Literal["replace", "inside", "append", "prepend", "go"]


def part(target: str, html: str, how: How = "replace") -> dict[str, str]:
    """A part of the page: `html` for the element with the id `target`. `go`: `html` is an address to open."""
    return {"target": target, "how": how, "html": html}


def streaming(parts: AsyncIterator[Any]) -> Response:
    """The answer that sends these parts. After the last one the browser is told not to ask again."""
    from starlette.responses import StreamingResponse

    async def lines() -> AsyncIterator[str]:
        async for each in parts:
            yield ": \n\n" if each is None else f"data: {json.dumps(each)}\n\n"
        yield "event: end\ndata: {}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def follow_job(
    request: Request, job: PageJob, show: Callable[[Any], Iterable[Any]], finish: Callable[[], Iterable[Any]]
) -> AsyncIterator[Any]:
    """The parts of a job's events from its beginning, then what it ended with."""
    place = 0
    silent = 0.0
    while True:
        ended = job.ended is not None
        events = job.events[place:]
        place += len(events)
        for event in events:
            for each in show(event):
                yield each
        if ended:
            for each in finish():
                yield each
            return
        if await request.is_disconnected():
            return
        await asyncio.sleep(POLL_S)
        silent = 0.0 if events else silent + POLL_S
        if silent >= BEAT_S:
            silent = 0.0
            yield None


async def follow_value(
    request: Request, read: Callable[[], Any], show: Callable[[Any], Iterable[Any]], every_s: float
) -> AsyncIterator[Any]:
    """The parts of a value that is read again and again (in a thread), whenever it is another one."""
    from starlette.concurrency import run_in_threadpool

    before: Any = None
    silent = 0.0
    while not await request.is_disconnected():
        began = time.monotonic()
        value = await run_in_threadpool(read)
        # What takes long to read is read less often: a page that is open must not keep a machine busy.
        pause = max(every_s, 4 * (time.monotonic() - began))
        if value != before:
            before = value
            for each in show(value):
                yield each
            silent = 0.0
        await asyncio.sleep(pause)
        silent += pause
        if silent >= BEAT_S:
            silent = 0.0
            yield None
