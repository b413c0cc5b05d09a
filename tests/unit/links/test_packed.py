"""A large table's items are held packed: judged and shown exactly as if they were not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devenv.config.load import parse
from devenv.links.judge import compile_plan, judge
from devenv.links.packed import PackedItems

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


def test_items_come_back_as_they_were() -> None:
    packed = PackedItems(ITEMS)
    assert list(packed) == ITEMS
    assert (len(packed), packed[1], packed[1:3]) == (4, ITEMS[1], ITEMS[1:3])


def test_packed_items_are_judged_like_any() -> None:
    plan = compile_plan(parse(TREE, Path("devenv.toml")), {"t": ("pk",)})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {("public", "users"): [{"uuid": "ccc290ed-55d1-47a0-bc6d-fe2bc2700399"}]}
    plain, packed = (judge(plan, {"t": items}, rows, now) for items in (ITEMS, PackedItems(ITEMS)))
    assert [(f.kind, f.note) for f in packed.faults] == [(f.kind, f.note) for f in plain.faults] != []
    assert [(r.item, r.key, r.values, r.bad) for r in packed.records] == [
        (r.item, r.key, r.values, r.bad) for r in plain.records
    ]
