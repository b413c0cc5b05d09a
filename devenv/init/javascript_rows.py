"""The tables of Postgres that JavaScript makes, and the rows that its seeds insert. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from devenv.init.sql_tables import DeclaredColumn, DeclaredTable

KNEX_COLUMN: Final = re.compile(
    r"\.(\w+)\(\s*['\"](\w+)['\"][^;\n]*?\)((?:\s*\.\s*\w+\((?:[^()]|\([^()]*\))*\))*)", re.DOTALL
)
KNEX_KINDS: Final = {"increments": "integer", "bigIncrements": "bigint", "string": "text", "text": "text"}
NOT_COLUMNS: Final = frozenset(("foreign", "primary", "unique", "index", "references", "inTable", "dropColumn", "raw"))


def read_knex(text: str) -> Iterator[DeclaredTable]:
    """The tables of `knex.schema.createTable("users", t => { … })`."""
    for match in re.finditer(r"\.createTable(?:IfNotExists)?\(\s*['\"](\w+)['\"]", text):
        following = re.search(r"\.(?:create|drop)Table\w*\(", text[match.end() :])
        body = text[match.end() : match.end() + following.start()] if following else text[match.end() :]
        columns: dict[str, DeclaredColumn] = {}
        for kind, name, rest in KNEX_COLUMN.findall(body):
            if kind in NOT_COLUMNS or kind.startswith("drop"):
                continue
            primary = "primary(" in rest or "increments" in kind.lower()
            unique = primary or ".unique(" in rest.replace(" ", "")
            columns.setdefault(name, DeclaredColumn(name, KNEX_KINDS.get(kind, kind), unique, primary))
        if re.search(r"\.increments\(\s*\)", body):
            columns.setdefault("id", DeclaredColumn("id", "integer", True, True))
        if columns:
            yield DeclaredTable("public", match[1], tuple(columns.values()))
