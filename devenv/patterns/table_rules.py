"""The rules about tables, their indexes and the data in them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from devenv.core.late import late
from devenv.core.model import Outcome
from devenv.core.plural import number_of
from devenv.links.values import scalar_text
from devenv.patterns.order import Inversion, find_inversion
from devenv.patterns.rule import kilobytes, problem
from devenv.patterns.seen import Observed, TableSeen
from devenv.stores.dynamodb.capacity import COLLECTION_LIMIT, ITEM_LIMIT, PARTITION_READS, PARTITION_WRITES, item_bytes
from devenv.stores.dynamodb.key_schema import Place, keys_of

# Below these numbers the data is too little to say how it is spread.
HOT_ITEMS: Final = 500
HOT_SHARE: Final = 0.5
HOT_TIMES: Final = 20
SPREAD_ITEMS: Final = 100
SPREAD_VALUES: Final = 10
SHORT: Final = 3
NEAR: Final = 0.8
LOCAL_INDEXES: Final = 5
GLOBAL_INDEXES: Final = 20
PROJECTED: Final = 100
DATE: Final = late(r"(?:.*#)?\d{4}-\d\d(?:-\d\d)?")
MANY_DATES: Final = 20


def find_unused(seen: Observed) -> Iterator[Outcome]:
    """PAT006: an index that no pattern reads."""
    for table in seen.tables.values():
        for place in table.places:
            if (
                place.index
                and not seen.of(place)
                and any(a.pattern.table == table.name for a in seen.accesses.values())
            ):
                how = (
                    "delete it (a global index can be deleted online)"
                    if place.kind == "global"
                    else "a local index can only be deleted with its table: omit it when you recreate the table"
                )
                yield problem(
                    place.subject,
                    f"no declared pattern reads {place.name} ({', '.join(place.keys)})",
                    "each write of an item in it costs a second write, and its storage is paid twice",
                    f"{how}, or declare the pattern that it is for",
                )


def find_twins(seen: Observed) -> Iterator[Outcome]:
    """PAT018: two places with the same keys."""
    for table in seen.tables.values():
        for number, place in enumerate(table.places):
            twin = next((other for other in table.places[:number] if other.keys == place.keys), None)
            if twin is not None:
                yield problem(
                    place.subject,
                    f"{place.name} has the same keys ({', '.join(place.keys)}) as {twin.name}",
                    "the other serves the same queries, and this one still costs writes and storage",
                    f"delete {place.index}, and read {twin.name}",
                )


def find_unread(seen: Observed) -> Iterator[Outcome]:
    """PAT019: an entity that no pattern reads."""
    read = {entity for access in seen.accesses.values() for entity in access.entities}
    for name, entity in seen.settings.entities.items():
        mine = [access for access in seen.accesses.values() if access.pattern.table == entity.table]
        unknown = [access for access in mine if not access.entities and not access.runs]
        if mine and name not in read and not unknown and name in seen.kinds.get(entity.table, ()):
            yield problem(
                name,
                f"no declared pattern reads the entity {name} of {entity.table}",
                "either a pattern is not declared, or the items are never read",
                "declare how it is read, or remove it",
                status="warn",
            )


def partitions(place: Place, table: TableSeen) -> dict[str, tuple[int, int]]:
    """Partition key -> number and bytes of its items."""
    found: dict[str, tuple[int, int]] = {}
    for item, size in zip(table.items, table.sizes, strict=True):
        if place.holds(item):
            text = str(next(iter(item[place.hash].values())))
            count, total = found.get(text, (0, 0))
            found[text] = (count + 1, total + size)
    return found


def find_hot(seen: Observed) -> Iterator[Outcome]:
    """PAT008: one partition has most of the data."""
    for table in seen.tables.values():
        for place in table.places:
            spread = partitions(place, table)
            counts = {text: count for text, (count, _) in spread.items()}
            total = sum(counts.values())
            if total < HOT_ITEMS or len(counts) < SPREAD_VALUES:
                continue
            text, most = max(counts.items(), key=lambda each: each[1])
            if most > total * HOT_SHARE and most > HOT_TIMES * median(counts.values()):
                yield problem(
                    place.subject,
                    f"{place.name}: {place.hash} = {text} has {most:,} of {total:,} items; half of all values have at "
                    f"most {median(counts.values()):g}",
                    f"a partition serves {PARTITION_READS:,} read and {PARTITION_WRITES:,} write units a second, "
                    "even if the table has more",
                    "choose a partition key with many values (an id, not a kind), or append a shard number to it",
                )


def find_few(seen: Observed) -> Iterator[Outcome]:
    """PAT009: a partition key with only a few values."""
    for table in seen.tables.values():
        for place in table.places:
            spread = partitions(place, table)
            total = sum(count for count, _ in spread.values())
            words = sum(is_word(text) for text in spread)
            if total >= SPREAD_ITEMS and len(spread) < SPREAD_VALUES and words >= NEAR * len(spread):
                examples = ", ".join(sorted(spread)[:3])
                sparse = (
                    "; no change is needed if the index holds only a few items, which are queried together"
                    if place.index
                    else ""
                )
                yield problem(
                    place.subject,
                    f"{place.name}: {number_of(total, 'item')} under {number_of(len(spread), 'value')} of {place.hash} "
                    f"({examples})",
                    "all items of one value lie in one partition, and every write of them goes there",
                    f"combine {place.hash} with an id or a shard number in the partition key{sparse}",
                )


def is_word(text: str) -> bool:
    """Return True if a key is one of a kind's names (`open`, `DE`, `1`) and no id: of ids there will be more."""
    return len(text) < SHORT or not any(character.isdigit() for character in text)


def find_dated(seen: Observed) -> Iterator[Outcome]:
    """PAT028: the partition key is a date."""
    for table in seen.tables.values():
        for place in table.places:
            spread = partitions(place, table)
            dates = sum(bool(DATE.fullmatch(text)) for text in spread)
            if sum(count for count, _ in spread.values()) >= MANY_DATES and dates > 1 and dates >= NEAR * len(spread):
                yield problem(
                    place.subject,
                    f"{place.name}: `{place.hash}` is a date ({min(spread)} … {max(spread)})",
                    "everything written today goes to one partition; the others are idle",
                    "put an id or a shard number before the date, and keep the date in the sort key",
                    status="warn",
                )


def find_large(seen: Observed) -> Iterator[Outcome]:
    """PAT010: an item near the limit."""
    for table in seen.tables.values():
        large = [(size, item) for size, item in zip(table.sizes, table.items, strict=True) if size >= NEAR * ITEM_LIMIT]
        if large:
            size, item = max(large, key=lambda each: each[0])
            key = " ".join(scalar_text(item.get(name)) or "?" for name in table.places[0].keys)
            widest = max(item, key=lambda name: item_bytes({name: item[name]}))
            yield problem(
                table.name,
                f"{key} has {kilobytes(size)} of 400 KB"
                + (f", and {number_of(len(large) - 1, 'other')} more" if len(large) > 1 else "")
                + f"; most of it is {widest}",
                "a write above 400 KB is refused, and reading any part of the item costs one read unit per 4 KB",
                f"keep {widest} elsewhere (an object store, with its key here), or split it into several items",
            )


def find_misordered(seen: Observed) -> Iterator[Outcome]:
    """PAT012: a sort key whose text order is not its time order."""
    for table in seen.tables.values():
        done = set()
        for place in table.places:
            if place.sort is None or place.types.get(place.sort) != "S" or place.sort in done:
                continue
            found = misordered(place, table)
            if found is None:
                continue
            done.add(place.sort)
            ordered = any(
                (access.pattern.order or set(access.pattern.sort) - {"equals", "begins_with"})
                for access in seen.accesses.values()
                if access.place is not None and access.place.table == table.name and access.place.sort == place.sort
            )
            yield problem_of(place, found, ordered)


def misordered(place: Place, table: TableSeen) -> Inversion | None:
    """The first inversion among keys that stand in partitions of one form."""
    groups: dict[str, list[str]] = {}
    for item in table.items:
        if place.holds(item):
            lead, sign, _ = str(next(iter(item[place.hash].values()))).partition("#")
            groups.setdefault(lead if sign else "", []).append(item[place.sort or ""]["S"])
    found = [each for each in map(find_inversion, groups.values()) if each is not None]
    return next((each for each in found if each.kind != "mixed"), found[0] if found else None)


def problem_of(place: Place, found: Inversion, ordered: bool) -> Outcome:
    """An inversion as a finding."""
    if found.kind == "number":
        return problem(
            place.table,
            f"{place.sort} of {place.table}: {found.first} sorts before {found.second}",
            "text is compared letter by letter: 10 comes before 9",
            "write numbers with leading zeros (0009, 0010), or make the sort key a number; a stored key is changed by "
            "writing the item again",
            status="fail" if ordered else "warn",
        )
    mixed = found.kind == "mixed"
    forms = " and ".join(found.forms[:3])
    how = "are written in several ways" if mixed else f"sorts before {found.second}"
    return problem(
        place.table,
        f"{place.sort} of {place.table}: " + (f"times {how}: {forms}" if mixed else f"{found.first} {how} ({forms})"),
        "text is compared letter by letter: times sort correctly only with one format, one time zone and a fixed width",
        "write every time in UTC with a fixed width: 2023-06-24T20:57:02.000000+00:00; a stored key is changed by "
        "writing "
        "the item again",
        status="warn" if mixed else "fail",
    )


def find_limits(seen: Observed) -> Iterator[Outcome]:
    """PAT020: more or other indexes than DynamoDB makes."""
    for table in seen.tables.values():
        for source in (table.declared, table.described):
            if source is not None:
                yield from (
                    problem(table.name, text, "DynamoDB refuses such a table", fix) for text, fix in limits_of(source)
                )
                break


def limits_of(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parts of a definition that DynamoDB refuses, each with a remedy."""
    name, own = table["TableName"], keys_of(table)
    local: Sequence[Any] = table.get("LocalSecondaryIndexes") or ()
    everywhere: Sequence[Any] = table.get("GlobalSecondaryIndexes") or ()
    if len(local) > LOCAL_INDEXES:
        yield (
            f"{name} declares {len(local)} local indexes, at most {LOCAL_INDEXES} are possible",
            "make some of them global indexes: those can be added online, with the same partition key too",
        )
    if len(everywhere) > GLOBAL_INDEXES:
        yield (
            f"{name} declares {len(everywhere)} global indexes, {GLOBAL_INDEXES} are possible unless the quota is "
            "raised",
            "let several patterns share an index (one partition key attribute, with different prefixes per pattern)",
        )
    for index in local:
        partition, sort = keys_of(index)
        if partition != own[0]:
            yield (
                f"local index {index['IndexName']} of {name} has the partition key {partition}, the table has {own[0]}",
                "a local index has the table's partition key; make it a global index, which can be added online",
            )
        elif sort is None or sort == own[1]:
            yield (
                f"local index {index['IndexName']} of {name} has no sort key of its own",
                "a local index is the table's partition key with another sort key: give it one, or leave it out",
            )
    projected = sum(len((index.get("Projection") or {}).get("NonKeyAttributes", ())) for index in (*local, *everywhere))
    if projected > PROJECTED:
        yield (
            f"the indexes of {name} project {projected} attributes by name, {PROJECTED} are possible",
            "project ALL, or fewer",
        )


def find_collections(seen: Observed) -> Iterator[Outcome]:
    """PAT021: a partition near 10 GB in a table with a local index."""
    for table in seen.tables.values():
        local = [place for place in table.places if place.kind == "local"]
        if not local:
            continue
        sizes: Counter[str] = Counter()
        for item, size in zip(table.items, table.sizes, strict=True):
            key = str(next(iter(item[table.places[0].hash].values())))
            sizes[key] += size + sum(item_bytes(place.entry(item)) for place in local if place.holds(item))
        for key, size in sizes.most_common(1):
            if size >= NEAR * COLLECTION_LIMIT:
                yield problem(
                    table.name,
                    f"{table.places[0].hash} = {key} has {size / 1024**3:.1f} of 10 GB, with its local indexes",
                    "a table with a local index holds at most 10 GB under one partition key; then writes are refused",
                    "a new table with global indexes instead has no such limit; or split the partition key",
                )


def find_slow_indexes(seen: Observed) -> Iterator[Outcome]:
    """PAT027: a global index that can be written less often than its table."""
    for table in seen.tables.values():
        for place in table.places[1:]:
            writes = table.places[0].writes
            if place.kind == "global" and writes and place.writes and place.writes < writes:
                yield problem(
                    place.subject,
                    f"{place.name} has {place.writes} write units, its table {writes}",
                    "when the index cannot keep up, DynamoDB throttles the writes of the table",
                    f"provision {writes} write units for {place.index}, or use on-demand capacity (PAY_PER_REQUEST)",
                )


def find_empty(seen: Observed) -> Iterator[Outcome]:
    """PAT029: an index that no item is in."""
    for table in seen.tables.values():
        for place in table.places:
            if place.index and table.items and not any(map(place.holds, table.items)):
                lacking = [name for name in place.keys if not any(name in item for item in table.items)]
                yield problem(
                    place.subject,
                    f"{place.name} holds none of {number_of(len(table.items), 'item')}: "
                    + (
                        f"no item has `{'` or `'.join(lacking)}`"
                        if lacking
                        else f"none has both of {', '.join(place.keys)}"
                    ),
                    "an item without an attribute of an index's key is not in the index",
                    f"write {', '.join(lacking or place.keys)} on the items that this index should find, or delete "
                    "the index",
                )
