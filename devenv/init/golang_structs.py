"""The structs of Go that become items: their attributes by tags, and the items that functions make of them. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.core.late import late
from devenv.init.golang import GoField, GoParser, fields_of, typed_names
from devenv.init.javascript import JsFunction, JsScript, JsToken

TAG: Final = late(r'(\w+):"([^"]*)"')
BASIC: Final = late(r"u?int\d*|float\d+")
# What turns a struct into an item, and items into structs: of the SDK, and of guregu/dynamo.
MARSHALS: Final = ("MarshalMap", "MarshalMapWithOptions", "Put")
UNMARSHALS: Final = ("UnmarshalMap", "UnmarshalListOfMaps", "All", "One", "AllWithContext", "OneWithContext")
OWNERS: Final = ("attributevalue", "dynamodbattribute")
# The first version of the SDK takes the names in JSON.
JSON_TOO: Final = "dynamodbattribute"
DEPTH: Final = 3


@dataclass(frozen=True)
class RawField:
    """A field as it is written: the words of its type, and its tags. `embedded`: it has no name of its own."""

    name: str
    type: str
    tags: Mapping[str, str]
    embedded: bool = False


def read_structs(scripts: Mapping[str, JsScript]) -> dict[str, Mapping[str, GoField]]:
    """Name -> fields of the structs that have tags of DynamoDB, or that functions turn into items and back."""
    raw: dict[str, list[RawField]] = {}
    plain: dict[str, str] = {}
    used: set[str] = set()
    for script in scripts.values():
        raw |= dict(raw_structs(script))
        plain |= dict(re.findall(r"^type (\w+) (string|bool|u?int\d*|float\d+)\b", script.text, re.MULTILINE))
        used |= set(marshalled_types(script))
    json_too = any(JSON_TOO in script.text for script in scripts.values())
    found: dict[str, Mapping[str, GoField]] = {}
    for name, fields in raw.items():
        told = any({"dynamodbav", "dynamo"} & set(each.tags) for each in fields)
        if told or name in used:
            made = dict(settled_fields(fields, raw, plain, json_too))
            found |= {name: made} if made else {}
    return found


def raw_structs(script: JsScript) -> Iterator[tuple[str, list[RawField]]]:
    """Name -> fields of `type Name struct { … }`."""
    for at in range(len(script.tokens) - 3):
        opening = at + 3
        if script.word(at) == "type" and script.word(at + 2) == "struct" and opening in script.partners:
            yield script.word(at + 1), [each for line in lines_of(script, opening) if (each := raw_field(line))]


def lines_of(script: JsScript, opening: int) -> Iterator[list[JsToken]]:
    """The lines between two braces, without what nested ones hold."""
    line: list[JsToken] = []
    at, closing = opening + 1, script.partners[opening]
    while at <= closing:
        token = script.tokens[at]
        if token.text in (";", "}") and (at == closing or token.text == ";"):
            if line:
                yield line
            line = []
        else:
            line.append(token)
            if token.text == "{":
                at = script.partners.get(at, at)
        at += 1


def raw_field(line: Sequence[JsToken]) -> RawField | None:
    """One line of a struct."""
    tags = dict(TAG.findall(line[-1].text)) if line[-1].kind == "tick" else {}
    words = [token.text for token in (line[:-1] if line[-1].kind == "tick" else line)]
    if not words or (line[0].kind != "id" and words[0] != "*"):
        return None
    if len(words) == 1 or words[0] == "*" or words[1] == ".":
        return RawField(words[-1], words[-1], tags, embedded=True)
    return RawField(words[0], "".join(words[1:]), tags)


def settled_fields(
    fields: Sequence[RawField],
    structs: Mapping[str, Sequence[RawField]],
    plain: Mapping[str, str],
    json_too: bool,
    depth: int = 0,
) -> Iterator[tuple[str, GoField]]:
    """Name of a field -> its attribute, name in JSON and type; an embedded struct gives its own fields."""
    for field in fields:
        tag = field.tags.get("dynamodbav", field.tags.get("dynamo", field.tags.get("json") if json_too else None))
        if field.embedded and not (tag or "").partition(",")[0] and depth < DEPTH:
            yield from settled_fields(structs.get(field.type, ()), structs, plain, json_too, depth + 1)
        if field.embedded or tag == "-" or not field.name[:1].isupper():
            continue
        attribute, _, options = (tag or "").partition(",")
        answer = field.tags.get("json", "").partition(",")[0] or field.name
        kind = kind_of(field.type, options, structs, plain)
        timely = field.type.lstrip("*") == "time.Time"
        yield (
            field.name,
            GoField(attribute or field.name, "" if answer == "-" else answer, kind, timely and kind == "S"),
        )


def kind_of(written: str, options: str, structs: Mapping[str, object], plain: Mapping[str, str]) -> str:
    """DynamoDB's type of a field that is declared so."""
    kind = written.lstrip("*")
    kind = plain.get(kind, kind)
    if "unixtime" in options:
        return "N"
    if kind == "bool":
        return "BOOL"
    if BASIC.fullmatch(kind):
        return "N"
    if kind == "[]byte":
        return "B"
    if kind.startswith("["):
        number = BASIC.fullmatch(kind.partition("]")[2])
        return ("NS" if number else "SS") if re.search(r"\b\w*set\b", options) else "L"
    is_map = kind.startswith(("map[", "struct")) or kind.rpartition(".")[2] in structs
    return "M" if is_map else "S"


# --- items


def marshalled_types(script: JsScript) -> Iterator[str]:
    """The types of what functions turn into items, or make of items."""
    for block in script.blocks:
        types = types_in(script, block)
        for at in range(block.begin, block.end):
            if script.word(at + 1) == "(" and (name := marshalled(script, at)) in types:
                yield types[str(name)]


def marshalled(script: JsScript, at: int) -> str | None:
    """The variable that a call turns into an item, or fills with items; None for any other call."""
    word, owner = script.word(at), script.word(at - 2)
    if script.word(at - 1) != "." or (owner not in OWNERS and "guregu/dynamo" not in script.text):
        return None
    if word in MARSHALS:
        first = at + 2
        return script.word(first + 1) if script.word(first) in ("&", "*") else script.word(first)
    if word in UNMARSHALS and (closing := script.partners.get(at + 1)):
        names = [script.word(n + 1) for n in range(at + 2, closing) if script.word(n) == "&"]
        return names[-1] if names else script.word(closing - 1)
    return None


def types_in(script: JsScript, block: JsFunction) -> dict[str, str]:
    """Variable -> last word of its type, of parameters, declarations, literals and loops over these."""
    head = next((n for n in range(block.begin, -1, -1) if script.word(n) == "func"), block.begin)
    opening = next((n for n in range(head, block.begin) if script.word(n) == "(" and n in script.partners), None)
    found: dict[str, str] = {}
    while opening is not None and opening < block.begin:
        found |= {name: last_word(kind) for name, kind in typed_names(script, opening)}
        behind = script.partners[opening] + 1
        opening = next((n for n in range(behind, block.begin) if script.word(n) == "(" and n in script.partners), None)
    for at in range(block.begin, block.end):
        if script.word(at) == "var" and script.tokens[at + 1].kind == "id":
            found[script.word(at + 1)] = type_at(script, at + 2)
        elif script.word(at) == ":=" and script.tokens[at - 1].kind == "id":
            start = at + 1
            if script.word(start) in ("make", "new") and script.word(start + 1) == "(":
                found[script.word(at - 1)] = type_at(script, start + 2)
            elif script.word(start) == "range":
                found[script.word(at - 1)] = found.get(script.word(start + 1), "")
            elif (kind := literal_type(script, start)) is not None:
                found[script.word(at - 1)] = kind
    return {name: kind for name, kind in found.items() if kind}


def last_word(kind: str) -> str:
    """`Ride` of `[]*store.Ride`."""
    return re.split(r"[^\w]", kind)[-1]


def type_at(script: JsScript, at: int) -> str:
    """The last word of the type that begins at a token."""
    while script.word(at) in ("[", "]", "*"):
        at = script.partners.get(at, at) + 1
    while script.word(at + 1) == ".":
        at += 2
    return script.word(at) if at < len(script.tokens) and script.tokens[at].kind == "id" else ""


def literal_type(script: JsScript, at: int) -> str | None:
    """The type of `Ride{…}`, `&store.Ride{…}`, `[]Ride{…}`; None for anything else."""
    while script.word(at) in ("[", "*", "&"):
        at = script.partners.get(at, at) + 1
    while script.word(at + 1) == ".":
        at += 2
    return script.word(at) if script.word(at + 1) == "{" and script.word(at)[:1].isalpha() else None


def struct_items(parser: GoParser, block: JsFunction, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, ast.Dict]]:
    """(struct, item) of every struct that a function turns into an item, with what it gives its fields before."""
    script = parser.script
    types: dict[str, str] | None = None
    for at in range(block.begin, block.end):
        if script.word(at) not in MARSHALS or script.word(at + 1) != "(" or (name := marshalled(script, at)) is None:
            continue
        types = types_in(script, block) if types is None else types
        fields = parser.known.get(types.get(name, ""))
        if not fields:
            continue
        given = names.get(name)
        item: dict[str, ast.expr] = dict(fields_of(given)) if isinstance(given, ast.Dict) else {}
        parts = {field.attribute: item.get(field.attribute, typed(field)) for field in fields.values()}
        for place in range(block.begin, at):
            field = fields.get(script.word(place + 2))
            if script.word(place) == name and script.word(place + 1) == "." and script.word(place + 3) == "=" and field:
                value, _ = parser.expression(place + 4)
                parts[field.attribute] = typed(field, value)
        parts |= dict(added(parser, block, result_of(script, at)))
        made = ast.Dict(keys=[ast.Constant(value=each) for each in parts], values=[*parts.values()])
        made.lineno = script.line(at)
        yield types[name], made


def typed(field: GoField, value: ast.expr | None = None) -> ast.Dict:
    """The value of a field as boto3 writes it; without one, a place that is called as the attribute."""
    node = value or ast.Name(id=field.attribute)
    if value is None and field.timely:
        node = ast.Call(func=ast.Attribute(value=node, attr="isoformat"), args=[], keywords=[])
    return ast.Dict(keys=[ast.Constant(value=field.kind)], values=[node])


def result_of(script: JsScript, at: int) -> str:
    """`item` of `item, err := attributevalue.MarshalMap(ride)`; "" without a name."""
    start = next((n for n in range(at, max(0, at - 8), -1) if script.word(n) in (":=", "=", ";")), 0)
    if script.word(start) not in (":=", "="):
        return ""
    start -= 1
    while script.word(start - 1) == ",":
        start -= 2
    return script.word(start)


def added(parser: GoParser, block: JsFunction, name: str) -> Iterator[tuple[str, ast.expr]]:
    """(attribute, value) of `item["pk"] = &types.AttributeValueMemberS{…}`."""
    script = parser.script
    for at in range(block.begin, block.end) if name else ():
        words = [script.word(n) for n in (at, at + 1, at + 4)]
        if words == [name, "[", "="] and script.tokens[at + 2].kind == "str":
            yield script.word(at + 2).strip('"'), parser.expression(at + 5)[0]
