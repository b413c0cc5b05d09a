"""Values of both stores as JSON can carry them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def portable(value: Any) -> Any:
    """A value of either store for JSON: numbers stay numbers where JSON can hold them exactly, the rest is text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else str(value)
    if isinstance(value, Mapping):
        return {str(key): portable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [portable(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted((portable(entry) for entry in value), key=str)
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)
