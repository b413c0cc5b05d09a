"""Layer cross-store is not run, with the reason, where no link finds an id in the subject's items."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.trace.layers.cross_store import nothing_looked_up


def link(name: str, ids: int = 0, faults: int = 0) -> dict[str, Any]:
    return {"name": name, "target": "hives.id", "ids": ids, "faults": faults}


@pytest.mark.parametrize(
    ("links", "items", "expected"),
    [
        ([link("hive")], 3, "link `hive` finds no id in the 3 items of this subject"),
        (
            [link("hive"), link("keeper")],
            1,
            "links `hive`, `keeper` find no id in the 1 item of this subject",
        ),
        ([link("hive"), link("keeper", ids=1)], 3, None),
        ([link("hive", faults=1)], 3, None),
        ([link("hive")], 0, None),
    ],
)
def test_the_reason(links: list[dict[str, Any]], items: int, expected: str | None) -> None:
    assert nothing_looked_up(links, items) == expected
