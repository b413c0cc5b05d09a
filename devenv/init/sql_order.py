"""The order in which SQL files can run: by name, where that works, else by what each file needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from devenv.init.sql_tables import SqlFile
from devenv.steps.step import natural_key

NUMBERED: Final = re.compile(r"[VvRr]?_*\d+")


def order_files(files: Iterable[SqlFile]) -> list[SqlFile]:
    """The files in an order in which every object is there when it is referred to, read or filled.

    Names in order (`01_…`, `02_…`) are the project's own answer, where it works.
    """
    files = sorted(files, key=lambda file: natural_key(file.name))
    needs = needs_of(files)
    if in_order(files, needs):
        return files
    if all(NUMBERED.match(file.name.rpartition("/")[2]) for file in files):
        return by_need(files, needs)
    waiting = sorted(files, key=lambda file: bool(file.fills or file.touches) and not file.tables)
    done = by_need(waiting, needs_of(files, fills=False))
    # What fills a table stands behind everything that declares one, or changes it.
    makes = [f for f in done if f.tables or not f.fills]
    return makes + order_fills([f for f in done if f not in makes], done)


def needs_of(files: Sequence[SqlFile], *, fills: bool = True) -> dict[str, frozenset[str]]:
    """File -> the names that it needs and other files make, those of tables that it only fills as well if `fills`."""
    every = frozenset(name for file in files for name in made_by(file))
    return {
        file.name: (
            file.uses
            | file.reads
            | {name for table in file.tables for name in table.references}
            | set(file.touches)
            | (set(file.fills) if fills else set())
        )
        & every - made_by(file) - (frozenset() if fills else set(file.fills))
        for file in files
    }


def made_by(file: SqlFile) -> frozenset[str]:
    """The names of all objects of a file that another one may need."""
    return file.makes | {table.name for table in file.tables}


def in_order(files: Iterable[SqlFile], needs: Mapping[str, frozenset[str]]) -> bool:
    """Return True if each name that a file needs is made by one before it."""
    there: set[str] = set()
    for file in files:
        if not needs[file.name] <= there:
            return False
        there |= made_by(file)
    return True


def by_need(files: Iterable[SqlFile], needs: Mapping[str, frozenset[str]]) -> list[SqlFile]:
    """The files, each as early as what it needs is there; in a circle, the first one begins."""
    waiting, done = [*files], []
    there: set[str] = set()
    while waiting:
        ready = next((file for file in waiting if needs[file.name] <= there), waiting[0])
        waiting.remove(ready)
        done.append(ready)
        there |= made_by(ready)
    return done


def order_fills(files: Sequence[SqlFile], every: Sequence[SqlFile]) -> list[SqlFile]:
    """Files that only load rows, so that tables which are referred to are filled first."""
    order = [table.name for file in every for table in file.tables]
    return sorted(files, key=lambda file: max((order.index(n) for n in file.fills if n in order), default=len(order)))


def against_numbers(files: Sequence[SqlFile]) -> Iterator[str]:
    """Sentences about files that run before one with a lower number, as that one needs them."""
    needs = needs_of(files)
    for at, late in enumerate(files):
        for early in files[:at]:
            needed = sorted(needs[late.name] & made_by(early))
            if needed and is_numbered_before(late.name, early.name):
                which = f"creates `{needed[0]}`, which {late.name} needs"
                yield f"{early.name} runs before {late.name} in spite of the numbers, because {early.name} {which}."


def is_numbered_before(name: str, other: str) -> bool:
    """Return True if the names first differ in a part that is numbered in both, and the first has the lower number."""
    pairs = zip(name.split("/"), other.split("/"), strict=False)
    one, two = next(((one, two) for one, two in pairs if one != two), ("", ""))
    numbered = NUMBERED.match(one) and NUMBERED.match(two)
    return bool(numbered) and natural_key(one) < natural_key(two)
