"""Own processes that end because a command of devenv closes their connections to Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.engines.base import Engine

ENDED: Final = (
    "{name} ended when its connections to Postgres were closed. Start it again: devenv up. To prevent this, handle the"
    ' errors of idle connections (node-postgres: `pool.on("error", …)`)'
)


@contextmanager
def ends_reported(engine: Engine, say: Callable[[str], None]) -> Iterator[None]:
    """Report each of the project's own processes that runs before the block and not after it."""
    before = [name for name in engine.own if engine.runs(name)]
    yield
    for name in before:
        if not engine.runs(name):
            say(ENDED.format(name=name))
