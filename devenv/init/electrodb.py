"""ElectroDB's entities: the table that they imply, their items, and the queries by `Entity.query.NAME(…)`. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from devenv.init.code import Attribute, Function, Query, Shape
from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.javascript_models import ALL, TableRequest, fields, given_name, text_at
from devenv.init.source import Scope, Unclear, entry_of, template_of
from devenv.init.tables import Found, accept

# ElectroDB's types of attributes.
TYPES: Final = {"number": "number", "boolean": "boolean", "list": "list", "map": "map", "set": "set", "any": ""}


@dataclass(frozen=True)
class Model:
    """An entity of ElectroDB: its table, attributes, and index name -> (index, hash key, sort key) with templates.

    Index "" is the table itself; a key is (attribute, template, the names in it).
    """

    name: str
    table: str
    types: Mapping[str, str]
    indexes: Mapping[str, tuple[str, Sequence[ModelKey]]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelKey:
    """The key attribute of an index of ElectroDB, and how it is put together: `$shop#order_` before `{order}`."""

    attribute: str
    head: str
    parts: tuple[tuple[str, str], ...]

    @property
    def template(self) -> str:
        """The whole key."""
        return self.begins(len(self.parts))

    def begins(self, count: int) -> str:
        """The key as far as its first parts are given."""
        made = [f"#{label}{{{name}}}" if label else f"{{{name}}}" for name, label in self.parts[:count]]
        rest = f"#{self.parts[count][1]}" if count < len(self.parts) else ""
        return f"{self.head}{''.join(made)}{rest}"


def read_models(
    script: JsScript, module: Scope, scopes: Mapping[JsFunction, Scope]
) -> Iterator[tuple[str, int, Model]]:
    """(name, line, entity) of every `const order = new Entity({ … }, { table })` whose table and key are spelt out."""
    if "electrodb" not in script.text:
        return
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        if token.text == "Entity" and script.word(at - 1) == "new" and script.word(at + 1) == "(":
            block = script.block_of(at)
            scope = scopes[block] if block else module
            call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
            model = read_model(call.args, scope) if isinstance(call, ast.Call) and call.args else None
            if model is not None:
                yield given_name(script, at), script.line(at), model


def read_model(given: Sequence[ast.expr], scope: Scope) -> Model | None:
    """An entity of ElectroDB; None where its table or key is not spelt out."""
    schema = fields(given[0], scope)
    about = fields(schema.get("model"), scope)
    options = fields(given[1], scope) if len(given) > 1 else {}
    table = text_at(options.get("table") or schema.get("table"), scope)
    entity, service = (text_at(about.get(each), scope) for each in ("entity", "service"))
    version = text_at(about.get("version"), scope) or "1"
    if not (table and entity and service):
        return None
    types: dict[str, str] = {}
    for attribute, node in fields(schema.get("attributes"), scope).items():
        parts = fields(node, scope)
        kind = TYPES.get(text_at(parts.get("type"), scope) or "string", "string")
        always = is_true(parts.get("required")) or "default" in parts
        types[attribute] = kind + ("" if always else "?") if kind else ""
    indexes: dict[str, tuple[str, Sequence[ModelKey]]] = {}
    for called, node in fields(schema.get("indexes"), scope).items():
        parts = fields(node, scope)
        # A collection's sort key is begun by it; its items are of several entities.
        collection = text_at(parts.get("collection"), scope)
        own = f"${collection}#{entity}_{version}" if collection else f"${entity}_{version}"
        keys = [
            made
            for each, head in (("pk", f"${service}"), ("sk", own))
            if (made := read_key(parts.get(each), head, scope)) is not None
        ]
        if keys:
            indexes[called] = (text_at(parts.get("index"), scope) or "", keys)
    return Model(entity, table, types, indexes) if any(not index for index, _ in indexes.values()) else None


def is_true(node: ast.expr | None) -> bool:
    """Return True for `true`."""
    return isinstance(node, ast.Constant) and node.value is True


def read_key(node: ast.expr | None, head: str, scope: Scope) -> ModelKey | None:
    """One key of an index: its field, and its composite attributes with their labels."""
    parts = fields(node, scope)
    attribute = text_at(parts.get("field"), scope)
    listed = entry_of(parts.get("composite") or parts.get("facets"), scope)
    if attribute is None or not isinstance(listed, ast.List):
        return None
    names = [text for each in listed.elts if (text := text_at(each, scope))]
    kept = text_at(parts.get("casing"), scope) in ("none", "upper")
    own = text_at(parts.get("template"), scope)
    if own:
        return ModelKey(attribute, re.sub(r"\$\{(\w+)\}", r"{\1}", own), ())
    labels = [f"{each if kept else each.lower()}_" for each in names]
    return ModelKey(attribute, head if kept else head.lower(), tuple(zip(names, labels, strict=True)))


def of_models(file: str, models: Iterable[tuple[str, int, Model]]) -> Iterator[Found]:
    """The tables that entities of ElectroDB imply: those of one table together."""
    tables: dict[str, tuple[int, TableRequest]] = {}
    for _, line, model in models:
        _, made = tables.setdefault(model.table, (line, TableRequest(model.table)))
        for index, keys in model.indexes.values():
            key = made.key(*((each.attribute, "S") for each in keys))
            if not index:
                made.made["KeySchema"] = key
            elif all(each["IndexName"] != index for each in made.made.get("GlobalSecondaryIndexes", ())):
                made.index("GlobalSecondaryIndexes", index, key, ALL)
    for line, made in tables.values():
        if found := accept(file, line, made.whole()):
            yield found


def model_shape(file: str, line: int, model: Model) -> Shape:
    """The items of an entity of ElectroDB."""
    attributes = {
        each: Attribute(kind.rstrip("?"), f"{{{each}}}" if kind.startswith("string") else None)
        for each, kind in model.types.items()
        if not kind.endswith("?")
    }
    optional = {each: Attribute(kind, None) for each, kind in model.types.items() if kind.endswith("?")}
    keys = {key.attribute: Attribute("string", key.template) for _, keys in model.indexes.values() for key in keys}
    own = {"__edb_e__": Attribute("string", model.name), "__edb_v__": Attribute("string", None)}
    return Shape(Function(file, line, model.name), line, {**keys, **attributes, **optional, **own})


def model_queries(
    script: JsScript,
    models: Mapping[str, Model],
    functions: Mapping[JsFunction, Function],
    whole: Function,
    scopes: Mapping[JsFunction, Scope],
    module: Scope,
) -> Iterator[Query]:
    """`Checkin.query.primary({ showId }).go()`, `Checkin.get({ … }).go()`."""
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        model = models.get(token.text)
        if model is None or script.word(at + 1) != ".":
            continue
        word = script.word(at + 2)
        block = script.block_of(at)
        function, scope = (functions[block], scopes[block]) if block else (whole, module)
        index, keys = own_key(model)
        opening = at + 3
        if word == "query" and script.word(at + 3) == ".":
            index, keys = model.indexes.get(script.word(at + 4), ("", ()))
            opening = at + 5
        elif word != "get":
            continue
        call, _ = parser.call(ast.Name(id="_"), opening, 0) if script.word(opening) == "(" else (None, 0)
        given = fields(call.args[0], scope) if isinstance(call, ast.Call) and call.args else {}
        if not keys or not given:
            continue
        yield query_of(model, index, keys, given, function, script.line(at), scope, single=word == "get")


def own_key(model: Model) -> tuple[str, Sequence[ModelKey]]:
    """The key of the table itself."""
    return next(((index, keys) for index, keys in model.indexes.values() if not index), ("", ()))


def query_of(
    model: Model,
    index: str,
    keys: Sequence[ModelKey],
    given: Mapping[str, ast.expr],
    function: Function,
    line: int,
    scope: Scope,
    *,
    single: bool,
) -> Query:
    """A query of ElectroDB: the hash key, and of the sort key the part that is given."""
    names = {each: place_of(each, node, scope) for each, node in given.items()}

    def filled(template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), template)

    key = {keys[0].attribute: filled(keys[0].template)}
    narrowed, begins = None, ""
    if len(keys) > 1:
        count = next((n for n, (each, _) in enumerate(keys[1].parts) if each not in given), len(keys[1].parts))
        if single:
            key[keys[1].attribute] = filled(keys[1].template)
        else:
            narrowed, begins = keys[1].attribute, filled(keys[1].begins(count))
    return Query(
        function=function,
        line=line,
        operation="GetItem" if single else "Query",
        table=model.table,
        index=index or None,
        key=key,
        narrowed=narrowed,
        narrowed_by=begins,
        begins=begins,
        pages=True,
    )


def place_of(name: str, node: ast.expr, scope: Scope) -> str:
    """A value as it stands in a template: a literal, or a place that is called as the attribute."""
    try:
        text = template_of(node, scope)
    except Unclear:
        return f"{{{name}}}"
    return text if "{" not in text else f"{{{name}}}"
