"""The project's data classes and models: their fields, how they are made of an item, how they are shown. Pure.

`Task.from_item(item)`, `Task(**item)`, `Task.model_validate(item)` make one; `task.to_api()`, `asdict(task)`,
`task.model_dump()` show it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from devenv.init.settings_class import keywords_of, last_name
from devenv.init.source import DataClass, Scope, assignments

DECORATORS: Final = ("dataclass", "define", "frozen", "attrs")
BASES: Final = ("BaseModel", "NamedTuple", "SQLModel", "TypedDict", "Struct")
# Methods of models that take an item as it is.
VALIDATES: Final = ("model_validate", "parse_obj", "from_orm")
# What gives all fields by their own names.
DUMPS: Final = ("model_dump", "dict", "_asdict")
DUMP_CALLS: Final = ("asdict", "vars")


def data_classes(trees: Iterable[ast.Module]) -> dict[str, DataClass]:
    """Name -> class, of all that are data classes; a name that two of them have is left out."""
    nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    names = [node.name for node in nodes]
    nodes = [node for node in nodes if names.count(node.name) == 1]
    found: dict[str, DataClass] = {}
    # A class may stand before its base: in another file.
    for _ in range(2):
        for node in nodes:
            bases = [found[name] for base in node.bases if (name := last_name(base)) in found]
            if bases or is_data_class(node):
                found[node.name] = read_class(node, bases)
    return {name: with_methods(found[name], node, found) for node in nodes if (name := node.name) in found}


def is_data_class(node: ast.ClassDef) -> bool:
    """Return True for a class that a decorator or a base makes a data class."""
    decorators = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return any(last_name(each) in DECORATORS for each in decorators) or any(
        last_name(base) in BASES for base in node.bases
    )


def read_class(node: ast.ClassDef, bases: Sequence[DataClass]) -> DataClass:
    """The fields of a class in order, those of its bases first, with the names that items have for them."""
    fields = {name: None for base in bases for name in base.fields}
    aliases = {field: alias for base in bases for field, alias in base.aliases.items()}
    generator = next((word.value for word in keywords_of(node) if word.arg == "alias_generator"), None)
    camel = generator is not None and last_name(generator) in ("to_camel", "camelize", "to_lower_camel")
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        name = each.target.id
        if name == "model_config" or "ClassVar" in ast.unparse(each.annotation):
            continue
        fields[name] = None
        given = each.value.keywords if isinstance(each.value, ast.Call) else []
        alias = next((word.value for word in given if word.arg == "alias"), None)
        if isinstance(alias, ast.Constant) and isinstance(alias.value, str):
            aliases[name] = alias.value
        elif camel:
            aliases[name] = re.sub(r"_(\w)", lambda found: found[1].upper(), name)
    return DataClass(node.name, tuple(fields), aliases)


def with_methods(found: DataClass, node: ast.ClassDef, classes: Mapping[str, DataClass]) -> DataClass:
    """A class with the methods that make one of an item, and those that show one."""
    made: dict[str, Mapping[str, str]] = {}
    shown: dict[str, Mapping[str, str]] = {}
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        scope = Scope(dict(assignments(method)), classes=classes)
        for each in ast.walk(method):
            if isinstance(each, ast.Call) and last_name(each.func) in ("cls", node.name):
                made[method.name] = constructed(each, found, scope)
            elif isinstance(each, ast.Return) and (fields := dumped(each.value, "self", found, scope)):
                shown[method.name] = fields
    return DataClass(found.name, found.fields, found.aliases, made, shown)


def constructed(call: ast.Call, kind: DataClass, scope: Scope) -> dict[str, str]:
    """Field -> attribute of the item that a call gives it: `Task(item["sk"], title=item["title"])`, `Task(**item)`."""
    results: dict[str, str] = {}
    given = {**dict(zip(kind.fields, call.args, strict=False)), **{w.arg: w.value for w in call.keywords if w.arg}}
    if any(word.arg is None and isinstance(word.value, ast.Name | ast.DictComp) for word in call.keywords):
        results = {name: kind.aliases.get(name, name) for name in kind.fields}
    for name, value in given.items():
        field = next((f for f, alias in kind.aliases.items() if alias == name), name)
        attribute = item_attribute(value, scope)
        if attribute is not None and field in kind.fields:
            results[field] = attribute
        elif field in results:
            del results[field]  # It is given another value.
    return results


def dumped(node: ast.expr | None, owner: str, kind: DataClass, scope: Scope) -> dict[str, str]:
    """Field of an answer -> field of the object called `owner` that it shows; {} for what shows none."""
    match node:
        case ast.Name(id=name) if name in scope.names:
            return dumped(scope.names[name], owner, kind, Scope({}))
        case ast.Dict(keys=keys, values=values):
            return shown_fields(zip(keys, values, strict=True), owner, kind)
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
            return shown_fields(((w.arg and ast.Constant(w.arg), w.value) for w in words), owner, kind)
        case (
            ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[])
            | ast.Call(func=ast.Name(id=method) | ast.Attribute(attr=method), args=[ast.Name(id=name)])
        ) if owner in (name, "") and method in kind.shown:
            return dict(kind.shown[method])
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[], keywords=words) if (
            owner in (name, "") and method in DUMPS
        ):
            return {kind.aliases.get(f, f) if by_alias(words) else f: f for f in kind.fields}
        case ast.Call(func=ast.Name(id=method) | ast.Attribute(attr=method), args=[ast.Name(id=name), *_]) if (
            owner in (name, "") and method in DUMP_CALLS
        ):
            return {field: field for field in kind.fields}
        case ast.Attribute(value=ast.Name(id=name), attr="__dict__") if owner in (name, ""):
            return {field: field for field in kind.fields}
    return {}


def by_alias(words: Iterable[ast.keyword]) -> bool:
    """Return True for `by_alias=True`."""
    return any(w.arg == "by_alias" and isinstance(w.value, ast.Constant) and w.value.value is True for w in words)


def shown_fields(
    pairs: Iterable[tuple[ast.expr | str | None, ast.expr]], owner: str, kind: DataClass
) -> dict[str, str]:
    """The fields of a dict display; a part without a key is spread."""
    found: dict[str, str] = {}
    for key, value in pairs:
        if key is None:
            found |= dumped(value, owner, kind, Scope({}))
            continue
        match value:
            case ast.Call(func=ast.Name(id="str" | "int" | "float"), args=[inner]):
                pass
            case ast.Call(func=ast.Attribute(value=inner, attr="isoformat")):
                pass
            case inner:
                pass
        match inner:
            case ast.Attribute(value=ast.Name(id=name), attr=field) if owner in (name, "") and isinstance(
                key, ast.Constant
            ):
                found[str(key.value)] = field
    return found


def made_of_items(nodes: Sequence[ast.AST], scope: Scope) -> tuple[str, dict[str, str]] | None:
    """(class, field -> attribute) of the objects that a function makes of items, whichever way it makes them."""
    best: tuple[str, dict[str, str]] | None = None
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in scope.classes:
                kind = scope.classes[name]
                found = constructed(node, kind, scope)
            # `Task.from_item(item)`, `map(Task.from_item, items)`.
            case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=method) if (
                name in scope.classes
            ):
                kind = scope.classes[name]
                whole = {field: kind.aliases.get(field, field) for field in kind.fields}
                found = dict(kind.made.get(method, whole if method in VALIDATES else {}))
            case _:
                continue
        if found and (best is None or len(found) > len(best[1])):
            best = name, found
    return best


def shown_by(nodes: Iterable[ast.AST], kind: DataClass) -> dict[str, str]:
    """Field -> own field, where a function itself shows the objects: `[asdict(t) for t in tasks]`; else {}."""
    for node in nodes:
        match node:
            case ast.ListComp(elt=each) | ast.Return(value=each) if isinstance(each, ast.Dict | ast.Call):
                if found := dumped(shortened(each), "", kind, Scope({})):
                    return found
    return {}


def shortened(node: ast.expr) -> ast.expr:
    """`_.to_api()` of `Order.from_item(item).to_api()`, `asdict(_)` of `asdict(Order(**item))`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(), attr=method), args=[], keywords=words):
            return ast.Call(ast.Attribute(ast.Name("_"), method), [], words)
        case ast.Call(func=function, args=[ast.Call()], keywords=words):
            return ast.Call(function, [ast.Name("_")], words)
    return node


def answer_of(node: ast.expr | None, kind: DataClass, classes: Mapping[str, DataClass]) -> dict[str, str]:
    """Field of a route's answer -> own field of the objects that `node` shows; FastAPI shows an object by its aliases.

    {} where the fields keep their names, or nothing tells them.
    """
    match node:
        case None:  # Its own names, or in FastAPI its aliases.
            return {kind.aliases.get(field, field): field for field in kind.fields} if kind.aliases else {}
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[ast.Name()]) if (
            name in classes and method in VALIDATES
        ):
            other = classes[name]
            return {other.aliases.get(field, field): field for field in other.fields if field in kind.fields}
        case ast.Call(args=[], keywords=[_, *_] as words) if all(word.arg for word in words):
            named = ((ast.Constant(word.arg), word.value) for word in words)
            return dumped(node, "", kind, Scope({})) or shown_fields(named, "", kind)
    return dumped(shortened(node), "", kind, Scope({}))


def item_attribute(node: ast.expr, scope: Scope) -> str | None:
    """`a` of `item["a"]["S"]`, `item["a"]`, `item.get("a")`, or of a name that was given one of these.

    `{a}` is a part of its text.
    """
    match node:
        case ast.Subscript(value=inner, slice=ast.Constant(value="S" | "N" | "BOOL" | "B")):
            return item_attribute(inner, scope)
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Name(id=name) if name in scope.names and not isinstance(scope.names[name], ast.Name):
            return item_attribute(scope.names[name], scope)
        case ast.Call(func=ast.Name(id="int" | "float" | "str" | "Decimal" | "bool"), args=[inner]):
            return item_attribute(inner, scope)
        case (
            ast.Call(func=ast.Attribute(value=inner, attr="removeprefix" | "replace" | "lstrip"))
            | ast.Subscript(value=ast.Call(func=ast.Attribute(value=inner, attr="split" | "partition" | "rpartition")))
            | ast.Subscript(value=inner, slice=ast.Slice())
        ):
            # A part of the text: `item["sk"].split("#")[1]`.
            whole = item_attribute(inner, scope)
            return whole if whole is None or whole.startswith("{") else f"{{{whole}}}"
    return None
