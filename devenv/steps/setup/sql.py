"""Statements of SQL files: how a file's text is cut into them, and what is refused before anything runs. Pure.

One statement at a time, so that an error can name its file, line and statement, and so that a COMMIT in the
middle of a file cannot end the transaction that the whole step is. What a file is to psql is read in psql.py.
"""

from __future__ import annotations

import re
from bisect import bisect
from typing import Final

import msgspec

from devenv.core.errors import UsageError
from devenv.core.late import late

# What is not ordinary text: a quoted thing, a comment, a parenthesis, a semicolon, a psql command, a word.
TOKEN: Final = late(
    r"""
      (?P<quoted>[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<end>;)
    | (?P<meta>\\[^\n]*)
    | (?P<cast>::|:=)
    | (?P<var>:(?:\w+|'\w+'|"\w+"|\{\?\w+\}))
    | (?P<word>[^\W\d][\w$]*)
    | (?P<unclosed>['"])
    | (?P<other>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK_EDGE: Final = late(r"/\*|\*/")
EXCERPT: Final = 200


class CopyRows(msgspec.Struct, frozen=True):
    """The rows of a COPY … FROM stdin: the file and the line where they begin, and their text."""

    file: str
    line: int
    text: str


class Statement(msgspec.Struct, frozen=True):
    """One statement: its text without leading comments, its file (as the user named it) and its first line.

    `origin` is the file of the step that it is run for: `file`, or one that includes it.
    """

    file: str
    line: int
    text: str
    origin: str = ""
    rows: CopyRows | None = None

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def excerpt(self) -> str:
        """The statement on one line, shortened."""
        flat = " ".join(self.text.split())
        return flat if len(flat) <= EXCERPT else flat[: EXCERPT - 1] + "…"

    def line_at(self, position: int | None) -> int:
        """The file's line of the 1-based character `position` in the statement; its first line when None."""
        return self.line + (self.text.count("\n", 0, position - 1) if position else 0)


class Lines:
    """Offsets of a file's text as line numbers."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def number(self, offset: int) -> int:
        """The 1-based line of the character at `offset`."""
        return bisect(self._ends, offset - 1) + 1

    def place(self, offset: int) -> str:
        """`file:line`."""
        return f"{self._file}:{self.number(offset)}"


def next_token(text: str, at: int, lines: Lines) -> tuple[str, int, int] | None:
    """(kind, begin, end) of the next thing that is no blank and no comment. UsageError for what is never closed."""
    while token := TOKEN.search(text, at):
        kind, start, at = str(token.lastgroup), token.start(), token.end()
        if kind == "block":
            at = block_end(text, start, lines.place(start))
        elif kind == "dollar":
            closing = text.find(token[0], at)
            kind, at = ("quoted", closing + len(token[0])) if closing >= 0 else ("unclosed", at)
        if kind == "unclosed":
            raise UsageError(f"{lines.place(start)}: the quote {token[0]} is never closed")
        if kind not in ("comment", "block"):
            return kind, start, at
    return None


def block_end(text: str, start: int, place: str) -> int:
    """Return where the (nestable) comment that begins at `start` ends."""
    depth = 0
    for edge in BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise UsageError(f"{place}: the comment /* is never closed")


def count_blocks(words: list[str], blocks: int) -> int:
    """Return how many BEGIN ATOMIC and CASE blocks are open after the last word, in a CREATE FUNCTION or PROCEDURE.

    The body of such a function holds semicolons that end no statement.
    """
    if words[0] != "CREATE" or not {"FUNCTION", "PROCEDURE"} & set(words[1:4]):
        return 0
    if words[-2:] == ["BEGIN", "ATOMIC"] or (blocks and words[-1] == "CASE"):
        return blocks + 1
    return blocks - 1 if blocks and words[-1] == "END" else blocks


def refuse(statement: Statement, words: list[str]) -> None:
    """UsageError for a statement that would throw away what the step's one transaction did."""
    first, second = [*words, "", ""][:2]
    undone = first in ("ROLLBACK", "ABORT") and (first, second) != ("ROLLBACK", "TO")
    if undone or (first, second) == ("PREPARE", "TRANSACTION"):
        raise UsageError(
            f"{statement.place}: {first} is not possible here, as devenv runs all files in one transaction",
            hint="remove the statement; when any statement fails, all changes of the files are rolled back",
        )
