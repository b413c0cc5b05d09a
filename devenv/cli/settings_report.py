"""`config show` and `config check`: the effective settings with their origins, and whether they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from devenv.config.load import Loaded, flatten
from devenv.config.masking import mask_settings
from devenv.config.references import find_undeclared, refuse
from devenv.config.schema import FILE, TESTED_DYNAMODB
from devenv.core.errors import Exit
from devenv.core.model import Report

if TYPE_CHECKING:
    from devenv.stack import Stack


def show_settings(loaded: Loaded) -> Report:
    """Every dotted key with its value and where it comes from; secrets masked."""
    effective = flatten(msgspec.to_builtins(loaded.settings))
    # A folder with a DynamoDBLocal.jar has a version of its own.
    if loaded.settings.dynamodb.version is None and loaded.settings.dynamodb.local is None:
        effective["dynamodb.version"] = TESTED_DYNAMODB
    shown = mask_settings(effective, loaded.root)
    rows = [{"key": key, "value": value, "origin": loaded.origins.get(key, "default")} for key, value in shown.items()]
    body = {"file": str(loaded.root / FILE), "settings": rows}
    return Report("config", loaded.settings.project.name, Exit.DONE, body)


def check_settings(loaded: Loaded) -> Report:
    """Read every file that the steps name. UsageError says what is wrong; reaching the end means all is well."""
    from devenv.steps.registry import STEPS

    checked = [str(loaded.root / FILE)]
    tables: set[str] = set()
    for step in STEPS:
        inputs = step.read(loaded.settings, loaded.root)
        if step.name == "schema-load":
            tables = {definition.table for definition in inputs.content or ()}
        checked.append(f"the files of step {step.name}")
    if tables:
        refuse(find_undeclared(loaded.settings, tables), loaded.root / FILE)
        checked.append("the tables of entities and links")
    if loaded.settings.safety is not None:
        from devenv.doctor.checks.safety_files import encrypted_attributes, read_backups

        encrypted_attributes(loaded.settings)
        read_backups(loaded.settings.safety, loaded.root)
        checked.append("the files and entities of [safety]")
    return Report("config", loaded.settings.project.name, Exit.DONE, {"checked": checked})


def check_live(stack: Stack) -> Report:
    """The same, and what devenv.toml names of the stores. Exit 3 when one of them does not answer."""
    from devenv.doctor.checks.declared import ask_stores

    report = check_settings(stack.loaded)
    mistakes, looked, unasked = ask_stores(stack.settings, stack.engine.targets())
    refuse(mistakes, stack.root / FILE)
    body = {"checked": [*report.body["checked"], *looked], "not_checked": unasked}
    return replace(report, exit_code=Exit.UNCHECKED if unasked else Exit.DONE, body=body)
