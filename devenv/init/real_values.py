"""Values from a project's own seeds: ids and handles for the commands that `init` prints at its end. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from devenv.init.sql_tables import NAME, bare, split_commas

UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ASSIGNED: Final = re.compile(r"""\b(\w+)['"]?\s*(?::\s*\w+\s*)?[:=]\s*['"]([^'"\n${}]{1,60})['"]""")
# `PLOT#{LADDER}`, `PLOT#${LADDER}`: a key that is filled with a constant.
FILLED: Final = re.compile(r"\b([A-Za-z]{3,})#\$?\{(\w+)\}")
# The same in an item: `PLOT#42`.
KEYED: Final = re.compile(r"([A-Za-z]{3,})#([^#\s]+)")
INSERT: Final = re.compile(
    rf"INSERT\s+INTO\s+(?:{NAME}\.)?({NAME})\s*(?:\(([^)]*)\)\s*)?VALUES\s*(?=(.{{0,4000}}))", re.IGNORECASE | re.DOTALL
)
BEHIND_ROWS: Final = re.compile(r"\bON\s+CONFLICT\b|\bRETURNING\b", re.IGNORECASE)
MOST: Final = 200
CODE: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".go")


@dataclass(frozen=True)
class SeedValues:
    """Name -> values, the most telling first. `columns` are those of rows, `names` those that code gives to names.

    `mentioned` are the texts in quotes of what seeds items.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    uuids: tuple[str, ...] = ()
    mentioned: frozenset[str] = frozenset()

    def of(self, parameter: str, kind: str) -> str | None:
        """A value for a parameter: of its own name, of a name that is a part of it, or the one uuid that there is."""
        wanted = plain(parameter)
        fitting = {
            name: [value for value in values if kind != "uuid" or UUID.fullmatch(value)]
            for name, values in self.names.items()
        }
        if exact := fitting.get(wanted):
            return exact[0]
        near = [v[0] for n, v in fitting.items() if v and len(n) > 2 and (n in wanted or wanted.endswith(n))]
        if near:
            return near[0]
        return self.uuids[0] if kind == "uuid" and len(self.uuids) == 1 else None

    def is_uuid(self, parameter: str) -> bool:
        """Return True if all values of this name are uuids."""
        values = self.names.get(plain(parameter), ())
        return bool(values) and all(UUID.fullmatch(value) for value in values)

    def column(self, table: str, column: str) -> tuple[str, ...]:
        """The values of a column, or of a name like it in code that seeds."""
        return self.columns.get((table, column)) or self.names.get(plain(column), ())


def plain(name: str) -> str:
    """A name as people vary it: `groupUuid`, `GROUP_UUID`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_values(
    texts: Mapping[str, str],
    items: Iterable[Mapping[str, str]],
    written: Iterable[Mapping[str, str]] = (),
    declared: Mapping[str, Sequence[str]] | None = None,
    copied: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> SeedValues:
    """The values in SQL's INSERTs, in the items of seed files, and in code that is called a seed.

    `written` are items that programs write: what nothing else tells. `declared` are the columns of each table,
    `copied` the values of those that are filled from files.
    """
    names: dict[str, list[str]] = {}
    columns: dict[tuple[str, str], list[str]] = {place: [*values] for place, values in (copied or {}).items()}
    uuids: Counter[str] = Counter()
    others: dict[str, list[str]] = {}
    mentioned: set[str] = set()
    for item in items:
        mentioned |= set(item.values())
        for name, value in item.items():
            uuids.update(UUID.findall(value))
            names.setdefault(plain(name), []).append(value)
            if (keyed := KEYED.fullmatch(value)) is not None:
                names.setdefault(plain(keyed[1]), []).append(keyed[2])
    for file, text in sorted(texts.items(), key=lambda each: "seed" not in each[0].lower()):
        if file.endswith((".sql", ".py")):
            for table, column, value in inserted(text, declared or {}):
                columns.setdefault((table, column), []).append(value)
        if file.endswith(".sql"):
            continue
        if "seed" in file.lower():
            uuids.update(UUID.findall(text))
            mentioned |= set(re.findall(r"""['"]([^'"\n]{1,60})['"]""", text))
            given = ASSIGNED.findall(text)[:MOST]
            known = dict(given)
            for name, value in (*given, *((kind, known[name]) for kind, name in FILLED.findall(text) if name in known)):
                names.setdefault(plain(name), []).append(value)
        elif file.endswith(CODE):
            for name, value in ASSIGNED.findall(text)[:MOST]:
                others.setdefault(plain(name), []).append(value)
    # What code that is no seed calls so comes second.
    names = {**keyed_values(written), **others, **names}
    return SeedValues(
        {name: tuple(dict.fromkeys(values)) for name, values in names.items()},
        {place: tuple(dict.fromkeys(values)) for place, values in columns.items()},
        tuple(uuids),
        frozenset(mentioned),
    )


def keyed_values(items: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Word -> ids of texts such as `PLOT#42`."""
    found: dict[str, list[str]] = {}
    for keyed in (match for item in items for value in item.values() if (match := KEYED.fullmatch(value))):
        found.setdefault(plain(keyed[1]), []).append(keyed[2])
    return found


def inserted(text: str, columns: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, str, str]]:
    """(table, column, value) of texts and whole numbers in INSERT … VALUES; `columns`: of each table, in order."""
    for match in INSERT.finditer(text):
        names = [bare(name.strip()) for name in match[2].split(",")] if match[2] else columns.get(bare(match[1]), ())
        rows = split_commas(BEHIND_ROWS.split(match[3].partition(";")[0].partition('"""')[0])[0].rstrip())
        for row in rows[:MOST]:
            if not (row.startswith("(") and row.endswith(")")):
                break
            for name, value in zip(names, split_commas(row[1:-1]), strict=False):
                if re.fullmatch(r"'[^']*'|\d+", value):
                    yield bare(match[1]), name, value.strip("'")
