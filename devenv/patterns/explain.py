"""`patterns explain`: why a pattern is what it is, in two paragraphs with the project's own keys. Pure."""

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
        return f"{access.name} names {missing}, which is not there.", "There is nothing to read, so nothing to cost."
    return " ".join(finding(access, seen, place)), " ".join(reading(access, seen, place))


def finding(access: SeenPattern, seen: Observed, place: Place) -> Iterator[str]:
    """How DynamoDB finds the items."""
    pattern = access.pattern
    if access.amount == "Scan":
        asked = f"asks by {', '.join(pattern.key)}" if pattern.key else "names no key"
        yield f"{access.name} is a Scan of {place.name}: it {asked}, and items are found by their partition key"
        yield f"({place.hash}) only."
        yield "DynamoDB has no other way than to read every item and to throw away what does not fit."
        table = seen.tables[place.table]
        yield f"To make it a Query: {advice.index_for(access, table, table.places)}."
        return
    yield f"{access.name} is a {access.amount} of {place.name}."
    yield (
        f"Its partition key, {words({place.hash: pattern.key[place.hash]})}, names one partition: DynamoDB hashes "
        "the value "
        "and goes straight to where all items with it lie together, however many others there are."
    )
    if place.kind == "global":
        yield (
            f"The index is a copy of the items that have {' and '.join(place.keys)}, kept under another partition "
            "key; it "
            "follows the table a moment later, can be added and deleted online, and is paid for with every write."
        )
    elif place.kind == "local":
        yield (
            f"The index sorts the same partitions by {place.sort} instead; it can only be made with the table, and "
            "limits "
            "a partition to 10 GB."
        )
    yield from sorting(access, place)


def sorting(access: SeenPattern, place: Place) -> Iterator[str]:
    """Explain the sort key."""
    pattern = access.pattern
    if place.sort is None:
        yield (
            "There is no sort key, so a partition is one item."
            if place.kind == "table"
            else ("There is no sort key, so the items of a partition come in no order.")
        )
    elif access.amount == "GetItem":
        yield f"With the sort key {place.sort} the key is whole, so at most one item is read."
    else:
        way = "backwards, from the greatest" if pattern.order in ("newest first", "descending") else "from the smallest"
        yield f"Inside the partition the items lie sorted by {place.sort}, and are read {way}: nothing is sorted later."
        if pattern.sort:
            yield f"The condition on it ({words(pattern.sort)}) bounds where reading begins and ends."


def reading(access: SeenPattern, seen: Observed, place: Place) -> Iterator[str]:
    """Explain how much is read, and its cost."""
    pattern, run = access.pattern, access.main
    if access.amount != "GetItem":
        limit = f"after {number_of(pattern.limit, 'item')}" if pattern.limit else "after 1 MB"
        yield f"A page ends {limit}, and says with LastEvaluatedKey that there is more;"
        yield {
            True: "all pages are read, as declared.",
            False: "only the first page is asked for.",
        }[pattern.followed and pattern.paging != "page"]
        if pattern.filter:
            yield (
                f"The filter ({pattern.filter}) comes after reading, and after the limit: what it throws away is "
                "read and paid for, and a page can come back empty although more is to be found."
            )
        elif pattern.limit:
            yield "The limit counts what is read: with a filter, a page of it could come back empty."
    if run is not None and run.read is not None and run.units is not None:
        units = (
            "read consistently, each 4 KB begun is one read unit"
            if pattern.consistent
            else ("read eventually consistent, each 4 KB begun is half a read unit")
        )
        yield (
            f"In the data at hand it reads {number_of(run.read.scanned, 'item')} of "
            f"{len(seen.tables[place.table].items):,} in {number_of(run.read.pages, 'page')}, {kilobytes(run.bytes)} "
            f"together, and returns {len(run.read.items):,}; {units}, so it costs {run.units:g}."
        )
    elif access.unsampled is not None:
        yield f"It was not run: {access.unsampled.reason}."
    else:
        yield "The sizes of all items of a page are added up; each 4 KB begun is half a read unit (consistently: one)."
