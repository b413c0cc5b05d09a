"""The text forms of `verify` and `repair`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from devenv.core.model import Report
from devenv.core.plural import number_of

COLORS = {"consistent": "green", "inconsistent": "red", "not_verified": "yellow"}


def verify_text(report: Report, verbose: bool) -> list[str]:
    """`verify`: what was read, what was found with examples, the verdict and why."""
    from devenv.render.cells import clean

    body = report.body
    lines = coverage_lines(body["coverage"], verbose)
    for name, count in body["findings"].items():
        lines.append(f"{typer.style('✗', fg='red')} {name}: {count:,}")
        lines += [f"    {clean(example_text(name, example))}" for example in body["examples"].get(name, ())]
    if body["rates"]:
        lines.append(
            f"{body['rates']['scan_items_per_second'] or 0:,} items/s read, {body['rates']['seconds']['total']:.1f} s, "
            f"peak memory {body['peak_memory_mb']:.0f} MB, {body['rechecked']:,} re-read"
        )
    if plan := body.get("plan"):
        lines += plan_lines(plan)
    if body.get("findings_file") and body["findings"]:
        lines.append(f"all findings: {clean(body['findings_file'])}")
    lines += [f"not compared: {clean(each)}" for each in body.get("not_compared", ())]
    lines += verdict_lines(body)
    if recreated := body.get("recreated"):
        lines.append(recreated_line(recreated))
    elif body["verdict"] == "inconsistent" and not plan:
        lines.append("next: devenv verify --plan plan.jsonl; then: devenv repair apply plan.jsonl")
    if error := body.get("error"):
        lines += [f"  {name}: {clean(str(error[name]))}" for name in ("what", "detail", "hint") if error[name]]
    return lines


def example_text(name: str, example: Mapping[str, Any]) -> str:
    """A finding's words; those about an id get the attribute and the item that have it."""
    if name not in ("orphan", "mismatched_id") or not example.get("attribute"):
        return str(example["note"])
    key = " ".join(str(value) for value in (example["key"] or {}).values())
    return f"{example['note']} (in `{example['attribute']}` of {example['table']} {key})"


def coverage_lines(coverage: Mapping[str, Any], verbose: bool) -> list[str]:
    """Return what was read, of how much."""
    resumed = f" ({coverage['segments_resumed']} of them in an earlier run)" if coverage["segments_resumed"] else ""
    ended = f"{coverage['segments_finished']} of {number_of(coverage['segments'], 'segment')}"
    items = number_of(coverage["items_scanned"], "item")
    lines = [f"read {items} in {ended}{resumed}, and {number_of(coverage['rows_read'], 'row')}"]
    if verbose:
        lines += [
            f"    {table['table']}: {number_of(table['items'], 'item')}, {table['known']:,} of declared kinds, "
            f"{table['expired']:,} expired, {table['finished']} of {number_of(table['segments'], 'segment')}"
            for table in coverage["tables"]
        ]
        lines += [f"    {rows['target']}: {number_of(rows['rows'], 'row')}" for rows in coverage["rows"]]
    return lines


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """Return what a plan would do, and how to have it done."""
    classes = ", ".join(f"{count:,} {name}" for name, count in plan["classes"].items()) or "nothing"
    lines = [f"plan: {number_of(plan['writes'], 'change')} ({classes}): {plan['file']}"]
    if plan["left_out"]:
        left = f"{plan['left_out']:,} more cannot be fixed without losing data"
        lines.append(f"    {left}: `devenv doctor` has a command for each")
    if plan["loss"]:
        needs = "it needs" if plan["loss"] == 1 else "they need"
        which = number_of(plan["loss"], "of them deletes", "of them delete")
        lines.append(f"    {which} an item; {needs} --allow-loss")
    return [*lines, f"next: devenv repair apply {plan['file']}"] if plan["writes"] else lines


def recreated_line(recreated: Mapping[str, Any]) -> str:
    """Return what to declare so that orphans whose row has another id are corrected, and not deleted."""
    from devenv.render.cells import clean

    those = number_of(recreated["ids"], "orphan has its row", "orphans have their rows")
    links = clean(" and ".join(recreated["declare"]))
    return f"next: {those} under another id: declare {links} in devenv.toml, then run verify again"


def verdict_lines(body: Mapping[str, Any]) -> list[str]:
    """The verdict, and what keeps it from being another."""
    head = typer.style(body["verdict"].replace("_", " "), fg=COLORS[body["verdict"]], bold=True)
    return [head, *(f"  because {reason}" for reason in body["reasons"])]


def repair_text(report: Report, verbose: bool) -> list[str]:
    """`repair apply` and `repair undo`: how many items came to which state, and the comparison after it."""
    from devenv.render.cells import clean, show_value

    body = report.body
    word = {"apply": "written", "undo": "put back"}[body["action"]]
    lines = [f"{number_of(body['applied'], 'item')} {word}, {body['already']:,} already correct"]
    if body["changed_meanwhile"]:
        lines.append(
            f"{number_of(body['changed_meanwhile'], 'was', 'were')} changed by another process and not touched:"
        )
    if body["failed"]:
        lines.append(f"{number_of(body['failed'], 'was', 'were')} not accepted by DynamoDB:")
    lines += [clean(f"    {item['state']}: {item['table']} {show_value(item['key'])}") for item in body["skipped"]]
    if body.get("left_out"):
        lines.append(f"{body['left_out']:,} would be deleted: add --allow-loss to delete them too")
    if "verify" in body:
        lines += verdict_lines(body["verify"])
        lines += [f"  {name}: {count:,}" for name, count in body["verify"]["findings"].items()]
    return lines
