"""The HTTP routes of JavaScript: Express, Fastify, Hono, NestJS, Next.js, with the prefixes of routers. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from devenv.init.code import Function
from devenv.init.javascript import JsFunction, JsParser, JsScript, skip_generic, unquoted
from devenv.init.javascript_answers import REFUSES, is_page, picks, read_answer
from devenv.init.javascript_values import required
from devenv.init.routes import Route

PLACE: Final = re.compile(r":(\w+)(?:\{[^{}/]*\})?\??")
# What is read behind the `?`: `req.query.x`, `c.req.query("x")`, `searchParams.get("x")`.
QUERIED: Final = re.compile(r"(?:query\s*(?:\.|\[\s*['\"]|\(\s*['\"])|searchParams\.get\(\s*['\"])(\w+)")
# `const { shop, limit = 20 } = req.query;`.
TAKEN: Final = re.compile(r"\{([^{}]*)\}\s*=\s*(?:\w+\.)*query\b(?!\s*[.(\[])")
APP_FILE: Final = re.compile(r"(?:^|/)app/((?:.*/)?)route\.[cm]?[jt]sx?$")
PAGES_FILE: Final = re.compile(r"(?:^|/)pages/api/(.+)\.[cm]?[jt]sx?$")
# `const api = new Hono().basePath("/v1")`, `new Router({ prefix: "/v1" })` of Koa.
PREFIXED: Final = re.compile(
    r"\b(?:const|let|var)\s+(\w+)\s*=\s*new\s+\w+(?:<[^<>]*>)?\([^()]*?(?:\)\s*\.basePath\(|\bprefix\s*:)\s*['\"]([^'\"]+)['\"]"
)


def begin(script: JsScript, block: JsFunction | None) -> int:
    """Where a function's text begins."""
    return script.tokens[block.begin].at if block else 0


def end(script: JsScript, block: JsFunction | None) -> int:
    """Where a function's text ends."""
    return script.tokens[min(block.end, len(script.tokens) - 1)].at if block else len(script.text)


def read_routes(file: str, script: JsScript, functions: Mapping[JsFunction, Function]) -> Iterator[Route]:
    """`app.get("/x/:id", …)` of Express and the like, `@Get(":id")` in a `@Controller("x")` of NestJS."""
    controllers: list[tuple[int, str]] = []
    yield from next_routes(file, script, functions)
    for at, token in enumerate(script.tokens):
        # TypeScript: `app.get<{ Params: { id: string } }>("/x/:id", …)`.
        opening = skip_generic(script, at + 1) if token.text == "get" and script.word(at + 1) == "<" else at + 1
        if script.word(opening) != "(" or token.kind != "id":
            continue
        argument = script.tokens[opening + 1] if opening + 1 < len(script.tokens) else None
        path = unquoted(argument.text) if argument and argument.kind == "str" else ""
        closing = script.partners.get(opening, at)
        if token.text == "get" and script.word(at - 2) == ")":
            path = path or chained_path(script, at - 2)
        if token.text == "Controller" and script.word(at - 1) == "@":
            named = re.search(r"\bpath\s*:\s*['\"]([^'\"]*)", script.text[token.at : script.tokens[closing].at])
            controllers.append((at, path or (named[1] if named else "")))
        elif token.text == "Get" and script.word(at - 1) == "@" and controllers:
            body = next((b for b in sorted(functions, key=lambda b: b.begin) if b.begin > closing), None)
            calls = functions[body].calls if body else frozenset[str]()
            last = script.line(body.end) if body else script.line(at)
            asked = re.findall(r"@Query\(\s*['\"](\w+)", script.text[token.at : begin(script, body)])
            text = script.text[begin(script, body) : end(script, body)] if body else ""
            wraps, answers = read_answer(text, functions[body].short if body else "")
            route = make_route(file, (script.line(at), last), f"{controllers[-1][1]}/{path}", calls, asked)
            yield replace(route, wraps=wraps, answers=answers, picks=picks(text))
        elif token.text == "get" and script.word(at - 1) == "." and path.startswith("/"):
            inside = {script.word(n) for n in range(opening + 2, closing)}
            calls = frozenset(word for word in inside if word.isidentifier())
            for each in functions.values():
                calls |= each.calls if each.short in inside else frozenset()
            text = script.text[token.at : script.tokens[closing].at]
            handlers = [b for b, f in functions.items() if f.short in inside]
            text += "".join(script.text[begin(script, b) : end(script, b)] for b in handlers)
            asked = asked_in(text)
            lines = (script.line(at), script.line(closing))
            wraps, answers = read_answer(text)
            route = make_route(file, lines, path, calls, asked)
            guarded = REFUSES.search(text) is not None
            route = replace(route, wraps=wraps, answers=answers, picks=picks(text), guarded=guarded)
            yield replace(route, owner=script.word(at - 2), page=is_page(text))


def asked_in(text: str) -> list[str]:
    """The names behind the `?` that a handler reads."""
    taken = [part for found in TAKEN.findall(text) for part in re.findall(r"(?:^|,)\s*(\w+)", found)]
    return [*QUERIED.findall(text), *taken]


def chained_path(script: JsScript, closing: int) -> str:
    """`/x` of `router.route("/x").get(…)`, whose parenthesis closes here; "" for another call."""
    opening = next((first for first, last in script.partners.items() if last == closing), closing)
    argument = script.tokens[opening + 1]
    return unquoted(argument.text) if script.word(opening - 1) == "route" and argument.kind == "str" else ""


def next_routes(file: str, script: JsScript, functions: Mapping[JsFunction, Function]) -> Iterator[Route]:
    """The route of a file of Next.js: `GET` of app/…/route.ts, the default function of pages/api/….ts."""
    found = APP_FILE.search(file) or PAGES_FILE.search(file)
    if found is None:
        return
    parts = [part for part in found[1].split("/") if part and not re.fullmatch(r"\(.*\)|@.*|index", part)]
    path = "/".join(re.sub(r"\[+(?:\.\.\.)?(\w+)\]+", r":\1", part) for part in parts)
    pages = APP_FILE.search(file) is None
    blocks = [b for b, f in functions.items() if pages or f.name == "GET"]
    if not blocks:
        return
    block = blocks[-1] if pages else blocks[0]
    text = script.text[begin(script, block) : end(script, block)]
    lines = (block.line, script.line(block.end))
    route = make_route(file, lines, f"api/{path}" if pages else path, functions[block].calls, asked_in(text))
    wraps, answers = read_answer(text, functions[block].short)
    yield replace(route, wraps=wraps, answers=answers, picks=picks(text), guarded=REFUSES.search(text) is not None)


def make_route(file: str, lines: tuple[int, int], path: str, calls: frozenset[str], asked: list[str]) -> Route:
    """A route with `{name}` for parameters."""
    shown = PLACE.sub(r"{\1}", "/" + path.strip("/"))
    parameters = tuple(re.findall(r"\{(\w+)", shown))
    return Route(file, lines[0], shown, parameters, calls, tuple(dict.fromkeys(asked)), end=lines[1])


def read_mounts(script: JsScript) -> Iterator[tuple[str, str]]:
    """(prefix, module or name) of `app.use("/api", router)`, and of `app.use("/api", require("./routes"))`."""
    yield from ((prefix, name) for name, prefix in PREFIXED.findall(script.text))
    modules = {
        name: module for names, module in required(script.text) for name in re.findall(r"\w+", names) if name != "as"
    }
    for at, token in enumerate(script.tokens):
        if token.text == "register" and script.word(at - 1) == "." and script.word(at + 1) == "(":
            yield from fastify_mount(script, at, modules)
        if token.text not in ("use", "route") or script.word(at - 1) != "." or script.word(at + 1) != "(":
            continue
        closing = script.partners.get(at + 1, at)
        first = script.tokens[at + 2] if at + 2 < len(script.tokens) else None
        if first is None or first.kind != "str" or closing - at < 4:
            continue
        last = script.tokens[closing - 1]
        if last.kind == "id":
            yield unquoted(first.text), modules.get(last.text, last.text)
        elif script.word(at + 4) == "require":
            yield unquoted(first.text), unquoted(script.word(at + 6))


def fastify_mount(script: JsScript, at: int, modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(prefix, module or name) of `app.register(routes, { prefix: "/v1" })`."""
    call, _ = JsParser(script).call(ast.Name(id="_"), at + 1, 0)
    match call:
        case ast.Call(args=[first, ast.Dict() as options]):
            entries = zip(options.keys, options.values, strict=True)
            prefix = next((v for k, v in entries if isinstance(k, ast.Constant) and k.value == "prefix"), None)
            if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str):
                match first:
                    case ast.Name(id=name):
                        yield prefix.value, modules.get(name, name)
                    case ast.Call(args=[ast.Constant(value=str(module))]):
                        yield prefix.value, module


def prefix_of(text: str) -> str:
    """The prefix that NestJS puts before every route."""
    found = re.search(r"setGlobalPrefix\(\s*['\"]([^'\"]+)", text)
    return found[1].strip("/") if found else ""
