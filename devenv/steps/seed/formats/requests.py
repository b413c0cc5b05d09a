"""Requests to write, as the AWS command line takes them. What a file deletes is left out and listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devenv.steps.seed.format import SeedDocuments, SeedFormat


def read(tree: Any, file: str, found: SeedDocuments, whole: bool) -> bool:
    """Add what a request to write holds; False when the value is none."""
    match tree:
        case {"RequestItems": dict(requests)}:
            read_batch(requests, file, found)
        case {"TransactItems": list(writes)}:
            for write in writes:
                read_write(write, file, found)
        case {"TableName": str(table), "Item": dict(item)}:
            found.add(table, item, True)
        case dict() if tree and all(is_batch(part) for part in tree.values()):
            read_batch(tree, file, found)
        case list() if tree and all(isinstance(each, dict) and is_request(each) for each in tree):
            for each in tree:
                read_write(each, file, found)
        case _:
            return False
    return True


def is_batch(part: Any) -> bool:
    """Return True if a value is a table's list of write requests."""
    return (
        isinstance(part, list)
        and bool(part)
        and all(isinstance(each, dict) and each.keys() & {"PutRequest", "DeleteRequest"} for each in part)
    )


def is_request(each: Mapping[str, Any]) -> bool:
    """Return True if an object of a list is a request rather than an item."""
    return bool(each.keys() & {"Put", "PutRequest"}) or each.keys() >= {"TableName", "Item"}


def read_batch(requests: Mapping[str, Any], file: str, found: SeedDocuments) -> None:
    """Add the items of a batch-write-item request."""
    for table, writes in requests.items():
        for write in writes if isinstance(writes, list) else ():
            match write:
                case {"PutRequest": {"Item": dict(item)}}:
                    found.add(table, item, True)
                case _:
                    found.left_out.append(f"{file}: a deletion in {table}")


def read_write(write: Any, file: str, found: SeedDocuments) -> None:
    """Add the item of a put-item request, alone or in a transaction."""
    match write:
        case {"Put": {"TableName": str(table), "Item": dict(item)}} | {"TableName": str(table), "Item": dict(item)}:
            found.add(table, item, True)
        case {"PutRequest": {"Item": dict(item)}}:
            found.add(None, item, True)
        case _:
            found.left_out.append(f"{file}: a write that is not a put of a whole item ({', '.join(map(str, write))})")


FORMAT = SeedFormat("DynamoDB's JSON: requests to write (batch-write-item, transact-write-items, put-item)", read)
