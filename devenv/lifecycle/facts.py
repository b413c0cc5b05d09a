"""Gathers the facts about an opened project that links/facts.py needs to judge its stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from devenv.engines import stream
from devenv.engines.own import with_pending
from devenv.links.facts import FactsContext
from devenv.steps.setup import merge, setup

if TYPE_CHECKING:
    from devenv.engines.base import Engine
    from devenv.lifecycle.steps import Inputs
    from devenv.links.expiry import RemovedRecord
    from devenv.links.judge import Item
    from devenv.services.streams.judge import WorkerObservation
    from devenv.stack import Stack


def facts_context(stack: Stack, inputs: Inputs) -> FactsContext:
    """`inputs` are the steps' files. The application's process is left to the caller."""
    engine = stack.engine
    engine.gather_logs(engine.services)
    environment = stack.environment()
    seen = with_pending(engine, engine.look(), lambda: environment)
    has_application = "backend" in engine.services
    return FactsContext(
        settings=stack.settings,
        root=stack.root,
        targets=engine.targets(),
        services=seen,
        environment=environment,
        shell=stack.environ,
        expected_application={**environment, **engine.backend_variables()} if has_application else None,
        tables={definition.table: definition.request for definition in inputs["schema-load"].content or ()},
        read_declared=setup.read_declared,
        read_seeded=merge.read_seeded,
        look_at_workers={
            name: partial(look_at_stream, engine, name, own.worker.stream or "")
            for name, own in engine.own.items()
            if own.worker is not None
        },
        read_written=partial(read_written, engine),
        read_removed=partial(read_removed, engine),
    )


def look_at_stream(engine: Engine, name: str, table: str, state: str) -> WorkerObservation:
    """One stream worker, whose process is in this state. StoreError when DynamoDB does not answer."""
    from devenv.services.streams.look import look_at_worker

    found = look_at_worker(engine.targets().dynamodb, name, table, state, partial(stream.position, engine, name))
    file = str(stream.failed_file(engine, name))
    return replace(found, refused=stream.count_refused(engine, name), refused_file=file)


def read_written(engine: Engine, table: str) -> Iterator[Item]:
    """Yield the items of a table that the seed step loaded, as written. DevenvError when the ledger is broken."""
    from devenv.steps.ledger import Ledger

    with Ledger(engine.home / "ledger.sqlite", create=False) as ledger:
        for page in ledger.pages(table):
            yield from (entry.written for entry in page.values() if entry.written is not None)


def read_removed(engine: Engine, table: str) -> list[RemovedRecord]:
    """The removed items that a table's stream still has."""
    from devenv.services.streams import removed

    return removed.read_removed(engine.targets().dynamodb, table)
