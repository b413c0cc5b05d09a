"""The kinds of items that the code writes and the seeds contain, distinguished by their keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.init.code import Attribute, Query, Shape
from devenv.init.entities import (
    LABEL,
    NUMBER,
    PLACE,
    UUID,
    VERBS,
    FoundEntity,
    fields_of,
    free_name,
    key_of,
    key_types,
    merge,
    one_name,
    places_in,
    refined,
    singular,
    snake,
    text_of,
    types_in,
)
from devenv.init.key_places import named_key, skeleton
from devenv.init.names import bare
from devenv.init.survey import Survey
from devenv.init.tables import Found

# Names of functions that say nothing of what they write.
HANDLERS: Final = re.compile(
    r"^(?:(?:lambda_)?handler|main|run|execute|index|write|put|save|create|add|insert|store|update|send|log|record)$"
)
# The attributes by which people tell kinds apart, and words of a sort key that only say "the thing itself".
TYPED: Final = ("type", "entity", "entity_type", "item_type", "kind", "et", "edb_e")
ABOUT: Final = ("metadata", "meta", "info", "head", "header", "root", "detail", "details", "self", "data")
SEPARATOR: Final = re.compile(r"[#:|/]")
WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*(?=[^}\w-]|$)(?![^{]*\})")
# `$checkin_1#…` is ElectroDB's.
HEAD: Final = re.compile(r"\$\w+#|[A-Za-z][A-Za-z_-]*(?:[#:|/{]|$)")
NAMELESS: Final = re.compile(r"([A-Za-z]{2,})([#:|/_-])\{(id|uuid|guid)\}")
ConstantItems = Mapping[tuple[str, ...], Sequence[Mapping[str, str]]]


def find_entities(survey: Survey) -> tuple[FoundEntity, ...]:
    """The kinds of items that the code writes, by the literal parts of their key; then those that only seeds hold."""
    found: dict[tuple[str, ...], FoundEntity] = {}
    # What the application writes comes first: its names count.
    shapes = sorted((s for code in survey.code for s in code.shapes), key=lambda s: "seed" in s.function.file.lower())
    bare = {
        table.table
        for shape in shapes
        if (table := owner_of(shape, survey.tables))
        and not PLACE.sub("", shape.attributes[key_of(table)[0]].template or "")
    }
    coded = coded_keys(survey)
    items: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for shape in shapes:
        if (table := owner_of(shape, survey.tables)) is not None:
            items.setdefault(form_of(constants(shape), table), []).append(constants(shape))
    for shape in shapes:
        table = owner_of(shape, survey.tables)
        if table is None:
            continue
        hash_key = key_of(table)[0]
        templates = {name: key_template(shape.attributes, name) for name in key_of(table)}
        if not shape.function.name and not PLACE.search(templates[hash_key] or ""):
            # An item that a script spells out: its key is that of one item, not of a kind.
            templates = spelt_out(shape, table, coded, items)
        elif table.table in bare and not SEPARATOR.search(PLACE.sub("", templates[hash_key] or "")):
            templates[hash_key] = None  # `SKU-{i}` of a seed: others write any value.
        match = named_places(templates, hash_key)
        template = match.get(hash_key) or shape.attributes[hash_key].template
        mark = (table.table, *(PLACE.sub("", match.get(name, "")) for name in key_of(table)))
        where = f"{shape.function.file}:{shape.line}"
        literal = PLACE.sub("", template or "")
        called = HANDLERS.sub("", snake(shape.function.short))
        own = VERBS.sub("", called) or literal.strip("#:_-").lower() or table.table
        fields = fields_of(shape.attributes, match, key_of(table))
        if (known := found.get(mark)) is not None:
            own_places = PLACE.findall("".join(match.values()))
            other = {n: t for n, t in fields.items() if n not in own_places or n in shape.attributes}
            found[mark] = merge(known, other, where)
            continue
        label = LABEL.sub("_", kind_name(shape.attributes, match, key_of(table)) or own)
        label = free_name(label, {each.name for each in found.values()})
        kept = match if hash_key in match else {}
        found[mark] = FoundEntity(label, table.table, kept, fields, (where,), frozenset(shape.attributes))
    shared = [each.table for each in found.values()]
    kinds = [refined(each, survey, only=shared.count(each.table) == 1) for each in found.values()]
    kinds += seeded(survey, kinds)
    kinds += whole_tables(survey, kinds)
    # Two kinds in one table are told apart by their keys, or not at all.
    every = [each.table for each in kinds]
    return one_name(tuple(e for e in kinds if e.match or every.count(e.table) == 1))


def spelt_out(shape: Shape, table: Found, coded: Collection[str], items: ConstantItems) -> dict[str, str | None]:
    """The templates of the key of an item with constant values, with the code's own names for its places."""
    alike = items[form_of(constants(shape), table)]
    made: dict[str, str | None] = {}
    for name in key_of(table):
        text = named_key(name, alike, coded).template
        head, _, last = text.rpartition("#")
        if name == key_of(table)[0] and head and not PLACE.search(text):
            # `VESSEL#AUR`: the last part is a value, although it is in capitals.
            text = f"{head}#{{{LABEL.sub('_', head.rpartition('#')[2]).lower()}_id}}" if last else text
            same = {each for each in coded if PLACE.sub("{}", each) == PLACE.sub("{}", text)}
            text = same.pop() if len(same) == 1 else text
        made[name] = text
    return made


def constants(shape: Shape) -> dict[str, str]:
    """Attribute -> text of those that an item in the code spells out."""
    given = {name: each.template for name, each in shape.attributes.items()}
    return {name: text for name, text in given.items() if text is not None and not PLACE.search(text)}


def form_of(item: Mapping[str, Any], table: Found) -> tuple[str, ...]:
    """The table of an item and the skeletons of its key: what items of one kind have in common."""
    return (table.table, *(skeleton(text_of(item.get(name))) for name in key_of(table)))


def coded_keys(survey: Survey) -> set[str]:
    """The texts with places that the code makes keys of: `VEHICLE#{vehicleId}`."""
    texts = {text for code in survey.code for query in code.queries for text in query.key.values()}
    shapes = (shape for code in survey.code for shape in code.shapes)
    texts |= {each.template for shape in shapes for each in shape.attributes.values() if each.template}
    texts |= {text for code in survey.code for text in code.keys}
    return {text for text in texts if PLACE.search(text) and PLACE.sub("", text)}


def key_template(attributes: Mapping[str, Attribute], name: str) -> str | None:
    """The template of a key; of one that holds an id itself, that with a place for it."""
    template = attributes[name].template
    if template is None or PLACE.search(template) or not UUID.search(template):
        return template
    return named_key(name, [{n: a.template for n, a in attributes.items() if a.template is not None}]).template


def named_places(templates: Mapping[str, str | None], hash_key: str) -> dict[str, str]:
    """The templates of a key that have a literal part; a place called `id` is named after the word before it.

    A sort key counts only if it begins with a word, such as `ORDER#`: else it is a value, such as a time or an id.
    """
    found: dict[str, str] = {}
    for name, template in templates.items():
        literal = PLACE.sub("", template or "")
        if not template or not literal.strip("#:_-|/ ") or (name != hash_key and not HEAD.match(template)):
            continue
        used = {place for each in found.values() for place in PLACE.findall(each)}
        place = NAMELESS.search(template)
        better = f"{place[1].lower()}_{place[3]}" if place else ""
        if place and better not in used:
            template = template.replace(f"{{{place[3]}}}", f"{{{better}}}", 1)
        found[name] = template
    return found


def kind_name(attributes: Mapping[str, Attribute], match: Mapping[str, str], key: Sequence[str]) -> str | None:
    """The name of a kind by its constant `type`, or by the word its sort key begins with; None without these."""
    sort = match.get(key[1]) if len(key) > 1 else None
    if sort is None:
        return None
    called = [a.template for n, a in attributes.items() if snake(n).strip("_") in TYPED and a.template]
    if called and re.fullmatch(r"[A-Za-z][\w-]*", called[0]):
        return snake(called[0]).replace("-", "_")
    word = WORD.search(sort)
    outer = WORD.search(match.get(key[0], ""))
    name = word[0] if word else ""
    if outer and (not name or name.lower() in ABOUT or name == outer[0]):
        name = outer[0]
    return name.lower().replace("-", "_") or None


def seeded(survey: Survey, kinds: Sequence[FoundEntity]) -> Iterator[FoundEntity]:
    """The kinds of items of the seed files that no code was seen to write, if their keys have literal parts."""
    tables = {table.table: table for table in survey.tables}
    coded = coded_keys(survey)
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for table, item in survey.seeds.items:
        if any(each.table == table and places_in(each.match, item) is not None for each in kinds):
            continue
        groups.setdefault(form_of(item, tables[table]), []).append(item)
    names = {each.name for each in kinds}
    # Codes such as `HAM` are values where no key of the table has a separator.
    words = {table for table, *written in groups if any("#" in text for text in written)}
    alone = {table: table not in words for table, *_ in groups}
    for (table, *_), items in groups.items():
        key = key_of(tables[table])
        named = {name: named_key(name, items, coded) for name in key}
        match = named_places({name: each.template for name, each in named.items()}, key[0])
        if key[0] not in match or (alone[table] and "#" not in match[key[0]]):
            continue
        called = {n: Attribute("string", text_of(v)) for n, v in items[0].items()}
        name = LABEL.sub("_", kind_name(called, match, key) or (WORD.search(match[key[0]]) or [table])[0].lower())
        name = free_name(name, names)
        names.add(name)
        stored = frozenset(each for item in items for each in item)
        doubts = tuple(doubt for attribute, each in named.items() if attribute in match for doubt in each.doubts)
        yield FoundEntity(name, table, match, types_in(match, items), survey.seeds.files[:3], stored, doubts=doubts)


def whole_tables(survey: Survey, kinds: Sequence[FoundEntity]) -> Iterator[FoundEntity]:
    """The kind of each table that holds one only: seeds fill it or the code asks it, and no key has a word in it."""
    known = {each.table for each in kinds}
    names = {each.name for each in kinds}
    only = survey.tables[0].table if len(survey.tables) == 1 else None
    asked: dict[str | None, list[Query]] = {}
    for query in (query for code in survey.code for query in code.queries):
        asked.setdefault(query.table or only, []).append(query)
    for table in survey.tables:
        items = [item for name, item in survey.seeds.items if name == table.table]
        queries = asked.get(table.table, [])
        told = [q for q in queries if q.narrowed or any(PLACE.sub("", text) for text in q.key.values())]
        if table.table in known or told or not (items or queries):
            continue
        types = key_types(table)
        name = free_name(singular(LABEL.sub("_", snake(table.table).replace("-", "_"))), names)
        names.add(name)
        places = [f"{query.function.file}:{query.line}" for query in queries]
        seen = tuple(survey.seeds.files[:3] if items else dict.fromkeys(places))
        if not items:
            # Of what a program writes, a text of digits may be a number.
            made = [item for name, item in survey.written if name == table.table]
            digits = {name for item in made for name, text in item.items() if NUMBER.fullmatch(text)}
            items = [{n: t for n, t in item.items() if n not in digits} for item in made]
        stored = frozenset(each for item in items for each in item)
        yield FoundEntity(name, table.table, {}, {**types, **types_in({}, items)}, seen, stored)


def owner_of(shape: Shape, tables: Iterable[Found]) -> Found | None:
    """The table whose key an item has: the one that it is put into, else the first."""
    fitting = [table for table in tables if set(key_of(table)) <= set(shape.attributes)]
    if len(fitting) > 1 and shape.target:
        word = bare(re.sub(r"(?i)_?table$", "", shape.target))
        exact = [table for table in fitting if table.table == shape.target or bare(table.table) == word]
        like = exact or [table for table in fitting if word and bare(table.table).endswith(word)]
        fitting = like if len(like) == 1 else fitting
    return next(iter(fitting), None)
