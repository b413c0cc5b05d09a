"""References by values, foreign keys and the meaning of names, where no column is called so. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.init.entities import ID_NAMES, PLACE, UUID, FoundEntity, free_name, singular, snake
from devenv.init.key_places import LONG_NUMBER
from devenv.init.link_names import NUMBERS
from devenv.init.people import PEOPLE, is_people
from devenv.init.propose import (
    ID_END,
    FoundLink,
    is_word_of,
    make_link,
    values_of,
    word_before,
)
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable

PERSON: Final = re.compile(
    rf"(?:\w+_)?(?:{'|'.join(sorted(PEOPLE))}|creator|reporter|assignee|assigner|reviewer|approver|editor|sender"
    r"|recipient|receiver|borrower|lender|requester|requestor|applicant|organi[sz]er|host|manager|participant|attendee"
    r"|voter|uploader|submitter|follower|inviter|invitee|actor|writer|commenter|poster|holder|moderator|admin)"
    r"(?:_(?:id|uuid|guid))?"
    r"|(?!(?:sort|order|group|sorted|ordered|grouped)_by)[a-z]+(?:_[a-z]+)?_by(?:_(?:id|uuid|guid|user))?"
    r"|(?:assigned|delegated|reported|sent|given|lent|sold)_to(?:_(?:id|uuid|guid))?"
)
REFERRING: Final = ("string", "uuid", "number", "")
FEWEST: Final = 3
SUFFIX: Final = re.compile(r"_?(?:uuid|guid|id)$")


@dataclass(frozen=True)
class RowsMeant:
    """Why an attribute refers to a column; without `likely` only a name suggests it."""

    table: DeclaredTable
    column: str
    why: str
    likely: bool = True
    sure: bool = False


@dataclass(frozen=True)
class KnownRows:
    """The tables, the values of their columns by table and column, and the texts of code that seeds."""

    tables: tuple[DeclaredTable, ...]
    values: Mapping[tuple[str, str], Sequence[str]]
    mentioned: frozenset[str]

    @property
    def people(self) -> tuple[DeclaredTable, ...]:
        """The tables of people that have an id: by their name, by what people sign in with, or by an email column."""
        return tuple(table for table in self.tables if id_of(table) and is_people(table))

    def of(self, table: DeclaredTable, column: str) -> frozenset[str]:
        """The values that the seeds have in a column."""
        return frozenset(self.values.get((table.name, column), ()))


def person_links(
    entities: Iterable[FoundEntity],
    rows: KnownRows,
    links: Sequence[FoundLink],
    items: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[FoundLink, ...]:
    """One reference for each attribute that seeds, a foreign key or its name suggests, and that `links` have not."""
    known = [link.source for link in links]
    copied = {(link.source.partition(".")[0], name) for link in links for name in (*link.copies, *link.natural)}
    taken = {link.name for link in links}
    made: list[FoundLink] = []
    fields = [(each, field, kind) for each in entities for field, kind in each.attributes.items()]
    for entity, field, kind in fields:
        if kind.rstrip("?") not in REFERRING or (entity.table, field) in copied:
            continue
        values = values_of(entity, field, items)
        word = word_before(values)
        found = next(evidence(snake(field), {value.removeprefix(word) for value in values}, rows), None)
        found = found or (by_word(entity, field, rows) if not values else None)
        link = make_link(entity, field, found.table, found.column, f"{word}{{}}" if word else None) if found else None
        if found is None or link is None or any(bare(each) == bare(link.source) for each in known):
            continue
        column = found.table.column(found.column)
        if column and NUMBERS.search(column.type) and kind.rstrip("?") == "uuid":
            continue
        if found.column != id_of(found.table) and leads_to(entity, found.table, (*links, *made)):
            continue  # A copy of a column of the row that another attribute refers to.
        known.append(link.source)
        name = free_name(SUFFIX.sub("", snake(field)) or link.name, taken)
        taken.add(name)
        made.append(replace(link, name=name, sure=found.sure, why=found.why, likely=found.likely))
    return tuple(made)


def leads_to(entity: FoundEntity, table: DeclaredTable, links: Iterable[FoundLink]) -> bool:
    """Return True if an attribute of an entity's table refers to rows of a table."""
    return any(each.target.name == table.name and each.source.startswith(f"{entity.table}.") for each in links)


def bare(source: str) -> str:
    """`orders.pk` of the source `orders.pk[USER#{}]`."""
    return source.partition("[")[0]


def evidence(name: str, values: set[str], rows: KnownRows) -> Iterator[RowsMeant]:
    """The columns that an attribute may refer to, the surest first."""
    personal = PERSON.fullmatch(name) is not None
    if personal:
        yield from by_values(values, rows, rows.people)
    yield from by_values(values, rows, ())
    if personal or ID_END.search(name):
        yield from fitting(by_foreign_key(name, rows), values, rows)
    yield from fitting(by_name(name, values, rows), values, rows)
    if personal:
        yield from fitting(by_people(name, rows), values, rows)


def by_values(values: set[str], rows: KnownRows, people: Sequence[DeclaredTable]) -> Iterator[RowsMeant]:
    """Columns that tell rows apart and have all of an attribute's values; of `people` some of them are enough."""
    unique = [
        (table, c.name) for table in people or rows.tables for c in table.columns if c.unique or c.name == id_of(table)
    ]
    numbers = all(value.isdigit() for value in values)
    # Single letters and small numbers are everywhere: these count only where a name suggests a person, too.
    telling = all(len(value) >= (LONG_NUMBER if numbers else FEWEST) for value in values)
    telling = telling or (len(people) == 1 and numbers)
    whole = [(table, column) for table, column in unique if values <= rows.of(table, column)]
    if values and telling and len(whole) == 1:
        yield RowsMeant(*whole[0], "All its values in the seeds are in this column.", sure=bool(people) and not numbers)
    for table, column in unique if people and not numbers else ():
        if common := len(values & rows.of(table, column)):
            yield RowsMeant(table, column, f"{common} of its {len(values)} values in the seeds are in this column.")


def by_foreign_key(name: str, rows: KnownRows) -> Iterator[RowsMeant]:
    """The table and column that a column of the same name refers to in SQL."""
    pairs = [(table, *pair) for table in rows.tables for pair in table.foreign]
    for table, column, target in pairs:
        if SUFFIX.sub("", snake(column)) == SUFFIX.sub("", name):
            for each in rows.tables:
                if each.name == target and (id_ := id_of(each)):
                    yield RowsMeant(each, id_, f"The column {table.name}.{column} refers to {target}.")


def by_name(name: str, values: set[str], rows: KnownRows) -> Iterator[RowsMeant]:
    """The table that an attribute's last word names, or the one unique column that is called so."""
    plain = SUFFIX.sub("", name)
    for table in rows.tables:
        called = singular(snake(table.name))
        if len(plain) >= FEWEST and (f"_{plain}".endswith(f"_{called}") or f"_{called}".endswith(f"_{plain}")):
            columns = [c for c in table.columns if c.unique or c.name == id_of(table)]
            meant = next((c for c in columns if values and is_of_type(values, c)), None)
            if column := meant.name if meant else id_of(table):
                yield RowsMeant(table, column, "Its name is that of the table.")
    same = [(table, c.name) for table in rows.tables for c in table.columns if c.unique and c.name == name]
    if len(same) == 1 and "_" in name:
        yield RowsMeant(*same[0], "Its name is that of the column.")


def by_word(entity: FoundEntity, field: str, rows: KnownRows) -> RowsMeant | None:
    """The table whose word a key has before its one place: `users` of `USER#{id}`."""
    parts = [PLACE.sub("{}", text) for text in entity.match.values() if f"{{{field}}}" in text]
    for table in rows.tables if len(parts) == 1 and parts[0].count("{}") == 1 else ():
        # `ROUTE#{slug}` is no id where the table has a unique column of this name.
        own = next((c.name for c in table.columns if c.unique and c.name == snake(field)), None)
        if is_word_of(parts[0], table) and (column := own or id_of(table)):
            return RowsMeant(table, column, f"The word before it in the key is that of {table.name}.")
    return None


def is_of_type(values: set[str], column: DeclaredColumn) -> bool:
    """Return True if values can stand in a column."""
    if column.type == "uuid":
        return all(map(UUID.fullmatch, values))
    return bool(NUMBERS.search(column.type)) == all(value.isdigit() for value in values)


def by_people(name: str, rows: KnownRows) -> Iterator[RowsMeant]:
    """The table of people: likely if it is the only one."""
    for table in rows.people:
        id_ = str(id_of(table))
        others = [f"{each.name}.{id_of(each)}" for each in rows.people if each is not table]
        if not others and rows.of(table, id_) & rows.mentioned:
            yield RowsMeant(table, id_, f"The seeds have ids of {table.name}, the only table of people.")
        elif not others and SUFFIX.search(name):
            yield RowsMeant(
                table, id_, f"Its name suggests a person's id, and {table.name} is the only table of people."
            )
        else:
            either = f" It may be {' or '.join(others)}, too." if others else ""
            yield RowsMeant(table, id_, f"Only its name suggests a person.{either}", likely=False)


def fitting(found: Iterable[RowsMeant], values: set[str], rows: KnownRows) -> Iterator[RowsMeant]:
    """Those that an attribute's values in the seeds do not rule out; ids that no row has make one less likely."""
    for each in found:
        column = each.table.column(each.column)
        if values and column and not is_of_type(values, column):
            continue
        there = rows.of(each.table, each.column)
        if values and there and not values & there:
            each = replace(each, likely=False, why=f"{each.why} But no row of the seeds has one of its values.")
        yield each


def id_of(table: DeclaredTable) -> str | None:
    """The column that a reference to a table's rows holds."""
    primary = [column.name for column in table.columns if column.primary]
    if len(primary) == 1:
        return primary[0]
    return next((name for name in ID_NAMES if table.column(name)), None) if not primary else None
