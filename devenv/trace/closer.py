"""The second look at a wrong answer: whose entries it has, and what the running application read for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from devenv.trace.judge.verdict import Judgement
from devenv.trace.layers.asked import reads_of_request
from devenv.trace.layers.cache import kept_under
from devenv.trace.layers.rewritten import find_rewritten
from devenv.trace.layers.whose import owners_of
from devenv.trace.observation import Observations
from devenv.trace.question import TraceContext

ANSWERS: Final = frozenset(["library", "http", "cache"])


def look_closer(inquiry: TraceContext, seen: Observations, found: Judgement) -> Observations:
    """The observations, with what explains a wrong answer."""
    first, person = found.first, seen.postgres.person
    if first is not None and (writes := find_rewritten(inquiry, first, person)):
        return replace(seen, http=replace(seen.http, findings=(*seen.http.findings, writes)))
    if first is None or first.layer not in ANSWERS or first.others:
        return seen
    extra = [one.id for one in first.difference.extra] if first.difference else []
    shared = [one.id for _, one in first.difference.pairs] if first.difference else []
    if extra and (owners := owners_of(inquiry, [*extra, *shared], person)):
        seen = replace(seen, dynamodb=replace(seen.dynamodb, elsewhere=owners))
    if first.layer != "http":
        return seen
    kept = kept_under(inquiry, person, seen.http.entries or ()) if extra else None
    asked = reads_of_request(inquiry, person)
    return replace(seen, http=replace(seen.http, asked=asked, kept_under=kept))
