"""The record of one form of seed files, and the items that files yield. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from devenv.config.schema import SeedFile
from devenv.steps.step import SourceFile


class Document(msgspec.Struct):
    """Items of one table in a file. `table` is None where the file does not name it.

    `typed`: they are in DynamoDB's JSON, and their texts are as they are. Else they are plain values, in which
    `${…}` refers to a row.
    """

    table: str | None
    items: list[Any]
    typed: bool = False


class SeedDocuments(msgspec.Struct):
    """The documents of a file, and the parts that are left out."""

    documents: list[Document] = msgspec.field(default_factory=list)
    left_out: list[str] = msgspec.field(default_factory=list)

    def add(self, table: str | None, item: Any, typed: bool) -> None:
        last = self.documents[-1] if self.documents else None
        if last is None or (last.table, last.typed) != (table, typed):
            self.documents.append(last := Document(table, [], typed))
        last.items.append(item)


class SeedFormat(msgspec.Struct, frozen=True):
    """One form of seed files; `name` as errors list it. Either of the two readers.

    `read` gets one JSON value, the name of its file, and if it is the whole file rather than a line; it adds the items
    and returns False for a value of another form. `read_text` reads files with one of `endings` by itself; it gets what
    `[steps.seed.mapping]` says of the file.
    """

    name: str
    read: Callable[[Any, str, SeedDocuments, bool], bool] | None = None
    read_text: Callable[[SourceFile, SeedFile | None], list[dict[str, Any]]] | None = None
    endings: tuple[str, ...] = ()


def are_typed(items: Sequence[Any]) -> bool:
    """Return True if items are in DynamoDB's JSON.

    Each attribute is an object of one type. A plain key is never an object.
    """
    return bool(items) and all(isinstance(item, dict) and item and all(map(is_typed, item.values())) for item in items)


def is_typed(value: Any) -> bool:
    """Return True if a value is one of DynamoDB's JSON."""
    match value:
        case {"S": str(), **rest} | {"B": str(), **rest} | {"BOOL": bool(), **rest} | {"NULL": bool(), **rest}:
            return not rest
        case {"N": number, **rest}:
            return not rest and not isinstance(number, dict | list)
        case {"SS": list(), **rest} | {"NS": list(), **rest} | {"BS": list(), **rest}:
            return not rest
        case {"L": list(parts), **rest}:
            return not rest and all(map(is_typed, parts))
        case {"M": dict(parts), **rest}:
            return not rest and all(map(is_typed, parts.values()))
    return False
