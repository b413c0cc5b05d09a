"""Terraform files: their resources in CloudFormation's form, with references resolved where the text allows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.aws import hcl
from devenv.aws.cloudformation import Resource, UnreadableTemplate
from devenv.aws.documents import as_list
from devenv.aws.hcl import Block
from devenv.aws.surroundings import is_open

DEPTH: Final = 10
REFERENCE: Final = re.compile(r"\$\{\s*([\w.\-\[\]\"*]+)\s*\}")
INDEX: Final = re.compile(r"\[[^\]]*\]")
OWN: Final = re.compile(r"data\.aws_(caller_identity|region|partition)\.\w+\.\w+")


def read_terraform(files: Mapping[str, str]) -> list[Resource]:
    """The resources of the files of one folder, which Terraform reads as one. Unreadable for a broken file."""
    blocks: list[tuple[str, Block]] = []
    for file, text in files.items():
        try:
            blocks += [(file, block) for block in hcl.read(text)]
        except hcl.Broken as error:
            raise UnreadableTemplate(f"{file}: {error}") from None
    return list(Module(blocks).resources())


@dataclass
class Module:
    """The blocks of one folder, and what their names stand for."""

    blocks: Sequence[tuple[str, Block]]
    busy: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.named: dict[str, Block] = {}
        self.locals: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        for _, block in self.blocks:
            match block.kind, block.labels:
                case "resource", (kind, name):
                    self.named[f"{kind}.{name}"] = block
                case "data", (kind, name):
                    self.named[f"data.{kind}.{name}"] = block
                case "locals", ():
                    self.locals |= block.attributes
                case "variable", (name,):
                    self.defaults[name] = block.attributes.get("default")

    def resources(self) -> Iterator[Resource]:
        """Every resource that the checks know."""
        regions = self.provider_regions()
        for file, block in self.blocks:
            if block.kind == "module" and not str(block.attributes.get("source", "")).startswith("."):
                # A local one is read as a folder of its own; what another one makes is not known.
                yield Resource(f"{file}: module.{'.'.join(block.labels)}", "", "Module", {})
            if block.kind == "resource" and len(block.labels) == 2:
                kind, name = block.labels
                if kind not in KINDS or block.attributes.get("count") == 0:
                    continue
                alias = str(block.attributes.get("provider", "aws.default")).strip("${}").partition(".")[2]
                where = f"{file}: {kind}.{name}"
                for made, properties in KINDS[kind](self, block):
                    yield Resource(where, f"{kind}.{name}", made, properties, regions.get(alias or "default"))

    def provider_regions(self) -> dict[str, str]:
        """Alias -> region of the AWS providers, where it is spelt out."""
        found = {}
        for _, block in self.blocks:
            if block.kind == "provider" and block.labels == ("aws",):
                region = self.value(block.attributes.get("region"))
                if isinstance(region, str) and not is_open(region):
                    found[str(block.attributes.get("alias", "default"))] = region
        return found

    def value(self, part: Any, depth: int = 0) -> Any:
        """A value with its references worked out."""
        if depth > DEPTH:
            return part
        if isinstance(part, list):
            return [self.value(each, depth) for each in part]
        if isinstance(part, dict):
            return {name: self.value(each, depth) for name, each in part.items()}
        if not isinstance(part, str) or "${" not in part:
            return part
        if whole := REFERENCE.fullmatch(part):
            return self.reference(whole[1], depth + 1)

        def fill(match: re.Match[str]) -> str:
            found = self.reference(match[1], depth + 1)
            return str(found) if isinstance(found, str | int) else match[0]

        return REFERENCE.sub(fill, part)

    def reference(self, written: str, depth: int) -> Any:
        """Resolve `var.x`, `local.x`, `kind.name.attribute` stand for; the reference itself where that is not known."""
        unknown = f"${{{written}}}"
        name = INDEX.sub("", written)
        if name in self.busy:
            return unknown
        self.busy.append(name)
        try:
            return self.look_up(name, depth, unknown)
        finally:
            self.busy.pop()

    def look_up(self, name: str, depth: int, unknown: str) -> Any:
        """The same for a name without indexes that is not being worked out already."""
        if OWN.fullmatch(name):
            return "*"
        head, _, rest = name.partition(".")
        if head in ("var", "local") and rest:
            source = self.defaults if head == "var" else self.locals
            found = source.get(rest.split(".")[0])
            return unknown if found is None or "." in rest else self.value(found, depth)
        address, _, attribute = name.rpartition(".")
        block = self.named.get(address)
        if block is None:
            return unknown
        if address.startswith("data.aws_iam_policy_document.") and attribute == "json":
            return policy_document(self, block)
        if address.startswith("data.aws_vpc_endpoint_service.") and attribute == "service_name":
            return f"com.amazonaws.*.{block.attributes.get('service')}"
        if block.labels[0] in ("aws_dynamodb_table", "aws_dynamodb_global_table"):
            table = self.value(block.attributes.get("name"), depth)
            if isinstance(table, str) and attribute in ("arn", "stream_arn"):
                return f"arn:*:dynamodb:*:*:table/{table}" + ("/stream/*" if attribute == "stream_arn" else "")
            return table if attribute in ("name", "id") and isinstance(table, str) else unknown
        # Users, groups and policies are known to others by their address: one name for all their attributes.
        return f"${{{address}}}" if attribute in ("name", "id", "arn") else unknown


def policy_document(module: Module, block: Block) -> dict[str, Any]:
    """The policy of a `data "aws_iam_policy_document"`."""
    statements = []
    for each in block.inner("statement"):
        given = module.value(each.attributes)
        made: dict[str, Any] = {"Effect": given.get("effect", "Allow")}
        for theirs, ours in (
            ("actions", "Action"),
            ("not_actions", "NotAction"),
            ("resources", "Resource"),
            ("not_resources", "NotResource"),
        ):
            if theirs in given:
                made[ours] = given[theirs]
        if each.inner("condition"):
            made["Condition"] = {str(inner.attributes.get("test")): {} for inner in each.inner("condition")}
        statements.append(made)
    return {"Statement": statements}


Made = Iterator[tuple[str, dict[str, Any]]]
OPERATORS: Final = {
    "equals": "Equals",
    "not_equals": "NotEquals",
    "starts_with": "StartsWith",
    "not_starts_with": "NotStartsWith",
    "ends_with": "EndsWith",
    "not_ends_with": "NotEndsWith",
}


def trail(module: Module, block: Block) -> Made:
    """`aws_cloudtrail`."""
    given = module.value(block.attributes)
    yield (
        "AWS::CloudTrail::Trail",
        {
            "IsLogging": given.get("enable_logging", True),
            "IsMultiRegionTrail": given.get("is_multi_region_trail", False),
            "EventSelectors": [basic_selector(module, each) for each in block.inner("event_selector")],
            "AdvancedEventSelectors": [
                {"FieldSelectors": [field_selector(module, part) for part in each.inner("field_selector")]}
                for each in block.inner("advanced_event_selector")
            ],
        },
    )


def basic_selector(module: Module, block: Block) -> dict[str, Any]:
    """`event_selector`."""
    given = module.value(block.attributes)
    resources = [module.value(each.attributes) for each in block.inner("data_resource")]
    return {
        "ReadWriteType": given.get("read_write_type", "All"),
        "IncludeManagementEvents": given.get("include_management_events", True),
        "DataResources": [{"Type": each.get("type"), "Values": each.get("values")} for each in resources],
    }


def field_selector(module: Module, block: Block) -> dict[str, Any]:
    """`field_selector`."""
    given = module.value(block.attributes)
    return {
        "Field": given.get("field"),
        **{ours: as_list(given[theirs]) for theirs, ours in OPERATORS.items() if theirs in given},
    }


def endpoint(module: Module, block: Block) -> Made:
    """`aws_vpc_endpoint`, with the route tables and the policy that other resources give it."""
    given = module.value(block.attributes)
    properties = {
        "ServiceName": given.get("service_name"),
        "VpcEndpointType": given.get("vpc_endpoint_type", "Gateway"),
        "RouteTableIds": given.get("route_table_ids", []),
    }
    mine = f"${{{'.'.join(block.labels)}}}"
    policy = given.get("policy")
    for each in of_kind(module, "aws_vpc_endpoint_route_table_association"):
        if module.value(each.attributes.get("vpc_endpoint_id")) == mine and isinstance(
            properties["RouteTableIds"], list
        ):
            properties["RouteTableIds"] = [*properties["RouteTableIds"], "one"]
    for each in of_kind(module, "aws_vpc_endpoint_policy"):
        if module.value(each.attributes.get("vpc_endpoint_id")) == mine:
            policy = module.value(each.attributes.get("policy"))
    yield "AWS::EC2::VPCEndpoint", properties if policy is None else {**properties, "PolicyDocument": policy}


def of_kind(module: Module, kind: str) -> list[Block]:
    """The resources of one type."""
    return [block for _, block in module.blocks if block.kind == "resource" and block.labels[:1] == (kind,)]


def same(kind: str, *pairs: tuple[str, str]) -> Callable[[Module, Block], Made]:
    """A resource that differs from CloudFormation's in the names of its attributes only."""

    def make(module: Module, block: Block) -> Made:
        given = module.value(block.attributes)
        yield kind, {ours: given[theirs] for theirs, ours in pairs if given.get(theirs) is not None}

    return make


def attachment(module: Module, block: Block) -> Made:
    """A managed policy given to users or groups: as CloudFormation's policy with its own document, or by its name."""
    given = module.value(block.attributes)
    arn = str(given.get("policy_arn", ""))
    target = module.named.get(arn.strip("${}"))
    holders = {
        "Users": [*as_list(given.get("user")), *as_list(given.get("users"))],
        "Groups": [*as_list(given.get("group")), *as_list(given.get("groups"))],
    }
    if target is not None and target.labels[0] == "aws_iam_policy":
        document = module.value(target.attributes.get("policy"))
    else:
        from devenv.aws.documents import ALLOW_ALL, GRANTING, HARMLESS

        name = arn.rpartition("/")[2]
        document = ALLOW_ALL if name in GRANTING else {"Statement": []} if name in HARMLESS else arn
    yield "AWS::IAM::Policy", {**holders, "PolicyDocument": document}


def table(module: Module, block: Block) -> Made:
    """A table's replicas."""
    replicas = [module.value(each.attributes) for each in block.inner("replica")]
    yield "AWS::DynamoDB::GlobalTable", {"Replicas": [{"Region": each.get("region_name")} for each in replicas]}


def table_replica(module: Module, block: Block) -> Made:
    """`aws_dynamodb_table_replica`: it lies in the region of its provider."""
    alias = str(block.attributes.get("provider", "aws.default")).strip("${}").partition(".")[2] or "default"
    region = module.provider_regions().get(alias, "")
    yield "AWS::DynamoDB::GlobalTable", {"Replicas": [{"Region": region}]}


KINDS: Final[Mapping[str, Callable[[Module, Block], Made]]] = {
    "aws_cloudtrail": trail,
    "aws_vpc_endpoint": endpoint,
    "aws_iam_user": same("AWS::IAM::User", ("name", "UserName")),
    "aws_iam_group": same("AWS::IAM::Group", ("name", "GroupName")),
    "aws_iam_access_key": same("AWS::IAM::AccessKey", ("user", "UserName"), ("status", "Status")),
    "aws_iam_user_policy": same("AWS::IAM::UserPolicy", ("user", "UserName"), ("policy", "PolicyDocument")),
    "aws_iam_group_policy": same("AWS::IAM::GroupPolicy", ("group", "GroupName"), ("policy", "PolicyDocument")),
    "aws_iam_user_policy_attachment": attachment,
    "aws_iam_group_policy_attachment": attachment,
    "aws_iam_policy_attachment": attachment,
    "aws_vpc": same("AWS::EC2::VPC"),
    "aws_subnet": same("AWS::EC2::Subnet"),
    "aws_vpn_connection": same("AWS::EC2::VPNConnection"),
    "aws_dx_private_virtual_interface": same("AWS::DirectConnect::PrivateVirtualInterface"),
    "aws_dx_transit_virtual_interface": same("AWS::DirectConnect::TransitVirtualInterface"),
    "aws_dx_public_virtual_interface": same("AWS::DirectConnect::PublicVirtualInterface"),
    "aws_dynamodb_table": table,
    "aws_dynamodb_global_table": table,
    "aws_dynamodb_table_replica": table_replica,
}
