"""Many items at once: read by key, written side by side, and changed only while they are what they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.steps.ledger import Item, decode
from devenv.steps.seed.items import key_of, normal_item
from devenv.stores.dynamodb.client import Dynamo, split_batches

Part = TypeVar("Part")
Result = TypeVar("Result")

WORKERS: Final = 8
# Transactions keep each other waiting: with eight workers they take five times as long as with two.
WRITERS: Final = 2
READ: Final = 100
# What one TransactWriteItems may hold (the limit is 4 MB). DynamoDB Local writes a batch item by item, each with a
# commit to disk, and a transaction with one: 100 items in a transaction take about as long as two in a batch.
TOGETHER: Final = 100
TOGETHER_BYTES: Final = 3_500_000
READ_PAUSE_S: Final = 0.05
# Attributes in one condition.
COMPARED: Final = 100
BUSY: Final = "InternalServerError"
LOCK_PAUSES_S: Final = (0.1, 0.3, 1.0, 2.0)
REFUSED: Final = ("ConditionalCheckFailedException", "TransactionCanceledException")


def fan_out(
    target: DynamoTarget, parts: Iterable[Part], work: Callable[[Dynamo, Part], Result], workers: int = WORKERS
) -> Iterator[tuple[Part, Result]]:
    """Each part with what `work` made of it, in the order of completion. `parts` is drawn from as workers get free."""
    with ExitStack() as clients, ThreadPoolExecutor(workers) as pool:
        free: SimpleQueue[Dynamo] = SimpleQueue()
        for _ in range(workers):
            free.put(clients.enter_context(Dynamo(target)))

        def run(part: Part) -> tuple[Part, Result]:
            dynamo = free.get()
            try:
                return part, work(dynamo, part)
            finally:
                free.put(dynamo)

        pending: set[Future[tuple[Part, Result]]] = set()
        try:
            for part in parts:
                pending.add(pool.submit(run, part))
                if len(pending) >= 4 * workers:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def ahead(parts: Iterator[Part]) -> Generator[Part]:
    """Yield `parts`; a thread makes the next one while the caller works on the one before. Close it after an error."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part


def chunks(parts: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))


def read_by_key(target: DynamoTarget, table: str, names: Sequence[str], keys: Sequence[bytes]) -> dict[bytes, Item]:
    """The items that exist among `keys`, in their normal form."""

    def read(dynamo: Dynamo, part: Sequence[bytes]) -> list[Item]:
        found: list[Item] = []
        left: Any = {table: {"Keys": [decode(key) for key in part], "ConsistentRead": True}}
        while left:
            answer = dynamo.call("BatchGetItem", {"RequestItems": left})
            found += answer["Responses"].get(table, [])
            left = answer.get("UnprocessedKeys")
            if left:
                time.sleep(READ_PAUSE_S)
        return found

    items = (item for _, part in fan_out(target, chunks(keys, READ), read) for item in part)
    return {key_of(item, names): normal_item(item) for item in items}


def is_empty(dynamo: Dynamo, table: str) -> bool:
    """Return True if the table has no item at all."""
    return not dynamo.call("Scan", {"TableName": table, "Limit": 1, "ConsistentRead": True})["Items"]


def put_all(
    target: DynamoTarget, table: str, names: Sequence[str], items: Mapping[bytes, Item]
) -> Iterator[dict[bytes, Item | None]]:
    """Put all items, many at a time; yields each lot once it is in the store. `names` are the table's key."""
    puts = [{"PutRequest": {"Item": item}} for item in items.values()]

    def put(dynamo: Dynamo, part: Sequence[Mapping[str, Any]]) -> None:
        write_together(dynamo, table, part)

    for part, _ in fan_out(target, split_batches(puts, TOGETHER, TOGETHER_BYTES), put, WRITERS):
        yield {key_of(request["PutRequest"]["Item"], names): request["PutRequest"]["Item"] for request in part}


def empty_table(target: DynamoTarget, table: str, names: Sequence[str]) -> int:
    """Delete every item of the table. How many there were."""

    def delete(dynamo: Dynamo, part: Sequence[Mapping[str, Any]]) -> int:
        write_together(dynamo, table, part)
        return len(part)

    aliases = {f"#k{number}": name for number, name in enumerate(names)}
    with Dynamo(target) as dynamo:
        keys = dynamo.scan(table, ProjectionExpression=", ".join(aliases), ExpressionAttributeNames=aliases)
        lots = split_batches(({"DeleteRequest": {"Key": key}} for key in keys), TOGETHER, TOGETHER_BYTES)
        return sum(count for _, count in fan_out(target, lots, delete, WRITERS))


def await_disk(target: DynamoTarget, table: str, names: Sequence[str], item: Item) -> None:
    """Return when the transactions written so far are on DynamoDB Local's disk; it acknowledges them before.

    It writes them in order, and a single item before it answers: one of them is put again, if it is unchanged.
    """
    with Dynamo(target) as dynamo:
        try_write(dynamo, "PutItem", {"TableName": table, "Item": item, **unchanged(item, names)})


def write_together(dynamo: Dynamo, table: str, requests: Sequence[Mapping[str, Any]]) -> None:
    """Write requests of the form that BatchWriteItem takes in one transaction, or in batches when that is refused.

    A transaction is refused when somebody else writes one of its items at that moment.
    """
    writes = [
        {kind.removesuffix("Request"): {"TableName": table, **what}}
        for request in requests
        for kind, what in request.items()
    ]
    if not try_write(dynamo, "TransactWriteItems", {"TransactItems": writes}):
        dynamo.write_batch(table, requests)


def unchanged(item: Mapping[str, Any], first: Iterable[str] = ()) -> dict[str, Any]:
    """The condition that the attributes of `item` still have their values.

    An expression holds at most 4 KB: of an item with more than COMPARED attributes, those in `first` are compared,
    then the others in their order.
    """
    names = list(item)
    if len(names) > COMPARED:
        names = list(dict.fromkeys([*(name for name in first if name in item), *item]))[:COMPARED]
    return {
        "ConditionExpression": " AND ".join(f"#o{number} = :o{number}" for number, _ in enumerate(names)),
        "ExpressionAttributeNames": {f"#o{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":o{number}": item[name] for number, name in enumerate(names)},
    }


def differing(old: Item, new: Item) -> list[str]:
    """The attributes of `old` that `new` has otherwise or not at all."""
    return [name for name in old if old[name] != new.get(name)]


def replace_item(dynamo: Dynamo, table: str, old: Item, new: Item) -> bool:
    """Put `new` in the place of `old` (same key); False when the stored item is no longer `old`."""
    return try_write(dynamo, "PutItem", {"TableName": table, "Item": new, **unchanged(old, differing(old, new))})


def delete_item(dynamo: Dynamo, table: str, names: Sequence[str], old: Item) -> bool:
    """Delete `old`; False when the stored item is no longer `old`."""
    key = {name: old[name] for name in names}
    return try_write(dynamo, "DeleteItem", {"TableName": table, "Key": key, **unchanged(old)})


def change_attributes(table: str, names: Sequence[str], old: Item, new: Item) -> dict[str, Any]:
    """The UpdateItem request that sets the attributes in which `new` differs, while they are what they were in `old`.

    Other attributes may have been changed meanwhile, and stay so.
    """
    changed = [name for name in new if new[name] != old[name]]
    condition = unchanged({name: old[name] for name in (*names, *changed)})
    return {
        "TableName": table,
        "Key": {name: old[name] for name in names},
        "UpdateExpression": "SET " + ", ".join(f"#n{number} = :n{number}" for number, _ in enumerate(changed)),
        "ConditionExpression": condition["ConditionExpression"],
        "ExpressionAttributeNames": condition["ExpressionAttributeNames"]
        | {f"#n{number}": name for number, name in enumerate(changed)},
        "ExpressionAttributeValues": condition["ExpressionAttributeValues"]
        | {f":n{number}": new[name] for number, name in enumerate(changed)},
    }


def replace_key(table: str, names: Sequence[str], old: Item, new: Item) -> list[dict[str, Any]]:
    """The parts of a transaction that deletes `old`, if unchanged, and puts `new` under another key, if it is free."""
    put = {
        "TableName": table,
        "Item": new,
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": names[0]},
    }
    delete = {"TableName": table, "Key": {name: old[name] for name in names}, **unchanged(old, differing(old, new))}
    return [{"Delete": delete}, {"Put": put}]


def rewrite_parts(table: str, names: Sequence[str], old: Item, new: Item) -> list[dict[str, Any]]:
    """The parts of a transaction that make `old` to `new`, under the same key or another."""
    if all(new[name] == old[name] for name in names):
        return [{"Update": change_attributes(table, names, old, new)}]
    return replace_key(table, names, old, new)


def try_write(dynamo: Dynamo, operation: str, request: Mapping[str, Any]) -> bool:
    """Write under a condition; False when it did not hold.

    On a busy machine DynamoDB Local gives up waiting for its own lock. That is tried again: what it wrote after all
    fails the condition, or is written a second time as it is.
    """
    for pause in (*LOCK_PAUSES_S, None):
        try:
            dynamo.call(operation, request)
        except StoreError as error:
            if error.code in REFUSED:
                return False
            if pause is None or error.code != BUSY:
                raise
            time.sleep(pause)
        else:
            break
    return True
