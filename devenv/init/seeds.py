"""Files with items for DynamoDB, in any format that `[steps.seed]` reads, and files that could not be used. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.init.sql_tables import is_test
from devenv.steps.seed.format import Document
from devenv.steps.seed.forms import read_file, table_of
from devenv.steps.step import SourceFile

SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".csv")
NAMED: Final = ("seed", "item", "fixture", "sample", "dynamo", "ddb", "data")


@dataclass(frozen=True)
class FoundSeeds:
    """The files that hold items of known tables, the items themselves, and sentences about other ones.

    `document`: a seed file to write, with the items that commands in `scripts` put into tables.
    """

    files: tuple[str, ...] = ()
    items: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    unused: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)


def find_seeds(texts: Mapping[str, str], requests: Mapping[str, Mapping[str, Any]]) -> FoundSeeds:
    """The seed files among all files: those whose items have a table that is known (`requests`)."""
    names = set(requests)
    keys = {table: [str(p["AttributeName"]) for p in request["KeySchema"]] for table, request in requests.items()}
    kinds = {
        table: {str(p["AttributeName"]): str(p["AttributeType"]) for p in request["AttributeDefinitions"]}
        for table, request in requests.items()
    }
    files: list[str] = []
    items: list[tuple[str, Mapping[str, Any]]] = []
    unused: list[str] = []
    for name, text in texts.items():
        if not name.endswith(SUFFIXES) or PurePath(name).name in ("package.json", "composer.json"):
            continue
        # devenv's own form, and files that are called after a table.
        own = PurePath(name).stem in names or ('"table"' in text and '"items"' in text)
        telling = own or any(word in name.lower() for word in NAMED)
        named = telling or '"PutRequest"' in text or '"Item"' in text
        if "KeySchema" in text or '"AWS::' in text or not (named or is_test(name)):
            continue
        found = read_one(name, text)
        if found is None:
            continue
        placed = [(table, each) for each in found if (table := place(name, each, keys, kinds)) in names]
        if is_test(name):
            unused += [f"{name}: items, but it is in a folder of tests"] if named or placed else []
            continue
        if placed and len(placed) == len(found):
            files.append(name)
            items += [(str(table), item) for table, each in placed for item in each.items if isinstance(item, Mapping)]
        elif any(each.table for each in found) or (telling and found):
            unknown = next((each.table for each in found if each.table), None)
            why = f"no definition of table {unknown} was found" if unknown else "its items fit no table that was found"
            unused.append(f"{name}: items, but {why}")
    return FoundSeeds(tuple(files), tuple(items), tuple(unused))


def read_one(name: str, text: str) -> list[Document] | None:
    """The documents of a file that has items; None for any other."""
    try:
        found = read_file(SourceFile(name, text), {})
    except (UsageError, RecursionError):
        return None
    documents = [each for each in found.documents if each.items and all(isinstance(i, Mapping) for i in each.items)]
    return documents or None


def place(
    name: str, document: Document, keys: Mapping[str, list[str]], kinds: Mapping[str, Mapping[str, str]]
) -> str | None:
    """The table of a document; None when it is not known."""
    if document.table:
        return document.table
    try:
        return table_of(name, document, keys, kinds)
    except UsageError:
        return None


def plain_item(item: Mapping[str, Any]) -> dict[str, str]:
    """The texts of an item by attribute, in either form."""
    values = {name: value.get("S") if isinstance(value, Mapping) else value for name, value in item.items()}
    return {name: value for name, value in values.items() if isinstance(value, str)}
