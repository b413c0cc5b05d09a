"""The fate of the items that seed loaded: how many were deleted or changed since, and how to bring them back."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.links.values import scalar_text
from devenv.steps.ledger import Item, Ledger, LedgerItem, decode
from devenv.steps.seed.items import described_keys
from devenv.steps.seed.strangers import keys_of_ours
from devenv.steps.seed.writes import read_by_key
from devenv.steps.since import Since
from devenv.steps.step import Handles, StepContext, describe
from devenv.stores.dynamodb.client import Dynamo


def compare_items(ctx: StepContext, handles: Handles, limit: int | None) -> Since:
    """How the recorded items stand; above `limit` they are only counted. StoreError when DynamoDB does not answer."""
    ledger = handles.ledger()
    number = ledger.count(None if limit is None else limit + 1)
    if limit is not None and number > limit:
        return Since("item", number, compared=False)
    deleted: list[str] = []
    changed: list[str] = []
    compared = 0
    for table in ledger.tables():
        described = handles.describe(table)
        if described is None:
            continue
        names = described_keys(described).names
        by_file = limit is None and ctx.stored is not None
        for page in doubted(ctx, ledger, table, names) if by_file else ledger.pages(table):
            compared += len(page)
            ctx.say(f"{table}: {compared:,} of {number:,} loaded items compared")
            for entry, stored in find_differing(ctx.dynamodb, table, names, page):
                (deleted if stored is None else changed).append(key_text(entry.written or {}, names))
    return Since("item", number, tuple(deleted), tuple(changed))


def doubted(ctx: StepContext, ledger: Ledger, table: str, names: tuple[str, ...]) -> Iterator[dict[bytes, LedgerItem]]:
    """Yield the entries of a table that its items in DynamoDB's file are not equal to, some at a time, by key.

    The file is read once, however large; it may lag behind the server, which is asked about these.
    """
    # Of each item that is as it was loaded only a hash of its key is kept.
    same = array("Q")
    seen = 0
    for lot in ctx.stored(table) if ctx.stored is not None else ():
        items = [decode(item) for item in lot]
        same.extend(hash_of(key) for key in keys_of_ours(ledger, table, names, items))
        seen += len(items)
        ctx.say(f"{table}: {seen:,} stored items read")
    known = array("Q", sorted(same))
    del same
    for page in ledger.pages(table):
        ctx.say(f"{table}: loaded items looked up among {seen:,} stored ones")
        if left := {key: entry for key, entry in page.items() if not is_among(known, hash_of(key))}:
            yield left


def hash_of(key: bytes) -> int:
    """Eight bytes of a key's hash."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def is_among(ordered: array[int], number: int) -> bool:
    """Return True if a sorted array has the number."""
    place = bisect_left(ordered, number)
    return place < len(ordered) and ordered[place] == number


def find_differing(
    target: DynamoTarget, table: str, names: tuple[str, ...], entries: Mapping[bytes, LedgerItem]
) -> Iterator[tuple[LedgerItem, Item | None]]:
    """(entry, what is there) of each item that is no longer as it was loaded; items under way are left out."""
    ours = {key: entry for key, entry in entries.items() if entry.written is not None and entry.intent is None}
    stored = read_by_key(target, table, names, list(ours))
    for key, entry in ours.items():
        if stored.get(key) != entry.written:
            yield entry, stored.get(key)


def key_text(item: Item, names: Iterable[str]) -> str:
    """`MSG#5ae2… 2023-06-24T…`: the values of an item's key."""
    return " ".join(scalar_text(item.get(name)) or "?" for name in names)


def restore_items(ctx: StepContext) -> int:
    """Put the recorded items that are not there; never over another one. The number of items."""
    restored = 0
    with Dynamo(ctx.dynamodb) as dynamo, Ledger(ctx.ledger, create=False) as ledger:
        for table in ledger.tables():
            described = describe(dynamo, table)
            if described is None:
                continue
            names = described_keys(described).names
            for page in ledger.pages(table):
                for entry, stored in find_differing(ctx.dynamodb, table, names, page):
                    restored += stored is None and put_new(dynamo, table, names, entry.written or {})
    return restored


def put_new(dynamo: Dynamo, table: str, names: tuple[str, ...], item: Item) -> bool:
    """Put one item unless its key is taken."""
    request = {
        "TableName": table,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": names[0]},
    }
    try:
        dynamo.call("PutItem", request)
    except StoreError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        return False
    return True
