"""Rows of a trace with `--action`: the expected and the actual writes, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from devenv.core.plural import number_of

Row = tuple[str, str]
PROBLEMS = {
    "not_written": "stayed as before",
    "half_group": "deleted, and not written again",
    "written_elsewhere": "in another table",
    "not_deleted": "still there",
}


def written_rows(layer: Mapping[str, Any], *, verbose: bool) -> Iterator[Row]:
    """Labelled rows; fields that are right only when `verbose`."""
    output = layer.get("output") or {}
    for result in output.get("written") or ():
        yield from result_rows(result, verbose=verbose)
    for number, call in enumerate(output.get("writes") or ()):
        items = f", {number_of(call['items'], 'item')}" if call["store"] == "dynamodb" and call["items"] else ""
        yield (
            "writes" if number == 0 else "",
            f"{call['text']}{items}" + (f" (error {call['error']})" if call["error"] else ""),
        )
    if action := output.get("action"):
        yield "action", f"{action['method']} {action['url']}: {action['status'] or action['detail']}"


def result_rows(result: Mapping[str, Any], *, verbose: bool) -> Iterator[Row]:
    """One declared write."""
    right = sum(thing["problem"] is None for thing in result["things"])
    yield "written", f"{result['change']} {result['what']}: {right} of {result['count']} right"
    for thing in result["things"]:
        problem = thing["problem"]
        if problem is None and not verbose:
            continue
        yield "", f"{thing['key']}" + (f": {PROBLEMS[problem]}" if problem in PROBLEMS else "")
        for field in thing["fields"]:
            if field["right"] and not verbose:
                continue
            yield "", field_text(field)


def field_text(field: Mapping[str, Any]) -> str:
    """`✓ sk = …`, or both values."""
    observed = "null" if field["observed"] is None else field["observed"]
    if field["right"]:
        return f"✓ {field['name']} = {observed}"
    expected = "unknown" if field["expected"] is None else field["expected"]
    return f"✗ {field['name']}: expected {expected}, written {observed}"
