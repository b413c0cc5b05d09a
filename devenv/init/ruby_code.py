"""How Ruby uses its tables: queries of the AWS SDK, the functions that send them, routes of Rails and Sinatra. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from devenv.core.late import late
from devenv.init.code import Code, Function, Query, read_query
from devenv.init.javascript_code import as_call
from devenv.init.routes import Route
from devenv.init.source import Scope

OPERATIONS: Final = {"query": "query", "get_item": "get_item", "scan": "scan"}
CALL: Final = late(r"\.(query|get_item|scan)\s*(?:\(\s*)?(?=[\w:\"'{]+\s*(?::|=>))")
DEFINED: Final = late(r"^([ \t]*)def\s+(self\.)?(\w+[?!]?)[ \t]*(?:\(([^)\n]*)\)|([^\n;=]*))", re.MULTILINE)
# Its methods are called on the module itself; so are those of `class << self`.
MODULE: Final = late(r"^[ \t]*(?:module_function|extend self|class << self)[ \t]*$", re.MULTILINE)
CLASS: Final = late(r"^[ \t]*(?:class|module)\s+([A-Z][\w:]*)", re.MULTILINE)
CONSTANT: Final = late(r"^[ \t]*([A-Z][A-Z0-9_]*)\s*=\s*([^\n]+)", re.MULTILINE)
TOKEN: Final = late(
    r"\s+|#[^\n]*\n|(?P<text>\"(?:[^\"\\#]|#\{[^}]*\}|#(?!\{)|\\.)*\"|'[^'\\]*')|(?P<key>[a-z_]\w*):(?!:)|(?P<number>\d[\d_]*)"
    r"|(?P<word>true|false|nil)\b|:(?P<symbol>[a-z_]\w*)|(?P<name>@{0,2}[A-Za-z_][\w:]*[?!]?(?:&?\.\w+[?!]?)*)|(?P<mark>=>|.)"
)
WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "nil": None}
FILLED: Final = late(r"#\{([^}]*)\}")
DEPTH: Final = 20
# Numbers of DynamoDB are decimals, which JSON would have as texts.
PRINTS: Final = (
    "json = ->(v) { case v when Hash then v.transform_values(&json) when Array, Set then v.map(&json)"
    " when BigDecimal then v.frac.zero? ? v.to_i : v.to_f else v end };"
)
PLACE: Final = late(r":(\w+)(?:\(\.:format\))?")
ASKED: Final = late(r"params(?:\.fetch\(|\[)\s*:(\w+)")
LINE: Final = late(r"(\w+)\s*\(?\s*(?::(\w+)|['\"]([^'\"]*)['\"])?")
PICKED: Final = late(r"(\w+):\s*\w+\[\s*(?::(\w+)|['\"](\w+)['\"])\s*\](?:\.to_\w+)?\s*(?:,|\}|$)")
OPTION: Final = r"{}:\s*(?:\[([^\]]*)\]|%i\[([^\]]*)\]|:(\w+)|['\"]([^'\"]*)['\"])"


@dataclass(frozen=True)
class RubyFunction:
    """A method: its text from `begin` to `end`."""

    function: Function
    begin: int
    end: int


def read_ruby_code(texts: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[Code]:
    """The queries of every file, with the functions that they stand in; routes are in `ruby_routes`."""
    for file, text in texts.items():
        if not file.endswith((".rb", ".ru")) or "test" in file.split("/")[:-1] or "spec" in file.split("/")[:-1]:
            continue
        methods = [*methods_of(file, text)]
        scope = Scope(constants_of(text), variables)
        queries = [query for call in CALL.finditer(text) if (query := query_at(text, call, file, methods, scope))]
        if queries or methods:
            functions = (Function(file, 1, ""), *(each.function for each in methods))
            yield Code(file, functions, tuple(queries), (), (), {}, {}, uses_dynamodb=bool(queries), writes=False)


def methods_of(file: str, text: str) -> Iterator[RubyFunction]:
    """The methods of a file, by their indentation."""
    for found in DEFINED.finditer(text):
        ending = re.compile(rf"^{found[1]}end\b", re.MULTILINE).search(text, found.end())
        end = ending.start() if ending else len(text)
        owners = [name[1] for name in CLASS.finditer(text, 0, found.start())]
        owner = owners[-1] if owners else ""
        body = text[found.end() : end]
        parameters = tuple(re.findall(r"[*&]{0,2}(\w+)(?::|\s*=|\b)", " ".join(filter(None, (found[4], found[5])))))
        optional = frozenset(re.findall(r"(\w+)\s*(?:=|:\s*[^,\s])", found[4] or ""))
        line = text.count("\n", 0, found.start()) + 1
        within = text[max(0, text.rfind(f"module {owner}", 0, found.start())) : found.start()] if owner else ""
        made = (
            ""
            if found[2] or MODULE.search(within)
            else ".new(…)"
            if re.search(r"def initialize\(\s*\w", text)
            else ".new"
        )
        name = f"{owner}{made}.{found[3]}" if owner else found[3]
        calls = frozenset(re.findall(r"(?:\.|\b)([a-z_]\w*[?!]?)", body))
        results = dict(picked(body))
        whole = not results and bool(re.search(r"\.(?:items|item)\b", body))
        function = Function(file, line, name, parameters, results, ".reverse" in body, calls, whole, optional)
        yield RubyFunction(function, found.start(), end)


def picked(text: str) -> Iterator[tuple[str, str]]:
    """(field, attribute) of `{ at: l["entered_at"], gate: l["gate"].to_i }`."""
    yield from ((field, one or two) for field, one, two in PICKED.findall(text))


def constants_of(text: str) -> dict[str, ast.expr]:
    """`TABLE = "orders".freeze`, `TABLE = ENV.fetch("ORDERS", "orders")`."""
    return {name: node_at([*scanned(value.replace(".freeze", ""), 0)], 0)[0] for name, value in CONSTANT.findall(text)}


def scanned(text: str, at: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of the tokens from a place on."""
    while at < len(text) and (found := TOKEN.match(text, at)):
        at = found.end()
        if found.lastgroup is not None:
            yield found.lastgroup, found[found.lastgroup]
    yield "mark", ")"


def node_at(tokens: Sequence[tuple[str, str]], at: int, depth: int = 0) -> tuple[ast.expr, int]:
    """(node, place behind it) of a value; what is computed is a name that stands for nothing known."""
    if at >= len(tokens) or depth > DEPTH:
        return ast.Name(id="_"), at + 1
    kind, text = tokens[at]
    if kind == "text":
        return text_node(text), at + 1
    if kind == "number":
        return ast.Constant(value=int(text.replace("_", ""))), at + 1
    if kind == "word":
        return ast.Constant(value=WORDS[text]), at + 1
    if kind == "symbol":
        return ast.Constant(value=text), at + 1
    if (kind, text) == ("mark", "{"):
        return hash_node(tokens, at + 1, depth)
    if (kind, text) == ("mark", "["):
        items: list[ast.expr] = []
        at += 1
        while at < len(tokens) and tokens[at] not in (("mark", "]"), ("mark", ")")):
            node, at = node_at(tokens, at, depth + 1)
            items.append(node)
            at = behind(tokens, at)
        return ast.List(elts=items), at + 1
    if kind == "name" and text in ("ENV", "ENV.fetch") and at + 2 < len(tokens):
        name, after = node_at(tokens, at + 2, depth + 1)
        environ = ast.Attribute(value=ast.Name(id="os"), attr="environ")
        if text == "ENV.fetch" and tokens[after : after + 1] == [("mark", ",")]:
            default, after = node_at(tokens, after + 1, depth + 1)
            return ast.Call(func=ast.Attribute(value=environ, attr="get"), args=[name, default], keywords=[]), after + 1
        return ast.Subscript(value=environ, slice=name), after + 1
    if kind == "name":
        return ast.Name(id=text.lstrip("@").rpartition("::")[2].rpartition(".")[2]), at + 1
    return ast.Name(id="_"), at + 1


def text_node(text: str) -> ast.expr:
    """A text, as an f-string where it is filled in."""
    inner = text[1:-1]
    if text[0] == "'" or "#{" not in inner:
        return ast.Constant(value=inner)
    parts: list[ast.expr] = []
    at = 0
    for found in FILLED.finditer(inner):
        parts += [ast.Constant(value=inner[at : found.start()])] if found.start() > at else []
        parts.append(ast.FormattedValue(value=node_at([*scanned(found[1], 0)], 0)[0], conversion=-1))
        at = found.end()
    parts += [ast.Constant(value=inner[at:])] if at < len(inner) else []
    return ast.JoinedStr(values=parts)


def behind(tokens: Sequence[tuple[str, str]], at: int) -> int:
    """The place behind the next comma of this depth; of a closing bracket its own."""
    depth = 0
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "mark" and text in "([{":
            depth += 1
        elif kind == "mark" and text in ")]}":
            if not depth:
                return at
            depth -= 1
        elif (kind, text) == ("mark", ",") and not depth:
            return at + 1
        at += 1
    return at


def hash_node(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[ast.Dict, int]:
    """A hash, its keys as DynamoDB calls them where they are symbols."""
    keys: list[ast.expr | None] = []
    values: list[ast.expr] = []
    while at < len(tokens) and tokens[at] not in (("mark", "}"), ("mark", ")")):
        kind, name = tokens[at]
        if kind == "key":
            at += 1
        elif tokens[at + 1 : at + 2] == [("mark", "=>")]:
            at += 2
        else:
            at = behind(tokens, at)
            continue
        value, at = node_at(tokens, at, depth + 1)
        shown = "".join(part.capitalize() for part in name.split("_")) if kind in ("key", "symbol") else name[1:-1]
        # The attributes of a key or an item keep their names.
        keys.append(ast.Constant(value=shown if depth == 0 or kind == "text" else name))
        values.append(value)
        at = behind(tokens, at)
    return ast.Dict(keys=keys, values=values), at + 1


def query_at(text: str, call: re.Match[str], file: str, methods: Sequence[RubyFunction], scope: Scope) -> Query | None:
    """A query that is spelt out, as Python's boto3 would make it."""
    tokens = [*scanned(text[call.end() : call.end() + 3000], 0)]
    request, _ = hash_node(tokens, 1 if tokens[:1] == [("mark", "{")] else 0, 0)
    line = text.count("\n", 0, call.start()) + 1
    owner = next((each for each in methods if each.begin <= call.start() <= each.end), None)
    function = owner.function if owner else Function(file, 1, "")
    pages = "exclusive_start_key" in text or "last_evaluated_key" in text
    node = as_call(OPERATIONS[call[1]], request, line)
    return read_query(node, function, scope, pages)


def ruby_command(function: Function, folder: str, is_rails: bool) -> list[str] | None:
    """The command that prints what a method gives as JSON; None where nothing tells how its object is made."""
    if "(" in function.name or "." not in function.name:
        return None
    text = f"{PRINTS} puts json.call({function.name}(*ARGV)).to_json"
    if is_rails:
        return ["bin/rails", "runner", text]
    inside = function.file.removeprefix(f"{folder}/") if folder else function.file
    return ["bundle", "exec", "ruby", "-r", "json", "-r", f"./{inside}", "-e", text]


# --- routes


def read_rails_routes(texts: Mapping[str, str]) -> Iterator[Code]:
    """The GET routes of config/routes.rb, with what their actions call."""
    for file, text in texts.items():
        if not file.endswith("config/routes.rb"):
            continue
        folder = file.removesuffix("config/routes.rb")
        routes = [action_route(each, action, folder, texts) for each, action in drawn(file, text)]
        yield Code(file, (), (), (), tuple(routes), {}, {}, uses_dynamodb=False, writes=False)


def drawn(file: str, text: str) -> Iterator[tuple[Route, str]]:
    """(route, "controller#action") of every line of a routes file."""
    # (path, module, resource) of the open blocks; a resource's path ends with its own place.
    stack: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        plain = re.sub(r"#(?![{\w]).*$", "", line).strip()
        path, module = (stack[-1][0], stack[-1][1]) if stack else ("", "")
        opens = re.search(r"\bdo\b\s*(\|[^|]*\|)?\s*$", plain) is not None
        told = LINE.match(plain)
        word, name = (told[1], told[2] or told[3]) if told else ("", None)
        entry = (path, module, stack[-1][2] if stack else "")
        routes, entry = line_of(Drawing(file, number, plain, word, name), entry)
        yield from routes
        if opens:
            stack.append(entry)
        elif re.match(r"end\b", plain) and stack:
            stack.pop()


@dataclass(frozen=True)
class Drawing:
    """One line of a routes file: its first word, and the name behind it."""

    file: str
    number: int
    text: str
    word: str
    name: str | None


def line_of(line: Drawing, entry: tuple[str, str, str]) -> tuple[list[tuple[Route, str]], tuple[str, str, str]]:
    """(routes, what is open behind it) of one line; `entry`: (path, module, resource) of the block around it."""
    path, module, resource = entry
    plain, name = line.text, line.name
    if line.word == "namespace" and name:
        return [], (f"{path}/{option(plain, 'path') or name}", f"{module}{name}/", "")
    if line.word == "scope":
        inner, own = option(plain, "path") or name or "", option(plain, "module")
        return [], (f"{path}/{inner.strip('/')}" if inner else path, f"{module}{own}/" if own else module, "")
    if line.word in ("resources", "resource") and name:
        return resources(line, name, path, module)
    if line.word in ("member", "collection") and resource:
        base, controller, key = resource.split("|")
        inside = f"{base}/:{key}" if line.word == "member" else base
        return [], (inside, module, f"{line.word}|{controller}|{key}")
    if line.word == "root":
        return [(made(line.file, line.number, path or "/"), option(plain, "to") or name or "")], entry
    if (line.word == "get" or (line.word == "match" and "get" in plain)) and name is not None:
        return [get_line(line, name, entry)], entry
    return [], entry


def resources(line: Drawing, name: str, path: str, module: str) -> tuple[list[tuple[Route, str]], tuple[str, str, str]]:
    """The routes of `resources :members, only: [:index]` and of `resource :profile`, and what is open behind it."""
    many = line.word == "resources"
    base = f"{path}/{option(line.text, 'path') or name}"
    controller = f"{module}{option(line.text, 'controller') or (name if many else f'{name}s')}"
    key = option(line.text, "param") or "id"
    single = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
    routes = []
    for action in sorted(actions(line.text) & {"index", "show"}):
        if many or action == "show":
            end = f"/:{key}" if action == "show" and many else ""
            routes.append((made(line.file, line.number, base + end), f"{controller}#{action}"))
    nested = f"{base}/:{single}_{key}" if many else base
    return routes, (nested, module, f"{base}|{controller}|{key}")


def get_line(line: Drawing, name: str, entry: tuple[str, str, str]) -> tuple[Route, str]:
    """(route, action) of `get "classes/:slug", to: "classes#show"`, `get :history, on: :member`."""
    path, module, resource = entry
    to = option(line.text, "to") or next(iter(re.findall(r"=>\s*['\"]([\w/]+#\w+)['\"]", line.text)), "")
    base, controller, key = resource.split("|") if resource else ("", "", "")
    if resource and base not in ("member", "collection") and option(line.text, "on"):
        path = f"{base}/:{key}" if option(line.text, "on") == "member" else base
    action = f"{module}{to}" if to else f"{controller}#{name}" if controller else f"{module}{name.replace('/', '#')}"
    return made(line.file, line.number, f"{path}/{name.strip('/')}"), action


def option(text: str, name: str) -> str | None:
    """The value of one option: a symbol or a text."""
    found = re.search(rf"\b{name}:\s*(?::(\w+)|['\"]([^'\"]*)['\"])", text)
    return (found[1] or found[2]) if found else None


def actions(text: str) -> set[str]:
    """The actions that `only:` and `except:` leave."""

    def listed(name: str) -> set[str] | None:
        found = re.search(OPTION.format(name), text)
        return (
            set(re.findall(r"\w+", next((part for part in found.groups() if part is not None), ""))) if found else None
        )

    only, without = listed("only"), listed("except")
    return only if only is not None else {"index", "show"} - (without or set())


def made(file: str, line: int, path: str) -> Route:
    """A route with `{name}` for parameters."""
    shown = PLACE.sub(r"{\1}", "/" + re.sub(r"\(.*?\)", "", path).strip("/"))
    return Route(file, line, shown, tuple(re.findall(r"\{(\w+)", shown)), end=line)


def action_route(route: Route, action: str, folder: str, texts: Mapping[str, str]) -> Route:
    """The route with what the method of its controller calls, reads and answers."""
    controller, _, name = action.partition("#")
    text = texts.get(posixpath.join(folder, "app/controllers", f"{controller}_controller.rb"), "")
    body = next((text[m.begin : m.end] for m in methods_of("", text) if m.function.short == name), "")
    calls = frozenset(re.findall(r"\.([a-z_]\w*[?!]?)", body))
    asked = tuple(each for each in dict.fromkeys(ASKED.findall(body)) if each not in route.parameters)
    # `render json: orders`, `render json: { orders: orders }`, `render json: Order.of(…)` give the items themselves.
    plain = re.search(r"json:\s*(?:\{\s*\w+:\s*\w+\s*\}|\w+\s*(?:,|$)|[A-Z]\w*\.\w+\()", body, re.MULTILINE)
    answers = {} if plain else {call: dict(picked(body)) for call in calls}
    wrapped = re.search(r"json:\s*\{[^{}]*?(\w+):\s*\w+\.map\b", body)
    wraps = dict.fromkeys(calls, wrapped[1]) if wrapped else {}
    direct = all(re.search(rf"\(\s*params\[:{each}\]", body) for each in route.parameters)
    looked = re.search(r"\.find(?:_by!?)?\(", body) is not None
    return replace(route, calls=calls, asked=asked, wraps=wraps, answers=answers, indirect=looked or not direct)
