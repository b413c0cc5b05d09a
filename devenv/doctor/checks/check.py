"""A check as a record, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from devenv.core.model import CheckStatus, Fix, Outcome, Skip, SkipReason, Titled

if TYPE_CHECKING:
    from devenv.doctor.context import DoctorFacts


class Check(Titled, frozen=True):
    """One check. `title` says what holds when it passes.

    `needs` are codes of checks without which this one has no meaning: when one of them does not pass, it is skipped.
    `uses` are those without which it sees less: they run with it, and it runs whatever they find.
    `faults` are the classes of faults (devenv.links.judge) that it reports, where it reports such.
    `run` may raise a StoreError: a store that does not answer is a failure. `limit_s` bounds it in seconds; what
    exceeding it means is `late`. `explain` is the page that `--explain CODE` prints below the title.
    """

    run: Callable[[DoctorFacts], Outcome]
    explain: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    limit_s: float = 20.0
    late: Literal["fail", "error"] = "error"
    faults: tuple[str, ...] = ()


def passed(evidence: str = "") -> Outcome:
    """The check's title holds."""
    return Outcome("ok", evidence)


def unneeded(why: str, reason: SkipReason = "not_applicable", needs: Iterable[str] = ()) -> Outcome:
    """There is nothing that the title could hold of, or nothing to compare: a skip, which leaves the verdict alone."""
    return Outcome("skip", f"not run: {why}", skip=Skip(reason, why, tuple(needs)))


def unverified(evidence: str, *, fix: Fix | None = None, subjects: Iterable[str] = ()) -> Outcome:
    """Nobody could look, so the title is neither held nor refuted: the verdict is `not_verified`."""
    return Outcome("error", f"not verified: {evidence}", None, fix, tuple(dict.fromkeys(subjects)))


def failed(
    evidence: str | Iterable[str],
    *,
    cause: str | None = None,
    fix: Fix | None = None,
    subjects: Iterable[str] = (),
    status: CheckStatus = "fail",
) -> Outcome:
    """The check's title does not hold; several pieces of evidence become one line."""
    text = evidence if isinstance(evidence, str) else "; ".join(evidence)
    return Outcome(status, text, cause, fix, tuple(dict.fromkeys(subjects)))
