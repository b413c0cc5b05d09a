"""A large table's items are held packed: judged and shown exactly as if they were not."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devenv.config.load import parse
from devenv.links.judge import compile_plan, judge
from devenv.links.packed import PackedItems
from devenv.links.read import ItemRecord, ReadPlan, read_records

ITEMS: list[dict[str, dict[str, Any]]] = [
    {"pk": {"S": "MSG#1"}, "group": {"S": "1"}, "user": {"S": "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"}},
    {"pk": {"S": "MSG#2"}, "group": {"N": "2"}, "user": {"S": "ann"}, "raw": {"B": "AAH/"}},
    {
        "pk": {"S": "msg-3"},
        "group": {"S": "é😀"},
        "tags": {"SS": ["a", "b"]},
        "deep": {"L": [{"M": {"x": {"NULL": True}}}]},
    },
    {},
]
TREE = {
    "project": {"name": "p"},
    "entities": {"message": {"table": "t", "match": {"pk": "MSG#{group}"}, "attributes": {"group": "string"}}},
    "links": [{"from": "dynamodb:t.user", "to": "postgres:users.uuid"}],
}


PLAN = compile_plan(
    parse(
        {
            **TREE,
            "entities": {
                "message": {
                    "table": "t",
                    "match": {"pk": "MSG#{group}"},
                    "attributes": {"group": "string", "user": "string?"},
                }
            },
        },
        Path("devenv.toml"),
    ),
    {"t": ("pk",)},
)


def test_items_come_back_as_they_were() -> None:
    packed = PackedItems(ITEMS)
    assert list(packed) == ITEMS
    assert (len(packed), packed[1], packed[1:3]) == (4, ITEMS[1], ITEMS[1:3])
    packed += PackedItems(ITEMS[:1])
    assert list(packed) == [*ITEMS, ITEMS[0]]


@pytest.mark.parametrize("plan", [compile_plan(parse(TREE, Path("devenv.toml")), {"t": ("pk",)}), PLAN])
def test_packed_items_are_judged_like_any(plan: ReadPlan) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {("public", "users"): [{"uuid": "ccc290ed-55d1-47a0-bc6d-fe2bc2700399"}]}
    plain, packed = (judge(plan, {"t": items}, rows, now) for items in (ITEMS, PackedItems(ITEMS)))
    assert [(f.kind, f.note) for f in packed.faults] == [(f.kind, f.note) for f in plain.faults] != []
    assert [seen(record) for record in packed.records] == [seen(record) for record in plain.records]


def seen(record: ItemRecord) -> tuple[Any, ...]:
    """What later judgements and pages ask of a record."""
    ids = {name: (record.meant(name), record.id(name)) for name in ("group", "user", "other")}
    return record.item, record.key, record.values, record.bad, record.linked, ids


def test_an_id_that_is_the_text_of_its_field_counts_as_meant() -> None:
    record, other = (
        next(iter(read_records(PLAN, "t", PackedItems([{"pk": {"S": "MSG#1"}, "user": {"S": text}}])))) for text in "ab"
    )
    assert (record.meant("user"), record.id("user")) == (None, "a")
    record.set_id("user", "a")
    assert (record.meant("user"), record.id("user"), record.ids, other.meant("user")) == ("a", "a", None, None)
    record.set_id("user", "c")
    assert (record.meant("user"), record.id("user"), record.values["user"]) == ("c", "c", "a")
    record.set_id("user", "a")
    assert (record.meant("user"), record.id("user")) == ("a", "a")


def test_the_judgement_of_sound_items_takes_little_beside_them() -> None:
    number = 4_000
    row = "ccc290ed-55d1-47a0-bc6d-fe2bc2700399"
    items = PackedItems(
        {"pk": {"S": f"MSG#{each:05}"}, "group": {"S": f"{each:05}"}, "user": {"S": row}} for each in range(number)
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    tracemalloc.start()
    try:
        found = judge(PLAN, {"t": items}, {("public", "users"): [{"uuid": row}]}, now)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (len(found.records), len(found.named), found.faults) == (number, number, [])
    assert held < 400 * number, "an item as a dict takes 1,000 bytes"
