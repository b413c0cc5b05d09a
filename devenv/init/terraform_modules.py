"""The values and modules around Terraform's tables: `dev.tfvars`, modules of the project, the public table module."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.aws import hcl
from devenv.aws.hcl import Block
from devenv.init.tables import Found
from devenv.init.terraform_tables import Values, is_open, tables_of, turns

AUTOMATIC: Final = re.compile(r"terraform\.tfvars(\.(example|sample|dist))?|.*\.auto\.tfvars")
VALUES: Final = re.compile(r"[\w.-]+\.tfvars(\.(example|sample|dist))?")
# The environment that runs on a developer's machine, the best name first.
NEAR: Final = ("local", "dev", "development", "test", "example")
PUBLIC: Final = re.compile(r"(?:registry\.terraform\.io/)?terraform-aws-modules/dynamodb-table/aws\b")
DEPTH: Final = 3


@dataclass(frozen=True)
class GivenValues:
    """The values of variables in a folder, and the file that gives them ("" for none)."""

    values: Mapping[str, Any]
    file: str = ""


def is_values(name: str) -> bool:
    """Return True for the name of a file with values of variables."""
    return bool(VALUES.fullmatch(name))


def given_values(folder: str, texts: Mapping[str, str]) -> GivenValues:
    """The values that Terraform reads by itself, with those of the environment for development over them."""
    place = f"{folder}/" if folder else ""
    near = [n for n in texts if is_values(posixpath.basename(n)) and n.startswith(place)]
    automatic = sorted(n for n in near if AUTOMATIC.fullmatch(posixpath.basename(n)) and posixpath.dirname(n) == folder)
    others = [n for n in near if n not in automatic]
    ranked = [
        (NEAR.index(part), name)
        for name in others
        for part in re.split(r"[./_-]", name[len(folder) :].lower())
        if part in NEAR
    ]
    chosen = min(ranked)[1] if ranked else others[0] if len(others) == 1 and not automatic else None
    values: dict[str, Any] = {}
    for name in (*automatic, *([chosen] if chosen else [])):
        try:
            (block,) = hcl.read(f"x {{\n{texts[name]}\n}}")
        except (hcl.Broken, ValueError):
            continue
        values |= block.attributes
    return GivenValues(values, chosen or (automatic[-1] if automatic else ""))


def folder_blocks(folder: str, texts: Mapping[str, str]) -> dict[str, list[Block]]:
    """file -> blocks of the files of Terraform in a folder, as far as they can be read."""
    found: dict[str, list[Block]] = {}
    for name, text in texts.items():
        if name.endswith(".tf") and posixpath.dirname(name) == folder:
            try:
                found[name] = hcl.read(text)
            except hcl.Broken:
                continue
    return found


def called_folders(texts: Mapping[str, str]) -> set[str]:
    """The folders of the project that are modules: their values come from the calls."""
    found = set()
    for name, text in texts.items():
        if name.endswith(".tf"):
            sources = re.findall(r"^\s*source\s*=\s*\"(\.{1,2}/[^\"]*)\"", text, re.MULTILINE)
            found |= {posixpath.normpath(posixpath.join(posixpath.dirname(name), source)) for source in sources}
    return found


def module_tables(texts: Mapping[str, str]) -> Iterator[Found]:
    """The tables that the calls of modules make, each with the inputs of its call."""
    inside = called_folders(texts)
    callers = {posixpath.dirname(n) for n, t in texts.items() if n.endswith(".tf") and re.search(r"\bmodule\s+\"", t)}
    for folder in sorted(callers - inside):
        given = given_values(folder, texts)
        files = folder_blocks(folder, texts)
        values = Values.of([each for blocks in files.values() for each in blocks], given.values)
        for file, blocks in files.items():
            for made in calls(file, folder, blocks, values, texts, 0):
                yield replace(made, named_by=given.file if uses(made, given) else "")


def uses(made: Found, given: GivenValues) -> bool:
    """Return True if the name of a table may come from a file of values."""
    return bool(given.file) and any(isinstance(v, str) and v and v in made.table for v in given.values.values())


def calls(
    file: str, folder: str, blocks: list[Block], values: Values, texts: Mapping[str, str], depth: int
) -> Iterator[Found]:
    """The tables of the modules that a file's blocks call."""
    for block in blocks:
        if block.kind != "module" or len(block.labels) != 1 or depth > DEPTH:
            continue
        source = str(block.attributes.get("source", ""))
        for key, turn in turns(block, values)[1]:
            label = block.labels[0] if key is None else str(key)
            inputs = {name: turn.value(value) for name, value in block.attributes.items()}
            if PUBLIC.match(source):
                table = public_table(inputs)
                yield from tables_of(file, replace(table, labels=("", label), line=block.line), turn, [(None, turn)])
            elif source.startswith("."):
                place = posixpath.normpath(posixpath.join(folder, source))
                inner = folder_blocks(place, texts)
                every = [each for part in inner.values() for each in part]
                # A name that is open here must not get the module's own variable of that name.
                known = {n: v.replace("var.", "caller.") if is_open(v) else v for n, v in inputs.items()}
                own = Values.of(every, known)
                for part in inner.values():
                    yield from resources(file, block.line, label, part, own)
                    yield from calls(file, place, part, own, texts, depth + 1)


def resources(file: str, line: int, label: str, blocks: list[Block], values: Values) -> Iterator[Found]:
    """The tables of a module's resources, called after the call where their name is computed."""
    for block in blocks:
        if block.kind == "resource" and block.labels[:1] == ("aws_dynamodb_table",) and len(block.labels) == 2:
            for key, turn in turns(block, values)[1]:
                named = replace(block, labels=(block.labels[0], label if key is None else f"{label}-{key}"), line=line)
                yield from tables_of(file, named, values, [(None, turn)])


def public_table(inputs: Mapping[str, Any]) -> Block:
    """The resource that the public module makes of its inputs."""
    lists = {
        "attribute": inputs.get("attributes"),
        "global_secondary_index": inputs.get("global_secondary_indexes"),
        "local_secondary_index": inputs.get("local_secondary_indexes"),
    }
    blocks = [
        Block(kind, (), dict(each))
        for kind, parts in lists.items()
        for each in (parts if isinstance(parts, list) else [])
        if isinstance(each, Mapping)
    ]
    if isinstance(attribute := inputs.get("ttl_attribute_name"), str):
        ttl = {"attribute_name": attribute, "enabled": inputs.get("ttl_enabled", False)}
        blocks.append(Block("ttl", (), ttl))
    billing = {"billing_mode": inputs.get("billing_mode", "PAY_PER_REQUEST")}
    return Block("resource", ("aws_dynamodb_table", ""), {**inputs, **billing}, blocks)
