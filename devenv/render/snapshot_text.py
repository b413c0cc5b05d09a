"""The text forms of snapshots and of resets."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from typing import Any

from devenv.config.services import RECORDS
from devenv.core.model import Report
from devenv.core.plural import number_of, size_words
from devenv.render.cells import clean


def snapshot_text(report: Report, verbose: bool) -> list[str]:
    """`snapshot save|restore|list|delete`."""
    body = report.body
    if "snapshots" in body:
        return list_lines(body["snapshots"], verbose)
    if "saved" in body:
        saved = body["saved"]
        return [
            f"saved `{saved['name']}`: {facts(saved)}",
            f"to restore it: devenv snapshot restore {saved['name']}",
        ]
    if "exported" in body:
        return [f"written: {body['file']} ({body['bytes'] / 1e6:.1f} MB)"]
    if "imported" in body:
        name = body["imported"]["name"]
        removed = [f"  {clean(line)}" for line in body["removed"]]
        return [f"imported `{name}`: {facts(body['imported'])}", *removed, f"next: devenv snapshot restore {name}"]
    if "diff" in body:
        return diff_lines(body, verbose)
    if "pruned" in body and "bytes" in body:
        if not body["pruned"]:
            return ["nothing to delete"]
        return [f"deleted {number_of(len(body['pruned']), 'snapshot')} ({size_words(body['bytes'])})"]
    if "deleted" in body:
        return [f"deleted `{body['deleted']['name']}`"]
    lines = [f"restored `{body['restored']['name']}`: {facts(body['restored'])}"]
    if body["kept"]:
        lines += [f"to restore the previous data: devenv snapshot restore {body['kept']}"]
    if body["restart_backend"]:
        lines += ["the application is still running with the old settings; restart it: devenv up"]
    return lines


def list_lines(snapshots: list[Mapping[str, Any]], verbose: bool) -> list[str]:
    """One line per snapshot, more where the terminal is too narrow; its manifest below it with `-v`."""
    from devenv.render.cells import cell_width, clean, shown_width

    if not snapshots:
        return ["no snapshots; make one with: devenv snapshot save NAME"]
    wide = max(len(each["name"]) for each in snapshots)
    lines = []
    for each in snapshots:
        note = "" if each["usable"] else "  (cannot be restored: its database was deleted)"
        head = f"{each['name']:<{wide}}  {each['created'][:19]}Z"
        more = clean(f"{each['reason']}, {facts(each)}{note}")
        if cell_width(head) + 2 + cell_width(more) <= shown_width():
            lines += [f"{head}  {more}"]
        else:
            lines += [f"{each['name']}  {each['created'][:19]}Z", *indented(more)]
        if verbose:
            lines += [f"    {name}: {value}" for name, value in each.items() if name not in ("name", "reason")]
    return lines


def indented(words: str) -> list[str]:
    """Words in as many lines as they need, with a margin."""
    from devenv.render.cells import shown_width

    return textwrap.wrap(words, shown_width(), initial_indent=" " * 4, subsequent_indent=" " * 4)


def diff_lines(body: Mapping[str, Any], verbose: bool) -> list[str]:
    """`snapshot diff`: each table with its counts, then its first differences by key."""
    from devenv.render.cells import clean, show_value

    between = f"{body['diff']['from']} and {body['diff']['to'] or 'now'}"
    if body["identical"]:
        return [f"no difference between {between}"]
    lines = [f"from {body['diff']['from']} to {body['diff']['to'] or 'now'}:"]
    signs = {"added": "+", "removed": "-", "changed": "~"}
    for table in body["tables"]:
        counts = ", ".join(f"{table[how]:,} {how}" for how in signs if table[how])
        lines += [f"{table['store']} {clean(table['table'])}: {counts}"]
        for each in table["listed"] if verbose else table["listed"][:5]:
            key = " ".join(f"{clean(name)}={show_value(plain_value(value))}" for name, value in each["key"].items())
            lines += [f"  {signs[each['how']]} {key}"]
            for name, both in each["fields"].items():
                old, new = (show_value(plain_value(both[side])) or "(none)" for side in ("from", "to"))
                lines += [f"      {clean(name)}: {old} → {new}"]
        shown = len(table["listed"]) if verbose else min(5, len(table["listed"]))
        rest = table["added"] + table["removed"] + table["changed"] - shown
        lines += [f"  … {rest:,} more"] if rest else []
    return lines + [f"{clean(name)}: its data differs" for name in body.get("services", ())]


def plain_value(value: Any) -> Any:
    """`{"S": "a"}` as `a`: an attribute of DynamoDB for reading; whatever else as it is."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("S", "N", "B", "BOOL"):
        return next(iter(value.values()))
    return value


def facts(manifest: Mapping[str, Any]) -> str:
    """`14 rows, 162 items, 46.1 MB`; what was not counted is left out."""
    counts = manifest["counts"]
    parts = [
        number_of(sum(counts[store].values()), word) for store, word in RECORDS.items() if counts.get(store) is not None
    ]
    return ", ".join([*parts, f"{manifest['size'] / 1e6:.1f} MB"])


def reset_lines(report: Report, verbose: bool) -> list[str]:
    """Return how a reset was done, what took how long, and how to return."""
    body = report.body
    lines = []
    if "method" in body:
        how = f"the three steps ran: {body['doubt']}" if body["doubt"] else "the baseline was restored"
        lines += [f"method: {body['method']} ({how})"]
    if report.view.get("timings") or verbose:
        lines += ["timings:"] + [f"  {name:<12} {spent:8.3f} s" for name, spent in body["timings"].items()]
    if body.get("snapshot"):
        lines += [f"to restore the previous data: devenv snapshot restore {body['snapshot']}"]
    return lines


def ps_text(report: Report, verbose: bool) -> list[str]:
    """`ps`: one line per project, one below it per service."""
    projects = report.body["projects"]
    lines = []
    for project in projects:
        lines += [f"{project['state']:<8} {project['name'] or '?'}  {project['root']}"]
        lines += [
            f"    {s['name']:<12} " + ", ".join(f"{word} {s[word]}" for word in ("pid", "port") if s[word])
            for s in project["services"]
        ]
        lines += [f"    {s['name']:<12} port {s['port']}, not started by devenv" for s in project["connected"]]
        if verbose or project["state"] == "deleted":
            lines += [f"    data: {project['data'] or 'none'}"]
        if project.get("bytes"):
            lines += [f"    {size_words(project['bytes'])} of data"]
    if "forgotten" in report.body:
        number = number_of(len(report.body["forgotten"]), "deleted project")
        lines += [f"forgot {number} ({size_words(report.body['freed'])} freed)"]
    elif any(project["state"] == "deleted" for project in projects):
        lines += ["some project folders were deleted; delete their data with: devenv ps --forget"]
    return lines or ["no projects"]


def down_all_lines(report: Report) -> list[str]:
    """`down --all`: what was stopped, what could not be, what is left of deleted folders."""
    body = report.body
    lines = [f"stopped: {root}" for root in body["stopped"]]
    lines += [
        f"left running: {', '.join(each['services'])}, which devenv did not start (of {each['root']})"
        for each in body["left"]
    ]
    lines += [f"{each['root']}: nothing can be running there ({each['error']})" for each in body["engines_gone"]]
    if not lines and not body["failed"]:
        lines += ["nothing was running"]
    for each in body["failed"]:
        lines += [f"not stopped: {each['root']}: {each['error']}", f"  hint: {each['hint']}"]
    lines += [f"data of the deleted {each['root']} is left: {each['data']}" for each in body["leftovers"]]
    if body["leftovers"]:
        lines += ["to delete the data of all projects: devenv down --all --data"]
    for each in body["backups"]:
        root = shlex.quote(each["root"])
        lines += [f"data of {each['root']} deleted (a backup is kept)"]
        lines += [f"  to restore the previous data: devenv snapshot restore {each['snapshot']} --project {root}"]
    if body["data"] == "deleted" and body["cache"]:
        lines += ["kept: downloads and baselines, which all projects share"]
        lines += [f"  to delete them: rm -r {shlex.quote(body['cache'])}"]
        lines += ["npm's own cache also keeps copies of the downloads"]
    return lines
