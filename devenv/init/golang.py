"""Expressions of Go, as far as their values are constant: converted to Python's nodes, so that one reader serves both.

`os.Getenv("X")` becomes `os.getenv("X")`, `fmt.Sprintf` an f-string, a struct or map a dict,
`&types.AttributeValueMemberS{Value: x}` what boto3 writes: `{"S": x}`. Nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from devenv.init.javascript import TEXT_BYTES, JsFunction, JsScript, JsToken, partners

DEPTH: Final = 60
TOKEN: Final = re.compile(
    r"""(?P<skip>[^\S\n]+|//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<line>\n)|(?P<str>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<tick>`[^`]*(?:`|\Z))|(?P<num>\d[\w.]*)|(?P<id>[^\W\d]\w*)|(?P<mark>:=|\.\.\.|&&|\|\||[=!<>]=|.)""",
    re.DOTALL,
)
# A line's end after one of these ends the statement, as the language says.
ENDS: Final = frozenset((")", "]", "}"))
GOES_ON: Final = frozenset(("if", "for", "range", "switch", "case", "func", "var", "const", "type", "struct", "import"))
MEMBER: Final = re.compile(r"AttributeValueMember(S|N|B|BOOL|NULL|L|M|SS|NS|BS)")
# The SDK's constants: `types.KeyTypeHash` is HASH.
CONSTANT: Final = re.compile(r"(?:KeyType|ScalarAttributeType|BillingMode|ProjectionType|StreamViewType)([A-Z]\w*)")
# What gives its argument back, as a pointer or as another type of number.
SAME: Final = frozenset(
    ("String", "Bool", "Int32", "Int64", "Ptr", "To", "Of", "StringValue", "string", "int32", "int64", "int")
)
ENVIRONMENT: Final = re.compile(r"env", re.IGNORECASE)
VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,}")
VERB: Final = re.compile(r"%[-+#0 ]*\d*(?:\.\d+)?[a-zA-Z%]")
NOTHING: Final = "_"
# What a function is given and a command line cannot hold.
HANDED: Final = re.compile(r"\.(Context|Client|Pool|Conn|DB|Tx)$")


@dataclass(frozen=True)
class GoField:
    """A field of a struct: its attribute in DynamoDB and its name in JSON ("" for none), as its tags say.

    `timely`: it holds a time, as a text.
    """

    attribute: str
    answer: str
    kind: str
    timely: bool = False


def parse_go(text: str) -> JsScript | None:
    """The tokens and functions of a file; None for one that is too long."""
    if len(text) > TEXT_BYTES:
        return None
    script = JsScript(text, list(tokens(text)))
    script.partners = partners(script.tokens)
    script.blocks = list(functions(script))
    return script


def tokens(text: str) -> Iterator[JsToken]:
    """The tokens of a text, with the `;` that a line's end stands for."""
    last: JsToken | None = None
    for match in TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "line":
            ends = last and (last.kind in ("str", "tick", "num", "id") or last.text in ENDS)
            if not ends or (last and last.text in GOES_ON):
                continue
            token = JsToken("mark", ";", match.start())
        elif kind == "skip":
            continue
        else:
            token = JsToken(kind, match[0], match.start())
        yield token
        last = token


def functions(script: JsScript) -> Iterator[JsFunction]:
    """`func name(…) … { … }` and `func (s *Type) name(…) … { … }`, the latter as `Type.name`."""
    for at, token in enumerate(script.tokens):
        if token.text != "func" or token.kind != "id" or script.word(at - 1) not in ("", ";"):
            continue
        owner, place = "", at + 1
        if script.word(place) == "(":
            closing = script.partners.get(place, place)
            words = [w for w in (script.word(n) for n in range(place + 1, closing)) if w.isidentifier()]
            owner, place = (words[1] if len(words) > 1 else "".join(words[:1])) + ".", closing + 1
        name, opening = script.word(place), place + 1
        if script.word(opening) == "[":
            opening = script.partners.get(opening, opening) + 1
        if script.word(opening) != "(" or opening not in script.partners:
            continue
        body = body_of(script, script.partners[opening] + 1)
        if body is None:
            continue
        parameters = tuple(n for n, kind in typed_names(script, opening) if not HANDED.search(kind))
        yield JsFunction(owner + name, parameters, body, script.partners[body], script.line(at))


def body_of(script: JsScript, at: int) -> int | None:
    """The brace that a function's body begins with, behind its results."""
    while at < len(script.tokens) and script.word(at) != ";":
        if script.word(at) == "{" and script.word(at - 1) not in ("struct", "interface"):
            return at if at in script.partners else None
        at = script.partners.get(at, at) + 1
    return None


def typed_names(script: JsScript, opening: int) -> list[tuple[str, str]]:
    """(name, type) of parameters; in `a, b string` both have the one type."""
    parts: list[list[str]] = [[]]
    at, closing = opening + 1, script.partners[opening]
    while at < closing:
        if script.word(at) == ",":
            parts.append([])
        elif script.word(at) != ";":
            end = script.partners.get(at, at)
            parts[-1] += [script.word(n) for n in range(at, end + 1)]
            at = end
        at += 1
    found: list[tuple[str, str]] = []
    kind = ""
    for part in reversed([part for part in parts if part]):
        kind = "".join(part[1:]) or kind
        found.append((part[0], kind))
    return found[::-1]


class GoParser:
    """Reads one expression from the tokens of a file. A composite literal is a dict whose `made` is its type."""

    def __init__(self, script: JsScript, known: Mapping[str, Mapping[str, GoField]]) -> None:
        self.script = script
        self.known = known

    def expression(self, at: int, depth: int = 0) -> tuple[ast.expr, int]:
        """(node, place behind it) of the expression that begins at a token."""
        node, at = self.unary(at, depth)
        if self.script.word(at) == "+":
            other, at = self.expression(at + 1, depth + 1)
            return ast.BinOp(left=node, op=ast.Add(), right=other), at
        return node, at

    def unary(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """A value with what is read of it and called on it."""
        if depth > DEPTH:
            return ast.Name(id=NOTHING), at + 1
        while self.script.word(at) in ("&", "*", "!", "-"):
            at += 1
        node, at = self.primary(at, depth + 1)
        while True:
            word, following = self.script.word(at), self.script.word(at + 1)
            if word == "." and following == "(":
                at = self.behind(at + 1)
            elif word == ".":
                node, at = constant(node, following), at + 2
            elif word == "(":
                node, at = self.call(node, at, depth + 1)
            elif word == "[":
                inner, _ = self.expression(at + 1, depth + 1)
                node, at = ast.Subscript(value=node, slice=inner), self.behind(at)
            elif word == "{" and self.is_type(node):
                return self.composite(last_name(node), at, depth + 1)
            else:
                return node, at

    def behind(self, at: int) -> int:
        """The place behind a pair of brackets."""
        return self.script.partners.get(at, at) + 1

    def is_type(self, node: ast.expr) -> bool:
        """Return True for what can stand before a composite literal; else its brace opens a block."""
        return last_name(node)[:1].isupper() or last_name(node) in self.known

    def primary(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """A literal, a name, a type with its literal, something in parentheses."""
        if at >= len(self.script.tokens):
            return ast.Name(id=NOTHING), at + 1
        token = self.script.tokens[at]
        if token.kind in ("str", "tick"):
            return ast.Constant(value=unquoted(token.text)), at + 1
        if token.kind == "num":
            plain = token.text.replace("_", "")
            return ast.Constant(value=int(plain) if plain.isdecimal() else plain), at + 1
        if token.text == "(":
            node, _ = self.expression(at + 1, depth)
            return node, self.behind(at)
        if token.text == "[" or (token.text == "map" and self.script.word(at + 1) == "["):
            return self.of_type(at, depth)
        if token.text == "func":
            body = body_of(self.script, at + 1)
            return ast.Name(id=NOTHING), at + 1 if body is None else self.behind(body)
        if token.text in ("true", "false", "nil"):
            return ast.Constant(value={"true": True, "false": False}.get(token.text)), at + 1
        return ast.Name(id=token.text if token.kind == "id" else NOTHING), at + 1

    def of_type(self, at: int, depth: int) -> tuple[ast.expr, int]:
        """`[]T{…}`, `map[K]V{…}`, or a conversion such as `[]byte(x)`."""
        while self.script.word(at) in ("[", "map", "*"):
            at = self.behind(at) if self.script.word(at) == "[" else at + 1
        name = self.script.word(at)
        while self.script.word(at + 1) == ".":
            at += 2
            name = self.script.word(at)
        if name in ("interface", "struct") and self.script.word(at + 1) == "{":
            at = self.behind(at + 1) - 1
        if self.script.word(at + 1) == "{":
            return self.composite(name, at + 1, depth, elements=True)
        if self.script.word(at + 1) == "(":
            inner, _ = self.expression(at + 2, depth)
            return inner, self.behind(at + 1)
        return ast.Name(id=NOTHING), at + 1

    def parts(self, opening: int) -> Iterator[int]:
        """The places where the elements between two brackets begin."""
        closing, at = self.script.partners.get(opening, opening), opening + 1
        while at < closing:
            yield at
            while at < closing and self.script.word(at) not in (",", ";"):
                at = self.behind(at)
            at += 1

    def call(self, function: ast.expr, at: int, depth: int) -> tuple[ast.expr, int]:
        """A call, as Python writes it."""
        arguments = [self.expression(place, depth)[0] for place in self.parts(at)]
        return called(function, arguments, self.script.line(at)), self.behind(at)

    def composite(self, name: str, at: int, depth: int, *, elements: bool = False) -> tuple[ast.expr, int]:
        """A literal of a type, or with `elements` of a slice or map of it."""
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for place in self.parts(at):
            key, following = self.element(name, place, depth)
            if self.script.word(following) == ":":
                # A field's name is no value.
                is_field = isinstance(key, ast.Name) and not elements
                keys.append(ast.Constant(value=key.id) if is_field and isinstance(key, ast.Name) else key)
                values.append(self.element(name if elements else "", following + 1, depth)[0])
            else:
                values.append(key)
        if len(keys) < len(values):
            return ast.List(elts=values), self.behind(at)
        node = ast.Dict(keys=keys, values=values, lineno=self.script.line(at))
        return (node if elements else self.settled(name, node)), self.behind(at)

    def element(self, name: str, at: int, depth: int) -> tuple[ast.expr, int]:
        """An element of a literal; in one of a slice or map the type may be left out."""
        return self.composite(name, at, depth + 1) if self.script.word(at) == "{" else self.expression(at, depth + 1)

    def settled(self, name: str, node: ast.Dict) -> ast.Dict:
        """A struct with the names of its attributes, and a value of the SDK as boto3 has it."""
        if found := MEMBER.fullmatch(name):
            value = next((v for k, v in fields_of(node) if k == "Value"), ast.Name(id=NOTHING))
            return ast.Dict(keys=[ast.Constant(value=found[1])], values=[value], lineno=node.lineno)
        if known := self.known.get(name):
            pairs = [(known[k], v) for k, v in fields_of(node) if k in known]
            node = ast.Dict(
                keys=[ast.Constant(value=field.attribute) for field, _ in pairs],
                values=[ast.Dict(keys=[ast.Constant(value=field.kind)], values=[value]) for field, value in pairs],
                lineno=node.lineno,
            )
        node.made = name  # type: ignore[attr-defined]
        return node


def fields_of(node: ast.Dict) -> list[tuple[str, ast.expr]]:
    """(name, value) of a literal."""
    return [(str(k.value), v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)]


def last_name(node: ast.expr) -> str:
    """`QueryInput` of `dynamodb.QueryInput`; "" for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def constant(node: ast.expr, name: str) -> ast.expr:
    """`node.name`, or the value of one of the SDK's constants."""
    found = CONSTANT.fullmatch(name) if isinstance(node, ast.Name) else None
    if found:
        return ast.Constant(value=re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[1]).upper())
    return ast.Attribute(value=node, attr=name)


def called(function: ast.expr, arguments: list[ast.expr], line: int) -> ast.expr:
    """A call in Python's words: a variable of the environment, a text that is put together, a value as another type."""
    name = last_name(function)
    first = arguments[0] if arguments else None
    text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    if ENVIRONMENT.search(name) and VARIABLE.fullmatch(text):
        # `getEnv("X", "default")` is a helper that many projects have.
        environ = ast.Attribute(value=ast.Name(id="os"), attr="environ")
        return ast.Call(func=ast.Attribute(value=environ, attr="get"), args=arguments[:2], keywords=[], lineno=line)
    if name == "Sprintf" and text:
        return formatted(text, arguments[1:])
    if name in SAME and first is not None and len(arguments) == 1:
        return first
    if isinstance(function, ast.Attribute) and name == "String" and not arguments:
        return ast.Call(func=ast.Name(id="str"), args=[function.value], keywords=[], lineno=line)
    if isinstance(function, ast.Attribute) and name == "Format":
        function = ast.Attribute(value=function.value, attr="isoformat")
    return ast.Call(func=function, args=arguments, keywords=[], lineno=line)


def formatted(text: str, values: list[ast.expr]) -> ast.expr:
    """`fmt.Sprintf("SITE#%s", id)` as an f-string."""
    parts: list[ast.expr] = []
    left, at = list(values), 0
    for verb in VERB.finditer(text):
        parts.append(ast.Constant(value=text[at : verb.start()]))
        at = verb.end()
        if verb[0].endswith("%"):
            parts.append(ast.Constant(value="%"))
        else:
            parts.append(ast.FormattedValue(value=left.pop(0) if left else ast.Name(id=NOTHING), conversion=-1))
    return ast.JoinedStr(values=[*parts, ast.Constant(value=text[at:])])


def unquoted(text: str) -> str:
    """The value of a quoted text."""
    if text.startswith("`"):
        return text.strip("`")
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text[1:-1])


def declared(parser: GoParser, begin: int = 0, end: int | None = None) -> dict[str, ast.expr]:
    """Name -> node of `name := value`, `name, err := call(…)`, `const name = value`, between two tokens."""
    script = parser.script
    found: dict[str, ast.expr] = {}
    for at in range(begin, len(script.tokens) if end is None else end):
        word = script.word(at)
        named = script.tokens[at - 1].kind == "id" if at else False
        if word == ":=" and named:
            first = at - 1
            while script.word(first - 1) == "," and script.tokens[first - 2].kind == "id":
                first -= 2
            found[script.word(first)] = parser.expression(at + 1)[0]
        elif word == "=" and named and in_declaration(script, at):
            name = at - 1 if script.word(at - 2) in ("const", "var", ";", "(") else at - 2
            found[script.word(name)] = parser.expression(at + 1)[0]
    return found


def in_declaration(script: JsScript, at: int) -> bool:
    """Return True for the `=` of `const x = …`, `var x string = …`, and of those in parentheses."""
    words = [script.word(n) for n in range(max(0, at - 4), at)]
    start = next((n for n in range(len(words) - 1, -1, -1) if words[n] in (";", "(", "const", "var", "{")), None)
    return start is not None and len(words) - start <= 3 and words[start] != "{" and "." not in words[start:]
