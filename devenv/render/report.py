"""Report in, text or JSON out. The only place that knows colours."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TextIO

import typer

from devenv.core.model import Failure, Report
from devenv.render import text
from devenv.render.cells import clean


def show_report(report: Report, *, as_json: bool, color: str, verbose: bool) -> None:
    """Print a report: the body on stdout, an error on stderr; as JSON one document on stdout."""
    if as_json:
        plain = (sys.stdout.encoding or "").lower() != "utf-8"
        sys.stdout.write(json.dumps(document(report), indent=2, default=str, ensure_ascii=plain) + "\n")
        return
    if report.error:
        paint = use_color(color, sys.stderr)
        typer.echo(failure_text(report.error), err=True, color=paint)
        return
    paint = use_color(color, sys.stdout)
    if lines := text.RENDERERS[report.command](report, verbose):
        typer.echo("\n".join(lines), color=paint)


def document(report: Report) -> dict[str, object]:
    """The one JSON document of a command (contract: Output)."""
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
    """Whether to colour this stream: as asked, else on a terminal unless NO_COLOR is set."""
    if color != "auto":
        return color == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR")
