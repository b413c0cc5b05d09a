"""CloudFormation and SAM templates: their resources, with references resolved where the text alone allows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.plain_yaml import UnreadableYaml, load_yaml

YAML_BYTES: Final = 400_000
NODES: Final = 50_000
DEPTH: Final = 60
PART: Final = re.compile(r"\$\{(!?)([^}]*)\}")
# What a deployment fills in: its own account, region and partition meet any.
OWN: Final = {"AWS::AccountId": "*", "AWS::Region": "*", "AWS::Partition": "*", "AWS::URLSuffix": "amazonaws.com"}
TABLES: Final = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable")


class UnreadableTemplate(Exception):
    """The text looks like a template, and is none that can be read."""


@dataclass(frozen=True)
class Resource:
    """One resource in CloudFormation's form, whatever language it was written in. `where` names it for a sentence."""

    where: str
    name: str
    kind: str
    properties: Mapping[str, Any]
    region: str | None = None


def read_template(file: str, text: str, *, defaults: bool = False) -> list[Resource]:
    """The resources of a template; [] for a text that is none. Unreadable for a broken one.

    With `defaults` conditions are decided by the defaults of the parameters, as a deployment without any would be; else
    each `Fn::If` gives its first value.
    """
    if "AWS::" not in text:
        return []
    tree = parse(text)
    if isinstance(tree, dict) and isinstance(tree.get("resources"), dict) and "Resources" not in tree:
        # The Serverless Framework keeps a template below this key.
        tree = tree["resources"]
    found = tree.get("Resources") if isinstance(tree, dict) else None
    if not isinstance(found, dict):
        return []
    resolver = Resolver(tree, {str(name): each for name, each in found.items() if isinstance(each, dict)}, defaults)
    return [
        Resource(f"{file}: {name}", name, kind, properties)
        for name, each in resolver.resources.items()
        if isinstance(kind := each.get("Type"), str)
        and isinstance(properties := resolver.value(each.get("Properties") or {}), dict)
    ]


def parse(text: str) -> Any:
    """The value of a template in JSON or YAML, tags like `!Sub x` as `{"Fn::Sub": x}`. Unreadable."""
    if len(text) > YAML_BYTES:
        raise UnreadableTemplate(f"it has more than {YAML_BYTES} characters")
    try:
        return json.loads(text)
    except RecursionError:
        raise UnreadableTemplate("it is nested too deeply") from None
    except ValueError:
        pass

    def tagged(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
        if isinstance(node.value, str):
            value: Any = node.value
        elif node.id == "sequence":
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)
        if suffix == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}

    try:
        return load_yaml(text, tagged)
    except UnreadableYaml as error:
        raise UnreadableTemplate(str(error)) from None


@dataclass
class Resolver:
    """Works out references within one template. What it cannot work out stays as `${Name}`."""

    tree: Mapping[str, Any]
    resources: Mapping[str, Mapping[str, Any]]
    defaults: bool = False
    left: int = NODES
    busy: list[str] = field(default_factory=list)

    def value(self, part: Any, depth: int = 0) -> Any:
        """A value without functions. Unreadable when it stands for millions of nodes."""
        self.left -= 1
        if self.left < 0 or depth > DEPTH:
            raise UnreadableTemplate("it is too large or nested too deeply")
        if isinstance(part, list):
            return [self.value(each, depth + 1) for each in part]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((name, argument),) = part.items()
            if name == "Ref" or str(name).startswith("Fn::"):
                return self.function(str(name), argument, depth + 1)
        return {str(name): self.value(each, depth + 1) for name, each in part.items()}

    def function(self, name: str, argument: Any, depth: int) -> Any:
        """The result of an intrinsic function."""
        given = self.value(argument, depth) if name not in ("Ref", "Fn::Sub", "Fn::GetAtt") else argument
        match name, given:
            case "Ref", str(target):
                return self.reference(target)
            case "Fn::GetAtt", [str(target), str(attribute)]:
                return self.attribute(target, attribute)
            case "Fn::GetAtt", str(text) if "." in text:
                return self.attribute(*text.split(".", 1))
            case "Fn::Sub", str(text):
                return self.substitute(text, {})
            case "Fn::Sub", [str(text), dict(more)]:
                return self.substitute(text, {key: self.value(each, depth) for key, each in more.items()})
            case "Fn::Join", [str(glue), list(parts)] if all(isinstance(each, str | int) for each in parts):
                return glue.join(map(str, parts))
            case "Fn::If", [condition, first, other] if self.defaults and self.holds(condition, depth) is False:
                return other
            case "Fn::If", [_, first, *_]:
                return first
            case "Fn::Select", [int(at) | str(at), list(parts)] if str(at).isdigit() and int(at) < len(parts):
                return parts[int(at)]
            case "Fn::FindInMap" | "Fn::Split", [*parts]:
                return self.split(parts) if name == "Fn::Split" else self.mapped(parts)
        return f"${{{name.removeprefix('Fn::')}}}"

    def mapped(self, keys: list[Any]) -> Any:
        """An entry of the template's Mappings."""
        found: Any = self.tree.get("Mappings")
        for key in keys[:3]:
            found = found.get(key) if isinstance(found, dict) and isinstance(key, str) else None
        return found if isinstance(found, str | int | list) else "${FindInMap}"

    def split(self, parts: list[Any]) -> Any:
        """A text in the parts between a separator."""
        match parts:
            case [str(glue), str(text)] if glue and "${" not in text:
                return text.split(glue)
        return "${Split}"

    def holds(self, condition: Any, depth: int) -> bool | None:
        """The truth of a condition, by its name or spelt out; None where it depends on what is not known."""
        if depth > DEPTH:
            raise UnreadableTemplate("it is nested too deeply")
        if isinstance(condition, str):
            named = self.tree.get("Conditions")
            return self.holds(named.get(condition), depth + 1) if isinstance(named, dict) else None
        if not isinstance(condition, dict) or len(condition) != 1:
            return None
        ((name, given),) = condition.items()
        if name == "Condition":
            return self.holds(str(given), depth + 1)
        if name == "Fn::Equals" and isinstance(given, list) and len(given) == 2:
            left, right = (str(self.value(each, depth + 1)) for each in given)
            return None if "${" in left + right or "*" in (left, right) else left == right
        parts = [self.holds(each, depth + 1) for each in given] if isinstance(given, list) else []
        if name == "Fn::Not" and len(parts) == 1:
            return None if parts[0] is None else not parts[0]
        decisive = {"Fn::And": False, "Fn::Or": True}.get(str(name))
        if decisive is None:
            return None
        return decisive if decisive in parts else None if None in parts else not decisive

    def reference(self, target: str) -> Any:
        """The value of a `Ref`: a parameter's default, a table's name, or something that is known by its name only."""
        if target == "AWS::NoValue":
            return None
        if target in OWN:
            return OWN[target]
        parameters = self.tree.get("Parameters")
        parameter = parameters.get(target) if isinstance(parameters, dict) else None
        if isinstance(parameter, dict) and str(parameter.get("Type", "")).startswith("AWS::SSM::Parameter::"):
            return self.stored(str(parameter.get("Default"))) or f"${{{target}}}"
        # A deployment without values has the empty text, too; for a policy it says nothing.
        unknown = (None,) if self.defaults else (None, "")
        if isinstance(parameter, dict) and parameter.get("Default") not in unknown:
            default = parameter["Default"]
            is_list = str(parameter.get("Type", "")).startswith(("CommaDelimitedList", "List<"))
            return [each.strip() for each in str(default).split(",")] if is_list else str(default)
        if target in self.resources and self.resources[target].get("Type") in TABLES:
            return self.table_name(target)
        return f"${{{target}}}"

    def stored(self, name: str) -> str | None:
        """The value that the template itself gives an SSM parameter; None for one that is made elsewhere."""
        for resource in self.resources.values():
            properties = resource.get("Properties")
            if resource.get("Type") != "AWS::SSM::Parameter" or not isinstance(properties, dict):
                continue
            if self.value(properties.get("Name")) == name:
                value = self.value(properties.get("Value"))
                return value if isinstance(value, str) else None
        return None

    def table_name(self, target: str) -> str:
        """A table's name; one that CloudFormation makes up is not known."""
        if target in self.busy:
            return f"${{{target}}}"
        self.busy.append(target)
        properties = self.resources[target].get("Properties")
        name = self.value(properties.get("TableName")) if isinstance(properties, dict) else None
        self.busy.pop()
        return name if isinstance(name, str) and name else f"${{{target}}}"

    def attribute(self, target: str, attribute: str) -> str:
        """Return what `GetAtt` gives: the ARN of a table, or something that is not known."""
        resource = self.resources.get(target)
        if resource is not None and resource.get("Type") in TABLES and attribute in ("Arn", "StreamArn"):
            arn = f"arn:*:dynamodb:*:*:table/{self.table_name(target)}"
            return arn if attribute == "Arn" else f"{arn}/stream/*"
        return f"${{{target}.{attribute}}}"

    def substitute(self, text: str, more: Mapping[str, Any]) -> str:
        def fill(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                # `${!x}` is the text `${x}`: a policy variable, which is no matter of the template.
                return f"${{{name}}}"
            value = (
                more[name]
                if name in more
                else self.attribute(*name.split(".", 1))
                if "." in name
                else self.reference(name)
            )
            return str(value) if isinstance(value, str | int) else f"${{{name}}}"

        return PART.sub(fill, text)


def tables(resources: list[Resource]) -> Iterator[Resource]:
    return (each for each in resources if each.kind in TABLES)
