"""Reading program text without running it: constant values in Python code, and the texts that it builds from them.

Everything here works on `ast` trees. A name stands for what it was assigned last in its function or module; a variable
of the environment for what the project's compose or .env file gives it, or for its default in the code.
"""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.core.late import late
from devenv.core.value import Value

PYTHON_BYTES: Final = 300_000
DEPTH: Final = 20
TEXT_DEPTH: Final = 4
MOST_PARTS: Final = 12
MOMENT: Final = late(r"time|now|date|isoformat", re.IGNORECASE)
PERCENT: Final = late(r"%[sd]")
IN_BRACES: Final = late(r"\{(\w+)\}")
# What boto3's low-level client calls the types of a value.
TYPES: Final = ("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")


class Unclear(Exception):
    """The text does not spell this value out."""


def parse_python(text: str) -> ast.Module | None:
    """The tree of a Python file; None for what is none, or is made to be hard to read. Nothing is executed."""
    if len(text) > PYTHON_BYTES:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


class TextFunction(Value, frozen=True):
    """A function that does nothing but put a text together, such as a key: its parameters, and the template."""

    parameters: tuple[str, ...]
    template: str


class DictFunction(Value, frozen=True):
    """A function that does nothing but put a dict together, such as a whole key: its parameters, and the dict."""

    parameters: tuple[str, ...]
    node: ast.Dict


class DataClass(Value, frozen=True):
    """A data class or model: its fields in order; field -> the name that items have for it.

    `made`: method -> field -> attribute of the item that the method makes an object of. `shown`: method -> field of
    what the method gives -> own field.
    """

    name: str
    fields: tuple[str, ...]
    aliases: Mapping[str, str] = {}
    made: Mapping[str, Mapping[str, str]] = {}
    shown: Mapping[str, Mapping[str, str]] = {}


class Scope(Value, frozen=True):
    """The values of names: assignments of the function, then of the module; and variables of the environment.

    `texts` are functions that put a text together, by name; `dicts` those that put a dict together. `classes`: data
    classes, by name.
    `loose`: what a text is filled with need not be clear.
    `turns` are the values that loops give names, `annotations` the types of parameters that are annotated.
    """

    names: Mapping[str, ast.expr]
    variables: Mapping[str, str] = {}
    texts: Mapping[str, TextFunction] = {}
    loose: bool = False
    turns: Mapping[str, Sequence[ast.expr]] = {}
    annotations: Mapping[str, str] = {}
    dicts: Mapping[str, DictFunction] = {}
    classes: Mapping[str, DataClass] = {}

    def inside(self, function: ast.AST) -> Scope:
        names = {**self.names, **dict(assignments(function))}
        return Scope(names, self.variables, self.texts, dicts=self.dicts, classes=self.classes)


def module_scope(tree: ast.Module, variables: Mapping[str, str]) -> Scope:
    """The scope of a module's own statements."""
    return Scope(dict(assignments(tree)), variables)


def assignments(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """`name = value` of a module or a function, not of the functions inside it."""
    pending = deque(ast.iter_child_nodes(tree))
    while pending:
        node = pending.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
        pending.extend(ast.iter_child_nodes(node))


def own_nodes(owner: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module or a function, without those of the functions inside it."""
    pending = deque(ast.iter_child_nodes(owner))
    while pending:
        node = pending.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def value_of(node: ast.expr, scope: Scope, depth: int = 0) -> Any:
    """The value that an expression spells out. Unclear."""
    if depth > DEPTH:
        raise Unclear
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [value_of(part, scope, depth + 1) for part in parts]
        case ast.Dict():
            return whole_dict(node, scope, depth)
        case ast.Name(id=name) if name in scope.names:
            return value_of(scope.names[name], scope, depth + 1)
        case ast.BoolOp(op=ast.Or(), values=[first, *_]):
            return value_of(first, scope, depth + 1)
        case ast.Call(func=ast.Name(id="dict"), args=[]) | ast.Call(func=ast.Name(id="dict"), args=()):
            return {word.arg: value_of(word.value, scope, depth + 1) for word in node.keywords if word.arg}
        case ast.Subscript(value=ast.Name() as inner, slice=ast.Constant(value=part)) if inner.id in scope.names:
            entry = entry_of(node, scope)
            if entry is not None and entry is not node:
                return value_of(entry, scope, depth + 1)
            whole = value_of(inner, scope, depth + 1)
            if isinstance(whole, dict) and part in whole:
                return whole[part]
            raise Unclear
        case ast.Subscript(value=ast.Subscript()) if (entry := entry_of(node, scope)) is not None:
            return value_of(entry, scope, depth + 1)
    return joined_text(node, scope, depth)


def joined_text(node: ast.expr, scope: Scope, depth: int) -> str:
    """The text that `f"{A}-b"` or `A + "-b"` puts together, or a variable's value. Unclear, also for many parts."""
    if not isinstance(node, ast.JoinedStr | ast.BinOp):
        return variable_of(node, scope)
    parts: list[ast.expr] = []
    waiting: list[ast.expr] = [node]
    while waiting and len(parts) <= MOST_PARTS:
        match waiting.pop():
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                waiting += [right, left]
            case ast.JoinedStr(values=values):
                waiting += reversed(values)
            case ast.FormattedValue(value=value, format_spec=None):
                parts.append(value)
            case part:
                parts.append(part)
    # Few parts on few levels: names could stand for millions of them.
    if len(parts) > MOST_PARTS:
        raise Unclear
    found = [value_of(part, scope, depth + TEXT_DEPTH) for part in parts]
    if not all(isinstance(each, str) for each in found):
        raise Unclear
    return "".join(found)


def entry_of(node: ast.expr | None, scope: Scope, depth: int = 0) -> ast.expr | None:
    """The expression that `config["ddb"]["table"]` (in JavaScript `config.ddb.table`) stands for, if spelt out."""
    match node:
        case None:
            return None
        case ast.Name(id=name):
            inner = scope.names.get(name)
            return entry_of(inner, scope, depth + 1) if depth < DEPTH else None
        case ast.Subscript() if read_variable(node) is not None:
            return node
        case ast.Subscript(value=whole, slice=ast.Constant(value=part)):
            found = entry_of(whole, scope, depth + 1) if depth < DEPTH else None
            if isinstance(found, ast.Dict):
                entries = zip(found.keys, found.values, strict=True)
                value = next((v for k, v in entries if isinstance(k, ast.Constant) and k.value == part), None)
                return entry_of(value, scope, depth + 1) if isinstance(value, ast.Name | ast.Subscript) else value
            if isinstance(found, ast.List | ast.Tuple) and isinstance(part, int) and part < len(found.elts):
                return found.elts[part]
            return None if found is not None else node
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Object"), attr="freeze"), args=[inner, *_]):
            return entry_of(inner, scope, depth + 1)
    return node


def whole_dict(node: ast.Dict, scope: Scope, depth: int) -> dict[str, Any]:
    """The value of a dict display, with what it spreads by `**`. Unclear."""
    found: dict[str, Any] = {}
    for key, part in zip(node.keys, node.values, strict=True):
        if key is not None:
            found[str(value_of(key, scope, depth + 1))] = value_of(part, scope, depth + 1)
            continue
        inner = dict_of(part, scope)
        value = value_of(part if inner is None else inner, scope, depth + 1)
        if not isinstance(value, dict):
            raise Unclear
        found |= value
    return found


def entries(node: ast.Dict, scope: Scope, depth: int = 0) -> dict[str, ast.expr]:
    """Key -> value of a dict display, with the entries of what it spreads (`**base`), as far as they are spelt out."""
    found: dict[str, ast.expr] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            found[str(key.value)] = value
        elif key is None and depth < DEPTH and (inner := dict_of(value, scope)) is not None:
            found |= entries(inner, scope, depth + 1)
    return found


def dict_of(node: ast.expr | None, scope: Scope, depth: int = 0) -> ast.Dict | None:
    """The dict display that an expression stands for: a name, `dict(…)`, `a | b`, a function that makes one."""
    if depth > DEPTH:
        return None
    match node:
        case ast.Dict():
            return node
        case ast.Name(id=name) if name in scope.names:
            return dict_of(scope.names[name], scope, depth + 1)
        case ast.Call(func=ast.Name(id="dict"), args=given, keywords=words):
            named = [None if word.arg is None else ast.Constant(value=word.arg) for word in words]
            return made_dict([*(None for _ in given), *named], [*given, *(word.value for word in words)], node)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return made_dict([None, None], [left, right], node)
        case ast.Call(func=ast.Name(id=name)):
            return called_dict(scope.dicts.get(name), node)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            whole = f"{owner.id}.{name}" if isinstance(owner, ast.Name) else name
            return called_dict(scope.dicts.get(whole) or scope.dicts.get(name), node)
    return None


def made_dict(keys: Sequence[ast.expr | None], values: Sequence[ast.expr], node: ast.expr) -> ast.Dict:
    """A dict display in the place of another expression."""
    return ast.Dict(keys=[*keys], values=[*values], lineno=getattr(node, "lineno", 1))


def called_dict(function: DictFunction | None, call: ast.Call) -> ast.Dict | None:
    """The dict of a function, with what it is called with in the places of its parameters."""
    if function is None:
        return None
    given = dict(zip(function.parameters, call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg}
    filled = Fill(given).visit(copy.deepcopy(function.node))
    return made_dict(filled.keys, filled.values, call)


class Fill(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, given: Mapping[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.given.get(node.id, node)


def variable_of(node: ast.expr, scope: Scope) -> str:
    """The value of a variable of the environment that an expression reads. Unclear."""
    read = read_variable(node)
    if read is None:
        raise Unclear
    name, default = read
    if name in scope.variables:
        return scope.variables[name]
    if default is None:
        raise Unclear
    return default


def read_variable(node: ast.AST) -> tuple[str, str | None] | None:
    """(name, default) of `os.environ["X"]`, `os.environ.get("X", "d")`, `os.getenv("X")`; None for anything else."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))):
            return name, None
        case ast.Call(func=ast.Attribute(attr="getenv" | "get") as func, args=[ast.Constant(value=str(name)), *rest]):
            if func.attr == "get" and not (isinstance(func.value, ast.Attribute) and func.value.attr == "environ"):
                return None
            default = rest[0].value if rest and isinstance(rest[0], ast.Constant) else None
            return name, default if isinstance(default, str) else None
    return None


def template_of(node: ast.expr, scope: Scope, depth: int = 0) -> str:
    """A text as a template: `f"MSG#{group_uuid}"` is `MSG#{group_uuid}`, a bare name `{name}`. Unclear."""
    if depth > DEPTH:
        raise Unclear
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=int(number)):
            return str(number)
        case ast.JoinedStr(values=parts):
            return "".join(template_of(part, scope, depth + 1) for part in parts)
        case ast.FormattedValue(value=value):
            return filling(value, scope, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return template_of(left, scope, depth + 1) + template_of(right, scope, depth + 1)
        case ast.Name(id=name) if is_text(scope.names.get(name), scope):
            return template_of(scope.names[name], scope, depth + 1)
        case ast.Call() if (called := text_function(node, scope)) is not None:
            return called_text(called, node, scope, depth + 1)
    formatted = format_of(node)
    if formatted is not None:
        return filled(*formatted, scope, depth + 1)
    if (entry := entry_of_call(node, scope)) is not None:
        return template_of(entry, scope, depth + 1)
    try:
        return variable_of(node, scope)
    except Unclear:
        return place_of(node, scope, depth + 1)


def entry_of_call(node: ast.expr, scope: Scope) -> ast.expr | None:
    """The expression that `user_key(user_id)["pk"]` stands for, of a function that makes a dict."""
    match node:
        case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=str(part))):
            made = dict_of(call, scope)
            return entries(made, scope).get(part) if made is not None else None
    return None


def format_of(node: ast.expr) -> tuple[str, Sequence[ast.expr]] | None:
    """(text with `{}`, parts) of `"USER#%s" % x`, `"USER#{}".format(x)`, `"#".join(["USER", x])`."""
    match node:
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            return PERCENT.sub("{}", text), right.elts if isinstance(right, ast.Tuple) else [right]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=parts, keywords=[]):
            return text, parts
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="join"), args=[ast.List(elts=each)]):
            return text.join(["{}"] * len(each)), each
    return None


def is_text(node: ast.expr | None, scope: Scope) -> bool:
    """Return True if an expression puts a text together, or calls what does."""
    return isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp) or text_function(node, scope) is not None


def text_function(node: ast.expr | None, scope: Scope) -> TextFunction | None:
    """The function that a call calls, if it only puts a text together."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return scope.texts.get(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)):
            return scope.texts.get(f"{owner}.{name}") or scope.texts.get(name)
    return None


def called_text(function: TextFunction, call: ast.expr, scope: Scope, depth: int) -> str:
    """The template of a function, with what it is called with in its places. Unclear."""
    assert isinstance(call, ast.Call)  # noqa: S101 - `text_function` found it
    given = dict(zip(function.parameters, call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg}
    places = {name: template_of(value, scope, depth + 1) for name, value in given.items()}
    return IN_BRACES.sub(lambda found: places.get(found[1], found[0]), function.template)


def filling(node: ast.expr, scope: Scope, depth: int) -> str:
    """The template of what a text is filled with; in a loose scope `{at}` or `{id}` for what is computed. Unclear."""
    try:
        named = node if is_text(node, scope) else None
        return template_of(named, scope, depth) if named is not None else place_of(node, scope, depth)
    except Unclear:
        if not scope.loose:
            raise
        return "{at}" if MOMENT.search(ast.unparse(node)) else "{id}"


def filled(text: str, parts: Sequence[ast.expr], scope: Scope, depth: int) -> str:
    """A text with `{}` in it, filled in order. Unclear."""
    left = iter(parts)
    made = []
    for piece in re.split(r"(\{\})", text):
        part = next(left, None) if piece == "{}" else None
        made.append(piece if part is None else filling(part, scope, depth + 1))
    return "".join(made)


def text_functions(trees: Iterable[ast.Module]) -> dict[str, TextFunction]:
    """The functions and static methods that only return a text, by name and `Class.name`; ambiguous names have none."""
    found: dict[str, TextFunction] = {}
    twice: set[str] = set()
    for tree in trees:
        owned = [("", node) for node in tree.body]
        owned += [
            (f"{node.name}.", inner) for node in tree.body if isinstance(node, ast.ClassDef) for inner in node.body
        ]
        for owner, node in owned:
            if not isinstance(node, ast.FunctionDef):
                continue
            body = [each for each in node.body if not isinstance(each, ast.Expr)]
            value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
            if not isinstance(value, ast.JoinedStr | ast.BinOp | ast.Call):
                continue
            try:
                template = template_of(value, module_scope(tree, {}))
            except Unclear:
                continue
            if not IN_BRACES.sub("", template):
                continue
            names = tuple(each.arg for each in node.args.args if each.arg not in ("self", "cls"))
            for name in {f"{owner}{node.name}", node.name}:
                twice |= {name} if name in found and found[name].template != template else set()
                found[name] = TextFunction(names, template)
    return {name: each for name, each in found.items() if name not in twice}


def place_of(node: ast.expr, scope: Scope, depth: int) -> str:
    """`{name}` for what a text is filled with: a name, an attribute, an item, the argument of `str(…)`. Unclear."""
    match node:
        case ast.Name(id=name):
            return f"{{{name}}}"
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return f"{{{name}}}"
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return place_of(inner, scope, depth + 1)
        case ast.Call(func=ast.Attribute(value=inner, attr="isoformat" | "strftime")):
            return place_of(inner, scope, depth + 1)
    raise Unclear


def typed_part(node: ast.expr) -> tuple[str, ast.expr] | None:
    """("S", value) of `{"S": value}`, as boto3's low-level client writes a value."""
    match node:
        case ast.Dict(keys=[ast.Constant(value=str(kind))], values=[value]) if kind in TYPES:
            return kind, value
    return None


def spelt(node: ast.expr | None, scope: Scope, depth: int = 0) -> str | None:
    """The text that an expression comes to, all names in it filled in; None where one is not known."""
    if node is None or depth > DEPTH:
        return None
    match node:
        case ast.Constant(value=str() | int() | float() as value) if not isinstance(value, bool):
            return str(value)
        case ast.JoinedStr(values=parts):
            return joined([spelt(part, scope, depth + 1) for part in parts])
        case ast.FormattedValue(value=value) | ast.Call(func=ast.Name(id="str" | "UUID"), args=[value]):
            return spelt(value, scope, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return joined([spelt(left, scope, depth + 1), spelt(right, scope, depth + 1)])
        case ast.Name(id=name) if name in scope.names:
            return spelt(scope.names[name], scope, depth + 1)
        case ast.Subscript():
            entry = entry_of(node, scope)
            return spelt(entry, scope, depth + 1) if entry is not node else None
        case ast.Call() if (called := text_function(node, scope)) is not None:
            given = {
                name: spelt(value, scope, depth + 1) for name, value in zip(called.parameters, node.args, strict=False)
            }
            given |= {word.arg: spelt(word.value, scope, depth + 1) for word in node.keywords if word.arg}
            wanted = IN_BRACES.findall(called.template)
            if all(given.get(name) is not None for name in wanted):
                return IN_BRACES.sub(lambda found: str(given[found[1]]), called.template)
    return None


def joined(parts: Sequence[str | None]) -> str | None:
    """The parts as one text; None where one is not known."""
    return None if None in parts else "".join(part for part in parts if part is not None)
