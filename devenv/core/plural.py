"""Numbers with the noun that they count, and tables by name. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence


def number_of(number: int, one: str, many: str = "") -> str:
    """`1 row`, `1,200 rows`, `2 entries`; `many` where the plural is another word than by the rule."""
    if number != 1:
        one = many or (f"{one[:-1]}ies" if one.endswith("y") and one[-2:-1] not in "aeiou" else f"{one}s")
    return f"{number:,} {one}"


def tables_named(names: Sequence[str]) -> str:
    """table `orders`, or: tables `carts`, `orders`. A bare name of a table can be read as a word."""
    return f"table{'s' * (len(names) > 1)} {', '.join(f'`{name}`' for name in names)}"


def size_words(size: float) -> str:
    """`0 B`, `812 kB`, `46.1 MB`, `1.2 GB`: decimal units, three digits."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor * 0.9995:
            number = size / factor
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:,.0f} {unit}"
    return f"{size:.0f} B"
