"""Time to live: which items are past it or soon will be (within an hour, a day), and did a missing item expire? Pure.

Rules: "Using time to live (TTL) in DynamoDB" in its developer guide. DynamoDB reads numbers only, in epoch seconds, and
leaves alone what lies more than five years in the past. DynamoDB Local does the same, often within ten seconds,
but some items it was seen to keep for minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

Item = Mapping[str, Mapping[str, Any]]
YEAR_S: Final = 365 * 86_400
OLDEST_S: Final = 5 * YEAR_S
HOUR_S, DAY_S = 3_600, 86_400
# The year 5138: what lies beyond it was written in milliseconds.
MILLISECONDS: Final = 100_000_000_000


def is_past(end: float, now: float) -> bool:
    """Return True if DynamoDB deletes an item that ends then."""
    return now - OLDEST_S < end <= now


def end_of(item: Item, attribute: str) -> float | None:
    """When an item expires, in epoch seconds; None when it says nothing that DynamoDB understands."""
    value = item.get(attribute, {}).get("N")
    return None if value is None else float(value)


def when(end: float) -> str:
    """A time of expiry as people write it."""
    return datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Foresight(msgspec.Struct, frozen=True):
    """How many items of a table vanish within an hour and within a day (the hour included), and how many are past
    their time. `never` are those that have the attribute and do not expire by it: their keys and why.
    """

    hour: int = 0
    day: int = 0
    past: int = 0
    never: tuple[tuple[Item, str], ...] = ()


def foresee(items: Iterable[Item], attribute: str, now: float) -> Foresight:
    """Sort a table's items by what their time to live does to them."""
    ends = []
    never = []
    for item in items:
        if (why := never_ends(item, attribute, now)) is not None:
            never.append((item, why))
        elif (end := end_of(item, attribute)) is not None:
            ends.append(end - now)
    return Foresight(
        sum(0 < left <= HOUR_S for left in ends),
        sum(0 < left <= DAY_S for left in ends),
        sum(left <= 0 for left in ends),
        tuple(never),
    )


def never_ends(item: Item, attribute: str, now: float) -> str | None:
    """Why an item that has the attribute does not expire by it; None when it does, or does not have it."""
    value = item.get(attribute)
    if value is None or "NULL" in value:
        return None
    if "N" not in value:
        return f"`{attribute}` is of type {next(iter(value), '?')}, and DynamoDB reads numbers only"
    end = float(value["N"])
    if end > MILLISECONDS:
        return f"`{attribute}` is in milliseconds, and DynamoDB reads seconds"
    if end <= now - OLDEST_S:
        return f"`{attribute}` is more than five years ago ({when(end)}), and DynamoDB does not delete such items"
    return None


# --- what is gone ---


class RemovedRecord(msgspec.Struct, frozen=True):
    """A removed item as the table's stream has it: its image, or its key where the view has no images."""

    item: Item
    by_ttl: bool


class GoneItem(msgspec.Struct, frozen=True):
    """An item that was there and is not. `end`: when it expired or would have, None without a time to live."""

    item: Item
    expired: bool
    end: float | None


def gone_items(
    written: Iterable[Item],
    removed: Sequence[RemovedRecord],
    present: Iterable[Item],
    keys: Sequence[str],
    attribute: str,
    now: float,
) -> list[GoneItem]:
    """The items that are gone, with what became of them.

    `written` is what devenv loaded; without a record of the stream, such an item expired if its time is over. An item
    that is past its time and still there counts as gone.
    """

    def key(item: Item) -> str:
        return repr([item.get(name) for name in keys])

    there = set()
    late: dict[str, GoneItem] = {}
    for item in present:
        end = end_of(item, attribute)
        if end is not None and is_past(end, now):
            late[key(item)] = GoneItem(item, True, end)
        else:
            there.add(key(item))
    found = {}
    for item in written:
        if (place := key(item)) not in there:
            end = end_of(item, attribute)
            found[place] = GoneItem(item, end is not None and is_past(end, now), end)
    for record in removed:
        place = key(record.item)
        before = found.get(place)
        item = before.item if before is not None and len(record.item) <= len(keys) else record.item
        found[place] = GoneItem(item, record.by_ttl, end_of(item, attribute))
    return [one for place, one in {**found, **late}.items() if place not in there]


def gone_text(gone: Sequence[GoneItem], attribute: str) -> str:
    """`3 expired (`expires_at`, the last at …) and DynamoDB deleted them; 1 was deleted by a program`."""
    expired = [one for one in gone if one.expired]
    deleted = [one for one in gone if not one.expired]
    told = []
    if expired:
        last = max((one.end for one in expired if one.end is not None), default=None)
        until = f", the last at {when(last)}" if last is not None else ""
        told.append(f"{len(expired)} expired by `{attribute}`{until}: past its time to live, an item counts as deleted")
    if deleted:
        verb = "was" if len(deleted) == 1 else "were"
        told.append(f"{len(deleted)} {verb} deleted by a program, not because of the time to live")
    return "; ".join(told)
