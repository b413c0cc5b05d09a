"""The pattern rules on values, without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from devenv.core.model import CheckResult
from devenv.patterns.judge import judge
from devenv.patterns.seen import Observed, SeenPattern, TableSeen
from devenv.stores.dynamodb.client import typed_item
from tests.integration.design_support import BASE, bad, index, one_of, settings_of, table, told

# --- on values, without a store ---


def judged(
    definition: Mapping[str, Any], items: Sequence[Mapping[str, Any]] = (), patterns: str = "", **seen: Any
) -> list[CheckResult]:
    """What is found on a table with these items."""
    table_seen = TableSeen("Tab", definition, [typed_item(item) for item in items], **seen)
    settings = settings_of(patterns)
    accesses = {
        name: SeenPattern(name, pattern, table_seen.place(pattern.index), "Query")
        for name, pattern in settings.patterns.items()
    }
    return bad(judge(Observed(settings, {"Tab": table_seen}, accesses)))


def test_a_hot_partition() -> None:
    items = [{"pk": "a" if number % 10 else f"b{number}", "sk": str(number)} for number in range(600)]
    finding = one_of(judged(BASE, items), "PAT008")
    assert "pk = a has 540 of 600 items" in finding.evidence
    assert "shard number" in told(finding)


def test_an_index_with_few_values() -> None:
    definition = table("pk", indexes=[index("by-status", "status")])
    items = [{"pk": str(number), "status": "open" if number % 3 else "closed"} for number in range(300)]
    finding = one_of(judged(definition, items), "PAT009")
    assert finding.subjects == ("Tab/by-status",)
    assert "300 items under 2 values of status (closed, open)" in finding.evidence
    assert "an id or a shard number" in told(finding)


def test_a_few_ids_are_not_few_kinds() -> None:
    items = [{"pk": f"MSG#{number % 3}-5ae290ed", "sk": f"{number:03}"} for number in range(300)]
    assert judged(BASE, items) == []


def test_a_partition_near_ten_gigabytes_under_a_local_index() -> None:
    definition = table("pk", "sk", local=[index("by-who", "pk", "who")])
    seen = TableSeen("Tab", definition, [typed_item({"pk": "a", "sk": "1", "who": "x"})])
    seen.__dict__["sizes"] = (9 * 1024**3,)
    finding = one_of(bad(judge(Observed(settings_of(""), {"Tab": seen}, {}))), "PAT021")
    assert "9.0 of 10 GB" in finding.evidence
    assert "new table with global indexes" in told(finding)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (
            table("pk", "sk", local=[index(f"l{n}", "pk", f"a{n}") for n in range(6)]),
            ["6 local indexes", "at most 5", "added online"],
        ),
        (table("pk", "sk", indexes=[index(f"g{n}", f"a{n}") for n in range(21)]), ["21 global indexes", "20"]),
        (table("pk", "sk", local=[index("l", "who", "sk")]), ["partition key who", "make it a global index"]),
        (table("pk", "sk", local=[index("l", "pk")]), ["no sort key of its own"]),
        (
            table("pk", indexes=[index("g", "a", projection=[f"x{n}" for n in range(101)])]),
            ["101 attributes", "project ALL"],
        ),
    ],
)
def test_indexes_that_dynamodb_does_not_make(definition: Mapping[str, Any], words: Sequence[str]) -> None:
    finding = one_of(judged_declared(definition), "PAT020")
    assert [word for word in words if word not in told(finding)] == []


def judged_declared(definition: Mapping[str, Any]) -> list[CheckResult]:
    """What is found on a table that is declared only."""
    return bad(judge(Observed(settings_of(""), {"Tab": TableSeen("Tab", None, declared=definition)}, {})))
