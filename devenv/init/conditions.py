"""Reads the requests of boto3 as code spells them out: key conditions, keys, values, tables. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.core.late import late
from devenv.init.source import Scope, Unclear, dict_of, entries, template_of, typed_part, value_of

EQUALS: Final = late(r"(#?\w+)\s*=\s*(:\w+)")
BEGINS: Final = late(r"begins_with\s*\(\s*(#?\w+)\s*,\s*(:\w+)\s*\)", re.IGNORECASE)
PLACES: Final = late(r":\w+")
NAMES: Final = late(r"#\w+")
# DynamoDB takes expressions of 4 KB.
CONDITION: Final = 4096


def unset_places(request: Mapping[str, ast.expr], scope: Scope) -> Iterator[str]:
    """The `:name`s and `#name`s of a request's expressions that have no value, where both are spelt out."""
    for places, part, expressions in (
        (PLACES, "ExpressionAttributeValues", ("KeyConditionExpression", "FilterExpression")),
        (NAMES, "ExpressionAttributeNames", ("KeyConditionExpression", "FilterExpression", "ProjectionExpression")),
    ):
        given = request.get(part)
        given = scope.names.get(given.id) if isinstance(given, ast.Name) else given
        if not isinstance(given, ast.Dict) or not all(isinstance(key, ast.Constant) for key in given.keys):
            continue
        known = {str(key.value) for key in given.keys if isinstance(key, ast.Constant)}
        for name in expressions:
            text = plain_value(request.get(name), scope)
            if isinstance(text, str):
                yield from (place for place in dict.fromkeys(places.findall(text[:CONDITION])) if place not in known)


def begins_text(request: Mapping[str, ast.expr], scope: Scope) -> str:
    """The text that a begins_with of the key condition begins with; "" when it is not spelt out."""
    condition = request.get("KeyConditionExpression")
    for node in ast.walk(condition) if condition is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="begins_with"), args=[ast.expr() as value]):
                return shown_value(value, scope)
    text = plain_value(condition, scope)
    begins = BEGINS.search(text[:CONDITION]) if isinstance(text, str) else None
    given = request.get("ExpressionAttributeValues")
    given = scope.names.get(given.id) if isinstance(given, ast.Name) else given
    if begins is None or not isinstance(given, ast.Dict):
        return ""
    for key, value in zip(given.keys, given.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == begins[2]:
            typed = typed_part(value)
            return shown_value(typed[1] if typed else value, scope)
    return ""


def shown_value(node: ast.expr, scope: Scope) -> str:
    """An expression's text; of a name, that of what it stands for."""
    named = scope.names.get(node.id) if isinstance(node, ast.Name) else None
    return shown(node if named is None else named)


def begins_template(request: Mapping[str, ast.expr], scope: Scope) -> str:
    """The template of a begins_with in a key condition, in either form; "" without one, or where it is computed."""
    condition = request.get("KeyConditionExpression")
    text = plain_value(condition, scope)
    if isinstance(text, str):
        begins = BEGINS.search(text[:CONDITION])
        values = expression_values(request.get("ExpressionAttributeValues"), scope)
        return values.get(begins[2], "") if begins else ""
    for node in ast.walk(condition) if condition is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="begins_with"), args=[value]):
                try:
                    return template_of(value, scope)
                except Unclear:
                    return ""
    return ""


def request_of(call: ast.Call, scope: Scope) -> dict[str, ast.expr]:
    """The arguments of a call by name, those of `**request` too."""
    found: dict[str, ast.expr] = {}
    for word in call.keywords:
        if word.arg is not None:
            found[word.arg] = word.value
            continue
        given = dict_of(word.value, scope)
        found |= entries(given, scope) if given is not None else {}
    return found


def plain_value(node: ast.expr | None, scope: Scope) -> Any:
    """The value that is spelt out; None when it is not."""
    try:
        return None if node is None else value_of(node, scope)
    except Unclear:
        return None


def table_of(node: ast.expr, scope: Scope) -> str | None:
    """The name in `resource.Table("name")`, which the object of a call is or was given."""
    given = scope.names.get(node.id) if isinstance(node, ast.Name) else node
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "Table":
        found = plain_value(given.args[0], scope) if given.args else None
        return found if isinstance(found, str) else None
    return None


def key_condition(request: Mapping[str, ast.expr], scope: Scope) -> tuple[dict[str, str], str | None]:
    """attribute -> template of every `=` in a key condition, and the attribute that begins_with narrows."""
    condition = request.get("KeyConditionExpression")
    if condition is None:
        return {}, None
    text = plain_value(condition, scope)
    if isinstance(text, str):
        text = text[:CONDITION]
        names = plain_value(request.get("ExpressionAttributeNames"), scope) or {}
        values = expression_values(request.get("ExpressionAttributeValues"), scope)
        # A value without its colon is a slip, which is named; what is meant is clear.
        values |= {f":{name}": value for name, value in values.items() if not name.startswith(":")}
        key = {names.get(n, n): values[place] for n, place in EQUALS.findall(text) if place in values}
        begins = BEGINS.search(text)
        return key, names.get(begins[1], begins[1]) if begins else None
    key = {}
    narrowed = None
    for node in ast.walk(condition):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(args=[ast.Constant(value=str(name))]), attr="eq" | "begins_with" as how
                ),
                args=[value],
            ):
                if how == "begins_with":
                    narrowed = name
                    continue
                try:
                    key[name] = template_of(value, scope)
                except Unclear:
                    continue
    return key, narrowed


def whole_key(request: Mapping[str, ast.expr], scope: Scope) -> dict[str, str]:
    """attribute -> template of the `Key` of a get_item; empty when a part of it is not spelt out."""
    parts = expression_values(request.get("Key"), scope)
    given = dict_of(request.get("Key"), scope)
    return parts if given is not None and len(parts) == len(entries(given, scope)) else {}


def expression_values(node: ast.expr | None, scope: Scope) -> dict[str, str]:
    """ ":pk" -> template, from ExpressionAttributeValues (or a Key) in either form."""
    given = dict_of(node, scope)
    found: dict[str, str] = {}
    for name, value in entries(given, scope).items() if given is not None else ():
        typed = typed_part(value)
        try:
            found[name] = template_of(typed[1] if typed else value, scope)
        except Unclear:
            continue
    return found


def shown(node: ast.expr) -> str:
    """An expression's text, as far as it has one: nodes of other languages may have none."""
    try:
        return ast.unparse(node)[:80]
    except (ValueError, AttributeError, RecursionError):
        return ""
