"""Report in, text or JSON out. The only place that knows colours."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Any, Final, TextIO

import typer

from devenv.config.masking import hide_tree, mask_text, mask_tree
from devenv.core.late import late
from devenv.core.model import Failure, Report
from devenv.render import text
from devenv.render.cells import clean

# What JSON may hold as it is, and a terminal takes for a command or a change of direction.
STEERING: Final = late("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def show_report(report: Report, *, as_json: bool, color: str, verbose: bool) -> None:
    """Print a report: the body on stdout, an error on stderr; as JSON one document on stdout."""
    report = masked(report)
    if as_json:
        plain = (sys.stdout.encoding or "").lower() != "utf-8"
        written = json.dumps(document(report), indent=2, default=str, ensure_ascii=plain)
        sys.stdout.write(STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", written) + "\n")
        return
    if report.error:
        paint = use_color(color, sys.stderr)
        typer.echo(failure_text(report.error), err=True, color=paint)
        return
    paint = use_color(color, sys.stdout)
    report = replace(report, body=tame(report.body))
    if lines := text.RENDERERS[report.command](report, verbose):
        typer.echo("\n".join(lines), color=paint)


def masked(report: Report) -> Report:
    """The report without secrets. Stored rows are the user's: in them only what devenv knows to be secret is masked.

    What `env` gives is exact: it is its job.
    """
    if report.command == "env" and report.error is None:
        return report
    # Most texts of a report come several times.
    body = hide_tree(report.body) if report.command in ("db", "ddb") else mask_tree(report.body, cache(mask_text))
    error = report.error and Failure(**mask_tree(asdict(report.error)))
    return replace(report, body=body, error=error)


def tame(value: Any) -> Any:
    """Every text inside plain lists and maps, for a terminal: control characters as escapes, but for line ends."""
    if isinstance(value, str):
        return value if value.isprintable() else re.sub(r"[^\t\n]+", lambda found: clean(found[0]), value)
    if isinstance(value, Mapping):
        return {key if not isinstance(key, str) else clean(key): tame(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [tame(part) for part in value]
    return value


def document(report: Report) -> dict[str, object]:
    """The one JSON document of a command."""
    found: dict[str, object] = {
        "schema": f"devenv.{report.command}/1",
        "project": report.project,
        "exit_code": int(report.exit_code),
        **report.body,
    }
    if report.error:
        found["error"] = asdict(report.error)
    return found


def failure_text(failure: Failure) -> str:
    """An error in PostgreSQL's parts: the fact, detail, cause, hint."""
    lines = [typer.style("error: ", fg="red", bold=True) + clean(failure.what)]
    for name, value in (("detail", failure.detail), ("cause", failure.cause), ("hint", failure.hint)):
        if value:
            head, *more = map(clean, value.expandtabs(4).splitlines())
            lines.append(typer.style(f"{name}: ", bold=True) + head)
            lines += [f"  {line}" for line in more]
    return "\n".join(lines)


def use_color(color: str, stream: TextIO) -> bool:
    """Return True if to colour this stream: as asked, else on a terminal unless NO_COLOR is set."""
    if color != "auto":
        return color == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR")
