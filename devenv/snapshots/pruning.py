"""`devenv snapshot prune`: which old snapshots go, shown with their sizes before anything is deleted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from devenv.core.errors import Exit, UsageError
from devenv.core.events import Watch
from devenv.core.model import Report
from devenv.core.plural import number_of, size_words
from devenv.snapshots.cleanup import delete, recover
from devenv.snapshots.manifest import Manifest, read_all
from devenv.stack import Stack

UNITS: Final = {"h": 1, "d": 24, "w": 7 * 24}


@dataclass(frozen=True)
class PruneWish:
    """Which may go: all but the `keep` newest, those older than `older`, or what both allow.

    `automatic`: only those that devenv made itself.
    """

    keep: int | None
    older: timedelta | None
    automatic: bool


def wish_of(keep: int | None, older: str | None, automatic: bool) -> PruneWish:
    """Read the options. UsageError if neither is given, or the age is none."""
    if keep is None and older is None:
        raise UsageError("choose which snapshots to delete", hint="devenv snapshot prune --keep 5  or: --older 7d")
    return PruneWish(keep, None if older is None else age_of(older), automatic)


def age_of(text: str) -> timedelta:
    """`12h`, `7d`, `4w` as a time. UsageError."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is not an age", detail="a number with h (hours), d (days) or w (weeks): 12h, 7d, 4w"
        )
    return timedelta(hours=int(found[1]) * UNITS[found[2]])


def judge(manifests: Sequence[Manifest], wish: PruneWish, now: datetime) -> list[Manifest]:
    """The snapshots that go, of `manifests`, oldest first. With both limits only what both let go. Pure."""
    candidates = [each for each in manifests if each.automatic or not wish.automatic]
    kept = set() if wish.keep is None else {each.name for each in candidates[len(candidates) - wish.keep :]}
    if wish.keep is not None and wish.keep >= len(candidates):
        kept = {each.name for each in candidates}
    limit = None if wish.older is None else now - wish.older
    return [
        each
        for each in candidates
        if each.name not in kept and (limit is None or datetime.fromisoformat(each.created) < limit)
    ]


def choose(stack: Stack, wish: PruneWish) -> list[Manifest]:
    """The snapshots of a project that go."""
    return judge(read_all(stack.engine.home), wish, datetime.now(UTC))


def prune_chosen(stack: Stack, wanted: Sequence[Manifest], agree: Callable[[str], None], watch: Watch) -> Report:
    """Delete them, after asking."""
    size = sum(each.size for each in wanted)
    if wanted:
        stack.engine.permit(None)
        names = ", ".join(f"{each.name} ({size_words(each.size)})" for each in wanted)
        agree(f"Delete {number_of(len(wanted), 'snapshot')}, {size_words(size)}: {names}?")
        recover(stack, watch)
        for each in wanted:
            delete(stack, each.name)
    body = {"pruned": [{"name": each.name, "size": each.size} for each in wanted], "bytes": size}
    return Report("snapshot", stack.settings.project.name, Exit.DONE, body)
