"""`devenv status`: what runs, and how the steps stand. Reads only."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from devenv.core.errors import Exit
from devenv.core.model import Report, ServiceState
from devenv.lifecycle import tap
from devenv.lifecycle.steps import readable_states
from devenv.stack import Stack

if TYPE_CHECKING:
    from devenv.engines.base import Engine

# How much of a crashed service's log is shown with its state.
LAST_LINES: Final = 5


def status(stack: Stack) -> Report:
    """Report the services and the state of the steps. Changes nothing; exit 0 also when all is stopped."""
    return Report(
        command="status",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "engine": stack.engine.name,
            "services": [asdict(service) for service in (*look_closely(stack.engine), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in readable_states(stack)],
        },
    )


def look_closely(engine: Engine) -> tuple[ServiceState, ...]:
    """The state of every service; of one that crashed, with the last lines of its log."""
    return tuple(
        replace(seen, last_lines=tuple(engine.tail(seen.name, LAST_LINES))) if seen.state == "crashed" else seen
        for seen in engine.look()
    )
