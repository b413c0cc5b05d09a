"""The text form of `policy`: each document with its purpose, where to attach it, and its limits."""

from __future__ import annotations

import json

import typer

from devenv.core.model import Report


def policy_text(report: Report, verbose: bool) -> list[str]:
    """The policies that were made, or where they were written; those that were not, and why."""
    body = report.body
    lines: list[str] = []
    for policy in body["policies"]:
        head = f"{policy['name']}: {policy['title']}"
        lines += [typer.style(head, bold=True), f"  {policy['kind']}, {policy['characters']} characters"]
        lines += [f"  {policy['explain']}"]
        lines += [f"  note: {note}" for note in policy["notes"]]
        lines += [f"  to attach: {policy['attach']}"]
        if not body["written"]:
            lines += json.dumps(policy["document"], indent=2).splitlines()
        lines += [""]
    lines += [f"not made: {each['name']}: {each['reason']}; {each['hint']}" for each in body["missing"]]
    lines += [f"written: {path}" for path in body["written"]]
    return lines
