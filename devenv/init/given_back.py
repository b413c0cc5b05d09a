"""The functions whose lists a route's answer shows, as a whole or with fields of each item, in Python. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Final

# What gives the entries of its arguments, or a text or a response of them.
PASSING: Final = frozenset(
    [
        *("list", "sorted", "reversed", "tuple", "dict", "enumerate", "zip", "chain", "islice", "map", "gather"),
        *("jsonify", "JSONResponse", "JsonResponse", "ORJSONResponse", "jsonable_encoder", "dumps", "make_response"),
        *("Response", "to_thread", "run_in_threadpool", "loads", "dump", "asdict", "model_dump", "model_validate"),
        *("validate_python", "unmarshal", "deserialize"),
    ]
)
# What gives one value of many, or of one: it shows no item.
SINGLE: Final = frozenset(("len", "sum", "any", "all", "max", "min", "next", "int", "str", "float", "bool", "Decimal"))
# Where an answer of DynamoDB, or of a function that reads a page of it, has its items.
LISTS: Final = frozenset(("items", "item", "results", "data", "rows", "entries", "attributes"))
# What is called for an answer of DynamoDB.
STORE: Final = frozenset(
    ("query", "get_item", "scan", "execute_statement", "batch_get_item", "paginate", "get", "send")
)

# Stands for the function's own arguments: `def shown(items): return [{…} for i in items]` gives those back.
ARGUMENT: Final = "="
Carried = frozenset[str]
NONE: Final[Carried] = frozenset()


def given_back(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Carried:
    """The last names of the functions whose results the function returns with every entry, or with fields of each.

    Of its own query it is the function's own name.
    """
    nodes = list(ast.walk(node))
    names: dict[str, Carried] = {each.arg: frozenset((ARGUMENT,)) for each in node.args.args}
    # A list may be made of another whose assignment stands later in the walk.
    for _ in range(3):
        for each in nodes:
            assign(each, names)
    returned = [each.value for each in nodes if isinstance(each, ast.Return | ast.Yield) and each.value is not None]
    found = union(carried(value, names) for value in returned)
    return found | ({node.name} if found & STORE else NONE)


def assign(node: ast.AST, names: dict[str, Carried]) -> None:
    """Note what a name holds after an assignment, a loop or `out.append(…)` in a loop."""
    match node:
        case ast.Assign(targets=[target], value=value):
            add(target, carried(value, names), names)
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
            add(target, carried(value, names), names)
        case ast.NamedExpr(target=target, value=value):
            add(target, carried(value, names), names)
        case ast.For(target=target, iter=over, body=body) | ast.AsyncFor(target=target, iter=over, body=body):
            entries = carried(over, names)
            if not entries or any(isinstance(each, ast.If) for each in body):
                return  # Only some of them, as far as this shows.
            for each in body:
                match each:
                    case ast.Expr(
                        value=ast.Call(func=ast.Attribute(value=ast.Name() as out, attr="append"), args=[shown])
                    ) if shows_item(shown):
                        add(out, entries, names)
        case ast.Call(func=ast.Attribute(value=ast.Name() as out, attr="extend"), args=[more]):
            add(out, carried(more, names), names)


def add(target: ast.expr, more: Carried, names: dict[str, Carried]) -> None:
    """A target's name holds these results, too."""
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    for each in targets:
        if isinstance(each, ast.Name):
            names[each.id] = names.get(each.id, NONE) | more


def carried(node: ast.expr, names: Mapping[str, Carried]) -> Carried:
    """The functions whose entries an expression holds."""
    match node:
        case ast.Name(id=name):
            return names.get(name, NONE)
        case ast.Await(value=inner) | ast.Starred(value=inner) | ast.NamedExpr(value=inner):
            return carried(inner, names)
        case ast.Call():
            return of_call(node, names)
        case (
            ast.ListComp(elt=shown, generators=[ast.comprehension(iter=over, ifs=[])])
            | ast.GeneratorExp(elt=shown, generators=[ast.comprehension(iter=over, ifs=[])])
        ):
            return carried(over, names) if shows_item(shown) else NONE
        case ast.Subscript(value=inner, slice=ast.Constant(value=str(key))):
            return carried(inner, names) if key.lower() in LISTS else NONE
        case ast.Subscript(value=inner, slice=ast.Slice() | ast.Constant()):
            return carried(inner, names)
        case ast.Dict(values=values) | ast.List(elts=values) | ast.Tuple(elts=values) | ast.BoolOp(values=values):
            return union(carried(each, names) for each in values)
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, op=ast.Add(), right=other):
            return carried(one, names) | carried(other, names)
    return NONE


def of_call(call: ast.Call, names: Mapping[str, Carried]) -> Carried:
    """The functions whose entries a call gives: its own, or those of its arguments."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    own = carried(call.func.value, names) if isinstance(call.func, ast.Attribute) else NONE
    if name in SINGLE:
        return NONE
    if name == "get" and own:
        key = call.args[0] if call.args else None
        return own if isinstance(key, ast.Constant) and str(key.value).lower() in LISTS else NONE
    given = [*call.args, *(word.value for word in call.keywords)]
    # A class, such as `HarvestList(items=found)`, holds what it is made of.
    if name in PASSING or name[:1].isupper():
        return union(carried(each, names) for each in given) | own
    # `shown(found)` may give back what it gets: `shown of list_loans`.
    inside = union(carried(each, names) for each in given) - {ARGUMENT}
    return frozenset((name, *(f"{name} of {each}" for each in inside))) | own


def shows_item(node: ast.expr) -> bool:
    """Return True for what stands for one item: itself, fields of it, an object made of it; not one value of it."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name not in SINGLE and name != "get"
    return isinstance(node, ast.Name | ast.Dict | ast.Await)


def union(many: Iterable[Carried]) -> Carried:
    return frozenset().union(*many)


def reaching(name: str, passing: Iterable[tuple[str, Carried]]) -> Carried:
    """`name`, and the functions that give back what it gives. `passing`: (function, what it gives back)."""
    passing = list(passing)
    handed = {each for each, given in passing if ARGUMENT in given}
    found: set[str] = {name}
    for _ in range(3):
        found |= {f"{each} of {inner}" for each in handed for inner in [*found]}
        found |= {each for each, given in passing if given & found}
    return frozenset(found)


def fields_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """The fields of the object that a function returns, of the first that is spelt out."""
    for each in ast.walk(node):
        value = each.value if isinstance(each, ast.Return) else None
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") in PASSING and value.args:
            value = value.args[0]
        if isinstance(value, ast.Dict):
            return tuple(str(key.value) for key in value.keys if isinstance(key, ast.Constant))
        if isinstance(value, ast.Call) and value.keywords and getattr(value.func, "id", "") in ("jsonify", "dict"):
            return tuple(word.arg for word in value.keywords if word.arg)
    return ()
