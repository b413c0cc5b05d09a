"""CSV: one item in each row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed.format import SeedFormat
from devenv.steps.step import SourceFile


def read_csv(file: SourceFile, rule: SeedFile | None) -> list[dict[str, Any]]:
    """The rows of a CSV file as items of texts; `attributes` of the mapping makes others of the columns.

    An empty cell is no attribute. Numbers and the like are made by `with_types`.
    """
    first = file.text.split("\n", 1)[0]
    mark = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(file.text), delimiter=mark, strict=True)
    names = rows.fieldnames or []
    items = []
    try:
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values():
                raise UsageError(f"{file.name}: row {number - 1} has another number of cells than the first line")
            cells = {name: text for name, text in row.items() if text != ""}
            items.append(cells if rule is None or not rule.attributes else filled(rule.attributes, cells))
    except csv.Error as error:
        raise UsageError(f"{file.name}:{rows.line_num}: {error}", hint=f"correct {file.name}") from None
    if rule is not None:
        used = {name for text in rule.attributes.values() for name in re.findall(r"\{([^{}]+)\}", text)}
        if unknown := sorted(used - set(names)):
            raise UsageError(
                f"[steps.seed.mapping] of {file.name}: there is no column {unknown[0]}",
                hint=f"its columns are: {', '.join(names)}",
            )
    return items


def filled(attributes: Mapping[str, str], cells: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of one row; one whose column is empty is left out."""
    found = {}
    for name, template in attributes.items():
        if all(column in cells for column in re.findall(r"\{([^{}]+)\}", template)):
            found[name] = re.sub(r"\{([^{}]+)\}", lambda match: cells[match[1]], template)
    return found


FORMAT = SeedFormat("CSV", read_text=read_csv, endings=(".csv", ".csv.gz", ".tsv"))
