"""Columns of linked rows that an answer shows: `borrower.full_name`, of the row that `borrower` names. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from devenv.config.linked import split_linked
from devenv.core.value import Value
from devenv.links.packed import Item
from devenv.links.read import Edge, Kind, ReadPlan, holds_no_id
from devenv.links.resolve import Relation, Row, field_of
from devenv.links.values import as_text, canonical

if TYPE_CHECKING:
    from devenv.config.trace import Trace


class LinkedColumn(Value, frozen=True):
    """A column of the row that an attribute's id names. `edges` are the links that read this attribute."""

    edges: tuple[Edge, ...]
    column: str

    @property
    def place(self) -> str:
        """`public.patrons.full_name`, for messages."""
        return " or ".join(dict.fromkeys(".".join((*edge.relation, self.column)) for edge in self.edges))


def linked_columns(plan: ReadPlan, kind: Kind, fields: Mapping[str, str]) -> dict[str, LinkedColumn]:
    """Those of a trace's `fields` whose value comes from a linked row."""
    own = {field.name for field in kind.fields}
    found = {}
    for name, target in fields.items():
        if (parts := split_linked(target, own)) is not None:
            edges = (edge for edge in plan.edges if edge.table == kind.table)
            named = tuple(edge for edge in edges if parts[0] in (edge.attribute, field_of(kind, edge)))
            found[name] = LinkedColumn(named, parts[1])
    return found


def shown_columns(plan: ReadPlan, trace: Trace) -> dict[Relation, tuple[str, ...]]:
    """The columns of linked rows that a trace's answer shows, by table."""
    wanted: dict[Relation, dict[str, None]] = {}
    for part in trace.kinds:
        for linked in linked_columns(plan, plan.kind(part.entity), part.fields).values():
            for edge in linked.edges:
                wanted.setdefault(edge.relation, {})[linked.column] = None
    return {relation: tuple(columns) for relation, columns in wanted.items()}


class LinkedRows:
    """The rows that links lead to, by id."""

    def __init__(self, rows: Mapping[Relation, Sequence[Row]]) -> None:
        self.rows = rows
        self._by_id: dict[tuple[Relation, str], Mapping[str, Row]] = {}

    def row(self, edge: Edge, text: str) -> Row | None:
        """The row that an id names; None when there is none, or its table could not be read."""
        target = (edge.relation, edge.column)
        if target not in self._by_id:
            found = self.rows.get(edge.relation, ())
            self._by_id[target] = {canonical(row[edge.column]): row for row in found if row[edge.column] is not None}
        return self._by_id[target].get(canonical(text))

    def texts(self, columns: Mapping[str, LinkedColumn], item: Item) -> Iterator[tuple[str, str | None]]:
        """The fields with their values, as text.

        Left out is a field without a row: that the id names none is a fault of the item itself. So is a field whose
        attribute holds several ids, or something that is no id.
        """
        for name, linked in columns.items():
            held = [item[edge.attribute] for edge in linked.edges if edge.attribute in item]
            ids = [edge.ids(item) for edge in linked.edges]
            if any(map(holds_no_id, held)) or any(len(each) > 1 for each in ids):
                continue
            if not any(ids):
                yield name, None
                continue
            named = (self.row(edge, each[0]) for edge, each in zip(linked.edges, ids, strict=True) if each)
            row = next((row for row in named if row is not None), None)
            if row is not None and linked.column in row:
                yield name, cell_text(row[linked.column])

    def type_of(self, linked: LinkedColumn) -> str:
        """The type that a column's values are compared as: `time`, `number`, else `string`."""
        for edge in linked.edges:
            for row in self.rows.get(edge.relation, ()):
                if (value := row.get(linked.column)) is not None:
                    return type_of_value(value)
        return "string"


def type_of_value(value: Any) -> str:
    """`time`, `number` or `string`."""
    if isinstance(value, datetime):
        return "time"
    return "number" if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else "string"


def cell_text(value: Any) -> str | None:
    """A value of a row as an answer writes it."""
    return value.isoformat() if isinstance(value, date | time) else as_text(value)
