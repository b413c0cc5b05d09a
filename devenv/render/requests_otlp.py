"""Recorded requests as OTLP/JSON: a server span for each request, below it a client span for each call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from devenv import __version__
from devenv.core.model import Report
from devenv.render.trace_otlp import CLIENT, ERROR, UNSET, after, attributes, hexadecimal, status

SERVER = 2
SYSTEMS = {"dynamodb": "aws.dynamodb", "postgres": "postgresql"}


def write_requests_otlp(report: Report) -> str:
    """The lines of all requests. A request that brought a traceparent is a child in that trace, others begin one."""
    project = report.project or "devenv"
    spans = [span for request in report.body["requests"] for span in spans_of(project, request)]
    scope = {"name": "devenv.requests", "version": __version__}
    resource = {"attributes": attributes({"service.name": project})}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode() + "\n"


def spans_of(project: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A request's span and those of its calls."""
    seed = f"{project} {request['id']} {request['started']}"
    brought = (request["traceparent"] or "").split("-")
    trace = brought[1] if len(brought) == 4 else hexadecimal(seed, 32)
    root = hexadecimal(f"{seed} root", 16)
    told = {
        "http.request.method": request["method"],
        "url.path": request["path"].partition("?")[0],
        "http.response.status_code": request["status"],
        **{f"devenv.{mark['kind']}": mark["times"] for mark in request["marks"]},
    }
    failed = request["status"] is None or request["status"] >= 500
    name = f"{request['method']} {told['url.path']}"
    first = span(trace, root, name, SERVER, request, told, "failed" if failed else None)
    if len(brought) == 4:
        first["parentSpanId"] = brought[2]
    found = [first]
    for place, call in enumerate(request["calls"]):
        told = {
            "db.system.name": SYSTEMS[call["store"]],
            "db.operation.name": call["operation"],
            "db.query.text": call["text"].strip("`"),
            "db.namespace": call.get("database"),
            "db.response.returned_rows": call["rows"],
            "db.response.status_code": call["error"],
            "aws.dynamodb.scanned_count": call.get("scanned"),
        }
        one = span(trace, hexadecimal(f"{seed} {place}", 16), call["operation"], CLIENT, call, told, call["error"])
        found.append({**one, "parentSpanId": root})
    return found


def span(
    trace: str, number: str, name: str, kind: int, timed: Mapping[str, Any], told: Mapping[str, Any], failed: str | None
) -> dict[str, Any]:
    began = round(timed["started"] * 1_000_000) * 1000
    return {
        "traceId": trace,
        "spanId": number,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(after(began, timed.get("ms") or 0.0)),
        "attributes": attributes(told),
        "status": status(ERROR if failed else UNSET, failed),
    }
