"""The items that shell scripts write with the AWS CLI: put-item and batch-write-item with JSON in the command. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from devenv.init.seeds import FoundSeeds
from devenv.init.shell_variables import filled_in

WRITES: Final = re.compile(
    r"\bdynamodb\s+(put-item|batch-write-item)\b((?:\\\n|'[^']*'|\"(?:\\.|[^\"\\])*\"|[^\n;&|'\"])*)"
)
SCRIPTS: Final = (".sh", ".bash")
FILE: Final = "file://"
MADE: Final = "seeds/dynamodb/items/from-scripts.json"


def with_shell_items(seeds: FoundSeeds, texts: Mapping[str, str], tables: Collection[str]) -> FoundSeeds:
    """The seeds with what the scripts among these files write into known tables, as a file of its own."""
    items: list[tuple[str, Mapping[str, Any]]] = []
    files: list[str] = []
    unused: list[str] = []
    loaded = {name.rpartition("/")[2] for name in seeds.files}
    for name, text in texts.items():
        if "dynamodb" not in text or not (name.endswith(SCRIPTS) or text.startswith("#!")):
            continue
        script = filled_in(text)
        for match in WRITES.finditer(script):
            place = f"{name}:{script.count(chr(10), 0, match.start()) + 1}"
            given = options_of(match[2])
            source = given.get("item") or given.get("request-items") or given.get("cli-input-json") or ""
            if source.startswith(FILE) and source.rpartition("/")[2] in loaded:
                continue
            found = [*written(match[1], given)]
            if found and all(table in tables for table, _ in found):
                items += found
                files.append(name)
            else:
                unused.append(f"{place}: {match[1]}, whose items are not read: write them into a file of [steps.seed]")
    document: dict[str, list[Any]] = {}
    for table, item in items:
        document.setdefault(table, []).append({"PutRequest": {"Item": item}})
    return replace(
        seeds,
        files=(*seeds.files, *([MADE] if items else [])),
        items=(*seeds.items, *items),
        unused=(*seeds.unused, *unused),
        scripts=tuple(dict.fromkeys(files)),
        document=document,
    )


def options_of(command: str) -> dict[str, str]:
    """Option -> value of the words behind a command; none where a quote is never closed."""
    try:
        words = shlex.split(command.replace("\\\n", " "))
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for at, word in enumerate(words):
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            found[name] = value if equals else next(iter(words[at + 1 : at + 2]), "")
    return found


def written(command: str, given: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(table, item) of one command whose JSON is spelt out."""
    try:
        if command == "put-item":
            item = json.loads(given.get("item", ""))
            if is_item(item) and "$" not in given.get("item", ""):
                yield given.get("table-name", ""), item
            return
        requests = json.loads(given.get("request-items", ""))
    except (ValueError, RecursionError):
        return
    for table, listed in requests.items() if isinstance(requests, Mapping) else ():
        for each in listed if isinstance(listed, list) else ():
            put = each.get("PutRequest") if isinstance(each, Mapping) else None
            item = put.get("Item") if isinstance(put, Mapping) else None
            if isinstance(item, Mapping) and is_item(item) and "$" not in given["request-items"]:
                yield str(table), item


def is_item(tree: Any) -> bool:
    """Return True for an item in DynamoDB's JSON: each attribute has one type."""
    return (
        isinstance(tree, Mapping)
        and bool(tree)
        and all(isinstance(value, Mapping) and len(value) == 1 for value in tree.values())
    )
