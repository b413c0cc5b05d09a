"""Values of both stores as JSON can carry them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def portable(value: Any, *, fractions: bool = False) -> Any:
    """A value of either store for JSON: numbers stay numbers where JSON can hold them exactly, the rest is text.

    A fraction is a number only with `fractions`: a numeric of Postgres has a scale (12.50), which a number of JSON
    loses; DynamoDB's numbers have none.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return number(value, fractions)
    if isinstance(value, Mapping):
        return {str(key): portable(entry, fractions=fractions) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [portable(entry, fractions=fractions) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted((portable(entry, fractions=fractions) for entry in value), key=str)
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


def number(value: Decimal, fractions: bool) -> int | float | str:
    """A number that a program reads from JSON without loss; else its text."""
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value) if abs(value) < 2**53 else str(value)
    near = float(value)
    return near if fractions and Decimal(repr(near)) == value else str(value)
