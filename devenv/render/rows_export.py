"""Rows for programs: `--format json|jsonl|csv` of `devenv db` and `devenv ddb`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from devenv.config.masking import hide_tree
from devenv.core.model import Report

FORMS: Final = ("table", "json", "jsonl", "csv")


def export_rows(report: Report, form: str) -> str:
    """The rows of a report as text that ends with a line end. An attribute that an item lacks is left out of JSON."""
    body = hide_tree(report.body)
    objects = list(objects_of(body))
    if form == "json":
        return json.dumps(objects, ensure_ascii=False, indent=2, default=str) + "\n"
    if form == "jsonl":
        return "".join(json.dumps(each, ensure_ascii=False, default=str) + "\n" for each in objects)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(body["columns"])
    writer.writerows([cell(value) for value in row] for row in body["rows"])
    return out.getvalue()


def objects_of(body: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Each row as a map. Two columns of one name (a join): the later ones get a number."""
    names: list[str] = []
    for column in body["columns"]:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    items = body.get("items")
    for place, row in enumerate(body["rows"]):
        there = None if items is None else items[place].keys()
        yield {name: value for name, value in zip(names, row, strict=True) if there is None or name in there}


def cell(value: Any) -> Any:
    """One value of a CSV file: nothing for NULL, JSON for what is nested."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value
