"""Rows that setup loaded and whose linked value was changed since: another unique value still names them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.links.faults import Fault
from devenv.links.judge import LinkJudgement
from devenv.links.read import ReadPlan
from devenv.links.values import canonical

if TYPE_CHECKING:
    from devenv.stores.postgres.catalog import Catalog, Table

Row = Mapping[str, Any]
Relation = tuple[str, str]
# A table and the column by which its rows are named.
Place = tuple[Relation, str]
# Rows of one place that are looked up, and those that a sentence names.
MOST: Final = 200
SHOWN: Final = 3


class Renamed(Value, frozen=True):
    """A row that had `old` in `column` when setup loaded it, and has `new` now. `key`: what it still has.

    `new` is None for NULL. Without a `key`, its unique values are those of several rows now.
    """

    relation: Relation
    column: str
    old: str
    new: str | None
    key: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """`the row of public.products with `id` = '1' now has 'A1x' in `code`; setup loaded it with 'A1'`."""
        place = ".".join(self.relation)
        if not self.key:
            return (
                f"the row that setup loaded with {self.old!r} in `{self.column}` is gone; the values of its other"
                f" unique columns are now in several rows of {place}"
            )
        now = "NULL" if self.new is None else repr(self.new)
        kept = " and ".join(f"`{column}` = {text!r}" for column, text in self.key.items())
        return f"the row of {place} with {kept} now has {now} in `{self.column}`; setup loaded it with {self.old!r}"


def find_lost(
    plan: ReadPlan, rows: Mapping[Relation, Sequence[Row]], seeded: Mapping[Relation, Sequence[Row]]
) -> Iterator[tuple[Place, dict[str, Row]]]:
    """(place, id -> row as loaded) of rows that setup loaded and whose id no row has now; at most MOST of a place."""
    for relation, column in dict.fromkeys((edge.relation, edge.column) for edge in plan.edges):
        if relation not in rows or relation not in seeded:
            continue
        here = {canonical(row[column]) for row in rows[relation]}
        loaded = {canonical(text): row for row in seeded[relation] if (text := row.get(column))}
        if lost := {id: loaded[id] for id in sorted(loaded.keys() - here)[:MOST]}:
            yield (relation, column), lost


def other_keys(table: Table, column: str, row: Row) -> list[dict[str, str]]:
    """The unique values of a loaded row in which `column` has no part."""
    names = {each.name for each in table.columns}
    keys = (columns for columns in table.keys if column not in columns and names >= set(columns))
    return [{name: str(row[name]) for name in key} for key in keys if all(row.get(name) is not None for name in key)]


def without_renamed(
    seeded: Mapping[Relation, Sequence[Row]], renamed: Mapping[Place, Mapping[str, Renamed]]
) -> Mapping[Relation, Sequence[Row]]:
    """The loaded rows, less those that are there under another value: they were not deleted."""
    known: dict[Relation, set[tuple[str, str]]] = {}
    for (relation, column), found in renamed.items():
        known.setdefault(relation, set()).update((column, id) for id in found)
    return {
        relation: [
            row
            for row in rows
            if not any(canonical(row.get(column) or "") == id for column, id in known.get(relation, ()))
        ]
        for relation, rows in seeded.items()
    }


def renamed_rows(faults: Iterable[Fault], renamed: Mapping[Place, Mapping[str, Renamed]]) -> dict[str, Renamed]:
    """Id -> what became of its row, of the orphans among these faults."""
    found = {}
    for fault in faults:
        if fault.kind == "orphan" and fault.edge is not None and fault.recreated is None:
            one = renamed.get((fault.edge.relation, fault.edge.column), {}).get(fault.subjects[0])
            if one is not None:
                found[fault.subjects[0]] = one
    return found


def with_renamed(judgement: LinkJudgement, renamed: Mapping[Place, Mapping[str, Renamed]]) -> LinkJudgement:
    """The judgement in which renamed rows are the cause of their orphans."""
    orphans = [fault for fault in judgement.faults if fault.kind == "orphan"]
    found = renamed_rows(orphans, renamed)
    if not found or any(fault.recreated for fault in orphans):
        return judgement
    ids = {fault.subjects[0] for fault in orphans}
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    cause = "; ".join(found[id].sentence for id in sorted(found)[:SHOWN]) + more
    if len(found) < len(ids):
        rest = judgement.causes.get("orphan")
        cause = f"{len(found)} of {number_of(len(ids), 'id')}: {cause}{f'; the other ids: {rest}' if rest else ''}"
    return replace(judgement, causes={**judgement.causes, "orphan": cause})


def is_writable(catalog: Catalog, one: Renamed) -> bool:
    """Return True if the old value can be put back: no foreign key of another row may hold the new one."""
    table = catalog.table(one.relation)
    column = next((each for each in table.columns if each.name == one.column), None) if table else None
    if column is None or column.made or not one.key:
        return False
    return not any(
        constraint.kind == "foreign"
        and constraint.parent == one.relation
        and one.column in constraint.parent_columns
        and "ON UPDATE CASCADE" not in constraint.definition
        for each in catalog.tables
        for constraint in each.constraints
    )
