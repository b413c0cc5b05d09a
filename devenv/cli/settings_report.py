"""`config show` and `config check`: the effective settings with their origins, and whether they hold."""

from __future__ import annotations

import msgspec

from devenv.config.schema import FILE, Loaded, flatten, mask
from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.patterns.declared import check_declared


def show_settings(loaded: Loaded) -> Report:
    """Every dotted key with its value and where it comes from; secrets masked."""
    flat = flatten(msgspec.to_builtins(loaded.settings))
    rows = [
        {"key": key, "value": mask(key, value), "origin": loaded.origins.get(key, "default")}
        for key, value in flat.items()
    ]
    body = {"file": str(loaded.root / FILE), "settings": rows}
    return Report("config", loaded.settings.project.name, Exit.DONE, body)


def check_settings(loaded: Loaded) -> Report:
    """Read every file that the steps name. UsageError says what is wrong; reaching the end means all is well."""
    from devenv.steps.registry import STEPS

    check_declared(loaded.settings)
    checked = [str(loaded.root / FILE)]
    for step in STEPS:
        step.read(loaded.settings, loaded.root)
        checked.append(f"the files of step {step.name}")
    if loaded.settings.safety is not None:
        from devenv.doctor.checks.safety_files import encrypted_attributes, read_backups

        encrypted_attributes(loaded.settings)
        read_backups(loaded.settings.safety, loaded.root)
        checked.append("the files and entities of [safety]")
    return Report("config", loaded.settings.project.name, Exit.DONE, {"checked": checked})
