"""The evidence of a check that passes: it counts the items that were looked at, and names those that were not."""

from __future__ import annotations

import pytest

from devenv.doctor.checks.items import judged
from tests.shapes import World
from tests.unit.doctor.test_doctor_remedies import facts


@pytest.mark.parametrize("kind", ["missing_attribute", "wrong_type", "mixed_time_format", "duplicate"])
def test_items_of_no_declared_kind_do_not_count_as_looked_at(kind: str) -> None:
    world = World()
    known = len(world.items)
    assert judged(kind)(facts(world)).evidence == f"{known} items"
    world.items += [{"pk": f"OTHER#{number}", "sk": "x"} for number in range(3)]
    found = judged(kind)(facts(world))
    assert (found.status, found.evidence) == ("ok", f"{known} items; not compared: 3 more items of no declared kind")
    assert judged(kind, every=True)(facts(world)).evidence == f"{known + 3} items"


def test_where_no_item_has_a_declared_kind_nothing_is_verified() -> None:
    world = World()
    world.items[:] = [{"pk": "OTHER#1", "sk": "x"}]
    found = judged("missing_attribute")(facts(world))
    assert (found.status, found.evidence) == ("error", "not verified: 1 item of no declared kind: nothing was compared")
