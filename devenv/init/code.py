"""Reads from a project's Python code how it uses its tables: queries, items, functions, routes, variables. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from devenv.config.schema import DECLARED_TYPES
from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.conditions import (
    begins_template,
    begins_text,
    key_condition,
    plain_value,
    request_of,
    shown,
    table_of,
    unset_places,
    whole_key,
)
from devenv.init.data_classes import item_attribute, made_of_items, shown_by
from devenv.init.given_back import given_back
from devenv.init.guards import read_depends
from devenv.init.item_types import annotations_of, plain_type, turns_of
from devenv.init.routes import Route, RouterMount, read_mounts, read_routes
from devenv.init.source import (
    DataClass,
    DictFunction,
    Scope,
    TextFunction,
    Unclear,
    dict_of,
    entries,
    module_scope,
    own_nodes,
    read_variable,
    template_of,
    typed_part,
)
from devenv.init.sql_routes import reads_rows
from devenv.init.variables import python_required, python_uses

OPERATIONS: Final = {"query": "Query", "scan": "Scan", "paginate": "Query", "get_item": "GetItem"}
KEY_TEXT: Final = late(r"[A-Za-z][A-Za-z_-]*#\{")
TIMELY: Final = late(
    r"((?-i:[a-z]At\b)|_at$|^at$|\bnow\b|(?:created|updated)(?!_?by)|isoformat"
    r"|(?-i:(?<![a-z])(?:date|time)|Date|Time)(?:time|stamp)?s?(?![a-z]))",
    re.IGNORECASE,
)
# A text that is spelt out is a time if it looks like one, whatever its name is.
DATED: Final = late(r"\d{4}-\d\d-\d\d([T ]\d\d:|$)")


class Function(Value, frozen=True):
    """A function: `name` with its class, parameters, the item attribute behind each field of what it returns.

    `reverses`: it turns a list round. `line` is where it begins; the module itself has the name "". `calls` are the
    last names of what it calls. `whole`: it gives the items themselves back. `optional` are
    parameters with a default; `taken_apart`: in JavaScript, its one argument is an object with these names.
    `bound`: a method of an object. `gives`: the data class of what it returns. `passes`: the functions whose results it
    gives back, None where nothing tells. `rows`: it reads rows of SQL.
    """

    file: str
    line: int
    name: str
    parameters: tuple[str, ...] = ()
    results: Mapping[str, str] = {}
    reverses: bool = False
    calls: frozenset[str] = frozenset()
    whole: bool = False
    optional: frozenset[str] = frozenset()
    taken_apart: bool = False
    bound: bool = False
    gives: str = ""
    passes: frozenset[str] | None = None
    rows: bool = False

    @property
    def short(self) -> str:
        """Its name without the class."""
        return self.name.rpartition(".")[2]


class Query(Value, frozen=True):
    """One query, get_item or scan. `key` maps attributes to templates; `narrowed` is the attribute of a begins_with.

    `narrowed_by` is what it begins with, as far as it is known, `begins` the same as a template; `unset` are places of
    the expressions without a value.
    """

    function: Function
    line: int
    operation: str
    table: str | None
    index: str | None
    key: Mapping[str, str]
    narrowed: str | None = None
    forward: bool | None = None
    limit: int | None = None
    pages: bool = False
    unset: tuple[str, ...] = ()
    narrowed_by: str = ""
    begins: str = ""


class Attribute(Value, frozen=True):
    """One attribute of an item that the code writes: its type, and its template if it is put together."""

    type: str
    template: str | None


class Shape(Value, frozen=True):
    """One item that the code writes. `target` is its table, or what the code calls that: `sessions_table`; or ""."""

    function: Function
    line: int
    attributes: Mapping[str, Attribute]
    target: str = ""


class Code(Value, frozen=True):
    """The findings in one file."""

    file: str
    functions: tuple[Function, ...]
    queries: tuple[Query, ...]
    shapes: tuple[Shape, ...]
    routes: tuple[Route, ...]
    variables: Mapping[str, int]
    endpoints: Mapping[str, int]
    uses_dynamodb: bool
    writes: bool
    imports: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()  # the first words of absolute imports; none of a file that sets its path
    mounts: Mapping[str, RouterMount] = {}
    depends: Mapping[str, frozenset[str]] = {}  # function -> the functions that its parameters depend on
    keys: Mapping[str, int] = {}  # texts such as `USER#{user_id}`, with their lines
    uses: Mapping[str, str] = {}  # variable -> the placeholder of what it is handed to
    required: frozenset[str] = frozenset()  # variables that are read without a default
    unfollowed: tuple[str, ...] = ()  # sentences about queries whose request comes from elsewhere
    relative: bool = False  # imports of its own package: `from .settings import …`
    checks_audience: bool = False  # a call with `audience=…`: id tokens have one, access tokens of Cognito do not


def read_code(
    file: str,
    tree: ast.Module,
    variables: Mapping[str, str],
    keys: frozenset[str],
    constants: Mapping[str, ast.expr] | None = None,
    texts: Mapping[str, TextFunction] | None = None,
    fields: Mapping[str, str] | None = None,
    dicts: Mapping[str, DictFunction] | None = None,
    classes: Mapping[str, DataClass] | None = None,
) -> Code:
    """A file's queries, items and routes. `keys` are the key attributes of the known tables.

    `constants` are those of other modules: the ones that this one imports by name count. `texts` are the project's
    functions that put a text together, `dicts` those that put a dict together, `fields` attributes of settings with the
    variables that they come from, `classes` the data classes.
    """
    taken = {
        each for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in (a.name for a in node.names)
    }
    given = {name: node for name, node in (constants or {}).items() if name in taken}
    own = module_scope(tree, variables)
    module = Scope({**given, **own.names}, variables, texts or {}, dicts=dicts or {}, classes=classes or {})
    functions: list[Function] = []
    queries: list[Query] = []
    shapes: list[Shape] = []
    given_ones: list[str] = []
    for name, owner in owners(tree):
        scope = module if isinstance(owner, ast.Module) else module.inside(owner)
        scope = replace(scope, turns=turns_of(owner, scope), annotations=annotations_of(owner))
        function = describe(file, name, owner, scope)
        functions.append(function)
        nodes = list(own_nodes(owner))
        asked = queries_among(nodes, function, scope)
        queries += asked
        given_ones += open_queries(nodes, function, scope)
        # What is shown of the items that it asked for is no item.
        views = {id(n.elt) for n in nodes if isinstance(n, ast.ListComp | ast.GeneratorExp)} if asked else set()
        handed = {id(word.value) for n in nodes if isinstance(n, ast.Call) for word in n.keywords if word.arg == "Item"}
        targets = dict(written_to(nodes, scope))
        for node in nodes:
            # `Item=dict(key(id), name=name)`, `Item=key(id) | {…}`.
            whole = dict_of(node, scope) if id(node) in handed and isinstance(node, ast.Call | ast.BinOp) else node
            if id(node) not in views and (shape := read_shape(whole, function, scope, keys, sure=id(node) in handed)):
                shapes.append(replace(shape, target=targets.get(id(node), "")))
    nodes = list(ast.walk(tree))
    strings = {
        node.value: node.lineno for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # The default of a variable is none that is fixed.
    fallbacks = {found[1] for node in nodes if (found := read_variable(node))}
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    absolute = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    dotted = {f"{n.value.id}.{n.attr}" for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    return Code(
        file=file,
        functions=tuple(functions),
        queries=tuple(queries),
        shapes=tuple(shapes),
        routes=tuple(read_routes(file, tree, module.names)),
        variables={found[0]: getattr(n, "lineno", 1) for n in nodes if (found := read_variable(n))},
        endpoints={text: line for text, line in strings.items() if is_address(text, fallbacks)},
        uses_dynamodb="dynamodb" in strings,
        writes=bool(names & {"put_item", "batch_write_item", "transact_write_items", "batch_writer"}),
        imports=frozenset(imported(nodes)),
        packages=frozenset(n.module.partition(".")[0] for n in absolute if n.module and "sys.path" not in dotted),
        relative=any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in nodes),
        mounts=dict(read_mounts(tree, module.names)),
        depends=dict(read_depends(tree, module.names)),
        keys=dict(key_texts(nodes, module)),
        uses=dict(python_uses(tree, module, fields or {})),
        required=python_required(tree),
        unfollowed=tuple(given_ones),
        checks_audience=any(isinstance(node, ast.keyword) and node.arg == "audience" for node in nodes),
    )


def written_to(nodes: Sequence[ast.AST], scope: Scope) -> Iterator[tuple[int, str]]:
    """(id of the node of an item, the table that it is put into, by its name or by what the code calls it)."""
    given = {t.id: n.value for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    for node in nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        words = {word.arg: word.value for word in node.keywords}
        if (item := words.get("Item")) is None:
            continue
        item = given.get(item.id, item) if isinstance(item, ast.Name) else item
        named = plain_value(words.get("TableName"), scope) or table_of(node.func.value, scope)
        place = node.func.value
        called = place.attr if isinstance(place, ast.Attribute) else place.id if isinstance(place, ast.Name) else ""
        yield id(item), named if isinstance(named, str) else called


def is_address(text: str, fallbacks: Collection[str | None]) -> bool:
    """Return True for the address of a server that is not among the defaults of variables."""
    return text not in fallbacks and re.match(r"https?://[\w.-]+:\d+/?$", text) is not None


def key_texts(nodes: Iterable[ast.AST], scope: Scope) -> Iterator[tuple[str, int]]:
    """The texts that look like keys, `USER#{user_id}`, with their lines."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr | ast.BinOp):
            try:
                text = template_of(node, replace(scope, loose=True))
            except Unclear:
                continue
            if KEY_TEXT.match(text):
                yield text, node.lineno


def unfollowed(file: str, line: int, function: str) -> str:
    """The sentence about a query whose request comes from elsewhere."""
    return (
        f"{file}:{line}: {function or 'the module'} sends a request that it gets as an argument, and devenv found no"
        " call with a literal key: declare the pattern: devenv help patterns"
    )


def open_queries(nodes: Iterable[ast.AST], function: Function, scope: Scope) -> Iterator[str]:
    """Sentences about `table.query(**request)` whose request is not spelt out anywhere."""
    for node in nodes:
        given = isinstance(node, ast.Call) and calls_store(node) and any(word.arg is None for word in node.keywords)
        if (
            given
            and isinstance(node, ast.Call)
            and not {"KeyConditionExpression", "Key"} & set(request_of(node, scope))
        ):
            yield unfollowed(function.file, node.lineno, function.name)


def queries_among(nodes: Sequence[ast.AST], function: Function, scope: Scope) -> list[Query]:
    """The queries among the nodes of one function."""
    # What does the paging stands beside the query: both name the key of the last item.
    pages = any(isinstance(n, ast.Constant) and n.value == "ExclusiveStartKey" for n in nodes) or any(
        isinstance(n, ast.keyword) and n.arg == "ExclusiveStartKey" for n in nodes
    )
    return [query for node in nodes if (query := read_query(node, function, scope, pages))]


def read_queries(file: str, tree: ast.Module) -> list[Query]:
    """The queries of `read_code` and nothing else: a twentieth of its work. Their functions have only their name."""
    module: Scope | None = None
    found: list[Query] = []
    for name, owner in owners(tree):
        nodes = list(own_nodes(owner))
        if not any(calls_store(node) for node in nodes):
            continue
        module = module or module_scope(tree, {})
        scope = module if isinstance(owner, ast.Module) else module.inside(owner)
        found += queries_among(nodes, Function(file, getattr(owner, "lineno", 1), name), scope)
    return found


def calls_store(node: ast.AST) -> bool:
    """Return True for a call that may be a query, by its name alone."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OPERATIONS


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The last words of the modules that are imported: `ddb` of `from lib.ddb import Ddb`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.rpartition(".")[2] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
            yield (node.module or "").rpartition(".")[2]


def owners(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The module (""), its functions, and the methods of its classes as `Class.method`."""
    yield "", tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def describe(file: str, name: str, owner: ast.AST, scope: Scope) -> Function:
    """Return what a function takes and gives back."""
    if not isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
        return Function(file, 1, name)
    nodes = list(own_nodes(owner))
    results: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Dict):
            found = read_result(node, scope)
            results = found if len(found) > len(results) else results
    gives = ""
    if (own := scope.classes.get(name.rpartition(".")[0])) is not None:
        scope = replace(scope, classes={**scope.classes, "cls": own})
    made = made_of_items(nodes, scope)
    if made is not None and len(made[1]) > len(results):
        gives, results = scope.classes[made[0]].name, made[1]
        if shown := shown_by(nodes, scope.classes[made[0]]):
            gives, results = "", {field: results[inner] for field, inner in shown.items() if inner in results}
    calls = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    parameters = tuple(argument.arg for argument in owner.args.args if argument.arg not in ("self", "cls"))
    returned = [n.value for n in nodes if isinstance(n, ast.Return) and n.value is not None]
    whole = not results and any(gives_items(value, scope) for value in returned)
    reverses = "reverse" in calls or "reversed" in called
    defaults = owner.args.defaults
    optional = [a.arg for a in owner.args.args[len(owner.args.args) - len(defaults) :]] if defaults else []
    return Function(
        file,
        owner.lineno,
        name,
        parameters,
        results,
        reverses,
        frozenset(calls | called),
        whole,
        frozenset(optional),
        bound="." in name and bool(owner.args.args) and owner.args.args[0].arg == "self",
        gives=gives,
        passes=given_back(owner),
        rows=reads_rows(nodes),
    )


def gives_items(node: ast.expr, scope: Scope, depth: int = 0) -> bool:
    """Return True if a returned value is `response["Items"]`, by whatever name."""
    match node:
        case ast.Subscript(slice=ast.Constant(value="Items" | "Item")):
            return True
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value="Items" | "Item"), *_]):
            return True
        case ast.BoolOp(op=ast.Or(), values=[first, *_]):
            return gives_items(first, scope, depth + 1)
        case ast.Name(id=name) if name in scope.names and depth < 5:
            return gives_items(scope.names[name], scope, depth + 1)
    return False


def read_result(node: ast.Dict, scope: Scope) -> dict[str, str]:
    """field -> attribute of a dict like `{"handle": item["user_handle"]["S"]}`; empty for any other."""
    found: dict[str, str] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        attribute = item_attribute(value, scope)
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and attribute:
            found[key.value] = attribute
    return found


def read_query(node: ast.AST, function: Function, scope: Scope, pages: bool) -> Query | None:
    """A query of boto3: `client.query(…)`, `table.query(…)`, `paginator.paginate(…)`, with the request spelt out."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in OPERATIONS:
        return None
    operation = OPERATIONS[node.func.attr]
    request = request_of(node, scope)
    if not ({"KeyConditionExpression", "TableName", "Key"} & set(request)):
        return None
    if operation == "Query" and "KeyConditionExpression" not in request:
        return None
    key, narrowed = key_condition(request, scope) if operation != "GetItem" else (whole_key(request, scope), None)
    return Query(
        function=function,
        line=node.lineno,
        operation=operation,
        table=plain_value(request.get("TableName"), scope) or table_of(node.func.value, scope),
        index=plain_value(request.get("IndexName"), scope),
        key=key,
        narrowed=narrowed,
        forward=plain_value(request.get("ScanIndexForward"), scope),
        limit=plain_value(request.get("Limit"), scope),
        pages=pages or node.func.attr == "paginate",
        unset=tuple(unset_places(request, scope)),
        narrowed_by=begins_text(request, scope),
        begins=begins_template(request, scope),
    )


def read_shape(
    node: ast.AST | None, function: Function, scope: Scope, keys: frozenset[str], sure: bool = False
) -> Shape | None:
    """An item: a dict with the key attributes of a table, and more, in either form. `sure`: it is handed to a store."""
    if not isinstance(node, ast.Dict) or not keys:
        return None
    parts = entries(node, scope)
    if not keys & set(parts) or len(parts) < len(keys) + 1 or any(name.startswith((":", "#")) for name in parts):
        return None
    typed = {name: typed_part(value) for name, value in parts.items()}
    if not any(typed.values()) and function.short == "" and not sure:
        return None
    attributes = {}
    for name, value in parts.items():
        part = typed[name]
        attributes[name] = attribute(
            name, part[0] if part else plain_type(name, value, scope), part[1] if part else value, scope
        )
    return Shape(function, node.lineno, attributes)


def attribute(name: str, kind: str, node: ast.expr, scope: Scope) -> Attribute:
    """One attribute: its declared type, by what it is written as and by its name."""
    if kind in ("SS", "NS", "BS"):
        return Attribute("set", None)
    if kind == "?":
        return Attribute("", None)
    if kind != "S":
        return Attribute(DECLARED_TYPES.get(kind, "string"), None)
    try:
        template = template_of(node, replace(scope, loose=True))
    except Unclear:
        template = None
    if name.endswith("uuid"):
        return Attribute("uuid", template)
    if template and "{" not in template:
        return Attribute("time" if DATED.match(template) else "string", template)
    if template and len(re.findall(r"\{[^{}]*\}", template)) > 1:
        return Attribute("string", template)  # `{action}#{timestamp}` is more than a time.
    if template and KEY_TEXT.match(template):
        return Attribute("string", template)  # `DEP#{day}T{time}` has a time, and is none.
    # A sentence that has a word such as "now" is no time.
    sentence = template is not None and " " in re.sub(r"\{[^{}]*\}", "", template).strip()
    told = name if sentence else f"{name} {template or ''} {shown(node)}"
    return Attribute("time" if TIMELY.search(told) else "string", template)
