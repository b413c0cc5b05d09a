"""Where items can be read by a key: a table and its indexes, from a CreateTable request or a description. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

Item = Mapping[str, Mapping[str, Any]]


class Place(msgspec.Struct, frozen=True):
    """A table or one of its indexes. `hash` is the partition key, `sort` the sort key if there is one.

    `types` are those of the key attributes (S, N, B), `projected` the attributes that an index holds (None: all).
    `reads` and `writes` are provisioned capacity (None: on demand, or not known).
    """

    table: str
    index: str | None
    kind: Literal["table", "global", "local"]
    hash: str
    sort: str | None = None
    types: Mapping[str, str] = {}
    projected: frozenset[str] | None = None
    reads: int | None = None
    writes: int | None = None

    @property
    def name(self) -> str:
        """`table orders`, or `index by-day of orders`."""
        return f"index {self.index} of {self.table}" if self.index else f"table {self.table}"

    @property
    def subject(self) -> str:
        """`orders`, or `orders/by-day`, for reports."""
        return f"{self.table}/{self.index}" if self.index else self.table

    @property
    def keys(self) -> tuple[str, ...]:
        """The key attributes, the partition key first."""
        return (self.hash,) if self.sort is None else (self.hash, self.sort)

    def holds(self, item: Item) -> bool:
        """Return True if an item is in it.

        An index leaves out what lacks one of its keys, or has it in another type.
        """
        return all(name in item and self.types.get(name, "") in item[name] for name in self.keys)

    def entry(self, item: Item) -> Item:
        """An item as it lies here."""
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}

    def lacks(self, attributes: Iterable[str]) -> list[str]:
        """Those of the attributes that are not here."""
        return [] if self.projected is None else [each for each in attributes if each not in self.projected]


def places_of(table: Mapping[str, Any]) -> tuple[Place, ...]:
    """The table and its indexes; the table first, then the global ones."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", ())}
    name = str(table["TableName"])
    own = keys_of(table)
    found = [Place(name, None, "table", own[0], own[1], types, None, *capacity(table))]
    for kind, key in (("global", "GlobalSecondaryIndexes"), ("local", "LocalSecondaryIndexes")):
        for index in table.get(key, ()):
            hash_key, sort_key = keys_of(index)
            held = projection(index, [*own, hash_key, sort_key])
            throughput = capacity(index) if kind == "global" else (None, None)
            found.append(
                Place(name, str(index["IndexName"]), kind, hash_key, sort_key, types, held, *throughput)  # type: ignore[arg-type]
            )
    return tuple(found)


def place_of(table: Mapping[str, Any] | None, index: str | None) -> Place | None:
    """The table itself, or its index of this name; None when there is none."""
    if table is None:
        return None
    return next((place for place in places_of(table) if place.index == index), None)


def keys_of(part: Mapping[str, Any]) -> tuple[str, str | None]:
    """Partition key and sort key of a table or an index."""
    by_type = {str(key["KeyType"]): str(key["AttributeName"]) for key in part.get("KeySchema", ())}
    return by_type.get("HASH", ""), by_type.get("RANGE")


def projection(index: Mapping[str, Any], keys: Iterable[str | None]) -> frozenset[str] | None:
    """The attributes that an index holds: all (None), or the keys of both and those named."""
    given = index.get("Projection") or {}
    if given.get("ProjectionType", "ALL") == "ALL":
        return None
    return frozenset([*filter(None, keys), *given.get("NonKeyAttributes", ())])


def capacity(part: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Provisioned read and write capacity; None for what is on demand (there it is 0, or not said)."""
    given = part.get("ProvisionedThroughput") or {}
    return given.get("ReadCapacityUnits") or None, given.get("WriteCapacityUnits") or None


def table_keys(table: Mapping[str, Any]) -> tuple[str, ...]:
    """The key attributes of a CreateTable request or a table description, the hash key first."""
    keys = sorted(table.get("KeySchema", ()), key=lambda key: str(key["KeyType"]) != "HASH")
    return tuple(str(key["AttributeName"]) for key in keys)
