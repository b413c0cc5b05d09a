"""The text form of `init`: the findings, the written files, and the open points."""

from __future__ import annotations

import typer

from devenv.core.model import Report
from devenv.render.cells import clean


def init_text(report: Report, verbose: bool) -> list[str]:
    """Return what was found, used and written, the edits that the file asks for, the next commands."""
    body = report.body
    lines = [f"found: {clean(each)}" for each in body["found"]]
    lines += [f"not used: {clean(each)}" for each in body["unused"]]
    if body["example"]:
        lines += ["empty folder: wrote a small example project"]
    lines += [f"written: {clean(name)}" for name in body["written"]]
    lines += [f"not certain (EDIT {n}): {clean(each)}" for n, each in enumerate(body["edits"], 1)]
    lines += [f"in the code: {clean(each)}" for each in body["code"]]
    if body["needed"]:
        lines += ["found nothing here that devenv knows how to load; devenv.toml needs:"]
        lines += [f"  {clean(each)}" for each in body["needed"]]
    return [*lines, "next:", *(typer.style(f"  {clean(each)}", bold=True) for each in body["lines"])]
