"""`devenv stop NAME…` and `restart NAME…`: single services; their data is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from devenv.config.services import STORES
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.engines import stream
from devenv.lifecycle.names import check_names
from devenv.lifecycle.recover import recover
from devenv.lifecycle.up import up

if TYPE_CHECKING:
    from devenv.core.events import Watch
    from devenv.engines.base import Engine
    from devenv.lifecycle.plan import UpOptions
    from devenv.lifecycle.start import Clock
    from devenv.stack import Stack


def stop(stack: Stack, names: Sequence[str], watch: Watch) -> Report:
    """Stop these services, and nothing else. UsageError for a name that there is not."""
    engine = stack.engine
    refuse(engine, names)
    recover(stack, watch)
    stopped = end(engine, names, watch)
    needs = engine.needs()
    running = [name for name in engine.services if engine.runs(name)]
    waiting = [name for name in running if set(needs.get(name, ())) & set(names)]
    return Report("stop", stack.settings.project.name, Exit.DONE, {"stopped": stopped, "needed_by": waiting})


def restart(
    stack: Stack, names: Sequence[str], options: UpOptions, watch: Watch, clock: Clock, *, refused: bool = False
) -> Report:
    """Stop these services, and start them again with what they need; `refused`: records of stream workers, too."""
    engine = stack.engine
    refuse(engine, names)
    recover(stack, watch)
    if refused and (others := [name for name in names if name in STORES or engine.own[name].worker is None]):
        raise UsageError(
            f"{', '.join(others)}: not a stream worker, so there are no refused records", hint="devenv status"
        )
    stopped = end(engine, names, watch)
    for name in names if refused else ():
        watch.say(f"{name}: {number_of(stream.retry(engine, name), 'refused record')} to try again")
    report = up(stack, msgspec.structs.replace(options, names=tuple(names)), watch, clock)
    return replace(report, command="restart", body={**report.body, "stopped": stopped})


def refuse(engine: Engine, names: Sequence[str]) -> None:
    """UsageError for names that there are not, and for stores that devenv did not start."""
    check_names(engine, names)
    foreign = [name for name in names if name in STORES and not engine.starts]
    if foreign:
        raise UsageError(
            f"devenv did not start {' and '.join(foreign)} (engine {engine.name}), and does not stop them",
            hint="stop them where you started them",
        )


def end(engine: Engine, names: Sequence[str], watch: Watch) -> list[str]:
    """Stop these services, the last started first; the names of those that ran."""
    engine.adopt()
    if set(names) & set(STORES):
        engine.stop_improving()
    stopped = []
    for name in reversed([name for name in engine.known_services if name in names]):
        if engine.look_at(name).state != "running":
            engine.stop(name)
            continue
        watch.begin(name, "stopping")
        engine.stop(name)
        stopped.append(name)
        watch.end(name, "stopped", ok=True)
    return stopped
