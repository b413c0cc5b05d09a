"""A trace as OTLP/JSON, one document per line: for Jaeger, otel-tui, or anything that takes OTLP over HTTP.

Ids are hexadecimal, enumerations are integers, and 64-bit integers are strings, as OTLP's JSON encoding has them
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from devenv import __version__
from devenv.core.model import Report
from devenv.render.trace_view import Body, Layer, readable

INTERNAL: Final = 1
CLIENT: Final = 3
UNSET: Final = 0
OK: Final = 1
ERROR: Final = 2
# A layer with one of these attributes is a call of something else.
CALLS: Final = frozenset(["db.system.name", "http.request.method"])


def write_otlp(report: Report) -> str:
    """The lines of a trace: one document whose root span is the trace, with a child span for each layer.

    The ids follow from what was traced and when, so that the same report gives the same document.
    """
    body = readable(report.body)
    subject = body["subject"]
    seed = f"{report.project} {subject['name']} {subject.get('identifier')} {body['started']}"
    trace = hexadecimal(seed, 32)
    root = hexadecimal(f"{seed} root", 16)
    began = round(datetime.fromisoformat(body["started"]).timestamp() * 1000) * 1_000_000
    spans = [root_span(body, trace, root, began)]
    spans += [
        layer_span(layer, trace, root, hexadecimal(f"{seed} {layer['name']}", 16), began) for layer in body["layers"]
    ]
    resource = {"service.name": report.project or "devenv"}
    scope = {"name": "devenv.trace", "version": __version__}
    document = {
        "resourceSpans": [
            {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"scope": scope, "spans": spans}]}
        ]
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode() + "\n"


def hexadecimal(seed: str, digits: int) -> str:
    """An id of so many hexadecimal digits."""
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:digits]


def root_span(body: Body, trace: str, span: str, began: int) -> dict[str, Any]:
    """The whole trace as a span; `began` is in nanoseconds since 1970."""
    subject, verdict = body["subject"], body["verdict"]
    length = max([body.get("ms") or 0.0, *(layer["began_ms"] + layer["ms"] for layer in body["layers"])])
    told = {
        "devenv.trace.subject": subject["name"],
        "devenv.trace.identifier": subject.get("identifier"),
        "devenv.trace.user": subject.get("user"),
        "devenv.trace.status": verdict["status"],
        "devenv.trace.layer": verdict.get("layer"),
        "devenv.trace.class": verdict.get("class"),
        "devenv.trace.cause": verdict.get("cause"),
        "devenv.trace.command": (verdict.get("fix") or {}).get("command"),
        **{f"devenv.trace.param.{name}": value for name, value in subject["params"].items()},
    }
    failed = verdict["status"] == "diverged"
    return {
        "traceId": trace,
        "spanId": span,
        "name": f"trace {subject['name']}",
        "kind": INTERNAL,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(after(began, length)),
        "attributes": attributes(told),
        "status": status(ERROR if failed else OK if verdict["status"] == "ok" else UNSET, verdict.get("summary")),
    }


def layer_span(layer: Layer, trace: str, parent: str, span: str, began: int) -> dict[str, Any]:
    """One layer as a span. Its findings are events at its end."""
    end = after(began, layer["began_ms"] + layer["ms"])
    cost = layer.get("cost") or {}
    told = {
        "devenv.layer.index": layer["index"],
        "devenv.layer.name": layer["name"],
        "devenv.layer.question": layer.get("question"),
        "devenv.layer.status": layer["status"],
        "devenv.layer.class": next((finding["class"] for finding in layer["findings"]), None),
        "devenv.layer.expected_count": layer.get("expected_count"),
        "devenv.layer.observed_count": layer.get("observed_count"),
        "devenv.layer.missing_count": len(layer["missing"]),
        "devenv.layer.extra_count": len(layer["extra"]),
        "devenv.layer.changed_count": len(layer["changed"]),
        "devenv.layer.reordered": bool(layer.get("reordered")),
        "devenv.layer.unasked": layer.get("unasked"),
        "devenv.layer.follows": layer.get("follows"),
        **layer["attributes"],
        "aws.dynamodb.scanned_count": cost.get("scanned"),
        "aws.dynamodb.count": cost.get("returned"),
    }
    failed = bool(layer["findings"] or layer.get("failure")) or layer["status"] not in ("ok", "not_run")
    unset = layer["status"] == "not_run" or layer.get("follows")
    why = next((finding["summary"] for finding in layer["findings"]), (layer.get("failure") or {}).get("what"))
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": parent,
        "name": layer["name"],
        "kind": CLIENT if CALLS & layer["attributes"].keys() else INTERNAL,
        "startTimeUnixNano": str(after(began, layer["began_ms"])),
        "endTimeUnixNano": str(end),
        "attributes": attributes(told),
        "events": [event(finding, end) for finding in layer["findings"]],
        "status": status(ERROR if failed else UNSET if unset else OK, why),
    }


def event(finding: Mapping[str, Any], at: int) -> dict[str, Any]:
    """A finding as an event of its layer's span."""
    fix = finding.get("fix") or {}
    told = {
        "devenv.layer.name": finding["layer"],
        "devenv.layer.class": finding["class"],
        "devenv.finding.summary": finding["summary"],
        "devenv.finding.cause": finding.get("cause"),
        "devenv.finding.fix": fix.get("text"),
        "devenv.finding.command": fix.get("command"),
        "devenv.finding.subjects": finding.get("subjects") or None,
    }
    return {"timeUnixNano": str(at), "name": "devenv.finding", "attributes": attributes(told)}


def status(code: int, message: str | None) -> dict[str, Any]:
    """A span's status; only an error has a message."""
    return {"code": code, "message": message} if code == ERROR and message else {"code": code}


def after(began: int, ms: float) -> int:
    """Nanoseconds since 1970, so many milliseconds after the beginning."""
    return began + round(ms * 1_000_000)


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Key-value pairs. Null, which means "not captured", is left out; zero and the empty text are kept."""
    return [{"key": name, "value": any_value(value)} for name, value in values.items() if value is not None]


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(part) for part in value]}}
    return {"stringValue": str(value)}
