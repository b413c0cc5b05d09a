"""Faults of the queries in a project's code: found in their text, with file and line."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.late import late
from devenv.host.files import read_text
from devenv.init.code import OPERATIONS, Code, Query, read_queries
from devenv.init.listing import is_script, list_widely
from devenv.init.query_helpers import with_queries
from devenv.init.source import parse_python

UUID: Final = late(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
YEAR: Final = late(r"\byear\b|\bnow\b|\btoday\b|^20\d\d\b|getFullYear", re.IGNORECASE)
# What a file must mention to have a query.
TELLING: Final = "KeyCondition"
UNSET: Final = "the expression uses"
# What it must have besides, if it is Python: a call that may be the query.
ASKING: Final = late(rf"\.\s*(?:{'|'.join(OPERATIONS)})\b")
# A file of the project that a script imports.
IMPORTED: Final = late(r"""(?:\bfrom|\brequire\(|\bimport)\s*['"](\.{1,2}/[^'"]+)['"]""")
MOST_FILES: Final = 5_000
MOST_BYTES: Final = 300_000


class CodeFault(msgspec.Struct, frozen=True):
    """One fault: `file:line`, and what is wrong in words. `refused`: DynamoDB refuses the query, whatever the data."""

    place: str
    text: str
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Review(msgspec.Struct, frozen=True):
    """The faults of a folder's queries, and the number of queries.

    `unread`: files that may have queries and could not be read. `unparsed`: those that ask DynamoDB something, and are
    no Python of this version.
    """

    faults: tuple[CodeFault, ...]
    queries: int
    unread: tuple[str, ...]
    unparsed: tuple[str, ...] = ()


def review(code: Iterable[Code]) -> list[CodeFault]:
    """The faults of all queries. An id in a script is none: scripts are for trying out."""
    return faults_of(query for each in code for query in each.queries)


def faults_of(queries: Iterable[Query]) -> list[CodeFault]:
    """The faults of these queries, each with its place."""
    return [
        CodeFault(f"{each.function.file}:{each.line}", text, text.startswith(UNSET))
        for each in queries
        for text in faults(each)
    ]


def faults(query: Query) -> Iterator[str]:
    """The faults of one query."""
    for name in query.unset:
        yield f"{UNSET} {name}, which has no value: DynamoDB refuses the query"
    if query.limit and not query.pages and query.operation == "Query":
        yield f"Limit {query.limit}, and the code requests no next page: the list ends after {query.limit} items"
    if query.narrowed and query.narrowed_by and YEAR.search(query.narrowed_by):
        yield f"begins_with({query.narrowed}, {query.narrowed_by}) depends on today's date: older items are never read"
    if query.function.name:
        for attribute, template in query.key.items():
            if UUID.search(template):
                yield f"the value of key attribute `{attribute}` is a fixed id in the code"


def review_folder(root: Path) -> Review:
    """The faults of the queries in a folder's Python, JavaScript and Go. Nothing is run."""
    queries: list[Query] = []
    scripts: dict[str, str] = {}
    listed = list_widely(root, MOST_FILES)
    unread: list[str] = []
    programs: dict[str, str] = {}
    for path in listed.files:
        name = path.as_posix()
        script = is_script(name) or (name.endswith(".go") and not is_test(name))
        if not script and (path.suffix not in (".py", "") or name.startswith(".") or is_test(name)):
            continue
        try:
            text = read_text(root / path, MOST_BYTES)
        except OSError:
            text = None
        if text is None and (script or path.suffix):
            unread.append(name)
        if text is not None and script:
            scripts[name] = text
        if script or text is None or not (path.suffix or text.startswith("#!")):
            continue
        if TELLING in text or ASKING.search(text):
            programs[name] = text
    telling = [name for name, text in programs.items() if TELLING in text]
    # A helper that sends the query may be in a file that names no condition.
    trees = {name: tree for name, text in programs.items() if telling and (tree := parse_python(text))}
    unparsed = [name for name in telling if name not in trees and ASKING.search(programs[name])]
    for name, tree in with_queries(trees).items():
        if name in telling:
            queries += read_queries(name, tree)
    if scripts := with_imported(scripts):
        queries += script_queries(scripts)
    return Review(tuple(faults_of(queries)), len(queries), (*unread, *listed.left_out), tuple(unparsed))


def with_imported(texts: Mapping[str, str]) -> dict[str, str]:
    """The files that may have queries, and those of the project that they import: tables' names, keys, helpers."""
    chosen = {name: text for name, text in texts.items() if TELLING in text}
    stems = {name.rpartition(".")[0].removesuffix("/index"): name for name in texts}
    for name, text in dict(chosen).items():
        for path in IMPORTED.findall(text):
            whole = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            other = whole if whole in texts else stems.get(whole, stems.get(whole.rpartition(".")[0]))
            chosen |= {other: texts[other]} if other else {}
    return chosen


def script_queries(texts: Mapping[str, str]) -> list[Query]:
    """The queries of files in JavaScript, TypeScript and Go."""
    from devenv.init.golang_code import GoFile, read_go
    from devenv.init.javascript_code import JsFile, read_scripts

    made, _ = read_scripts({name: text for name, text in texts.items() if is_script(name)}, {}, frozenset())
    read: list[JsFile | GoFile] = [*made.values(), *read_go(texts, {}, frozenset()).values()]
    return [query for each in read for query in each.code.queries]


def is_test(name: str) -> bool:
    """Return True for a file of tests."""
    *folders, file = name.split("/")
    return bool({"test", "tests"} & set(folders)) or file.startswith(("test_", "conftest"))
