"""Tables that JavaScript declares without a CreateTable request: CDK, SST, dynamodb-toolbox, dynamoose. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from devenv.init.javascript import JsFunction, JsParser, JsScript
from devenv.init.source import Scope, Unclear, dict_of, entries, entry_of, value_of
from devenv.init.tables import Found, accept

SOURCES: Final = re.compile(
    r"['\"](?:aws-cdk-lib(?:/aws-dynamodb)?|@aws-cdk/aws-dynamodb|dynamodb-toolbox[\w/.-]*|dynamoose"
    r"|sst/constructs|@serverless-stack/resources)['\"]|\bsst\.aws\.Dynamo\b"
)
MAKERS: Final = ("Table", "TableV2", "CfnTable", "CfnGlobalTable", "Dynamo", "model")
INDEXES: Final = {
    "addGlobalSecondaryIndex": "GlobalSecondaryIndexes",
    "addLocalSecondaryIndex": "LocalSecondaryIndexes",
}
KINDS: Final = {"string": "S", "number": "N", "binary": "B", "date": "N", "buffer": "B", "s": "S", "n": "N", "b": "B"}
# Options about what DynamoDB Local does not have, and the values of theirs that ask for nothing.
ONLY_AWS: Final = (
    *("pointInTimeRecovery", "pointInTimeRecoverySpecification", "encryption", "replicas", "replicationRegions"),
    *("contributorInsightsEnabled", "contributorInsightsSpecification", "tableClass"),
)
NOTHING: Final = ("undefined", "default", "standard", "dynamoownedkey")
GENERATED: Final = "a name that is generated"


def read_declared(file: str, script: JsScript, module: Scope, scopes: Mapping[JsFunction, Scope]) -> list[Found]:
    """The tables that one file declares, as far as their keys are spelt out."""
    found: list[Found] = []
    if not SOURCES.search(script.text):
        return found
    parser = JsParser(script)
    toolbox = "dynamodb-toolbox" in script.text
    for at, token in enumerate(script.tokens):
        opening = at + 1
        if token.text not in MAKERS or script.word(opening) != "(":
            continue
        block = script.block_of(at)
        scope = scopes[block] if block else module
        call, _ = parser.call(ast.Name(id="_"), opening, 0)
        given = call.args if isinstance(call, ast.Call) else []
        name, line = given_name(script, at), script.line(at)
        if token.text == "model":
            if "dynamoose" in script.text and len(given) > 1:
                keep(found, file, line, dynamoose_request(given, scope))
        elif is_new(script, at):
            request = toolbox_request(given, scope) if toolbox else construct_request(token.text, given, scope)
            if request is not None and not toolbox and name:
                add_indexes(request, name, script, parser, scope)
            keep(found, file, line, request)
    return found


def keep(found: list[Found], file: str, line: int, request: Mapping[str, Any] | None) -> None:
    """Add a table, if it is spelt out."""
    computed = request.get("computed") if request else None
    lost = request.get("lost", ()) if request else ()
    made = accept(file, line, {k: v for k, v in request.items() if k not in ("computed", "lost")}) if request else None
    if made is not None:
        found.append(replace(made, computed=computed, dropped=(*made.dropped, *lost)))


def is_new(script: JsScript, at: int) -> bool:
    """Return True for `new Table(`, `new dynamodb.Table(`, `new sst.aws.Dynamo(`."""
    while script.word(at - 1) == ".":
        at -= 2
    return script.word(at - 1) == "new"


def given_name(script: JsScript, at: int) -> str:
    """The name that what is made is given: `const plays = new Table(…)`, `this.plays = new dynamodb.Table(…)`."""
    while script.word(at - 1) == ".":
        at -= 2
    at -= script.word(at - 1) == "new"
    if script.word(at - 1) != "=":
        return ""
    at -= 2
    while script.word(at - 1) == "<" or script.word(at - 1) == ":":
        at -= 2
    return script.word(at)


def text_at(node: ast.expr | None, scope: Scope) -> str | None:
    """The text that an expression spells out; None for any other."""
    try:
        value = value_of(node, scope) if node is not None else None
    except Unclear:
        return None
    return value if isinstance(value, str) else None


def word_at(node: ast.expr | None, scope: Scope) -> str:
    """`STRING` of `dynamodb.AttributeType.STRING`, `string` of a text, `String` of the name."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(name))) if text_at(node, scope) is None:
            return name
        case ast.Name(id=name) if name not in scope.names:
            return name
    return text_at(node, scope) or ""


def fields(node: ast.expr | None, scope: Scope) -> dict[str, ast.expr]:
    """The entries of an object, also by its name; {} for any other."""
    whole = dict_of(entry_of(node, scope), scope) if node is not None else None
    return entries(whole, scope) if whole is not None else {}


class TableRequest:
    """A CreateTable request that is put together."""

    def __init__(self, name: str) -> None:
        self.types: dict[str, str] = {}
        self.made: dict[str, Any] = {"TableName": name, "BillingMode": "PAY_PER_REQUEST"}

    def key(self, *parts: tuple[str, str] | None) -> list[dict[str, str]]:
        """A KeySchema of (attribute, type), the hash key first."""
        given = [part for part in parts if part]
        self.types |= dict(given)
        return [
            {"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(given, ("HASH", "RANGE"), strict=False)
        ]

    def index(self, kind: str, name: str, key: list[dict[str, str]], projection: Mapping[str, Any]) -> None:
        """Add an index."""
        self.made.setdefault(kind, []).append({"IndexName": name, "KeySchema": key, "Projection": projection})

    def whole(self) -> dict[str, Any]:
        """The request, with the types of its keys."""
        declared = [{"AttributeName": name, "AttributeType": kind} for name, kind in self.types.items()]
        return {**self.made, "AttributeDefinitions": declared}


ALL: Final = {"ProjectionType": "ALL"}


def named_key(node: ast.expr | None, scope: Scope) -> tuple[str, str] | None:
    """(attribute, type) of `{ name: "pk", type: AttributeType.STRING }`, or of a text alone."""
    parts = fields(node, scope)
    name = text_at(parts.get("name"), scope) if parts else text_at(node, scope)
    kind = KINDS.get(word_at(parts.get("type"), scope).lower(), "S") if parts else "S"
    return (name, kind) if name else None


def construct_request(kind: str, given: Sequence[ast.expr], scope: Scope) -> dict[str, Any] | None:
    """The request of a construct of the CDK or of SST; None for one that is not spelt out."""
    options = fields(given[-1], scope) if given else {}
    if kind.startswith("Cfn"):
        return cfn_request(given, scope)
    id_ = next((text for node in given[:-1] if (text := text_at(node, scope))), "")
    name = text_at(options.get("tableName"), scope)
    if "fields" in options or "primaryIndex" in options:
        request = sst_request(name or id_, options, scope)
    else:
        hash_ = named_key(options.get("partitionKey"), scope)
        if hash_ is None:
            return None
        made = TableRequest(name or id_)
        made.made["KeySchema"] = made.key(hash_, named_key(options.get("sortKey"), scope))
        for keyword, place in (("globalSecondaryIndexes", "Global"), ("localSecondaryIndexes", "Local")):
            listed = entry_of(options.get(keyword), scope)
            for each in listed.elts if isinstance(listed, ast.List) else ():
                add_index(made.types, made.made, f"{place}SecondaryIndexes", each, scope)
        request = made.whole()
    view = word_at(options.get("stream") or options.get("dynamoStream"), scope).upper().replace("-", "_")
    if view in ("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY", "NEW_AND_OLD_IMAGE"):
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    ttl = text_at(options.get("timeToLiveAttribute") or options.get("ttl"), scope)
    if ttl:
        request["TimeToLiveSpecification"] = {"Enabled": True, "AttributeName": ttl}
    tags = value_or_none(options.get("tags"), scope)
    if isinstance(tags, list):
        request["Tags"] = capitalised(tags) or None
    request["lost"] = (
        *(name for name in ONLY_AWS if name in options and not asks_nothing(options[name], scope)),
        *(["tags"] if "tags" in options and tags is None else []),
    )
    if not name:
        request["computed"] = GENERATED
    return request


def asks_nothing(node: ast.expr, scope: Scope) -> bool:
    """Return True for `false`, and for the member of an enum that stands for what AWS does by itself."""
    if value_or_none(node, scope) in (False, None, []) and isinstance(node, ast.Constant | ast.List):
        return True
    return word_at(node, scope).lower().replace("_", "") in NOTHING


def value_or_none(node: ast.expr | None, scope: Scope) -> Any:
    """The value of an expression; None for one that is computed."""
    try:
        return value_of(node, scope) if node is not None else None
    except Unclear:
        return None


def cfn_request(given: Sequence[ast.expr], scope: Scope) -> dict[str, Any] | None:
    """The request of `new CfnTable(this, id, { keySchema: [{ attributeName: … }] })`."""
    whole = dict_of(entry_of(given[-1], scope), scope) if given else None
    try:
        value = value_of(whole, scope) if whole is not None else None
    except Unclear:
        return None
    request = capitalised(value)
    if not isinstance(request, dict) or "TableName" not in request:
        return None
    request["lost"] = ("replicas",) if request.pop("Replicas", None) else ()
    return request


def capitalised(value: Any) -> Any:
    """`{keySchema: …}` as `{KeySchema: …}`, at every depth."""
    if isinstance(value, dict):
        return {f"{name[:1].upper()}{name[1:]}": capitalised(part) for name, part in value.items()}
    return [capitalised(part) for part in value] if isinstance(value, list) else value


def sst_request(name: str, options: Mapping[str, ast.expr], scope: Scope) -> dict[str, Any]:
    """The request of SST: `fields`, `primaryIndex`, `globalIndexes`."""
    types = {
        n: KINDS.get(word_at(node, scope).lower(), "S") for n, node in fields(options.get("fields"), scope).items()
    }
    made = TableRequest(name)

    def key(node: ast.expr | None) -> list[dict[str, str]]:
        parts = fields(node, scope)
        names = (
            text_at(parts.get(a) or parts.get(b), scope)
            for a, b in (("hashKey", "partitionKey"), ("rangeKey", "sortKey"))
        )
        return made.key(*((n, types.get(n, "S")) if n else None for n in names))

    made.made["KeySchema"] = key(options.get("primaryIndex"))
    for kind in ("global", "local"):
        for index, node in fields(options.get(f"{kind}Indexes"), scope).items():
            made.index(f"{kind.capitalize()}SecondaryIndexes", index, key(node), ALL)
    return made.whole()


def add_indexes(request: dict[str, Any], name: str, script: JsScript, parser: JsParser, scope: Scope) -> None:
    """Add those of `plays.addGlobalSecondaryIndex({ … })`."""
    types = {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]}
    for at, token in enumerate(script.tokens):
        if token.text in INDEXES and script.word(at - 2) == name and script.word(at + 1) == "(":
            call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
            if isinstance(call, ast.Call) and call.args:
                add_index(types, request, INDEXES[token.text], call.args[0], scope)
    request["AttributeDefinitions"] = [{"AttributeName": n, "AttributeType": kind} for n, kind in types.items()]


def add_index(types: dict[str, str], request: dict[str, Any], kind: str, node: ast.expr, scope: Scope) -> None:
    """Add one index of the CDK; of a local one the hash key is the table's."""
    options = fields(node, scope)
    name = text_at(options.get("indexName"), scope)
    hash_, sort = (named_key(options.get(each), scope) for each in ("partitionKey", "sortKey"))
    own = str(request["KeySchema"][0]["AttributeName"])
    hash_ = hash_ or ((own, types[own]) if kind.startswith("Local") else None)
    if not name or hash_ is None:
        return
    made = TableRequest("")
    key = made.key(hash_, sort)
    types |= made.types
    projection: dict[str, Any] = {"ProjectionType": word_at(options.get("projectionType"), scope) or "ALL"}
    listed = entry_of(options.get("nonKeyAttributes"), scope)
    if isinstance(listed, ast.List):
        projection["NonKeyAttributes"] = [text for each in listed.elts if (text := text_at(each, scope))]
    request.setdefault(kind, []).append({"IndexName": name, "KeySchema": key, "Projection": projection})


def toolbox_request(given: Sequence[ast.expr], scope: Scope) -> dict[str, Any] | None:
    """The request of dynamodb-toolbox's `new Table({ name, partitionKey, sortKey, indexes })`."""
    options = fields(given[0], scope) if given else {}
    name, hash_ = text_at(options.get("name"), scope), named_key(options.get("partitionKey"), scope)
    if not name or hash_ is None:
        return None
    made = TableRequest(name)
    made.made["KeySchema"] = made.key(hash_, named_key(options.get("sortKey"), scope))
    for index, node in fields(options.get("indexes"), scope).items():
        parts = fields(node, scope)
        first, second = named_key(parts.get("partitionKey"), scope), named_key(parts.get("sortKey"), scope)
        kind = "GlobalSecondaryIndexes" if first else "LocalSecondaryIndexes"
        made.index(kind, index, made.key(first or hash_, second), ALL)
    return made.whole()


def dynamoose_request(given: Sequence[ast.expr], scope: Scope) -> dict[str, Any] | None:
    """The request of dynamoose's `model("User", new Schema({ id: { type: String, hashKey: true } }))`."""
    name, node = text_at(given[0], scope), given[1]
    node = scope.names.get(node.id, node) if isinstance(node, ast.Name) else node
    schema = node.args[0] if isinstance(node, ast.Call) and node.args else node
    attributes = fields(schema, scope)
    if not name or not attributes:
        return None
    options = {each: fields(value, scope) for each, value in attributes.items()}
    types = {
        each: KINDS.get(word_at(options[each].get("type") or value, scope).lower(), "S")
        for each, value in attributes.items()
    }
    hash_ = next((each for each, given_ in options.items() if "hashKey" in given_), next(iter(attributes)))
    sort = next((each for each, given_ in options.items() if "rangeKey" in given_ and each != hash_), None)
    made = TableRequest(name)
    made.made["KeySchema"] = made.key((hash_, types[hash_]), (sort, types[sort]) if sort else None)
    for each, given_ in options.items():
        if "index" not in given_:
            continue
        parts = fields(given_["index"], scope)
        kind = text_at(parts.get("type"), scope) or "global"
        index = text_at(parts.get("name"), scope) or f"{each}{kind.capitalize()}Index"
        second = text_at(parts.get("rangeKey"), scope)
        first = (each, types[each]) if kind == "global" else (hash_, types[hash_])
        last = (second, types.get(second, "S")) if second else None
        made.index(
            f"{kind.capitalize()}SecondaryIndexes",
            index,
            made.key(first, last if kind == "global" else (each, types[each])),
            ALL,
        )
    return made.whole()
