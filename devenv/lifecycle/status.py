"""`devenv status`: the running services, and the state of the steps. Reads only."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import to_builtins

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
            "services": [asdict(service) for service in (*look_in_effect(stack), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in readable_states(stack)],
        },
    )


def look_in_effect(stack: Stack) -> tuple[ServiceState, ...]:
    """The state of every service; of the project's own ones with what devenv.toml has and they do not have yet."""
    seen = look_closely(stack.engine)
    if not any(state.name in stack.engine.own and state.state == "running" for state in seen):
        return seen
    from devenv.engines.own import with_pending

    return with_pending(stack.engine, seen, stack.environment)


def look_closely(engine: Engine) -> tuple[ServiceState, ...]:
    """The state of every service; of one that crashed with the last lines of its log, of a worker with its work."""
    return tuple(look_closer(engine, seen) for seen in engine.look())


def look_closer(engine: Engine, seen: ServiceState) -> ServiceState:
    """One service's state with what is known besides."""
    own = engine.own.get(seen.name)
    if own is not None and own.worker is not None:
        seen = replace(seen, work=work_of(engine, seen.name))
    if seen.state == "crashed":
        seen = replace(seen, last_lines=tuple(engine.tail(seen.name, LAST_LINES)))
    return seen


def work_of(engine: Engine, name: str) -> dict[str, Any] | None:
    """The work of a stream worker so far; None when it has never run with this data."""
    from devenv.engines.stream import failed_file, position
    from devenv.services.streams.judge import summary

    known = position(engine, name)
    if known is None:
        return None
    found: dict[str, Any] = {
        part: getattr(known, part)
        for part in ("handled", "batches", "filtered", "seeded", "failed", "errors", "waiting")
    }
    found |= {"lag_s": known.lag_s, "last": known.last, "stopped": known.stopped, "text": summary(known)}
    found["error"] = None if known.error is None else to_builtins(known.error)
    found["failed_file"] = str(failed_file(engine, name)) if failed_file(engine, name).exists() else None
    return found
