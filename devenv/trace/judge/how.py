"""How a value differs from what it should be, without saying the value: people's own words may be in it. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from devenv.trace.difference import Change, moment

# What broken text comes from: UTF-8 that was taken for one of these, and encoded again.
CODECS: Final = ("latin-1", "cp1252")
SHORT: Final = 3
UNITS: Final = ((1, "seconds"), (1000, "milliseconds"), (1_000_000, "microseconds"))


def how_text(changed: Iterable[Change], type_name: str | None) -> str:
    """` (cut off after 80 characters)`: what all these changes of one field have in common; "" without such a thing."""
    ways = {way_of(one, type_name) for one in changed}
    way = ways.pop() if len(ways) == 1 else None
    return f" ({way})" if way else ""


def way_of(change: Change, type_name: str | None) -> str | None:
    """The way in which one value was changed."""
    expected, observed = change.expected, change.observed
    if expected is None or observed is None:
        return None
    if type_name == "time" and (way := way_of_time(expected, observed)):
        return way
    if any(encoded_again(observed, codec) == expected for codec in CODECS):
        return "its UTF-8 was read as another encoding and encoded again"
    if html.unescape(observed) == expected:
        return "escaped for HTML"
    bare = observed if expected.startswith(observed) else observed.rstrip(". …")
    if SHORT < len(bare) < len(expected) and expected.startswith(bare):
        return f"cut off after {len(bare)} characters"
    if observed.split() == expected.split() or observed.strip() == expected.strip():
        return "with different white space"
    return "with different capitals" if observed.casefold() == expected.casefold() else None


def encoded_again(text: str, codec: str) -> str | None:
    """The text before its UTF-8 was read as `codec`; None where it was not."""
    try:
        return text.encode(codec).decode()
    except UnicodeError:
        return None


def way_of_time(expected: str, observed: str) -> str | None:
    """The way in which a time is written otherwise, or means another moment."""
    right = moment(expected)
    if right is None:
        return None
    try:
        number = Decimal(observed)
    except InvalidOperation:
        number = None
    if number is not None and number.is_finite():
        seconds = Decimal(str(right.timestamp()))
        return next((f"{name} since 1970" for factor, name in UNITS if abs(number / factor - seconds) < 1), "a number")
    try:
        other = datetime.fromisoformat(observed)
    except ValueError:
        return "not a time in ISO 8601"
    if other.tzinfo is None:
        same = other == right.replace(tzinfo=None)
        return "without its time zone" if same else "without a time zone, and another time of day"
    return "another moment"
