"""Numbers with the word that they count. Standard library only."""

from __future__ import annotations


def number_of(number: int, one: str, many: str = "") -> str:
    """`1 row`, `1,200 rows`, `2 entries`; `many` where the plural is another word than by the rule."""
    if number != 1:
        one = many or (f"{one[:-1]}ies" if one.endswith("y") and one[-2:-1] not in "aeiou" else f"{one}s")
    return f"{number:,} {one}"
