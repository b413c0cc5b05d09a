"""A rule of `patterns check` as a record, what it finds, and the words that rules share. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from devenv.core.model import CheckStatus, Fix
from devenv.patterns.seen import Access, Observed
from devenv.stores.dynamodb.key_schema import Place


@dataclass(frozen=True)
class Problem:
    """One finding. `subject` is a pattern's name, a table, or `table/index`."""

    subject: str
    evidence: str
    cause: str | None = None
    advice: str | None = None
    command: str | None = None
    status: CheckStatus = "fail"

    @property
    def fix(self) -> Fix | None:
        """The remedy, for the report."""
        return Fix(self.advice, self.command) if self.advice else None


@dataclass(frozen=True)
class Rule:
    """One rule. `code` is permanent, `title` says what holds when `find` finds nothing."""

    code: str
    name: str
    group: str
    title: str
    find: Callable[[Observed], Iterable[Problem]]


def patterns_of(seen: Observed) -> Iterator[tuple[str, Access, Place]]:
    """The patterns whose table and index exist."""
    for name, access in seen.accesses.items():
        if access.place is not None:
            yield name, access, access.place


def kilobytes(size: float) -> str:
    """`312 bytes`, `35.2 KB`."""
    return f"{size:,.0f} bytes" if size < 1024 else f"{size / 1024:,.1f} KB"
