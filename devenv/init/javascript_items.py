"""The items and keys that JavaScript builds: functions that only return a text, loops over constants. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from devenv.init.golang import GoParser
from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.plain_lists import has_plain_lists, is_in_list
from devenv.init.source import IN_BRACES, Scope, TextFunction, Unclear, template_of
from devenv.init.written_items import MOST, Binding, Item, Keys, arguments, items_of, turns

BEFORE_VALUE: Final = ("(", "=", ",", ":", "[", "return", "?", "=>")
# `res.json({ message, product_id })`: an answer, though it names the key of an item.
ANSWERS: Final = ("json", "jsonp", "send", "render", "stringify")
TURNS: Final = ("map", "forEach", "flatMap")


def script_texts(parsers: Iterable[JsParser | GoParser], constants: Mapping[str, ast.expr]) -> dict[str, TextFunction]:
    """The functions that only return a text, `const trailKey = (id) => …`, by name; ambiguous names have none.

    `constants` are values that files give names: `return PREFIX + id`. The same for Go's `func trailKey(id string)`.
    """
    found: dict[str, TextFunction] = {}
    twice: set[str] = set()
    fixed = {name: node for name, node in constants.items() if isinstance(node, ast.Constant)}
    for parser in parsers:
        script = parser.script
        for block in script.blocks:
            begin = block.begin
            if script.word(begin) == "{":
                if script.word(begin + 1) != "return":
                    continue
                begin += 2
            node, _ = parser.expression(begin)
            if not isinstance(node, ast.JoinedStr | ast.BinOp):
                continue
            known = {name: value for name, value in fixed.items() if name not in block.parameters}
            try:
                template = template_of(node, Scope(known))
            except Unclear:
                continue
            if not IN_BRACES.sub("", template) or not set(IN_BRACES.findall(template)) <= set(block.parameters):
                continue
            for name in {block.name, block.name.rpartition(".")[2]}:
                twice |= {name} if name in found and found[name].template != template else set()
                found[name] = TextFunction(block.parameters, template)
    return {name: each for name, each in found.items() if name not in twice}


def script_items(script: JsScript, module: Scope, scopes: Mapping[JsFunction, Scope], keys: Keys) -> list[Item]:
    """(table, item) of every object with the key of a table, for each call of its function and turn of its loops."""
    return list(islice(every_item(script, module, scopes, keys), MOST))


def every_item(script: JsScript, module: Scope, scopes: Mapping[JsFunction, Scope], keys: Keys) -> Iterator[Item]:
    """The same, without an end."""
    if not keys:
        return
    parser, plain = JsParser(script), has_plain_lists(script.text)
    for at, token in enumerate(script.tokens):
        if token.text != "{" or script.word(at - 1) not in BEFORE_VALUE:
            continue
        if is_answer(script, at) or (plain and is_in_list(script, at)):
            continue
        node, _ = parser.object(at, 0)
        if not isinstance(node, ast.Dict) or len(node.keys) < 2:
            continue
        block = script.block_of(at)
        scope = scopes[block] if block else module
        bindings: list[Binding] = [{}]
        if block:
            given = (parser.call(ast.Name(id="_"), place + 1, 0)[0] for place in calls_of(script, block))
            called = [arguments(call, block.parameters) for call in given if isinstance(call, ast.Call)]
            bindings = called[:MOST] or bindings
        for target, over in loops_at(script, parser, at):
            bindings = turns(target, over, scope, bindings)
        yield from items_of(node, scope, bindings, keys)


def is_answer(script: JsScript, at: int) -> bool:
    """Return True if an object is what a handler answers with: no item, whatever keys it has."""
    return script.word(at - 1) == "(" and script.word(at - 2) in ANSWERS


def calls_of(script: JsScript, block: JsFunction) -> Iterator[int]:
    """The places where a function is called in its own file."""
    name = block.name.rpartition(".")[2]
    for at, token in enumerate(script.tokens):
        if token.text == name and script.word(at + 1) == "(" and script.word(at - 1) not in ("function", ".", "new"):
            yield at


def loops_at(script: JsScript, parser: JsParser, at: int) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, what it goes over) of the loops around a token, the outer first: `for (const x of xs)`, `xs.map(…)`."""
    for start in range(at):
        word = script.word(start)
        opening = start + 2 if script.word(start + 1) == "await" else start + 1
        if script.word(opening) != "(" or opening not in script.partners:
            continue
        closing = script.partners[opening]
        if word == "for" and script.word(opening + 1) in ("const", "let", "var"):
            body = closing + 1
            inside = body <= at < end_of_statement(script, body)
            target, following = target_at(parser, opening + 2)
            if inside and script.word(following) == "of":
                yield target, parser.expression(following + 1)[0]
        elif word in TURNS and script.word(start - 1) == "." and opening < at < closing:
            inner = opening + 1 + (script.word(opening + 1) == "async")
            place = inner + 1 if script.word(inner) == "(" else inner
            over = before(parser, start - 2)
            if over is not None:
                yield target_at(parser, place)[0], over


def end_of_statement(script: JsScript, at: int) -> int:
    """The place behind a block, or behind one statement without braces."""
    if script.word(at) == "{":
        return script.partners.get(at, at)
    while script.word(at) not in (";", "}", ""):
        at = script.partners.get(at, at) + 1
    return at


def before(parser: JsParser, last: int) -> ast.expr | None:
    """The list that `.map(…)` is called on, which ends at a token: a name, `[…]`, `Object.entries(…)`."""
    script = parser.script
    if script.tokens[last].kind == "id":
        return ast.Name(id=script.word(last))
    opening = next((first for first, closing in script.partners.items() if closing == last), None)
    if opening is not None and script.word(opening) == "[":
        return parser.array(opening, 0)[0]
    if opening is not None and script.word(opening - 3) == "Object":
        function = ast.Attribute(value=ast.Name(id="Object"), attr=script.word(opening - 1))
        return parser.call(function, opening, 0)[0]
    return None


def target_at(parser: JsParser, at: int) -> tuple[ast.expr, int]:
    """The target of a loop: a name, a list of names, or an object of them."""
    if parser.script.word(at) == "{":
        return parser.object(at, 0)
    if parser.script.word(at) == "[":
        return parser.array(at, 0)
    return ast.Name(id=parser.script.word(at)), at + 1
