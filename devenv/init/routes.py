"""The HTTP routes of Python code: Flask, FastAPI and the like, with the prefixes that they are mounted at. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.given_back import fields_of, given_back
from devenv.init.guards import decorated_by, depends_of, is_guard
from devenv.init.source import DEPTH, assignments, read_variable
from devenv.init.sql_routes import reads_rows

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
ROUTE_PLACE: Final = late(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>")

# Calls that make HTML, and those that make JSON.
PAGES: Final = frozenset(
    ("HTMLResponse", "TemplateResponse", "render_template", "render_template_string", "render", "render_to_response")
)
JSON: Final = frozenset(("jsonify", "JSONResponse", "JsonResponse", "ORJSONResponse"))

SCALARS: Final = frozenset(("int", "str", "float", "bool", "len", "Decimal"))


class Route(Value, frozen=True):
    """One HTTP route for GET: its path with `{name}` for parameters. `calls`: what its function calls, by last names.

    `asked` are the parameters behind the `?` that it reads. `owner` is the object that it belongs to (`app`, `router`).
    Its function goes from `line` to `end`. `wraps`: function -> the field of the answer that its list stands in.
    `answers`: function -> field of the route's answer -> field of the function's, where the route picks them; `picks`:
    the same, if what the function gives is one thing.
    `shows`: function -> how the route shows the objects that it gives.
    `indirect`: its function looks up by the parameters what it asks a query by.
    `page`: it answers with HTML. `gives` are the functions whose results the answer shows, None where nothing tells;
    `fields` those of the object that it returns, as far as they are spelt out. `rows`: it reads rows of SQL.
    `uses`: the names of its decorators and dependencies. `guarded`: by these, it is for people who are signed in.
    """

    file: str
    line: int
    path: str
    parameters: tuple[str, ...]
    calls: frozenset[str] = frozenset()
    asked: tuple[str, ...] = ()
    owner: str = ""
    end: int = 0
    wraps: Mapping[str, str] = {}
    guarded: bool = False
    answers: Mapping[str, Mapping[str, str]] = {}
    picks: Mapping[str, Mapping[str, str]] = {}
    shows: Mapping[str, ast.expr] = {}
    uses: frozenset[str] = frozenset()
    indirect: bool = False
    page: bool = False
    gives: frozenset[str] | None = None
    fields: tuple[str, ...] = ()
    rows: bool = False


class RouterMount(Value, frozen=True):
    """Where a module's or a router's routes are mounted: the prefix, by which `owner`, with which dependencies."""

    prefix: str
    owner: str
    uses: frozenset[str] = frozenset()


def read_routes(file: str, tree: ast.Module, names: Mapping[str, ast.expr] | None = None) -> Iterator[Route]:
    """`@app.route("/x/<y>")`, `@app.get("/x/{y}")` of Flask, FastAPI and the like, for GET, with their own prefix.

    `names` are the values of the module's names, with those that it imports.
    """
    names = names or {}
    prefixes, makers = dict(own_prefixes(tree, names)), dict(assignments(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Attribute(value=on, attr="route" | "get" as how),
                    args=[ast.Constant(value=str(path)), *_],
                ):
                    methods = next((ast.unparse(w.value) for w in decorator.keywords if w.arg == "methods"), "GET")
                    if how == "get" or "GET" in methods:
                        owner = on.id if isinstance(on, ast.Name) else ""
                        shown = prefixes.get(owner, "") + path
                        parts = [*node.decorator_list, node.args, *([makers[owner]] if owner in makers else [])]
                        yield route_of(file, node, shown, names, parts, owner)


def route_of(
    file: str,
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    path: str,
    names: Mapping[str, ast.expr],
    parts: Sequence[ast.AST] = (),
    owner: str = "",
) -> Route:
    """The route of a function; `parts` are where its dependencies stand."""
    inner = list(ast.walk(node))
    shown = ROUTE_PLACE.sub(r"{\1}", path).replace(":path}", "}")
    uses = frozenset((*decorated_by(node), *depends_of(parts, names)))
    return Route(
        file,
        node.lineno,
        shown,
        tuple(re.findall(r"\{(\w+)", shown)),
        frozenset(called_name(each) for each in inner if isinstance(each, ast.Call)),
        tuple(read_arguments(inner)),
        owner,
        node.end_lineno or node.lineno,
        {**dict.fromkeys([node.name] if (own := own_list(inner)) else [], own or ""), **wrapped(inner)},
        answers=dict(sorted(picked(inner), key=lambda each: bool(each[1]))),
        shows=dict(shown_calls(inner)),
        guarded=any(is_guard(name, {}) for name in uses),
        uses=uses,
        page=is_page([*inner, *node.decorator_list]),
        gives=given_back(node),
        fields=fields_of(node),
        rows=reads_rows(inner),
    )


def is_page(nodes: Iterable[ast.AST]) -> bool:
    """Return True for `response_class=HTMLResponse`, and for what renders a template and makes no JSON."""
    made: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg == "response_class":
            return "HTML" in ast.unparse(node.value)
        made |= {called_name(node)} if isinstance(node, ast.Call) else set()
    return bool(made & PAGES) and not made & JSON


def wrapped(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """function -> field of an answer like `{"data": list_notes(…)}` or `jsonify(data=list_notes(…))`."""
    nodes = list(nodes)
    made = made_by(nodes)
    found = {}
    for node in nodes:
        for name, value in named_values(node):
            call = source_of(value, made)
            if call is not None:
                found[called_name(call)] = name
    return found


def own_list(nodes: Iterable[ast.AST]) -> str | None:
    """The field of `{"rides": [… for each in found["Items"]]}` of a route with a query of its own; None if unclear."""
    nodes = list(nodes)
    lists: set[str] = set()
    for node in (*nodes, *nodes):  # One list may be made of another, and stand before it in a walk.
        if isinstance(node, ast.Assign) and is_items(node.value, lists):
            lists |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    fields = {name for node in nodes for name, value in named_values(node) if is_items(value, lists)}
    return min(fields) if len(fields) == 1 else None


def is_items(value: ast.expr, lists: Collection[str]) -> bool:
    """Return True for `found["Items"]`, what is made of each of them, and the names of these lists."""
    match value:
        case ast.ListComp(generators=[ast.comprehension(iter=over)]):
            return is_items(over, lists)
        case ast.Subscript(slice=ast.Constant(value="Items")):
            return True
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value="Items"), *_]):
            return True
    return isinstance(value, ast.Name) and value.id in lists


def made_by(nodes: Iterable[ast.AST]) -> dict[str, ast.Call]:
    """name -> call of `loans = list_loans(…)`, each name that is given a value once."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = node.value.value if isinstance(node.value, ast.Await) else node.value
            found.setdefault(node.targets[0].id, []).append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1 and isinstance(values[0], ast.Call)}


def source_of(value: ast.expr, made: Mapping[str, ast.Call]) -> ast.Call | None:
    """The call that a value is, or comes from by its name, as a whole or with fields picked of each part."""
    match value:
        case ast.Await(value=ast.Call() as call):
            return call
        case ast.Name(id=name):
            return made.get(name)
        case ast.ListComp(elt=ast.Call(func=ast.Name(id=kind))) if kind in SCALARS:
            return None
        case ast.ListComp(elt=ast.Dict() | ast.Call(), generators=[ast.comprehension(iter=over, ifs=[])]):
            return source_of(over, made)
        case ast.Call():
            return value
    return None


def picked(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, dict[str, str]]]:
    """function -> field -> its own field of `[{"at": i["out_at"]} for i in list_loans(…)]`, or of one thing's fields.

    `loan = find_loan(at); return {"at": at, "by": loan["by"]}` has those of `find_loan`, and the route's parameters.
    """
    made = made_by(nodes)
    given = {each.arg for node in nodes[:1] if isinstance(node, FUNCTIONS) for each in node.args.args}
    for node in nodes:
        match node:
            case ast.ListComp(
                elt=ast.Dict() as shown, generators=[ast.comprehension(target=ast.Name(id=item), iter=over)]
            ) if (call := source_of(over, made)) is not None:
                if any(getattr(each, "id", "") == item for each in spread(shown)):
                    continue  # `{**item, "title": …}` shows every field.
                parts = ((key, field_of(value)) for key, value in named_values(shown))
                yield called_name(call), {key: part[1] for key, part in parts if part and part[0] == item}
            case ast.Return(value=ast.Dict() | ast.Call() as shown):
                values = dict(named_values(shown))
                found = {key: part for key, value in values.items() if (part := field_of(value)) and part[0] in made}
                whole = {each.id for each in [*values.values(), *spread(shown)] if isinstance(each, ast.Name)}
                asked = {
                    key: each.id for key, each in values.items() if isinstance(each, ast.Name) and each.id in given
                }
                for name in sorted({part[0] for part in found.values()} - whole):
                    own = {key: part[1] for key, part in found.items() if part[0] == name}
                    yield called_name(made[name]), asked | own
            case ast.ListComp(elt=ast.Call(func=ast.Name(id=kind)), generators=[ast.comprehension(iter=over)]) if (
                kind in SCALARS and (call := source_of(over, made)) is not None
            ):
                yield called_name(call), {}  # Of each only a value: no item can be told from another.


def named_values(shown: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(field, value) of a dict, and of `jsonify(field=value)`."""
    if isinstance(shown, ast.Dict):
        every = zip(shown.keys, shown.values, strict=True)
        yield from ((str(key.value), value) for key, value in every if isinstance(key, ast.Constant))
    elif isinstance(shown, ast.Call) and called_name(shown) in ("jsonify", "dict"):
        yield from ((word.arg, word.value) for word in shown.keywords if word.arg)


def spread(shown: ast.expr) -> list[ast.expr]:
    """The values of `{**item}` and `jsonify(**item)`."""
    if isinstance(shown, ast.Dict):
        return [value for key, value in zip(shown.keys, shown.values, strict=True) if key is None]
    return [word.value for word in shown.keywords if word.arg is None] if isinstance(shown, ast.Call) else []


def field_of(value: ast.expr) -> tuple[str, str] | None:
    """(name, field) of `item["at"]`, `item.get("at")`, `item.at`, and of `float(item["at"])`."""
    match value:
        case (
            ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(own)))
            | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str(own)), *_])
            | ast.Attribute(value=ast.Name(id=name), attr=own)
        ):
            return name, own
        case ast.Call(func=ast.Name(id=kind), args=[inner]) if kind in SCALARS - {"len"}:
            return field_of(inner)
    return None


def shown_calls(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """function -> `task.to_api()` of `[task.to_api() for task in list_tasks(…)]`, or of the one that it gives."""
    made = made_by(nodes)
    for node in nodes:
        match node:
            case ast.ListComp(elt=ast.Call() as each, generators=[ast.comprehension(iter=over)]):
                inner = [over]
            case ast.Return(value=ast.Call(func=function, args=given) as each):
                inner = [function.value] if isinstance(function, ast.Attribute) and not given else given[:1]
            case _:
                continue
        for value in inner:
            if (call := source_of(value, made)) is not None:
                yield called_name(call), each


def called_name(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def read_arguments(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names in `request.args.get("x")`, `request.args["x"]`."""
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="args" | "query_params"), attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name
            case ast.Subscript(value=ast.Attribute(attr="args" | "query_params"), slice=ast.Constant(value=str(name))):
                yield name


def prefix_of(words: Iterable[ast.keyword], names: Mapping[str, ast.expr]) -> str | None:
    """The prefix among the options of a router or a mount, "" without one; None where it is computed."""
    node = next((w.value for w in words if w.arg in ("prefix", "url_prefix")), None)
    return "" if node is None else prefix_text(node, names)


def prefix_text(node: ast.expr, names: Mapping[str, ast.expr], depth: int = 0) -> str | None:
    """The text of a prefix that is spelt out, put together, or the default of a variable; None for any other."""
    if (read := read_variable(node)) is not None:
        return read[1]
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=None):
            return ""
        case ast.Name(id=name) if name in names and depth < DEPTH:
            return prefix_text(names[name], names, depth + 1)
        case ast.FormattedValue(value=inner):
            return prefix_text(inner, names, depth + 1)
        case ast.JoinedStr(values=parts):
            texts = [prefix_text(part, names, depth + 1) for part in parts]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = [prefix_text(part, names, depth + 1) for part in (left, right)]
        case ast.BoolOp(values=[first, *rest]):
            return next(filter(None, (prefix_text(each, names, depth + 1) for each in (first, *rest))), None)
        case _:
            return None
    known = [text for text in texts if text is not None]
    return "".join(known) if len(known) == len(texts) else None


def own_prefixes(tree: ast.Module, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, str]]:
    """name -> prefix of `APIRouter(prefix="/x")` and `Blueprint("x", __name__, url_prefix="/x")`."""
    for name, node in assignments(tree):
        is_router = isinstance(node, ast.Call) and called_name(node) in ("APIRouter", "Blueprint")
        if isinstance(node, ast.Call) and is_router and (prefix := prefix_of(node.keywords, names)):
            yield name, prefix


def read_mounts(tree: ast.Module, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, RouterMount]]:
    """module or name -> mount of `include_router(x.router, prefix="/p")` and `register_blueprint(x, url_prefix="/p")`.

    Of a name that another module gives, that module's name too.
    """
    modules = {
        alias.asname or alias.name: (alias.name, (node.module or "").rpartition(".")[2])
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    own = dict(own_prefixes(tree, names))
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="include_router" | "register_blueprint"),
                args=[ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name)) as child, *_],
                keywords=words,
            ):
                prefix = prefix_of(words, names)
                if prefix is None:
                    continue
                mount = RouterMount(own.get(owner, "") + prefix, owner, frozenset(depends_of(words, names)))
                yield name, mount
                imported, module = modules.get(name, ("", ""))
                # Of `notes.router` the name is the module's; of `router` it is a name of a module.
                if other := imported if isinstance(child, ast.Attribute) else module:
                    yield other, mount
