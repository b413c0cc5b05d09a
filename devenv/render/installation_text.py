"""The text forms of `devenv self` and `devenv parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devenv.core.model import Report
from devenv.core.plural import number_of, size_words
from devenv.render.cells import clean


def self_text(report: Report, verbose: bool) -> list[str]:
    """`self`: how it is installed, what a change runs, which folders there are."""
    body = report.body
    action = body.get("action")
    if action is None:
        lines = [
            f"devenv {body['version']} ({body['distribution']}, {body['kind']}) in {clean(body['environment'])}",
            f"  update: {clean(body['update'])}",
            f"  remove: {clean(body['remove'])}",
        ]
        return lines + folder_lines("folders that devenv keeps:", body["folders"])
    head = "would run" if body["dry_run"] else "running"
    lines = [*checkout_lines(body.get("from")), f"{head}: {clean(body['runs'])}"]
    if action == "uninstall":
        would = "would stop" if body["dry_run"] else "stopped"
        lines = [f"{would}: {clean(root)}" for root in body["stops"]] + lines
        lines += [
            f"stays up: {clean(each['path'])} (another devenv started it: {clean(each['environment'])})"
            for each in body["left_running"]
        ]
        lines += folder_lines("these folders stay:", body["folders"]) or ["no folder of devenv stays"]
        if body["folders"]:
            lines += ["delete them with: rm -rf FOLDER"]
    return lines


def checkout_lines(source: Mapping[str, Any] | None) -> list[str]:
    """Which checkout is installed, and what that changes: an installer that compares versions calls it unchanged."""
    if source is None:
        return []
    commit = f", commit {clean(source['commit'][:12])}" if source["commit"] else ""
    change = (
        f"{source['differ']} of its {number_of(source['files'], 'module')} differ from the installed ones"
        if source["differ"]
        else "its modules are already installed; `git pull` there brings newer ones"
    )
    return [f"from the checkout {clean(source['path'])}{commit}", f"  {change}"]


def folder_lines(head: str, folders: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per folder, with its size."""
    lines = [f"  {size_words(each['bytes']):>8}  {clean(each['path'])}  ({clean(each['what'])})" for each in folders]
    return [head, *lines] if lines else []


def parts_text(report: Report, verbose: bool) -> list[str]:
    """`parts list|verify|remove`."""
    body = report.body
    if "removed" in body:
        return [f"removed {number_of(len(body['removed']), 'part')} ({size_words(body['bytes'])})"]
    if not body["parts"]:
        return [f"no parts in {clean(body['cache'])}; `devenv up` fetches what it needs"]
    wide = max(len(part["name"]) for part in body["parts"])
    lines = [f"parts in {clean(body['cache'])}:"]
    for part in body["parts"]:
        state = f"  {part['state']}" if body.get("verified") else ""
        used = f"  (in use by {number_of(len(part['used_by']), 'process', 'processes')})" if part["used_by"] else ""
        line = f"  {part['name']:<{wide}}  {size_words(part['bytes']):>8}{state}"
        lines += [f"{line}  {part['what']}{used}"]
        lines += [f"      from {clean(part['source'])}"] if part["source"] and verbose else []
        lines += [f"      changed: {clean(name)}" for name in part.get("changed", ())]
    if not body.get("verified"):
        lines += [f"total: {size_words(body['bytes'])}"]
    return lines
