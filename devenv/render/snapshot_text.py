"""The text forms of snapshots, and of what a reset did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devenv.model import Report


def snapshot_text(report: Report, verbose: bool) -> list[str]:
    """`snapshot save|restore|list|delete`."""
    body = report.body
    if "snapshots" in body:
        return list_lines(body["snapshots"], verbose)
    if "saved" in body:
        saved = body["saved"]
        return [f"saved `{saved['name']}`: {facts(saved)}", f"to return: devenv snapshot restore {saved['name']}"]
    if "deleted" in body:
        return [f"deleted `{body['deleted']['name']}`"]
    lines = [f"restored `{body['restored']['name']}`: {facts(body['restored'])}"]
    if body["kept"]:
        lines += [f"to return: devenv snapshot restore {body['kept']}"]
    if body["restart_backend"]:
        lines += ["the application still runs with the settings of before; next: devenv up"]
    return lines


def list_lines(snapshots: list[Mapping[str, Any]], verbose: bool) -> list[str]:
    """One line per snapshot; its manifest below it with `-v`."""
    if not snapshots:
        return ["no snapshots; make one with: devenv snapshot save NAME"]
    wide = max(len(each["name"]) for each in snapshots)
    lines = []
    for each in snapshots:
        note = "" if each["usable"] else "  (a part of data that is no longer here)"
        lines += [f"{each['name']:<{wide}}  {each['created'][:19]}Z  {each['reason']}, {facts(each)}{note}"]
        if verbose:
            lines += [f"    {name}: {value}" for name, value in each.items() if name not in ("name", "reason")]
    return lines


def facts(manifest: Mapping[str, Any]) -> str:
    """`14 rows, 162 items, 46.1 MB, copy`; what was not counted is left out."""
    counts = manifest["counts"]
    parts = [
        f"{sum(counts[store].values())} {word}"
        for store, word in (("postgres", "rows"), ("dynamodb", "items"))
        if counts.get(store) is not None
    ]
    return ", ".join([*parts, f"{manifest['size'] / 1e6:.1f} MB", manifest["method"]])


def reset_lines(report: Report, verbose: bool) -> list[str]:
    """How a reset was done, what took how long, and how to return."""
    body = report.body
    lines = []
    if "method" in body:
        how = f"the three steps ran: {body['doubt']}" if body["doubt"] else "the baseline was restored"
        lines += [f"method: {body['method']} ({how})"]
    if report.view.get("timings") or verbose:
        lines += ["timings:"] + [f"  {name:<12} {spent:8.3f} s" for name, spent in body["timings"].items()]
    if body.get("snapshot"):
        lines += [f"to return: devenv snapshot restore {body['snapshot']}"]
    return lines
