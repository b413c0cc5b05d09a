"""A rule of `patterns check` as a record, its findings, and texts that rules share. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from devenv.core.model import CheckStatus, Fix, Outcome, Titled
from devenv.patterns.seen import Observed, SeenPattern
from devenv.stores.dynamodb.key_schema import Place


class Rule(Titled, frozen=True):
    """One rule. `title` says what holds when `find` finds nothing.

    `explained` are the rules that explain what this one finds about the same subject: it is then left out.
    """

    find: Callable[[Observed], Iterable[Outcome]]
    explained: tuple[str, ...] = ()


def problem(
    subject: str,
    evidence: str,
    cause: str | None = None,
    advice: str | None = None,
    command: str | None = None,
    status: CheckStatus = "fail",
) -> Outcome:
    """Return what a rule finds. `subject` is a pattern's name, a table, or `table/index`."""
    return Outcome(status, evidence, cause, Fix(advice, command) if advice else None, (subject,))


def patterns_of(seen: Observed) -> Iterator[tuple[str, SeenPattern, Place]]:
    """The patterns whose table and index exist."""
    for name, access in seen.accesses.items():
        if access.place is not None:
            yield name, access, access.place


def kilobytes(size: float) -> str:
    """`312 bytes`, `35.2 KB`."""
    return f"{size:,.0f} bytes" if size < 1024 else f"{size / 1024:,.1f} KB"
