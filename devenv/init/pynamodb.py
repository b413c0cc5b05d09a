"""PynamoDB: the tables of its models, and their queries as those of boto3 that they send. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from devenv.core.value import Value
from devenv.init.code import Attribute, Code, Function, Shape
from devenv.init.source import Scope, Unclear, module_scope, value_of
from devenv.init.tables import Found, accept

KINDS: Final = {
    "UnicodeAttribute": ("S", "string"),
    "NumberAttribute": ("N", "number"),
    "UTCDateTimeAttribute": ("S", "time"),
    "VersionAttribute": ("N", "number"),
    "TTLAttribute": ("N", "number"),
    "BinaryAttribute": ("B", "binary"),
    "BooleanAttribute": ("", "boolean"),
    "ListAttribute": ("", "list"),
    "MapAttribute": ("", "map"),
    "JSONAttribute": ("S", "string"),
    "UnicodeSetAttribute": ("", "set"),
    "NumberSetAttribute": ("", "set"),
}
INDEXES: Final = {"GlobalSecondaryIndex": "GlobalSecondaryIndexes", "LocalSecondaryIndex": "LocalSecondaryIndexes"}
PROJECTIONS: Final = {"AllProjection": "ALL", "KeysOnlyProjection": "KEYS_ONLY"}
OPTIONS: Final = {"scan_index_forward": "ScanIndexForward", "limit": "Limit"}
CONDITIONS: Final = ("startswith", "begins_with")


class PynamoField(Value, frozen=True):
    """One attribute of a model: its name in the table, its types, its part in the key, and whether it may lack."""

    name: str
    kind: str
    declared: str
    role: str
    optional: bool


class PynamoModel(Value, frozen=True):
    """A model: its table, its fields by their names in Python, and field -> (name, kind, fields) of its indexes."""

    file: str
    line: int
    name: str
    table: str
    fields: Mapping[str, PynamoField]
    indexes: Mapping[str, tuple[str, str, Mapping[str, PynamoField], str]]

    def key(self, index: str | None = None) -> list[str]:
        """The attributes of its key, or of that of an index, the hash key first."""
        fields = self.indexes[index][2] if index else self.fields
        return [f.name for role in ("HASH", "RANGE") for f in fields.values() if f.role == role]


def pynamo_models(trees: Mapping[str, ast.Module], variables: Mapping[str, str]) -> dict[str, PynamoModel]:
    """Class -> model, of the classes whose table has a name that is known."""
    own = {file: tree for file, tree in trees.items() if uses_pynamodb(tree)}
    classes = [(file, tree, n) for file, tree in own.items() for n in tree.body if isinstance(n, ast.ClassDef)]
    indexes = {node.name: (kind, node) for _, _, node in classes if (kind := index_kind(node))}
    bases = {node.name: node for _, _, node in classes}
    found: dict[str, PynamoModel] = {}
    for file, tree, node in classes:
        if node.name in indexes or not is_model(node, bases):
            continue
        body = [part for each in lineage(node, bases) for part in each.body]
        scope = module_scope(tree, variables)
        name = meta_of(body, "table_name", scope)
        if name is None:
            continue
        fields = dict(fields_of(body))
        used = dict[str, tuple[str, str, Mapping[str, PynamoField], str]]()
        for part in body:
            match part:
                case ast.Assign(targets=[ast.Name(id=field)], value=ast.Call(func=ast.Name(id=kind))) if (
                    kind in indexes
                ):
                    how, index = indexes[kind]
                    called = meta_of(index.body, "index_name", scope) or field
                    used[field] = (called, how, dict(fields_of(index.body)), projection_of(index.body))
        found[node.name] = PynamoModel(file, node.lineno, node.name, name, fields, used)
    return found


def uses_pynamodb(tree: ast.Module) -> bool:
    """Return True if a module imports PynamoDB, or what may be a model of another one."""
    return any(
        (isinstance(n, ast.ImportFrom) and (n.module or "").partition(".")[0] == "pynamodb")
        or (isinstance(n, ast.Import) and any(a.name.partition(".")[0] == "pynamodb" for a in n.names))
        for n in ast.walk(tree)
    )


def base_names(node: ast.ClassDef) -> list[str]:
    """The last names of a class's bases."""
    return [b.attr if isinstance(b, ast.Attribute) else getattr(b, "id", "") for b in node.bases]


def is_model(node: ast.ClassDef, bases: Mapping[str, ast.ClassDef]) -> bool:
    """Return True for a class below pynamodb's Model."""
    return any("Model" in base_names(each) for each in lineage(node, bases))


def lineage(node: ast.ClassDef, bases: Mapping[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """The classes that a class inherits from, the uppermost first, and itself."""
    found = [node]
    while len(found) < 6:
        above = next((bases[name] for name in base_names(found[0]) if name in bases and bases[name] not in found), None)
        if above is None:
            break
        found.insert(0, above)
    return found


def index_kind(node: ast.ClassDef) -> str | None:
    """The key of a request that an index class belongs to; None for any other class."""
    return next((INDEXES[name] for name in base_names(node) if name in INDEXES), None)


def meta_of(body: list[ast.stmt], name: str, scope: Scope) -> str | None:
    """The text that the last class Meta gives a name; None where it is computed."""
    for part in reversed(body):
        if isinstance(part, ast.ClassDef) and part.name == "Meta":
            for each in part.body:
                match each:
                    case ast.Assign(targets=[ast.Name(id=given)], value=value) if given == name:
                        try:
                            text = value_of(value, scope)
                        except Unclear:
                            return None
                        return text if isinstance(text, str) and text else None
    return None


def projection_of(body: list[ast.stmt]) -> str:
    """The projection of an index: of chosen attributes, all."""
    names = {getattr(n.func, "id", "") for part in body for n in ast.walk(part) if isinstance(n, ast.Call)}
    return next((kind for name, kind in PROJECTIONS.items() if name in names), "ALL")


def fields_of(body: list[ast.stmt]) -> Iterator[tuple[str, PynamoField]]:
    """(name in Python, field) of the attributes of a class."""
    for part in body:
        match part:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=made) as call)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=made) as call)
            ):
                pass
            case _:
                continue
        kind = made.attr if isinstance(made, ast.Attribute) else getattr(made, "id", "")
        if not kind.endswith("Attribute"):
            continue
        words = {word.arg: word.value for word in call.keywords}
        role = "HASH" if is_true(words.get("hash_key")) else "RANGE" if is_true(words.get("range_key")) else ""
        stored, declared = KINDS.get(kind, ("S" if role else "", ""))
        given = words.get("attr_name")
        attribute = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else name
        yield name, PynamoField(attribute, stored, declared, role, is_true(words.get("null")))


def is_true(node: ast.expr | None) -> bool:
    """Return True for the constant True."""
    return isinstance(node, ast.Constant) and node.value is True


def pynamo_tables(models: Mapping[str, PynamoModel]) -> list[Found]:
    """The tables of the models."""
    made = [accept(each.file, each.line, request_of(each)) for each in models.values()]
    return [table for table in made if table is not None]


def request_of(model: PynamoModel) -> dict[str, Any]:
    """The CreateTable request of a model."""
    keyed = [f for f in model.fields.values() if f.role]
    keyed += [f for _, _, fields, _ in model.indexes.values() for f in fields.values() if f.role]
    types = {field.name: field.kind or "S" for field in keyed}
    request: dict[str, Any] = {
        "TableName": model.table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": kind} for n, kind in types.items()],
        "KeySchema": schema(model.key()),
    }
    for field, (name, kind, _, projection) in model.indexes.items():
        index = {
            "IndexName": name,
            "KeySchema": schema(model.key(field)),
            "Projection": {"ProjectionType": projection},
        }
        request.setdefault(kind, []).append(index)
    return request


def schema(names: list[str]) -> list[dict[str, str]]:
    """A KeySchema of the hash key and the sort key."""
    return [{"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def pynamo_items(models: Mapping[str, PynamoModel]) -> Iterator[Code]:
    """The items of the models, as findings in their files."""
    for model in models.values():
        attributes = {
            f.name: Attribute(f.declared + ("?" if f.optional and f.declared and not f.role else ""), None)
            for f in model.fields.values()
        }
        shape = Shape(Function(model.file, model.line, model.name), model.line, attributes)
        yield Code(model.file, (), (), (shape,), (), {}, {}, uses_dynamodb=False, writes=False)


def with_pynamo_queries(trees: Mapping[str, ast.Module], models: Mapping[str, PynamoModel]) -> Mapping[str, ast.Module]:
    """The same files, with the request of boto3 in the places of `Watering.query(…)` and `Watering.get(…)`."""
    if not models:
        return trees
    sending = Sending(models)
    return {file: ast.fix_missing_locations(sending.visit(tree)) for file, tree in trees.items()}


class Sending(ast.NodeTransformer):
    """Replaces the calls of models by requests of boto3, and attributes of what they give by those of items."""

    def __init__(self, models: Mapping[str, PynamoModel]) -> None:
        self.models = models

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """`[{"at": w.watered_at} for w in Watering.query(…)]`: each `w.watered_at` is `w["watered_at"]`."""
        model = self.model_of(node.generators[0].iter)
        self.generic_visit(node)
        target = node.generators[0].target
        if model is None or not isinstance(target, ast.Name):
            return node
        node.elt = Showing(target.id, model).visit(node.elt)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The request that a call sends; else the call."""
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr="create_table" | "exists") if name in self.models:
                # The model tells its definition.
                return ast.copy_location(ast.Constant(None), node)
        found = self.asked(node)
        if found is None:
            return node
        model, index, method = found
        made = request(model, index, method, node)
        if made is None:
            return node
        for each in ast.walk(made):
            if isinstance(each, ast.expr) and not hasattr(each, "lineno"):
                ast.copy_location(each, node)
        return made

    def model_of(self, node: ast.expr) -> PynamoModel | None:
        """The model whose items an expression gives."""
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("list", "sorted") and node.args:
            node = node.args[0]
        found = self.asked(node) if isinstance(node, ast.Call) else None
        return found[0] if found else None

    def asked(self, node: ast.Call) -> tuple[PynamoModel, str | None, str] | None:
        """(model, index, method) of `Watering.query(…)` and `Watering.plant_index.query(…)`."""
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr="query" | "get" as method) if name in self.models:
                return self.models[name], None, method
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr=index), attr="query" as method) if (
                name in self.models and index in self.models[name].indexes
            ):
                return self.models[name], index, method
        return None


class Showing(ast.NodeTransformer):
    """Puts `w["at"]` in the place of `w.at`, and `w` in that of what shows a whole item."""

    def __init__(self, name: str, model: PynamoModel) -> None:
        self.name = name
        self.model = model

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """The attribute of the item, if the model has it."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self.name and node.attr in self.model.fields:
            key = ast.Constant(self.model.fields[node.attr].name)
            return ast.copy_location(ast.Subscript(node.value, key, ast.Load()), node)
        return node


def request(model: PynamoModel, index: str | None, method: str, call: ast.Call) -> ast.expr | None:
    """The request of boto3 that a call of a model sends; None where its key is not spelt out."""
    key = model.key(index)
    words = {str(word.arg): word.value for word in call.keywords if word.arg}
    given = [*call.args]
    for name in ("hash_key", "range_key"):
        if name in words and (name == "hash_key" or method == "get"):
            given.append(words[name])
    if not given or any(isinstance(each, ast.Starred) for each in given):
        return None
    table = f'boto3.resource("dynamodb").Table({model.table!r})'
    if method == "get":
        if len(given) < len(key):
            return None
        made = parsed(f"{table}.get_item(Key={{}})")
        made.keywords[0].value = ast.Dict(
            [ast.Constant(name) for name in key], [deepcopy(v) for v in given[: len(key)]]
        )
        return made
    made = parsed(f"{table}.query(KeyConditionExpression=Key({key[0]!r}).eq(_))")
    condition: ast.expr = made.keywords[0].value
    assert isinstance(condition, ast.Call)  # noqa: S101 - as parsed above
    condition.args = [deepcopy(given[0])]
    narrowed = words.get("range_key_condition") or (given[1] if len(given) > 1 else None)
    match narrowed:
        case ast.Call(func=ast.Attribute(attr=how), args=[value]) if how in CONDITIONS and len(key) > 1:
            second = parsed(f"Key({key[1]!r}).begins_with(_)")
            second.args = [deepcopy(value)]
            made.keywords[0].value = ast.BinOp(condition, ast.BitAnd(), second)
    made.keywords += [ast.keyword(OPTIONS[n], deepcopy(words[n])) for n in OPTIONS if n in words]
    if index:
        made.keywords.append(ast.keyword("IndexName", ast.Constant(model.indexes[index][0])))
    # It requests the next pages by itself.
    if "limit" not in words:
        made.keywords.append(ast.keyword("ExclusiveStartKey", ast.Constant(None)))
    return made


def parsed(text: str) -> ast.Call:
    """The call that a text is, without places in a file."""
    made = ast.parse(text, mode="eval").body
    assert isinstance(made, ast.Call)  # noqa: S101 - the texts above are calls
    for node in ast.walk(made):
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            vars(node).pop(name, None)
    return made
