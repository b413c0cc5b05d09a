"""Items that devenv did not write, or that changed since: what a step from scratch would destroy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from devenv.steps.ledger import Item, Ledger, decode, encode
from devenv.steps.seed.items import described_keys, identity, key_of, normal_item
from devenv.steps.step import StepContext, describe
from devenv.stores.dynamodb.client import Dynamo


def count_strangers(ctx: StepContext, tables: Iterable[str]) -> str | None:
    """A sentence with the number of items in each table that are not exactly as devenv wrote them, or None."""
    shown = []
    with Dynamo(ctx.dynamodb) as dynamo, Ledger(ctx.ledger, create=False) as ledger:
        for table in tables:
            described = describe(dynamo, table)
            if described is None:
                continue
            names = described_keys(described).names
            known = ledger.identity(table) == identity(described)
            lots = stored_items(ctx, dynamo, table)
            count = sum(len(lot) - (len(keys_of_ours(ledger, table, names, lot)) if known else 0) for lot in lots)
            if count:
                shown.append(f"{count} in table {table}")
    if not shown:
        return None
    return f"DynamoDB has items that devenv did not write, or that changed after devenv wrote them: {', '.join(shown)}"


def stored_items(ctx: StepContext, dynamo: Dynamo, table: str) -> Iterator[list[Item]]:
    """Yield the items of a table in lots: out of DynamoDB's file where there is one, else by a Scan."""
    if ctx.stored is not None:
        yield from ([decode(item) for item in lot] for lot in ctx.stored(table))
    else:
        yield from (page["Items"] for page in dynamo.scan_pages(table))


def keys_of_ours(ledger: Ledger, table: str, names: Sequence[str], items: Sequence[Item]) -> list[bytes]:
    """The keys of those of these items that are exactly as devenv wrote them, or was about to."""
    keys = [key_of(item, names) for item in items]
    ours = ledger.written_forms(table, keys)
    return [
        key
        for key, item in zip(keys, items, strict=True)
        if encode(item) in ours.get(key, ()) or encode(normal_item(item)) in ours.get(key, ())
    ]
