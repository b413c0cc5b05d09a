"""The text forms of the reports: one function per command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report, since_of
from devenv.core.plural import number_of, size_words
from devenv.render.cells import MARKS, cell_width, clean, mark, rows_text, shown_width
from devenv.render.doctor_text import doctor_text
from devenv.render.snapshot_text import down_all_lines, ps_text, reset_lines, snapshot_text
from devenv.render.verify_text import repair_text, verify_text

STEP_MARKS = {"done": ("✓", "green"), "pending": ("○", "white"), "stale": ("!", "yellow"), "failed": ("✗", "red")}


def up_text(report: Report, verbose: bool) -> list[str]:
    """`up`: the plan when it was only planned, else what runs where."""
    body = report.body
    if body.get("dry_run"):
        return ["plan (nothing was changed):"] + [
            f"  {line['action']:<8} {line['target']:<12} {clean(line['reason'])}" for line in body["plan"]
        ]
    acted = [line for line in body["plan"] if line["action"] not in ("keep",)]
    head = f"{report.project}: up in {body['timings']['total']:.2f} s" if acted else f"{report.project}: already up"
    lines = [typer.style(head, bold=True)]
    lines += [
        f"  {mark(MARKS, s['state'])} {s['name']:<9} {s['url'] or 'pid ' + str(s['pid'])}"
        for s in body["services"]
        if s["state"] == "running"
    ]
    pending = [s for s in body["services"] if s["state"] == "running" and s["detail"] and s.get("command")]
    lines += [f"  {s['name']}: {clean(s['detail'])}: {s['command']}" for s in pending]
    changed = [(step["name"], since) for step in body["steps"] if (since := since_of(step["reason"]))]
    lines += [f"  {name}: {clean(since)}" for name, since in changed]
    unrestored = [step for step in body["steps"] if " not restored: " in step["reason"]]
    lines += [f"  {step['name']}: {clean(step['reason'])}" for step in unrestored]
    if any(" since been deleted" in since for _, since in changed):
        lines += ["  to restore deleted seeds: devenv up --restore-seeds"]
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
        lines += ["data deleted", f"to restore the previous data: devenv snapshot restore {report.body['backup']}"]
    elif report.body["data"] == "deleted":
        lines += ["data deleted"]
    if stays := report.body.get("stays"):
        snapshots = ""
        if stays["snapshots"]:
            number = number_of(stays["snapshots"], "snapshot")
            snapshots = f", of which {size_words(stays['snapshot_bytes'])} are {number}"
        lines += [f"stays: {size_words(stays['bytes'])} in {clean(stays['path'])}{snapshots}"]
    return lines


def stop_text(report: Report, verbose: bool) -> list[str]:
    """`stop`: what was stopped, and what still runs that needs it."""
    stopped = report.body["stopped"]
    lines = [f"stopped: {', '.join(stopped)}" if stopped else "nothing to do: not running"]
    if needed_by := report.body["needed_by"]:
        lines += [f"still running, but depends on a stopped service: {', '.join(needed_by)}"]
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
        if service.get("unsure"):
            facts.append(service["unsure"])
        sign = mark(MARKS, service["state"])
        told = f"{service['name']:<12} {service['state']:<9} {service['url'] or ''}"
        more = clean(", ".join(facts))
        fits = len("  ● ") + cell_width(told) + 2 + cell_width(more) <= width
        lines += [f"  {sign} {told}  {more}".rstrip()] if fits else [f"  {sign} {told}", f"      {more}"]
        if work := service.get("work"):
            lines += [f"      {clean(work['text'])}"]
            if work["stopped"]:
                lines += [f"      {clean(work['stopped'])}"]
            elif work["error"] and (work["last"] is None or work["error"]["at"] > work["last"]):
                where = f" at {work['error']['place']}" if work["error"]["place"] else ""
                lines += [f"      its function failed{clean(where)}: {clean(work['error']['message'])}"]
            if work["failed_file"]:
                lines += [f"      refused records: {clean(work['failed_file'])}"]
        lines += [f"      | {clean(line)}" for line in service.get("last_lines", ())]
    for step in report.body["steps"]:
        lines += [f"  {mark(STEP_MARKS, step['state'])} {step['name']:<12} {step['state']:<9} {clean(step['reason'])}"]
    return lines


def steps_text(report: Report, verbose: bool) -> list[str]:
    """A single step or `reset`: how the steps stand now."""
    lines = [typer.style(f"{report.command}: done in {report.body['timings']['total']:.2f} s", bold=True)]
    for step in report.body["steps"]:
        lines += [f"  {mark(STEP_MARKS, step['state'])} {step['name']:<12} {step['state']:<9} {clean(step['reason'])}"]
    lines += reset_lines(report, verbose)
    if undone := [step for step in report.body["steps"] if step["state"] != "done"]:
        named = [step["command"] for step in undone if step.get("command")]
        lines += [f"next: {named[0] if len(named) == len(undone) else 'devenv up'}"]
    return lines


def config_text(report: Report, verbose: bool) -> list[str]:
    """`config show`: key, value, origin. `config check`: what was looked at."""
    if "settings" not in report.body:
        return [
            *(f"ok: {clean(line)}" for line in report.body["checked"]),
            *(f"not checked: {clean(line)}" for line in report.body.get("not_checked", ())),
        ]
    settings = report.body["settings"]
    rows = [(clean(s["key"]), clean(json.dumps(s["value"], ensure_ascii=False)), clean(s["origin"])) for s in settings]
    wide = max(len(row[0]) for row in rows)
    return [f"{key:<{wide}}  {value}  {typer.style(f'({origin})', dim=True)}" for key, value, origin in rows]


def subject_lines(subjects: Sequence[Mapping[str, Any]]) -> list[str]:
    """`trace` without a subject: what can be traced, with lines to paste."""
    lines = []
    for each in subjects:
        words = " ".join([each["name"], *(name.upper() for name in each["params"])])
        lines.append(clean(words + (f"  {each['title']}" if each["title"] else "")))
        lines.append(f"  {clean(each['line'])}" if each["line"] else f"  no value to show: {clean(each['why'])}")
    return lines


def trace_lines(report: Report, verbose: bool) -> list[str]:
    """`trace`: a tree of layers (a module of its own, so that other commands need not load it)."""
    if "subjects" in report.body:
        return subject_lines(report.body["subjects"])
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


def self_lines(report: Report, verbose: bool) -> list[str]:
    """`self`; imported for it alone."""
    from devenv.render.installation_text import self_text

    return self_text(report, verbose)


def parts_lines(report: Report, verbose: bool) -> list[str]:
    """`parts`; imported for it alone."""
    from devenv.render.installation_text import parts_text

    return parts_text(report, verbose)


def requests_lines(report: Report, verbose: bool) -> list[str]:
    """`requests`; imported for it alone."""
    from devenv.render.requests_text import requests_text

    return requests_text(report, verbose)


RENDERERS: Mapping[str, Callable[[Report, bool], list[str]]] = {
    "up": up_text,
    "down": down_text,
    "restart": up_text,
    "stop": stop_text,
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
    "self": self_lines,
    "parts": parts_lines,
    "trust": trust_lines,
    "requests": requests_lines,
    "db": rows_text,
    "ddb": rows_text,
}
