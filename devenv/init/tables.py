"""Table definitions, wherever a project keeps them: CreateTable requests in JSON, CloudFormation, Terraform, Python."""

from __future__ import annotations

import ast
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.aws import hcl
from devenv.aws.hcl import Block
from devenv.core.errors import UsageError
from devenv.init.compose import YAML_BYTES, read_yaml
from devenv.init.source import Scope, Unclear, module_scope, value_of
from devenv.steps.schema_load.schema_load import check_request

KEPT: Final = (
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
    "StreamSpecification",
    "DeletionProtectionEnabled",
)
NODES: Final = 20_000


@dataclass(frozen=True)
class Found:
    """One table definition. `whole`: the file holds requests and nothing else, so that it can be used as it is.

    `computed` is the template that the real name is put together from, as in `${Stage}-orders`; the table is then
    called as its template calls it.
    """

    file: str
    line: int
    request: Mapping[str, Any]
    whole: bool = False
    computed: str | None = None

    @property
    def table(self) -> str:
        """Its name."""
        return str(self.request["TableName"])


def accept(file: str, line: int, request: Any, *, whole: bool = False) -> Found | None:
    """A definition, if it is one that DynamoDB would take."""
    if not isinstance(request, dict):
        return None
    kept = {name: request[name] for name in KEPT if request.get(name) is not None}
    kept.setdefault("BillingMode", "PROVISIONED" if "ProvisionedThroughput" in kept else "PAY_PER_REQUEST")
    try:
        check_request(kept, file)
        plain(kept, [NODES])
    except (UsageError, Unclear, ValueError, TypeError):
        return None
    return Found(file, line, kept, whole)


def plain(value: Any, left: list[int]) -> Any:
    """The value, counted, as a few lines can stand for millions of nodes. Unclear when so, or if computed."""
    left[0] -= 1
    if left[0] < 0:
        raise Unclear
    if isinstance(value, str) and "${" in value:
        raise Unclear
    if isinstance(value, dict):
        return {str(name): plain(part, left) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part, left) for part in value]
    return value


def read_json_tables(file: str, text: str) -> list[Found]:
    """CreateTable requests of a JSON file, or the tables of a CloudFormation template in JSON."""
    if "KeySchema" not in text:
        return []
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(tree, dict) and "Resources" in tree:
        return list(cloudformation(file, tree))
    requests = tree if isinstance(tree, list) else [tree]
    found = [each for request in requests if (each := accept(file, 1, request, whole=True))]
    return found if len(found) == len(requests) else []


def read_yaml_tables(file: str, text: str) -> list[Found]:
    """The tables of a CloudFormation, SAM or serverless template."""
    if "AWS::DynamoDB::Table" not in text or len(text) > YAML_BYTES:
        return []
    tree = read_yaml(file, text)
    if isinstance(tree, dict) and isinstance(tree.get("resources"), dict):
        tree = tree["resources"]
    return list(cloudformation(file, tree)) if isinstance(tree, dict) else []


def cloudformation(file: str, tree: Mapping[str, Any]) -> Iterator[Found]:
    """The AWS::DynamoDB::Table resources; one without a name is called as the template calls it."""
    resources = tree.get("Resources")
    for name, resource in resources.items() if isinstance(resources, dict) else ():
        if not isinstance(resource, dict) or resource.get("Type") != "AWS::DynamoDB::Table":
            continue
        properties = resource.get("Properties")
        if isinstance(properties, dict):
            given = properties.get("TableName")
            if isinstance(given, dict):
                given = given.get("Fn::Sub") or (f"${{{given['Ref']}}}" if "Ref" in given else None)
            given = fill_in_defaults(given, tree.get("Parameters")) if isinstance(given, str) else None
            plain_name = given if given and "${" not in given else str(name)
            found = accept(file, 1, {**properties, "TableName": plain_name})
            if found is not None:
                yield replace(found, computed=given if given and "${" in given else None)


def fill_in_defaults(text: str, parameters: Any) -> str:
    """`${Stage}-orders` with the defaults of a template's parameters."""
    for name, parameter in parameters.items() if isinstance(parameters, dict) else ():
        default = parameter.get("Default") if isinstance(parameter, dict) else None
        if isinstance(default, str | int) and default != "":
            text = text.replace(f"${{{name}}}", str(default))
    return text


def read_python_tables(file: str, tree: ast.Module, variables: Mapping[str, str]) -> list[Found]:
    """The `create_table(…)` calls whose arguments are spelt out."""
    module = module_scope(tree, variables)
    found: list[Found] = []
    for owner in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        scope = module if isinstance(owner, ast.Module) else module.inside(owner)
        for node in own_nodes(owner):
            match node:
                case ast.Call(func=ast.Attribute(attr="create_table") | ast.Name(id="create_table")):
                    made = accept(file, node.lineno, arguments(node, scope))
                    found += [made] if made is not None and all(made.table != each.table for each in found) else []
    return found


def own_nodes(owner: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module or a function, without those of the functions inside it."""
    pending = deque(ast.iter_child_nodes(owner))
    while pending:
        node = pending.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def arguments(call: ast.Call, scope: Scope) -> dict[str, Any]:
    """The keyword arguments that are spelt out, also those of `**request`."""
    found: dict[str, Any] = {}
    for word in call.keywords:
        try:
            value = value_of(word.value, scope)
        except Unclear:
            continue
        if word.arg is not None:
            found[word.arg] = value
        elif isinstance(value, dict):
            found |= value
    return found


def read_terraform_tables(file: str, text: str) -> list[Found]:
    """The `aws_dynamodb_table` resources that are spelt out; one with a computed name is called by its label."""
    if "aws_dynamodb_table" not in text:
        return []
    try:
        blocks = hcl.read(text)
    except hcl.Broken:
        return []
    found: list[Found] = []
    for block in blocks:
        if block.kind != "resource" or block.labels[:1] != ("aws_dynamodb_table",) or len(block.labels) != 2:
            continue
        named = block.attributes.get("name")
        computed = named if isinstance(named, str) and "${" in named else None
        made = accept(file, block.line, from_terraform(block, block.labels[1] if computed else named))
        found += [replace(made, computed=computed)] if made is not None else []
    return found


def from_terraform(block: Block, name: Any) -> dict[str, Any]:
    """The CreateTable request of a Terraform table."""
    given = spelt_out(block)
    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": each.attributes.get("name"), "AttributeType": each.attributes.get("type")}
            for each in block.inner("attribute")
        ],
        "KeySchema": terraform_key(given),
        "BillingMode": given.get("billing_mode", "PROVISIONED"),
        "DeletionProtectionEnabled": given.get("deletion_protection_enabled"),
    }
    for kind, section in (
        ("global_secondary_index", "GlobalSecondaryIndexes"),
        ("local_secondary_index", "LocalSecondaryIndexes"),
    ):
        if indexes := block.inner(kind):
            request[section] = [terraform_index(spelt_out(each), given) for each in indexes]
    if request["BillingMode"] == "PROVISIONED":
        request["ProvisionedThroughput"] = terraform_capacity(given)
        for index in request.get("GlobalSecondaryIndexes", []):
            index["ProvisionedThroughput"] = terraform_capacity(given)
    return request


def spelt_out(block: Block) -> dict[str, Any]:
    """A block's attributes; None for one that is computed."""
    return {
        name: None if isinstance(value, str) and "${" in value else value for name, value in block.attributes.items()
    }


def terraform_key(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The KeySchema of a table or an index."""
    parts = [(body.get("hash_key"), "HASH"), (body.get("range_key"), "RANGE")]
    return [{"AttributeName": name, "KeyType": kind} for name, kind in parts if name]


def terraform_index(index: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """One index. A local one has the table's hash key."""
    projection: dict[str, Any] = {"ProjectionType": index.get("projection_type", "ALL")}
    if index.get("non_key_attributes"):
        projection["NonKeyAttributes"] = index["non_key_attributes"]
    key = terraform_key({"hash_key": table.get("hash_key"), **index})
    return {"IndexName": index.get("name"), "KeySchema": key, "Projection": projection}


def terraform_capacity(body: Mapping[str, Any]) -> dict[str, int]:
    """ProvisionedThroughput; what is computed counts as 1, as it means nothing to a local table."""
    read, write = body.get("read_capacity"), body.get("write_capacity")
    return {
        "ReadCapacityUnits": read if isinstance(read, int) else 1,
        "WriteCapacityUnits": write if isinstance(write, int) else 1,
    }
