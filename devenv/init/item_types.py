"""The type that DynamoDB stores a value of Python's form as, told from the expression alone. Pure.

An expression tells it by what it computes, by what its names were assigned or loop over, by a parameter's annotation;
a bare name of unknown origin only where its own name tells. Else the type is "?": better none than a wrong one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from devenv.core.late import late
from devenv.init.source import Scope, own_nodes

NUMERIC: Final = late(
    r"(^|_)(total|count|amount|quantity|qty|price|cents|size|score|rating|weight|stock|balance|number_of)(_|$)"
)
TEXTUAL: Final = late(
    r"(?:^|_)(?:id|uuid|guid|pk|sk|key|name|title|label|text|note|notes|message|body|content|description|summary|comment"
    r"|email|mail|phone|address|street|city|country|url|uri|path|slug|handle|login|username|author|sender|status|state"
    r"|kind|type|color|currency|code|sku|token|hash|at|on|date|time|day|timestamp|preview|subject|reason|language|\w*by)$"
)
CAMEL: Final = late(r"(?<=[a-z0-9])(?=[A-Z])")
ANNOTATED: Final = {
    "str": "S",
    "UUID": "S",
    "datetime": "S",
    "date": "S",
    "int": "N",
    "float": "N",
    "Decimal": "N",
    "bool": "BOOL",
    "bytes": "B",
    "list": "L",
    "dict": "M",
    "List": "L",
    "Dict": "M",
}
TEXT_METHODS: Final = frozenset(
    [
        *("isoformat", "strftime", "format", "join", "replace", "lower", "upper", "strip", "title", "capitalize"),
        *("removeprefix", "removesuffix", "hex"),
        *("toFixed", "toLowerCase", "toUpperCase", "trim", "padStart", "toLocaleString"),
    ]
)
DEPTH: Final = 8


def turns_of(owner: ast.AST, scope: Scope) -> dict[str, tuple[ast.expr, ...]]:
    """Name -> the values that the loops of a function give it. One over what is not spelt out gives none."""
    found: dict[str, tuple[ast.expr, ...]] = {}
    for node in own_nodes(owner):
        if isinstance(node, ast.For | ast.comprehension):
            for name, values in bound(node.target, node.iter, scope):
                found[name] = (*found.get(name, ()), *values)
    return found


def annotations_of(owner: ast.AST) -> dict[str, str]:
    """Parameter -> the type that its annotation tells."""
    if not isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
        return {}
    given = (*owner.args.posonlyargs, *owner.args.args, *owner.args.kwonlyargs)
    return {a.arg: kind for a in given if (kind := annotated(a.annotation))}


def annotated(node: ast.expr | None) -> str:
    """The type of an annotation such as `int`, `Decimal | None`, `list[str]`; "" for one that tells none."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return annotated(left)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return annotated(inner)
        case ast.Subscript(value=inner):
            return annotated(inner)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return ANNOTATED.get(name, "")
    return ""


def bound(target: ast.expr, over: ast.expr, scope: Scope) -> Iterator[tuple[str, Sequence[ast.expr]]]:
    """(name, values) of the names of one loop over a list that is spelt out, `enumerate` or `range`."""
    if isinstance(over, ast.Name):
        over = scope.names.get(over.id, over)
    match over:
        case ast.Call(func=ast.Name(id="range")) if isinstance(target, ast.Name):
            yield target.id, [ast.Constant(value=0)]
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
            if isinstance(target, ast.Tuple) and len(target.elts) == 2:
                if isinstance(target.elts[0], ast.Name):
                    yield target.elts[0].id, [ast.Constant(value=0)]
                yield from bound(target.elts[1], inner, scope)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            yield from spread(target, parts)


def spread(target: ast.expr, parts: Sequence[ast.expr]) -> Iterator[tuple[str, Sequence[ast.expr]]]:
    """The values of a name, or of the names of a tuple, for each entry of a list."""
    if isinstance(target, ast.Name):
        yield target.id, parts
    elif isinstance(target, ast.Tuple | ast.List):
        for at, each in enumerate(target.elts):
            inner = [p.elts[at] for p in parts if isinstance(p, ast.Tuple | ast.List) and at < len(p.elts)]
            if len(inner) == len(parts):
                yield from spread(each, inner)


def plain_type(name: str, node: ast.expr, scope: Scope) -> str:
    """The type that a plain value gets in an item; "?" where neither the expression nor the name tells it."""
    if kind := type_of(node, scope, 0):
        return kind
    snake = CAMEL.sub("_", name).lower()
    return "S" if TEXTUAL.search(snake) and not NUMERIC.search(snake) else "?"


def type_of(node: ast.AST, scope: Scope, depth: int) -> str:
    """The type that an expression tells by itself; "" for one that tells none."""
    if depth > DEPTH:
        return ""
    if kind := literal_type(node):
        return kind
    match node:
        case ast.Call(func=called, args=given):
            return called_type(called, given, scope, depth)
        case ast.IfExp(body=one, orelse=other):
            return common((one, other), scope, depth)
        case ast.BoolOp(values=parts):
            return common(parts, scope, depth)
        case ast.BinOp(left=left, op=op, right=right):
            return computed(left, op, right, scope, depth)
        case ast.Name(id=name) if name in scope.turns:
            return common(scope.turns[name], scope, depth)
        case ast.Subscript(slice=ast.Constant(value="length")):
            return "N"
        case ast.Subscript(slice=ast.Constant(value=str(name))) if f".{name}" in scope.annotations:
            return scope.annotations[f".{name}"]  # A field of an interface.
        case ast.Name(id=name):
            return scope.annotations.get(name) or type_of(scope.names.get(name, ast.Pass()), scope, depth + 1)
    return ""


def literal_type(node: ast.AST) -> str:
    """The type of an expression by its form alone; "" for one of another form."""
    match node:
        case ast.Constant(value=bool()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "BOOL"
        case ast.Constant(value=int() | float()) | ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return "N"
        case ast.Constant(value=str()) | ast.JoinedStr():
            return "S"
        case ast.Constant(value=bytes()):
            return "B"
        case ast.List() | ast.ListComp():
            return "L"
        case ast.Dict() | ast.DictComp():
            return "M"
    return ""


def called_type(called: ast.expr, given: Sequence[ast.expr], scope: Scope, depth: int) -> str:
    """The type of what a call returns."""
    match called:
        case ast.Name(id="int" | "float" | "Decimal" | "len" | "sum" | "round" | "abs"):
            return "N"
        case ast.Name(id="Number" | "parseInt" | "parseFloat") | ast.Attribute(value=ast.Name(id="Math")):
            return "N"
        case ast.Attribute(value=ast.Name(id="Date"), attr="now") | ast.Attribute(attr="getTime" | "valueOf"):
            return "N"
        case ast.Name(id="Boolean"):
            return "BOOL"
        case ast.Name(id="min" | "max"):
            return common(given, scope, depth) if len(given) > 1 else ""
        case ast.Name(id="str" | "repr"):
            return "S"
        case ast.Name(id="bool"):
            return "BOOL"
        case (
            ast.Attribute(attr="Decimal" | "time_ns" | "timestamp")
            | ast.Attribute(value=ast.Name(id="time"), attr="time")
        ):
            return "N"
        case ast.Attribute(attr=name) if name in TEXT_METHODS:
            return "S"
    return ""


def computed(left: ast.expr, op: ast.operator, right: ast.expr, scope: Scope, depth: int) -> str:
    """The type of a computation: `8 + day % 3` is a number, `"a" + x` and `"%s" % x` are texts."""
    kinds = {type_of(left, scope, depth + 1), type_of(right, scope, depth + 1)}
    match op:
        case ast.Sub() | ast.Div() | ast.FloorDiv() | ast.Pow():
            return "N"
        case ast.Mult():
            return "S" if "S" in kinds else "L" if "L" in kinds else "N"
        case ast.Mod():
            return "S" if type_of(left, scope, depth + 1) == "S" else "N"
        case ast.Add():
            return next((kind for kind in ("S", "N", "L") if kind in kinds), "")
    return ""


def common(parts: Iterable[ast.expr], scope: Scope, depth: int) -> str:
    """The type that all of several expressions have; "" where they differ, or one tells none."""
    kinds = {type_of(part, scope, depth + 1) for part in parts}
    return kinds.pop() if len(kinds) == 1 else ""
