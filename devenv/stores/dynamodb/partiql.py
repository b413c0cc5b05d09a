"""PartiQL: what a SELECT amounts to (GetItem, Query or Scan), and a pattern's request as a statement. Pure.

Source: DynamoDB Developer Guide, "PartiQL select statements for DynamoDB": a SELECT reads the whole table unless its
WHERE clause pins the partition key with `=` or IN; OR keeps that only when every side pins it. What is not certain
counts as a Scan: it is dearer to be wrong the other way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from devenv.core.late import late
from devenv.core.value import Value
from devenv.stores.dynamodb.key_schema import Place

Verb = Literal["GetItem", "Query", "Scan"]
TOKEN: Final = late(
    r"""(?P<blank>\s+|--[^\r\n]*(?:\r?\n|$)|/\*(?:(?!\*/).)*\*/)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_$][\w$]*)
    |(?P<sign><<|>>|<=|>=|<>|!=|[=<>()\[\]{},.*?+:-])""",
    re.VERBOSE | re.DOTALL,
)
COMPARISONS: Final = frozenset(["=", "<>", "!=", "<", "<=", ">", ">="])
CONSTANTS: Final = frozenset(["TRUE", "FALSE", "NULL", "MISSING"])
RESERVED: Final = frozenset(
    ["SELECT", "FROM", "WHERE", "ORDER", "BY", "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "AS", "ASC", "DESC", "VALUE"]
)
# What the WHERE clause pins: pairs of (partition key, sort key), None where it leaves one open. More are not counted.
MOST_KEYS: Final = 1000
Pins = frozenset[tuple[str | None, str | None]]
OPEN: Final[Pins] = frozenset([(None, None)])


class UnreadableStatement(Exception):
    """A statement that this grammar does not know; the text says where."""


class PartiqlToken(Value, frozen=True):
    """One word of a statement: its kind, its text without quotes, where it stands."""

    kind: str
    text: str
    place: int

    def says(self, *words: str) -> bool:
        """Return True if it is one of these words or signs."""
        return self.kind in ("word", "sign") and self.text.upper() in words


END: Final = PartiqlToken("end", "", -1)


class Condition(Value, frozen=True):
    """A node of the WHERE clause: `and`, `or`, `not` over `parts`, or a test of `path` by `operator`.

    `path` is an attribute's path (None: the test is of something else), `operands` are the texts of constants, None
    for what is no constant.
    """

    kind: Literal["and", "or", "not", "test"]
    parts: tuple[Condition, ...] = ()
    path: tuple[str, ...] | None = None
    operator: str = ""
    operands: tuple[str | None, ...] = ()


class Select(Value, frozen=True):
    """A SELECT: its table, its index if it names one, the WHERE clause (None: it has none)."""

    table: str
    index: str | None
    where: Condition | None


class Amount(Value, frozen=True):
    """The work that a statement needs. `reads` counts the keys or partitions that are read (None: all there are).

    `narrowed` says that the sort key is narrowed too, `filtered` are attributes that only decide what is thrown away
    after it was read.
    """

    operation: Verb
    reason: str
    reads: int | None = None
    narrowed: bool = False
    filtered: tuple[str, ...] = ()


# Words that people call attributes by, and DynamoDB has reserved.
OFTEN_NAMES: Final = late(
    r"(?i)comment|condition|connection|count|counter|data|date|day|default|domain|duration|end|file|format|group|hash"
    r"|hour|index|items|key|language|level|limit|location|method|month|names?|number|order|owner|path|percent"
    r"|permissions?|position|range|region|role|size|source|start|state|status|string|time|timestamp|token|total|type"
    r"|users?|values?|year|zone"
)


def tokens_of(statement: str) -> list[PartiqlToken]:
    """The words of a statement. Unreadable where something is none."""
    found: list[PartiqlToken] = []
    place = 0
    while place < len(statement):
        match = TOKEN.match(statement, place)
        if match is None or match.lastgroup is None:
            raise UnreadableStatement(f"{statement[place : place + 20]!r} at {place} is not valid in PartiQL")
        text = match[0]
        if match.lastgroup == "string":
            text = text[1:-1].replace("''", "'")
        elif match.lastgroup == "quoted":
            text = text[1:-1].replace('""', '"')
        if match.lastgroup != "blank":
            found.append(PartiqlToken(match.lastgroup, text, place))
        place = match.end()
    return found


def parse(statement: str) -> Select:
    """A SELECT. Unreadable when it is none, or not one that this grammar knows."""
    try:
        # DynamoDB Local takes a semicolon at the end.
        return Parser(tokens_of(statement.rstrip().removesuffix(";"))).select()
    except RecursionError:
        raise UnreadableStatement("it is nested too deeply") from None


# What SQL has and PartiQL of DynamoDB has not, in the order in which it is looked for; texts are taken out before.
HINTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r'(?:[=<>]|\bIN\s*\[)\s*"', """"…" is the name of an attribute; write a text in single quotes: id = 'a'"""),
        (r"\bI?LIKE\b", "PartiQL has no LIKE: begins_with(id, 'a') or contains(id, 'a')"),
        (r"\bLIMIT\s+(\d+)", "PartiQL has no LIMIT: devenv ddb sql --limit {} '…'"),
        (r"\bOFFSET\b", "PartiQL has no OFFSET: narrow the sort key, or devenv ddb sql --limit 20 '…'"),
        (r"\b(COUNT|SUM|AVG|MIN|MAX)\s*\(", "PartiQL has no {}(…); numbers of items: devenv ddb list-tables"),
        (
            r"\b(DISTINCT|GROUP\s+BY|HAVING|UNION|JOIN)\b",
            "DynamoDB has no {}: select the items, and do it in your program",
        ),
        (r"\?|%s|%\(|\$\d|:[A-Za-z_]", "there are no parameters here: write the value itself in its place"),
        (
            r"\b(?:WHERE|AND|OR)\s+(order|group|table|from|to|set|by|all|date|timestamp|user|values?)\s*(?:[=<>]|IN\b|BETWEEN\b)",
            '{0} is a reserved word: quote it, "{0}"',
        ),
    )
)


def statement_hint(statement: str) -> str | None:
    """How to write in PartiQL what a statement writes in SQL; None when nothing is known."""
    text = re.sub(r"'(?:[^']|'')*'", "''", statement)
    for pattern, hint in HINTS:
        if found := pattern.search(text):
            return hint.format(*found.groups())
    columns = re.match(r"\s*SELECT\s+(.*?)\s+FROM\b", text, re.IGNORECASE | re.DOTALL)
    if columns and re.search(r"\bAS\s+\w+", columns[1], re.IGNORECASE):
        return "PartiQL cannot rename an attribute: leave AS out"
    for word in re.findall(r'(?<![".])\b\w+\b(?!")', columns[1]) if columns else ():
        if OFTEN_NAMES.fullmatch(word):
            return f'{word} is a reserved word: quote it, "{word}"'
    return None


class Parser:
    """Reads words from the left; every method takes one part of the grammar."""

    def __init__(self, tokens: Sequence[PartiqlToken]) -> None:
        self._tokens = tokens
        self._next = 0

    def select(self) -> Select:
        """The whole statement."""
        self._need("SELECT")
        depth = 0
        while depth or not self._peek().says("FROM"):
            token = self._take()
            depth += token.says("(", "[", "{", "<<") - token.says(")", "]", "}", ">>")
        self._need("FROM")
        table = self._name()
        index = self._name() if self._skip(".") else None
        alias = None
        if self._skip("AS") or (self._peek().kind in ("word", "quoted") and not self._peek().says(*RESERVED)):
            alias = self._name()
        where = self._either() if self._skip("WHERE") else None
        if self._skip("ORDER"):
            self._need("BY")
            self._path()
            while self._skip("ASC") or self._skip("DESC") or (self._skip(",") and self._path()):
                pass
        if self._peek() is not END:
            raise self._wrong("the end")
        return Select(table, index, where and without(where, {alias, table} - {None}))

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._skip("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Condition("or", tuple(parts))

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._skip("AND"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Condition("and", tuple(parts))

    def _one(self) -> Condition:
        if self._skip("NOT"):
            return Condition("not", (self._one(),))
        if self._peek().says("("):
            back = self._next
            try:
                self._need("(")
                inner = self._either()
                self._need(")")
            except UnreadableStatement:
                self._next = back
            else:
                return inner
        return self._test()

    def _test(self) -> Condition:
        path, constant, call = self._operand()
        if self._peek().kind == "sign" and self._peek().text in COMPARISONS:
            operator = self._take().text
            _, right, _ = self._operand()
            # The documentation pins a key by `key = value`; of the other way round it says nothing.
            return Condition("test", path=path, operator=operator, operands=(right,))
        if self._skip("BETWEEN"):
            _, low, _ = self._operand()
            self._need("AND")
            _, high, _ = self._operand()
            return Condition("test", path=path, operator="BETWEEN", operands=(low, high))
        if self._skip("NOT"):
            self._need("IN")
            return Condition("not", (Condition("test", path=path, operator="IN", operands=self._list()),))
        if self._skip("IN"):
            return Condition("test", path=path, operator="IN", operands=self._list())
        if self._skip("IS"):
            self._skip("NOT")
            self._take()
            return Condition("test", path=path, operator="IS")
        if call is not None and constant is None:
            return Condition("test", path=call[1], operator=call[0], operands=call[2])
        raise self._wrong("a comparison")

    def _list(self) -> tuple[str | None, ...]:
        closing = {"(": ")", "[": "]", "<<": ">>"}.get(self._peek().text)
        if closing is None:
            raise self._wrong("a list")
        self._take()
        found = [self._operand()[1]]
        while self._skip(","):
            found.append(self._operand()[1])
        self._need(closing)
        return tuple(found)

    def _operand(
        self,
    ) -> tuple[tuple[str, ...] | None, str | None, tuple[str, tuple[str, ...] | None, tuple[str | None, ...]] | None]:
        """One side of a test: the path, the constant or the call that it is (the last with its first path)."""
        token = self._peek()
        path: tuple[str, ...] | None = None
        constant: str | None = None
        call = None
        if token.kind in ("string", "number") or (token.kind == "word" and token.says(*CONSTANTS)):
            constant = self._take().text
        elif token.says("(", "[", "{", "<<"):
            self._nested()
        elif token.kind == "word" and self._peek(1).says("("):
            name = self._take().text
            call = (name, *self._arguments())
        else:
            path = self._path()
        if self._peek().says("+", "-") or (self._peek().kind == "number" and self._peek().text.startswith("-")):
            if not self._skip("+"):
                self._skip("-")
            self._operand()
            return None, None, None
        return path, constant, call

    def _arguments(self) -> tuple[tuple[str, ...] | None, tuple[str | None, ...]]:
        self._need("(")
        found = []
        while not self._skip(")"):
            found.append(self._operand())
            if not self._peek().says(")"):
                self._need(",")
        return (found[0][0] if found else None), tuple(each[1] for each in found[1:])

    def _nested(self) -> None:
        depth = 0
        while True:
            token = self._take()
            depth += token.says("(", "[", "{", "<<") - token.says(")", "]", "}", ">>")
            if not depth:
                return

    def _path(self) -> tuple[str, ...]:
        parts = [self._name()]
        while True:
            if self._skip("."):
                parts.append(self._name())
            elif self._skip("["):
                parts.append(f"[{self._take().text}]")
                self._need("]")
            else:
                return tuple(parts)

    def _name(self) -> str:
        token = self._take()
        if token.kind == "quoted" or (token.kind == "word" and not token.says(*RESERVED)):
            return token.text
        self._next -= 1
        raise self._wrong("a name")

    def _peek(self, ahead: int = 0) -> PartiqlToken:
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else END

    def _take(self) -> PartiqlToken:
        token = self._peek()
        if token is END:
            raise self._wrong("more")
        self._next += 1
        return token

    def _skip(self, word: str) -> bool:
        found = self._peek().says(word)
        self._next += found
        return found

    def _need(self, word: str) -> None:
        if not self._skip(word):
            raise self._wrong(word)

    def _wrong(self, wanted: str) -> UnreadableStatement:
        token = self._peek()
        return UnreadableStatement(
            f"{wanted} was expected, not {token.text!r}" if token.text else f"{wanted} was expected"
        )


def without(condition: Condition, names: set[str | None]) -> Condition:
    """The same without the table's own name or alias before an attribute (`o.pk`)."""
    path = condition.path
    if path and len(path) > 1 and path[0] in names:
        path = path[1:]
    parts = tuple(without(part, names) for part in condition.parts)
    return Condition(condition.kind, parts, path, condition.operator, condition.operands)


def amount_of(select: Select, place: Place) -> Amount:
    """Return what the statement amounts to on this table or index."""
    where = select.where
    name = f"index {place.index}" if place.index else f"table {place.table}"
    if where is None:
        return Amount("Scan", f"it has no WHERE clause, so every item of {name} is read")
    keys = pins(where, place)
    used = attributes(where)
    if any(partition is None for partition, _ in keys):
        pinned = place.hash in used
        why = (
            f"its WHERE clause does not pin the partition key {place.hash} with = or IN in every branch"
            if pinned
            else f"its WHERE clause does not name the partition key `{place.hash}`"
        )
        return Amount("Scan", f"{why}, so every item of {name} is read", filtered=tuple(used))
    filtered = tuple(each for each in used if each not in (place.hash, place.sort))
    exact = place.sort is None or all(sort is not None for _, sort in keys)
    if place.kind == "table" and exact:
        return Amount("GetItem", "it gives the complete key", len(keys), True, filtered)
    partitions = len({partition for partition, _ in keys})
    narrowed = place.sort is not None and place.sort in used and is_narrowing(where, place.sort)
    return Amount("Query", f"it pins the partition key `{place.hash}`", partitions, narrowed, filtered)


def pins(condition: Condition, place: Place) -> Pins:
    """Which keys the condition leaves possible; `(None, None)` among them when some are not pinned at all."""
    if condition.kind == "or":
        found: Pins = frozenset().union(*(pins(part, place) for part in condition.parts))
        return found if len(found) <= MOST_KEYS else OPEN
    if condition.kind == "and":
        joined: Pins = OPEN
        for part in condition.parts:
            joined = both(joined, pins(part, place))
        return joined
    if condition.kind == "test" and condition.operator in ("=", "IN") and None not in condition.operands:
        values = [str(operand) for operand in condition.operands]
        if condition.path == (place.hash,):
            return frozenset((value, None) for value in values)
        if place.sort is not None and condition.path == (place.sort,):
            return frozenset((None, value) for value in values)
    return OPEN


def both(one: Pins, other: Pins) -> Pins:
    """The keys that two conditions leave together. Where they exclude each other, the first alone."""
    if len(one) * len(other) > MOST_KEYS:
        return one if all(partition is not None for partition, _ in one) else other
    joined = frozenset(
        (a if a is not None else c, b if b is not None else d)
        for a, b in one
        for c, d in other
        if not (a is not None and c is not None and a != c) and not (b is not None and d is not None and b != d)
    )
    return joined or one


def attributes(condition: Condition) -> list[str]:
    """The attributes that a condition names, in order."""
    own = [condition.path[0]] if condition.path else []
    return list(dict.fromkeys([*own, *(name for part in condition.parts for name in attributes(part))]))


def is_narrowing(condition: Condition, sort: str) -> bool:
    """Return True if the sort key is compared in a way that a key condition can: not by OR, NOT, `<>` or `contains`."""
    if condition.kind == "and":
        return any(is_narrowing(part, sort) for part in condition.parts)
    operators = ("=", "<", "<=", ">", ">=", "BETWEEN")
    by_name = condition.operator in operators or condition.operator.lower() == "begins_with"
    return condition.kind == "test" and condition.path == (sort,) and by_name


# --- a request as a statement ---

FUNCTIONS: Final = (
    (re.compile(r"attribute_exists\s*\(\s*([^()]+?)\s*\)", re.IGNORECASE), r"\1 IS NOT MISSING"),
    (re.compile(r"attribute_not_exists\s*\(\s*([^()]+?)\s*\)", re.IGNORECASE), r"\1 IS MISSING"),
    (re.compile(r"\bIN\s*\(([^()]*)\)", re.IGNORECASE), r"IN [\1]"),
)
WORDS: Final = frozenset(["AND", "OR", "NOT", "BETWEEN", "IN", "IS", "MISSING"])
PART: Final = late(r"'(?:[^']|'')*'|\"[^\"]*\"|[:#]?[A-Za-z_]\w*(?P<call>\s*\()?")


def statement_of(request: Mapping[str, Any], order_by: str | None = None) -> str:
    """The PartiQL that asks the same as a GetItem, Query or Scan. `order_by` is the sort key, for a descending Query.

    A limit is no part of a statement: it is the request's own `Limit`.
    """
    names: Mapping[str, str] = request.get("ExpressionAttributeNames") or {}
    values: Mapping[str, Any] = request.get("ExpressionAttributeValues") or {}
    wanted = request.get("ProjectionExpression")
    columns = ", ".join(quoted(names.get(each.strip(), each.strip())) for each in wanted.split(",")) if wanted else "*"
    source = quoted(request["TableName"]) + (f".{quoted(request['IndexName'])}" if request.get("IndexName") else "")
    conditions = [f"{quoted(name)} = {literal(value)}" for name, value in (request.get("Key") or {}).items()]
    for part in ("KeyConditionExpression", "FilterExpression"):
        if expression := request.get(part):
            conditions.append(rewritten(expression, names, values))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    descending = order_by is not None and request.get("ScanIndexForward") is False
    order = f" ORDER BY {quoted(order_by or '')} DESC" if descending else ""
    return f"SELECT {columns} FROM {source}{where}{order}"  # noqa: S608 - names are quoted, values written as literals


def rewritten(expression: str, names: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """A condition of a request as one of PartiQL, with its names quoted and its values written out."""
    for pattern, replacement in FUNCTIONS:
        expression = pattern.sub(replacement, expression)

    def spell(found: re.Match[str]) -> str:
        text = found[0]
        if text[0] == ":" and text in values:
            return literal(values[text])
        if text[0] == "#":
            return quoted(names.get(text, text))
        if text[0] in "'\":" or found["call"] or text.upper() in WORDS:
            return text
        return quoted(text)

    return PART.sub(spell, expression)


def quoted(name: str) -> str:
    """A name in double quotes: without them a hyphen is a minus, and many words are reserved."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Mapping[str, Any]) -> str:
    """An attribute value as PartiQL writes it."""
    ((kind, content),) = value.items()
    spell: Mapping[str, Callable[[Any], str]] = {
        "S": lambda text: "'" + str(text).replace("'", "''") + "'",
        "N": str,
        "BOOL": lambda truth: "true" if truth else "false",
        "NULL": lambda _: "null",
        "L": lambda parts: "[" + ", ".join(map(literal, parts)) + "]",
        "M": lambda parts: (
            "{" + ", ".join(f"{literal({'S': name})}: {literal(part)}" for name, part in parts.items()) + "}"
        ),
        "SS": lambda texts: "<<" + ", ".join(literal({"S": text}) for text in texts) + ">>",
        "NS": lambda numbers: "<<" + ", ".join(numbers) + ">>",
    }
    return spell[kind](content) if kind in spell else f"?  /* {kind} */"
