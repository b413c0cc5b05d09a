"""Faults visible in the linked rows alone: natural keys that do not identify one row. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from devenv.links.faults import Fault
from devenv.links.read import ReadPlan
from devenv.links.resolve import NamedId, Relation, Row
from devenv.links.values import canonical, canonical_text, scalar_text


def find_missing_rows(
    plan: ReadPlan,
    rows: Mapping[Relation, Sequence[Row]],
    seeded: Mapping[Relation, Sequence[Row]],
    named: Iterable[NamedId],
) -> Iterator[Fault]:
    """`missing_row`: a row of a linked table that was loaded once and is there neither by id nor by natural key.

    A row that items name, by either, is left out: those orphans are the finding.
    """
    lost: set[str | tuple[str, ...]] = set()
    for one in named:
        if one.row is None:
            lost.add(one.id)
            lost.add(tuple(scalar_text(one.record.item.get(attribute)) or "" for attribute, _ in one.edge.natural))
    for edge in plan.edges:
        columns = tuple(column for _, column in edge.natural)
        loaded = seeded.get(edge.relation, ())
        if not columns or not loaded or edge.relation not in rows:
            continue
        known = {canonical(row.get(edge.column) or "") for row in loaded}
        ids = {canonical(row[edge.column]) for row in rows[edge.relation]}
        # A row that was loaded as another one, and has this key since, is not this one.
        keys = {natural_key(row, columns) for row in rows[edge.relation] if canonical(row[edge.column]) not in known}
        for row in loaded:
            identifier = canonical(row.get(edge.column) or "")
            key = natural_key(row, columns)
            if not (identifier in ids or key in keys or identifier in lost or key in lost):
                shown = " ".join(f"{column}={text}" for column, text in zip(columns, key, strict=True))
                note = f"{'.'.join(edge.relation)} {shown} was loaded and then deleted"
                yield Fault("missing_row", (identifier, *key), note)


def natural_key(row: Row, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The text of these columns; NULL is empty."""
    return tuple("" if row.get(column) is None else canonical_text(row[column]) for column in columns)


def find_row_faults(plan: ReadPlan, rows: Mapping[Relation, Sequence[Row]]) -> Iterator[Fault]:
    """`ambiguous_row`: rows with one natural key. `near_miss`: keys that differ in blanks or capitals only."""
    done: set[tuple[Relation, tuple[str, ...]]] = set()
    for edge in plan.edges:
        columns = tuple(column for _, column in edge.natural)
        if not columns or (edge.relation, columns) in done:
            continue
        done.add((edge.relation, columns))
        name = f"{'.'.join(edge.relation)} {', '.join(columns)}"
        exact: dict[tuple[str, ...], list[str]] = {}
        loose: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for row in rows.get(edge.relation, ()):
            key = natural_key(row, columns)
            identifier = canonical(row[edge.column])
            exact.setdefault(key, []).append(identifier)
            loose.setdefault(tuple(text.strip().lower() for text in key), set()).add(key)
            if any(text != text.strip() for text in key):
                note = f"{name} {' '.join(map(repr, key))} has leading or trailing blanks"
                yield Fault("near_miss", (identifier,), note)
        for key, ids in exact.items():
            if len(ids) > 1:
                yield Fault("ambiguous_row", tuple(ids), f"{name} {' '.join(key)!r} has {len(ids)} rows")
        for keys in loose.values():
            if len(keys) > 1:
                ids = [identifier for key in sorted(keys) for identifier in exact[key]]
                shown = " and ".join(" ".join(map(repr, key)) for key in sorted(keys))
                yield Fault("near_miss", tuple(ids), f"{name}: {shown} differ only in capitals or blanks")
