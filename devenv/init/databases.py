"""The databases of Postgres that a project's texts make or name. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from devenv.config.masking import split_address

DATABASE: Final = re.compile(
    r"CREATE\s+DATABASE\s+\"?([a-z_]\w{0,62})\"?\s*;|\bcreatedb\b[^\n;|&]{0,200}\s([a-z_]\w{0,62})[ \t]*(?=$|[;|&])"
    r"|(?P<url>(?:jdbc:)?postgres(?:ql)?://[^\s\"'$<>}]{1,400})",
    re.IGNORECASE | re.MULTILINE,
)
# `"NAME": os.environ.get("BOOKS_DB", "books")`, `database: process.env.PGDATABASE ?? 'books'`, `"database": "books"`.
NAMED: Final = re.compile(
    r"(?:\b(?:dbname|database)|['\"]NAME)['\"]?\s*[:=]\s*"
    r"(?:[\w.]{1,40}\(\s*['\"]\w{1,60}['\"]\s*,\s*|process\.env\.\w{1,60}\s*(?:\|\||\?\?)\s*)?['\"]([A-Za-z_]\w{0,62})['\"]"
)
POSTGRES: Final = re.compile(r"postgres|\bpg\b|psycopg|asyncpg|\b5432\b", re.IGNORECASE)
# "CREATE DATABASE ${name}" of a program.
BY_NAME: Final = re.compile(r"CREATE\s+DATABASE\s+\"?(?:\$\{|\{)(\w{1,40})\}", re.IGNORECASE)
NONE: Final = ("postgres", "template1")


def find_databases(texts: Iterable[str]) -> tuple[str, ...]:
    """The databases that texts make (CREATE DATABASE, createdb) or name in a URL, the most frequent first.

    Without one, those that settings for Postgres name, also as a default.
    """
    texts = list(texts)
    found = Counter(name for text in texts for each in DATABASE.finditer(text) if (name := database_in(each)))
    found += Counter(name for text in texts for name in named_databases(text))
    settled = Counter(each[1] for text in texts if POSTGRES.search(text) for each in NAMED.finditer(text))
    counted = found if any(name not in NONE for name in found) else settled
    return tuple(name for name, _ in counted.most_common() if name not in NONE)


def named_databases(text: str) -> Iterator[str]:
    """The names that a program gives CREATE DATABASE by a constant of its own."""
    for name in BY_NAME.findall(text):
        yield from re.findall(rf"\b{name}\s*=\s*['\"]([a-z_]\w{{0,62}})['\"]", text)[:1]


def database_in(found: re.Match[str]) -> str | None:
    """The name in one find; of a URL the part that is a database, whatever its password looks like."""
    if found["url"] is None:
        return found[1] or found[2]
    url = split_address(found["url"].removeprefix("jdbc:"))
    plain = url is not None and (not url.port or url.port.isdigit())
    return url.database if url and plain and re.fullmatch(r"[A-Za-z_]\w{0,62}", url.database) else None
