"""A wrong answer of the API where the function itself, called in a new process, is right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from devenv.core.model import Fix
from devenv.trace.judge.fault import OK, LayerFinding, log_text
from devenv.trace.observation import Observations

KINDS: Final = frozenset(["items_lost", "body_changed", "not_authorised", "status"])
# An earlier fault of these layers explains a wrong answer.
BLAMED: Final = frozenset(["environment", "services", "postgres", "pattern", "library", "cache"])
# A list that ends like a page is the route's, whatever the process keeps.
PAGE: Final = "like a page"
RESTART: Final = Fix(
    "restart it and trace again. If the difference is gone, the old process caused it; if not, the cause is in the "
    "code of the route, whose calls `devenv up --tap` shows",
    "devenv restart backend",
)


def outside_function(finding: LayerFinding, seen: Observations, earlier: Sequence[LayerFinding]) -> LayerFinding:
    """The finding; with what is known of its place, if the application's functions do all that they should.

    Not where the log tells of an error, or where entries are all there and only look different.
    """
    library, member = seen.library, seen.http.member
    ran = library.ran
    if (
        finding.kind not in KINDS
        or ran is None
        or member is None
        or library.code_changed
        or seen.http.code_changed
        or log_text(seen)
    ):
        return finding
    if any(run.outcome != "returned" for run in (ran, *(guard for guard, _ in library.guards))):
        return finding
    if any(one.layer in BLAMED for one in earlier):
        return finding
    if (finding.cause or "").endswith(PAGE):
        return finding
    between = finding.difference
    refused = between is None and finding.kind in ("not_authorised", "status") and member.status not in OK
    if not refused and (between is None or not (between.missing or between.extra)):
        return finding
    place = (
        f"{ran.function} is correct when called in a new process, so the cause is in the running process (its "
        "connections, a cache) or in the code between this function and the answer"
    )
    return replace(finding, cause=f"{finding.cause}; {place}" if finding.cause else place, fix=RESTART)
