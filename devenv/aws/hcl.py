"""Parser for Terraform's language, limited to literals: blocks, attributes, texts, lists, objects, some functions.

References and whatever is computed become the text `${…}`, as in an interpolated text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

BYTES: Final = 400_000
DEPTH: Final = 40
# What stands in `${…}` is bounded, so that a text with many beginnings and no end is read in linear time.
TOKEN: Final = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<line>\n)
    |(?P<heredoc><<-?(?P<mark>\w+)\n)
    |(?P<text>"(?:\\.|\$\{(?:[^{}"]|"[^"]{0,300}+"|\{[^}]{0,300}+\}){0,300}+\}|[^"\\\n])*+")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][\w-]*)
    |(?P<sign>=>|==|!=|<=|>=|&&|\|\||\.\.\.|.)""",
    re.DOTALL | re.VERBOSE | re.MULTILINE,
)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
OPENING: Final = {"(": ")", "[": "]", "{": "}"}
KNOWN_WORDS: Final = {"true": True, "false": False, "null": None}


class Broken(Exception):
    """The text is not Terraform."""


@dataclass(frozen=True)
class Block:
    """`kind "label" "label" { … }`: attributes by name, and the blocks inside. `line` is where it begins, from 1."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    line: int = 1

    def inner(self, kind: str) -> list[Block]:
        """The blocks of one kind, also those that `dynamic` makes."""
        found = [each for each in self.blocks if each.kind == kind]
        made = [each for each in self.blocks if each.kind == "dynamic" and each.labels == (kind,)]
        return found + [content for each in made for content in each.inner("content")]


@dataclass(frozen=True)
class HclToken:
    """One piece of the text. `start`, `end`: where in the text it is; `line`: where it begins, from 1."""

    kind: str
    text: str
    start: int
    end: int
    line: int


def read(text: str) -> list[Block]:
    """The blocks of a file. Broken."""
    if len(text) > BYTES:
        raise Broken(f"it has more than {BYTES} characters")
    try:
        return HclReader(text).body(None, Block("")).blocks
    except RecursionError:
        raise Broken("it is nested too deeply") from None


def tokens(text: str) -> Iterator[HclToken]:
    """The text in pieces, without blanks and comments."""
    marks = Marks(text)
    at, line, counted = 0, 1, 0
    while match := TOKEN.match(text, at):
        start, at = at, match.end()
        if match["skip"] is not None:
            continue
        line, counted = line + text.count("\n", counted, start), start
        kind, said = match.lastgroup or "sign", match[0]
        if match["heredoc"] is not None:
            if found := marks.find(match["mark"], at):
                kind, said, at = "heredoc", text[at : found[0]], found[1]
            else:
                kind, said, at = "sign", "<", start + 1
        yield HclToken(kind, said, start, at, line)


class Marks:
    """The lines of a text by their words, to find where a heredoc ends without reading on for each one."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lines(self) -> Mapping[str, list[tuple[int, int]]]:
        """A line without blanks -> where such lines begin and end, in order."""
        found: dict[str, list[tuple[int, int]]] = {}
        at = 0
        for line in self.text.split("\n"):
            found.setdefault(line.strip(), []).append((at, at + len(line)))
            at += len(line) + 1
        return found

    def find(self, mark: str, at: int) -> tuple[int, int] | None:
        """The first line from `at` on that is `mark` alone."""
        places = self.lines.get(mark, [])
        number = bisect_left(places, (at, 0))
        return places[number] if number < len(places) else None


class HclReader:
    """Reads one text from front to end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(tokens(text))
        self.at = 0

    @property
    def next(self) -> HclToken:
        """The token to come; a line's end behind the last."""
        if self.at < len(self.tokens):
            return self.tokens[self.at]
        return HclToken("end", "", len(self.text), len(self.text), 0)

    def take(self) -> HclToken:
        """The token to come, and go behind it."""
        token = self.next
        self.at += token.kind != "end"
        return token

    def lines(self) -> None:
        """Go behind line ends."""
        while self.next.kind == "line":
            self.at += 1

    def body(self, closing: str | None, block: Block, depth: int = 0) -> Block:
        """Fill `block` with the attributes and blocks up to the closing brace."""
        if depth > DEPTH:
            raise Broken("it is nested too deeply")
        while True:
            self.lines()
            token = self.take()
            if token.kind == "end" or token.text == closing:
                if (token.kind == "end") != (closing is None):
                    raise Broken("a brace is missing")
                return block
            if token.kind not in ("word", "text"):
                raise Broken(f"{token.text!r} is out of place")
            if self.next.text == "=":
                self.take()
                block.attributes[token.text.strip('"')] = self.value(depth)
                continue
            names = []
            while self.next.kind in ("text", "word"):
                names.append(self.take().text.strip('"'))
            if self.take().text != "{":
                raise Broken(f"{token.text!r} is neither an attribute nor a block")
            block.blocks.append(self.body("}", Block(token.text, tuple(names), line=token.line), depth + 1))

    def value(self, depth: int, ends: Sequence[str] = ("}",), *, lines: bool = False) -> Any:
        """An expression up to one of `ends`, or without `lines` the end of its line. What is computed stays a text."""
        if depth > DEPTH:
            raise Broken("it is nested too deeply")
        if lines:
            self.lines()
        start, first = self.at, self.next.start
        value = self.operand(depth)
        if lines:
            self.lines()
        if self.next.kind in ("line", "end") or self.next.text in ends:
            return value
        self.at = start
        self.skip(ends, lines=lines)
        if self.at == start:
            raise Broken(f"{self.next.text!r} is out of place")
        return f"${{{self.text[first : self.tokens[self.at - 1].end]}}}"

    def operand(self, depth: int) -> Any:
        """A value that is spelt out, a reference, or a call."""
        token = self.take()
        if token.kind == "end":
            raise Broken("a value is missing")
        if token.kind == "heredoc":
            return token.text
        if token.kind == "text":
            return unescaped(token.text[1:-1])
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.text == "[" and self.peek() != "for":
            return self.list(depth)
        if token.text == "{" and self.peek() != "for":
            return self.object(depth)
        if token.kind != "word":
            return "${?}"
        if self.next.text == "(":
            self.take()
            given = self.list(depth, ")")
            return call(token.text, given, self.text[token.start : self.tokens[self.at - 1].end])
        if token.text in KNOWN_WORDS:
            return KNOWN_WORDS[token.text]
        while self.next.text in (".", "["):
            if self.take().text == "[":
                self.at -= 1
                self.skip_pair()
            else:
                self.take()
        return f"${{{self.text[token.start : self.tokens[self.at - 1].end]}}}"

    def peek(self) -> str:
        """The next word behind line ends."""
        at = self.at
        while at < len(self.tokens) and self.tokens[at].kind == "line":
            at += 1
        return self.tokens[at].text if at < len(self.tokens) else ""

    def list(self, depth: int, closing: str = "]") -> list[Any]:
        """The values up to the closing sign."""
        parts: list[Any] = []
        while True:
            self.lines()
            if self.next.text == closing:
                self.take()
                return parts
            if self.next.kind == "end":
                raise Broken("a bracket is missing")
            if self.next.text in (",", "..."):
                self.take()
                continue
            parts.append(self.value(depth + 1, (",", closing, "..."), lines=True))

    def object(self, depth: int) -> dict[str, Any]:
        """The entries up to the closing brace."""
        entries: dict[str, Any] = {}
        while True:
            self.lines()
            token = self.take()
            if token.text == "}":
                return entries
            if token.text == ",":
                continue
            if token.kind == "end":
                raise Broken("a brace is missing")
            if token.text == "(":
                self.at -= 1
                self.skip_pair()
            name = unescaped(token.text[1:-1]) if token.kind == "text" else token.text
            if self.take().text not in ("=", ":"):
                raise Broken(f"{name!r} has no value")
            entries[name] = self.value(depth + 1, (",", "}"))

    def skip(self, ends: Sequence[str], *, lines: bool) -> None:
        """Go to the end of an expression that is not spelt out."""
        while self.next.kind != "end" and self.next.text not in (*ends, *OPENING.values()):
            if self.next.kind == "line" and not lines:
                return
            if self.next.text in OPENING:
                self.skip_pair()
            else:
                self.take()

    def skip_pair(self) -> None:
        """Go behind a pair of brackets."""
        depth = 0
        while self.next.kind != "end":
            token = self.take()
            depth += (token.text in OPENING) - (token.text in OPENING.values())
            if depth == 0:
                return
        raise Broken("a bracket is missing")


def call(name: str, arguments: list[Any], written: str) -> Any:
    """The result of a function that only puts values together; of any other the text of the call."""
    match name, arguments:
        case (("jsonencode" | "tolist" | "toset" | "tostring" | "nonsensitive"), [value]):
            return value
        case "concat", lists if all(isinstance(each, list) for each in lists):
            return [part for each in lists for part in each]
        case "merge", parts if all(isinstance(each, Mapping) for each in parts):
            return {key: value for each in parts for key, value in each.items()}
        case "join", [str(glue), list(parts)] if all(isinstance(each, str | int) for each in parts):
            return glue.join(map(str, parts))
    return f"${{{written}}}"


def unescaped(text: str) -> str:
    """A quoted text without its escapes. `$${` stands for `${`."""
    plain = re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[0]), text)
    return plain.replace("$${", "${")
