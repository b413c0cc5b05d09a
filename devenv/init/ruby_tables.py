"""Tables of DynamoDB that Ruby makes: `create_table(table_name: …)` in programs, rake tasks and scripts. Pure.

Values are texts, hashes and lists that are spelt out, also under a name, in a loop over a list, or as the default of a
variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from devenv.init.source import Unclear
from devenv.init.tables import Found, accept

SUFFIXES: Final = (".rb", ".rake", "Rakefile")
SHEBANG: Final = re.compile(r"#!.*\bruby\b")
CREATES: Final = re.compile(
    r"\.create_table\s*(?:\(\s*|[ \t]+)(?=\{|table_name:|:table_name\b|\*\*|[A-Za-z_]\w*(?!\w*:))"
)
DYNAMODB: Final = re.compile(r"DynamoDB|\btable_name\b")
ENV: Final = (
    r"ENV\.fetch\(\s*['\"](?P<fetched>\w+)['\"]\s*(?:,\s*['\"](?P<or>[^'\"]*)['\"]\s*)?\)"
    r"(?:\s*\{\s*['\"](?P<given>[^'\"]*)['\"]\s*\})?"
    r"|ENV\[\s*['\"](?P<taken>\w+)['\"]\s*\](?:\s*\|\|\s*['\"](?P<else>[^'\"]*)['\"])?"
)
VARIABLE: Final = re.compile(ENV)
TOKEN: Final = re.compile(
    r"\s+|#[^\n]*(?:\n|\Z)|\.freeze\b|\*\*|(?P<words>%[wi][\[({][^\])}]*[\])}])"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'[^'\\]*')"
    rf"|(?P<env>{re.sub(r'[?]P<[a-z]+>', '?:', ENV)})"
    r"|(?P<key>[a-z_]\w*):(?!:)|:(?P<symbol>[a-z_]\w*)|(?P<number>\d[\d_]*)"
    r"|(?P<word>true|false|nil)\b|(?P<name>(?:[A-Z]\w*::)*[A-Za-z_]\w*)|(?P<mark>=>|[{}\[\],)])"
)
PART: Final = re.compile(r"#\{([^{}]*)\}")
ASSIGNED: Final = re.compile(r"^[ \t]*([A-Za-z_]\w*)[ \t]*=(?![=~>])[ \t]*", re.MULTILINE)
LOOP: Final = re.compile(
    r"(?P<over>\[[^\[\]]*\]|%[wi][\[({][^\])}]*[\])}]|\b[A-Za-z_][\w:]*+)\.each(?:_pair|_value)?\s*(?:do|\{)\s*\|(?P<names>[^|]+)\|"
)
WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "nil": None}
DEPTH: Final = 20
TURNS: Final = 100
NODES: Final = 20_000
CALLS: Final = 200


def is_ruby(file: str, text: str) -> bool:
    """Return True for a program in Ruby, by its name or its first line."""
    return file.endswith(SUFFIXES) or bool(SHEBANG.match(text))


@dataclass(frozen=True)
class RubyValues:
    """The values of names: places in texts where they are assigned, and what a loop gives them."""

    variables: Mapping[str, str]
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    bound: Mapping[str, Any] = field(default_factory=dict)
    # Names can stand for millions of values: those that are read are counted.
    left: list[int] = field(default_factory=lambda: [NODES])

    def at(self, text: str, place: int, depth: int = 0) -> Any:
        """The value that begins at a place. Unclear."""
        tokens = [*scanned(text, place)]
        try:
            return self.value(tokens, 0, depth)[0]
        except IndexError:
            raise Unclear from None

    def value(self, tokens: list[tuple[str, str]], at: int, depth: int = 0) -> tuple[Any, int]:
        """(value, place behind it), the keys of a hash as DynamoDB calls them. Unclear."""
        kind, text = tokens[at]
        self.left[0] -= 1
        if depth > DEPTH or self.left[0] < 0:
            raise Unclear
        match kind:
            case "text":
                return self.filled(text, depth), at + 1
            case "words":
                return text[3:-1].split(), at + 1
            case "env":
                return self.variable(text), at + 1
            case "number":
                return int(text.replace("_", "")), at + 1
            case "word":
                return WORDS[text], at + 1
            case "symbol":
                return text, at + 1
            case "name":
                return self.named(text, depth), at + 1
        if (kind, text) == ("mark", "["):
            items: list[Any] = []
            at += 1
            while tokens[at] != ("mark", "]"):
                item, at = self.value(tokens, at, depth + 1)
                items.append(item)
                at += tokens[at] == ("mark", ",")
            return items, at + 1
        if (kind, text) == ("mark", "{"):
            return self.hash(tokens, at + 1, depth)
        raise Unclear

    def hash(self, tokens: list[tuple[str, str]], at: int, depth: int) -> tuple[dict[str, Any], int]:
        """The same of a hash, behind its brace; a call's own arguments end with its parenthesis."""
        found: dict[str, Any] = {}
        while tokens[at] not in (("mark", "}"), ("mark", ")")):
            kind, name = tokens[at]
            at += 1
            if kind in ("symbol", "text") and tokens[at] == ("mark", "=>"):
                at += 1
            elif kind == "name":
                # `**DEFINITION`: its entries.
                more = self.named(name, depth)
                found |= more if isinstance(more, dict) else {}
                at += tokens[at] == ("mark", ",")
                continue
            elif kind != "key":
                raise Unclear
            word = name.strip("'\"")
            key = "".join(part[:1].upper() + part[1:] for part in word.split("_"))
            # `{ name:, … }` is short for `name: name`.
            if tokens[at] in (("mark", ","), ("mark", "}"), ("mark", ")")):
                found[key] = self.named(word, depth)
            else:
                found[key], at = self.value(tokens, at, depth + 1)
            at += tokens[at] == ("mark", ",")
        return found, at + 1

    def named(self, name: str, depth: int) -> Any:
        """The value of a name. Unclear."""
        name = name.rpartition("::")[2]
        if name in self.bound:
            return self.bound[name]
        if name not in self.places:
            raise Unclear
        return self.at(*self.places[name], depth + 1)

    def variable(self, text: str) -> str:
        """The value of a variable of the environment, else its default. Unclear."""
        found = VARIABLE.match(text)
        if found is None:
            raise Unclear
        known = self.variables.get(found["fetched"] or found["taken"])
        value = known or found["or"] or found["given"] or found["else"]
        if value is None:
            raise Unclear
        return value

    def filled(self, text: str, depth: int) -> str:
        """A text with its parts filled in. Unclear."""
        if text.startswith("'"):
            return text[1:-1]

        def fill(match: re.Match[str]) -> str:
            value = self.at(match[1].strip(), 0, depth + 1)
            if not isinstance(value, str | int):
                raise Unclear
            return str(value)

        return PART.sub(fill, text[1:-1])


def read_ruby_tables(
    file: str, text: str, texts: Mapping[str, str], variables: Mapping[str, str]
) -> tuple[list[Found], list[int]]:
    """The tables that a file makes with requests that are spelt out, and the lines of those that are not."""
    if not DYNAMODB.search(text):
        return [], []
    found: list[Found] = []
    unclear: list[int] = []
    values = RubyValues(variables, {**constants(texts), **assigned(text)})
    loops = [*LOOP.finditer(text)]
    for call in islice(CREATES.finditer(text), CALLS):
        line = text.count("\n", 0, call.start()) + 1
        made = [
            each
            for turn in turns(text, call.start(), loops, values)
            if (each := table_at(file, line, text, call, turn))
        ]
        found += [each for each in made if all(each.table != known.table for known in found)]
        unclear += [] if made else [line]
    return found, unclear


def table_at(file: str, line: int, text: str, call: re.Match[str], values: RubyValues) -> Found | None:
    """The table of one call; None where its request is computed."""
    tokens = [*scanned(text, call.end())]
    named = bool(tokens) and tokens[0][0] == "name" and not text.startswith("**", call.end())
    try:
        request, _ = values.value(tokens if named or tokens[:1] == [("mark", "{")] else [("mark", "{"), *tokens], 0)
    except (Unclear, IndexError):
        return None
    return accept(file, line, request)


def constants(texts: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """The constants of all files of Ruby by name -> where their value begins; of two, the first file's."""
    found: dict[str, tuple[str, int]] = {}
    for name, text in texts.items():
        if is_ruby(name, text):
            own = {word: place for word, place in assigned(text).items() if word[0].isupper()}
            found = {**own, **found}
    return found


def assigned(text: str) -> dict[str, tuple[str, int]]:
    """Name -> where its value begins, of the names that a text assigns once."""
    found: dict[str, tuple[str, int]] = {}
    twice: set[str] = set()
    for match in ASSIGNED.finditer(text):
        twice |= {match[1]} & found.keys()
        found[match[1]] = text, match.end()
    return {name: place for name, place in found.items() if name not in twice}


def turns(text: str, place: int, loops: Iterable[re.Match[str]], values: RubyValues) -> Iterable[RubyValues]:
    """The values at each turn of the loop before a place, over a list or hash that is spelt out."""
    loop = max((each for each in loops if each.end() <= place), key=lambda each: each.end(), default=None)
    if loop is None:
        return [values]
    names = [name.strip() for name in loop["names"].split(",")]
    if not any(re.search(rf"\b{re.escape(name)}\b", text[place : text.find("\nend", place)]) for name in names):
        return [values]
    try:
        over = values.at(loop["over"], 0)
    except Unclear:
        return [values]
    pairs = over.items() if isinstance(over, dict) else [(each,) for each in over] if isinstance(over, list) else []
    found = []
    for pair in [*pairs][:TURNS]:
        bound = dict(zip(names, pair, strict=False))
        found.append(RubyValues(values.variables, values.places, bound, values.left))
    return found or [values]


def scanned(text: str, at: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of the tokens from a place on, as far as they are those of values."""
    while found := TOKEN.match(text, at):
        at = found.end()
        if found.lastgroup is not None:
            yield found.lastgroup, found[found.lastgroup]
    yield "mark", ")"
