"""The pure parts of `devenv trace`: differences, requests, patterns, templates, questions, tokens, the report."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from devenv.capture import requests
from devenv.capture import runner as run_function
from devenv.capture.calls import StoreCall, differences, shown
from devenv.config.schema import Settings, Token
from devenv.core.errors import UsageError
from devenv.core.templates import Unknown, fill, names_in
from devenv.links.faults import Fault, fold
from devenv.links.values import as_text
from devenv.trace.answers import Form, read_answer, repeated, unplaced
from devenv.trace.difference import Change, compare, in_order, same
from devenv.trace.layers.pages import NEXT
from devenv.trace.layers.requests import address_of
from devenv.trace.layers.subject_faults import remedy
from devenv.trace.observation import Entry
from devenv.trace.question import ask
from devenv.trace.report import Cleaner
from devenv.trace.tokens import sign
from tests.shapes import messaging_settings

TABLE = {
    "KeySchema": [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "group", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [{"IndexName": "by-group", "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}]}],
}


def entry(id: str | None, **fields: str | None) -> Entry:
    return Entry(id, fields)


# --- differences ---


def test_entries_are_paired_by_id_and_compared_field_by_field() -> None:
    found = compare([entry("1", a="x"), entry("2", a="y")], [entry("2", a="z"), entry("3", a="q")], {})
    assert (found.missing_ids, found.extra_ids) == (("1",), ("3",))
    assert found.changed == (Change("2", "a", "y", "z"),)


def test_entries_that_lost_their_ids_are_found_by_what_else_they_say() -> None:
    before = [entry("1", a="x", b="1"), entry("2", a="y", b="2")]
    after = [entry(None, a="y", b="2"), entry(None, a="x", b="1")]
    found = compare(before, after, {})
    assert (found.missing, found.extra) == ((), ())
    assert [(change.id, change.field, change.observed) for change in found.changed] == [
        ("2", "id", None),
        ("1", "id", None),
    ]


def test_entries_that_share_nothing_are_not_taken_for_each_other() -> None:
    found = compare([entry("1", a="x", b="1")], [entry("9", a="q", b="7")], {})
    assert (found.missing_ids, found.extra_ids, found.changed) == (("1",), ("9",), ())


def test_of_entries_with_one_id_the_most_alike_are_paired() -> None:
    before = [entry("1", a="old"), entry("1", a="new")]
    assert compare(before, before[::-1], {}).changed == ()


def test_an_id_twice_is_one_too_many() -> None:
    assert compare([entry("1", a="x")], [entry("1", a="x"), entry("1", a="x")], {}).extra_ids == ("1",)


@pytest.mark.parametrize(
    ("one", "other", "kind", "equal"),
    [
        ("a", "a", "string", True),
        ("A", "a", "uuid", False),
        (None, "a", "string", False),
        ("1.0", "1", "number", True),
        ("1.0", "1", "string", False),
        ("2023-01-01T00:00:00Z", "2023-01-01T01:00:00+01:00", "time", True),
        ("2023-01-01T00:00:00Z", "2023-01-01T00:00:00", "time", False),
        ("yesterday", "today", "time", False),
    ],
)
def test_what_counts_as_the_same(one: str | None, other: str | None, kind: str, equal: bool) -> None:
    assert same(one, other, kind) is equal


@pytest.mark.parametrize(
    ("texts", "ascending", "descending"),
    [
        (["a", "b", "b", "c"], True, False),
        (["c", "b", "a"], False, True),
        (["b", "a", "c"], False, False),
        (["a", None, "b"], True, False),
        (["9", "10", "11"], True, False),
        (["2023-01-01T12:00:00+02:00", "2023-01-01T11:00:00+00:00"], True, True),
        (["x"], True, True),
    ],
)
def test_orders(texts: list[str | None], ascending: bool, descending: bool) -> None:
    entries = [entry("1", at=text) for text in texts]
    assert (in_order(entries, "at", "ascending"), in_order(entries, "at", "descending")) == (ascending, descending)


def test_values_of_answers_as_text() -> None:
    moment = datetime(2023, 1, 1, tzinfo=UTC)
    values = [None, "x", True, 1, 1.0, Decimal("2.50"), uuid.UUID(int=0), moment, {"b": 1, "a": [2]}]
    assert [as_text(value) for value in values] == [
        None, "x", "true", "1", "1", "2.5", "00000000-0000-0000-0000-000000000000", "2023-01-01T00:00:00+00:00",
        '{"a":[2],"b":1}',
    ]  # fmt: skip


# --- answers ---

FORM = Form("data.items", "id", {"by": "author.name", "text": "text"})


def test_a_list_inside_an_answer_with_nested_fields() -> None:
    body = {"data": {"items": [{"id": 7, "author": {"name": "ada"}, "text": "hi", "more": 1}]}}
    assert read_answer(body, [FORM]) == ((Entry("7", {"by": "ada", "text": "hi"}),), None)


HEAD = Form("order", "id", {"status": "status"}, "order")
LINE = Form("order.lines", "no", {"pieces": "pieces"}, "line")


@pytest.mark.parametrize(
    ("value", "forms", "ids"),
    [
        ({"order": {"id": 7, "lines": [{"no": 1}, {"no": 2}]}}, [HEAD, LINE], ["order 7", "line 1", "line 2"]),
        ({"order": {"id": 7, "lines": []}}, [HEAD, LINE], ["order 7"]),
        ({"order": {"id": 7, "lines": None}}, [HEAD, LINE], ["order 7"]),
        ({"order": None}, [HEAD, LINE], []),
        (
            [{"id": 7, "lines": [{"no": 1}]}, {"id": 8, "lines": [{"no": 1}]}],
            [Form("", "id", {}, "order"), Form("lines", "no", {}, "line")],
            ["order 7", "order 8", "line 1", "line 1"],
        ),
        (
            [{"sk": "HEAD", "n": 7}, {"sk": "LINE#2", "n": 7}],
            [Form("", "n", {}, "order", {"sk": "HEAD"}), Form("", "{n}-{sk}", {}, "line", {"sk": "LINE#*"})],
            ["order 7", "line 7-LINE#2"],
        ),
    ],
    ids=["nested", "no children", "null children", "nothing", "a list of objects with lists", "one list of both kinds"],
)
def test_several_kinds_in_one_answer(value: Any, forms: list[Form], ids: list[str]) -> None:
    entries, shape = read_answer(value, forms)
    assert (shape, [entry.id for entry in entries or ()]) == (None, ids)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"order": {"id": 7}}, "a map with `id` without `order.lines`"),
        ({"order": {"id": 7, "lines": "none"}}, "a text of 4 characters in `order.lines`, not a list"),
        ({"id": 7}, "a map with `id` without `order`"),
        ({"order": {"id": 7, "lines": [1]}}, "a list that contains a number, not only maps"),
    ],
)
def test_several_kinds_in_another_form(value: Any, shape: str) -> None:
    assert read_answer(value, [HEAD, LINE]) == (None, shape)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"error": "x"}, "a map with `error` without `data.items`"),
        ({"data": {"items": {"a": 1}}}, "a map with `a` in `data.items`, not a list"),
        (
            {"data": {"items": {"a": [], "b": {"c": [1]}}}},
            "a map in `data.items`, not a list; its fields `a`, `b.c` are lists",
        ),
        ({"data": {"items": ["x"]}}, "a list that contains a text of 1 character, not only maps"),
        ([], "an empty list without `data.items`"),
        ("boom", "a text of 4 characters without `data.items`"),
    ],
)
def test_other_forms_are_described_without_what_they_say(value: Any, shape: str) -> None:
    assert read_answer(value, [FORM]) == (None, shape)


# --- requests that were really sent ---


def asked(number: int, request: dict[str, Any], **answer: Any) -> list[dict[str, Any]]:
    return [
        {"event": "asked", "number": number, "service": "dynamodb", "operation": answer.pop("operation", "Query"),
         "request": {"TableName": "t", **request}, "url": "http://127.0.0.1:8000/", "region": "us-east-1"},
        {"event": "answered", "number": number, "items": [], "count": 0, "scanned": 0, "more": False, **answer},
    ]  # fmt: skip


def read_one(request: dict[str, Any], **answer: Any) -> StoreCall:
    (run,) = requests.fold_pages(requests.read_events(asked(1, request, **answer)))
    return requests.describe(run)


@pytest.mark.parametrize(
    ("expression", "key", "sort"),
    [
        ("pk = :a", {"pk": "X"}, None),
        ("#p = :a AND begins_with(sk, :b)", {"pk": "X"}, "begins_with(sk, Y)"),
        ("(#p = :a) and (sk BETWEEN :b AND :c)", {"pk": "X"}, "sk BETWEEN Y AND 3"),
        ("sk >= :b AND pk=:a", {"pk": "X"}, "sk >= Y"),
    ],
)
def test_key_conditions_are_read(expression: str, key: dict[str, str], sort: str | None) -> None:
    request = {
        "KeyConditionExpression": expression,
        "ExpressionAttributeNames": {"#p": "pk"},
        "ExpressionAttributeValues": {":a": {"S": "X"}, ":b": {"S": "Y"}, ":c": {"N": "3"}},
        "ScanIndexForward": False,
    }
    found = read_one(request)
    assert (found.key, found.sort, found.direction) == (key, sort, "descending")


def test_key_conditions_of_the_old_interface_are_read() -> None:
    conditions = {
        "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "X"}]},
        "sk": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "2023"}]},
    }
    found = read_one({"KeyConditions": conditions})
    assert (found.key, found.sort, found.direction) == ({"pk": "X"}, "begins_with(sk, 2023)", "ascending")


def test_pages_of_one_read_are_one_read() -> None:
    request = {"KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "X"}}, "Limit": 2}
    events = [
        *asked(1, request, count=2, scanned=2, more=True),
        *asked(2, {**request, "ExclusiveStartKey": {"pk": {"S": "X"}}}, count=1, scanned=1),
    ]
    (run,) = requests.fold_pages(requests.read_events(events))
    found = requests.describe(run)
    assert (found.times, found.count, found.scanned, found.followed, found.limit) == (2, 3, 3, True, 2)


def test_a_page_that_no_one_follows() -> None:
    assert read_one({"Limit": 2}, count=2, more=True).followed is False


def test_two_reads_are_two() -> None:
    events = [*asked(1, {"Limit": 2}, more=True), *asked(2, {"Limit": 2}, more=True)]
    assert len(requests.fold_pages(requests.read_events(events))) == 2


def test_other_reads() -> None:
    assert read_one({"Key": {"pk": {"S": "X"}}}, operation="GetItem").key == {"pk": "X"}
    assert read_one({"RequestItems": {"t": {}}}, operation="BatchGetItem").table == "t"
    assert read_one({"Statement": 'SELECT * FROM "t"'}, operation="ExecuteStatement").sql == 'SELECT * FROM "t"'
    scan = {"FilterExpression": "#a = :b", "ExpressionAttributeNames": {"#a": "by"}}
    scan_values = {"ExpressionAttributeValues": {":b": {"S": "ada"}}}
    assert read_one({**scan, **scan_values}, operation="Scan").filter == "by = ada"


def test_a_request_without_an_answer_is_still_known() -> None:
    (sent,) = requests.read_events(asked(1, {})[:1])
    assert (sent.operation, sent.count, sent.error) == ("Query", None, None)


# --- reads side by side ---


def test_what_differs_between_two_reads() -> None:
    declared = StoreCall("Query", "t", key={"pk": "X"}, direction="descending")
    assert differences(declared, declared) == []
    other = StoreCall("Scan", "u", "i", {"pk": "Y"}, "sk > 1", "a = b", None, 5, "ascending", followed=False)
    assert differences(other, declared) == [
        "table", "operation", "index", "key", "sort-key condition", "filter", "order", "limit 5 without the next page",
    ]  # fmt: skip


def test_reads_in_one_line() -> None:
    assert shown(StoreCall("Query", "t", "i", {"pk": "X"}, "sk > 1", limit=5)) == (
        "Query t index i where pk = X and sk > 1 limit 5 paged"
    )
    assert shown(StoreCall("SQL", sql="SELECT\n  1", store="postgres")) == "`SELECT 1`"


# --- templates and questions ---


def test_templates_are_filled_at_any_depth() -> None:
    assert fill({"a": ["{x}", 1], "b": "{person.id}-{x}"}, {"x": "1", "person.id": "7"}) == {"a": ["1", 1], "b": "7-1"}
    assert names_in({"a": ["{x}"], "b": "{person.id} { } {1}"}) == {"x", "person.id"}
    with pytest.raises(Unknown):
        fill("{who}", {})


def test_a_path_is_percent_encoded() -> None:
    address = address_of("http://h:1", "/a/{id}?t={token}", {"id": "a/b ä", "token": "{token}"})
    assert address == "http://h:1/a/a%2Fb%20%C3%A4?t={token}"


@pytest.mark.parametrize(
    "path",
    ["//evil.example/a", "http://evil.example/a", "@evil.example/a", "/{none}/evil.example/a", "\\\\evil.example/a"],
)
def test_a_path_leads_to_the_applications_own_host(path: str) -> None:
    """The request may carry a token: no path and no empty parameter sends it elsewhere."""
    assert urlsplit(address_of("http://127.0.0.1:4567", path, {"none": ""})).netloc == "127.0.0.1:4567"


def settings(**trace: Any) -> Settings:
    return msgspec.convert({**messaging_settings("t", "d"), "trace": {"thread": trace}}, Settings)


GROUP = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"


@pytest.mark.parametrize("typed", ["{" + GROUP.upper() + "}", GROUP.replace("-", ""), f" {GROUP} "])
def test_a_uuid_in_another_spelling_is_accepted_and_said(typed: str) -> None:
    question = ask(settings(params={"id": "uuid"}), "thread", (typed,), "@ada")
    assert question.values == {"id": GROUP}
    assert question.said == (f"{typed} is read as {GROUP}", "@ada is read as ada")
    assert question.identifier == GROUP


@pytest.mark.parametrize(
    ("trace", "subject", "typed", "says"),
    [
        ({"params": {"id": "uuid"}}, "thread", ("abc",), "'abc' is not a uuid"),
        ({"params": {"id": "number"}}, "thread", ("abc",), "'abc' is not a number"),
        ({"params": {"id": "string"}}, "thread", ("",), "id is empty"),
        ({"params": {"id": "uuid"}}, "thread", (), "`thread` needs 1 value (ID); you gave none"),
        ({}, "thread", ("x",), "`thread` takes no value; you gave 1"),
        ({}, "thred", (), "there is no subject `thred`"),
    ],
)
def test_questions_that_cannot_be_asked(trace: dict[str, Any], subject: str, typed: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(settings(**trace), subject, typed, None)
    assert says in caught.value.what
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_what_is_no_uuid_is_answered_with_where_there_are_some() -> None:
    read = messaging_settings("t", "d")
    patterns = {"letters": {"table": "t", "key": {"pk": "MSG#{id}"}}}
    made = msgspec.convert(
        {**read, "patterns": patterns, "trace": {"thread": {"params": {"id": "uuid"}, "pattern": "letters"}}}, Settings
    )
    with pytest.raises(UsageError) as caught:
        ask(made, "thread", ("nonsense",), None)
    assert caught.value.hint == "devenv ddb scan t --limit 3  (shows example ids)"


def test_numbers_are_brought_into_one_spelling() -> None:
    assert ask(settings(params={"id": "number"}), "thread", ("007.0",), None).values == {"id": "7"}


# --- tokens ---


def test_a_token_is_a_signed_jwt() -> None:
    token = sign({"sub": "7"}, "key", Token(env="SECRET", seconds=60), 1000.0)
    head, body, signature = token.split(".")

    def decode(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert json.loads(decode(head)) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(decode(body)) == {"sub": "7", "iat": 1000, "exp": 1060}
    assert decode(signature) == hmac.digest(b"key", f"{head}.{body}".encode(), hashlib.sha256)


# --- what runs inside the application ---


class Thing:
    def __init__(self) -> None:
        self.id = uuid.UUID(int=1)
        self._hidden = "x"


def test_what_a_function_returns_becomes_data() -> None:
    value = {"a": (1, {2}), "t": Thing(), "d": Decimal("1.5"), "m": datetime(2023, 1, 1, tzinfo=UTC), "b": b"x"}
    assert run_function.as_data(value) == {
        "a": [1, [2]], "t": {"id": "00000000-0000-0000-0000-000000000001"}, "d": "1.5",
        "m": "2023-01-01T00:00:00+00:00", "b": "eA==",
    }  # fmt: skip


@pytest.mark.parametrize("value", [print, object(), Thing])
def test_what_is_no_data_is_said_to_be_none(value: Any) -> None:
    with pytest.raises(run_function.Unreadable):
        run_function.as_data(value)


def test_a_cycle_is_no_data() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(run_function.Unreadable):
        run_function.as_data(value)


# --- http and the report ---


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('</a?before=1>; rel="next"', "/a?before=1"),
        ('</z>; rel="prev", </a>; rel=next', "/a"),
        ('</z>; rel="prev"', None),
        ("", None),
    ],
)
def test_the_next_page_in_a_link_header(header: str, url: str | None) -> None:
    found = NEXT.search(header)
    assert (found[1] if found else None) == url


def test_a_report_holds_neither_secrets_nor_peoples_words() -> None:
    clean = Cleaner(["s3cr3t-value"], ["meet me at nine"])
    body = {
        "a": ["key=s3cr3t-value", ("KeyError: 'meet me at nine'",)],
        "n": 1,
        "t": f"Bearer eyJhbGci.{'a' * 9}.{'b' * 9}",
    }
    assert clean(body) == {"a": ["key=****", ["KeyError: '[15 characters]'"]], "n": 1, "t": "Bearer ****"}


@pytest.mark.parametrize(
    ("safe", "command", "text"),
    [
        ((True, True), "devenv doctor --fix", "loses no data (`devenv doctor` without --fix only lists them)"),
        ((True, False), "devenv doctor --fix", "only lists them); fix 1 of them yourself"),
        ((False, False), "devenv doctor", "(changes nothing)"),
    ],
)
def test_a_command_that_changes_items_is_said_to(safe: tuple[bool, ...], command: str, text: str) -> None:
    (folded,) = fold([Fault("stale_copy", (str(number),), "", safe=one) for number, one in enumerate(safe)], {})
    fix = remedy(folded)
    assert (fix.command, fix.safe) == (command, any(safe))
    assert fix.text.endswith(text)
    assert fix.text.startswith("correct all items") == any(safe)


# --- what cannot be compared is said


def test_ids_that_several_entries_have_are_named() -> None:
    entries = [Entry(name, {}, "line") for name in ("line 1", "line 2", "line 1", "line 1", "line 2")]
    assert list(repeated(entries)) == [
        "3 entries have the same id (`line 1`; 1 more id is repeated); devenv can compare entries only by unique ids"
    ]
    assert list(repeated(entries[:2])) == []
    assert list(repeated([Entry(None, {}), Entry(None, {})])) == []


@pytest.mark.parametrize(
    ("outer", "inner", "orders", "said"),
    [
        ("orders", "orders.lines", 2, 1),
        ("", "lines", 2, 1),
        ("order", "order.lines", 1, 0),  # all lines are under the one order
        ("orders", "lines", 2, 0),
        ("order", "orders.lines", 2, 0),
        ("", "", 2, 0),  # kinds that share a list
    ],
)
def test_a_list_inside_one_of_several_others_is_not_compared_with_it(
    outer: str, inner: str, orders: int, said: int
) -> None:
    forms = [Form(outer, "id", {}, "order"), Form(inner, "id", {}, "line")]
    entries = [*(Entry(f"order {number}", {}, "order") for number in range(orders)), Entry("line 1", {}, "line")]
    told = ["not compared: which order each line of the answer belongs to"]
    assert list(unplaced(forms, entries)) == told[:said]
