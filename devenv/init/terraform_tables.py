"""Tables of Terraform: `aws_dynamodb_table`, with `for_each`, `dynamic` blocks, locals and defaults. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from devenv.aws import hcl
from devenv.aws.hcl import Block
from devenv.init.tables import Found, accept
from devenv.init.unused import REQUEST

DEPTH: Final = 12
TURNS: Final = 200
PATH: Final = r"[A-Za-z_][\w-]*(?:\.[\w-]+|\[\s*(?:\"[^\"\]]*\"|[\w.]+)\s*\])*"
REFERENCE: Final = re.compile(PATH)
PLACE: Final = re.compile(rf"\$\{{\s*({PATH})\s*\}}")
PART: Final = re.compile(r"\.([\w-]+)|\[\s*(?:\"([^\"\]]*)\"|([\w.]+))\s*\]")
# Blocks about what DynamoDB Local does not have.
ONLY_AWS: Final = ("point_in_time_recovery", "server_side_encryption", "replica", "import_table")
CALL: Final = re.compile(r"(\w+)(\(.*\))", re.DOTALL)


def read_terraform_tables(
    file: str, text: str, others: Iterable[str] = (), given: Mapping[str, Any] | None = None
) -> tuple[list[Found], list[str]]:
    """The tables that a file's resources make, and sentences about resources of which only a part is read.

    A table with a computed name is called by its label.

    `others` are the other files of its folder: their locals and their variables' defaults count, too. `given` are
    values of variables, which come before defaults.
    """
    if "aws_dynamodb_table" not in text:
        return [], []
    try:
        blocks = hcl.read(text)
    except hcl.Broken:
        return [], []
    around = [*blocks]
    for other in others:
        try:
            around += hcl.read(other)
        except hcl.Broken:
            continue
    values = Values.of(around, given or {})
    found: list[Found] = []
    notes: list[str] = []
    for block in blocks:
        if block.kind == "resource" and block.labels[:1] == ("aws_dynamodb_table",) and len(block.labels) == 2:
            total, turned = turns(block, values)
            made = list(tables_of(file, block, values, turned))
            found += made
            # A resource that makes none is counted by who reads the file.
            if 0 < len(made) < total:
                left = f"{total - len(made)} of the {total} tables of aws_dynamodb_table.{block.labels[1]}"
                notes.append(f"{file}:{block.line}: {left}, with computed values, or incomplete: {REQUEST}")
    return found, notes


class Values:
    """The values that references stand for: `var`, `local`, `each`, `count`, the names of `dynamic` blocks."""

    def __init__(self, names: Mapping[str, Mapping[str, Any]]) -> None:
        self.names = names

    @classmethod
    def of(cls, blocks: Iterable[Block], given: Mapping[str, Any]) -> Values:
        """The given values of variables, else their defaults, and the locals of a folder."""
        defaults: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for block in blocks:
            if block.kind == "variable" and len(block.labels) == 1 and block.attributes.get("default") is not None:
                defaults[block.labels[0]] = block.attributes["default"]
            elif block.kind == "locals":
                own |= block.attributes
        return cls({"var": {**defaults, **given}, "local": own})

    def bound(self, name: str, values: Mapping[str, Any]) -> Values:
        """The same with a name that has values at this turn."""
        return Values({**self.names, name: values})

    def value(self, part: Any, depth: int = 0) -> Any:
        """A value with its references replaced; `${…}` remains of what is not known."""
        if depth > DEPTH:
            return part
        if isinstance(part, list):
            return [self.value(each, depth + 1) for each in part]
        if isinstance(part, dict):
            return {name: self.value(each, depth + 1) for name, each in part.items()}
        if not isinstance(part, str) or "${" not in part:
            return part
        inner = part[2:-1].strip() if part.startswith("${") and part.endswith("}") else ""
        if REFERENCE.fullmatch(inner):
            return self.reference(inner, part, depth + 1)
        if called := CALL.fullmatch(inner):
            return self.call(called[1], called[2], part, depth + 1)

        def fill(match: re.Match[str]) -> str:
            found = self.reference(match[1], match[0], depth + 1)
            return str(found) if isinstance(found, str | int) else match[0]

        return PLACE.sub(fill, part)

    def reference(self, written: str, unknown: str, depth: int) -> Any:
        """The value of `local.tables["a"].hash`; `unknown` where that is not spelt out."""
        head = re.match(r"[\w-]+", written)
        found: Any = self.names.get(head[0]) if head else None
        for step in PART.finditer(written, head.end() if head else 0):
            key: Any = step[1] if step[1] is not None else step[2]
            if key is None:
                key = int(step[3]) if step[3].isdigit() else self.reference(step[3], "", depth + 1)
            found = self.value(found, depth + 1) if isinstance(found, str) else found
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and str(key).isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return unknown
        return unknown if isinstance(found, Mapping) and found is self.names.get(written) else self.value(found, depth)

    def call(self, name: str, written: str, unknown: str, depth: int) -> Any:
        """The result of a function that only chooses or lists values."""
        try:
            (block,) = hcl.read(f"x {{\ny = {written.replace('(', '[', 1)[:-1]}]\n}}")
        except (hcl.Broken, ValueError):
            return unknown
        given = [self.value(each, depth + 1) for each in block.attributes["y"]]
        return result_of(name, given, unknown)


def result_of(name: str, given: list[Any], unknown: str) -> Any:
    """The result of a function of Terraform; `unknown` for one that computes."""
    match name, given:
        case "try", [*parts]:
            return next((part for part in parts if not is_open(part)), unknown)
        case "coalesce", [*parts]:
            return next((part for part in parts if part not in (None, "") and not is_open(part)), unknown)
        case "lookup", [dict() as whole, str(key), *rest]:
            return whole.get(key, rest[0] if rest else unknown)
        case "keys", [dict() as whole]:
            return [*whole]
        case "values", [dict() as whole]:
            return [*whole.values()]
        case "length", [list() | dict() as whole]:
            return len(whole)
        case "format", [str(text), *parts] if text.count("%") == len(parts) and not any(map(is_open, parts)):
            return re.sub(r"%[sdv]", "{}", text).format(*parts) if "{" not in text else unknown
        case "join", [str(between), list() as parts] if not any(map(is_open, parts)):
            return between.join(map(str, parts))
        case "lower", [str(text)] if not is_open(text):
            return text.lower()
        case "merge", [*parts] if all(isinstance(part, dict) for part in parts):
            return {name: each for part in parts for name, each in part.items()}
        case "toset" | "tolist" | "tomap", [whole]:
            return whole
    return unknown


def is_open(value: Any) -> bool:
    """Return True for a text of which a part is not known."""
    return isinstance(value, str) and "${" in value


def tables_of(file: str, block: Block, values: Values, turned: Iterable[tuple[Any, Values]]) -> Iterator[Found]:
    """The tables of one resource: one for each turn of its `for_each` or `count`."""
    without = Values({name: each for name, each in values.names.items() if name != "var"})
    for key, turn in turned:
        named = turn.value(block.attributes.get("name"))
        inside = {name: turn.names[name] for name in ("each", "count") if name in turn.names}
        template = Values({**without.names, **inside}).value(block.attributes.get("name"))
        label = block.labels[1] if key is None else str(key)
        made = accept(file, block.line, from_terraform(block, label if is_open(named) else named, turn))
        if made is not None:
            computed = named if is_open(named) else template if is_open(template) else None
            lost = (*made.dropped, *lost_parts(block, turn))
            yield replace(made, computed=computed, defaults=not is_open(named), dropped=lost)


def turns(block: Block, values: Values) -> tuple[int, list[tuple[Any, Values]]]:
    """How many tables a resource makes, and (key, values) of the first TURNS; the key is None for a single one."""
    if "for_each" in block.attributes:
        pairs = pairs_of(values.value(block.attributes["for_each"])) or []
        # Of a list, key and value are the same.
        bound = [(key, values.bound("each", {"key": key, "value": value})) for key, value in pairs[:TURNS]]
        return len(pairs), bound
    count = values.value(block.attributes.get("count"))
    if isinstance(count, int) and not isinstance(count, bool):
        return count, [
            (f"{block.labels[-1]}-{n}" if count > 1 else None, values.bound("count", {"index": n}))
            for n in range(min(count, TURNS))
        ]
    return 1, [(None, values)]


def pairs_of(whole: Any) -> list[tuple[Any, Any]] | None:
    """(key, value) of the entries of an object or a list; None for what is not spelt out."""
    if isinstance(whole, dict):
        return [*whole.items()]
    return [(part, part) for part in whole] if isinstance(whole, list) else None


def blocks_of(block: Block, kind: str, values: Values) -> list[dict[str, Any]]:
    """The attributes of the inner blocks of one kind, those of `dynamic` for each turn; None for what is computed."""
    found = [spelt_out(each, values) for each in block.blocks if each.kind == kind]
    for made in block.blocks:
        if made.kind == "dynamic" and made.labels == (kind,):
            iterator = str(made.attributes.get("iterator", kind)).strip("${}")
            pairs = pairs_of(values.value(made.attributes.get("for_each")))
            for key, value in [(None, None)] if pairs is None else pairs[:TURNS]:
                held = values.bound(iterator, {"key": key, "value": value})
                found += [spelt_out(content, held) for content in made.blocks if content.kind == "content"]
    return found


def from_terraform(block: Block, name: Any, values: Values) -> dict[str, Any]:
    """The CreateTable request of a Terraform table."""
    given = spelt_out(block, values)
    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": each.get("name"), "AttributeType": each.get("type")}
            for each in blocks_of(block, "attribute", values)
        ],
        "KeySchema": terraform_key(given),
        "BillingMode": given.get("billing_mode", "PROVISIONED"),
        "DeletionProtectionEnabled": given.get("deletion_protection_enabled"),
    }
    if isinstance(tags := given.get("tags"), dict) and not any(map(is_open, tags.values())):
        request["Tags"] = [{"Key": str(key), "Value": str(tag)} for key, tag in tags.items()] or None
    if given.get("stream_enabled") and given.get("stream_view_type"):
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": given["stream_view_type"]}
    if (ttl := next(iter(blocks_of(block, "ttl", values)), None)) and isinstance(ttl.get("attribute_name"), str):
        request["TimeToLiveSpecification"] = {
            "AttributeName": ttl["attribute_name"],
            "Enabled": ttl.get("enabled", True),
        }
    for kind, section in (
        ("global_secondary_index", "GlobalSecondaryIndexes"),
        ("local_secondary_index", "LocalSecondaryIndexes"),
    ):
        if indexes := blocks_of(block, kind, values):
            request[section] = [terraform_index(each, given) for each in indexes]
    if request["BillingMode"] == "PROVISIONED":
        request["ProvisionedThroughput"] = terraform_capacity(given)
        for index in request.get("GlobalSecondaryIndexes", []):
            index["ProvisionedThroughput"] = terraform_capacity(given)
    return request


def lost_parts(block: Block, values: Values) -> Iterator[str]:
    """The parts of a table that its request does not have, as Terraform calls them: computed, or only in AWS."""
    given = {name: values.value(value) for name, value in block.attributes.items()}
    tags = given.get("tags")
    if tags is not None and (not isinstance(tags, dict) or any(map(is_open, tags.values()))):
        yield "tags"
    if any(is_open(given.get(name)) for name in ("stream_enabled", "stream_view_type")):
        yield "stream_enabled"
    ttl = [each for each in blocks_of(block, "ttl", values) if each.get("enabled", True) is not False]
    if any(not isinstance(each.get("attribute_name"), str) for each in ttl):
        yield "ttl"
    for name in ONLY_AWS:
        found = blocks_of(block, name, values)
        # The public module has `point_in_time_recovery_enabled`.
        flag = given.get(f"{name}_enabled")
        if any(each.get("enabled", True) is not False for each in found) or flag not in (None, False):
            yield name
    if given.get("table_class") not in (None, "STANDARD"):
        yield "table_class"


def spelt_out(block: Block, values: Values) -> dict[str, Any]:
    """A block's attributes; None for one that is computed."""
    known = {name: values.value(value) for name, value in block.attributes.items()}
    return {name: None if is_open(value) else value for name, value in known.items()}


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
