"""`trace` as text: a tree with one line per layer, and the broken one opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import typer

from devenv.model import Report
from devenv.render.text import clean

SIGNS: Final[Mapping[str, tuple[str, str]]] = {"ok": ("✓", "green"), "not_run": ("○", "white")}
BROKEN: Final = ("✗", "red")
IDS: Final = 5
CHANGES: Final = 5
LOG: Final = 6


def trace_text(report: Report, verbose: bool) -> list[str]:
    """The whole trace; `verbose` opens every layer."""
    body = cleaned(report.body)
    subject, verdict = body["subject"], body["verdict"]
    words = [subject["name"], *subject["params"].values(), *([f"as {subject['user']}"] if subject["user"] else [])]
    lines = [typer.style(" ".join(words), bold=True)]
    lines += [f"  ({said})" for said in subject["said"]]
    layers = body["layers"]
    for layer in layers:
        last = layer is layers[-1]
        lines.append(f"{'└' if last else '├'}─ {headline(layer)}")
        if verbose or layer["name"] == verdict["layer"]:
            bar = " " if last else "│"
            lines += [f"{bar}    {line}".rstrip() for line in details(layer, verbose)]
    lines += ["", *conclusion(verdict)]
    return lines


def cleaned(value: Any) -> Any:
    """A report's values without control characters: what is stored must not steer the terminal."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: cleaned(part) for name, part in value.items()}
    return [cleaned(part) for part in value] if isinstance(value, list) else value


def headline(layer: Mapping[str, Any]) -> str:
    """One layer in one line."""
    sign, color = SIGNS.get(layer["status"], BROKEN)
    findings = layer["findings"]
    if findings:
        told = ", ".join(dict.fromkeys(finding["class"] for finding in findings))
    elif layer["unasked"]:
        told = f"not asked: {layer['unasked']}"
    elif layer["failure"]:
        told = layer["failure"]["what"]
    else:
        told = summary(layer)
    return f"{typer.style(sign, fg=color)} {layer['name']:<12} {told}  {typer.style(duration(layer['ms']), dim=True)}"


def duration(ms: float) -> str:
    """Milliseconds as one reads them."""
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.0f} ms"


def summary(layer: Mapping[str, Any]) -> str:
    """What a healthy layer has to say."""
    output, count = layer["output"], layer["observed_count"]
    match layer["name"]:
        case "environment":
            return f"pid {output['process']['pid']} talks to the project's stores"
        case "services":
            return ", ".join(service["name"] for service in output["services"]) + " answer"
        case "postgres":
            person = output.get("person") or {}
            return f"one row: {' '.join(list(person.values())[:3])}" if person else "the declared row is there"
        case "dynamodb":
            return f"{count} entries of {layer['request']['items']} items"
        case "cross-store":
            return f"{sum(link['ids'] for link in output['links'])} ids name their rows, the copies agree"
        case "pattern":
            cost = layer["cost"]
            read = f", {cost['scanned']} read, {cost['computed']:g} units" if cost else ""
            return f"{count} by {layer['request'].get('declared', 'SQL')}{read}"
        case "library":
            return f"{count} by {output['function']}"
        case "http":
            answers = [f"{answer['who']} {answer['status']}" for answer in output["answers"]]
            return f"{count}; {', '.join(answers)}"
    return ""


def details(layer: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    """The evidence of one layer."""
    for finding in layer["findings"]:
        yield f"{typer.style(finding['class'], bold=True)}: {finding['summary']}"
        if finding["cause"]:
            yield f"  cause: {finding['cause']}"
    if layer["expected_count"] is not None and layer["observed_count"] is not None:
        yield f"expected {layer['expected_count']}, observed {layer['observed_count']}"
    for name in ("missing", "extra"):
        if layer[name]:
            yield f"{name}: {some(layer[name], IDS)}"
    for change in layer["changed"][:CHANGES]:
        yield f"changed: {change['id']} {change['field']}: {change['expected']!r} -> {change['observed']!r}"
    if len(layer["changed"]) > CHANGES:
        yield f"and {len(layer['changed']) - CHANGES} more changes"
    yield from evidence(layer)
    for note in layer["notes"]:
        yield f"note: {note}"
    if layer["failure"] and verbose:
        yield f"failed: {layer['failure']['what']} {layer['failure']['detail'] or ''}"


def evidence(layer: Mapping[str, Any]) -> Iterator[str]:
    """What a layer's own output shows."""
    output = layer["output"]
    match layer["name"]:
        case "environment":
            for store, target in output.get("targets", {}).items():
                yield f"{store}: project {target['project']}, application {target['application']}"
        case "dynamodb":
            yield from output.get("near", ())
        case "pattern":
            if "declared" in layer["request"]:
                yield f"declared: {layer['request']['declared']}"
            for stage in output.get("stages", ()):
                yield f"without its {stage['without']}: {stage['count']}"
        case "library":
            for query in output.get("queries") or ():
                result = query["error"] or f"{query['count']} found"
                yield f"sent: {query['text']} ({result}{', ' + query['target'] if query['target'] else ''})"
        case "http":
            for answer in output.get("answers", ()):
                told = answer["status"] or answer["problem"]
                yield f"{answer['who']}: {told}" + (f" {answer['detail']}" if answer["detail"] else "")
            for line in (output.get("log") or ())[-LOG:]:
                yield f"log: {line}"


def some(ids: Sequence[str], number: int) -> str:
    """The first few, and how many more."""
    more = len(ids) - number
    return ", ".join(ids[:number]) + (f" and {more} more" if more > 0 else "")


def conclusion(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The verdict at the end, where one looks first."""
    if verdict["status"] == "ok":
        yield typer.style("ok: every layer agrees with the one before", fg="green", bold=True)
        return
    if verdict["status"] == "not_verified":
        yield typer.style(f"not verified: {verdict['summary']}", fg="yellow", bold=True)
        return
    yield typer.style(f"{verdict['layer']}: {verdict['class']}", fg="red", bold=True)
    yield f"  {verdict['summary']}"
    if verdict["cause"]:
        yield f"  cause: {verdict['cause']}"
    fix = verdict["fix"]
    if fix:
        yield f"  fix: {fix['text']}" + (f":  {fix['command']}" if fix["command"] else "")
    for other in verdict["also"]:
        yield f"  also {other['layer']}: {other['class']}: {other['summary']}"
