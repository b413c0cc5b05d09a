"""The kinds of items that the code writes and the seeds contain, distinguished by their keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from devenv.config.schema import DECLARED_TYPES
from devenv.init.code import Attribute
from devenv.init.survey import Survey
from devenv.init.tables import Found

MOST_NAMES: Final = 10_000
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PLACE: Final = re.compile(r"\{(\w+)\}")
VERBS: Final = re.compile(r"^(list|get|query|fetch|find|read|load|create|put|add|insert|new|save|make|write|send)_")
ID_NAMES: Final = ("uuid", "id", "guid")
LABEL: Final = re.compile(r"[^A-Za-z0-9_.-]+")
NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
TEXTS: Final = ("string", "uuid", "time")
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


@dataclass(frozen=True)
class FoundEntity:
    """One kind of items: its fields with their types, the fields that a template holds, and where it was seen.

    `stored` are the attributes that its items have, without the places of their keys. `heads`: attribute -> the words
    that its values begin with, "" for one that begins with a value: `INSPECTION#` of `INSPECTION#{at}`.
    `doubts` are sentences about places of its key that nothing names.
    """

    name: str
    table: str
    match: Mapping[str, str]
    attributes: Mapping[str, str]
    seen: tuple[str, ...]
    stored: frozenset[str] = frozenset()
    heads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

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


def key_types(table: Found, *, indexes: bool = False) -> dict[str, str]:
    """Attribute -> type of a table's key, and of those of its indexes."""
    declared = {str(p["AttributeName"]): str(p["AttributeType"]) for p in table.request["AttributeDefinitions"]}
    names = declared if indexes else key_of(table)
    return {name: DECLARED_TYPES.get(declared.get(name, "S"), "string") for name in names}


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
