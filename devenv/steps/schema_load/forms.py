"""Table definitions as people have them: requests, DescribeTable's answer, CloudFormation and SAM, AWS CLI commands.

All become CreateTable requests. What a local table can have is carried over: both kinds of index, streams, tags,
deletion protection, and TTL, which is a request of its own.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.steps.seed.documents import read_json
from devenv.steps.step import SourceFile

KEPT: Final = (
    "TableName", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "BillingMode",
    "ProvisionedThroughput", "StreamSpecification", "Tags", "DeletionProtectionEnabled",
    "SSESpecification", "TableClass", "OnDemandThroughput",
)  # fmt: skip
# What DynamoDB Local has no use for.
IGNORED: Final = ("SSESpecification", "TableClass", "OnDemandThroughput")
INDEX_KEPT: Final = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")
SECTIONS: Final = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
TABLES: Final = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable")
# Of the answer of DescribeTable, what says nothing about how the table is to be made.
ANSWERED: Final = late(
    r"Table(Status|SizeBytes|Arn|Id|ClassSummary)|ItemCount|CreationDateTime|Latest\w+|BillingModeSummary|WarmThroughput"
    r"|SSEDescription|ArchivalSummary|RestoreSummary|Replicas|GlobalTable\w+"
)
# A text in quotes, such as the JSON of an index, may go over several lines.
CREATE: Final = late(
    r"\baws(?:local)?\b(?:[^\n]|\\\n)*?\bdynamodb\s+(create-table|update-time-to-live)\b"
    r"((?:\\\n|'[^']*'|\"(?:\\.|[^\"\\])*\"|[^\n;&|])*)"
)
OPTIONS: Final = {
    "table-name": "TableName",
    "attribute-definitions": "AttributeDefinitions",
    "key-schema": "KeySchema",
    "global-secondary-indexes": "GlobalSecondaryIndexes",
    "local-secondary-indexes": "LocalSecondaryIndexes",
    "billing-mode": "BillingMode",
    "provisioned-throughput": "ProvisionedThroughput",
    "stream-specification": "StreamSpecification",
    "tags": "Tags",
    "time-to-live-specification": "TimeToLiveSpecification",
}
LISTS: Final = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "Tags")


class TableDefinitions(msgspec.Struct):
    """The tables that a file defines. `ttl` maps tables to the attribute after which items expire."""

    requests: list[Mapping[str, Any]] = msgspec.field(default_factory=list)
    ttl: dict[str, str] = msgspec.field(default_factory=dict)
    left_out: list[str] = msgspec.field(default_factory=list)

    def add(self, request: Mapping[str, Any], place: str) -> None:
        """Add one table, made of what a CreateTable request can have."""
        made = {name: request[name] for name in KEPT if request.get(name) is not None and name not in IGNORED}
        for section in SECTIONS:
            if isinstance(made.get(section), list):
                made[section] = [cut(index) for index in made[section]]
        made = {name: value for name, value in {**made, **billing(request, made)}.items() if value is not None}
        stream = made.get("StreamSpecification")
        if isinstance(stream, Mapping) and stream.get("StreamViewType") and "StreamEnabled" not in stream:
            made["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream["StreamViewType"]}
        if isinstance(ttl := request.get("TimeToLiveSpecification"), Mapping) and ttl.get("Enabled", True) is not False:
            self.ttl[str(request.get("TableName"))] = str(ttl.get("AttributeName"))
        known = {*KEPT, "TimeToLiveSpecification"} - set(IGNORED)
        rest = [name for name in request if name not in known and not ANSWERED.fullmatch(str(name))]
        if rest:
            self.left_out.append(f"{place}: {', '.join(map(str, rest))} of table {request.get('TableName')}")
        self.requests.append(made)


def read_file(file: SourceFile) -> TableDefinitions:
    """The tables of one file. UsageError when it is in no known form."""
    found = TableDefinitions()
    if CREATE.search(file.text) or file.name.endswith((".sh", ".bash")):
        read_script(file, found)
    elif file.name.endswith((".yaml", ".yml", ".template")) or '"AWS::' in file.text:
        read_template(file, found)
    else:
        tree = read_json(file)
        for each in tree if isinstance(tree, list) else [tree]:
            if isinstance(each, Mapping) and isinstance(each.get("Table"), Mapping):
                found.add(each["Table"], file.name)
            elif isinstance(each, Mapping) and "KeySchema" in each:
                found.add(each, file.name)
            else:
                # In no form of ours: what it lacks is said where requests are checked.
                found.requests.append(each)
    return found


def read_template(file: SourceFile, found: TableDefinitions) -> None:
    """The tables of a CloudFormation or SAM template. UsageError when it has none, or one without a key."""
    from devenv.aws import cloudformation

    try:
        resources = cloudformation.read_template(file.name, file.text, defaults=True)
    except cloudformation.UnreadableTemplate as error:
        raise UsageError(f"{file.name} cannot be read as a template", detail=str(error)) from None
    for resource in resources:
        if resource.kind not in TABLES:
            continue
        properties = resource.properties
        if resource.kind == "AWS::Serverless::SimpleTable":
            properties = {**properties, **simple_key(properties)}
        if "KeySchema" not in properties:
            raise UsageError(
                f"{file.name}: resource {resource.name} ({resource.kind}) has no KeySchema",
                detail="a table needs KeySchema and AttributeDefinitions among its Properties",
                hint=f"correct {file.name}, or define the table in a file of its own",
            )
        name = properties.get("TableName")
        known = isinstance(name, str) and bool(name) and not set("${*") & set(name)
        found.add({**of_template(properties), "TableName": name if known else resource.name}, file.name)
        if properties.get("Replicas"):
            found.left_out.append(f"{file.name}: Replicas of table {name if known else resource.name}")
    if not found.requests:
        raise UsageError(
            f"{file.name} defines no table",
            detail=f"a template defines a table by a resource of type {' or '.join(TABLES)}",
            hint="name another file in [steps.schema-load] of devenv.toml",
        )


def of_template(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A template's properties in the form of a request: sizes per replica and computed values are dropped."""
    plain = {key: value for key, value in properties.items() if key not in ("Replicas", "PrimaryKey")}
    plain.pop("WriteProvisionedThroughputSettings", None)
    if any("WriteProvisionedThroughputSettings" in index for index in plain.get("GlobalSecondaryIndexes") or ()):
        plain["BillingMode"] = "PAY_PER_REQUEST"
    if properties.get("Replicas") and "BillingMode" not in plain:
        plain["BillingMode"] = "PAY_PER_REQUEST"
    replicas = [each for each in properties.get("Replicas") or () if isinstance(each, Mapping)]
    if protected := [each["DeletionProtectionEnabled"] for each in replicas if "DeletionProtectionEnabled" in each]:
        plain.setdefault("DeletionProtectionEnabled", protected[0])
    if isinstance(plain.get("Tags"), Mapping):
        plain["Tags"] = [{"Key": str(key), "Value": str(value)} for key, value in plain["Tags"].items()]
    if isinstance(tags := plain.get("Tags"), list):
        plain["Tags"] = [tag for tag in tags if isinstance(tag, Mapping) and isinstance(tag.get("Value"), str)]
    return plain


def simple_key(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The key that SAM makes for a SimpleTable: by default `id`, a text."""
    key = properties.get("PrimaryKey") or {}
    name, kind = key.get("Name", "id"), {"Number": "N", "Binary": "B"}.get(key.get("Type", "String"), "S")
    return {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind}],
        "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
    }


def read_script(file: SourceFile, found: TableDefinitions) -> None:
    """The tables of `aws dynamodb create-table` commands. UsageError names the line of one that is not clear."""
    for match in CREATE.finditer(file.text):
        place = f"{file.name}:{file.text.count(chr(10), 0, match.start()) + 1}"
        try:
            request = options(match[2].replace("\\\n", " "), file, place)
        except ValueError as error:
            raise UsageError(f"{place}: {error}", hint=f"correct {file.name}, or write the request as JSON") from None
        if match[1] == "create-table":
            found.add(request, place)
        elif isinstance(ttl := request.get("TimeToLiveSpecification"), Mapping):
            found.ttl[str(request.get("TableName"))] = str(ttl.get("AttributeName"))
    if not found.requests:
        raise UsageError(
            f"{file.name} has no `aws dynamodb create-table`",
            hint=f'run it as a command: [steps.schema-load] command = ["bash", "{file.name}"]',
        )


def options(text: str, file: SourceFile, place: str) -> dict[str, Any]:
    """The request of one command line. ValueError for what cannot be read."""
    request: dict[str, Any] = {}
    words = shlex.split(text, comments=True)
    for name, values in groups(words):
        if name == "cli-input-json" and values and not values[0].startswith("file:"):
            request |= json.loads(values[0])
        elif name == "deletion-protection-enabled":
            request["DeletionProtectionEnabled"] = True
        elif name in OPTIONS:
            key = OPTIONS[name]
            if any("$" in value for value in values):
                raise ValueError(f"--{name} contains a shell variable: {' '.join(values)}")
            parsed = [part for value in values for part in shorthand(value)]
            request[key] = parsed if key in LISTS else parsed[0] if parsed else ""
        elif name == "cli-input-json":
            raise ValueError(f"--cli-input-json {' '.join(values)}: name that file in [steps.schema-load] instead")
    return request


def groups(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """(option, its values) of a command line."""
    name, values = "", list[str]()
    for word in words:
        if word.startswith("--"):
            if name:
                yield name, values
            name, _, value = word[2:].partition("=")
            values = [value] if value else []
        else:
            values.append(word)
    if name:
        yield name, values


def shorthand(text: str) -> list[Any]:
    """Return what one word of the AWS CLI stands for: JSON, a plain word, or `A=b,C=[{D=e}]`. ValueError."""
    if text.lstrip().startswith(("{", "[")):
        parsed = json.loads(text) if '"' in text else Shorthand(text).value()
        return parsed if isinstance(parsed, list) else [parsed]
    return [Shorthand(text).pairs("")] if "=" in text else [scalar(text)]


class Shorthand:
    """The AWS CLI's short form, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = "".join(text.split()), 0

    def value(self) -> Any:
        """A map in braces, a list in brackets, or a word. ValueError."""
        start = self.text[self.at : self.at + 1]
        if start == "{":
            self.at += 1
            return self.pairs("}")
        if start == "[":
            self.at += 1
            return self.list()
        found = re.compile(r"[^,\[\]{}=]*").match(self.text, self.at)
        word = found[0] if found else ""
        self.at += len(word)
        return scalar(word)

    def list(self) -> list[Any]:
        """The members up to `]`."""
        members: list[Any] = []
        while self.at < len(self.text):
            if self.text[self.at] == "]":
                self.at += 1
                return members
            if self.text[self.at] == ",":
                self.at += 1
            else:
                members.append(self.value())
        raise ValueError("a bracket [ is never closed")

    def pairs(self, end: str) -> dict[str, Any]:
        """`A=b,C=d` up to `end`."""
        made: dict[str, Any] = {}
        while self.at < len(self.text):
            if end and self.text[self.at] == end:
                self.at += 1
                return made
            found = re.compile(r",?([\w:]+)=").match(self.text, self.at)
            if found is None:
                raise ValueError(f"{self.text[self.at : self.at + 40]!r} is not NAME=VALUE")
            self.at = found.end()
            made[found[1]] = self.value()
        if end:
            raise ValueError("a brace { is never closed")
        return made


def scalar(word: str) -> Any:
    """A word as a number or a truth value where it is one."""
    if re.fullmatch(r"\d+", word):
        return int(word)
    return {"true": True, "false": False}.get(word.lower(), word)


def cut(index: Any) -> Any:
    if not isinstance(index, Mapping):
        return index
    kept = {name: index[name] for name in INDEX_KEPT if index.get(name) is not None}
    throughput = sizes(kept.get("ProvisionedThroughput"))
    if throughput is None:
        kept.pop("ProvisionedThroughput", None)
    else:
        kept["ProvisionedThroughput"] = throughput
    return kept


def sizes(throughput: Any) -> dict[str, Any] | None:
    """Provisioned sizes without what only an answer has; None where there are none."""
    if not isinstance(throughput, Mapping):
        return None
    found = {name: throughput.get(name) for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
    return found if all(not isinstance(size, str) and size for size in found.values()) else None


def billing(request: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Billing as a request must have it: on demand unless both sizes are known."""
    summary = request.get("BillingModeSummary")
    mode = made.get("BillingMode") or (summary.get("BillingMode") if isinstance(summary, Mapping) else None)
    throughput = sizes(made.get("ProvisionedThroughput"))
    if isinstance(mode, str) and mode not in ("PAY_PER_REQUEST", "PROVISIONED") and "${" not in mode:
        return {"BillingMode": mode}
    indexes = [index for index in made.get("GlobalSecondaryIndexes") or () if isinstance(index, dict)]
    if mode == "PAY_PER_REQUEST" or throughput is None:
        for index in indexes:
            index.pop("ProvisionedThroughput", None)
        return {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": None}
    for index in indexes:
        index.setdefault("ProvisionedThroughput", throughput)
    return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput}
