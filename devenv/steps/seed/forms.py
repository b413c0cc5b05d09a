"""Seed files as people have them: devenv's own form, DynamoDB's JSON, plain lists, JSON lines, CSV. Pure.

DynamoDB's JSON comes as batch-write-item and transact-write-items requests, put-item requests, the output of scan and
query, and the lines of an export to S3. What such a file deletes is left out and listed.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed.documents import read_json
from devenv.steps.step import SourceFile

LINES: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json.gz")
TEXTS: Final = ("S", "N", "B")
KNOWN: Final = '{"table", "items"}, DynamoDB\'s JSON (batch-write-item, scan, S3 export), a list of items, lines, CSV'


@dataclass
class Document:
    """Items of one table in a file. `table` is None where the file does not name it.

    `typed`: they are in DynamoDB's JSON, and their texts are as they are. Else they are plain values, in which
    `${…}` refers to a row.
    """

    table: str | None
    items: list[Any]
    typed: bool = False


@dataclass
class SeedDocuments:
    """The documents of a file, and the parts that are left out."""

    documents: list[Document] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, table: str | None, item: Any, typed: bool) -> None:
        last = self.documents[-1] if self.documents else None
        if last is None or (last.table, last.typed) != (table, typed):
            self.documents.append(last := Document(table, [], typed))
        last.items.append(item)


def read_file(file: SourceFile, mapping: Mapping[str, SeedFile]) -> SeedDocuments:
    """The documents of a seed file. UsageError when it is in no known form."""
    found = SeedDocuments()
    rule = find_rule(file.name, mapping)
    if file.name.endswith((".csv", ".csv.gz", ".tsv")):
        found.documents.append(Document(rule.table if rule else None, read_csv(file, rule)))
        return found
    by_line = file.name.endswith(LINES) or is_lines(file.text)
    for tree in read_lines(file) if by_line else [read_json(file)]:
        read_tree(tree, file.name, found, whole=not by_line)
    for document in found.documents:
        document.table = document.table or (rule.table if rule else None)
    return found


def find_rule(name: str, mapping: Mapping[str, SeedFile]) -> SeedFile | None:
    """Return what `[steps.seed.mapping]` says of a file: by its name, or by a pattern."""
    return mapping.get(name) or next((rule for pattern, rule in mapping.items() if fnmatch(name, pattern)), None)


def is_lines(text: str) -> bool:
    """Return True if the text is JSON values, one in each line.

    The first line is one by itself, and another one follows.
    """
    first, _, rest = text.strip().partition("\n")
    if not (first.startswith("{") and rest.lstrip().startswith("{")):
        return False
    try:
        json.loads(first)
    except ValueError:
        return False
    return True


def read_lines(file: SourceFile) -> list[Any]:
    """The value of every line. UsageError names the line."""
    found = []
    for number, line in enumerate(file.text.split("\n"), 1):
        if line.strip():
            found.append(read_json(SourceFile(f"{file.name}:{number}", line)))
    return found


def read_tree(tree: Any, file: str, found: SeedDocuments, whole: bool) -> None:
    """Add what one JSON value holds. UsageError for what is in no known form."""
    if read_requests(tree, file, found) or read_answer(tree, file, found):
        return
    match tree:
        case {"table": str(), "items": list()}:
            if unknown := sorted(tree.keys() - {"table", "items"}):
                raise UsageError(f'{file}: unknown key "{unknown[0]}"', hint='known are "table" and "items"')
            found.documents.append(Document(tree["table"], tree["items"], are_typed(tree["items"])))
        case list() if tree:
            found.documents.append(Document(None, tree, are_typed(tree)))
        case dict() if not whole:
            found.add(None, tree, are_typed([tree]))
        case _:
            raise UsageError(
                f"{file} is not a seed file",
                detail=f"known are: {KNOWN}",
                hint='write it as {"table": "…", "items": [{…}, …]}',
            )


def read_requests(tree: Any, file: str, found: SeedDocuments) -> bool:
    """Add what a request to write holds; False when the value is none."""
    match tree:
        case {"RequestItems": dict(requests)}:
            read_batch(requests, file, found)
        case {"TransactItems": list(writes)}:
            for write in writes:
                read_write(write, file, found)
        case {"TableName": str(table), "Item": dict(item)}:
            found.add(table, item, True)
        case dict() if tree and all(is_batch(part) for part in tree.values()):
            read_batch(tree, file, found)
        case list() if tree and all(isinstance(each, dict) and is_request(each) for each in tree):
            for each in tree:
                read_write(each, file, found)
        case _:
            return False
    return True


def read_answer(tree: Any, file: str, found: SeedDocuments) -> bool:
    """Add what DynamoDB gave out: an answer, or a line of an export; False when the value is none."""
    match tree:
        case {"Items": list(items), **rest} if not rest or rest.keys() & {"Count", "ScannedCount", "LastEvaluatedKey"}:
            found.documents.append(Document(None, items, are_typed(items)))
            if "LastEvaluatedKey" in rest:
                found.left_out.append(f"{file} is one page of a longer answer: the next pages are not in the file")
        case {"Item": dict(item), **rest} if not rest:
            found.add(None, item, are_typed([item]))
        case {"Keys": dict(), **rest} if rest.keys() <= {"NewImage", "OldImage", "Metadata"}:
            if "NewImage" in rest:
                found.add(None, rest["NewImage"], True)
            else:
                found.left_out.append(f"{file}: a deletion of an incremental export")
        case _:
            return False
    return True


def is_batch(part: Any) -> bool:
    """Return True if a value is a table's list of write requests."""
    return (
        isinstance(part, list)
        and bool(part)
        and all(isinstance(each, dict) and each.keys() & {"PutRequest", "DeleteRequest"} for each in part)
    )


def is_request(each: Mapping[str, Any]) -> bool:
    """Return True if an object of a list is a request rather than an item."""
    return bool(each.keys() & {"Put", "PutRequest"}) or each.keys() >= {"TableName", "Item"}


def read_batch(requests: Mapping[str, Any], file: str, found: SeedDocuments) -> None:
    """Add the items of a batch-write-item request."""
    for table, writes in requests.items():
        for write in writes if isinstance(writes, list) else ():
            match write:
                case {"PutRequest": {"Item": dict(item)}}:
                    found.add(table, item, True)
                case _:
                    found.left_out.append(f"{file}: a deletion in {table}")


def read_write(write: Any, file: str, found: SeedDocuments) -> None:
    """Add the item of a put-item request, alone or in a transaction."""
    match write:
        case {"Put": {"TableName": str(table), "Item": dict(item)}} | {"TableName": str(table), "Item": dict(item)}:
            found.add(table, item, True)
        case {"PutRequest": {"Item": dict(item)}}:
            found.add(None, item, True)
        case _:
            found.left_out.append(f"{file}: a write that puts no whole item ({', '.join(map(str, write))})")


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


def table_of(
    file: str, document: Document, tables: Mapping[str, Sequence[str]] | None, kinds: Mapping[str, Mapping[str, str]]
) -> str:
    """The table that a file's items belong to when it names none: by its name, or as the only one that they fit.

    `tables` maps each table to its key, `kinds` to the types of its attributes. UsageError names what to declare.
    """
    stem = plain(PurePosixPath(file).name.split(".")[0])
    alike = [table for table in tables or () if plain(table) == stem]
    fitting = alike or [
        table for table, key in (tables or {}).items() if all(fits(item, key, kinds[table]) for item in document.items)
    ]
    if len(fitting) == 1:
        return fitting[0]
    which = f"they fit {' and '.join(fitting)}" if fitting else "they have the key of no declared table"
    raise UsageError(
        f"{file} does not name the table of its items",
        detail=which if tables else "the tables are made by a command",
        hint=f'name it in devenv.toml: [steps.seed.mapping."{file}"] table = "…"',
    )


def fits(item: Any, key: Iterable[str], kinds: Mapping[str, str]) -> bool:
    return isinstance(item, dict) and all(
        name in item and (not isinstance(item[name], dict) or kinds[name] in item[name]) for name in key
    )


def plain(name: str) -> str:
    """A name as people vary it: `User-Orders` and `user_orders` are one."""
    return re.sub(r"[-_. ]", "", name).lower()
