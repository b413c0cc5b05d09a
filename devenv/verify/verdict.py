"""When a comparison proves something. Pure: coverage in, reasons why it proves nothing out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from devenv.core.plural import number_of, tables_named
from devenv.core.value import Value

UNLINKED: Final = (
    "no links between the stores are declared: devenv.toml has no [[links]]. Declare which attribute refers to a row "
    "(`devenv doctor --only XST004` names candidates); if no item refers to a row: [project] cross_store = false"
)


class TableCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """The coverage of one table. `known`: items of a declared kind (all, where no kind is declared).

    `finished`: segments that ended with no further page, proven by asking once more; `counted`: the store's own
    number of items (None: not asked). `unread`: attribute -> items in which a link can read no id. `ids`: link -> how
    many it read, a template's parts one by one.
    """

    table: str
    segments: int
    finished: int
    capped: int
    items: int
    known: int
    expired: int
    keys: tuple[str, ...]
    declared_keys: tuple[str, ...] | None
    counted: int | None
    unread: dict[str, int] = {}
    ids: dict[str, int] = {}

    @property
    def slack(self) -> int:
        """How many items writers may move past a scan while it runs: it sees some twice and others not at all."""
        return self.items // 100


class Coverage(Value, frozen=True):
    """The coverage of both stores. `rows`: per link its target and number of rows; `problems`: what went wrong.

    `unlinked`: both stores have data, and no link is declared between them.
    """

    tables: tuple[TableCoverage, ...] = ()
    rows: Mapping[str, Mapping[str, Any]] = {}
    problems: tuple[str, ...] = ()
    resumed: int = 0
    unlinked: bool = False

    @property
    def items(self) -> int:
        """Items read, of all tables."""
        return sum(table.items for table in self.tables)

    def targets(self) -> dict[str, int]:
        """Rows read, by the column that links lead to."""
        return {str(facts["target"]): int(facts["rows"]) for facts in self.rows.values()}

    def document(self) -> dict[str, Any]:
        """For the report."""
        return {
            "segments": sum(table.segments for table in self.tables),
            "segments_finished": sum(table.finished for table in self.tables),
            "segments_resumed": self.resumed,
            "items_scanned": self.items,
            "items_expired": sum(table.expired for table in self.tables),
            "rows_read": sum(self.targets().values()),
            "caps_hit": [table.table for table in self.tables if table.capped],
            "tables": [msgspec.to_builtins(table) for table in self.tables],
            "rows": [{"target": target, "rows": count} for target, count in self.targets().items()],
            "problems": list(self.problems),
        }


def judge_coverage(coverage: Coverage) -> tuple[str, ...]:
    """Why the coverage proves nothing, in words; empty when it is a proof."""
    unlinked = (UNLINKED,) if coverage.unlinked else ()
    doubts = (reason for table in coverage.tables for reason in doubt(table))
    return (*coverage.problems, *unlinked, *doubts, *emptiness(coverage))


def doubt(table: TableCoverage) -> Iterator[str]:
    """The problem with the coverage of one table."""
    if table.declared_keys is not None and table.keys != table.declared_keys:
        yield (
            f"table `{table.table}` is not the declared one: its key is {', '.join(table.keys)}; "
            f"declared: {', '.join(table.declared_keys)}"
        )
    if table.capped:
        yield f"the scan of table `{table.table}` stopped at the given number of items"
    elif table.finished < table.segments:
        segments = number_of(table.segments, "segment")
        yield f"{table.segments - table.finished} of {segments} of table `{table.table}` did not end"
    if table.counted is not None and table.counted > table.items + table.slack:
        yield f"{number_of(table.items, 'item')} of table `{table.table}` read, but the table has {table.counted:,}"
    for attribute, items in table.unread.items():
        where = f"`{attribute}` of {number_of(items, 'item')} of table `{table.table}`"
        why = "the attribute is binary, a map or a boolean, or has a different form than the ids of the rows"
        yield f"a link finds no id in {where}: {why}"
    if table.items and not table.known:
        yield f"none of {number_of(table.items, 'item')} of table `{table.table}` is of a declared kind"


def idle_links(coverage: Coverage) -> tuple[list[tuple[str, TableCoverage]], bool]:
    """The links that read no id in any item, each with its table; True if no link of any table read one."""
    read = [(name, count, table) for table in coverage.tables for name, count in table.ids.items()]
    idle = [(name, table) for name, count, table in read if not count and not table.unread]
    return idle, bool(idle) and len(idle) == len(read)


def emptiness(coverage: Coverage) -> Iterator[str]:
    """An empty side agrees with everything."""
    idle, all_of_them = idle_links(coverage)
    if all_of_them:
        yield from (f"link `{name}` finds no id in any item of table `{table.table}`" for name, table in idle)
    if not coverage.problems:
        yield from (f"table `{table.table}` has no items" for table in coverage.tables if not table.items)
        yield from (f"{target} has no rows" for target, count in coverage.targets().items() if not count)


def list_not_compared(coverage: Coverage, declared: Iterable[str]) -> Iterator[str]:
    """Return what the comparison leaves out, though it may prove all the rest: nothing is declared about it."""
    read = {table.table for table in coverage.tables}
    if coverage.tables and (idle := [table for table in declared if table not in read]):
        yield f"{tables_named(idle)}: no entity and no link of devenv.toml names {'it' if len(idle) == 1 else 'them'}"
    idle_ones, all_of_them = idle_links(coverage)
    if not all_of_them:
        yield from (f"link `{name}` finds no id in any item of table `{table.table}`" for name, table in idle_ones)
    for table in coverage.tables:
        if table.known and (others := table.items - table.known):
            yield f"{number_of(others, 'item')} of table `{table.table}`: of no declared kind"
        if table.expired:
            yield f"{number_of(table.expired, 'item')} of table `{table.table}`: expired, but not deleted yet"
