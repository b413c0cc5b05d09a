"""The rows of COPY in SQL files, in the file or from another, and of CSV files that fit a table. Pure."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from devenv.core.errors import UsageError
from devenv.init.sql_tables import COPIED, DeclaredTable, SqlFile, bare
from devenv.steps.setup.mounts import COPIES, read_mounts
from devenv.steps.setup.psql import SERVER_COPY, places_of_rows, split_statements

MOST: Final = 200
TARGET: Final = re.compile(r"(?:[\w\"]+\s*\.\s*)?(\"[^\"]+\"|\w+)\s*(?:\(([^()]*)\))?\s*$")
# What pg_dump writes, up to its rows.
INSIDE: Final = re.compile(r"COPY\s+([^;]*?)\s+FROM\s+stdin\b([^;]*);\s*$", re.IGNORECASE)
Columns = dict[tuple[str, str], list[str]]


def copied_rows(
    root: Path,
    texts: Mapping[str, str],
    names: Collection[str],
    sql: Collection[SqlFile],
    tables: Iterable[DeclaredTable],
) -> tuple[Columns, list[str]]:
    """(table, column) -> values of CSV files that a COPY reads; sentences about those without such a file."""
    columns: Columns = {}
    lost: list[str] = []
    files = [file for file in sql if COPIES.search(texts[file.name])]
    mounts = read_mounts(root) if files else ()
    declared = {table.name: [c.name for c in table.columns] for table in tables}
    for file in sql:
        for target, options, rows in inside_rows(texts[file.name]):
            is_csv = "csv" in options.lower()
            text = rows if is_csv else rows.replace('"', '""')
            keep_rows(columns, target, text, False, declared, "," if is_csv else "\t")
    for table, name in csv_tables(texts, declared).items():
        header = texts[name].partition("\n")[0]
        keep_rows(columns, f'"{table}" ({header})', texts[name], True, declared)
    known = set(names)
    for file in files:
        try:
            statements = split_statements(texts[file.name], file.name)
        except UsageError:
            continue  # The file's own problem is said.
        for each in statements:
            if (found := SERVER_COPY.match(each.text)) is None:
                continue
            source = found["source"].replace("''", "'")
            near = next((n for n in places_of_rows(source, file.name, mounts) if n in known), None)
            if near is None:
                lost.append(
                    f"{each.place}: COPY reads {source}, which is no file of this folder: `devenv up` refuses it. Put"
                    " the file beside the SQL file, or remove the line"
                )
            elif near in texts and "csv" in found["rest"].lower():
                keep_rows(columns, found["target"], texts[near], "header" in found["rest"].lower(), declared)
    return columns, lost


def loaded_files(texts: Mapping[str, str], names: Collection[str], sql: Iterable[str]) -> set[str]:
    """The data files that psql's `\\copy` in these SQL files loads: by its path, from either folder, or by its name."""
    found: set[str] = set()
    for file in sql:
        for line in COPIED.finditer(texts[file]):
            path = (line["quoted"] or line["plain"]).replace("''", "'")
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
            same = [name for name in names if posixpath.basename(name) == posixpath.basename(path)]
            found |= {next((n for n in (posixpath.normpath(path), beside) if n in names), "")}
            found |= {same[0]} if len(same) == 1 else set()
    return found - {""}


def inside_rows(text: str) -> Iterator[tuple[str, str, str]]:
    """(target, options, rows) of each `COPY … FROM stdin;` whose rows follow."""
    head: re.Match[str] | None = None
    rows: list[str] = []
    for line in text.splitlines() if "stdin" in text.lower() else ():
        if head is None:
            head, rows = INSIDE.match(line), []
        elif line.rstrip() == "\\.":
            yield head[1], head[2], "\n".join(rows)
            head = None
        else:
            rows.append(line)


def csv_tables(texts: Mapping[str, str], declared: Mapping[str, Collection[str]]) -> dict[str, str]:
    """table -> CSV file that is called after it and whose header names columns of it, most of all."""
    found: dict[str, str] = {}
    for name, text in texts.items():
        stem = name.rpartition("/")[2].removesuffix(".csv")
        header = [word.strip() for word in text.partition("\n")[0].split(",")]
        if name.endswith(".csv") and stem in declared and 2 * len({*header} & {*declared[stem]}) > len(header):
            found.setdefault(stem, name)
    return found


def keep_rows(
    columns: Columns,
    target: str,
    text: str,
    header: bool,
    declared: Mapping[str, list[str]],
    separator: str = ",",
) -> None:
    """Add the values of a CSV file's first rows to the columns that the COPY names, else to those of the table."""
    match = TARGET.match(target.strip())
    if match is None:
        return
    table = bare(match[1])
    names = [bare(name.strip()) for name in match[2].split(",")] if match[2] else declared.get(table, [])
    try:
        rows = [*islice(csv.reader(text.splitlines(), delimiter=separator), MOST + header)][int(header) :]
    except csv.Error:
        return
    for row in rows:
        for name, value in zip(names, row, strict=False):
            if value != r"\N":
                columns.setdefault((table, name), []).append(value)
