"""A trace as OTLP/JSON: read with OpenTelemetry's own protobuf package, and checked against the encoding's rules."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from devenv.core.model import Report
from devenv.render.requests_otlp import write_requests_otlp
from devenv.render.trace_otlp import write_otlp
from tests.trace_samples import (
    DECLARED,
    GROUP,
    NAMES,
    NARROW,
    SAMPLES,
    SQL,
    down,
    everywhere,
    healthy,
    healthy_body,
    named,
    narrowed,
    report_of,
    wrong_query,
)

IDS = ("traceId", "spanId", "parentSpanId")


def parse(text: str) -> list[Span]:
    """The spans of all lines. OTLP writes ids in hexadecimal where protobuf's own JSON has base64."""

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: base64.b64encode(bytes.fromhex(part)).decode() if name in IDS else convert(part)
                for name, part in value.items()
            }
        return [convert(part) for part in value] if isinstance(value, list) else value

    spans: list[Span] = []
    for line in text.splitlines():
        data = json_format.ParseDict(convert(json.loads(line)), TracesData())
        spans += [span for resource in data.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return spans


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(part) for part in value.array_value.values]
    return getattr(value, str(kind))


def told(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    assert len({pair.key for pair in pairs}) == len(pairs), "an attribute is there twice"
    return {pair.key: plain(pair.value) for pair in pairs}


def layers(report: Report) -> dict[str, tuple[Span, dict[str, Any]]]:
    _, *children = parse(write_otlp(report))
    return {span.name: (span, told(span.attributes)) for span in children}


@pytest.mark.parametrize("name", SAMPLES)
def test_one_root_and_a_child_for_each_layer(name: str) -> None:
    report = SAMPLES[name]()
    text = write_otlp(report)
    assert text.count("\n") == 1
    assert text.endswith("\n")
    root, *children = parse(text)
    assert root.parent_span_id == b""
    assert root.name == "trace conversation"
    assert [child.name for child in children] == list(NAMES)
    assert {child.parent_span_id for child in children} == {root.span_id}
    assert {child.trace_id for child in children} == {root.trace_id}
    assert len({span.span_id for span in (root, *children)}) == 9
    assert {len(root.trace_id), *(len(span.span_id) for span in children)} == {16, 8}


@pytest.mark.parametrize("name", SAMPLES)
def test_spans_lie_where_the_layers_ran(name: str) -> None:
    report = SAMPLES[name]()
    root, *children = parse(write_otlp(report))
    assert root.start_time_unix_nano == 1795386408512 * 10**6
    for child, layer in zip(children, report.body["layers"], strict=True):
        assert child.start_time_unix_nano - root.start_time_unix_nano == round(layer["began_ms"] * 10**6)
        assert child.end_time_unix_nano - child.start_time_unix_nano == pytest.approx(layer["ms"] * 10**6, abs=1)
        assert child.end_time_unix_nano <= root.end_time_unix_nano


def test_the_encoding_is_otlps_own() -> None:
    """Hexadecimal ids, 64-bit integers as text, enumerations as integers (specification of OTLP)."""
    spans = json.loads(write_otlp(wrong_query()))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span in spans:
        assert len(bytes.fromhex(span["traceId"])) == 16
        assert len(bytes.fromhex(span["spanId"])) == 8
        assert isinstance(span["startTimeUnixNano"], str)
        assert isinstance(span["endTimeUnixNano"], str)
        assert isinstance(span["kind"], int)
        assert isinstance(span["status"]["code"], int)
        for attribute in span["attributes"]:
            assert isinstance(attribute["value"].get("intValue", "0"), str)


def test_the_same_report_gives_the_same_ids_and_another_one_others() -> None:
    assert write_otlp(healthy()) == write_otlp(healthy())
    later = healthy()
    later = Report("trace", "chat", 0, {**later.body, "started": "2026-11-22T22:30:00.000+00:00"})
    assert parse(write_otlp(later))[0].trace_id != parse(write_otlp(healthy()))[0].trace_id


def test_the_stores_are_described_in_the_words_of_the_conventions() -> None:
    found = layers(healthy())
    assert found["postgres"][1]["db.system.name"] == "postgresql"
    assert found["postgres"][1]["db.query.text"] == SQL
    assert found["dynamodb"][1]["db.system.name"] == "aws.dynamodb"
    assert found["dynamodb"][1]["aws.dynamodb.table_names"] == ["chat-messages"]
    pattern = found["pattern"][1]
    assert pattern["db.query.text"] == DECLARED
    assert pattern["aws.dynamodb.table_names"] == ["chat-messages"]
    assert pattern["aws.dynamodb.index_name"] == "by-time"
    assert [json.loads(part) for part in pattern["aws.dynamodb.consumed_capacity"]] == [
        {"TableName": "chat-messages", "CapacityUnits": 4.5}
    ]
    assert pattern["aws.dynamodb.scanned_count"] == 12
    assert found["http"][1]["http.response.status_code"] == 200
    assert found["http"][1]["devenv.http.stranger.response.status_code"] == 403
    assert found["http"][1]["url.path"] == f"/messages/{GROUP}"
    assert {name for name, (span, _) in found.items() if span.kind == Span.SPAN_KIND_CLIENT} == {
        "postgres", "dynamodb", "pattern", "http",
    }  # fmt: skip


def test_zero_is_kept_and_null_is_left_out() -> None:
    found = layers(wrong_query())
    assert found["library"][1]["devenv.layer.observed_count"] == 0
    assert found["library"][1]["devenv.layer.expected_count"] == 12
    assert found["library"][1]["db.query.text"] == NARROW
    assert found["library"][1]["devenv.layer.missing_count"] == 12
    assert "devenv.layer.expected_count" not in found["dynamodb"][1]
    assert "devenv.layer.observed_count" not in found["services"][1]
    assert "aws.dynamodb.consumed_capacity" not in found["library"][1]


def test_the_broken_layer_is_an_error_with_its_findings_as_events() -> None:
    root, *_ = parse(write_otlp(wrong_query()))
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert told(root.attributes)["devenv.trace.layer"] == "library"
    found = layers(wrong_query())
    span, attributes = found["library"]
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span.status.message.startswith("list_messages() returns 0 of 12")
    assert attributes["devenv.layer.class"] == "wrong_query"
    assert attributes["devenv.layer.status"] == "missing"
    (event,) = span.events
    assert event.name == "devenv.finding"
    assert event.time_unix_nano == span.end_time_unix_nano
    assert told(event.attributes)["devenv.layer.class"] == "wrong_query"
    assert told(event.attributes)["devenv.finding.fix"] == "correct list_messages()"
    assert {name for name, (span, _) in found.items() if span.status.code == Status.STATUS_CODE_OK} == {
        "environment", "services", "postgres", "dynamodb", "cross-store", "pattern",
    }  # fmt: skip


def test_a_declared_pattern_that_is_wrong_is_the_error() -> None:
    found = layers(narrowed())
    assert [name for name, (span, _) in found.items() if span.status.code == Status.STATUS_CODE_ERROR] == ["pattern"]
    assert found["library"][1]["devenv.layer.observed_count"] == 0


def test_what_was_not_asked_is_neither_right_nor_wrong() -> None:
    root, *_ = parse(write_otlp(down()))
    assert root.status.code == Status.STATUS_CODE_UNSET
    found = layers(down())
    assert found["http"][0].status.code == Status.STATUS_CODE_UNSET
    assert found["http"][1]["devenv.layer.unasked"] == "it needs {person.uuid}, which is not known"
    assert found["dynamodb"][0].status.code == Status.STATUS_CODE_ERROR
    assert found["dynamodb"][0].status.message == "DynamoDB at 127.0.0.1:8000 does not answer"


def test_a_request_without_an_answer_has_no_status() -> None:
    body = healthy_body()
    named(body, "http")["output"]["answers"][0].update(status=None, problem="timed_out")
    assert "http.response.status_code" not in layers(report_of(1, body))["http"][1]


@pytest.mark.parametrize("name", SAMPLES)
def test_stored_text_of_any_kind_still_parses(name: str) -> None:
    hostile = '\x00\x1b[2J\u202e\ud800\udfff "\\\n</script> é 日本'
    text = write_otlp(everywhere(SAMPLES[name](), hostile))
    assert text.count("\n") == 1
    assert len(parse(text)) == 9
    text.encode()


def test_recorded_requests_are_spans_in_the_trace_that_they_brought() -> None:
    timed: dict[str, Any] = {"started": 2.0, "ms": 1.0, "rows": 0, "error": None}
    call = {"store": "postgres", "operation": "SQL", "text": "`SELECT ?`", **timed}
    refused = {**call, "store": "dynamodb", "operation": "Query", "error": "ValidationException", "rows": None}
    request = {"id": 1, "method": "GET", "path": "/a?b=…", "status": 200, "started": 1.5, "ms": 2.0, "marks": []}
    brought = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    requests = [
        {**request, "traceparent": brought, "calls": [call, refused]},
        {**request, "id": 2, "traceparent": None, "status": 500, "calls": []},
    ]
    first, sql, query, second = parse(write_requests_otlp(Report("requests", "shop", 0, {"requests": requests})))
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (brought[3:35], brought[36:52])
    assert {one.trace_id for one in (sql, query)} == {first.trace_id}
    assert {one.parent_span_id for one in (sql, query)} == {first.span_id}
    assert second.trace_id not in (first.trace_id, b"")
    assert told(sql.attributes) == {
        "db.system.name": "postgresql",
        "db.operation.name": "SQL",
        "db.query.text": "SELECT ?",
        "db.response.returned_rows": 0,
    }
    assert [one.status.code for one in (first, sql, query, second)] == [
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_ERROR,
    ]
    assert (sql.start_time_unix_nano, sql.end_time_unix_nano) == (2_000_000_000, 2_001_000_000)
