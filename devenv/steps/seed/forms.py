"""Reads seed files in any of the forms of `formats/registry.py`, and finds the table of their items. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed.documents import read_json
from devenv.steps.seed.format import Document, SeedDocuments, SeedFormat
from devenv.steps.seed.formats.registry import FORMATS
from devenv.steps.step import SourceFile

LINES: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json.gz")


def read_file(
    file: SourceFile, mapping: Mapping[str, SeedFile], formats: Sequence[SeedFormat] = FORMATS
) -> SeedDocuments:
    """The documents of a seed file. UsageError when it is in no known form."""
    found = SeedDocuments()
    rule = find_rule(file.name, mapping)
    for form in formats:
        if form.read_text and file.name.endswith(form.endings):
            found.documents.append(Document(rule.table if rule else None, form.read_text(file, rule)))
            return found
    by_line = file.name.endswith(LINES) or is_lines(file.text)
    for tree in read_lines(file) if by_line else [read_json(file)]:
        read_tree(tree, file.name, found, not by_line, formats)
    for document in found.documents:
        document.table = document.table or (rule.table if rule else None)
    return found


def read_tree(tree: Any, file: str, found: SeedDocuments, whole: bool, formats: Sequence[SeedFormat] = FORMATS) -> None:
    """Add what one JSON value holds. UsageError for what is in no known form."""
    if not any(form.read and form.read(tree, file, found, whole) for form in formats):
        raise not_a_seed_file(file, formats)


def not_a_seed_file(file: str, formats: Sequence[SeedFormat] = FORMATS) -> UsageError:
    """The error for a file in no known form."""
    return UsageError(
        f"{file} is not a seed file",
        detail=f"known are: {'; '.join(form.name for form in formats)}",
        hint='write it as {"table": "…", "items": [{…}, …]}',
    )


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
    if len(fitting) > 1 and not alike:
        # An item with the whole key of one table has more than that of another, which is a part of it.
        keys = {table: set((tables or {})[table]) for table in fitting}
        fitting = [t for t in fitting if not any(keys[t] < key for key in keys.values())]
    if len(fitting) == 1:
        return fitting[0]
    which = f"they fit {' and '.join(fitting)}" if fitting else "they fit the key of no declared table"
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
