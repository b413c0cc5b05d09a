"""The text forms of the reports: one function per command."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render.snapshot_text import down_all_lines, ps_text, reset_lines, snapshot_text
from devenv.render.verify_text import repair_text, verify_text

MARKS = {
    "running": ("●", "green"),
    "starting": ("●", "yellow"),
    "stopped": ("○", "white"),
    "crashed": ("✗", "red"),
    "foreign": ("✗", "red"),
}
STEP_MARKS = {"done": ("✓", "green"), "pending": ("○", "white"), "stale": ("!", "yellow"), "failed": ("✗", "red")}


def mark(kind: Mapping[str, tuple[str, str]], state: str) -> str:
    """The coloured sign of a state; its word always stands beside it."""
    sign, color = kind[state]
    return typer.style(sign, fg=color)


def up_text(report: Report, verbose: bool) -> list[str]:
    """`up`: the plan when it was only planned, else what runs where."""
    body = report.body
    if body.get("dry_run"):
        return ["plan (nothing was done):"] + [
            f"  {line['action']:<8} {line['target']:<12} {clean(line['reason'])}" for line in body["plan"]
        ]
    acted = [line for line in body["plan"] if line["action"] not in ("keep",)]
    head = f"{report.project}: up in {body['timings']['total']:.2f} s" if acted else f"{report.project}: already up"
    lines = [typer.style(head, bold=True)]
    lines += [
        f"  {mark(MARKS, s['state'])} {s['name']:<9} {s['url']}" for s in body["services"] if s["state"] == "running"
    ]
    if verbose:
        lines += [f"  {line['action']:<8} {line['target']:<12} {clean(line['reason'])}" for line in body["plan"]]
    if report.view.get("timings") or verbose:
        lines += ["timings:"] + [f"  {name:<12} {spent:8.3f} s" for name, spent in body["timings"].items()]
    if acted:
        lines += ['next: eval "$(devenv env)"   devenv status   devenv ddb list-tables']
    return lines


def down_text(report: Report, verbose: bool) -> list[str]:
    """`down`: what was stopped, and where the data went."""
    stopped = report.body["stopped"]
    if report.view.get("all"):
        return down_all_lines(report)
    left = report.body.get("left", [])
    lines = [f"stopped: {', '.join(stopped)}"] if stopped else [] if left else ["nothing was running"]
    if left:
        lines += [f"left running: {', '.join(left)} (devenv did not start them)"]
    if report.body["backup"]:
        lines += ["data deleted", f"to return: devenv snapshot restore {report.body['backup']}"]
    elif report.body["data"] == "deleted":
        lines += ["data deleted"]
    return lines


def status_text(report: Report, verbose: bool) -> list[str]:
    """`status`: one line per service and step; two for a service where the terminal is too narrow."""
    width = shown_width()
    lines = [f"{report.project} (engine {report.body['engine']})"]
    for service in report.body["services"]:
        facts = [f"pid {service['pid']}"] if service["pid"] else []
        facts += [f"version {service['version']}"] if service["version"] else []
        facts += [f"since {service['started']}"] if service["started"] else []
        if service["detail"]:
            facts.append(": ".join(filter(None, (service["detail"], service.get("command")))))
        sign = mark(MARKS, service["state"])
        told = f"{service['name']:<12} {service['state']:<9} {service['url'] or ''}"
        more = clean(", ".join(facts))
        fits = len("  ● ") + cell_width(told) + 2 + cell_width(more) <= width
        lines += [f"  {sign} {told}  {more}".rstrip()] if fits else [f"  {sign} {told}", f"      {more}"]
    for step in report.body["steps"]:
        lines += [f"  {mark(STEP_MARKS, step['state'])} {step['name']:<12} {step['state']:<9} {clean(step['reason'])}"]
    return lines


def steps_text(report: Report, verbose: bool) -> list[str]:
    """A single step or `reset`: how the steps stand now."""
    lines = [typer.style(f"{report.command}: done in {report.body['timings']['total']:.2f} s", bold=True)]
    for step in report.body["steps"]:
        lines += [f"  {mark(STEP_MARKS, step['state'])} {step['name']:<12} {step['state']:<9} {clean(step['reason'])}"]
    lines += reset_lines(report, verbose)
    if any(step["state"] != "done" for step in report.body["steps"]):
        lines += ["next: devenv up"]
    return lines


def config_text(report: Report, verbose: bool) -> list[str]:
    """`config show`: key, value, origin. `config check`: what was looked at."""
    if "settings" not in report.body:
        return [f"ok: {clean(line)}" for line in report.body["checked"]]
    settings = report.body["settings"]
    rows = [(clean(s["key"]), clean(json.dumps(s["value"], ensure_ascii=False)), clean(s["origin"])) for s in settings]
    wide = max(len(row[0]) for row in rows)
    return [f"{key:<{wide}}  {value}  {typer.style(f'({origin})', dim=True)}" for key, value, origin in rows]


def rows_text(report: Report, verbose: bool) -> list[str]:
    """Rows of either store: a table, or one block per row when the table would be wider than the terminal."""
    body = report.body
    lines = [clean(note) for note in body.get("notes", [])]
    if body["columns"]:
        lines += table(body["columns"], body["rows"], shutil.get_terminal_size((100, 24)).columns)
    return [*lines, body["summary"]]


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Rows under their column names if they fit in `width` cells, else expanded like psql's `\\x auto`."""
    cells = [[show_value(value) for value in row] for row in rows]
    heads = [clean(column) for column in columns]
    widths = [max(map(cell_width, column)) for column in zip(heads, *cells, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) <= width:
        body = [" | ".join(pad(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in cells]
        return [" | ".join(map(pad, heads, widths)).rstrip(), "-+-".join("-" * wide for wide in widths), *body]
    wide = max(map(cell_width, heads))
    lines: list[str] = []
    for number, row in enumerate(cells, 1):
        lines += [f"-[ {number} ]".ljust(min(width, 40), "-")]
        lines += [f"{pad(head, wide)} | {cell}" for head, cell in zip(heads, row, strict=True)]
    return lines


def show_value(value: Any) -> str:
    """One value as text; null is empty like in psql, nested values are JSON."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def clean(text: str) -> str:
    """Control characters, those of the writing direction too, as escapes: stored data cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_width() -> int:
    """How many cells a line may take: the terminal's, or any number where the reader is a program."""
    return shutil.get_terminal_size((10_000, 24)).columns


def cell_width(text: str) -> int:
    """How many terminal cells a text takes: East Asian wide characters and emoji take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """The text, filled with spaces to `width` cells."""
    return text + " " * (width - cell_width(text))


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
    return [*lines, typer.style(body["verdict"].replace("_", " "), fg=color, bold=True) + f"  ({counts})"]


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


def trace_lines(report: Report, verbose: bool) -> list[str]:
    """`trace`: a tree of layers (a module of its own, so that other commands need not load it)."""
    from devenv.render.trace_text import trace_text

    return trace_text(report, verbose)


def init_lines(report: Report, verbose: bool) -> list[str]:
    """`init` (a module of its own, so that other commands need not load it)."""
    from devenv.render.init_text import init_text

    return init_text(report, verbose)


def policy_lines(report: Report, verbose: bool) -> list[str]:
    """`policy` (a module of its own, so that other commands need not load it)."""
    from devenv.render.policy_text import policy_text

    return policy_text(report, verbose)


def patterns_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns` (a module of its own, too)."""
    from devenv.render.patterns_text import patterns_text

    return patterns_text(report, verbose)


def trust_lines(report: Report, verbose: bool) -> list[str]:
    """`trust` (a module of its own, too)."""
    from devenv.render.trust_text import trust_text

    return trust_text(report, verbose)


def help_lines(report: Report, verbose: bool) -> list[str]:
    """`help`; the renderer of Markdown is imported for it alone."""
    from devenv.render.help_text import help_text

    return help_text(report, verbose)


def requests_lines(report: Report, verbose: bool) -> list[str]:
    """`requests`; imported for it alone."""
    from devenv.render.requests_text import requests_text

    return requests_text(report, verbose)


RENDERERS: Mapping[str, Callable[[Report, bool], list[str]]] = {
    "up": up_text,
    "down": down_text,
    "status": status_text,
    "setup": steps_text,
    "schema-load": steps_text,
    "seed": steps_text,
    "reset": steps_text,
    "config": config_text,
    "doctor": doctor_text,
    "verify": verify_text,
    "repair": repair_text,
    "trace": trace_lines,
    "patterns": patterns_lines,
    "snapshot": snapshot_text,
    "ps": ps_text,
    "init": init_lines,
    "policy": policy_lines,
    "help": help_lines,
    "trust": trust_lines,
    "requests": requests_lines,
    "db": rows_text,
    "ddb": rows_text,
}
