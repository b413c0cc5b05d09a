"""Numbers with their word."""

from __future__ import annotations

import pytest

from devenv.core.plural import number_of


@pytest.mark.parametrize(
    ("number", "words", "shown"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (1200, ("row",), "1,200 rows"),
        (2, ("entry",), "2 entries"),
        (2, ("key",), "2 keys"),
        (1, ("item is", "items are"), "1 item is"),
        (3, ("item is", "items are"), "3 items are"),
    ],
)
def test_a_number_and_its_word_agree(number: int, words: tuple[str, ...], shown: str) -> None:
    assert number_of(number, *words) == shown
