"""`patterns explain`: why a pattern is a Query, GetItem or Scan, with the project's own keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.core.plural import number_of
from devenv.patterns import advice
from devenv.patterns.pattern_rules import words
from devenv.patterns.rule import kilobytes
from devenv.patterns.seen import Observed, SeenPattern
from devenv.stores.dynamodb.key_schema import Place


def explain(access: SeenPattern, seen: Observed) -> tuple[str, str]:
    """Two paragraphs: how the items are found, and what that reads and costs."""
    place = access.place
    if place is None:
        missing = f"{access.pattern.table}" + (f"/{access.pattern.index}" if access.pattern.index else "")
        return f"{access.name} names {missing}, which does not exist.", "Nothing can be read, so there is no cost."
    return " ".join(finding(access, seen, place)), " ".join(reading(access, seen, place))


def finding(access: SeenPattern, seen: Observed, place: Place) -> Iterator[str]:
    """How DynamoDB finds the items."""
    pattern = access.pattern
    if access.amount == "Scan":
        asked = f"gives only {', '.join(pattern.key)}" if pattern.key else "gives no key"
        yield f"{access.name} is a Scan of {place.name}: it {asked}, and items are found by their partition key"
        yield f"({place.hash}) only."
        yield "DynamoDB has to read every item, and discards those that do not match."
        table = seen.tables[place.table]
        yield f"To make it a Query: {advice.index_for(access, table, table.places)}."
        return
    yield f"{access.name} is a {access.amount} of {place.name}."
    yield (
        f"Its partition key, {words({place.hash: pattern.key[place.hash]})}, names one partition: DynamoDB hashes "
        "the value "
        "and goes directly to the partition that stores all items with this value, however many others there are."
    )
    if place.kind == "global":
        yield (
            f"The index is a copy of the items that have {' and '.join(place.keys)}, kept under another partition "
            "key; it "
            "is updated a moment after the table, can be added and deleted online, and adds a cost to every write."
        )
    elif place.kind == "local":
        yield (
            f"The index sorts the same partitions by {place.sort} instead; it can only be created together with the "
            "table, and limits a partition to 10 GB."
        )
    yield from sorting(access, place)


def sorting(access: SeenPattern, place: Place) -> Iterator[str]:
    """Explain the sort key."""
    pattern = access.pattern
    if place.sort is None:
        yield (
            "There is no sort key, so a partition holds one item."
            if place.kind == "table"
            else ("There is no sort key, so the items of a partition have no order.")
        )
    elif access.amount == "GetItem":
        yield f"With the sort key {place.sort} the key is complete, so at most one item is read."
    else:
        way = "in descending order" if pattern.order in ("newest first", "descending") else "in ascending order"
        yield f"In the partition the items are sorted by {place.sort}, and read {way}; no further sorting is needed."
        if pattern.sort:
            yield f"The condition on it ({words(pattern.sort)}) limits which of them are read."


def reading(access: SeenPattern, seen: Observed, place: Place) -> Iterator[str]:
    """Explain how much is read, and its cost."""
    pattern, run = access.pattern, access.main
    if access.amount != "GetItem":
        limit = f"after {number_of(pattern.limit, 'item')}" if pattern.limit else "after 1 MB"
        yield f"A page ends {limit}; LastEvaluatedKey in the response means that there are more pages;"
        yield {
            True: "all pages are read, as declared.",
            False: "only the first page is requested.",
        }[pattern.followed and pattern.paging != "page"]
        if pattern.filter:
            yield (
                f"The filter ({pattern.filter}) is applied after reading, and after the limit: items that it discards "
                "are read and paid for, and a page can be empty although later pages have matching items."
            )
        elif pattern.limit:
            yield "The limit counts items that are read: with a filter, a page could be empty."
    if run is not None and run.read is not None and run.units is not None:
        units = (
            "with consistent reads, each 4 KB or part of it costs one read unit"
            if pattern.consistent
            else ("with eventually consistent reads, each 4 KB or part of it costs half a read unit")
        )
        yield (
            f"With the current data it reads {number_of(run.read.scanned, 'item')} of "
            f"{len(seen.tables[place.table].items):,} in {number_of(run.read.pages, 'page')}, {kilobytes(run.bytes)} "
            f"in total, and returns {len(run.read.items):,}; {units}, so it costs {run.units:g} read units."
        )
    elif access.unsampled is not None:
        yield f"It was not run: {access.unsampled.reason}."
    else:
        yield (
            "The sizes of all items of a page are added; each 4 KB or part of it costs half a read unit"
            " (with consistent reads: one)."
        )
