"""The row that each id in an item means: by the id, the natural key beside it, or evidence from other items. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from devenv.links.faults import Fault
from devenv.links.read import PLACE, Edge, ItemRecord, Kind, ReadPlan, holds_no_id
from devenv.links.values import (
    canonical,
    canonical_text,
    inner_id,
    is_placeholder,
    same_value,
    scalar_text,
    uuid_text,
)

Row = Mapping[str, Any]
Relation = tuple[str, str]
# So many ids are named in a cause.
NAMED: Final = 3


class NamedId(msgspec.Struct, frozen=True, eq=False):
    """One id in one item, and the row it means. `how`: the id names it, the natural key does, or other items told."""

    record: ItemRecord
    edge: Edge
    field: str | None
    text: str
    id: str
    row: Row | None
    how: Literal["id", "natural", "learned", "none"]


class RowIndex:
    """The rows that links name: by id, and by natural key (None where two rows share it)."""

    def __init__(self, plan: ReadPlan, rows: Mapping[Relation, Sequence[Row]]) -> None:
        self.ids: dict[tuple[Relation, str], dict[str, Row]] = {}
        self.naturals: dict[tuple[Relation, tuple[str, ...]], dict[tuple[str, ...], Row | None]] = {}
        for edge in plan.edges:
            found = rows.get(edge.relation, ())
            target = (edge.relation, edge.column)
            if target not in self.ids:
                self.ids[target] = {canonical(row[edge.column]): row for row in found if row[edge.column] is not None}
            columns = tuple(column for _, column in edge.natural)
            if columns and (edge.relation, columns) not in self.naturals:
                self.naturals[edge.relation, columns] = by_natural_key(found, columns)

    def by_id(self, edge: Edge, identifier: str) -> Row | None:
        """The row whose linked column has this id (as `canonical` writes it)."""
        return self.ids[edge.relation, edge.column].get(identifier)

    def other_table(self, edge: Edge, identifier: str) -> str | None:
        """The other linked table that has a row with this uuid: `public.tools`. A number is no evidence."""
        if uuid_text(identifier) is None:
            return None
        found = (relation for (relation, _), ids in self.ids.items() if relation != edge.relation and identifier in ids)
        return next(map(".".join, found), None)

    def fits(self, edge: Edge, text: str) -> bool:
        """Return True if a text has the form of the ids in the linked column.

        Where none is known, of a uuid or a number.
        """
        known = self.ids[edge.relation, edge.column]
        one = next(iter(known), None)
        if one is None:
            return uuid_text(text) is not None or text.isdigit()
        if uuid_text(one) is not None:
            return uuid_text(text) is not None
        return text.isdigit() if one.isdigit() else text != ""

    def by_natural_key(self, edge: Edge, record: ItemRecord) -> Row | None:
        """The one row that has the natural key written on the item; None when there is none, or more than one."""
        if not edge.natural:
            return None
        texts = [scalar_text(record.item.get(attribute)) for attribute, _ in edge.natural]
        columns = tuple(column for _, column in edge.natural)
        return self.naturals[edge.relation, columns].get(tuple(text or "" for text in texts)) if all(texts) else None


def by_natural_key(rows: Iterable[Row], columns: tuple[str, ...]) -> dict[tuple[str, ...], Row | None]:
    """Rows by the text of `columns`; None for a key that several rows have."""
    found: dict[tuple[str, ...], Row | None] = {}
    for row in rows:
        key = tuple("" if row[column] is None else canonical_text(row[column]) for column in columns)
        found[key] = None if key in found else row
    return found


def field_of(kind: Kind | None, edge: Edge) -> str | None:
    """The declared field of `kind` that holds what the link reads, if there is one."""
    if kind is None:
        return None
    place = PLACE.sub("{}", edge.template.text) if edge.template else None
    for field in kind.fields:
        if field.attribute == edge.attribute:
            mine = PLACE.sub("{}", field.template.text) if field.template else None
            if mine == place:
                return field.name
    return None


def resolve(plan: ReadPlan, records: Sequence[ItemRecord], index: RowIndex) -> list[NamedId]:
    """Every id that a link reads, with its row; also writes the meant ids into `Record.ids`.

    An id that names no row is resolved by the natural key on the same item, else by what that id turned out to mean
    on other items, if they agree: a group row's owner has no handle beside it, but its mirror does.
    """
    edges_of: dict[str, list[Edge]] = {}
    for edge in plan.edges:
        edges_of.setdefault(edge.table, []).append(edge)
    fields: dict[tuple[str | None, str], str | None] = {}
    found: list[NamedId] = []
    taught: dict[tuple[Relation, str, str], dict[str, Row]] = {}
    # One copy of each id and of its one spelling, however many items have it.
    same: dict[str, tuple[str, str]] = {}
    for record in records:
        edges = edges_of.get(record.table, ())
        item = record.item
        for edge in edges:
            kind = record.kind
            place = (kind.name if kind else None, edge.name)
            if place not in fields:
                fields[place] = field_of(kind, edge)
            for written in edge.ids(item):
                if written not in same:
                    identifier = canonical(written)
                    same[written] = written, written if identifier == written else identifier
                text, identifier = same[written]
                named = name_row(record, edge, fields[place], text, identifier, index)
                found.append(named)
                if named.how == "natural" and named.row is not None:
                    meaning = taught.setdefault((edge.relation, edge.column, named.id), {})
                    meaning[canonical(named.row[edge.column])] = named.row
    for position, named in enumerate(found):
        if named.how == "none":
            meaning = taught.get((named.edge.relation, named.edge.column, named.id), {})
            if len(meaning) == 1:
                (learned,) = meaning.values()
                found[position] = NamedId(
                    named.record, named.edge, named.field, named.text, named.id, learned, "learned"
                )
    write_meant(found)
    return found


def write_meant(named: Iterable[NamedId]) -> None:
    """Write the ids of the rows that are meant into the records."""
    spelt: dict[tuple[int, str], str] = {}
    for one in named:
        if one.field is None:
            continue
        means, row = one.id, one.row
        if row is not None:
            place = id(row), one.edge.column
            if place not in spelt:
                spelt[place] = canonical(row[one.edge.column])
            means = spelt[place]
        one.record.set_id(one.field, means)


def count_unread(plan: ReadPlan, records: Iterable[ItemRecord]) -> dict[str, int]:
    """Count, by link, the items in whose attribute no id can be read: binary values, maps, truth values.

    Those that are a fault of the item already, and items of no declared kind beside declared ones, do not count.
    """
    declared = {kind.table for kind in plan.kinds}
    found: dict[str, int] = {}
    for record in records:
        if record.kind is None and record.table in declared:
            continue
        item = record.item
        for edge in plan.edges:
            value = item.get(edge.attribute) if edge.table == record.table else None
            if value is None or "S" in value:
                continue  # Nearly always it is text.
            if holds_no_id(value) and field_of(record.kind, edge) not in record.bad:
                found[edge.name] = found.get(edge.name, 0) + 1
    return found


def count_misfits(plan: ReadPlan, named: Iterable[NamedId], index: RowIndex) -> dict[str, int]:
    """Count, by link, the texts that have another form than the linked column's ids, where nothing else judges them.

    Of a key attribute without a template that is no gap: a table's key holds the ids of several kinds.
    """
    declared = {kind.table for kind in plan.kinds}
    found: dict[str, int] = {}
    for one in named:
        edge, table = one.edge, one.record.table
        if one.row is not None or table in declared or index.fits(edge, one.text):
            continue
        if (edge.template is None and edge.attribute in plan.keys.get(table, ())) or inner_row(one, index) is not None:
            continue
        found[edge.name] = found.get(edge.name, 0) + 1
    return found


def name_row(record: ItemRecord, edge: Edge, field: str | None, text: str, identifier: str, index: RowIndex) -> NamedId:
    """The row that one id means, from this item alone. `identifier` is the id's one spelling."""
    row = index.by_id(edge, identifier)
    other = index.by_natural_key(edge, record)
    if row is None and other is None:
        return NamedId(record, edge, field, text, identifier, None, "none")
    if row is None:
        return NamedId(record, edge, field, text, identifier, other, "natural")
    if (
        other is not None
        and other is not row
        and agrees(record, edge, other)
        and not agrees(record, edge, row, any_=True)
    ):
        # Everything copied onto the item says it is about another row than the id does: the id is what is wrong.
        return NamedId(record, edge, field, text, identifier, other, "natural")
    return NamedId(record, edge, field, text, identifier, row, "id")


def agrees(record: ItemRecord, edge: Edge, row: Row, *, any_: bool = False) -> bool:
    """Return True if all (or `any_`) of the copies on the item are what `row` has."""
    checks = (same_value(record.item.get(attribute), row[column]) for attribute, column in edge.pairs)
    return any(checks) if any_ else all(checks)


def find_link_faults(named: Iterable[NamedId], index: RowIndex) -> Iterator[Fault]:
    """`mismatched_id`, `orphan`, `stale_copy`, and `placeholder` for a copy that nobody filled in."""
    for one in named:
        edge, record = one.edge, one.record
        if one.field is not None and one.field in record.bad:
            if one.row is not None:
                yield from find_copy_faults(one, one.row, index)
            continue
        if one.row is None and (inner := inner_row(one, index)) is not None:
            yield respelt(one, inner, "behind a prefix")
            if one.field is not None:
                record.bad |= {one.field}
            continue
        if one.row is None and record.kind is None and record.near is None and not index.fits(edge, one.text):
            continue  # Nobody declared that this attribute of such an item holds an id.
        if one.row is None:
            hints = [f"{a} {scalar_text(record.item.get(a))}" for a, _ in edge.natural if record.item.get(a)]
            beside = f" ({', '.join(hints)})" if hints else ""
            other = index.other_table(edge, one.id)
            instead = f"; it is the id of a row of {other}" if other else ""
            yield Fault(
                "orphan",
                (one.id,),
                f"{one.id}{beside} matches no row of {edge.target}{instead}",
                record,
                edge.attribute,
                one.field,
                observed=one.text,
                edge=edge,
                elsewhere=other,
            )
            if one.field is not None:
                record.bad |= {one.field}
            continue
        if one.how != "id":
            right = canonical(one.row[edge.column])
            yield Fault(
                "mismatched_id",
                (right, one.id),
                f"the id of {describe(one.row, edge, index)} is {right}; DynamoDB has {one.id}",
                record,
                edge.attribute,
                one.field,
                observed=one.text,
                expected=rewritten(one, right),
                edge=edge,
                row=one.row,
                # An id that names a row of its own may be right, and what was copied beside it wrong.
                safe=index.by_id(edge, one.id) is None and scalar_text(record.item.get(edge.attribute)) is not None,
            )
        elif uuid_text(one.text) is not None and one.text != str(one.row[edge.column]):
            yield respelt(one, one.row, "written differently")
        yield from find_copy_faults(one, one.row, index)


def inner_row(one: NamedId, index: RowIndex) -> Row | None:
    """The row whose uuid is a part of the text: behind a prefix that the link does not declare."""
    inner = inner_id(one.text)
    return index.by_id(one.edge, inner) if inner else None


def respelt(one: NamedId, row: Row, how: str) -> Fault:
    """An id that a reader takes for a row's, and that no query for the row's finds: DynamoDB compares bytes."""
    right = str(row[one.edge.column])
    return Fault(
        "malformed_id",
        (right,),
        f"{one.text!r} is the same id, {how}: {one.edge.target} has {right}, and DynamoDB compares bytes",
        one.record,
        one.edge.attribute,
        one.field,
        observed=one.text,
        expected=rewritten(one, right),
        edge=one.edge,
        row=row,
        safe=how == "written differently" and scalar_text(one.record.item.get(one.edge.attribute)) is not None,
    )


def find_copy_faults(one: NamedId, row: Row, index: RowIndex) -> Iterator[Fault]:
    """Find attributes that were copied from the row and now differ from it.

    It is not safe to copy where the natural key on the item names another row by now (two rows swapped it, or one took
    the other's), or the row has a placeholder itself.
    """
    edge, record = one.edge, one.record
    item = record.item
    for attribute, column in edge.pairs:
        value = item.get(attribute)
        if value is None or attribute in record.bad or same_value(value, row[column]):
            continue
        namesake = index.by_natural_key(edge, record)
        taken = namesake is not None and namesake is not row
        text = scalar_text(value) or str(value)
        blank = is_placeholder(text)
        right = canonical(row[edge.column])
        now = "NULL" if row[column] is None else canonical_text(row[column])
        doubt = "; another row has the item's value now" if taken else ""
        yield Fault(
            "placeholder" if blank else "stale_copy",
            (right, *record_ids(record)) if blank else (right,),
            f"{attribute} is {text!r}, {'.'.join(edge.relation)}.{column} of {right} is {now!r}{doubt}",
            record,
            attribute,
            observed=text,
            expected=now,
            edge=edge,
            row=row,
            safe=not taken and not is_placeholder(now),
        )


def rewritten(one: NamedId, identifier: str) -> str:
    """The text that has this id, with `identifier` in its place: the attribute's, or that of one member of its list."""
    template = one.edge.template
    if template is None:
        return identifier
    for text in one.edge.texts(one.record.item):
        if one.text in (texts := template.parse(text) or ()):
            return template.fill(identifier if each == one.text else each for each in texts)
    return identifier


def describe(row: Row, edge: Edge, index: RowIndex) -> str:
    """A row by its natural key, as any link to its table declares it: `public.users handle=ines`."""
    columns = next((columns for relation, columns in index.naturals if relation == edge.relation), ())
    return " ".join([".".join(edge.relation), *(f"{column}={row[column]}" for column in columns)])


def other_id(plan: ReadPlan, named: Iterable[NamedId], orphan: Fault) -> str:
    """The sentence about another attribute of an orphan's item that names a row of the same table; "" without one.

    The owner of a group's row and the other person in it are two people: one says nothing of the other.
    """
    record, edge = orphan.record, orphan.edge
    if record is None or edge is None:
        return ""
    two = [{group.owner, group.other} for group in plan.groups if record.kind and group.rows == record.kind.name]
    for one in named:
        if one.record is not record or one.row is None or one.edge.relation != edge.relation:
            continue
        if {one.field, orphan.field} not in two:
            place = f"`{one.edge.attribute}` of the same item"
            return f"{place} refers to {one.id}, an existing row of {'.'.join(edge.relation)}"
    return ""


def record_ids(record: ItemRecord) -> tuple[str, ...]:
    """Return what to call an item in a report: the values of its unique fields, else its key."""
    kind = record.kind or record.near
    unique = [record.values[name] for name in kind.unique if name in record.values] if kind else []
    return tuple(unique) or ((record.key_text,) if record.key else ())


def explain(
    named: Iterable[NamedId],
    index: RowIndex,
    rows: Mapping[Relation, Sequence[Row]],
    seeded: Mapping[Relation, Sequence[Row]] | None = None,
) -> dict[str, str]:
    """Return what the link faults have in common: class -> cause, in words, for each column that links lead to."""
    foreign: dict[str, dict[str, str]] = {}
    targets: dict[str, dict[str, set[str]]] = {}
    empty: set[str] = set()
    for one in named:
        if one.how == "natural" and one.field is not None and one.field in one.record.bad:
            continue  # Not an id at all: a blank or a misspelling, which is reported as such.
        ids = targets.setdefault(one.edge.target, {"known": set(), "moved": set(), "lost": set()})
        ids[{"id": "known", "none": "lost"}.get(one.how, "moved")].add(one.id)
        if not rows.get(one.edge.relation):
            empty.add(one.edge.target)
        if one.how == "none" and (other := index.other_table(one.edge, one.id)):
            foreign.setdefault(one.edge.target, {})[one.id] = other
    moved = [explain_moved(target, ids["moved"], ids["known"]) for target, ids in targets.items() if ids["moved"]]
    lost = [
        explain_lost(
            target,
            ids["lost"],
            empty=target in empty,
            others=bool(ids["known"] or ids["moved"]),
            loaded=loaded_ids(target, seeded or {}),
            foreign=foreign.get(target, {}),
        )
        for target, ids in targets.items()
        if ids["lost"]
    ]
    return {kind: "; ".join(texts) for kind, texts in (("mismatched_id", moved), ("orphan", lost)) if texts}


def explain_moved(target: str, moved: set[str], known: set[str]) -> str:
    """Why ids in items are not those of the rows they mean."""
    if not known:
        return (
            f"every id of {target} has changed ({len(moved)} of {len(moved)}): either the rows were recreated after "
            "the items were written, as rebuilding the database does, or the items belong to another database"
        )
    return (
        f"{len(moved)} of {len(moved | known)} ids of {target} have changed: either these rows were recreated (deleted "
        "and inserted, or their id changed) after the items were written, or the items were written with "
        "ids of another database"
    )


def loaded_ids(target: str, seeded: Mapping[Relation, Sequence[Row]]) -> set[str]:
    """The ids of the rows that setup once loaded into a table; `target` is `schema.table.column`."""
    table, _, column = target.rpartition(".")
    found = (row for relation, rows in seeded.items() if ".".join(relation) == table for row in rows)
    return {canonical(row.get(column) or "") for row in found}


def explain_lost(
    target: str, lost: set[str], *, empty: bool, others: bool, loaded: set[str], foreign: Mapping[str, str]
) -> str:
    """Why ids in items name nothing. `loaded` are those of rows that setup loaded, `foreign` id -> another table."""
    table = target.rpartition(".")[0]
    if empty:
        return f"{table} has no rows: either it was not loaded, or this is the wrong database"
    told = []
    if deleted := sorted(lost & loaded):
        number = "a row that setup loaded has" if len(deleted) == 1 else f"{len(deleted)} rows that setup loaded have"
        told.append(f"{number} since been deleted: {', '.join(deleted[:NAMED])}")
    wrong = sorted((lost & foreign.keys()) - loaded)
    told += [f"{id} is the id of a row of {foreign[id]}, not of {table}" for id in wrong[:NAMED]]
    if len(wrong) > NAMED:
        told.append(f"{len(wrong) - NAMED} more ids are those of other tables")
    if not lost - loaded - foreign.keys():
        return "; ".join(told)
    if told:
        rest = f"either rows of {table} were deleted without their items, or ids were typed by hand"
        return f"{'; '.join(told)}; the other ids: {rest}"
    if not others:
        cause = "either the items belong to another database, or all rows changed"
        return f"no id in DynamoDB matches a row of {target}: {cause}"
    return f"either rows of {table} were deleted without their items, or ids were typed by hand"
