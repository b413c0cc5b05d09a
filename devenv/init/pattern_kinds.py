"""The kinds of items that an access pattern returns, which of them a trace follows, and their order. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from devenv.init.code import Code, Query
from devenv.init.entities import PLACE, FoundEntity, text_of
from devenv.init.propose import BARE_PLACE, KEY_WORD, FoundPattern
from devenv.init.tables import Found


def numbers_of(pattern: FoundPattern, tables: Iterable[Found]) -> dict[str, str]:
    """Parameter -> `number` of those that are, as they stand, the value of a number in the key."""
    given = next((t.request["AttributeDefinitions"] for t in tables if t.table == pattern.query.table), ())
    kinds = {str(each["AttributeName"]): str(each["AttributeType"]) for each in given}
    whole = ((attribute, PLACE.fullmatch(template)) for attribute, template in pattern.key.items())
    return {found[1]: "number" for attribute, found in whole if found and kinds.get(attribute) == "N"}


def brought_by(pattern: FoundPattern, entities: Iterable[FoundEntity]) -> list[FoundEntity]:
    """The kinds of items under a pattern's key, those that its sort condition leaves."""
    found = []
    for entity in entities:
        templates = {name: PLACE.sub("{}", text) for name, text in entity.match.items()}
        asked = {name: re.sub(r"\{[\w.]+\}", "{}", text) for name, text in pattern.key.items()}
        same = all(templates.get(name) == text for name, text in asked.items())
        sort = entity.match.get(pattern.query.narrowed or "", "")
        fits = sort.startswith(pattern.begins) and not excludes(pattern.query, entity)
        if entity.table == pattern.query.table and same and fits:
            found.append(entity)
    return found


def excludes(query: Query, entity: FoundEntity) -> bool:
    """Return True if the query's begins_with leaves none of an entity's items: their sort keys begin otherwise."""
    wanted = PLACE.split(query.begins)[0]
    name = query.narrowed or ""
    if name not in entity.match and (heads := entity.heads.get(name)):
        return not any(wanted.startswith(head) or head.startswith(wanted) for head in heads)
    own = PLACE.split(entity.match.get(name, ""))[0]
    if not own:
        # A value such as a time or an id does not begin with `ORDER#`.
        return entity.attributes.get(name) in ("time", "uuid") and KEY_WORD.match(wanted) is not None
    return not (wanted.startswith(own) or own.startswith(wanted))


def with_heads(
    entities: Iterable[FoundEntity], code: Iterable[Code], items: Iterable[tuple[str, Mapping[str, Any]]]
) -> tuple[FoundEntity, ...]:
    """The entities with the words that the values of each attribute begin with, in the code and in the seeds."""
    shapes = {f"{shape.function.file}:{shape.line}": shape for each in code for shape in each.shapes}
    items = tuple(items)
    made = []
    for entity in entities:
        heads: dict[str, set[str]] = {}
        for shape in (shapes[seen] for seen in entity.seen if seen in shapes):
            for name, each in shape.attributes.items():
                heads.setdefault(name, set()).add(PLACE.split(each.template or "")[0])
        for table, item in items:
            if table == entity.table and entity.match and fits(entity, item):
                for name, value in item.items():
                    heads.setdefault(name, set()).add(text_of(value) or "")
        made.append(replace(entity, heads={name: frozenset(words) for name, words in heads.items()}))
    return tuple(made)


def fits(entity: FoundEntity, item: Mapping[str, Any]) -> bool:
    """Return True for an item whose key is one of an entity's."""
    return all(
        re.fullmatch("(.+)".join(map(re.escape, PLACE.split(text)[::2])), text_of(item.get(name)) or "")
        for name, text in entity.match.items()
    )


def order_of(pattern: FoundPattern, entities: Iterable[FoundEntity]) -> str:
    """`newest first` where the sort key is a time, else `descending`."""
    timely = any("time" in kind for e in entities if e.table == pattern.query.table for kind in e.attributes.values())
    names = ("newest first", "oldest first") if timely else ("descending", "ascending")
    return names[0] if pattern.query.forward is False else names[1]


def thing_of(pattern: FoundPattern, entities: Sequence[FoundEntity]) -> tuple[FoundEntity, dict[str, str]] | None:
    """The entity of one item by its whole key, and which of its items it is; None unless it is the only such kind."""
    kinds = brought_by(pattern, entities)
    here = [each for each in entities if each.table == pattern.query.table]
    if len(here) == 1 and not here[0].match and all(map(BARE_PLACE.fullmatch, pattern.key.values())):
        # A table of one kind, whose key has no word in it.
        return here[0], dict(pattern.key)
    if len(kinds) != 1:
        return None
    (entity,) = kinds
    places = {name: PLACE.findall(text) for name, text in entity.match.items()}
    given = {name: re.findall(r"\{[\w.]+\}", text) for name, text in pattern.key.items()}
    where = {own: text for name in places for own, text in zip(places[name], given.get(name, ()), strict=False)}
    return (entity, where) if where and places.keys() == given.keys() else None


def traced_entity(pattern: FoundPattern, entities: Iterable[FoundEntity]) -> tuple[FoundEntity, dict[str, str]] | None:
    """The entity that a pattern's answer consists of, and which of its items: those with the same key.

    Of a key without a literal part, and of an index, it is the one kind of items that has the attribute.
    """
    here = [e for e in entities if e.table == pattern.query.table and not excludes(pattern.query, e)]
    kinds = brought_by(pattern, here)
    if len(kinds) > 1 and len(kinds[0].match) > 1:
        return None
    narrowing = {name: f"{{{name}}}" for name in PLACE.findall(pattern.begins)}
    if pattern.begins and not pattern.query.index:
        here = [each for each in here if each in kinds]
    if not pattern.query.index:
        for entity in here:
            for attribute, template in entity.match.items():
                given = pattern.key.get(attribute, "")
                inner = re.search(r"\{[\w.]+\}", given)
                same = re.sub(r"\{[\w.]+\}", "{}", given) == PLACE.sub("{}", template)
                if same and inner and len(PLACE.findall(template)) == 1:
                    return entity, {str(entity.place(attribute)): inner[0], **narrowing}
    attribute, template = next(iter(pattern.key.items()))
    having = [each for each in here if attribute in each.attributes and attribute not in each.match]
    bare = BARE_PLACE.fullmatch(template) or (pattern.query.index and re.search(r"\{[\w.]+\}", template))
    if len(having) == 1 and bare and len(pattern.key) == 1:
        return having[0], {attribute: template}
    return None
