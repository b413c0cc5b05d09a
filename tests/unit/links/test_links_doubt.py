"""What is not copied: from a row that has a fault itself, or whose natural key another row took."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import Fault, compile_plan, judge
from devenv.stores.dynamodb.client import typed_item
from devenv.verify.repair import plan_repairs

USERS = ("public", "users")
SETTINGS = {
    "project": {"name": "notes"},
    "links": [
        {
            "from": "dynamodb:notes.user_id",
            "to": "postgres:users.id",
            "natural_key": {"handle": "handle"},
            "copies": {"title": "title"},
        }
    ],
}
PLAN = compile_plan(msgspec.convert(SETTINGS, Settings), {"notes": ("pk",)})
ADA = {"id": "1", "handle": "ada", "title": "Ada"}
BO = {"id": "2", "handle": "bo", "title": "Bo"}
CY = {"id": "3", "handle": "cy", "title": "Cy"}
ITEMS = [
    {"pk": f"n{row['id']}", "user_id": row["id"], "handle": row["handle"], "title": row["title"]} for row in (ADA, BO)
]


def faults(*rows: dict[str, Any]) -> list[Fault]:
    judged = judge(PLAN, {"notes": list(map(typed_item, ITEMS))}, {USERS: rows}, datetime.now(UTC))
    unsafe = [fault for fault in judged.faults if not fault.safe]
    assert not {id(fault.record) for fault in unsafe if fault.record} & {
        id(write.before) for write in plan_repairs(judged, PLAN)
    }
    return [fault for fault in judged.faults if fault.kind in ("stale_copy", "mismatched_id", "placeholder")]


def test_a_row_that_changed_is_copied() -> None:
    assert [fault.safe for fault in faults({**ADA, "title": "Ada N"}, BO)] == [True]
    assert [fault.safe for fault in faults({**ADA, "handle": "ada2"}, BO)] == [True]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (({**ADA, "handle": "bo"}, {**BO, "handle": "ada"}), "has the item's value now"),
        (({**ADA, "handle": "adam"}, {**BO, "handle": "ada"}), "has the item's value now"),
        (({**ADA, "handle": "ada "}, BO), "has leading or trailing blanks"),
        (({**ADA, "title": "New"}, BO, {**CY, "handle": "ADA"}), "differ only in capitals or blanks"),
        (({**ADA, "handle": "x", "title": "New"}, BO, {**CY, "handle": "x"}), "has 2 rows"),
        (({**ADA, "title": "{{title}}"}, BO), "{{title}}"),
    ],
    ids=["swap", "taken over", "trailing blank", "nearly the same", "two rows", "a placeholder"],
)
def test_a_row_in_doubt_is_shown_and_not_copied(rows: tuple[dict[str, Any], ...], says: str) -> None:
    found = [fault for fault in faults(*rows) if fault.subjects[0] == "1" or (fault.row and fault.row["id"] == "1")]
    assert found
    assert not any(fault.safe for fault in found)
    assert any(says in fault.note for fault in found)
