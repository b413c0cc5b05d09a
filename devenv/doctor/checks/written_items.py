"""An item as the files of step seed have it: what its wrong id should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from devenv.doctor.checks.sources import contents
from devenv.doctor.checks.statements import literal, name
from devenv.doctor.context import DoctorFacts
from devenv.links.judge import Fault
from devenv.links.values import canonical
from devenv.stores.dynamodb.client import typed

ENDINGS: Final = (".json", ".jsonl", ".ndjson")


class WrittenId(msgspec.Struct, frozen=True):
    """The value of an attribute in a seed file's item, as DynamoDB writes it (`{"S": "x"}`); `key` is the item's."""

    file: str
    attribute: str
    value: dict[str, Any]
    table: str
    key: dict[str, Any]
    target: str

    @property
    def sentence(self) -> str:
        """Where the value stands, and that its row exists."""
        return (
            f"{self.file} has {self.attribute} = {literal(self.value)} for this item, and {self.target} has such a row:"
            f" write this value into the item; nothing else changes"
        )

    @property
    def statement(self) -> str:
        """The PartiQL that writes it into the item."""
        conditions = " AND ".join(f"{name(attribute)}={literal(value)}" for attribute, value in self.key.items())
        return f"UPDATE {name(self.table)} SET {name(self.attribute)}={literal(self.value)} WHERE {conditions}"  # noqa: S608 (all quoted, and only shown)


def written_value(facts: DoctorFacts, fault: Fault) -> WrittenId | None:
    """The id that a seed file's item with the same key has in place of a wrong one; None if no file or two have one.

    The file's value must refer to an existing row. The file's item may have no attribute that the stored one lacks: an
    item of another table with the same key mostly has one. A key attribute cannot be changed in an item.
    """
    record, edge = fault.record, fault.edge
    if record is None or edge is None or not record.key or edge.attribute in record.key:
        return None
    now, key = record.item.get(edge.attribute), dict(record.key)
    if now is None or set(now) - {"S", "N"}:
        return None
    rows = {canonical(row[edge.column]) for row in facts.postgres().rows.get(edge.relation, ())}
    found = dict[str, WrittenId]()
    for file, content in contents(facts):
        for item in written_items(content) if file.endswith(ENDINGS) else ():
            if any(as_stored(item.get(attribute)) != value for attribute, value in key.items()):
                continue
            if not item.keys() <= record.item.keys():
                continue
            value = as_stored(item.get(edge.attribute))
            ids = edge.ids({edge.attribute: value}) if value and not set(value) - {"S", "N"} and value != now else ()
            if value and ids and {canonical(id) for id in ids} <= rows:
                one = WrittenId(file, edge.attribute, value, record.table, key, ".".join(edge.relation))
                found.setdefault(literal(value), one)
    return next(iter(found.values())) if len(found) == 1 else None


def written_items(content: str) -> Iterator[dict[str, Any]]:
    """Every object in a file of JSON, or of one document per line, at any depth; what cannot be read is left out."""
    for text in (content, *content.splitlines()):
        try:
            waiting: list[Any] = [msgspec.json.decode(text)]
        except (msgspec.DecodeError, RecursionError):
            continue
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                yield one
            if isinstance(one, dict | list):
                waiting += one.values() if isinstance(one, dict) else one
        if text is content:
            return


def as_stored(value: Any) -> dict[str, Any] | None:
    """A value of a JSON file as DynamoDB writes it, whether the file already does so or not; None of no value."""
    if value is None:
        return None
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("S", "N"):
        return value
    return typed(value) if isinstance(value, str | int) and not isinstance(value, bool) else {"": value}
