"""The people who may read a subject, as far as is declared: the owners of its group, else those its items name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.core.errors import StoreError
from devenv.core.templates import Unknown
from devenv.core.value import Value
from devenv.links.values import canonical
from devenv.trace.layers.services import relation_of
from devenv.trace.layers.subject_items import gather_own

if TYPE_CHECKING:
    from devenv.config.schema import Person
    from devenv.trace.question import TraceContext


class Members(Value, frozen=True):
    """Ids of people who belong to a subject; none: nothing tells.

    `grouped`: a `[[groups]]` says so. Else the subject's items name them by a link, which is evidence and no proof.
    """

    ids: frozenset[str] = frozenset()
    grouped: bool = False


def members_of(inquiry: TraceContext, declared: Person) -> Members:
    """The subject's members, as far as they do not depend on who asks."""
    try:
        gathered = gather_own(inquiry, None)
    except (Unknown, StoreError):
        return Members()
    if gathered.members:
        return Members(gathered.members, grouped=True)
    relation = relation_of(declared.table)
    edges = [e for e in inquiry.facts.plan.edges if e.relation == relation and e.column == declared.id]
    entries = gathered.entries
    named = {canonical(one) for e in edges for each in entries if each.table == e.table for one in e.ids(each.item)}
    return Members(frozenset(named))
