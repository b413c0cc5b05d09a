"""Key conditions that Go builds: of the SDK's package expression, and the queries of guregu/dynamo. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.init.golang import GoParser, last_name
from devenv.init.golang_structs import RawField, kind_of, raw_structs
from devenv.init.javascript import JsFunction, JsScript
from devenv.init.source import Scope, Unclear, value_of
from devenv.init.tables import Found, accept

DEPTH: Final = 8
EQUAL: Final = ("Equal", "KeyEqual")
BEGINS: Final = ("BeginsWith", "KeyBeginsWith")
BOTH: Final = ("And", "KeyAnd")
GUREGU: Final = "guregu/dynamo"
ENDS: Final = ("All", "AllWithContext", "AllParallel", "AllWithLastEvaluatedKey", "Iter", "One", "OneWithContext")


@dataclass
class KeyCondition:
    """A key condition: attribute -> value of each `=`, and of begins_with."""

    equal: dict[str, ast.expr] = field(default_factory=dict)
    begins: dict[str, ast.expr] = field(default_factory=dict)

    def request(self) -> list[tuple[str, ast.expr]]:
        """The parts of a request that say the same, as boto3 writes them."""
        parts, names, values = [], {}, {}
        for number, (name, value) in enumerate([*self.equal.items(), *self.begins.items()]):
            names[f"#{number}"] = ast.Constant(value=name)
            values[f":{number}"] = ast.Dict(keys=[ast.Constant(value="S")], values=[value])
            place = f"#{number} = :{number}"
            parts.append(place if number < len(self.equal) else f"begins_with(#{number}, :{number})")
        return [
            ("KeyConditionExpression", ast.Constant(value=" AND ".join(parts))),
            ("ExpressionAttributeNames", as_dict(names)),
            ("ExpressionAttributeValues", as_dict(values)),
        ]


def as_dict(entries: Mapping[str, Any]) -> ast.Dict:
    """A dict display."""
    return ast.Dict(keys=[ast.Constant(value=name) for name in entries], values=[*entries.values()], lineno=1)


def with_condition(node: ast.Dict, at: int, parser: GoParser, block: JsFunction | None, scope: Scope) -> ast.Dict:
    """A request with the key condition that the last `WithKeyCondition(…)` before it in its function builds."""
    script = parser.script
    pairs = zip(node.keys, node.values, strict=True)
    entries: dict[str, ast.expr] = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
    given = entries.get("KeyConditionExpression")
    if block is None or not isinstance(given, ast.Call | ast.Attribute):
        return node
    places = [n for n in range(block.begin, at) if script.word(n) == "WithKeyCondition" and script.word(n + 1) == "("]
    if not places:
        return node
    condition = KeyCondition()
    built, _ = parser.expression(places[-1] + 2)
    if not collect(built, scope, condition) or not condition.equal:
        return node
    made = as_dict(entries | dict(condition.request()))
    made.lineno = node.lineno
    return made


def collect(node: ast.expr, scope: Scope, found: KeyCondition, depth: int = 0) -> bool:
    """Add the parts of a condition; False where a part of it is not known."""
    if depth > DEPTH:
        return False
    match node:
        case ast.Name(id=name) if name in scope.names:
            return collect(scope.names[name], scope, found, depth + 1)
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args):
            if name in BOTH:
                parts = [owner, *args] if name == "And" else args
                return all(collect(each, scope, found, depth + 1) for each in parts)
            left, *right = [owner, *args] if not name.startswith("Key") else args
            attribute = key_name(left, scope)
            if attribute is None or not right:
                return False
            if name in EQUAL:
                found.equal[attribute] = value_in(right[0])
            elif name in BEGINS:
                found.begins[attribute] = value_in(right[0])
            return True
    return False


def key_name(node: ast.expr, scope: Scope) -> str | None:
    """`pk` of `expression.Key("pk")`, by whatever name."""
    match node:
        case ast.Name(id=name) if name in scope.names:
            return key_name(scope.names[name], scope)
        case ast.Call(func=function, args=[inner]) if last_name(function) == "Key":
            return text_of(inner, scope)
    return None


def value_in(node: ast.expr) -> ast.expr:
    """`id` of `expression.Value(id)`."""
    match node:
        case ast.Call(func=function, args=[inner]) if last_name(function) == "Value":
            return inner
    return node


def text_of(node: ast.expr, scope: Scope) -> str | None:
    """A text that is spelt out; None for any other."""
    try:
        value = value_of(node, scope)
    except Unclear:
        return None
    return value if isinstance(value, str) else None


# --- guregu/dynamo


def guregu_requests(parser: GoParser, scopes: Mapping[JsFunction, Scope]) -> Iterator[tuple[int, str, ast.Dict]]:
    """(place, operation, request) of `table.Get("user_id", id).Range("at", dynamo.BeginsWith, "x").All(…)`."""
    script = parser.script
    for at in range(1, len(script.tokens) - 1) if GUREGU in script.text else ():
        block = script.block_of(at)
        if script.word(at) != "Get" or script.word(at - 1) != "." or script.word(at + 1) != "(" or block is None:
            continue
        scope = scopes[block]
        call, _ = parser.call(ast.Name(id="Get"), at + 1, 0)
        name = text_of(call.args[0], scope) if isinstance(call, ast.Call) and len(call.args) == 2 else None
        calls = list(chain_behind(parser, at))
        last = next((each for each, _ in calls if each in ENDS), None)
        if name is None or not isinstance(call, ast.Call) or last is None:
            continue
        condition = KeyCondition({name: call.args[1]})
        more: dict[str, ast.expr] = {}
        for method, args in calls:
            if method == "Range" and len(args) > 2 and (sort := text_of(args[0], scope)):
                kind = last_name(args[1])
                chosen = condition.equal if kind == "Equal" else condition.begins if kind == "BeginsWith" else {}
                chosen[sort] = args[2]
            elif method == "Index" and args:
                more["IndexName"] = args[0]
            elif method == "Order" and args:
                more["ScanIndexForward"] = ast.Constant(value=last_name(args[0]) != "Descending")
            elif method == "Limit" and args:
                more["Limit"] = args[0]
        table = table_before(parser, at, scope)
        named = {"TableName": table} if table is not None else {}
        one = last.startswith("One") and "IndexName" not in more and not condition.begins
        key = {"Key": as_dict(condition.equal)} if one else dict(condition.request())
        yield at, "get_item" if one else "query", as_dict({**named, **key, **({} if one else more)})


def chain_behind(parser: GoParser, at: int) -> Iterator[tuple[str, list[ast.expr]]]:
    """(method, arguments) of the calls that follow a call."""
    script = parser.script
    place = script.partners.get(at + 1, at + 1) + 1
    while script.word(place) == "." and script.word(place + 2) == "(":
        call, _ = parser.call(ast.Name(id="_"), place + 2, 0)
        yield script.word(place + 1), call.args if isinstance(call, ast.Call) else []
        place = script.partners.get(place + 2, place + 2) + 1


def table_before(parser: GoParser, at: int, scope: Scope) -> ast.expr | None:
    """The name in `db.Table("stays")` before `.Get`, also where a variable or a field has the table."""
    script = parser.script
    node: ast.expr | None = None
    if script.word(at - 2) == ")":
        opening = next((first for first, last in script.partners.items() if last == at - 2), at)
        node = ast.Attribute(value=ast.Name(id="_"), attr=script.word(opening - 1))
        node = parser.call(node, opening, 0)[0]
    else:
        node = scope.names.get(script.word(at - 2))
    match node:
        case ast.Call(func=function, args=[name, *_]) if last_name(function) == "Table":
            return name
    return None


def guregu_tables(file: str, parser: GoParser, scope: Scope, scripts: Mapping[str, JsScript]) -> Iterator[Found]:
    """The tables of `db.CreateTable("stays", Stay{})`, whose keys and indexes are tags of the struct."""
    script = parser.script
    for at in range(len(script.tokens) - 1) if GUREGU in script.text else ():
        if script.word(at) != "CreateTable" or script.word(at + 1) != "(":
            continue
        call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
        closing = script.partners.get(at + 1, at)
        words = [script.word(n) for n in range(at + 2, closing)]
        structs = dict(each for other in scripts.values() for each in raw_structs(other))
        kind = next((word for word in words if word in structs), None)
        name = text_of(call.args[0], scope) if isinstance(call, ast.Call) and call.args else None
        request = tagged_request(name, structs[kind]) if name and kind else None
        if request and (found := accept(file, script.line(at), request)):
            yield found


def tagged_request(table: str, fields: list[RawField]) -> dict[str, Any]:
    """A CreateTable request by the tags of a struct."""
    own: dict[str, str] = {}
    indexes: dict[tuple[str, str], dict[str, str]] = {}
    types: dict[str, str] = {}
    for each in fields:
        attribute, *options = each.tags.get("dynamo", "").split(",")
        attribute = attribute or each.name
        types[attribute] = kind_of(each.type, ",".join(options), {}, {})
        own |= {option: attribute for option in options if option in ("hash", "range")}
        for tag, place in (("index", "Global"), ("localIndex", "Local")):
            index, _, part = each.tags.get(tag, "").partition(",")
            if index and part in ("hash", "range"):
                indexes.setdefault((place, index), {})[part] = attribute
    request: dict[str, Any] = {"TableName": table, "BillingMode": "PAY_PER_REQUEST", "KeySchema": key_schema(own)}
    for (place, index), parts in indexes.items():
        parts = {"hash": own.get("hash", ""), **parts} if place == "Local" else parts
        made = {"IndexName": index, "KeySchema": key_schema(parts), "Projection": {"ProjectionType": "ALL"}}
        request.setdefault(f"{place}SecondaryIndexes", []).append(made)
    used = {*own.values(), *(name for parts in indexes.values() for name in parts.values())}
    request["AttributeDefinitions"] = [{"AttributeName": n, "AttributeType": types[n]} for n in types if n in used]
    return request


def key_schema(parts: Mapping[str, str]) -> list[dict[str, str]]:
    """A KeySchema, the hash key first."""
    return [{"AttributeName": parts[each], "KeyType": each.upper()} for each in ("hash", "range") if each in parts]
