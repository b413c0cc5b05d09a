"""The fields that functions of JavaScript make of an item: `{ id: item.noteId, text: item.text }`. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from devenv.init.code import Function
from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.javascript_routes import begin, end

WHOLE: Final = frozenset(["Items", "Item"])
# The first parameter of a function that answers a request.
REQUESTS: Final = frozenset(["req", "_req", "request", "_request", "ctx", "context", "c", "event"])


def results_in(script: JsScript, begin: int, end: int) -> dict[str, str]:
    """field -> attribute of the object between two tokens that takes most of them from an item."""
    results: dict[str, str] = {}
    parser = JsParser(script)
    behind = begin
    for at in range(begin, end):
        if at >= behind and script.word(at) == "{" and script.word(at - 1) in ("(", "=", ",", ":", "[", "return", "?"):
            node, _ = parser.object(at, 0)
            if any(isinstance(key, ast.Constant) and key.value == "TableName" for key in getattr(node, "keys", ())):
                behind = script.partners.get(at, at)  # A request is no answer: `TableName: config.table`.
                continue
            found = read_fields(node, taken_apart(parser, at)) if isinstance(node, ast.Dict) else {}
            results = found if len(found) > len(results) else results
    return results


def handler_results(script: JsScript, at: int) -> dict[str, str]:
    """The same of the handler without a name, `app.get(path, async (req, res) => { … })`, that a token stands in."""
    around = [
        (opening, closing)
        for opening, closing in script.partners.items()
        if opening < at < closing and script.word(opening) == "{" and takes_request(script, opening)
    ]
    found = results_in(script, *max(around)) if around else {}
    # `res.json({ notes: page.Items })` passes the whole list on.
    return {} if WHOLE & set(found.values()) else found


def takes_request(script: JsScript, opening: int) -> bool:
    """Return True if braces are the body of a function whose first parameter is a request."""
    last = opening - 1 - (script.word(opening - 1) == "=>")
    if script.word(last) != ")":
        return script.word(opening - 1) == "=>" and script.word(last) in REQUESTS
    first = next((start for start, closing in script.partners.items() if closing == last), last)
    return script.word(first + 1) in REQUESTS


def with_mapper(
    script: JsScript, block: JsFunction, function: Function, functions: Mapping[JsFunction, Function]
) -> Function:
    """A function that gives `Items.map(view)`, with the fields of what `view` makes of an item."""
    text = script.text[begin(script, block) : end(script, block)]
    found = re.search(r"Items\b[^;\n]*\.map\(\s*(\w+)\s*\)", text)
    own = [each for other, each in functions.items() if found and each.short == found[1] and other is not block]
    if function.results or len(own) != 1 or not own[0].results:
        return function
    return replace(function, results=own[0].results, whole=False)


def taken_apart(parser: JsParser, at: int) -> dict[str, str]:
    """name -> attribute of an item that an arrow function takes apart: `({ book_isbn, stars: n }) => ({ … })`."""
    words = [parser.script.word(at - n) for n in (3, 2, 1)]
    opening = next((first for first, last in parser.script.partners.items() if last == at - 3), at)
    if words != [")", "=>", "("] or parser.script.word(opening + 1) != "{":
        return {}
    node, _ = parser.object(opening + 1, 0)
    pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
    return {v.id: str(k.value) for k, v in pairs if isinstance(k, ast.Constant) and isinstance(v, ast.Name)}


def read_fields(node: ast.Dict, names: Mapping[str, str]) -> dict[str, str]:
    """field -> attribute of an object like `{ uuid: item.message_uuid }` or `{ uuid: item.message_uuid.S }`.

    `names` are those of an item's attributes.
    """
    found: dict[str, str] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        match value:
            case ast.Subscript(
                value=ast.Subscript(slice=ast.Constant(value=str(name))), slice=ast.Constant(value="S" | "N")
            ):
                attribute = name
            case ast.Subscript(value=ast.Name(id=item), slice=ast.Constant(value=str(name))) if item not in (
                "req",
                "res",
            ):
                attribute = name
            case ast.Name(id=name) if name in names:
                attribute = names[name]
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(name))),
                    attr="slice" | "replace" | "substring",
                )
            ):
                attribute = f"{{{name}}}"  # The part of a key behind its word.
            case _:
                continue
        if isinstance(key, ast.Constant):
            found[str(key.value)] = attribute
    return found
