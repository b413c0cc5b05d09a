"""CSV: one item in each row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed.format import SeedFormat
from devenv.steps.step import SourceFile


def read_csv(file: SourceFile, rule: SeedFile | None) -> list[dict[str, Any]]:
    return list(csv_rows(file.name, iter(io.StringIO(file.text)), rule))


def csv_rows(name: str, lines: Iterator[str], rule: SeedFile | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file as items of texts; `attributes` of the mapping makes others of the columns.

    An empty cell is no attribute. Numbers and the like are made by `with_types`.
    """
    first = next(lines, "")
    mark = max(",;\t", key=first.count)
    rows = csv.DictReader(chain([first], lines), delimiter=mark, strict=True)
    try:
        refuse_columns(name, rule, rows.fieldnames or [])
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values():
                raise UsageError(f"{name}: row {number - 1} has a different number of cells than the first line")
            cells = {name: text for name, text in row.items() if text != ""}
            yield cells if rule is None or not rule.attributes else filled(rule.attributes, cells)
    except csv.Error as error:
        raise UsageError(f"{name}:{rows.line_num}: {error}", hint=f"correct {name}") from None


def refuse_columns(name: str, rule: SeedFile | None, names: Sequence[str]) -> None:
    """UsageError if the mapping of a file uses a column that it does not have."""
    if rule is not None:
        used = {each for text in rule.attributes.values() for each in re.findall(r"\{([^{}]+)\}", text)}
        if unknown := sorted(used - set(names)):
            raise UsageError(
                f"[steps.seed.mapping] of {name}: there is no column {unknown[0]}",
                hint=f"its columns are: {', '.join(names)}",
            )


def filled(attributes: Mapping[str, str], cells: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of one row; one whose column is empty is left out."""
    found = {}
    for name, template in attributes.items():
        if all(column in cells for column in re.findall(r"\{([^{}]+)\}", template)):
            found[name] = re.sub(r"\{([^{}]+)\}", lambda match: cells[match[1]], template)
    return found


FORMAT = SeedFormat("CSV", read_text=read_csv, endings=(".csv", ".csv.gz", ".tsv"))
