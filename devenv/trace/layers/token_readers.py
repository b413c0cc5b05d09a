"""The lines of the application that check tokens: the place to compare with `[token]` where one is refused."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Final

from devenv.core.late import late
from devenv.init.listing import list_widely
from devenv.trace.layers.functions import MOST_FILES, line_of, text_of

CHECKS: Final = late(r"\bjwt\.(?:verify|decode)\(|\bjwtVerify\(|\bjwt\.Parse\w*\(|\bJWT\.decode\b|\bJWT::decode\(")
ENDINGS: Final = frozenset([".py", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".go", ".rb", ".php"])
TESTS: Final = frozenset(["test", "tests", "spec", "__tests__"])


def refused_token(root: Path) -> str:
    """The advice for a token of devenv that the application refused: the lines of devenv.toml and of the code."""
    readers = next(filter(None, (reader_in(root, path) for path in list_widely(root, MOST_FILES).files)), None)
    declared = line_of(root, ("token", "claims"))
    return f"compare `claims` at {declared} with what {readers or 'the application'} reads of a token"


def reader_in(root: Path, path: PurePath) -> str | None:
    """`src/auth.js:7`, where the file checks tokens."""
    if path.suffix not in ENDINGS or TESTS & set(path.parts):
        return None
    text = text_of(root / path)
    found = CHECKS.search(text)
    return f"{path.as_posix()}:{text.count(chr(10), 0, found.start()) + 1}" if found else None
