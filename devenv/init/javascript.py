"""Expressions of JavaScript and TypeScript with constant values: converted to Python's nodes, for the same reader.

`process.env.X` becomes `os.environ["X"]`, a template literal an f-string, `a.b` a subscript, an object a dict. What has
no counterpart becomes a name that stands for nothing. Nothing is executed.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from devenv.init.javascript_operators import chosen, either, member
from devenv.init.source import Fill

TEXT_BYTES: Final = 300_000
DEPTH: Final = 60
TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<str>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(?P<tick>`)"""
    r"""|(?P<num>\d[\d_]*(?:\.\d+)?n?)|(?P<id>[A-Za-z_$][\w$]*)|(?P<mark>=>|\.\.\.|\?\.|\?\?|\|\||&&|===?|!==?|.)""",
    re.DOTALL,
)
REGEX: Final = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
# After these a slash begins a regular expression.
OPENERS: Final = frozenset(("(", ",", "=", ":", "[", "!", "&&", "||", "?", "{", "}", ";", "=>", "return", ""))
NO_NAMES: Final = frozenset(("if", "for", "while", "switch", "catch", "function", "return", "await", "new", "typeof"))
NOTHING: Final = "_"
# Methods that give the same value in another form.
SAME: Final = {"toISOString": "isoformat", "toJSON": "isoformat"}


@dataclass(frozen=True)
class JsToken:
    """One token: its kind (`str`, `tick`, `num`, `id`, `mark`), text, offset."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class JsFunction:
    """A function: its name with its class, parameters, and the tokens from `begin` to `end` that are its body.

    `optional` are parameters with a default; `taken_apart`: its one argument is an object with these names.
    """

    name: str
    parameters: tuple[str, ...]
    begin: int
    end: int
    line: int
    optional: tuple[str, ...] = ()
    taken_apart: bool = False


@dataclass
class JsScript:
    """The tokens of a file, and its functions."""

    text: str
    tokens: list[JsToken] = field(default_factory=list)
    blocks: list[JsFunction] = field(default_factory=list)
    partners: dict[int, int] = field(default_factory=dict)

    def line(self, at: int) -> int:
        """The line of a token."""
        offset = self.tokens[at].at if at < len(self.tokens) else len(self.text)
        return self.text.count("\n", 0, offset) + 1

    def word(self, at: int) -> str:
        """The text of a token; "" beyond the ends."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def block_of(self, at: int) -> JsFunction | None:
        """The innermost function with a name that a token is in."""
        inside = [block for block in self.blocks if block.begin <= at <= block.end]
        return max(inside, key=lambda block: block.begin, default=None)


def parse_script(text: str) -> JsScript | None:
    """The tokens and functions of a file; None for one that is too long."""
    if len(text) > TEXT_BYTES:
        return None
    script = JsScript(text)
    script.tokens = list(tokens(text))
    script.partners = partners(script.tokens)
    # `exports.find = function find(…)` is found by both names.
    script.blocks = list(dict.fromkeys(blocks(script)))
    return script


def tokens(text: str) -> Iterator[JsToken]:
    """The tokens of a text; a template literal is one."""
    at, last = 0, ""
    while at < len(text):
        if text[at] == "/" and last in OPENERS and not text.startswith(("//", "/*"), at):
            found = REGEX.match(text, at)
            if found:
                at, last = found.end(), "regex"
                continue
        match = TOKEN.match(text, at)
        if match is None:
            return
        kind, end = str(match.lastgroup), match.end()
        if kind == "tick":
            end = end_of_template(text, end)
        if kind != "skip":
            last = text[at:end]
            yield JsToken(kind, last, at)
        at = end


def end_of_template(text: str, at: int) -> int:
    """The place behind a template literal whose inside begins at `at`."""
    depth = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}" and depth:
            depth -= 1
        elif text[at] == "`" and not depth:
            return at + 1
        at += 1
    return len(text)


def partners(found: list[JsToken]) -> dict[int, int]:
    """Opening bracket -> closing bracket, by their places among the tokens."""
    pairs: dict[int, int] = {}
    open_: list[int] = []
    for at, token in enumerate(found):
        if token.kind != "mark":
            continue
        if token.text in "([{":
            open_.append(at)
        elif token.text in ")]}" and open_:
            pairs[open_.pop()] = at
    return pairs


def blocks(script: JsScript) -> Iterator[JsFunction]:
    """Named functions, methods and arrow functions that a name is given."""
    classes: list[tuple[str, int, int]] = []
    for at, token in enumerate(script.tokens):
        if token.text == "class" and token.kind == "id" and script.tokens[at + 1 : at + 2]:
            opening = next((n for n in range(at + 2, min(at + 40, len(script.tokens))) if script.word(n) == "{"), None)
            if opening in script.partners:
                classes.append((script.word(at + 1), opening, script.partners[opening]))
    for at, token in enumerate(script.tokens):
        if token.kind != "id" or token.text in NO_NAMES:
            continue
        found = function_at(script, at)
        if found is None:
            continue
        parameters, begin, end = found
        owner = next((name for name, first, last in classes if first < at < last), "")
        name = f"{owner}.{token.text}" if owner else token.text
        head = [script.word(n) for n in range(at, begin)]
        optional = tuple(p for p in parameters if p in head and head[head.index(p) + 1 :][:1] in (["="], ["?"]))
        apart = "(" in head and head[head.index("(") + 1 :][:1] == ["{"]
        yield JsFunction(name, parameters, begin, end, script.line(at), optional, apart)


def function_at(script: JsScript, at: int) -> tuple[tuple[str, ...], int, int] | None:
    """(parameters, begin, end of the body) of a function that the name at `at` is given; None for no function."""
    return method_at(script, at) if script.word(at + 1) in ("(", "<") else assigned_at(script, at)


def method_at(script: JsScript, at: int) -> tuple[tuple[str, ...], int, int] | None:
    """A function by its keyword, or a method: what follows the parentheses is a body."""
    before, after = script.word(at - 1), script.word(at + 1)
    opening = at + 1
    if after == "<":
        opening = skip_generic(script, at + 1)
    if script.word(opening) == "(" and before not in (".", "?.", "new") and opening in script.partners:
        body = skip_type(script, script.partners[opening] + 1)
        if script.word(body) == "{" and body in script.partners:
            return parameters_of(script, opening), body, script.partners[body]
    return None


def assigned_at(script: JsScript, at: int) -> tuple[tuple[str, ...], int, int] | None:
    """A function that a name is given: `name = (x) => …`, `name: async function (x) { … }`."""
    start = at + 1
    if script.word(start) == ":":
        # A declared type, up to the `=`.
        start = next((n for n in range(at + 2, at + 30) if script.word(n) in ("=", ";", ",", ")", "")), at + 1)
        if script.word(start) != "=":
            start = at + 1
    if script.word(start) not in ("=", ":"):
        return None
    start += 1
    if script.word(start) == "async":
        start += 1
    if script.word(start) == "function":
        opening = start + 1 if script.word(start + 1) == "(" else start + 2
        body = skip_type(script, script.partners.get(opening, opening) + 1)
        if script.word(body) == "{" and body in script.partners and opening in script.partners:
            return parameters_of(script, opening), body, script.partners[body]
        return None
    if script.word(start) == "(" and start in script.partners:
        arrow = skip_type(script, script.partners[start] + 1)
        if script.word(arrow) == "=>":
            return parameters_of(script, start), *arrow_body(script, arrow + 1)
    elif script.word(start + 1) == "=>":
        return (script.word(start),), *arrow_body(script, start + 2)
    return None


def skip_generic(script: JsScript, at: int) -> int:
    """The place behind `<…>`."""
    depth = 0
    for place in range(at, min(at + 40, len(script.tokens))):
        depth += {"<": 1, ">": -1}.get(script.word(place), 0)
        if depth == 0:
            return place + 1
    return at


def skip_type(script: JsScript, at: int) -> int:
    """The place behind a declared return type."""
    if script.word(at) != ":":
        return at
    depth = 0
    for place in range(at + 1, min(at + 80, len(script.tokens))):
        word = script.word(place)
        if depth == 0 and (word == "=>" or (word == "{" and script.word(place - 1) != ":")):
            return place
        depth += {"<": 1, ">": -1, "{": 1, "}": -1, "(": 1, ")": -1}.get(word, 0)
    return at


def arrow_body(script: JsScript, at: int) -> tuple[int, int]:
    """The tokens of an arrow function's body: its block, or an expression up to the end of the statement."""
    if script.word(at) == "{" and at in script.partners:
        return at, script.partners[at]
    place = at
    while place < len(script.tokens):
        word = script.word(place)
        if word in (";", ")", "}", "]", ","):
            break
        place = script.partners.get(place, place) + 1
    return at, max(at, place - 1)


def parameters_of(script: JsScript, opening: int) -> tuple[str, ...]:
    """The names of parameters; those that are taken apart (`{ id }`) count one by one."""
    names, at, expecting, depth = [], opening + 1, True, 0
    closing = script.partners.get(opening, opening)
    while at < closing:
        token = script.tokens[at]
        if token.text in ("{", "[") and expecting:
            depth += 1
        elif token.text in ("}", "]") and depth:
            depth -= 1
        elif token.text == ",":
            expecting = True
        elif token.kind == "id" and expecting and token.text not in ("private", "public", "readonly", "protected"):
            names.append(token.text)
            expecting = False
        elif token.text == "@":
            at += 1  # A decorator: `@Param('id') id: string`.
            if script.word(at + 1) == "(":
                at = script.partners.get(at + 1, at + 1)
        elif token.text in ("(", "{", "["):
            at = script.partners.get(at, at)
        at += 1
    return tuple(names)


class JsParser:
    """Reads one expression from the tokens of a script."""

    def __init__(self, script: JsScript) -> None:
        self.script = script

    def expression(self, at: int, depth: int = 0) -> tuple[ast.expr, int]:
        """(node, place behind it) of the expression that begins at a token."""
        node, at = self.unary(at, depth)
        word = self.script.word(at)
        if word in ("||", "??"):
            other, at = self.expression(at + 1, depth + 1)
            return either(node, other), at
        if word == "+":
            other, at = self.expression(at + 1, depth + 1)
            return ast.BinOp(left=node, op=ast.Add(), right=other), at
        if word == "?" and self.script.word(at + 1) not in (",", ")", ":"):
            one, behind = self.expression(at + 1, depth + 1)
            if self.script.word(behind) == ":":
                other, at = self.expression(behind + 1, depth + 1)
                return chosen(node, one, other), at
        if word == "as":  # TypeScript's cast.
            while self.script.word(at) not in (",", ")", "}", "]", ";", ""):
                at = self.script.partners.get(at, at) + 1
        return node, at

    def unary(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """A value with what is read of it and called on it."""
        if depth > DEPTH:
            return ast.Name(id=NOTHING), at + 1
        while self.script.word(at) in ("await", "!", "-"):
            at += 1
        node, at = self.primary(at, depth + 1)
        while True:
            word = self.script.word(at)
            following = self.script.word(at + 1)
            if word in (".", "?.") and following and following != "(":
                node, at = member(node, following), at + 2
            elif word == "[":
                inner, _ = self.expression(at + 1, depth + 1)
                node, at = ast.Subscript(value=node, slice=inner), self.script.partners.get(at, at) + 1
            elif word == "(" and (mapped := self.mapped(node, at, depth + 1)) is not None:
                node, at = mapped, self.script.partners.get(at, at) + 1
            elif word == "(":
                node, at = self.call(node, at, depth + 1)
            elif word == "!" and following in (".", ",", ")", ";", "}"):
                at += 1
            else:
                return node, at

    def primary(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """A literal, a name, an object, a list, something in parentheses."""
        if at >= len(self.script.tokens):
            return ast.Name(id=NOTHING), at + 1
        token = self.script.tokens[at]
        if token.kind == "str":
            return ast.Constant(value=unquoted(token.text)), at + 1
        if token.kind == "tick":
            return self.template(token.text), at + 1
        if token.kind == "num":
            plain = token.text.replace("_", "").rstrip("n")
            return ast.Constant(value=float(plain) if "." in plain else int(plain)), at + 1
        if token.text == "{":
            return self.object(at, depth)
        if token.text == "[":
            return self.array(at, depth)
        if token.text == "(":
            node, _ = self.expression(at + 1, depth)
            return node, self.script.partners.get(at, at) + 1
        if token.text == "new":
            return self.unary(at + 1, depth)
        if token.text in ("true", "false"):
            return ast.Constant(value=token.text == "true"), at + 1
        if token.text in ("null", "undefined"):
            return ast.Constant(value=None), at + 1
        return ast.Name(id=token.text if token.kind == "id" else NOTHING), at + 1

    def mapped(self, node: ast.expr, at: int, depth: int) -> ast.expr | None:
        """The list that `["a", "b"].map((name) => ({ name }))` makes; None for any other call."""
        match node:
            case ast.Subscript(value=ast.List(elts=parts), slice=ast.Constant(value="map")):
                word = self.script.word
                inner = at + 1 if word(at + 1) == "(" else at
                arrow = self.script.partners.get(at + 1, at) + 1 if inner > at else at + 2
                if word(arrow) != "=>" or word(arrow + 1) == "{":
                    return None
                body, _ = self.expression(arrow + 1, depth)
                return ast.List(elts=[Fill({word(inner + 1): part}).visit(copy.deepcopy(body)) for part in parts])
        return None

    def call(self, function: ast.expr, at: int, depth: int) -> tuple[ast.expr, int]:
        """A call, with its arguments."""
        closing = self.script.partners.get(at, at)
        arguments, place = [], at + 1
        while place < closing:
            node, following = self.expression(place, depth)
            arguments.append(node)
            place = max(following, place + 1)
            while place < closing and self.script.word(place) != ",":
                place = self.script.partners.get(place, place) + 1
            place += 1
        if isinstance(function, ast.Subscript) and isinstance(function.slice, ast.Constant):
            name = str(function.slice.value)
            if name == "toString" and not arguments:
                return ast.Call(func=ast.Name(id="str"), args=[function.value], keywords=[]), closing + 1
            function = ast.Attribute(value=function.value, attr=SAME.get(name, name))
        if isinstance(function, ast.Name) and function.id == "String":
            function = ast.Name(id="str")
        return ast.Call(func=function, args=arguments, keywords=[], lineno=self.script.line(at)), closing + 1

    def array(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """A list."""
        closing = self.script.partners.get(at, at)
        parts, place = [], at + 1
        while place < closing:
            node, following = self.expression(place, depth)
            parts.append(node)
            place = max(following, place + 1)
            while place < closing and self.script.word(place) != ",":
                place = self.script.partners.get(place, place) + 1
            place += 1
        return ast.List(elts=parts), closing + 1

    def object(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """An object; `...rest` has the key None."""
        closing = self.script.partners.get(at, at)
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        place = at + 1
        while place < closing:
            token = self.script.tokens[place]
            following = self.script.word(place + 1)
            if token.text == "...":
                value, place = self.expression(place + 1, depth)
                keys.append(None)
                values.append(value)
            elif following == ":" and token.kind in ("id", "str", "num", "tick"):
                value, place = self.expression(place + 2, depth)
                keys.append(ast.Constant(value=unquoted(token.text)))
                values.append(value)
            elif token.text == "[" and place in self.script.partners:
                key, _ = self.expression(place + 1, depth)
                place = self.script.partners[place] + 2
                value, place = self.expression(place, depth)
                keys.append(key)
                values.append(value)
            elif token.kind == "id" and following in (",", "}"):
                keys.append(ast.Constant(value=token.text))
                values.append(ast.Name(id=token.text))
                place += 1
            while place < closing and self.script.word(place) != ",":
                place = self.script.partners.get(place, place) + 1
            place += 1
        return ast.Dict(keys=keys, values=values, lineno=self.script.line(at)), closing + 1

    def template(self, text: str) -> ast.expr:
        """A template literal as an f-string."""
        parts: list[ast.expr] = []
        at, plain = 1, ""
        end = len(text) - 1
        while at < end:
            if text.startswith("${", at):
                closing = matching_brace(text, at + 2)
                inner = parse_script(text[at + 2 : closing])
                node = JsParser(inner).expression(0)[0] if inner and inner.tokens else ast.Name(id=NOTHING)
                parts += [ast.Constant(value=plain)] if plain else []
                parts.append(ast.FormattedValue(value=node, conversion=-1))
                plain, at = "", closing + 1
            else:
                plain += text[at]
                at += 1
        parts += [ast.Constant(value=plain)] if plain else []
        if all(isinstance(part, ast.Constant) for part in parts):
            return ast.Constant(value=plain)
        return ast.JoinedStr(values=parts)


def matching_brace(text: str, at: int) -> int:
    """The place of the brace that closes what is open at `at`."""
    depth = 1
    while at < len(text):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
        at += 1
    return len(text)


def unquoted(text: str) -> str:
    """The value of a quoted text."""
    if text[:1] not in "'\"`" or not text:
        return text
    inner = text[1:-1]
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), inner)


def declared(
    script: JsScript, begin: int = 0, end: int | None = None, *, outside: bool = False
) -> Mapping[str, ast.expr]:
    """`const name = value` between two tokens: name -> node. What a call takes apart counts by its names.

    `outside`: only what stands in no braces, so that other files may know it.
    """
    found: dict[str, ast.expr] = {}
    parser = JsParser(script)
    last = len(script.tokens) if end is None else end
    past = begin
    for at in range(begin, last):
        if outside and at >= past and script.word(at) == "{":
            past = script.partners.get(at, at)
        if at < past or script.word(at) not in ("const", "let", "var") or script.tokens[at].kind != "id":
            continue
        place = at + 2
        if script.word(place) == ":":
            place = next((n for n in range(place, min(place + 30, last)) if script.word(n) in ("=", ";")), place)
        if script.word(place) == "=" and script.tokens[at + 1].kind == "id":
            found[script.word(at + 1)] = parser.expression(place + 1)[0]
    return found
