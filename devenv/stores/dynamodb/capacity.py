"""The size of items and the cost of reading and writing them, by DynamoDB's published rules. Pure.

Sources, pages of the DynamoDB Developer Guide: "DynamoDB item sizes and formats" (sizes), "DynamoDB read and write
operations" (units), "Local secondary indexes" and "Global secondary indexes" (their storage, reads and writes).
A KB has 1,024 bytes. Sizes are bytes, units are read or write request units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

Item = Mapping[str, Mapping[str, Any]]
Mode = Literal["eventual", "strong", "transactional"]
READ_BYTES: Final = 4096
WRITE_BYTES: Final = 1024
PAGE_BYTES: Final = 1024 * 1024
ITEM_LIMIT: Final = 400 * 1024
COLLECTION_LIMIT: Final = 10 * 1024**3
# What storage is billed for beside the item itself, once in the table and once in each index that it is in.
STORED_BYTES: Final = 100
FACTORS: Final[Mapping[Mode, float]] = {"eventual": 0.5, "strong": 1.0, "transactional": 2.0}
# What one partition can serve in a second ("Best practices for designing and using partition keys").
PARTITION_READS: Final = 3000
PARTITION_WRITES: Final = 1000


def item_bytes(item: Item) -> int:
    """An item's size as DynamoDB counts it: the names and the values."""
    size = 0
    for name, value in item.items():
        text = value.get("S")
        size += utf8_bytes(name) + (value_bytes(value) if text is None else utf8_bytes(str(text)))
    return size


def utf8_bytes(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def value_bytes(value: Mapping[str, Any]) -> int:
    """An attribute value's size as DynamoDB counts it (a number: about two digits a byte and one more)."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            return number_bytes(str(content))
        case "B":
            return len(content) * 3 // 4 - str(content)[-2:].count("=")
        case "L":
            return 3 + sum(1 + value_bytes(part) for part in content)
        case "M":
            return 3 + sum(len(name.encode()) + 1 + value_bytes(part) for name, part in content.items())
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: part}) for part in content)
    return 1


def number_bytes(text: str) -> int:
    """A byte for two significant digits, one more, and one for a minus; zeros before and behind do not count."""
    mantissa = text.lower().partition("e")[0].lstrip("+-")
    digits = mantissa.replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + int(text.startswith("-"))


def units_of(size: int, mode: Mode = "eventual") -> float:
    """Reading this many bytes at once: started units of 4 KB, at least one; half, whole or double."""
    return max(1, math.ceil(size / READ_BYTES)) * FACTORS[mode]


def read_units(sizes: Iterable[int], consistent: bool = False) -> float:
    """One page of a Query or a Scan: the sizes of what was read are added up, and then rounded."""
    return units_of(sum(sizes), "strong" if consistent else "eventual")


def get_units(sizes: Iterable[int], mode: Mode = "eventual") -> float:
    """GetItem, BatchGetItem and TransactGetItems: every item is rounded by itself. An item that is not there counts."""
    return sum(units_of(size, mode) for size in sizes)


def fetching_units(entries: Sequence[int], fetched: Sequence[int], mode: Mode = "eventual") -> float:
    """A Query of a local index that wants attributes it does not hold.

    Besides the index's entries, every item is read whole from the table, each rounded by itself.
    """
    return units_of(sum(entries), mode) + (get_units(fetched, mode) if fetched else 0.0)


def write_units(size: int, *, transactional: bool = False) -> float:
    """Putting an item of this size (of an update, the larger of before and after): started units of 1 KB."""
    return float(max(1, math.ceil(size / WRITE_BYTES)) * (2 if transactional else 1))


def page_units(sizes: Sequence[int], limit: int | None, mode: Mode = "eventual") -> tuple[int, float]:
    """Requests and units of reading all of these items in order, `limit` items or 1 MB a page."""
    pages, units, size, count = 0, 0.0, 0, 0
    for each in sizes:
        if count and (count == limit or size + each > PAGE_BYTES):
            pages, units, size, count = pages + 1, units + units_of(size, mode), 0, 0
        size, count = size + each, count + 1
    return pages + 1, units + units_of(size, mode)
