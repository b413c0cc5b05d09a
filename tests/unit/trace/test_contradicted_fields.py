"""An item whose key contradicts its attribute: the function that returns the attribute is not to blame."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import compile_plan
from devenv.links.read import read_records
from devenv.stores.dynamodb.client import typed_item
from devenv.trace.answers import form_of_items

SETTINGS = msgspec.convert(
    {
        "project": {"name": "p"},
        "entities": {
            "booking": {
                "table": "t",
                "match": {"pk": "ROOM#{room}", "gsi1pk": "MEMBER#{member}"},
                "attributes": {"member": "number"},
            }
        },
        "trace": {"bookings": {"entity": "booking", "ids": {"dynamodb": "pk"}, "fields": {"member": "member"}}},
    },
    Settings,
)
ITEM = {"pk": "ROOM#1", "gsi1pk": "MEMBER#101", "member": 101}


@pytest.mark.parametrize(
    ("change", "shown"),
    [({}, "101"), ({"gsi1pk": "MEMBER#103"}, "101"), ({"member": 103}, "103"), ({"member": None}, "101")],
)
def test_a_field_is_the_stored_attribute(change: dict[str, Any], shown: str) -> None:
    plan = compile_plan(SETTINGS, {"t": ("pk",)})
    form = form_of_items(SETTINGS.trace["bookings"], plan)
    item = {name: value for name, value in {**ITEM, **change}.items() if value is not None}
    [record] = read_records(plan, "t", [typed_item(item)])
    assert form is not None
    assert form.entry(record).fields == {"member": shown}
