"""Which index would serve a pattern, and whether it can be added online. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from devenv.patterns.seen import SeenPattern, TableSeen
from devenv.stores.dynamodb.key_schema import Place


def serving(access: SeenPattern, places: Sequence[Place]) -> Place | None:
    """A place of the same table that serves the pattern as it is; None when there is none."""
    wanted = set(access.pattern.key)
    for place in places:
        if place.hash in wanted and wanted <= set(place.keys) and (place.sort or not access.pattern.sort):
            return place
    return None


def keys_for(access: SeenPattern, place: Place) -> tuple[str, str | None]:
    """Partition key and sort key of an index that would serve the pattern."""
    given = list(access.pattern.key)
    if not given:
        return "", None
    partition = place.hash if place.hash in given else given[0]
    others = [name for name in given if name != partition]
    wants_order = bool(access.pattern.sort or access.pattern.order)
    sort = "#".join(others) if others else place.sort if wants_order and place.sort != partition else None
    return partition, sort


def index_for(access: SeenPattern, table: TableSeen, places: Sequence[Place]) -> str:
    """The index that would serve the pattern.

    An index that is there, one that can be added online, or only a new table.
    """
    place = access.place
    if place is None:
        return "name an existing table or index"
    there = serving(access, places)
    if there is not None and there != place:
        return (
            f'{there.name} serves it: write index = "{there.index}"'
            if there.index
            else "the table itself serves it: leave index out"
        )
    partition, sort = keys_for(access, place)
    if not partition:
        return (
            "give the partition key in `key`; to read all items of a kind, write a constant partition key on those "
            "items and add a global index on it (it can be added online)"
        )
    both = f"({partition}{f', {sort}' if sort else ''})"
    if access.pattern.consistent:
        what = f"a table with the key {both}"
        if partition == places[0].hash:
            what = f"a local index {both}"
        return f"{what} would serve it, but needs a new table; a global index cannot be read consistently"
    composed = f"; {sort} is a new attribute that joins {' and '.join(sort.split('#'))}" if sort and "#" in sort else ""
    local = ", or as a local index, which needs a new table" if partition == places[0].hash and sort is not None else ""
    example = definition(partition, sort, table)
    return (
        f"add a global index {both}; it can be added online{local}{composed}: put {example} into the table's "
        "definition, under GlobalSecondaryIndexes"
    )


def definition(partition: str, sort: str | None, table: TableSeen) -> str:
    """The index as a definition of the table takes it, with the types of its attributes."""
    schema = [{"AttributeName": partition, "KeyType": "HASH"}]
    if sort:
        schema.append({"AttributeName": sort, "KeyType": "RANGE"})
    body: dict[str, Any] = {
        "IndexName": "-".join([partition, *([sort.replace("#", "-")] if sort else []), "index"]),
        "KeySchema": schema,
        "Projection": {"ProjectionType": "ALL"},
    }
    types = " ".join(f"{each['AttributeName']} {type_of(each['AttributeName'], table)}" for each in schema)
    return f"{json.dumps(body)} (types: {types})"


def type_of(attribute: str, table: TableSeen) -> str:
    """The type that an attribute mostly has; S when no item has it."""
    known = table.places[0].types if table.places else {}
    if attribute in known:
        return known[attribute]
    kinds = Counter(next(iter(item[attribute])) for item in table.items if attribute in item)
    return kinds.most_common(1)[0][0] if kinds else "S"


def command_for(access: SeenPattern, places: Sequence[Place]) -> str | None:
    """The command behind the advice: `devenv up` adds a declared index to a table that is there."""
    return None if serving(access, places) is not None or access.pattern.consistent else "devenv up"


def sorted_index(place: Place, table: TableSeen) -> str:
    """An example of an index with a sort key, by an attribute of the items that looks like a time or a number."""
    for name in dict.fromkeys(name for item in table.items[:50] for name in item):
        if name not in place.keys and any(word in name.lower() for word in ("time", "date", "at", "created", "year")):
            return f": {definition(place.hash, name, table)}"
    return ""
