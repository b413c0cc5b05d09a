"""Files with items for DynamoDB, in any format that `[steps.seed]` reads, and files that could not be used. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.init.packed import ENDINGS
from devenv.init.sql_tables import is_test
from devenv.steps.seed.documents import read_json
from devenv.steps.seed.format import Document, are_typed
from devenv.steps.seed.forms import fits, read_file, table_of
from devenv.steps.step import SourceFile

SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".csv", *ENDINGS)
# Requests to write and answers, as the AWS command line has them; lines of an export.
FORM: Final = late(r'"(?:PutRequest|Item|NewImage)"')
ANSWER: Final = late(r'"Items"\s*:\s*\[')
COUNTED: Final = late(r'"(?:Count|ScannedCount|LastEvaluatedKey)"\s*:')
TYPED: Final = late(r'\s*\{\s*"[^"]+"\s*:\s*\{\s*"(?:S|N|B|BOOL|NULL|M|L|SS|NS|BS)"\s*:')
LINES: Final = (".jsonl", ".ndjson", *ENDINGS)
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


def find_seeds(
    texts: Mapping[str, str], requests: Mapping[str, Mapping[str, Any]], read: Collection[str] = ()
) -> FoundSeeds:
    """The seed files among all files: those whose items have a table that is known (`requests`).

    `read` are the data files that the seed script reads: some may hold rows of Postgres.
    """
    names = set(requests)
    keys = {table: [str(p["AttributeName"]) for p in request["KeySchema"]] for table, request in requests.items()}
    kinds = {
        table: {str(p["AttributeName"]): str(p["AttributeType"]) for p in request["AttributeDefinitions"]}
        for table, request in requests.items()
    }
    files: list[str] = []
    items: list[tuple[str, Mapping[str, Any]]] = []
    unused: list[str] = []
    loaded: dict[tuple[str, ...], str] = {}
    # What is called a seed comes before a copy of its items.
    for name, text in sorted(texts.items(), key=lambda each: not is_telling(each[0])):
        if not name.endswith(SUFFIXES) or PurePath(name).name in ("package.json", "composer.json"):
            continue
        if "KeySchema" in text or '"AWS::' in text:
            continue
        # devenv's own form, and files that are called after a table.
        own = PurePath(name).stem in names or ('"table"' in text and '"items"' in text)
        telling = own or is_telling(name)
        named = telling or is_form(text) or name in read
        if not (named or is_test(name)):
            unused += unsure(name, text, keys, kinds)
            continue
        found = read_one(name, text)
        if found is None:
            unused += lone_item(name, text, kinds)
            continue
        placed = [(table, each) for each in found if (table := place(name, each, keys, kinds)) in names]
        if is_test(name):
            unused += (
                [f"{name}: has items, but is not loaded: the file is in a folder of tests"] if named or placed else []
            )
            continue
        if placed and len(placed) == len(found):
            mine = [(str(table), item) for table, each in placed for item in each.items if isinstance(item, Mapping)]
            marks = [(table, *(text_in(item.get(part)) for part in keys[table])) for table, item in mine]
            if why := repeats(marks, loaded):
                unused.append(f"{name}: not loaded: {why}")
                continue
            loaded |= dict.fromkeys(marks, name)
            files.append(name)
            items += mine
        elif any(each.table for each in found) or telling:
            unknown = next((each.table for each in found if each.table), None)
            why = f"no definition of table {unknown} was found" if unknown else "they fit no table that was found"
            unused.append(f"{name}: has items, but {why}")
    return FoundSeeds(tuple(files), tuple(items), tuple(unused))


def is_telling(name: str) -> bool:
    """Return True if a file's path says that it has seeds."""
    return any(word in name.lower() for word in NAMED)


def is_form(text: str) -> bool:
    """Return True for DynamoDB's requests to write, its answers, and the lines of its export."""
    return bool(FORM.search(text) or (ANSWER.search(text) and COUNTED.search(text)))


def repeats(marks: Sequence[tuple[str, ...]], loaded: Mapping[tuple[str, ...], str]) -> str:
    """Say which key of a file step seed would refuse, because an item has it already; "" for none."""
    if (first := next((loaded[mark] for mark in marks if mark in loaded), None)) is not None:
        return f"one of its items has the same key as an item of {first}"
    return "two of its items have the same key" if len({*marks}) < len(marks) else ""


def unsure(
    name: str, text: str, keys: Mapping[str, list[str]], kinds: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """A sentence about a file that has items by their content alone: a list of the same may be anything."""
    found = read_one(name, text) if name.endswith(LINES) or text.lstrip().startswith("[") else None
    if found is None:
        yield from lone_item(name, text, kinds)
        return
    fitting = {place(name, each, keys, kinds) for each in found}
    if len(fitting) == 1 and (only := fitting.pop()) is not None and not is_test(name):
        yield (
            f"{name}: its items fit table {only}, but neither the file's name nor a script says that the file is a"
            " seed. If it is one, name it in [steps.seed] files"
        )


def lone_item(name: str, text: str, kinds: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence about a file that is one item in DynamoDB's JSON, and nothing else."""
    if not name.endswith(".json") or not TYPED.match(text):
        return
    try:
        tree = read_json(SourceFile(name, text))
    except (UsageError, RecursionError):
        return
    if isinstance(tree, dict) and are_typed([tree]):
        table = next((table for table, key in kinds.items() if fits(tree, key, key)), None)
        if table is not None:
            yield (
                f"{name}: one item of table {table} in the form of `put-item --item`, which no step reads. If it is a"
                f' seed, write it as {{"TableName": "{table}", "Item": …}}'
            )


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


def text_in(value: Any) -> str:
    """A key's value as a text, in either form."""
    return str(next(iter(value.values()), "")) if isinstance(value, Mapping) else str(value)


def plain_item(item: Mapping[str, Any]) -> dict[str, str]:
    """The texts of an item by attribute, in either form."""
    values = {name: value.get("S") if isinstance(value, Mapping) else value for name, value in item.items()}
    return {name: value for name, value in values.items() if isinstance(value, str)}
