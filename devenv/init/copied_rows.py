"""The rows that a COPY in an SQL file reads from files of the folder, and the lines whose file is nowhere. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from devenv.core.errors import UsageError
from devenv.init.sql_tables import SqlFile, bare
from devenv.steps.setup.mounts import COPIES, read_mounts
from devenv.steps.setup.psql import SERVER_COPY, places_of_rows, split_statements

MOST: Final = 200
TARGET: Final = re.compile(r"(?:[\w\"]+\s*\.\s*)?(\"[^\"]+\"|\w+)\s*(?:\(([^()]*)\))?\s*$")
Columns = dict[tuple[str, str], list[str]]


def copied_rows(
    root: Path, texts: Mapping[str, str], names: Collection[str], sql: Iterable[SqlFile]
) -> tuple[Columns, list[str]]:
    """(table, column) -> values of CSV files that a COPY reads; sentences about those without such a file."""
    columns: Columns = {}
    lost: list[str] = []
    files = [file for file in sql if COPIES.search(texts[file.name])]
    mounts = read_mounts(root) if files else ()
    declared = {table.name: [c.name for c in table.columns] for file in sql for table in file.tables}
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


def keep_rows(columns: Columns, target: str, text: str, header: bool, declared: Mapping[str, list[str]]) -> None:
    """Add the values of a CSV file's first rows to the columns that the COPY names, else to those of the table."""
    match = TARGET.match(target.strip())
    if match is None:
        return
    table = bare(match[1])
    names = [bare(name.strip()) for name in match[2].split(",")] if match[2] else declared.get(table, [])
    try:
        rows = [*islice(csv.reader(text.splitlines()), MOST + header)][int(header) :]
    except csv.Error:
        return
    for row in rows:
        for name, value in zip(names, row, strict=False):
            columns.setdefault((table, name), []).append(value)
