"""Layer `cross-store`: does every id in the subject's items name the row it should, and do the copies agree?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from devenv.core.plural import number_of
from devenv.links.resolve import count_unread
from devenv.trace.judge.fault import judge_stored
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.subject_faults import own_findings
from devenv.trace.layers.subject_items import gather_own
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext


def observe(inquiry: TraceContext, given: Given) -> Observation:
    """The links of the subject's items. StoreError when a store does not answer; Unknown."""
    if not inquiry.facts.plan.edges:
        return Observation(unasked="the project declares no links")
    inquiry.facts.postgres()
    found = inquiry.facts.judgement()
    gathered = gather_own(inquiry, given.person)
    mine = {id(record) for record in (*gathered.entries, *gathered.rows)}
    links = []
    for edge in inquiry.facts.plan.edges:
        named = [one for one in found.named if one.edge.name == edge.name and id(one.record) in mine]
        faults = [fault for fault in found.faults if fault.edge is not None and fault.edge.name == edge.name]
        links.append(
            {
                "name": edge.name,
                "target": edge.target,
                "ids": len({one.id for one in named}),
                "faults": sum(fault.record is not None and id(fault.record) in mine for fault in faults),
            }
        )
    findings = tuple(own_findings(inquiry, found, gathered, "cross-store"))
    uncovered = (
        *missing_columns(inquiry),
        *(f"the rows of link {name} could not be read" for name in found.unlinked),
        *(
            f"link `{name}` finds no id in {number_of(count, 'item')}"
            for name, count in count_unread(inquiry.facts.plan, (*gathered.entries, *gathered.rows)).items()
        ),
    )
    if not findings and not uncovered and (why := nothing_looked_up(links, len(mine))):
        return Observation(unasked=why)
    return Observation(
        request={"links": [edge.name for edge in inquiry.facts.plan.edges]},
        output={"links": links},
        findings=findings,
        uncovered=uncovered,
    )


def nothing_looked_up(links: Sequence[Mapping[str, Any]], items: int) -> str | None:
    """Return why the layer says nothing: there are items, and no link has an id or a fault in them; else None."""
    if not items or any(link["ids"] or link["faults"] for link in links):
        return None
    names = ", ".join(f"`{link['name']}`" for link in links)
    which = f"link {names} finds" if len(links) == 1 else f"links {names} find"
    return f"{which} no id in the {number_of(items, 'item')} of this subject"


def missing_columns(inquiry: TraceContext) -> Iterator[str]:
    """A sentence for each field that shows a column which its table does not have."""
    tables = inquiry.facts.postgres().readable
    for (_, name), linked in inquiry.linked.items():
        for edge in linked.edges:
            table = tables.table(edge.relation)
            if table is not None and linked.column not in {column.name for column in table.columns}:
                yield f"`{name}` is not compared: {'.'.join(edge.relation)} has no column `{linked.column}`"


def summarize(seen: Observation) -> str:
    """Return how many ids were looked up."""
    ids = sum(link["ids"] for link in seen.output.get("links") or ())
    return f"{number_of(ids, 'id', 'ids')} looked up" if ids else ""


LAYER: Final = Layer(
    name="cross-store",
    question="Does every id in these items match the right row, and do the copied attributes agree?",
    observe=observe,
    needs=("postgres",),
    judge=partial(judge_stored, "cross-store", "postgres"),
    summarize=summarize,
)
