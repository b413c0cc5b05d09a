"""The later part of a page about DynamoDB's tables: their counts, and word of keys that are others than it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool

from devenv.core.errors import DevenvError
from devenv.query.queries import opened as opened_items
from devenv.stores.dynamodb.key_schema import table_keys
from devenv.ui.items import TABLES
from devenv.ui.stream import part, streaming
from devenv.ui.view import fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.ui.site import Site


REST_S: Final = 1.5


async def stream(site: Site, request: Request) -> Response:
    """Describe one table after the other, as far as that is due, once the page has been looked at for a moment.

    DynamoDB Local answers nobody else for a part of the time that it counts: who clicks on is not kept waiting.
    """
    names = request.query_params.getlist("table")[:TABLES]

    async def parts() -> AsyncIterator[Any]:
        await asyncio.sleep(REST_S)
        for name in names:
            if await request.is_disconnected():
                return
            for each in await run_in_threadpool(parts_of, site, name):
                yield each

    return streaming(parts())


def parts_of(site: Site, table: str) -> list[dict[str, str]]:
    """The parts of a page that show this table's keys and count."""
    try:
        opened = site.open()
        with opened_items(opened) as dynamodb:
            seen, other = site.tables.renew(opened, dynamodb, table)
    except DevenvError:
        return [part(f"count-{table}", "not counted", "inside")]
    found = [
        part(f"keys-{table}", fragment("data_parts.html", "keys", table_keys(seen.described)), "inside"),
        part(f"count-{table}", fragment("data_parts.html", "counted", seen.count, seen.about), "inside"),
    ]
    return [*found, part("table-changes", fragment("data_parts.html", "changed", table), "append")] if other else found
