"""Programs that use Postgres by themselves: the tables that they make, and the TLS that they demand. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Final

from devenv.core.late import late
from devenv.core.plural import tables_named
from devenv.core.value import Value
from devenv.init.listing import SCRIPTS
from devenv.init.sql_code import LANGUAGES, MOST, TESTS, TEXT
from devenv.init.sql_tables import DeclaredTable, read_sql

MAKES: Final = late(r"\s*CREATE\s+TABLE\b", re.IGNORECASE)
MIGRATION: Final = late(r"migrat|versions/", re.IGNORECASE)
# A driver that is told to use TLS whatever the server says; one that a condition chooses is none.
SSL_MODE: Final = late(r"\bsslmode[=:]\s*['\"]?(?:require|verify-ca|verify-full)\b")
SSL_OPTION: Final = late(r"\bssl\s*:\s*(?:true\b(?!\s*\?)|\{\s*(?:require|rejectUnauthorized|ca)\s*:)")
DRIVER: Final = late(r"['\"](?:pg|postgres|sequelize|typeorm|knex|pg-promise|slonik|@nestjs/typeorm)['\"]")


class MadeTables(Value, frozen=True):
    """The tables that a statement in a program makes."""

    file: str
    line: int
    tables: tuple[DeclaredTable, ...]


def program_tables(texts: Mapping[str, str]) -> list[MadeTables]:
    """The CREATE TABLE statements in texts of programs, tests aside."""
    found = []
    for file, text in texts.items():
        if not file.endswith(LANGUAGES) or TESTS & set(PurePath(file).parts[:-1]) or len(text) > MOST:
            continue
        for literal in TEXT.finditer(text) if "CREATE TABLE" in text.upper() else ():
            statement = next((part for part in literal.groups() if part), "")
            read = read_sql("made.sql", statement) if MAKES.match(statement) else ""
            if not isinstance(read, str) and read.tables:
                found.append(MadeTables(file, text.count("\n", 0, literal.start()) + 1, read.tables))
    return found


def made_by_programs(made: Iterable[MadeTables], known: Collection[str]) -> list[str]:
    """Sentences about tables that only a program makes: `known` are those that files make."""
    places: dict[str, tuple[int, list[str]]] = {}
    for each in made:
        names = [table.name for table in each.tables if table.name not in known]
        if names and not MIGRATION.search(each.file):
            places.setdefault(each.file, (each.line, []))[1].extend(names)
    return [
        f"{file}:{line}: this program creates {tables_named(list(dict.fromkeys(names)))} when it runs. No SQL file"
        " does, so neither does [steps.setup]"
        for file, (line, names) in places.items()
    ]


def done_by_programs(texts: Mapping[str, str], made: Iterable[MadeTables], known: Collection[str]) -> list[str]:
    """Sentences about what programs do with Postgres by themselves."""
    return [*made_by_programs(made, known), *tls_demanded(texts)]


def tls_demanded(texts: Mapping[str, str]) -> list[str]:
    """Sentences about programs that connect to Postgres with TLS only."""
    found = []
    for file, text in texts.items():
        script = file.endswith(SCRIPTS) and DRIVER.search(text)
        match = SSL_MODE.search(text) if file.endswith(LANGUAGES) else None
        match = match or (SSL_OPTION.search(text) if script else None)
        if match and not TESTS & set(PurePath(file).parts[:-1]):
            found.append(
                f"{file}:{text.count(chr(10), 0, match.start()) + 1}: connects to Postgres with TLS only"
                f" ({match[0].strip()}), which devenv's server does not have: let a variable switch it off"
            )
    return found
