"""Mistakes in `[services.<name>]` of a stream worker, beyond the types of its keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from devenv.config.filters import problem
from devenv.config.processes import OwnService
from devenv.config.workers import handler_places

WORKER_KEYS: Final = ("handler", "filter", "batch", "retries", "timeout_s", "on_failure", "on_seed")


def worker_mistakes(service: OwnService) -> Iterator[tuple[str, str]]:
    """Key and sentence of each mistake: of the handler or command, of a filter, of a worker's key without `stream`."""
    plain = OwnService()
    if service.stream is None:
        for key in WORKER_KEYS:
            if getattr(service, key) != getattr(plain, key):
                yield key, 'is for a stream worker: stream = "TABLE"'
        return
    if service.command and service.handler:
        yield "command", "a stream worker has a handler or a command, not both"
    if service.handler:
        places = handler_places(service.handler)
        if not places or places[0].language is None:
            yield "handler", "needs a file and a function: functions/rows.py:handler, or index.handler"
    for number, pattern in enumerate(service.filter):
        if wrong := problem(pattern, f"filter[{number}]"):
            yield "filter", wrong
