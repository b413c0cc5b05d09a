"""Observations of the declared access patterns, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from devenv.capture.calls import StoreCall
from devenv.config.schema import Operation, Pattern, Settings
from devenv.core.value import Value
from devenv.init.review import CodeFault
from devenv.patterns.declared import PatternResult
from devenv.stores.dynamodb.capacity import item_bytes
from devenv.stores.dynamodb.key_schema import Place, place_of, places_of

Item = Mapping[str, Mapping[str, Any]]


class TableSeen(Value, frozen=True, dict=True):
    """One table: DescribeTable's answer (None: there is none), its items, and the declared CreateTable request.

    `complete` is False when there are more items than were read.
    """

    name: str
    described: Mapping[str, Any] | None
    items: Sequence[Item] = ()
    complete: bool = True
    declared: Mapping[str, Any] | None = None

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The table and its indexes, as they are; where there is no table, as they are declared."""
        table = self.described or self.declared
        return places_of(table) if table is not None else ()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The size of each item in bytes."""
        return tuple(map(item_bytes, self.items))

    def place(self, index: str | None) -> Place | None:
        """The table itself or one index."""
        return place_of(self.described or self.declared, index)


class Sample(Value, frozen=True):
    """Parameters of one run. `why` says where they come from, in words; `count` how many items share the key."""

    values: Mapping[str, str]
    why: str
    count: int | None = None


class Unsampled(Value, frozen=True):
    """Why a pattern has no parameters to run with. `fault`: because the data contradicts the declaration.

    `part` is what matches nothing: the `key`, or the condition on the `sort` key; `asked` is it with its parameters.
    """

    reason: str
    fault: bool = False
    part: str = "key"
    stored: tuple[str, ...] = ()
    asked: str = ""


class RunSeen(Value, frozen=True):
    """One run of a pattern: the request, what it brought, or the store's refusal (`code`, `detail`).

    `pages` are the sizes of all items that were read, page by page, thrown away ones too; `kinds`
    are their entities, in one row. `units` is our arithmetic.
    """

    sample: Sample
    request: Mapping[str, Any] = {}
    read: PatternResult | None = None
    pages: tuple[tuple[int, ...], ...] = ()
    units: float | None = None
    ms: float | None = None
    kinds: tuple[str | None, ...] = ()
    code: str | None = None
    detail: str | None = None

    @property
    def bytes(self) -> int:
        """The total size of the items that were read."""
        return sum(map(sum, self.pages))


class ScriptSeen(Value, frozen=True):
    """The project's own command for a pattern: how it ended, what it printed, what it asked.

    `asked` are its reads (None: not captured), `items` what the store answered them with, `printed` how many entries
    its JSON has (None: it printed none). `failure` is why there is no answer.
    """

    command: tuple[str, ...]
    declared: StoreCall
    asked: tuple[StoreCall, ...] | None = None
    items: tuple[Item, ...] | None = None
    printed: int | None = None
    failure: str | None = None
    ms: float | None = None


class SeenPattern(Value, frozen=True):
    """One declared pattern with what was seen of it. `place` is None when there is no such table or index.

    `amount` is what it amounts to by the keys that there are, `entities` are the kinds of items that it brings.
    """

    name: str
    pattern: Pattern
    place: Place | None
    amount: Operation
    runs: tuple[RunSeen, ...] = ()
    unsampled: Unsampled | None = None
    script: ScriptSeen | None = None
    entities: tuple[str, ...] = ()

    @property
    def main(self) -> RunSeen | None:
        """The run that counts: the one with the most to read."""
        return self.runs[0] if self.runs else None


class SqlRun(Value, frozen=True):
    """A pattern in SQL: its number of rows, or Postgres's words for refusing it, or why it was not run."""

    rows: int | None = None
    refused: str | None = None
    not_run: str | None = None


class Observed(Value, frozen=True):
    """Everything that the judgement, the explanation and the matrix are made of.

    `kinds` are the entities of each table's items, in the order of the items (None: of no declared kind).
    `code` are the faults that the queries of the code have by their text. `sql` are the patterns of Postgres.
    """

    settings: Settings
    tables: Mapping[str, TableSeen]
    accesses: Mapping[str, SeenPattern]
    kinds: Mapping[str, tuple[str | None, ...]] = {}
    code: tuple[CodeFault, ...] = ()
    sql: Mapping[str, SqlRun] = {}

    def of(self, place: Place) -> list[SeenPattern]:
        """The patterns that read this place."""
        return [each for each in self.accesses.values() if each.place == place]


def amount_of(pattern: Pattern, place: Place | None) -> Operation:
    """The operation that a declared pattern needs.

    A GetItem with the whole key, a Query with the partition key, else a Scan.
    """
    if place is None:
        return pattern.kind
    if pattern.kind == "Scan" or place.hash not in pattern.key:
        return "Scan"
    whole = place.sort is None or place.sort in pattern.key or "equals" in pattern.sort
    return "GetItem" if whole and place.kind == "table" and pattern.kind == "GetItem" else "Query"
