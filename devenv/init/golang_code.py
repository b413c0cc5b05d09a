"""Reads how Go uses its tables: queries, items, functions, routes, table definitions, and lists the rest. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from devenv.init.code import Code, Function, Query, Shape, read_query, read_shape
from devenv.init.dict_functions import script_dicts
from devenv.init.golang import GoField, GoParser, declared, fields_of, last_name, parse_go, unquoted
from devenv.init.golang_conditions import GUREGU, guregu_requests, guregu_tables, with_condition
from devenv.init.golang_helpers import GoRequest, with_helpers
from devenv.init.golang_structs import read_structs, struct_items
from devenv.init.javascript import JsFunction
from devenv.init.javascript_code import ENDPOINT, as_call, items_of, shape
from devenv.init.javascript_items import script_texts
from devenv.init.javascript_routes import begin, end
from devenv.init.routes import Route
from devenv.init.source import Scope, Unclear, value_of
from devenv.init.tables import Found, accept
from devenv.init.used_keys import KeyUse, use_of

READS: Final[Mapping[str, str]] = {"QueryInput": "query", "GetItemInput": "get_item", "ScanInput": "scan"}
KEYED: Final[Mapping[str, str]] = {
    f"{operation}Input": operation for operation in ("Query", "GetItem", "DeleteItem", "UpdateItem", "PutItem")
}
# Texts that a package gives names, in whichever of its files.
TEXTS: Final = re.compile(
    r"^(?:(?:const|var)[ \t]+|[ \t]+)(\w+)(?:[ \t]+string)?[ \t]*=[ \t]*(\"[^\"\n]*\")$", re.MULTILINE
)
WRITES: Final = ("PutItemInput", "BatchWriteItemInput", "TransactWriteItemsInput")
# `os.Getenv("X")`, and fields that a package fills: `env:"X"`, `envconfig:"X"`.
VARIABLE: Final = re.compile(r"\b(?:\w*[eE]nv\w*\(\s*|env(?:config)?:)\"([A-Z][A-Z0-9_]{2,})(?:,\w+)*\"")
# How routers are called that take a path and a function: net/http and gorilla's; chi, gin, echo and fiber.
ANY_METHOD: Final = ("HandleFunc", "Handle")
GETS: Final = ("Get", "GET")
ROUTERS: Final = re.compile(r'"(?:net/http|github\.com/(?:go-chi|gorilla|gin-gonic|labstack|gofiber|julienschmidt)/)')
PATH: Final = re.compile(r"(?:(?P<method>[A-Z]+) )?(?P<path>/.*)")
PLACE: Final = re.compile(r":(\w+)|\{(\w+)(?::[^{}]*|\.\.\.)?\}")
ASKED: Final = re.compile(r"(?:Query\(\)\.Get|\.Query|FormValue|QueryParam|DefaultQuery)\(\s*\"(\w+)\"")
# A function for every method that takes a body or changes data answers no GET; one that names GET may.
CHANGES: Final = re.compile(
    r"\.Body\b|\bMethod(?:Post|Put|Patch|Delete)\b|\.(?:Put|Delete|Update|BatchWrite|TransactWrite)Items?\("
    r"|\b(?:INSERT\s+INTO|DELETE\s+FROM)\b"
)
CHANGER: Final = re.compile(r"(?i:create|add|delete|remove|update|save|put|post|insert|upload|register)(?=[A-Z_]|$)")
BRANCH: Final = re.compile(r"\.Method\s*==\s*(?:http\.Method(?:Post|Put|Patch|Delete)\b|\"(?:POST|PUT|PATCH|DELETE)\")")
REFUSED: Final = re.compile(r"\bStatusMethodNotAllowed\b|\b405\b")
NAMES_GET: Final = re.compile(r"\bMethodGet\b|\"GET\"")
POSTS: Final = re.compile(r"\.Methods\(\s*(?:\"|http\.Method)(?!GET|Get)")
LISTENS: Final = re.compile(r"\.ListenAndServe\b|\.(?:Run|Start|Listen)\(")
# What reads every page: of the SDK, and of guregu/dynamo.
PAGES: Final = ("Paginator(", "QueryPages", "ExclusiveStartKey", ".All(", ".AllWithContext(", ".Iter()")
METHODS: Final = re.compile(r"\.Methods\(")
TESTED: Final = "_test.go"


@dataclass(frozen=True)
class GoFile:
    """The findings in one file. `commands`: function -> the words of the command line that `main` hands to it.

    In these words `{0}`, `{1}` stand for its arguments. `main`: it is a program that serves HTTP.
    """

    code: Code
    tables: tuple[Found, ...] = ()
    unclear: tuple[int, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    main: bool = False
    unread: tuple[str, ...] = ()
    uses: tuple[KeyUse, ...] = ()


def is_go(name: str) -> bool:
    """Return True if a file is Go that a project runs."""
    return name.endswith(".go") and not name.endswith(TESTED)


def read_go(texts: Mapping[str, str], variables: Mapping[str, str], keys: frozenset[str]) -> dict[str, GoFile]:
    """The files by name. Structs and the values of fields are known in all of them. `keys`: of the known tables."""
    scripts = {name: script for name, text in texts.items() if is_go(name) and (script := parse_go(text))}
    known = read_structs(scripts)
    parsers = {name: GoParser(script, known) for name, script in scripts.items()}
    fields: dict[str, ast.expr] = {}
    for parser in parsers.values():
        fields |= settings_in(parser)
    constants = {name: node for parser in parsers.values() for name, node in declared(parser).items()}
    made, dicts = script_texts(parsers.values(), constants), script_dicts(parsers.values())
    texts_named = {
        name: ast.Constant(value=unquoted(text)) for s in scripts.values() for name, text in TEXTS.findall(s.text)
    }
    outside = Scope({**texts_named, **fields}, variables, made, dicts=dicts)
    readers = {name: GoReader(name, parser, outside, keys) for name, parser in parsers.items()}
    handlers = {f.short: (reader, block) for reader in readers.values() for block, f in reader.functions.items()}
    made_of = {name: reader.read(handlers) for name, reader in readers.items()}
    for name, reader in readers.items():
        tagged = tuple(guregu_tables(name, reader.parser, reader.module, scripts))
        made_of[name] = replace(made_of[name], tables=(*made_of[name].tables, *tagged))
    return with_helpers(made_of, readers)


def settings_in(parser: GoParser) -> dict[str, ast.expr]:
    """Name of a field -> its value, of fields that are given a variable of the environment or a text."""
    found: dict[str, ast.expr] = {}
    script = parser.script
    for at, token in enumerate(script.tokens):
        given = script.word(at + 1) == ":" or (script.word(at + 1) == "=" and script.word(at - 1) == ".")
        if token.kind == "id" and given and script.word(at - 1) in ("{", ",", ".", ";"):
            node, _ = parser.expression(at + 2)
            if isinstance(node, ast.Constant | ast.Call) and token.text not in found:
                found[token.text] = node
    return found


class GoReader:
    """Reads one file. `outside` has the values of structs' fields, of all files, and the functions that make keys."""

    def __init__(
        self,
        file: str,
        parser: GoParser,
        outside: Scope,
        keys: frozenset[str],
    ) -> None:
        self.file, self.parser, self.script, self.keys = file, parser, parser.script, keys
        self.sent: list[GoRequest] = []
        module = declared(parser)
        self.module = replace(outside, names={**outside.names, **module})
        self.scopes = {
            block: replace(self.module, names={**self.module.names, **declared(parser, block.begin, block.end)})
            for block in self.script.blocks
        }
        self.functions = {block: self.describe(block) for block in self.script.blocks}

    def read(self, handlers: Mapping[str, tuple[GoReader, JsFunction]]) -> GoFile:
        """The findings. `handlers` are the functions of all files, by their last names."""
        whole = Function(self.file, 1, "")
        queries: list[Query] = []
        shapes: list[Shape] = []
        tables: list[Found] = []
        unclear: list[int] = []
        unread: list[str] = []
        uses: list[KeyUse] = []
        text = self.script.text
        for at, made, node in self.composites():
            block = self.script.block_of(at)
            scope, function = (self.scopes[block], self.functions[block]) if block else (self.module, whole)
            if made in KEYED:
                given = {
                    name: self.named(value)
                    for name, value in fields_of(with_condition(node, at, self.parser, block, scope))
                }
                use = use_of(KEYED[made], given, scope, self.file, self.script.line(at))
                uses += [use] if use else []
            if made == "CreateTableInput":
                table = self.table(node, at, scope)
                tables += [table] if table else []
                unclear += [] if table else [self.script.line(at)]
            elif made in READS:
                query = self.query(READS[made], node, at, function, scope, block)
                queries += [query] if query else []
                self.sent += [GoRequest(block, READS[made], node, query)] if query and block else []
                if query is None or (READS[made] != "scan" and not query.key):
                    unread.append(f"{self.file}:{self.script.line(at)}: a {made} whose key is computed")
            elif made in WRITES:
                shapes += [s for item in items_of(node, scope) if (s := shape(item, function, scope, self.keys))]
            elif made == "AttributeValue" or made in self.parser.known:
                item = read_shape(node, replace(function, name=function.name or "item"), scope, self.keys)
                shapes += [replace(item, function=function)] if item else []
        for at, operation, node in guregu_requests(self.parser, self.scopes):
            block = self.script.block_of(at)
            if block and (query := self.query(operation, node, at, self.functions[block], self.scopes[block], block)):
                queries.append(query)
                self.sent.append(GoRequest(block, operation, node, query))
        for block, function in self.functions.items():
            for kind, node in struct_items(self.parser, block, self.scopes[block].names):
                item = shape(node, replace(function, name=kind), self.scopes[block], self.keys)
                shapes += [item] if item else []
        routes = list(self.routes(handlers, unread)) if ROUTERS.search(text) else []
        seen = {(each.function.name, each.line): each for each in shapes}
        code = Code(
            file=self.file,
            functions=(whole, *self.functions.values()),
            queries=tuple(queries),
            shapes=tuple(seen.values()),
            routes=tuple(routes),
            variables={m[1]: text.count("\n", 0, m.start()) + 1 for m in VARIABLE.finditer(text)},
            endpoints={m[1]: text.count("\n", 0, m.start()) + 1 for m in ENDPOINT.finditer(text)},
            uses_dynamodb="service/dynamodb" in text or GUREGU in text,
            writes=any(word in text for word in WRITES) or (GUREGU in text and ".Put(" in text),
        )
        main = re.search(r"^package main\b", text, re.MULTILINE) is not None and bool(LISTENS.search(text))
        return GoFile(code, tuple(tables), tuple(unclear), dict(self.commands()), main, tuple(unread), tuple(uses))

    def composites(self) -> Iterator[tuple[int, str, ast.Dict]]:
        """(place, type, literal) of the structs and maps that stand in the file."""
        for at, token in enumerate(self.script.tokens):
            if token.kind != "id" or self.script.word(at - 1) == ".":
                continue
            start = at
            while self.script.word(at + 1) == ".":
                at += 2
            if token.text != "map" and self.script.word(at + 1) != "{":
                continue
            node, _ = self.parser.unary(start, 0)
            if isinstance(node, ast.Dict):
                is_map = token.text == "map" and "AttributeValue" in {self.script.word(n) for n in range(at, at + 8)}
                yield start, "AttributeValue" if is_map else getattr(node, "made", ""), node

    def query(
        self, operation: str, node: ast.Dict, at: int, function: Function, scope: Scope, block: JsFunction | None
    ) -> Query | None:
        """A request that reads, as Python's boto3 would make it."""
        text = self.script.text[begin(self.script, block) : end(self.script, block)]
        pages = any(word in text for word in PAGES)
        node = with_condition(node, at, self.parser, block, scope)
        call = as_call(operation, ast.Dict(keys=node.keys, values=[self.named(v) for v in node.values]), 1)
        call.lineno = self.script.line(at)
        return read_query(call, function, scope, pages)

    def named(self, node: ast.expr) -> ast.expr:
        """A field of a struct (`s.table`) as the name that it has among the known values."""
        is_known = isinstance(node, ast.Attribute) and node.attr in self.module.names
        return ast.Name(id=last_name(node)) if is_known else node

    def table(self, node: ast.Dict, at: int, scope: Scope) -> Found | None:
        """The table of a CreateTableInput; None when it is not spelt out."""
        named = ast.Dict(keys=node.keys, values=[self.named(value) for value in node.values])
        try:
            return accept(self.file, self.script.line(at), value_of(named, scope))
        except Unclear:
            return None

    def describe(self, block: JsFunction) -> Function:
        """Return what a function takes, gives back and calls. Its answer's fields are those of the struct it names."""
        script = self.script
        head = next((n for n in range(block.begin, -1, -1) if script.word(n) == "func"), block.begin)
        words = [script.word(at) for at in range(block.begin, block.end + 1)]
        before = [script.word(n) for n in range(block.begin, head, -1)]
        given = next((self.parser.known[word] for word in before if word in self.parser.known), None)
        calls = frozenset(w for w, following in pairwise(words) if following == "(" and w.isidentifier())
        return Function(
            self.file,
            block.line,
            block.name,
            block.parameters,
            results_of(given) if given else {},
            "Reverse" in calls,
            calls,
            not given and bool({"Items", "Item"} & set(words)),
        )

    # --- commands

    def commands(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(function, words) of the branches of `main` that hand words of the command line to a function."""
        for block, function in self.functions.items():
            if function.name != "main":
                continue
            for at in range(block.begin, block.end):
                if self.script.word(at + 1) != "(" or self.script.tokens[at].kind != "id":
                    continue
                call, _ = self.parser.call(ast.Name(id="_"), at + 1, 0)
                given = call.args if isinstance(call, ast.Call) else []
                numbers = [n for each in given if (n := word_of(each)) is not None]
                if not numbers:
                    continue
                words = {n: f"{{{k}}}" for k, n in enumerate(numbers)}
                if 1 not in words and (name := self.subcommand(block, at)):
                    words[1] = name
                if set(words) == set(range(1, max(words) + 1)):
                    yield self.script.word(at), tuple(words[n] for n in sorted(words))

    def subcommand(self, block: JsFunction, at: int) -> str:
        """The word that stands last before a place as `os.Args[1] == "word"` or `case "word":`."""
        text = self.script.text[begin(self.script, block) : self.script.tokens[at].at]
        found = re.findall(r'(?:os\.Args\[1\]\s*==|\bcase)\s*"([\w:-]+)"', text)
        return found[-1] if found else ""

    # --- routes

    def routes(self, handlers: Mapping[str, tuple[GoReader, JsFunction]], unread: list[str]) -> Iterator[Route]:
        """The routes for GET, with the prefixes of their groups."""
        script = self.script
        groups: list[tuple[int, int, str]] = []
        names: dict[str, str] = {}
        for at, token in enumerate(script.tokens):
            if token.kind != "id" or script.word(at + 1) != "(" or script.word(at - 1) != ".":
                continue
            closing = script.partners.get(at + 1, at)
            first = script.tokens[at + 2] if at + 2 < len(script.tokens) else None
            literal = first is not None and first.kind in ("str", "tick") and script.word(at + 3) in (",", ")")
            path = unquoted(first.text) if first and literal else ""
            before = names.get(script.word(at - 2), "") + "".join(p for b, e, p in groups if b < at < e)
            if token.text == "Route" and path.startswith("/"):
                groups.append((at, closing, path.rstrip("/")))
            elif token.text == "Group" and path.startswith("/"):
                name = next((script.word(n - 1) for n in range(at, at - 6, -1) if script.word(n) == ":="), "")
                names[name] = before + path.rstrip("/")
            elif token.text in (*ANY_METHOD, *GETS) and closing > at + 3:
                if token.text in GETS and not path.startswith("/"):
                    continue
                found = PATH.fullmatch(path)
                if found is None:
                    if literal or token.text in ANY_METHOD:
                        unread.append(
                            f"{self.file}:{script.line(at)}: a route whose path is computed: declare [trace.*]"
                        )
                elif found["method"] in (None, "GET") and not POSTS.match(script.text, script.tokens[closing].at + 1):
                    given = found["method"] or token.text in GETS
                    route = self.route(at, closing, before + found["path"], handlers, any_method=not given)
                    yield from [route] if route else []

    def route(
        self, at: int, closing: int, path: str, handlers: Mapping[str, tuple[GoReader, JsFunction]], *, any_method: bool
    ) -> Route | None:
        """One route: what its function calls, reads behind the `?`, and cuts off a path that ends with a slash.

        None for a function of `any_method` that only writes.
        """
        script = self.script
        text = script.text[script.tokens[at].at : script.tokens[closing].at]
        inside = [script.word(n) for n in range(at + 3, closing)]
        calls = {w for w, following in pairwise(inside) if following == "(" and w.isidentifier()}
        own = {**self.module.names, **declared(self.parser, at, closing)}
        wraps = dict(self.wrapped(at, closing, replace(self.module, names=own)))
        for name in set(inside) & set(handlers):
            reader, block = handlers[name]
            calls |= reader.functions[block].calls
            text += reader.script.text[begin(reader.script, block) : end(reader.script, block)]
            wraps |= reader.wrapped(block.begin, block.end, reader.scopes[block])
        behind = script.text[script.tokens[closing].at + 1 :][:20]
        # `if r.Method == http.MethodPost { …; return }` leaves the rest of the function to GET.
        branches = BRANCH.search(text) and not REFUSED.search(text)
        silent = any_method and not branches and not NAMES_GET.search(text) and not METHODS.match(behind)
        if silent and (CHANGES.search(text) or any(CHANGER.match(name) for name in set(inside) & set(handlers))):
            return None
        rest = re.search(r"(?:(\w+)\s*:=\s*)?strings\.(?:TrimPrefix|CutPrefix)\(\s*\w+\.URL\.Path", text)
        if path.endswith("/") and rest:
            path += "{" + (rest[1] or "rest") + "}"
        shown = PLACE.sub(lambda found: "{" + (found[1] or found[2]) + "}", path)
        parameters = tuple(re.findall(r"\{(\w+)\}", shown))
        asked = tuple(dict.fromkeys(ASKED.findall(text)))
        return Route(
            self.file,
            script.line(at),
            shown,
            parameters,
            frozenset(calls),
            asked,
            end=script.line(closing),
            wraps=wraps,
        )

    def wrapped(self, first: int, last: int, scope: Scope) -> Iterator[tuple[str, str]]:
        """(function, field) of an answer like `map[string]any{"data": list}`, where `list` is what a function gave."""
        for at in range(first, last):
            if self.script.word(at) != "map" and self.script.word(at + 1) != "{":
                continue
            node, _ = self.parser.unary(at, 0)
            for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
                given = scope.names.get(value.id) if isinstance(value, ast.Name) else value
                if isinstance(key, ast.Constant) and isinstance(given, ast.Call) and last_name(given.func):
                    yield last_name(given.func), str(key.value)


def go_run(file: str, modules: Iterable[str]) -> tuple[str, list[str]]:
    """(folder of the module, command) that runs the program that a file belongs to. `modules` have a go.mod."""
    folder = posixpath.dirname(file)
    inside = [each for each in modules if not each or folder == each or folder.startswith(f"{each}/")]
    module = max(inside, key=len, default="")
    return module, ["go", "run", f"./{posixpath.relpath(folder or '.', module or '.')}".removesuffix("/.")]


def results_of(fields: Mapping[str, GoField]) -> dict[str, str]:
    """Name in JSON -> attribute of a struct's fields."""
    return {field.answer: field.attribute for field in fields.values() if field.answer}


def word_of(node: ast.expr) -> int | None:
    """2 of `os.Args[2]`, and of `flag.Arg(1)`."""
    match node:
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="os"), attr="Args"), slice=ast.Constant(value=int(n))):
            return n
        case ast.Call(func=ast.Attribute(value=ast.Name(id="flag"), attr="Arg"), args=[ast.Constant(value=int(n))]):
            return n + 1
    return None
