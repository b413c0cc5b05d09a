"""Reads the definitions of DynamoDB tables from files of every kind, and says what of them cannot be read. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from devenv.init import unused
from devenv.init.compose import YAML_BYTES
from devenv.init.ruby_tables import is_ruby, read_ruby_tables
from devenv.init.serverless import filled
from devenv.init.tables import (
    Found,
    accept,
    read_json_tables,
    read_python_tables,
    read_script_tables,
    read_yaml_tables,
    template_fault,
)
from devenv.init.terraform_modules import called_folders, given_values, module_tables, uses
from devenv.init.terraform_tables import read_terraform_tables
from devenv.init.workbench import model_requests

TEMPLATES: Final = (".yml", ".yaml", ".template")
CREATES: Final = "create_table(…)"


def read_tables(
    texts: Mapping[str, str], trees: Mapping[str, ast.Module], variables: Mapping[str, str]
) -> tuple[dict[str, Found], list[str]]:
    """Name -> definition of every table, but those that JavaScript makes, and what of them cannot be read."""
    tables: dict[str, Found] = {}
    notes: list[str] = []
    called = [*module_tables(texts)]
    # A module whose calls give no table is read by itself.
    modules = called_folders(texts) if called else set()
    for name, written in texts.items():
        text = written
        here: list[Found] = []
        if is_large_template(name, text):
            notes.append(f"{name}: a template of more than {YAML_BYTES // 1000} kB")
            continue
        if name.endswith(".json"):
            here += read_json_tables(name, text)
            here += [each for line, request in model_requests(text) if (each := accept(name, line, request))]
        elif name.endswith(TEMPLATES):
            text = filled(name, text, texts, variables)
            here += read_yaml_tables(name, text)
        elif name.endswith(".tf"):
            if posixpath.dirname(name) in modules:
                continue
            folder = PurePath(name).parent
            beside = [t for n, t in texts.items() if n != name and n.endswith(".tf") and PurePath(n).parent == folder]
            given = given_values(posixpath.dirname(name), texts)
            found, partly = read_terraform_tables(name, text, beside, given.values)
            here += [replace(each, named_by=given.file if uses(each, given) else "") for each in found]
            here += [each for each in called if each.file == name]
            notes += partly
        elif is_ruby(name, text):
            found, unclear = read_ruby_tables(name, text, texts, variables)
            here += found
            notes += unused.unclear_tables(name, unclear, "create_table of Ruby")
        elif name in trees:
            found, unclear = read_python_tables(name, trees[name], variables)
            here += found
            notes += unused.unclear_tables(name, unclear, CREATES)
        elif "dynamodb" in text:
            here += read_script_tables(name, text, variables)
        for each in here:
            if each.table in tables and tables[each.table].request != each.request:
                first = tables[each.table]
                notes.append(f"{name}:{each.line}: table {each.table} is defined in {first.file}:{first.line} too")
            tables.setdefault(each.table, each)
        # A resource of Terraform may make several.
        count = len({each.line for each in here}) if name.endswith(".tf") else len(here)
        notes += [f"{name}: {what}" for what in missed(name, text, count)]
    return tables, notes


def python_creators(notes: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """The scripts of Python among the files whose tables are computed."""
    files = dict.fromkeys(note.partition(":")[0] for note in notes if f": {CREATES}, whose" in note)
    return [name for name in files if "__main__" in texts[name]]


def is_large_template(name: str, text: str) -> bool:
    """Return True if a template may have tables, but is too large to be read."""
    return name.endswith((".yml", ".yaml")) and len(text) > YAML_BYTES and "AWS::DynamoDB::Table" in text


def missed(name: str, text: str, found: int) -> Iterable[str]:
    """Return why a file that defines tables gave fewer than it has."""
    count = 0
    if name.endswith((".yml", ".yaml", ".json", ".template")):
        count = len(re.findall(r"AWS::DynamoDB::(?:Global)?Table\b|AWS::Serverless::SimpleTable", text))
        resources = re.findall(
            r"Type[\"']?\s*:\s*[\"']?AWS::(?:DynamoDB::(?:Global)?Table|Serverless::SimpleTable)\b", text
        )
        count = min(count, len(resources))
        if name.endswith(".json") and '"KeySchema"' in text and '"TableName"' in text and not count:
            count = 1
    elif name.endswith(".tf"):
        count = len(re.findall(r"resource\s+\"aws_dynamodb_table\"", text))
        if re.search(r"module\s+\"[^\"]*\"\s*\{[^}]*dynamodb", text) and not count:
            yield f"a table of a Terraform module: {unused.REQUEST}"
    elif name.endswith((".sh", ".bash")) or text.startswith("#!"):
        # A request in a file of its own is found there.
        count = len(re.findall(r"\bdynamodb\s+create-table\b(?!(?:\\\n|[^\n])*--cli-input-json[ =]file:)", text))
    fault = template_fault(name, text) if count > found and name.endswith(TEMPLATES) else None
    if fault is not None:
        yield f"its tables are not read, because it is not a valid template ({fault})"
    elif count > found:
        many = f"{count - found} table definition{'s' if count - found > 1 else ''} with computed values"
        yield f"{many}, or incomplete: {unused.REQUEST}"
