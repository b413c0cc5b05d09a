"""`devenv requests` as text: a line for each request, below it a line for each kind of call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import typer

from devenv.config.services import RECORDS, TITLES
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render.cells import clean

WIDTH: Final = 110
# Shown with -v only.
FRAME: Final = frozenset(["begin", "commit", "rollback", "discard all"])


def requests_text(report: Report, verbose: bool) -> list[str]:
    """The requests, oldest first, then what belongs to none of them."""
    body = report.body
    lines: list[str] = []
    for request in body["requests"]:
        lines += following_text(request, verbose)
    if body["shared"]:
        calls = [each["call"] for each in body["shared"]]
        lines.append(f"{number_of(len(calls), 'call')} during several requests at once, without a traceparent:")
        lines += call_lines(calls, (), verbose)
    if body["unassigned"]:
        lines.append(f"{number_of(len(body['unassigned']), 'call')} outside of requests:")
        lines += call_lines(body["unassigned"], (), verbose)
    if body["unparsed"]:
        total = sum(body["unparsed"].values())
        lines.append(f"the tap forwarded traffic that it could not read, {number_of(total, 'time')}:")
        lines += [f"  {clean(reason)}: {number_of(count, 'time')}" for reason, count in body["unparsed"].items()]
    if not lines:
        lines.append("no requests yet; send them to the tap's address (devenv status)")
    if not body["recording"]:
        lines.append("the tap is not running: devenv up --tap")
    return lines


def following_text(request: Mapping[str, Any], verbose: bool) -> list[str]:
    at = datetime.fromtimestamp(request["started"]).astimezone().strftime("%H:%M:%S")
    status = request["status"]
    shown = "no response" if status is None else str(status)
    color = "red" if status is None or status >= 500 else "yellow" if status >= 400 else "green"
    spent = "" if request["ms"] is None else f"  {request['ms']:.1f} ms"
    path = clean(request["path"])
    head = f"#{request['id']} {at}  {request['method']} {path}  {typer.style(shown, fg=color)}{spent}"
    return [typer.style(head, bold=True), *call_lines(request["calls"], request["marks"], verbose)]


def call_lines(calls: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]], verbose: bool) -> list[str]:
    """A line for each call; calls that are alike share one unless `verbose`."""
    lines: list[str] = []
    marked: dict[int, str] = {}
    for mark in marks:
        for place in mark["calls"]:
            marked[place] = f"{'N+1' if mark['kind'] == 'n+1' else mark['kind']}: {number_of(mark['times'], 'time')}"
    seen: set[tuple[str, str]] = set()
    for place, call in enumerate(calls):
        if not verbose and call["text"].strip("`; ").lower() in FRAME and not call["error"]:
            continue
        note = marked.get(place)
        if note and not verbose:
            if (call["text"], note) in seen:
                continue
            seen.add((call["text"], note))
        mark_text = f"  {typer.style(note, fg='yellow')}" if note else ""
        lines.append(f"  {call_line(call)}{mark_text}")
    return lines


def call_line(call: Mapping[str, Any]) -> str:
    parts = [f"{TITLES[call['store']]:<8}", "" if call.get("ms") is None else f"{call['ms']:6.1f} ms"]
    text = clean(" ".join(call["text"].strip("`").split()))
    parts.append(text if len(text) <= WIDTH else text[: WIDTH - 1] + "…")
    if call["error"]:
        parts.append(typer.style(" ".join(filter(None, (call["error"], clean(call.get("detail") or "")))), fg="red"))
    if call["rows"] is not None:
        parts.append(number_of(call["rows"], RECORDS[call["store"]]))
    if call.get("scanned") not in (None, call["rows"]):
        parts.append(f"{call['scanned']:,} scanned")
    if call.get("units") is not None:
        parts.append(f"{call['units']:g} units")
    if call.get("more"):
        parts.append("more follows")
    return "  ".join(filter(None, parts))
