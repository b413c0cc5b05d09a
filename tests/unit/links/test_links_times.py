"""Times are compared with those that they are sorted among, not with those of other keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import compile_plan, judge
from devenv.stores.dynamodb.client import typed_item

PLAN = compile_plan(
    msgspec.convert(
        {
            "project": {"name": "tides"},
            "entities": {
                "day": {"table": "t", "match": {"pk": "PORT#{port}", "sk": "DAY#{day}"}, "attributes": {"day": "time"}},
                "gauge": {
                    "table": "t",
                    "match": {"pk": "PORT#{port}", "sk": "GAUGE#{read_at}"},
                    "attributes": {"read_at": "time"},
                },
            },
        },
        Settings,
    ),
    {"t": ("pk", "sk")},
)
DAYS = ["DAY#2026-10-04", "DAY#2026-10-05"]
GAUGES = ["GAUGE#2026-10-04T05:00:00Z", "GAUGE#2026-10-04T11:00:00Z", "GAUGE#2026-10-04T17:00:00Z"]


def kinds_of(keys: list[str]) -> list[tuple[str, str | None]]:
    """The class of each fault, and the value that has it."""
    items: list[dict[str, Any]] = [{"pk": "PORT#brest", "sk": key} for key in keys]
    found = judge(PLAN, {"t": list(map(typed_item, items))}, {}, datetime.now(UTC))
    return [(fault.kind, fault.observed) for fault in found.faults]


@pytest.mark.parametrize("keys", [[*DAYS, *GAUGES], [*DAYS, *GAUGES[:1]]])
def test_dates_and_times_under_other_prefixes_are_not_compared(keys: list[str]) -> None:
    assert kinds_of(keys) == []


def test_another_form_under_the_same_prefix_is_named() -> None:
    odd = "GAUGE#2026-10-04T20:00:00+02:00"
    assert kinds_of([*DAYS, *GAUGES, odd]) == [("mixed_time_format", odd)]
