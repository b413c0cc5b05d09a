"""Rows and items as the Data page shows them, and its address: which side shows what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from devenv.core.errors import UsageError
from devenv.links.values import scalar_text
from devenv.query.items import schema_of
from devenv.ui import items as right
from devenv.ui import marks
from devenv.ui import rows as left
from devenv.ui.values import show_attribute, show_text

if TYPE_CHECKING:
    from devenv.stack import Stack

# What an address says about each side. What belongs to one side stays when the other one changes.
LEFT: Final = ("tables", "table", "where", "after", "row", "lread")
RIGHT: Final = (
    *("names", "items", "index", "hash", "how", "sort", "upto"),
    *("newest", "partiql", "start", "item", "value", "read"),
)
MOST: Final = 4000


class DataAddress:
    """The page's address, and what it becomes when one side changes."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = {name: given[name] for name in (*LEFT, *RIGHT) if given.get(name)}
        for name, text in self.given.items():
            if len(text) > MOST or "\0" in text:
                raise UsageError(f"`{name}` in this address cannot be used")

    def get(self, name: str) -> str:
        """One part; "" when it is not given."""
        return self.given.get(name, "")

    def left(self, **given: str) -> str:
        """The address with this on the left, and the right as it is."""
        return self._with(RIGHT, given)

    def right(self, **given: str) -> str:
        """The address with this on the right, and the left as it is."""
        return self._with(LEFT, given)

    def also(self, **given: str) -> str:
        """The address as it is, with these parts in it."""
        return f"/data?{urlencode({**self.given, **given})}"

    def _with(self, kept: Sequence[str], given: Mapping[str, str]) -> str:
        same = {name: text for name, text in self.given.items() if name in kept}
        return f"/data?{urlencode({**same, **given})}"

    def hidden(self, kept: Sequence[str]) -> list[tuple[str, str]]:
        """Fields of a form that keep one side."""
        return [(name, text) for name, text in self.given.items() if name in kept]


def show_row(
    opened: Stack,
    address: DataAddress,
    table: left.RowTable,
    row: Mapping[str, str | None],
    key: Mapping[str, str],
    found: Mapping[tuple[str, str], list[marks.PlaceMark]],
) -> dict[str, Any]:
    """One row for the template."""
    cells = []
    own: list[marks.PlaceMark] = []
    for column, text in row.items():
        cell: dict[str, Any] = {
            "name": column,
            "type": table.types[column],
            "value": show_text(text),
            "href": "",
            "find": "",
        }
        if text is not None:
            own += [mark for mark in found.get((column, text), ()) if mark not in own]
            if column in table.parents:
                schema, parent, parent_column = table.parents[column]
                cell["href"] = address.left(table=f"{schema}.{parent}", row=json.dumps({parent_column: text}))
            elif column in table.key or marks.is_id(text):
                cell["href"] = address.left(table=table.title, row=json.dumps(dict(key))) if column in table.key else ""
                cell["find"] = "" if cell["href"] else f"/data/find?{urlencode({'value': text})}"
        cells.append(cell)
    user = marks.user_of(opened.settings, table.title, row)
    href = address.left(table=table.title, row=json.dumps(dict(key))) if key else ""
    return {
        "cells": cells,
        "key": dict(key),
        "href": href,
        "marks": own,
        "traces": traces_of_person(opened, user) if user else [],
    }


def traces_of_person(opened: Stack, user: str) -> list[tuple[str, str]]:
    """(subject, address) of the traces that need nobody but a person."""
    return [
        (subject, f"/trace/{quote(subject)}?{urlencode({'user': user})}")
        for subject, trace in opened.settings.trace.items()
        if not trace.params
    ]


def show_item(
    opened: Stack, address: DataAddress, described: Mapping[str, Any], marked: marks.MarkedItem, *, whole: bool
) -> dict[str, Any]:
    """One item for the template: its key first, then the other attributes by name."""
    table = str(described["TableName"])
    names = schema_of(described)
    key = {name: marked.item[name] for name in names if name in marked.item}
    cells = []
    for name in [*key, *sorted(set(marked.item) - set(key))]:
        leads = [
            {"lead": each, "href": address.left(table=each.table, row=json.dumps(dict(each.row)))}
            for each in marked.leads.get(name, ())
        ]
        text = scalar_text(marked.item[name])
        find = text if text is not None and not leads and marks.is_id(text) else ""
        cells.append(
            {
                "name": name,
                "key": name in key,
                "value": show_attribute(marked.item[name], whole=whole),
                "leads": leads,
                "marks": marked.marks.get(name, []),
                "find": f"/data/find?{urlencode({'value': find})}" if find else "",
            }
        )
    related = [
        {"words": words, "hash": text, "href": address.right(items=table, hash=text)}
        for words, text in marks.kin(opened.settings, described, marked)
    ]
    traces = [
        (subject, f"/trace/{'/'.join(quote(part, safe='') for part in (subject, *values))}")
        for subject, values in marks.traceable(opened.settings, marked.values)
    ]
    return {
        "kind": marked.kind,
        "near": marked.near,
        "parts": marked.parts,
        "key": key,
        "cells": cells,
        "href": address.right(items=table, item=right.encode(key)) if len(key) == len(names) else "",
        "related": related,
        "traces": traces,
        "marks": marked.marks,
        "missing": list(marked.marks.get("", []))
        + [mark for name, found in marked.marks.items() if name and name not in marked.item for mark in found],
    }


def key_of(text: str) -> dict[str, str]:
    """A row's key out of an address. UsageError when it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(part, str) for part in found.values()):
        raise UsageError("this address has no usable key")
    return found


def texts(text: str) -> list[str]:
    """The key that a page begins behind."""
    if not text:
        return []
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise UsageError("this address has no usable key")
    return found


def number(text: str) -> int:
    """A place in a list."""
    return int(text) if text.isdigit() and len(text) < 7 else 0
