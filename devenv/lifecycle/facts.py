"""Gathers the facts of an opened project before its stores are judged (links/facts.py), read at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.links.facts import FactsContext
from devenv.steps.setup import merge, setup

if TYPE_CHECKING:
    from devenv.lifecycle.steps import Inputs
    from devenv.stack import Stack


def facts_context(stack: Stack, inputs: Inputs) -> FactsContext:
    """`inputs` are the steps' files. The application's process is left to the caller."""
    engine = stack.engine
    seen = engine.look()
    engine.gather_logs(engine.services)
    environment = stack.environment()
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
    )
