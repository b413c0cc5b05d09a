"""The page's knowledge of DynamoDB's tables: keys, indexes and counts, kept where DescribeTable takes long.

DynamoDB Local counts a table whenever it describes it: seconds for a million items. A table that is described at once
is described anew for every page. Another one is shown by its last description (at first by its definition), after
one small Query or GetItem has shown that its keys are still these; its count comes later (`/stream/tables`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import DevenvError, StoreError
from devenv.query.items import describe, types_of
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.dynamodb.key_schema import keys_of, places_of

if TYPE_CHECKING:
    from devenv.stack import Stack

# A table whose description took longer is not described again for every page.
QUICK_S: Final = 0.1
# A table of not more items and bytes (those of one page of a Scan) is described for every page.
SMALL: Final = 1000
SMALL_BYTES: Final = 1_000_000
# A description is used this long, or this many times as long as it took: a table is not counted all the time.
KEPT_S: Final = 60.0
KEPT_TIMES: Final = 20
LIMIT_S: Final = 120.0
# A value of each type that a key may have, of an item that need not exist.
PROBES: Final = {"S": {"S": "-"}, "N": {"N": "0"}, "B": {"B": "AA=="}}
Described = Mapping[str, Any]


@dataclass(frozen=True)
class TableRecord:
    """A description with its age. `took`: the seconds that it took; None: it is the declared one, without a count.

    `version` is that of the project's state at that time: `up`, `reset` and the steps change it.
    """

    described: Described
    took: float | None
    at: float
    version: int

    @property
    def slow(self) -> bool:
        """True if the table is not described again for every page."""
        if self.took is None:
            return True
        large = self.described["ItemCount"] > SMALL or self.described["TableSizeBytes"] > SMALL_BYTES
        return large and self.took > QUICK_S

    def due(self, version: int) -> bool:
        """True if it is time for a new description."""
        if self.took is None or self.version != version:
            return True
        return monotonic() - self.at > max(KEPT_S, KEPT_TIMES * self.took)


@dataclass(frozen=True)
class ShownTable:
    """A table for a page. `count`: its items, None when not counted yet; `about`: that count is an older one.

    `due`: a new description is to be taken when the page has been sent.
    """

    described: Described
    count: int | None
    about: bool
    due: bool


class Tables:
    """The descriptions that this page's process has. Any thread may ask."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._records: dict[tuple[str, str], TableRecord] = {}
        self._taking: dict[tuple[str, str], threading.Lock] = {}

    def look(self, opened: Stack, dynamodb: Dynamo, table: str, index: str = "") -> ShownTable:
        """The table's keys as they are now; with `index`, a description that has this index, if there is one.

        StoreError if there is no such table.
        """
        found = self._record(opened, dynamodb, table, index) or self._take(opened, dynamodb, table)
        return self._seen(opened, found)

    def glance(self, opened: Stack, dynamodb: Dynamo, table: str) -> ShownTable | None:
        """The same, but None where that would take long."""
        found = self._record(opened, dynamodb, table, "")
        return self._seen(opened, found) if found else None

    def forget(self, dynamodb: Dynamo, table: str) -> bool:
        """Drop an older description, which a refused request has shown to be out of date; True if there was one."""
        key = (dynamodb.target.endpoint, table)
        with self._guard:
            found = self._records.get(key)
            if found is None or not found.slow:
                return False
            self._records[key] = TableRecord({}, None, 0.0, 0)
            return True

    def renew(self, opened: Stack, dynamodb: Dynamo, table: str) -> tuple[ShownTable, bool]:
        """Describe the table, if it is time to; and if its keys or indexes are others than a page was shown before."""
        before = after = self._records.get((dynamodb.target.endpoint, table))
        if after is None or after.due(version_of(opened)) or not fits(dynamodb, after.described):
            after = self._take(opened, dynamodb, table)
        other = before is not None and bool(before.described) and shape(before.described) != shape(after.described)
        return self._seen(opened, after), other

    def _seen(self, opened: Stack, record: TableRecord) -> ShownTable:
        about = record.slow and monotonic() - record.at > QUICK_S
        return ShownTable(
            record.described, record.described.get("ItemCount"), about, record.slow and record.due(version_of(opened))
        )

    def _record(self, opened: Stack, dynamodb: Dynamo, table: str, index: str) -> TableRecord | None:
        """The record that can be had at once; None where only a description that takes long will do."""
        key = (dynamodb.target.endpoint, table)
        before = found = self._records.get(key)
        if found is None or (found.slow and not fits(dynamodb, found.described)):
            if is_small(dynamodb, table):
                return self._take(opened, dynamodb, table)
            # After a refused request what is declared may be as wrong as what was known.
            declared = declared_table(opened, table) if found is None or found.described else None
            usable = declared is not None and fits(dynamodb, declared)
            found = TableRecord(declared, None, 0.0, version_of(opened)) if declared and usable else None
        if found is not None and not found.slow:
            return self._take(opened, dynamodb, table)
        if found is None or not has_index(found.described, index):
            return None
        with self._guard:
            if self._records.get(key) is before:
                self._records[key] = found
        return found

    def _take(self, opened: Stack, dynamodb: Dynamo, table: str) -> TableRecord:
        """A new description, or the one that another page waits for already."""
        key = (dynamodb.target.endpoint, table)
        asked = monotonic()
        with self._guard:
            taking = self._taking.setdefault(key, threading.Lock())
        with taking:
            found = self._records.get(key)
            if found is not None and found.slow and found.at >= asked:
                return found
            version = version_of(opened)
            began = monotonic()
            try:
                # Counting may take longer than a page's other requests; who is far away counts nothing.
                own = Dynamo(dynamodb.target, timeout=LIMIT_S) if dynamodb.transport is None else dynamodb
                with own if own is not dynamodb else nullcontext():
                    described = describe(own, table)
            except StoreError:
                with self._guard:
                    self._records.pop(key, None)
                raise
            found = TableRecord(described, monotonic() - began, monotonic(), version)
            with self._guard:
                self._records[key] = found
            return found


def version_of(opened: Stack) -> int:
    """The time at which a command last changed what it remembers of the project; 0 before there is anything."""
    try:
        return (opened.folder / "state.json").stat().st_mtime_ns
    except OSError:
        return 0


def shape(described: Described) -> Any:
    """Keys and indexes, to compare."""
    return sorted(
        (place.index or "", place.keys, [place.types.get(each) for each in place.keys])
        for place in places_of(described)
    )


def has_index(described: Described, index: str) -> bool:
    """Return True if the table has this index, or none is asked for."""
    return not index or any(place.index == index for place in places_of(described))


def is_small(dynamodb: Dynamo, table: str) -> bool:
    """Return True if the table is described at once: it is small, or not on this machine, where nothing is counted."""
    if dynamodb.transport is not None:
        return True
    try:
        answer = dynamodb.call("Scan", {"TableName": table, "Limit": SMALL, "Select": "COUNT"})
    except StoreError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return True
    return "LastEvaluatedKey" not in answer


def fits(dynamodb: Dynamo, described: Described) -> bool:
    """Return True if the table is there and its key has these names, types and parts: a request that reads nothing."""
    if not described:
        return False
    types = types_of(described)
    partition, sort = keys_of(described)
    table = {"TableName": described["TableName"]}
    try:
        if sort is None:
            dynamodb.call("GetItem", {**table, "Key": {partition: PROBES[types[partition]]}})
        else:
            query = {
                "KeyConditionExpression": "#h = :h AND #s > :s",
                "ExpressionAttributeNames": {"#h": partition, "#s": sort},
                "ExpressionAttributeValues": {":h": PROBES[types[partition]], ":s": PROBES[types[sort]]},
                "Limit": 1,
            }
            dynamodb.call("Query", {**table, **query})
    except StoreError as error:
        if error.code not in ("ValidationException", "ResourceNotFoundException"):
            raise
        return False
    return True


def declared_table(opened: Stack, table: str) -> Described | None:
    """The CreateTable request that the project declares for a table."""
    from devenv.steps.registry import STEPS

    step = next(step for step in STEPS if step.name == "schema-load")
    try:
        definitions = step.read(opened.settings, opened.root).content or ()
    except DevenvError:
        return None
    return next((each.request for each in definitions if each.table == table), None)
