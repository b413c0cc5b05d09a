"""Seeds are read while the store writes: one part ahead, no more; and the ledger names its tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.steps.ledger import Ledger
from devenv.steps.seed.writes import ahead


def test_the_next_part_is_made_while_the_caller_holds_one_and_no_further() -> None:
    made: list[int] = []
    second, third = threading.Event(), threading.Event()

    def parts() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            if number == 1:
                second.set()
            if number == 2:
                third.set()
            yield number

    with closing(ahead(parts())) as coming:
        assert next(coming) == 0
        assert second.wait(10)
        assert made == [0, 1]
        assert next(coming) == 1
        assert third.wait(10)
        assert list(coming) == [2]


def test_an_error_comes_where_its_part_would_come() -> None:
    def parts() -> Iterator[int]:
        yield 1
        raise UsageError("items.jsonl: item 2 is not an object")

    coming = ahead(parts())
    assert next(coming) == 1
    with pytest.raises(UsageError, match="item 2"):
        next(coming)


def test_no_thread_is_left_when_the_caller_stops_early() -> None:
    def parts() -> Iterator[int]:
        yield from range(1_000_000)

    before = set(threading.enumerate())
    with closing(ahead(parts())) as coming:
        assert next(coming) == 0
    assert set(threading.enumerate()) <= before


def test_the_ledger_names_each_table_with_items_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        assert ledger.tables() == []
        for table in ("b", "a", "ä", "c"):
            ledger.settle(table, {b"1": {"pk": {"S": "1"}}, b"2": {"pk": {"S": "2"}}})
        ledger.settle("c", {b"1": None, b"2": None})
        assert ledger.tables() == ["a", "b", "ä"]
