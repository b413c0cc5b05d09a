"""Many items at once: read by key, written side by side, and changed only while they are what they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from devenv.errors import StoreError
from devenv.model import DynamoTarget
from devenv.steps.items import key_of, normal_item
from devenv.steps.ledger import Item, decode
from devenv.stores.dynamodb import Dynamo

Part = TypeVar("Part")
Result = TypeVar("Result")

WORKERS: Final = 8
AHEAD: Final = 4 * WORKERS
READ: Final = 100
WRITTEN: Final = 250
READ_PAUSE_S: Final = 0.05
REFUSED: Final = ("ConditionalCheckFailedException", "TransactionCanceledException")


def fan_out(
    target: DynamoTarget, parts: Iterable[Part], work: Callable[[Dynamo, Part], Result]
) -> Iterator[tuple[Part, Result]]:
    """Each part with what `work` made of it, in the order of completion. `parts` is drawn from as workers get free."""
    with ExitStack() as clients, ThreadPoolExecutor(WORKERS) as pool:
        free: SimpleQueue[Dynamo] = SimpleQueue()
        for _ in range(WORKERS):
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
                if len(pending) >= AHEAD:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def chunks(parts: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    """`parts` in pieces of `size`."""
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
    """Whether the table has no item at all."""
    return not dynamo.call("Scan", {"TableName": table, "Limit": 1, "ConsistentRead": True})["Items"]


def put_all(target: DynamoTarget, table: str, items: Mapping[bytes, Item]) -> Iterator[dict[bytes, Item | None]]:
    """Put all items, in batches; yields each batch once it is in the store."""

    def put(dynamo: Dynamo, part: Sequence[tuple[bytes, Item]]) -> None:
        dynamo.write_batch(table, [{"PutRequest": {"Item": item}} for _, item in part])

    for part, _ in fan_out(target, chunks(list(items.items()), WRITTEN), put):
        yield dict(part)


def empty_table(target: DynamoTarget, table: str, names: Sequence[str]) -> int:
    """Delete every item of the table. How many there were."""

    def delete(dynamo: Dynamo, part: Sequence[Item]) -> int:
        dynamo.write_batch(table, [{"DeleteRequest": {"Key": key}} for key in part])
        return len(part)

    aliases = {f"#k{number}": name for number, name in enumerate(names)}
    with Dynamo(target) as dynamo:
        keys = list(dynamo.scan(table, ProjectionExpression=", ".join(aliases), ExpressionAttributeNames=aliases))
    return sum(count for _, count in fan_out(target, chunks(keys, WRITTEN), delete))


def unchanged(item: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that a stored item still has these attributes with these values."""
    numbered = list(enumerate(item.items()))
    return {
        "ConditionExpression": " AND ".join(f"#o{number} = :o{number}" for number, _ in numbered),
        "ExpressionAttributeNames": {f"#o{number}": name for number, (name, _) in numbered},
        "ExpressionAttributeValues": {f":o{number}": value for number, (_, value) in numbered},
    }


def replace_item(dynamo: Dynamo, table: str, old: Item, new: Item) -> bool:
    """Put `new` in the place of `old` (same key); False when the stored item is no longer `old`."""
    return try_write(dynamo, "PutItem", {"TableName": table, "Item": new, **unchanged(old)})


def delete_item(dynamo: Dynamo, table: str, names: Sequence[str], old: Item) -> bool:
    """Delete `old`; False when the stored item is no longer `old`."""
    key = {name: old[name] for name in names}
    return try_write(dynamo, "DeleteItem", {"TableName": table, "Key": key, **unchanged(old)})


def change_attributes(dynamo: Dynamo, table: str, names: Sequence[str], old: Item, new: Item) -> bool:
    """Set the attributes in which `new` differs from `old`; False when one of them is no longer what it was in `old`.

    Other attributes may have been changed meanwhile, and stay so.
    """
    changed = [name for name in new if new[name] != old[name]]
    condition = unchanged({name: old[name] for name in (*names, *changed)})
    request = {
        "TableName": table,
        "Key": {name: old[name] for name in names},
        "UpdateExpression": "SET " + ", ".join(f"#n{number} = :n{number}" for number, _ in enumerate(changed)),
        "ConditionExpression": condition["ConditionExpression"],
        "ExpressionAttributeNames": condition["ExpressionAttributeNames"]
        | {f"#n{number}": name for number, name in enumerate(changed)},
        "ExpressionAttributeValues": condition["ExpressionAttributeValues"]
        | {f":n{number}": new[name] for number, name in enumerate(changed)},
    }
    return try_write(dynamo, "UpdateItem", request)


def move_item(dynamo: Dynamo, table: str, names: Sequence[str], old: Item, new: Item) -> bool:
    """Delete `old` and put `new` (another key) at once; False when `old` changed or the new key is taken."""
    key = {name: old[name] for name in names}
    put = {
        "TableName": table,
        "Item": new,
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": names[0]},
    }
    delete = {"TableName": table, "Key": key, **unchanged(old)}
    return try_write(dynamo, "TransactWriteItems", {"TransactItems": [{"Delete": delete}, {"Put": put}]})


def try_write(dynamo: Dynamo, operation: str, request: Mapping[str, Any]) -> bool:
    """Write under a condition; False when it did not hold."""
    try:
        dynamo.call(operation, request)
    except StoreError as error:
        if error.code in REFUSED:
            return False
        raise
    return True
