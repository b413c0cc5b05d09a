"""Entries held against each other: equality, pairs by id, pairs of what has the same id twice or lost it."""

from __future__ import annotations

import pytest

from devenv.trace.difference import compare
from devenv.trace.observation import Entry


def entry(id: str | None, text: str | None = "x", kind: str = "") -> Entry:
    return Entry(id, {"text": text}, kind)


def test_entries_are_equal_by_id_fields_and_kind() -> None:
    one = entry("a")
    like = Entry("a", {"text": "x"}, "", frozenset({"gone"}), {"other": "y"})
    assert one == like
    assert not one != like  # noqa: SIM202 - both operators
    for other in (entry("b"), entry("a", "y"), entry("a", "x", "kind"), "a"):
        assert one != other
        assert not one == other  # noqa: SIM201
    assert repr(like) == repr(one)


@pytest.mark.parametrize(
    ("before", "after", "missing", "extra", "changed"),
    [
        pytest.param(["a1", "b2"], ["b2", "a1"], (), (), [], id="another order"),
        pytest.param(["a1", "b2"], ["a1"], ("b",), (), [], id="one is missing"),
        pytest.param(["a1"], ["a1", "b2"], (), ("b",), [], id="one is new"),
        pytest.param(["a1"], ["a1", "a1"], (), ("a",), [], id="one came twice"),
        pytest.param(["a1", "b2"], ["a1", "b3"], (), (), [("b", "2", "3")], id="one changed"),
        pytest.param(["a1", "a2"], ["a2", "a1"], (), (), [], id="the same id twice, paired by the text"),
        pytest.param(["a1", "b2"], ["?1", "b2"], (), (), [("a", "a", None)], id="one lost its id"),
        pytest.param(["?1", "b2"], ["?1", "b2"], (), (), [], id="one never had an id"),
    ],
)
def test_entries_are_paired(
    before: list[str], after: list[str], missing: tuple[str, ...], extra: tuple[str, ...], changed: list[object]
) -> None:
    made = [[entry(None if name[0] == "?" else name[0], name[1]) for name in names] for names in (before, after)]
    found = compare(made[0], made[1], {})
    assert (found.missing_ids, found.extra_ids) == (missing, extra)
    assert [(one.id, one.expected, one.observed) for one in found.changed] == changed
    assert len(found.pairs) == len(after) - len(extra)
