"""The fate of the items that seed loaded: how many were deleted or changed since, and how to bring them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.links.values import scalar_text
from devenv.steps.ledger import Item, Ledger, LedgerItem
from devenv.steps.seed.items import described_keys
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
        for page in ledger.pages(table):
            compared += len(page)
            ctx.say(f"{table}: {compared:,} of {number:,} loaded items compared")
            for entry, stored in find_differing(ctx.dynamodb, table, names, page):
                (deleted if stored is None else changed).append(key_text(entry.written or {}, names))
    return Since("item", number, tuple(deleted), tuple(changed))


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
