"""`devenv doctor` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report, cause_label
from devenv.core.plural import number_of
from devenv.render.cells import clean, mark, show_value

# `doctor --fix` can repair thousands of items.
REPAIRS_SHOWN = 10
STATES = {
    "changed_meanwhile": "not written (changed by another process)",
    "recent": "not written (the value to copy changed in the last seconds; run it again)",
}
CHECK_MARKS = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "red"),
    "error": ("?", "red"),
    "skip": ("-", "white"),
}


def doctor_text(report: Report, verbose: bool) -> list[str]:
    """Lines of `doctor`: repairs, failures, warnings, how many passed, what was skipped and why, the verdict.

    With `view["quiet"]`: the failures alone.
    """
    body = report.body
    if "list" in body:
        return list_lines(body["list"])
    if "explain" in body:
        return [str(body["explain"])]
    rows: dict[str, list[Mapping[str, Any]]] = {status: [] for status in CHECK_MARKS}
    for check in body["checks"]:
        rows[check["status"]].append(check)
    failures = [line for check in (*rows["fail"], *rows["error"]) for line in check_lines(check, verbose)]
    if report.view.get("quiet"):
        return failures
    repairs = body.get("repairs", ())
    lines = [repair_line(repair) for repair in (repairs if verbose else repairs[:REPAIRS_SHOWN])]
    if len(lines) < len(repairs):
        lines.append(f"and {number_of(len(repairs) - len(lines), 'more repair')}  (-v lists them)")
    if any("table" in repair and repair["state"] == "applied" for repair in repairs):
        lines.append("undo: devenv repair undo")
    if "repairs" in body and rows["fail"]:
        done = any(repair["state"] == "applied" for repair in repairs)
        left = (
            number_of(len(rows["fail"]), "failure is", "failures are") + " left: " if done else "nothing was repaired: "
        )
        lines.append(f"{left}--fix changes no rows, and items only where no data is lost")
    lines += [*failures, *(line for check in rows["warn"] for line in check_lines(check, verbose))]
    if verbose:
        lines += [line for check in (*rows["ok"], *rows["skip"]) for line in check_lines(check, verbose)]
    else:
        lines += counted(rows["ok"], rows["skip"])
    counts = ", ".join(f"{count} {status}" for status, count in body["summary"].items() if count)
    color = {"healthy": "green", "unhealthy": "red"}.get(body["verdict"], "yellow")
    words = body["verdict"].replace("_", " ")
    if body["verdict"] == "healthy" and len(rows["skip"]) == len(body["checks"]):
        # What does not apply lowers no verdict; but nothing was looked at.
        words, color = "nothing to check", "yellow"
    if body["verdict"] == "not_verified":
        gaps = [check["evidence"] for check in body["checks"] if check["status"] == "error"]
        words += f": {clean('; '.join(gap.removeprefix('not verified: ') for gap in gaps))}"
    return [*lines, typer.style(words, fg=color, bold=True) + f"  ({counts})"]


def counted(passed: Sequence[Mapping[str, Any]], skipped: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for the checks that passed, and the skipped ones by their reason."""
    lines = []
    if passed:
        lines.append(f"{mark(CHECK_MARKS, 'ok')} {number_of(len(passed), 'check')} passed  (-v lists them)")
    if skipped:
        lines.append(f"{mark(CHECK_MARKS, 'skip')} {number_of(len(skipped), 'check')} skipped  (-v lists them)")
        lines += [f"    {ranges(codes)}: {clean(reason)}" for reason, codes in by_reason(skipped).items()]
    return lines


def list_lines(checks: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of `doctor --list`: the checks under their group, whose name and code prefix --only and --skip take."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for check in checks:
        groups.setdefault(check["layer"], []).append(check)
    lines = ["--only and --skip take a group, a code prefix, a code or a name."]
    for group, members in groups.items():
        prefixes = ", ".join(dict.fromkeys(check["code"].rstrip("0123456789") for check in members))
        lines += ["", typer.style(f"{group} ({prefixes})", bold=True)]
        lines += [f"  {check['code']}  {check['name']:<22} {check['title']}" for check in members]
    return lines


def by_reason(skipped: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Reason -> codes. A failed check that others need is named by its code, not the skipped ones between."""
    found: dict[str, list[str]] = {}
    for check in skipped:
        needs = check["skip"]["needs"]
        reason = f"{', '.join(needs)} did not pass" if needs else check["skip"]["text"]
        found.setdefault(reason, []).append(check["code"])
    return found


def ranges(codes: Sequence[str]) -> str:
    """Codes in one line, neighbours as a range: `DOC001-DOC003, XST001`."""
    runs: list[list[str]] = []
    for code in codes:
        group, number = code.rstrip("0123456789"), code.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        before = f"{group}{int(number) - 1:0{len(number)}}" if number else None
        if runs and runs[-1][-1] == before:
            runs[-1].append(code)
        else:
            runs.append([code])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def check_lines(check: Mapping[str, Any], verbose: bool) -> list[str]:
    """One line for a check that passed; for any other (or with `verbose`) also evidence, cause and fix."""
    line = f"{mark(CHECK_MARKS, check['status'])} {check['code']} {check['title']}"
    if check["status"] == "ok" and not verbose:
        return [line]
    fix = check["fix"] or {}
    parts = [
        ("", check["evidence"]),
        (f"{cause_label(check['cause'] or '')}: ", check["cause"]),
        ("fix: ", fix.get("text")),
        ("run: ", fix.get("command")),
    ]
    opened = [f"    {label}{clean(row)}" for label, value in parts if value for row in value.splitlines()]
    return [line, *opened]


def repair_line(repair: Mapping[str, Any]) -> str:
    """Return one repair of `--fix` with the values before and after, or why it was not done."""
    if "step" in repair:
        return f"{repair['state']}: step {repair['step']}: {repair['before']} -> {repair['after']}"
    key = " ".join(map(str, repair["key"].values()))
    changes = [f"{c['attribute']} {show_value(c['before'])} -> {show_value(c['after'])}" for c in repair["changes"]]
    return clean(f"{STATES.get(repair['state'], repair['state'])}: {repair['table']} {key}: {', '.join(changes)}")
