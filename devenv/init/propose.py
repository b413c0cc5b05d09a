"""Suggestions from the code and SQL that were found: kinds of items, references by name, patterns, the user. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final

from devenv.core.late import late
from devenv.init.code import Code, Query
from devenv.init.entities import (
    ID_NAMES,
    LABEL,
    PLACE,
    UUID,
    VERBS,
    FoundEntity,
    free_name,
    key_of,
    places_in,
    places_of,
    singular,
    snake,
    text_of,
)
from devenv.init.link_names import NUMBERS, is_called_after, is_called_alike, is_mirrored
from devenv.init.people import HANDLES, NATURAL, is_person
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable
from devenv.init.survey import Survey
from devenv.init.tables import Found

# What a seed file reads from a row: `${users[handle=ada].uuid}`.
REFERENCE: Final = re.compile(r"\$\{([\w.]+)\[[^\]]*\]\.(\w+)\}")
# What handlers of every route are called.
HANDLERS: Final = ("GET", "handler", "loader")
KEY_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*[#:|/]")
BARE_PLACE: Final = late(r"\{[\w.]+\}")
ID_END: Final = re.compile(r"(uuid|guid|id)$", re.IGNORECASE)


@dataclass(frozen=True)
class FoundLink:
    """One reference to a row. `sure`: the attribute is called as the table and its column, or seeds prove it.

    Of others `why` is the reason to ask, and `likely` that `--yes` takes them.
    """

    name: str
    source: str
    target: DeclaredTable
    column: str
    natural: Mapping[str, str]
    copies: Mapping[str, str]
    sure: bool
    why: str = ""
    likely: bool = True


@dataclass(frozen=True)
class FoundGroup:
    """Items that seem to exist together: a row per owner, who names the other, and entries under their common id."""

    name: str
    rows: FoundEntity
    entries: FoundEntity
    id: str
    owner: str
    other: str
    author: str
    time: str
    preview: Mapping[str, str]


@dataclass(frozen=True)
class FoundPattern:
    """One declared query: the same, wherever the code has it, the application's own function first.

    `begins` is the word that the sort key of one kind of items begins with, if the query asks for it; with places.
    """

    name: str
    queries: tuple[Query, ...]
    key: Mapping[str, str]
    begins: str = ""

    @property
    def query(self) -> Query:
        """The application's own."""
        return self.queries[0]

    @property
    def asked(self) -> tuple[str, ...]:
        """The templates that the query is made of."""
        return (*self.key.values(), self.begins)

    @property
    def seen(self) -> tuple[str, ...]:
        """Where it stands."""
        return tuple(f"{query.function.file}:{query.line}" for query in self.queries)


def keyed(tables: Iterable[Found], entities: Iterable[FoundEntity]) -> Iterator[FoundEntity]:
    """Of tables whose items nobody was seen to write, what their keys tell."""
    known = {entity.table for entity in entities}
    for table in tables:
        if table.table not in known:
            yield FoundEntity(table.table, table.table, {}, dict.fromkeys(key_of(table), "string"), ())


def find_links(
    entities: Iterable[FoundEntity],
    tables: Iterable[DeclaredTable],
    items: Iterable[tuple[str, Mapping[str, Any]]] = (),
    rows: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> tuple[FoundLink, ...]:
    """References by the values of seeds, else by name: `user_uuid` is `users.uuid`; a longer name that ends so may be.

    `items` are those of seed files by table, `rows` the values of columns in SQL.
    """
    items, tables, rows = tuple(items), tuple(tables), rows or {}
    seen = [(entity, field) for entity in entities for field in entity.attributes]
    columns = [(table, column.name) for table in tables for column in table.columns if column.primary or column.unique]
    found: dict[str, FoundLink] = {}
    for entity, field in seen:
        # What rows and items of the seeds say is sure, whatever the names are.
        values = values_of(entity, field, items)
        for table, column in columns:
            word = proven_by(field, values, table, column, rows)
            part = f"{word}{{}}" if word else None
            link = make_link(entity, field, table, column, part) if word is not None else None
            if link is not None:
                found.setdefault(link.source, replace(link, sure=True))
    for link in links_by_name(seen, columns, items):
        found.setdefault(link.source, link)
    for source, link in found.items():
        keys = (natural_by_name(entity, link, tables) for entity, field in seen if is_from(link, entity, field))
        found[source] = replace(link, natural=link.natural or next(filter(None, keys), {}))
    named: dict[str, FoundLink] = {}
    for link in found.values():
        name = free_name(link.name, named)
        named[name] = replace(link, name=name)
    return tuple(named.values())


def links_by_name(
    seen: Iterable[tuple[FoundEntity, str]],
    columns: Iterable[tuple[DeclaredTable, str]],
    items: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Iterator[FoundLink]:
    """References by the names of fields, the surest first; not where the values of seeds cannot be the column's."""
    seen, columns = tuple(seen), tuple(columns)
    texts = {(entity.name, field) for entity, field in seen if are_texts(values_of(entity, field, items))}
    numbers = {(table.name, name) for table, name in columns if (c := table.column(name)) and NUMBERS.search(c.type)}
    for is_meant in (is_called_after, is_called_alike):
        for entity, field in seen:
            for table, column in columns:
                text = (entity.name, field) in texts or entity.attributes[field].rstrip("?") in ("uuid", "time")
                if text and (table.name, column) in numbers:
                    continue
                if is_meant(field, table, column) and (link := make_link(entity, field, table, column)):
                    yield link
    for entity, field in seen:
        for table, column in columns:
            if is_mirrored(entity, field, table, column) and (link := make_link(entity, field, table, column)):
                yield replace(
                    link,
                    name=entity.name,
                    sure=False,
                    why="Judging by their names, both stores hold the same thing under the same id.",
                )


def are_texts(values: set[str]) -> bool:
    """Return True if most values are no number, and none stands for one: `heather-moor` is no id of a serial.

    Of random texts such as `7f3a` some have digits only.
    """
    digits = sum(value.isdigit() for value in values)
    return 2 * digits < len(values) and not any("${" in value for value in values)


def values_of(entity: FoundEntity, field: str, items: Iterable[tuple[str, Mapping[str, Any]]]) -> set[str]:
    """The texts that a field has in the items of the seeds that are of its kind."""
    mine = [
        (item, places)
        for table, item in items
        if table == entity.table and (places := places_in(entity.match, item)) is not None
    ]
    return {text for item, places in mine if (text := places.get(field) or text_of(item.get(field)))}


def word_before(values: set[str]) -> str:
    """The word before the id that all values have, such as `PATRON#`; "" where there is none."""
    words = {found[0] if (found := KEY_WORD.match(value)) else "" for value in values}
    return words.pop() if len(words) == 1 else ""


def proves(values: set[str], table: DeclaredTable, column: str, rows: Mapping[tuple[str, str], Sequence[str]]) -> bool:
    """Return True if values are ids of a column: uuids that its rows have, or `${table[…].column}` of seeds."""
    asked = [found for value in values if (found := REFERENCE.fullmatch(value)) is not None]
    if asked and len(asked) == len(values):
        return {(str(found[1]).rpartition(".")[2], found[2]) for found in asked} == {(table.name, column)}
    known = set(rows.get((table.name, column), ()))
    return bool(values) and all(UUID.fullmatch(value) for value in values) and values <= known


def proven_by(
    field: str, values: set[str], table: DeclaredTable, column: str, rows: Mapping[tuple[str, str], Sequence[str]]
) -> str | None:
    """The word before the ids of a column that all values are, "" where they are the ids; None for other values."""
    if proves(values, table, column, rows) or is_row_named(field, values, table, rows.get((table.name, column), ())):
        return ""
    word = word_before(values)
    return word if word and proves({value.removeprefix(word) for value in values}, table, column, rows) else None


def is_row_named(field: str, values: set[str], table: DeclaredTable, known: Sequence[str]) -> bool:
    """Return True for an attribute `voter` whose values are all in a unique column of `voters`: codes, names."""
    return snake(field) == singular(table.name) and bool(values) and values <= set(known)


def make_link(
    entity: FoundEntity, field: str, table: DeclaredTable, column: str, part: str | None = None
) -> FoundLink | None:
    """The reference from a field to a column, with the copies that are called like it. `part`: of its text, the id.

    None for one of several places of a key, which a link cannot name, unless the item has the attribute, too.
    """
    attribute = next((a for a, t in entity.match.items() if f"{{{field}}}" in t), field)
    whole = part is None
    if part is None:
        part = PLACE.sub("{}", entity.match[attribute]) if field in places_of(entity) else ""
    if part.count("{}") > 1:
        if field not in entity.stored:
            return None
        attribute, part = field, ""
    prefix = ID_END.sub("", field)
    called = {snake(name): name for name in entity.attributes}
    copies = {
        called[wanted]: c.name
        for c in table.columns
        if (wanted := f"{snake(prefix).rstrip('_')}_{c.name}") in called and c.name != column
    }
    # The name of a person is written as it is called in the table.
    copies |= {called[c.name]: c.name for c in table.columns if c.unique and c.name in HANDLES and c.name in called}
    # `member_id` for `members.member_id`.
    named = column if any(column == f"{singular(table.name)}_{each}" for each in ID_NAMES) else ""
    return FoundLink(
        name=snake(prefix if whole else re.split(r"[#:|/]", part)[0]).rstrip("_").lower(),
        source=f"{entity.table}.{attribute}" + (f"[{part}]" if part else ""),
        target=table,
        column=column,
        natural=natural_of(copies, table),
        copies=copies,
        sure=(snake(field) == f"{singular(table.name)}_{column}" and not part)
        or (snake(field) in (f"{singular(table.name)}_{column}", named) and is_word_of(part, table)),
    )


def is_word_of(part: str, table: DeclaredTable) -> bool:
    """Return True if a key such as `USER#{}` begins with the word of a table (`users`)."""
    word = re.match(r"([A-Za-z_-]+)[#:|/]", part)
    return word is not None and snake(word[1]).replace("-", "_") in (table.name, singular(table.name))


def find_group(entities: Iterable[FoundEntity], links: Iterable[FoundLink]) -> FoundGroup | None:
    """Rows under a person's id with an attribute that is the key of other items, which name a person too."""
    entities, links = tuple(entities), tuple(links)
    for rows in entities:
        owners = [place for place in places_of(rows) if any(link.source.startswith(rows.table) for link in links)]
        for entries in (each for each in entities if each.table == rows.table and each is not rows):
            ids = [n for n in places_of(entries) if n in rows.attributes and n not in places_of(rows)]
            people = [
                link.source.partition(".")[2] for link in links if link.sure and link.source.startswith(rows.table)
            ]
            named = [n for n in people if n in rows.attributes and n in entries.attributes]
            times = [n for n, kind in rows.attributes.items() if kind == "time" and entries.attributes.get(n) == "time"]
            if owners and ids and named and times:
                copied = set(next(tuple(link.copies) for link in links if link.source.endswith(f".{named[0]}")))
                same = [n for n, kind in rows.attributes.items() if entries.attributes.get(n) == kind == "string"]
                preview = {n: n for n in same if n not in copied}
                name = re.sub(r"_?(uuid|id|guid)$", "", ids[0]) or "group"
                return FoundGroup(name, rows, entries, ids[0], owners[0], named[0], named[0], times[0], preview)
    return None


def natural_of(copies: Mapping[str, str], table: DeclaredTable) -> dict[str, str]:
    """Of the copies, the one that tells rows apart: a unique column, or one that is called so."""
    columns: list[DeclaredColumn] = [c for c in table.columns if c.name in copies.values()]
    best = next((c.name for c in columns if c.unique), None)
    best = best or next((name for name in NATURAL if any(c.name == name for c in columns)), None)
    return {attribute: column for attribute, column in copies.items() if column == best}


def is_from(link: FoundLink, entity: FoundEntity, field: str) -> bool:
    """Return True if a link is that of this field, by its name."""
    if not is_called_after(field, link.target, link.column):
        return False
    own = make_link(entity, field, link.target, link.column)
    return own is not None and own.source == link.source


def natural_by_name(entity: FoundEntity, link: FoundLink, tables: Sequence[DeclaredTable]) -> dict[str, str]:
    """A unique column of the row that the item has under the same telling name: `tracking_code` of `parcels`.

    Empty where another table has a column of this name, or the item has two ids of this table's rows.
    """
    if sum(is_called_after(field, link.target, link.column) for field in entity.attributes) > 1:
        return {}
    called = {snake(name): name for name in entity.attributes}
    everywhere = [column.name for table in tables for column in table.columns]
    telling = (
        column.name
        for column in link.target.columns
        if column.unique and "_" in column.name and column.name in called and not ID_END.search(column.name)
    )
    best = next((name for name in telling if everywhere.count(name) == 1), None)
    return {called[best]: best} if best else {}


def place_names(key: Mapping[str, str], person: Any) -> dict[str, str]:
    """Place in a key -> how devenv.toml writes it: `{person.id}` of a person's id, by its name or its attribute's."""
    found = {}
    for attribute, template in key.items():
        for name in PLACE.findall(template):
            named = [name, attribute] if template == f"{{{name}}}" else [name]
            asks = person and any(is_person(each, person[0]) for each in named)
            found[name] = "{person." + person[1] + "}" if asks else f"{{{name}}}"
    return found


def with_places(template: str, names: Mapping[str, str]) -> str:
    """A template with other names in its places."""
    return PLACE.sub(lambda place: names[place[1]], template)


def find_patterns(
    survey: Survey, entities: Iterable[FoundEntity], person: Any, links: Iterable[FoundLink]
) -> tuple[FoundPattern, ...]:
    """The queries that the code makes, each once; the application's own name for it wins over a script's."""
    found: dict[tuple[str, str | None, str], FoundPattern] = {}
    tables = {table.table for table in survey.tables}
    # A table that the code gets from elsewhere is the only one there is.
    only = next(iter(tables)) if len(tables) == 1 else None
    asked = [q if q.table or not only else replace(q, table=only) for code in survey.code for q in code.queries]
    queries = [q for q in asked if q.operation != "Scan" and q.table in tables]
    kinds = tuple(entities)
    for query in sorted(queries, key=lambda q: (not q.function.name, q.function.file, q.line)):
        key = {a: f"{{{a}}}" if UUID.fullmatch(t) else t for a, t in query.key.items()}
        names = place_names(key, person)
        shown = {attribute: with_places(text, names) for attribute, text in key.items()}
        if not shown:
            continue
        mark = (
            str(query.table),
            query.index,
            query.operation + str(sorted((a, PLACE.sub("{}", t)) for a, t in shown.items())) + begins_of(query, kinds),
        )
        if (known := found.get(mark)) is not None:
            found[mark] = replace(known, queries=(*known.queries, query))
            continue
        own = (
            ("" if query.function.short in HANDLERS else snake(query.function.short).removesuffix("_async"))
            or route_name(query, survey.code)
            or PurePosixPath(query.function.file).stem.replace("-", "_")
        )
        # `GetAsync` alone does not say what it gets.
        own = singular(snake(str(query.table))) if VERBS.fullmatch(f"{own}_") else own
        name = LABEL.sub("_", VERBS.sub("", own)) or f"pattern_{len(found) + 1}"
        name = free_name(name, {each.name for each in found.values()})
        found[mark] = FoundPattern(name, (query,), shown, begins_of(query, kinds))
    return tuple(found.values())


def route_name(query: Query, code: Iterable[Code]) -> str:
    """The last word of the path of the route that a query without a named function stands in; "" outside of routes."""
    inside = (r for c in code for r in c.routes if r.file == query.function.file and r.line <= query.line <= r.end)
    words = [word for route in inside for word in route.path.split("/") if word and "{" not in word]
    return snake(words[-1].replace("-", "_")) if words else ""


def begins_of(query: Query, entities: Iterable[FoundEntity]) -> str:
    """The word that a query's begins_with asks for, if it is that of a kind of items; else "".

    It may have the first places of that kind's sort key: `DEP#{day}`. Of an index, it is any word.
    """
    word = query.begins
    if query.index:
        return "" if PLACE.search(word) else word
    mine = [each.match.get(query.narrowed or "", "") for each in entities if each.table == query.table]
    return word if word and any(each.startswith(word) for each in mine) else ""
