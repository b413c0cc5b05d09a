"""The text form of `init`: the findings, the written files, and the open points."""

from __future__ import annotations

from collections.abc import Sequence

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
    lines += [f"not declared: {clean(each)}" for each in body["undeclared"]]
    lines += [f"in the code: {clean(each)}" for each in body["code"]]
    if body["needed"]:
        lines += ["found nothing here that devenv knows how to load; devenv.toml needs:"]
        lines += [f"  {clean(each)}" for each in body["needed"]]
    steps = with_edits(len(body["edits"]), body["lines"])
    return [*lines, "next:", *(typer.style(f"  {clean(each)}", bold=True) for each in steps)]


def with_edits(count: int, lines: Sequence[str]) -> list[str]:
    """The next commands; before them the open edits, after which commands may need trust."""
    if not count:
        return list(lines)
    edits = "EDIT 1" if count == 1 else f"EDIT 1 to {count}"
    traced = any(line.startswith("devenv trace") for line in lines)
    shown = [f"{line}    # only if you edited devenv.toml" if line == "devenv trust" else line for line in lines]
    return [f"review {edits} in devenv.toml", *shown, *([] if traced else ["devenv trace"])]
