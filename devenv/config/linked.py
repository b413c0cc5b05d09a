"""Fields of an answer that come from linked rows: `borrower_name = "borrower.full_name"`. See references.py."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from devenv.config.places import Keys
from devenv.config.schema import Entity, Settings
from devenv.core.late import late

if TYPE_CHECKING:
    from devenv.config.references import Mistake

PLACE: Final = late(r"\{\w*\}")
COLUMN: Final = late(r"[^.\s]+")


def split_linked(target: str, own: Container[str]) -> tuple[str, str] | None:
    """`borrower.full_name` as (attribute, column); None for a field of the item itself. `own` are its fields."""
    if "." not in target or target in own:
        return None
    attribute, _, column = target.rpartition(".")
    return attribute, column


def linked_names(settings: Settings, entity: Entity) -> list[str]:
    """The attributes and fields of an entity from which a link leads to a row."""
    from devenv.config.references import SOURCE

    found: dict[str, None] = {}
    for link in settings.links:
        source = SOURCE.fullmatch(link.source)
        if source is None or source["table"] != entity.table:
            continue
        text, template = entity.match.get(source["attribute"], ""), source["template"] or "{}"
        if text and PLACE.sub("{}", text) == PLACE.sub("{}", template):
            found.update(dict.fromkeys(re.findall(r"\{(\w+)\}", text)[:1]))
        found[source["attribute"]] = None
    return list(found)


def of_answer_fields(
    settings: Settings, place: Keys, name: str, own: set[str], fields: Mapping[str, str]
) -> Iterator[Mistake]:
    """The fields of one kind of entries: of the item, or `<attribute>.<column>` of the row that a link leads to."""
    from devenv.config.references import Mistake, nearest

    entity = settings.entities[name]
    for target in fields.values():
        parts = split_linked(target, own)
        if parts is None:
            if target not in own and (near := nearest(target, own)):
                yield Mistake((*place, "fields"), f"[entities.{name}] has no field `{target}`", near)
            continue
        attribute, column = parts
        known = linked_names(settings, entity)
        if not attribute or COLUMN.fullmatch(column) is None:
            yield Mistake((*place, "fields"), f"`{target}` is not `<attribute>.<column>`, such as `borrower.full_name`")
        elif attribute not in known:
            near = nearest(attribute, known)
            listed = ", ".join(f"`{each}`" for each in known)
            has = f"; links lead from {listed}" if known else f"; there is no link of table `{entity.table}`"
            text = f"`{target}`: no [[links]] leads from `{attribute}` to a row{'' if near else has}"
            yield Mistake((*place, "fields"), text, f"{near}.{column}" if near else None)
