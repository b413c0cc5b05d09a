"""`devenv doctor` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render.cells import clean, mark, show_value

# `doctor --fix` can mend thousands of items.
REPAIRS_SHOWN = 10
CHECK_MARKS = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "red"),
    "error": ("?", "red"),
    "skip": ("-", "white"),
}


def doctor_text(report: Report, verbose: bool) -> list[str]:
    """`doctor`: what was repaired, the checks with what they found opened, the verdict."""
    body = report.body
    if "list" in body:
        return [f"{c['code']}  {c['layer']:<12} {c['name']:<22} {c['title']}" for c in body["list"]]
    if "explain" in body:
        return [str(body["explain"])]
    repairs = body.get("repairs", ())
    lines = [repair_line(repair) for repair in (repairs if verbose else repairs[:REPAIRS_SHOWN])]
    if len(lines) < len(repairs):
        lines.append(f"and {number_of(len(repairs) - len(lines), 'more repair')}  (-v lists them)")
    skipped = [check for check in body["checks"] if check["status"] == "skip"]
    for check in body["checks"]:
        if verbose or check["status"] != "skip":
            lines += check_lines(check, verbose)
    if skipped and not verbose:
        reasons = clean(skip_reasons(skipped))
        further = number_of(len(skipped), "further check")
        lines += [f"{mark(CHECK_MARKS, 'skip')} {further} not run: {reasons}  (-v lists them)"]
    counts = ", ".join(f"{count} {status}" for status, count in body["summary"].items() if count)
    color = {"healthy": "green", "unhealthy": "red"}.get(body["verdict"], "yellow")
    words = body["verdict"].replace("_", " ")
    if body["verdict"] == "not_verified":
        gaps = [check["evidence"] for check in body["checks"] if check["status"] == "error"]
        words += f": {clean('; '.join(gap.removeprefix('not verified: ') for gap in gaps))}"
    return [*lines, typer.style(words, fg=color, bold=True) + f"  ({counts})"]


def skip_reasons(skipped: Sequence[Mapping[str, Any]]) -> str:
    """Why checks were not run: the ones that do not hold, each once; not those that were skipped for them in turn."""
    codes: dict[str, None] = {}
    others: dict[str, None] = {}
    for check in skipped:
        if needs := check["skip"]["needs"]:
            codes |= dict.fromkeys(needs)
        else:
            others[check["skip"]["text"]] = None
    return "; ".join([*([f"they need {', '.join(codes)}"] if codes else []), *others])


def check_lines(check: Mapping[str, Any], verbose: bool) -> list[str]:
    """One check: a line when it holds, opened when it does not."""
    line = f"{mark(CHECK_MARKS, check['status'])} {check['code']} {check['title']}"
    if check["status"] == "ok" and not verbose:
        return [line]
    fix = check["fix"] or {}
    parts = [
        ("", check["evidence"]),
        ("cause: ", check["cause"]),
        ("fix: ", fix.get("text")),
        ("run: ", fix.get("command")),
    ]
    opened = [f"    {label}{clean(row)}" for label, value in parts if value for row in value.splitlines()]
    return [line, *opened]


def repair_line(repair: Mapping[str, Any]) -> str:
    """One repair of `--fix`, with the values before and after."""
    if "step" in repair:
        return f"{repair['state']}: step {repair['step']}: {repair['before']} -> {repair['after']}"
    key = " ".join(map(str, repair["key"].values()))
    changes = [f"{c['attribute']} {show_value(c['before'])} -> {show_value(c['after'])}" for c in repair["changes"]]
    return clean(f"{repair['state']}: {repair['table']} {key}: {', '.join(changes)}")
