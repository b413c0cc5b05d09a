"""Reads how JavaScript and TypeScript use their tables: queries, items, functions, routes, table definitions. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from devenv.init.code import Code, Function, Query, Shape, read_query, read_shape, unfollowed
from devenv.init.conditions import plain_value
from devenv.init.dict_functions import script_dicts
from devenv.init.electrodb import Model, model_queries, model_shape, of_models, read_models
from devenv.init.javascript import JsFunction, JsParser, JsScript, declared, parse_script
from devenv.init.javascript_helpers import JsHelper, by_name, helper_of, helpers_through, request_in, taken_over
from devenv.init.javascript_items import is_answer, script_items, script_texts
from devenv.init.javascript_models import read_declared
from devenv.init.javascript_results import handler_results, results_in, with_mapper
from devenv.init.javascript_routes import begin, end, prefix_of, read_mounts, read_routes
from devenv.init.javascript_rows import rows_of
from devenv.init.javascript_tables import MAKES, is_request, read_tables
from devenv.init.javascript_types import field_types, parameter_types, tested
from devenv.init.javascript_values import all_exports, constants_of, modules_at, required, taken
from devenv.init.javascript_variables import script_uses
from devenv.init.plain_lists import has_plain_lists, is_in_list
from devenv.init.routes import Route
from devenv.init.source import Scope, entries
from devenv.init.sql_tables import DeclaredTable
from devenv.init.tables import Found
from devenv.init.used_keys import KeyUse, use_of
from devenv.init.variables import script_required
from devenv.init.written_items import Item, Keys

READS: Final[Mapping[str, str]] = {
    "QueryCommand": "query",
    "GetCommand": "get_item",
    "GetItemCommand": "get_item",
    "ScanCommand": "scan",
    "query": "query",
    "get": "get_item",
    "getItem": "get_item",
    "scan": "scan",
    "paginateQuery": "paginate",
}
# What names a key, or an item.
KEYED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("GetCommand", "GetItemCommand", "get", "getItem"), "GetItem"),
    **dict.fromkeys(("DeleteCommand", "DeleteItemCommand", "delete", "deleteItem"), "DeleteItem"),
    **dict.fromkeys(("UpdateCommand", "UpdateItemCommand", "update", "updateItem"), "UpdateItem"),
    **dict.fromkeys(("PutCommand", "PutItemCommand", "put", "putItem"), "PutItem"),
    **dict.fromkeys(("QueryCommand", "query", "paginateQuery"), "Query"),
}
WRITES: Final = ("PutCommand", "PutItemCommand", "put", "putItem", "BatchWriteCommand", "BatchWriteItemCommand")
# `process.env.X`, `process.env["X"]`, and NestJS's `this.configService.get<string>("X")`.
VARIABLE: Final = re.compile(
    r"\bprocess\.env(?:\.([A-Za-z_]\w*)|\[\s*['\"](\w+)['\"]\s*\])"
    r"|[cC]onfig(?:Service)?\.get(?:OrThrow)?(?:<\w+>)?\(\s*['\"]([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)['\"]"
)
ENDPOINT: Final = re.compile(r"['\"](https?://[\w.-]+:\d+/?)['\"]")
MOST_MOUNTS: Final = 5


@dataclass(frozen=True)
class JsFile:
    """The findings in one file.

    `mounts`: (prefix, module) of the routers that it mounts; `unclear`: lines of tables. `models` are its entities of
    ElectroDB by the names that they are given.
    """

    code: Code
    tables: tuple[Found, ...] = ()
    rows: tuple[DeclaredTable, ...] = ()
    unclear: tuple[int, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    items: tuple[Item, ...] = ()
    helpers: tuple[JsHelper, ...] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    uses: tuple[KeyUse, ...] = ()


def read_scripts(
    texts: Mapping[str, str], variables: Mapping[str, str], keys: frozenset[str], tables: Keys | None = None
) -> tuple[dict[str, JsFile], dict[str, JsScript]]:
    """The files that matter; constants that one takes from another are known in both. `keys`: of the known tables.

    `tables` are these tables, each with its key.
    """
    scripts = {name: script for name, text in texts.items() if (script := parse_script(text))}
    constants = constants_of(scripts.values())
    exported = all_exports(scripts)
    parsers = [JsParser(script) for script in scripts.values()]
    made, dicts = script_texts(parsers, constants), script_dicts(parsers)
    known = Scope(constants, variables, made, annotations=field_types(scripts.values()), dicts=dicts)
    found = {
        name: read_script(name, script, known, taken(name, script, exported), keys, tables)
        for name, script in scripts.items()
    }
    outside = {name: taken(name, script, exported) for name, script in scripts.items()}
    return mounted(with_models(with_helpers(found, scripts, known, outside), scripts, known, outside)), scripts


def with_models(
    found: Mapping[str, JsFile],
    scripts: Mapping[str, JsScript],
    known: Scope,
    imported: Mapping[str, Mapping[str, ast.expr]],
) -> dict[str, JsFile]:
    """The files, with the queries that go through an entity of ElectroDB, wherever it is declared."""
    models = {name: model for each in found.values() for name, model in each.models.items()}
    made = dict(found)
    for file, script in scripts.items() if models else ():
        if not any(f"{name}." in script.text for name in models):
            continue
        module, scopes = scopes_of(script, known, imported[file])
        code = made[file].code
        functions = dict(zip(script.blocks, code.functions[1:], strict=True))
        writes = (
            code.writes or re.search(rf"\b(?:{'|'.join(models)})\.(?:put|create|upsert)\(", script.text) is not None
        )
        queries = model_queries(script, models, functions, code.functions[0], scopes, module)
        made[file] = replace(
            made[file], code=replace(code, queries=(*code.queries, *queries), uses_dynamodb=True, writes=writes)
        )
    return made


def with_helpers(
    found: Mapping[str, JsFile],
    scripts: Mapping[str, JsScript],
    known: Scope,
    imported: Mapping[str, Mapping[str, ast.expr]],
) -> dict[str, JsFile]:
    """The files, with the queries of helpers at the functions that call them with a key."""
    every = [helper for each in found.values() for helper in each.helpers]
    # A helper may call a helper: one that asks for a page, one that asks for all of them.
    every += [each for file, script in scripts.items() for each in helpers_through(file, script, by_name(every))]
    helpers = by_name(every)
    made: dict[str, JsFile] = {}
    gone: set[tuple[str, str]] = set()
    for file, each in found.items():
        _, scopes = scopes_of(scripts[file], known, imported[file])
        functions = dict(zip(scripts[file].blocks, each.code.functions[1:], strict=True))
        queries = list(each.code.queries)
        for caller, helper, query in taken_over(file, scripts[file], helpers, functions, scopes, as_query):
            function = functions[caller]
            functions[caller] = replace(function, whole=function.whole or (helper.items and not function.results))
            queries.append(replace(query, function=functions[caller]))
            inner: JsHelper | None = helper
            while inner is not None:
                gone.add((inner.file, inner.block.name))
                inner = inner.through
        code = replace(each.code, queries=tuple(queries), functions=(each.code.functions[0], *functions.values()))
        made[file] = replace(each, code=code)
    lost = [helper for helper in every if helper.line and (helper.file, helper.block.name) not in gone]
    return {
        file: replace(
            each,
            code=replace(
                without(each.code, gone),
                unfollowed=tuple(
                    unfollowed(file, h.line, h.block.name) for h in lost if h.file == file and not h.through
                ),
            ),
        )
        for file, each in made.items()
    }


def without(code: Code, gone: Container[tuple[str, str]]) -> Code:
    """A file without the queries of the helpers that callers have taken over."""
    return replace(code, queries=tuple(each for each in code.queries if (code.file, each.function.name) not in gone))


def as_query(operation: str, request: ast.Dict, line: int, function: Function, scope: Scope) -> Query | None:
    """A request as a query."""
    return read_query(as_call(operation, request, line), function, scope, False)


def scopes_of(
    script: JsScript, known: Scope, imported: Mapping[str, ast.expr]
) -> tuple[Scope, dict[JsFunction, Scope]]:
    """The scope of a file, and those of its functions."""
    module = replace(known, names={**known.names, **declared(script), **imported})
    return module, {
        block: replace(
            module,
            names={**module.names, **declared(script, block.begin, block.end)},
            annotations={**module.annotations, **parameter_types(script, block)},
        )
        for block in script.blocks
    }


def read_script(
    file: str,
    script: JsScript,
    known: Scope,
    imported: Mapping[str, ast.expr],
    keys: frozenset[str],
    tables_: Keys | None = None,
) -> JsFile:
    """One file. `imported` are the values that it takes from other files, `known` has the constants of all files."""
    parser = JsParser(script)
    module, scopes = scopes_of(script, known, imported)
    functions = {block: describe(file, script, block, scopes[block]) for block in script.blocks}
    functions |= {block: with_mapper(script, block, each, functions) for block, each in functions.items()}
    whole = Function(file, 1, "")
    queries: list[Query] = []
    shapes: list[Shape] = []
    tables: list[Found] = []
    unclear: list[int] = []
    models = [*read_models(script, module, scopes)]
    tables += [*read_declared(file, script, module, scopes), *of_models(file, models)]
    shapes += [model_shape(file, line, model) for _, line, model in models]
    helpers: dict[JsFunction, list[JsHelper | None]] = {}
    uses: list[KeyUse] = []
    for at, token in enumerate(script.tokens):
        opening = at + 1
        if token.kind != "id" or script.word(opening) != "(":
            continue
        block = script.block_of(at)
        scope, function = (scopes[block], functions[block]) if block else (module, whole)
        if token.text in KEYED and (asked := request_at(parser, opening, scope, last=token.text == "paginateQuery")):
            pairs = zip(asked.keys, asked.values, strict=True)
            parts = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
            use = use_of(KEYED[token.text], parts, scope, file, script.line(at)) if "TableName" in parts else None
            uses += [use] if use else []
        if token.text in MAKES and is_request(script, at):
            made, missed = read_tables(file, script, at, module, scopes)
            tables += made
            unclear += missed
        elif token.text in READS:
            request = request_at(parser, opening, scope, last=token.text == "paginateQuery")
            call = as_call(READS[token.text], request, script.line(at)) if request else None
            pages = "ExclusiveStartKey" in script.text[begin(script, block) : end(script, block)]
            lists = not block and READS[token.text] != "get_item"
            asker = replace(function, results=handler_results(script, at)) if lists else function
            query = read_query(call, asker, scope, pages) if call else None
            queries += [query] if query else []
            given = request or open_request(parser, opening)
            if block and given:
                helper = helper_of(file, script, block, READS[token.text], given, query, scope)
                if helper and not query and token.text.endswith("Command"):
                    helper = replace(helper, line=script.line(at))
                if helper or query:
                    helpers.setdefault(block, []).append(helper)
        elif token.text in WRITES:
            sent = request_at(parser, opening, scope)
            items = [s for each in items_of(sent, scope) if (s := shape(each, function, scope, keys))]
            shapes += [replace(each, target=target_of(sent, scope)) for each in items]
    written = {(each.function.name, each.line) for each in shapes}
    for node, block in objects(script, parser):
        # Outside of functions, only a script that writes has items.
        made_ = (
            read_shape(node, functions[block], scopes[block], keys)
            if block
            else shape(node, whole, module, keys)
            if any(f"{word}(" in script.text for word in WRITES if word != "put")
            else None
        )
        if made_ and (made_.function.name, made_.line) not in written:
            shapes.append(made_)
    text = script.text
    code = Code(
        file=file,
        functions=(whole, *functions.values()),
        queries=tuple(queries),
        shapes=tuple(shapes),
        routes=tuple(read_routes(file, script, functions)),
        variables={
            n: text.count("\n", 0, m.start()) + 1 for m in VARIABLE.finditer(text) if (n := m[1] or m[2] or m[3])
        },
        endpoints={m[1]: text.count("\n", 0, m.start()) + 1 for m in ENDPOINT.finditer(text)},
        uses_dynamodb="dynamodb" in text.lower(),
        writes=any(f"{word}(" in text for word in WRITES if word != "put"),
        required=script_required(text),
        uses=dict(script_uses(script, module, scopes)),
        imports=frozenset(posixpath.basename(path).split(".")[0] for _, path in required(text)),
    )
    return JsFile(
        code,
        tuple(tables),
        tuple(rows_of(script)),
        tuple(unclear),
        tuple(read_mounts(script)),
        prefix_of(text),
        tuple(script_items(script, module, scopes, tables_ or {})),
        tuple(made[0] for made in helpers.values() if len(made) == 1 and made[0]),
        {name: model for name, _, model in models if name},
        tuple(uses),
    )


def request_at(parser: JsParser, opening: int, scope: Scope, *, last: bool = False) -> ast.Dict | None:
    """The object that is the first (or last) argument of a call, also by its name."""
    call, _ = parser.call(ast.Name(id="_"), opening, 0)
    arguments = call.args if isinstance(call, ast.Call) else []
    node = (arguments[-1] if last else arguments[0]) if arguments else None
    if isinstance(node, ast.Name):
        node = scope.names.get(node.id)
    return request_in(node) if isinstance(node, ast.Dict | ast.Call) else None


def open_request(parser: JsParser, opening: int) -> ast.Dict | None:
    """The first argument of a call as a request, where it is not spelt out."""
    call, _ = parser.call(ast.Name(id="_"), opening, 0)
    return request_in(call.args[0]) if isinstance(call, ast.Call) and call.args else None


def as_call(operation: str, request: ast.Dict, line: int) -> ast.Call:
    """The same call as Python's boto3 has it."""
    words = [
        ast.keyword(arg=str(key.value) if isinstance(key, ast.Constant) else None, value=unmarshalled(value))
        for key, value in zip(request.keys, request.values, strict=True)
    ]
    function = ast.Attribute(value=ast.Name(id="client"), attr=operation)
    return ast.Call(func=function, args=[], keywords=words, lineno=line)


def unmarshalled(node: ast.expr) -> ast.expr:
    """The argument of `marshall(…)`."""
    match node:
        case ast.Call(func=ast.Name(id="marshall"), args=[inner, *_]):
            return inner
    return node


def items_of(request: ast.Dict | None, scope: Scope, depth: int = 0) -> Iterator[ast.Dict]:
    """The items that a request writes: `Item: {…}`, at whatever depth."""
    for key, value in zip(request.keys, request.values, strict=True) if request is not None else ():
        inner = unmarshalled(value)
        inner = scope.names.get(inner.id, inner) if isinstance(inner, ast.Name) else inner
        inner = unmarshalled(inner)
        if isinstance(key, ast.Constant) and key.value == "Item" and isinstance(inner, ast.Dict):
            yield inner
        elif isinstance(inner, ast.Dict) and depth < 5:
            yield from items_of(inner, scope, depth + 1)
        elif isinstance(inner, ast.List):
            for each in inner.elts:
                if isinstance(each, ast.Dict) and depth < 5:
                    yield from items_of(each, scope, depth + 1)


def shape(node: ast.Dict, function: Function, scope: Scope, keys: frozenset[str]) -> Shape | None:
    """An item that is written, in whichever function."""
    made = read_shape(node, replace(function, name=function.name or "item"), scope, keys)
    return replace(made, function=function) if made else None


def target_of(request: ast.Dict | None, scope: Scope) -> str:
    """The table of a request, by its name or by what the code calls it: `this.sessionsTable`; "" for none."""
    given = entries(request, scope).get("TableName") if request is not None else None
    named = plain_value(given, scope)
    if isinstance(named, str):
        return named
    return given.attr if isinstance(given, ast.Attribute) else given.id if isinstance(given, ast.Name) else ""


def objects(script: JsScript, parser: JsParser) -> Iterator[tuple[ast.Dict, JsFunction | None]]:
    """The objects that stand where a value stands, in a function."""
    plain = has_plain_lists(script.text)
    for at, token in enumerate(script.tokens):
        if token.text == "{" and script.word(at - 1) in ("(", "=", ",", ":", "[", "return", "?"):
            if is_answer(script, at) or (plain and is_in_list(script, at)):
                continue
            node, _ = parser.object(at, 0)
            block = script.block_of(at)
            if isinstance(node, ast.Dict) and len(node.keys) > 1:
                yield node, block


def describe(file: str, script: JsScript, block: JsFunction, scope: Scope) -> Function:
    """Return what a function takes, gives back and calls."""
    words = [script.word(at) for at in range(block.begin, block.end + 1)]
    results = results_in(script, block.begin, block.end)
    names = [w for w, following in pairwise(words) if following == "(" and re.match(r"[A-Za-z_$]", w)]
    return Function(
        file,
        block.line,
        block.name,
        block.parameters,
        results,
        "reverse" in names or "toReversed" in names,
        frozenset(names),
        not results and bool({"Items", "Item"} & set(words)),
        frozenset(block.optional) | tested(script, block),
        block.taken_apart,
    )


# --- routes


def mounted(found: Mapping[str, JsFile]) -> dict[str, JsFile]:
    """The files with the prefixes of their routers before their routes."""
    overall = next((each.prefix for each in found.values() if each.prefix), "")
    prefixes: dict[str, str] = {}
    outer: dict[str, str] = {}
    local: dict[str, dict[str, str]] = {}
    for file, read in found.items():
        for prefix, module in read.mounts:
            if not module.startswith("."):
                local.setdefault(file, {})[module] = prefix.strip("/")
                continue
            for inner in modules_at(file, module, found):
                prefixes[inner] = prefix
                outer[inner] = file
    made = {}
    for file, read in found.items():
        parts, at = [prefixes.get(file, "").strip("/")], file
        while at in outer and len(parts) < MOST_MOUNTS:
            at = outer[at]
            parts.insert(0, prefixes.get(at, "").strip("/") if at in outer else "")
        before = "/".join(part for part in (overall, *parts) if part)
        # A router of the same file is mounted; what the application itself serves is not.
        own = local.get(file, {})
        routes = [under([before, own.get(each.owner, "")], each) for each in read.code.routes]
        made[file] = replace(read, code=replace(read.code, routes=tuple(routes)))
    return made


def under(parts: Iterable[str], route: Route) -> Route:
    """A route behind these prefixes."""
    before = "/".join(part for part in parts if part)
    return replace(route, path=f"/{before}{route.path}".rstrip("/") or "/") if before else route
