"""The HTTP side of the tap: DynamoDB's calls, the application's requests, and which belongs to which."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from devenv.capture.tap.application import ApplicationConversation
from devenv.capture.tap.assign import REMEMBERED, Requests
from devenv.capture.tap.dynamodb import LIMIT, DynamoConversation
from devenv.capture.tap.http import HEAD_BYTES, Unparsed
from devenv.capture.tap.masks import mask_path, mask_request, mask_sql, traceparent_of
from devenv.capture.tap.records import Owner, Request, WireCall, from_json, to_json

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SAME_TRACE = "00-0af7651916cd43dd8448eb211c80319c-aaaaaaaaaaaaaaaa-01"
OTHER_TRACE = "00-11111111111111111111111111111111-b7ad6b7169203331-01"
SIGNED = "AWS4-HMAC-SHA256 Credential=AKEY/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
Bytes = tuple[str, bytes]


def asks(operation: str, body: Any, **headers: str) -> bytes:
    data = json.dumps(body).encode()
    lines = {
        "Host": "127.0.0.1:8000",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Authorization": SIGNED,
        "Content-Length": str(len(data)),
        **headers,
    }
    return b"POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items()).encode() + b"\r\n" + data


def answers(body: Any, status: str = "200 OK") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def chunked(data: bytes, size: int = 7) -> bytes:
    parts = b"".join(
        f"{len(data[i : i + size]):x};x=y\r\n".encode() + data[i : i + size] + b"\r\n"
        for i in range(0, len(data), size)
    )
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\nTrailer: 1\r\n\r\n"


def observe(talk: list[Bytes], *, contents: bool = False) -> tuple[list[WireCall], list[str]]:
    told: list[WireCall] = []
    unparsed: list[str] = []
    conversation = DynamoConversation(
        told.append, lambda traceparent: Owner(), unparsed.append, contents=contents, salt=b"salt", connection=1
    )
    for number, (direction, data) in enumerate(talk):
        (conversation.sent if direction == ">" else conversation.received)(data, float(number))
    conversation.close(float(len(talk)))
    return told, unparsed


QUERY = {
    "TableName": "orders",
    "IndexName": "by-person",
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "hidden"}},
    "Limit": 2,
}
FOUND = {"Items": [{"pk": {"S": "hidden"}}], "Count": 1, "ScannedCount": 9, "ConsumedCapacity": {"CapacityUnits": 0.5}}


def test_a_query_and_its_answer() -> None:
    [call], unparsed = observe(
        [(">", asks("Query", QUERY)), ("<", answers({**FOUND, "LastEvaluatedKey": {"pk": {"S": "x"}}}))]
    )
    assert (call.operation, call.rows, call.scanned, call.units, call.more) == ("Query", 1, 9, 0.5, True)
    assert (call.region, call.ms, call.error, unparsed) == ("eu-central-1", 1000.0, None, [])
    assert call.request["IndexName"] == "by-person"
    assert "hidden" not in repr(call)
    assert "AKEY" not in repr(call)


TRICKY: list[dict[str, Any]] = [
    {"pk": {"S": '],"Count":7,"ScannedCount":7}'}, "Count": {"N": "3"}, "LastEvaluatedKey": {"S": "x"}},
    {"Items": {"L": [{"M": {"Count": {"L": [{"N": "1"}]}, "ScannedCount": {"N": "8"}}}]}, "text": {"S": "é],"}},
]


@pytest.mark.parametrize("items", [[], TRICKY, TRICKY[1:], TRICKY * 40])
@pytest.mark.parametrize("more", [{}, {"LastEvaluatedKey": {"pk": {"S": '],"Count":9'}}}])
def test_a_page_is_read_without_its_items(items: list[dict[str, Any]], more: dict[str, Any]) -> None:
    """As DynamoDB Local writes it, and in an order that is read as a whole."""
    whole = {"Items": items, "Count": len(items), "ScannedCount": 99, **more}
    dense = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    [one], unparsed = observe([(">", asks("Query", QUERY)), ("<", answers(dense))])
    [other], _ = observe([(">", asks("Query", QUERY)), ("<", answers(dict(sorted(whole.items()))))])
    assert (one.rows, one.scanned, one.more, unparsed) == (len(items), 99, bool(more), [])
    assert replace(one, bytes_received=0) == replace(other, bytes_received=0)


def test_contents_are_kept_when_asked_for() -> None:
    [call], _ = observe([(">", asks("Query", QUERY)), ("<", answers(FOUND))], contents=True)
    assert call.request == QUERY
    assert call.items == ({"pk": {"S": "hidden"}},)


@pytest.mark.parametrize(
    ("operation", "answer", "rows"),
    [
        ("GetItem", {}, 0),
        ("GetItem", {"Item": {"a": {"S": "1"}}}, 1),
        ("BatchGetItem", {"Responses": {"a": [{}, {}], "b": [{}]}}, 3),
        ("TransactGetItems", {"Responses": [{"Item": {"a": {"S": "1"}}}, {}]}, 1),
        ("ExecuteStatement", {"Items": [{}]}, 1),
        ("PutItem", {}, None),
        ("Scan", {"Count": 4, "ScannedCount": 4}, 4),
    ],
)
def test_how_many_items_each_kind_of_answer_has(operation: str, answer: Any, rows: int | None) -> None:
    [call], _ = observe([(">", asks(operation, {})), ("<", answers(answer))])
    assert call.rows == rows


def test_errors_have_their_code_and_words_without_values() -> None:
    body = {"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": 'bad value "hidden"'}
    [call], _ = observe([(">", asks("Query", QUERY)), ("<", answers(body, "400 Bad Request"))])
    assert (call.error, call.detail, call.rows) == ("ValidationException", "bad value ?", None)


def test_keep_alive_pipelining_chunks_interim_answers_and_compression() -> None:
    packed = gzip.compress(json.dumps(FOUND).encode())
    compressed = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    talk = [
        (">", asks("Query", QUERY) + asks("Scan", {"TableName": "orders"})),
        ("<", b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(json.dumps(FOUND).encode()) + answers({"Count": 3})),
        (">", asks("Query", QUERY)),
        ("<", compressed),
    ]
    calls, unparsed = observe(talk)
    assert [(c.operation, c.rows) for c in calls] == [("Query", 1), ("Scan", 3), ("Query", 1)]
    assert unparsed == []


def test_a_body_that_ends_with_the_connection() -> None:
    [call], _ = observe([(">", asks("Query", QUERY)), ("<", b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(FOUND).encode())])
    assert (call.rows, call.ms) == (1, 2000.0)


def test_a_request_without_a_response() -> None:
    [call], _ = observe([(">", asks("Query", QUERY)), ("<", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")])
    assert (call.ms, call.rows) == (None, None)


def test_what_is_too_long_is_counted_and_has_its_size() -> None:
    long = json.dumps({"Items": [{"a": {"S": "x" * LIMIT}}], "Count": 1}).encode()
    [call], unparsed = observe([(">", asks("Query", QUERY)), ("<", answers(long))])
    assert (call.rows, call.bytes_received, len(unparsed)) == (None, len(long), 1)


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01" + bytes(10) + b"\n\n",
        b"x" * (HEAD_BYTES + 1),
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    ],
)
def test_what_is_not_the_protocol_is_not_read(data: bytes) -> None:
    with pytest.raises(Unparsed):
        observe([(">", data)])


def test_a_request_of_another_service_is_counted() -> None:
    assert observe([(">", b"GET /shell HTTP/1.1\r\n\r\n"), ("<", answers({}))]) == (
        [],
        ["a request without a DynamoDB operation"],
    )


TALK: list[Bytes] = [
    (">", asks("Query", QUERY) + asks("GetItem", {"TableName": "t", "Key": {"pk": {"S": "é"}}}, traceparent=TRACE)),
    ("<", b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(json.dumps(FOUND).encode())),
    ("<", answers({}, "500 Oh") + b"\r\n"),
    (">", asks("Scan", {"TableName": "orders"})),
    ("<", b"HTTP/1.1 200 OK\n\n" + json.dumps(FOUND).encode()),
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 2000), max_size=10))
def test_any_split_of_the_stream_gives_the_same_calls(places: list[int]) -> None:
    pieces: list[Bytes] = []
    for direction, data in TALK:
        cuts = [0, *sorted({place % len(data) for place in places}), len(data)]
        pieces += [(direction, data[a:b]) for a, b in itertools.pairwise(cuts)]
    whole, split = observe(TALK), observe(pieces)
    assert len(whole[0]) == 3
    assert [replace(c, started=0, ms=0) for c in split[0]] == [replace(c, started=0, ms=0) for c in whole[0]]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=60)), max_size=20))
def test_random_bytes_are_read_or_refused(talk: list[Bytes]) -> None:
    try:
        observe([(">", asks("Query", QUERY)), *talk])
    except Unparsed:
        return


def test_a_request_to_the_application() -> None:
    told: list[Request] = []
    requests = Requests()
    conversation = ApplicationConversation(requests, told.append, contents=False)
    conversation.sent(f"GET /a/1?token=hidden&limit=2 HTTP/1.1\r\ntraceparent: {TRACE}\r\n\r\n".encode(), 1.0)
    assert requests.owner(None) == Owner("alone", (1,))
    conversation.received(b"HTTP/1.1 101 Switching\r\n\r\n\x00frames", 1.5)
    assert requests.owner(None) == Owner()
    assert told == [Request(1, "GET", "/a/1?token=…&limit=…", 1.0, 500.0, 101, TRACE, 0)]


def test_calls_belong_to_the_only_request_or_are_shared() -> None:
    requests = Requests()
    assert requests.owner(None) == Owner("none")
    first = requests.begin(None)
    assert requests.owner(None) == Owner("alone", (first,))
    second = requests.begin(None)
    assert requests.owner(None) == Owner("shared", (first, second))
    requests.end(first)
    assert requests.owner(None) == Owner("alone", (second,))


def test_a_trace_that_is_passed_on_decides() -> None:
    requests = Requests()
    first, second = requests.begin(TRACE), requests.begin(OTHER_TRACE)
    assert requests.owner(TRACE) == Owner("traceparent", (first,))
    assert requests.owner(SAME_TRACE) == Owner("traceparent", (first,)), "a span below the request's"
    assert requests.owner(OTHER_TRACE) == Owner("traceparent", (second,))
    requests.end(first)
    assert requests.owner(SAME_TRACE) == Owner("traceparent", (first,)), "a call after the response"


def test_two_requests_of_one_trace_are_distinguished_by_the_span_or_not_at_all() -> None:
    requests = Requests()
    first, second = requests.begin(TRACE), requests.begin(SAME_TRACE)
    assert requests.owner(TRACE) == Owner("traceparent", (first,))
    assert requests.owner(TRACE.replace("b7ad", "0000")) == Owner("shared", (first, second))


def test_a_trace_that_the_application_began_itself() -> None:
    requests = Requests()
    first = requests.begin(None)
    assert requests.owner(TRACE) == Owner("alone", (first,))
    requests.begin(None)
    assert requests.owner(SAME_TRACE) == Owner("traceparent", (first,))
    assert requests.owner(OTHER_TRACE).how == "shared"


def test_a_call_of_another_trace_is_not_of_the_only_request() -> None:
    requests = Requests()
    requests.begin(TRACE)
    assert requests.owner(OTHER_TRACE) == Owner("none")


def test_few_ended_requests_are_remembered() -> None:
    requests = Requests()
    for number in range(REMEMBERED * 2):
        requests.end(requests.begin(f"00-{number:032x}-{number:016x}-01"))
    assert (len(requests.ended), len(requests.active)) == (REMEMBERED, 0)


@pytest.mark.parametrize(
    ("sql", "masked"),
    [
        ("SELECT 'it''s', E'a\\'b', 5, 1.5e3, $1", "SELECT ?, ?, ?, ?, $1"),
        ("SELECT $$a'b$$, $x$ '$$ $x$, \"col 'a\"", 'SELECT ?, ?, "col \'a"'),
        ("SELECT a1, t2.b FROM t2 LIMIT 20 OFFSET 40", "SELECT a1, t2.b FROM t2 LIMIT 20 OFFSET 40"),
        ("SELECT 1 -- 'x\n, 'y'", "SELECT ? \n, ?"),
        ("SELECT /* it's */ 'a' /*x*/", "SELECT  ?"),
        ("SELECT 'cut off", "SELECT ?"),
        ("SELECT 'a\\', secret FROM t WHERE b = 'x'", "SELECT ?, secret FROM t WHERE b = ?"),
        ("SELECT B'1', X'ff', U&'d', %s, :name", "SELECT ?, ?, ?, %s, :name"),
    ],
)
def test_literals_are_masked(sql: str, masked: str) -> None:
    assert mask_sql(sql) == masked


@given(st.text(alphabet="ab 1'", max_size=12))
def test_no_text_between_quotes_survives(text: str) -> None:
    literal = "'" + text.replace("'", "''") + "'"
    assert mask_sql(f"SELECT {literal} AS x") == "SELECT ? AS x"


@pytest.mark.parametrize(
    "request_",
    [
        {"Item": {"a": {"S": "hidden"}, "Expected": {"M": {"x": {"L": [{"S": "hidden"}]}}}}},
        {
            "Key": {"a": {"N": "77"}},
            "UpdateExpression": "SET a = :a",
            "ExpressionAttributeValues": {":a": {"SS": ["hidden"]}},
        },
        {
            "RequestItems": {
                "t": [
                    {"PutRequest": {"Item": {"a": {"B": "hidden"}}}},
                    {"DeleteRequest": {"Key": {"a": {"S": "hidden"}}}},
                ]
            }
        },
        {"TransactItems": [{"Put": {"TableName": "t", "Item": {"a": {"M": {"b": {"S": "hidden"}}}}}}]},
        {"KeyConditions": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "hidden"}]}}},
        {
            "Expected": {"a": {"Value": {"S": "hidden"}}},
            "AttributeUpdates": {"a": {"Action": "PUT", "Value": {"S": "hidden"}}},
        },
        {"Statement": "SELECT * FROM t WHERE a = 'hidden'", "Parameters": [{"S": "hidden"}], "NextToken": "hidden"},
        {"ExclusiveStartKey": {"a": {"S": "hidden"}}},
    ],
)
def test_values_of_items_are_masked_wherever_they_are(request_: Any) -> None:
    masked = json.dumps(mask_request(request_))
    assert "hidden" not in masked
    assert "77" not in masked


def test_what_a_masked_request_keeps() -> None:
    assert mask_request(QUERY) == {**QUERY, "ExpressionAttributeValues": {":pk": {"S": "?"}}}


def test_paths_and_comments() -> None:
    assert mask_path("/a?x=1&y=2#z") == "/a?x=…&y=…#z"
    assert mask_path("/a?flag&eyJhbGciOiJIUzI1NiJ9.e30.abc&x=1") == "/a?flag&…&x=…"
    assert mask_path("/verify?0123456789abcdef") == "/verify?…"
    assert traceparent_of(f"SELECT 'traceparent={TRACE}'") is None
    assert traceparent_of(f"SELECT 1 /* traceparent={TRACE} */") == TRACE


def test_records_survive_json() -> None:
    call = WireCall(
        "postgres",
        "SQL",
        1.0,
        2.0,
        rows=0,
        columns=("a",),
        parameters=("int4",),
        more=True,
        owner=Owner("shared", (1, 2)),
    )
    request = Request(3, "GET", "/", 1.0, 2.0, 200, TRACE)
    assert from_json(json.loads(json.dumps(to_json(call)))) == call
    assert from_json(json.loads(json.dumps(to_json(request)))) == request
