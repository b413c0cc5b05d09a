"""Lookups of a user by an opaque token: `SELECT … FROM users WHERE api_token = %s`, in a program's text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

LOOKUP: Final = re.compile(
    r"\bFROM\s+[\"`\\]*(?:\w+\.)?(?P<table>\w+)\b(?:(?!\bFROM\s)[^;]){0,200}?\bWHERE\b[^;]{0,200}?"
    r"\b(?P<column>(?:\w+_)?(?:token|api_?key)(?:_\w+)?)[\"`\\]*\s*=\s*(?:%s|%\(\w+\)s|\$\d|\?|:\w|\$\{)",
    re.IGNORECASE,
)
# Of such a column only a digest of the token is stored: what to send is not known.
DIGEST: Final = re.compile(r"hash|digest|sha\d|expire|created|updated|used|_at$|_id$", re.IGNORECASE)


# `headers.get("X-Api-Key")`, `req.headers["x-api-key"]`, `r.Header.Get("X-Api-Key")`.
HEADER: Final = re.compile(r"headers?\s*(?:\.get)?\s*[(\[]\s*['\"]([A-Za-z][\w-]*)['\"]", re.IGNORECASE)
TOKEN: Final = re.compile(r"(?:key|token)$", re.IGNORECASE)
PROGRAMS: Final = (".py", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".go")


class TokenLookup(NamedTuple):
    """One statement that finds a row by the token in it."""

    place: str
    table: str
    column: str
    header: str | None = None


def token_lookups(texts: Mapping[str, str]) -> Iterator[TokenLookup]:
    """The lookups in the programs among files."""
    for name, text in texts.items():
        if name.endswith(PROGRAMS) and "where" in text.lower():
            for found in LOOKUP.finditer(text):
                if not DIGEST.search(found["column"]):
                    line = text.count("\n", 0, found.start()) + 1
                    headers = [header for header in HEADER.findall(text) if TOKEN.search(header)]
                    header = headers[0] if len(set(headers)) == 1 else None
                    yield TokenLookup(f"{name}:{line}", found["table"], found["column"], header)
