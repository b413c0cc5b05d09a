"""The kinds of items that the code writes and the seeds contain, distinguished by their keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from devenv.config.schema import DECLARED_TYPES
from devenv.init.code import Attribute, Query, Shape
from devenv.init.names import bare
from devenv.init.survey import Survey
from devenv.init.tables import Found

MOST_NAMES: Final = 10_000
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PLACE: Final = re.compile(r"\{(\w+)\}")
VERBS: Final = re.compile(r"^(list|get|query|fetch|find|read|load|create|put|add|insert|new|save|make|write|send)_")
# Names of functions that say nothing of what they write.
HANDLERS: Final = re.compile(
    r"^(?:(?:lambda_)?handler|main|run|execute|index|write|put|save|create|add|insert|store|update|send|log|record)$"
)
ID_NAMES: Final = ("uuid", "id", "guid")
LABEL: Final = re.compile(r"[^A-Za-z0-9_.-]+")
# The attributes by which people tell kinds apart, and words of a sort key that only say "the thing itself".
TYPED: Final = ("type", "entity", "entity_type", "item_type", "kind", "et", "edb_e")
ABOUT: Final = ("metadata", "meta", "info", "head", "header", "root", "detail", "details", "self", "data")
SEPARATOR: Final = re.compile(r"[#:|/]")
WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*(?=[^}\w-]|$)(?![^{]*\})")
# `$checkin_1#…` is ElectroDB's.
HEAD: Final = re.compile(r"\$\w+#|[A-Za-z][A-Za-z_-]*(?:[#:|/{]|$)")
NAMELESS: Final = re.compile(r"([A-Za-z]{2,})([#:|/_-])\{(id|uuid|guid)\}")
# The parts of a key between `#`, those of `${table[column=value].column}` whole; a part in capitals is a word.
SEPARATED: Final = re.compile(r"(?:\$\{[^}]*\}|[^#])+")
LITERAL: Final = re.compile(r"[A-Z][A-Z_-]*")
NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
TIME: Final = re.compile(r"\d{4}-\d\d(?:-\d\d)?")
TEXTS: Final = ("string", "uuid", "time")
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


@dataclass(frozen=True)
class FoundEntity:
    """One kind of items: its fields with their types, the fields that a template holds, and where it was seen.

    `stored` are the attributes that its items have, without the places of their keys. `heads`: attribute -> the words
    that its values begin with, "" for one that begins with a value: `INSPECTION#` of `INSPECTION#{at}`.
    """

    name: str
    table: str
    match: Mapping[str, str]
    attributes: Mapping[str, str]
    seen: tuple[str, ...]
    stored: frozenset[str] = frozenset()
    heads: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def place(self, attribute: str) -> str | None:
        """The field in the template of an attribute."""
        found = PLACE.findall(self.match.get(attribute, ""))
        return found[0] if found else None


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or `name_2`, `name_3` … where it is taken."""
    return next(each for each in (name, *(f"{name}_{n}" for n in range(2, MOST_NAMES))) if each not in taken)


def snake(name: str) -> str:
    """`messageGroupId` as `message_group_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


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
    for shape in shapes:
        table = owner_of(shape, survey.tables)
        if table is None:
            continue
        hash_key = key_of(table)[0]
        templates = {name: key_template(shape.attributes, name) for name in key_of(table)}
        if not shape.function.name and not PLACE.search(templates[hash_key] or ""):
            # An item that a script spells out: its key is that of one item, not of a kind.
            templates = spelt_out(shape, table, survey)
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


def spelt_out(shape: Shape, table: Found, survey: Survey) -> dict[str, str | None]:
    """The templates of the key of an item with constant values, with the code's own names for its places."""
    values = {name: each.template for name, each in shape.attributes.items()}
    made = {name: seed_template(values[name], values, name) for name in key_of(table)}
    asked = {text for code in survey.code for query in code.queries for text in query.key.values()}
    for name, text in made.items():
        head, _, last = text.rpartition("#")
        if name == key_of(table)[0] and head and not PLACE.search(text):
            # `VESSEL#AUR`: the last part is a value, although it is in capitals.
            made[name] = text = f"{head}#{{{LABEL.sub('_', head.rpartition('#')[2]).lower()}_id}}" if last else text
        same = {each for each in asked if PLACE.sub("{}", each) == PLACE.sub("{}", text)}
        made[name] = same.pop() if len(same) == 1 else text
    return {**made}


def one_name(kinds: Sequence[FoundEntity]) -> tuple[FoundEntity, ...]:
    """The kinds, with one name for the place of a hash key that several have: the first that the code gives it."""
    names: dict[tuple[str, str], str] = {}
    made = []
    for entity in kinds:
        attribute, template = next(iter(entity.match.items()), ("", ""))
        places = PLACE.findall(template)
        if len(places) == 1:
            (place,) = places
            name = names.setdefault((entity.table, PLACE.sub("{}", template)), place)
            if name != place and name not in entity.attributes and place not in entity.stored:
                types = {name if field == place else field: kind for field, kind in entity.attributes.items()}
                match = {**entity.match, attribute: template.replace(f"{{{place}}}", f"{{{name}}}")}
                entity = replace(entity, match=match, attributes=types)
        made.append(entity)
    return tuple(made)


def key_template(attributes: Mapping[str, Attribute], name: str) -> str | None:
    """The template of a key; of one that holds an id itself, that with a place for it."""
    template = attributes[name].template
    if template is None or PLACE.search(template) or not UUID.search(template):
        return template
    return seed_template(template, {n: a.template for n, a in attributes.items()}, name)


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


def refined(entity: FoundEntity, survey: Survey, *, only: bool = False) -> FoundEntity:
    """An entity with the types that its items in the seeds have, without attributes of an unknown type.

    A type of the code gives way to that of the seeds, and for a key to that of its table: those are what is stored.
    `only`: no other kind is in its table.
    """
    alone = bool(entity.match) or only
    table = [item for table, item in survey.seeds.items if table == entity.table and alone]
    items = [item for item in table if places_in(entity.match, item) is not None]
    seen = types_in(entity.match, items)
    types: dict[str, str] = {}
    for name, given in entity.attributes.items():
        known = seen.get(name, "")
        plain = known.rstrip("?")
        unsure = given.rstrip("?") in ("", "string") or (plain in TEXTS) != (given.rstrip("?") in TEXTS)
        best = known if unsure and known else given
        lacking = given.endswith("?") or (bool(items) and not known) or known.endswith("?")
        if best.rstrip("?"):
            types[name] = best.rstrip("?") + ("?" if lacking else "")
    for name, texts in written_texts(entity, survey).items():
        # By its name a time, by its values another text.
        if types.get(name, "").startswith("time") and not all(MOMENT.match(text) for text in texts):
            types[name] = types[name].replace("time", "string")
        # The expression does not tell its type, its values do: all are texts.
        elif name in entity.attributes and name not in types and not any(NUMBER.fullmatch(text) for text in texts):
            kinds = {type_of_text(text) for text in texts}
            types[name] = kinds.pop() if len(kinds) == 1 else "string"
    # The expression of a key's attribute may not tell its type; its table does.
    own = next((key_types(table, indexes=True) for table in survey.tables if table.table == entity.table), {})
    types |= {
        name: kind + ("?" if entity.attributes[name].endswith("?") else "")
        for name, kind in own.items()
        if name in entity.attributes and (name not in types or (kind in TEXTS) != (types[name].rstrip("?") in TEXTS))
    }
    more = {name: kind.rstrip("?") + "?" for name, kind in seen.items() if name not in entity.attributes}
    return replace(entity, attributes={**types, **more})


def written_texts(entity: FoundEntity, survey: Survey) -> dict[str, set[str]]:
    """Field -> the texts that it has in the items which programs write."""
    found: dict[str, set[str]] = {}
    for table, item in survey.written:
        places = places_in(entity.match, item) if table == entity.table else None
        for name, text in {**item, **(places or {})}.items() if places is not None else ():
            found.setdefault(name, set()).add(text)
    return found


def seeded(survey: Survey, kinds: Sequence[FoundEntity]) -> Iterator[FoundEntity]:
    """The kinds of items of the seed files that no code was seen to write, if their keys have literal parts."""
    tables = {table.table: key_of(table) for table in survey.tables}
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for table, item in survey.seeds.items:
        if any(each.table == table and places_in(each.match, item) is not None for each in kinds):
            continue
        templates = tuple(seed_template(text_of(item.get(name)), item, name) for name in tables[table])
        groups.setdefault((table, *templates), []).append(item)
    names = {each.name for each in kinds}
    # Codes such as `HAM` are values where no key of the table has a separator.
    words = {table for table, *written in groups if any("#" in text for text in written)}
    alone = {table: table not in words for table, *_ in groups}
    for (table, *written), items in groups.items():
        key = tables[table]
        match = named_places(dict(zip(key, written, strict=True)), key[0])
        if key[0] not in match or (alone[table] and "#" not in match[key[0]]):
            continue
        match = coded_places(match, items, table, survey)
        called = {n: Attribute("string", text_of(v)) for n, v in items[0].items()}
        name = LABEL.sub("_", kind_name(called, match, key) or (WORD.search(match[key[0]]) or [table])[0].lower())
        name = free_name(name, names)
        names.add(name)
        stored = frozenset(each for item in items for each in item)
        yield FoundEntity(name, table, match, types_in(match, items), survey.seeds.files[:3], stored)


def coded_places(
    match: Mapping[str, str], items: Sequence[Mapping[str, Any]], table: str, survey: Survey
) -> dict[str, str]:
    """The templates of a key with the code's own names for places that no attribute of the items is called after."""
    asked = [query.key for code in survey.code for query in code.queries if query.table in (table, None)]
    stored = {name for item in items for name in item}
    made = {}
    for name, template in match.items():
        same = {key[name] for key in asked if PLACE.sub("{}", key.get(name, "")) == PLACE.sub("{}", template)}
        own = stored & set(PLACE.findall(template))
        made[name] = same.pop() if len(same) == 1 and not own else template
    return made


def key_types(table: Found, *, indexes: bool = False) -> dict[str, str]:
    """Attribute -> type of a table's key, and of those of its indexes."""
    declared = {str(p["AttributeName"]): str(p["AttributeType"]) for p in table.request["AttributeDefinitions"]}
    names = declared if indexes else key_of(table)
    return {name: DECLARED_TYPES.get(declared.get(name, "S"), "string") for name in names}


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


def seed_template(text: str | None, item: Mapping[str, Any], key: str) -> str:
    """The template of a key's text in a seed: `ORDER#{order_id}` of `ORDER#7f3a…`; words in capitals are literal."""
    parts = SEPARATED.findall(text or "")
    others = {text_of(value): name for name, value in item.items() if name != key}
    made: list[str] = []
    word, used = "", set()
    for part in parts:
        if LITERAL.fullmatch(part):
            made.append(part)
            word = part.lower().replace("-", "_")
            continue
        name = others.get(part) or (f"{word}_at" if TIME.match(part) else f"{word}_id" if word else "value")
        name = name if re.fullmatch(r"\w+", name) and name not in ID_NAMES else f"{word}_id" if word else "value"
        while name in used:
            name += "_2"
        used.add(name)
        made.append(f"{{{name}}}")
    return "#".join(made)


def places_in(match: Mapping[str, str], item: Mapping[str, Any]) -> dict[str, str] | None:
    """Place -> text of an item whose keys have these templates; None for an item that has not."""
    found: dict[str, str] = {}
    for name, template in match.items():
        parts = PLACE.split(template)
        pattern = "".join(re.escape(part) if at % 2 == 0 else "(.+?)" for at, part in enumerate(parts))
        one = re.fullmatch(pattern, text_of(item.get(name)) or "")
        if one is None:
            return None
        found |= dict(zip(PLACE.findall(template), one.groups(), strict=True))
    return found


def types_in(match: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Field -> type of items: the places of their keys, then their attributes; `?`: not every item has it."""
    values: dict[str, list[str]] = {}
    for item in items:
        for name, text in (places_in(match, item) or {}).items():
            values.setdefault(name, []).append(type_of_text(text))
        for name, value in item.items():
            if (
                value is not None
                and value != {"NULL": True}
                and name not in match
                and name not in PLACE.findall("".join(match.values()))
            ):
                values.setdefault(name, []).append(type_of_value(value))
    found = {}
    for name, types in values.items():
        if len(set(types)) == 1 or set(types) <= {"string", "uuid", "time"}:
            found[name] = (types[0] if len(set(types)) == 1 else "string") + ("?" if len(types) < len(items) else "")
    return found


def text_of(value: Any) -> str | None:
    """The text or number of an attribute in either form."""
    if isinstance(value, Mapping):
        value = value.get("S", value.get("N"))
    return str(value) if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) else None


def type_of_value(value: Any) -> str:
    """The type of an attribute of a seed, in DynamoDB's own form or a plain one."""
    if isinstance(value, Mapping) and len(value) == 1 and (kind := next(iter(value))) in DECLARED_TYPES:
        return type_of_text(str(value["S"])) if kind == "S" else DECLARED_TYPES[kind]
    match value:
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case list():
            return "list"
        case Mapping():
            return "map"
    return type_of_text(str(value))


def type_of_text(text: str) -> str:
    """A text's type: a uuid (one that a row gives, too), a time, or any text."""
    if UUID.fullmatch(text) or re.fullmatch(r"\$\{[^}]*\.(uuid)\}", text):
        return "uuid"
    return "time" if MOMENT.match(text) else "string"


def owner_of(shape: Shape, tables: Iterable[Found]) -> Found | None:
    """The table whose key an item has: the one that it is put into, else the first."""
    fitting = [table for table in tables if set(key_of(table)) <= set(shape.attributes)]
    if len(fitting) > 1 and shape.target:
        word = bare(re.sub(r"(?i)_?table$", "", shape.target))
        exact = [table for table in fitting if table.table == shape.target or bare(table.table) == word]
        like = exact or [table for table in fitting if word and bare(table.table).endswith(word)]
        fitting = like if len(like) == 1 else fitting
    return next(iter(fitting), None)


def key_of(table: Found) -> tuple[str, ...]:
    """The key attributes, the hash key first."""
    parts = sorted(table.request["KeySchema"], key=lambda part: str(part["KeyType"]) != "HASH")
    return tuple(str(part["AttributeName"]) for part in parts)


def fields_of(attributes: Mapping[str, Attribute], match: Mapping[str, str], key: Sequence[str]) -> dict[str, str]:
    """Field -> type: what stands in the key's templates, then the attributes."""
    places = [place for name in key if name in match for place in PLACE.findall(match[name])]
    fields = {place: "uuid" if place.endswith("uuid") else "string" for place in places}
    for name, attribute in attributes.items():
        if name not in match or not PLACE.search(match[name]):
            if name in key[1:] and name in match:
                continue
            fields.setdefault(name, attribute.type)
    return fields


def merge(entity: FoundEntity, fields: Mapping[str, str], where: str) -> FoundEntity:
    """The same kind, seen once more: what is not always there is optional. The first names of places stay."""
    places = {place for text in entity.match.values() for place in PLACE.findall(text)}
    known = {n: t if n in places or n in fields else t.rstrip("?") + "?" for n, t in entity.attributes.items()}
    more = {n: t + "?" for n, t in fields.items() if n not in known and len(known) > len(places) and n not in places}
    kept = more if not places else {n: t for n, t in more.items() if not n.startswith(("my_", "other_"))}
    return replace(entity, attributes={**known, **kept}, seen=(*entity.seen, where))


def own_id(entity: FoundEntity) -> str | None:
    """The attribute that is the item's own id: called after the entity."""
    names = [f"{each}_{suffix}" for each in (entity.name, singular(entity.name)) for suffix in ID_NAMES]
    own = {snake(each): each for each in entity.attributes if each not in places_of(entity)}
    if len(entity.match) > 1:
        # Its sort key has a word of its own: `ORDER#{order_id}`, beside which `id` is the same.
        last = PLACE.findall([*entity.match.values()][-1])
        own |= {snake(place): place for place in last}
        names += [name for name in ID_NAMES if name in own] + [snake(place) for place in last[-1:]]
    return next((own[name] for name in names if name in own), None)


def typed_by_links(entities: Iterable[FoundEntity], ids: Mapping[str, str]) -> tuple[FoundEntity, ...]:
    """The entities, in which a text that a link reads as an id of a uuid column is a uuid.

    `ids` maps the sources of links, as `orders.pk[USER#{}]` or `orders.user_id`, to the type of their column.
    """
    made = []
    for entity in entities:
        types = dict(entity.attributes)
        for name, kind in entity.attributes.items():
            parts = [f"{a}[{PLACE.sub('{}', t)}]" for a, t in entity.match.items() if PLACE.findall(t) == [name]]
            if kind.rstrip("?") == "string" and any(
                ids.get(f"{entity.table}.{source}") == "uuid" for source in (name, *parts)
            ):
                types[name] = kind.replace("string", "uuid")
        made.append(replace(entity, attributes=types))
    return tuple(made)


def places_of(entity: FoundEntity) -> set[str]:
    """The fields that stand in the entity's key."""
    return {place for text in entity.match.values() for place in PLACE.findall(text)}


def singular(name: str) -> str:
    """`users` -> `user`, `companies` -> `company`."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "us", "is")) else name
