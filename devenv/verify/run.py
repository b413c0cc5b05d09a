"""One comparison as plain values: what every worker is told, and where it keeps its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.core.value import Value
from devenv.links.judge import ReadPlan, compile_plan


class StoreIdentity(Value, frozen=True):
    """Which stores these are, however they are reached: cluster and database, and each table's own id and creation."""

    system_identifier: str
    database: str
    tables: Mapping[str, Mapping[str, str]]


class Task(msgspec.Struct, frozen=True):
    """`count` segments of one table's parallel scan, from `segment` on, of `total`: what goes into one spill."""

    table: str
    segment: int
    total: int
    count: int = 1

    @property
    def segments(self) -> range:
        return range(self.segment, self.segment + self.count)


class Run(msgspec.Struct, frozen=True):
    """A comparison. `place` is the folder of its files.

    `keys` maps a table to its key attributes and their types (S, N, B), the hash key first. `classes` are
    `schema.table.column` -> how the column's values are written (see candidate_filter). `cap` bounds the items of a
    task. `plan` says whether repairs shall be planned.
    """

    place: str
    settings: Settings
    postgres: PostgresTarget
    dynamodb: DynamoTarget
    keys: dict[str, dict[str, str]]
    classes: dict[str, str]
    partitions: int
    tasks: tuple[Task, ...]
    reader: Literal["raw", "sdk"] = "raw"
    cap: int | None = None
    plan: bool = False

    @property
    def folder(self) -> Path:
        """Where the files of the comparison are."""
        return Path(self.place)

    def links(self) -> ReadPlan:
        """The declared entities, links and groups, compiled, with the keys that the tables really have."""
        return compile_plan(self.settings, {table: tuple(types) for table, types in self.keys.items()})


def segment_name(number: int) -> str:
    """The name of the spill of a run's `number`th task."""
    return f"segment-{number:04}"


ROWS = "rows"
