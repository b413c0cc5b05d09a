"""What items weigh and reads cost, held against the cases of DynamoDB's documentation.

Pages of the DynamoDB Developer Guide (docs.aws.amazon.com/amazondynamodb/latest/developerguide/…):
SIZES: CapacityUnitCalculations.html, READS: read-write-operations.html, LSI: LSI.html, GSI: GSI.html.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from devenv.stores.dynamodb.capacity import (
    fetching_units,
    get_units,
    item_bytes,
    page_units,
    read_units,
    units_of,
    value_bytes,
    write_units,
)

KB = 1024


@pytest.mark.parametrize(
    ("value", "size"),
    [
        # SIZES: "Strings are Unicode with UTF-8 binary encoding."
        ({"S": "abc"}, 3),
        ({"S": "ünï"}, 5),
        ({"S": ""}, 0),
        # SIZES: a number has 1 byte per two significant digits and 1 byte; leading and trailing zeros are trimmed.
        ({"N": "7"}, 2),
        ({"N": "12"}, 2),
        ({"N": "123"}, 3),
        ({"N": "1200"}, 2),
        ({"N": "0.0012"}, 2),
        ({"N": "12.34"}, 3),
        ({"N": "1" * 38}, 20),
        # SIZES: a binary value counts its raw bytes, not those of its base64.
        *(({"B": base64.b64encode(b"x" * length).decode()}, length) for length in (0, 1, 2, 3, 100)),
        # SIZES: a null or a Boolean is 1 byte.
        ({"NULL": True}, 1),
        ({"BOOL": False}, 1),
        # SIZES: a List or Map is 3 bytes and its elements, each with 1 byte of overhead; an empty one 3 bytes.
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": True}]}, 3 + (1 + 2) + (1 + 1)),
        ({"M": {"name": {"S": "ab"}}}, 3 + (1 + 4 + 2)),
        ({"L": [{"M": {"a": {"L": []}}}]}, 3 + 1 + 3 + (1 + 1 + 3)),
        # SIZES gives no overhead for sets: their elements.
        ({"SS": ["ab", "c"]}, 3),
        ({"NS": ["1", "123"]}, 5),
    ],
)
def test_the_size_of_a_value(value: dict[str, Any], size: int) -> None:
    assert value_bytes(value) == size
    assert item_bytes({"name": value}) == 4 + size  # SIZES: the length of the attribute's name is added


@pytest.mark.parametrize(
    ("size", "eventual", "strong", "transactional"),
    [
        (1, 0.5, 1, 2),  # READS: up to 4 KB: one half, one, two units
        (4 * KB, 0.5, 1, 2),
        (3500, 0.5, 1, 2),  # READS: a 3,500-byte item consumes the same as one of 4 KB
        (8 * KB, 1, 2, 4),  # READS: 8 KB: 2 strongly, 1 eventually consistent, 4 transactional
        (10 * KB, 1.5, 3, 6),  # READS, GetItem: 10 KB is rounded to 12 KB
        (int(3.5 * KB), 0.5, 1, 2),  # READS, GetItem: 3.5 KB is rounded to 4 KB
        (0, 0.5, 1, 2),  # READS: an item that does not exist is read too
    ],
)
def test_reading_one_item(size: int, eventual: float, strong: float, transactional: float) -> None:
    assert [units_of(size, "eventual"), units_of(size, "strong"), units_of(size, "transactional")] == [
        eventual,
        strong,
        transactional,
    ]


def test_a_batch_rounds_each_item() -> None:
    """READS, BatchGetItem: items of 1.5 KB and 6.5 KB are 4 KB + 8 KB = 12 KB, not 8 KB."""
    assert get_units([int(1.5 * KB), int(6.5 * KB)], "strong") == 3


def test_a_transaction_doubles_each_item() -> None:
    """READS: a transactional read of an item up to 4 KB requires two units."""
    assert get_units([3 * KB, 5 * KB], "transactional") == 2 + 4


@pytest.mark.parametrize(
    ("sizes", "kilobytes"),
    [
        ([4178] * 10, 44),  # READS, Query: 10 items of 40.8 KB together are rounded to 44 KB
        ([64] * 1500, 96),  # READS, Query: 1,500 items of 64 bytes: the cumulative size is 96 KB
        ([], 4),
    ],
)
def test_a_query_rounds_the_sum(sizes: list[int], kilobytes: int) -> None:
    assert page_units(sizes, None, "strong") == (1, kilobytes / 4)
    assert page_units(sizes, None, "eventual") == (1, kilobytes / 8)


def test_a_query_weighs_its_items() -> None:
    sizes = [item_bytes({"k": {"S": "x" * 63}})] * 1500
    assert read_units(sizes, consistent=True) == 24
    assert read_units(sizes) == 12


def test_each_page_is_rounded_by_itself() -> None:
    """READS: a Query or Scan returns at most 1 MB; the next page is a request of its own."""
    assert page_units([300 * KB] * 4, None, "strong") == (2, 225 + 75)
    assert page_units([100] * 5, 2, "strong") == (3, 3)


def test_a_global_index_serves_two_blocks_per_unit() -> None:
    """GSI, read capacity units: eventually consistent, so 2 x 4 KB = 8 KB per unit."""
    assert page_units([2 * KB] * 4, None, "eventual") == (1, 1.0)


def test_a_local_index_fetches_whole_items() -> None:
    """LSI, read capacity units: besides the entries, each item is read whole from the table and rounded by itself."""
    assert fetching_units([200] * 20, [5 * KB] * 20, "strong") == 1 + 20 * 2
    assert fetching_units([200] * 20, [], "strong") == 1


@pytest.mark.parametrize(
    ("size", "standard", "transactional"),
    [
        (500, 1, 2),  # READS, writes: sizes are rounded up to 1 KB; 500 bytes are as 1 KB
        (1 * KB, 1, 2),
        (2 * KB, 2, 4),  # READS, writes: 2 KB: 2 units, 4 transactional
        (int(1.5 * KB), 2, 4),
        (3 * KB, 3, 6),
    ],
)
def test_writing_one_item(size: int, standard: float, transactional: float) -> None:
    assert write_units(size) == standard
    assert write_units(size, transactional=True) == transactional
