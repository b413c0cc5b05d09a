"""The kinds of `[services.<name>]` at work, and what concerns the data of all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from devenv.core.errors import StoreError
from devenv.engines.kinds.kind import ServiceKind, stale_mark
from devenv.host.writing import write_private

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.base import Engine

EMPTIED: Final = "{name}: emptied, because its entries were computed from the old data"


@cache
def load(name: str) -> ServiceKind:
    """The kind of this name, one of `config.kinds.KINDS`: `KIND` of the file of that name beside this one."""
    kind: ServiceKind = import_module(f"{__package__}.{name}").KIND
    return kind


def kind_of(own: Own) -> ServiceKind:
    """The kind of a service."""
    return load(own.kind)


def transient(engine: Engine) -> list[Own]:
    """The services whose data is made of the stores' data."""
    return [own for own in engine.own.values() if kind_of(own).transient]


@contextmanager
def emptied(engine: Engine) -> Iterator[None]:
    """Other data takes the place of the present one during the block: what is made of it does not outlive it.

    A service that stands still is emptied when it starts; the mark for that outlives a killed command.
    """
    services = transient(engine)
    for own in services:
        mark = stale_mark(engine, own.name)
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(mark, b"")
    yield
    for own in services:
        if not engine.runs(own.name):
            continue
        try:
            kind_of(own).empty(engine, own)
        except StoreError:
            # It may have the password of the data of before: stopped, it is emptied when it starts.
            engine.stop(own.name)
