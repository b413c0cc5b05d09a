"""Conditions as disturbances of a store, answers compared, and the call that is to blame."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from devenv.capture.disturb.disturbance import DynamoReply
from devenv.capture.disturb.postgres import DisturbedPostgres, PostgresLink, message_size
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.trace.conditions import pages, refusals, weather
from devenv.trace.conditions.condition import StressCondition
from devenv.trace.conditions.registry import CONDITIONS
from devenv.trace.observation import Entry, Subject
from devenv.trace.stress.blame import find_blame
from devenv.trace.stress.result import PartAnswer, PartCall, PartResult, StressResult, compare_entries, judge_part
from devenv.trace.stress.run import LATE, choose, explain_condition, joined, steps, with_results

NOW = datetime(2026, 5, 6, tzinfo=UTC)
QUERY = {"TableName": "t", "KeyConditionExpression": "pk = :pk"}
SUBJECT = Subject("s", None, ("n",), {}, "n", {}, {}, (), (), None, None, "", NOW)


def named(name: str) -> StressCondition:
    return next(one for one in CONDITIONS if one.name == name)


def store(request: dict[str, Any]) -> DynamoReply:
    """A store of ten numbers in one partition, as Query answers."""
    start = int(request.get("ExclusiveStartKey", {"n": {"N": "0"}})["n"]["N"])
    numbers = [number for number in range(1, 11) if number > start][: request.get("Limit", 10)]
    body: dict[str, Any] = {"Items": numbers, "Count": len(numbers), "ScannedCount": len(numbers)}
    if numbers and (numbers[-1] < 10 or request.get("Limit") == len(numbers)):
        body["LastEvaluatedKey"] = {"n": {"N": str(numbers[-1])}}
    return DynamoReply(200, body)


def read_all(name: str) -> tuple[list[int], list[int]]:
    """The numbers that a client that follows pages gets, and how many items each page had."""
    disturbance = named(name).disturb()
    found, sizes, request = [], [], dict(QUERY)
    while len(sizes) < 50:
        body = disturbance.dynamodb("Query", request, store).body
        found += body["Items"]
        sizes.append(len(body["Items"]))
        if "LastEvaluatedKey" not in body:
            break
        request = {**QUERY, "ExclusiveStartKey": body["LastEvaluatedKey"]}
    assert disturbance.struck
    return found, sizes


@pytest.mark.parametrize(
    ("name", "first"),
    [("pages-half", [5, 5]), ("pages-tenth", [1] * 10), ("pages-one", [1] * 10), ("pages-empty", [0])],
)
def test_early_pages_lose_nothing_for_those_who_follow(name: str, first: list[int]) -> None:
    found, sizes = read_all(name)
    assert found == list(range(1, 11))
    assert sizes[: len(first)] == first


def test_refusals_pass_when_the_request_is_sent_again() -> None:
    write = refusals.ThrottleOnce()
    assert [
        write.dynamodb("PutItem", {"Item": number}, lambda r: DynamoReply(200, {})).status for number in (1, 2)
    ] == [
        400,
        200,
    ]
    once = refusals.ThrottleOnce()
    assert [once.dynamodb("Query", QUERY, store).status for _ in range(2)] == [400, 200]
    assert once.dynamodb("DescribeTable", {}, store).status == 200
    conflict = refusals.RefuseOnce("TransactionConflict")
    parts = {"TransactItems": [{"Put": {}}, {"Put": {"ConditionExpression": "x"}}]}
    reply = conflict.dynamodb("TransactWriteItems", parts, store)
    assert [one["Code"] for one in reply.body["CancellationReasons"]] == ["None", "TransactionConflict"]
    assert conflict.dynamodb("TransactWriteItems", parts, store).status == 200
    condition = refusals.RefuseOnce("ConditionalCheckFailed")
    assert condition.dynamodb("PutItem", {}, store).status == 200, (
        "a write without a condition cannot fail its condition"
    )
    assert condition.dynamodb("PutItem", {"ConditionExpression": "x"}, store).status == 400


def test_half_of_a_batch_comes_back() -> None:
    batch = refusals.UnprocessedKeys()
    asked: list[Any] = []

    def forward(request: dict[str, Any]) -> DynamoReply:
        asked.append(request["RequestItems"])
        return DynamoReply(200, {"Responses": {}})

    reply = batch.dynamodb("BatchGetItem", {"RequestItems": {"t": {"Keys": [1, 2, 3]}}}, forward)
    assert (asked, reply.body["UnprocessedKeys"]) == ([{"t": {"Keys": [1]}}], {"t": {"Keys": [2, 3]}})
    assert refusals.split_batch({"t": [1]}) == ({}, {"t": [1]})


def test_new_year_is_next_year() -> None:
    assert weather.new_year(NOW).isoformat() == "2027-01-01T00:00:05+00:00"


def test_messages_of_postgres_are_distinguished() -> None:
    def message(letter: bytes, content: bytes) -> bytes:
        return letter + (len(content) + 4).to_bytes(4, "big") + content

    assert message_size(bytearray(message(b"Q", b"SELECT 1\0")), typed=True) == 14
    assert message_size(bytearray(b"Q\0\0\0"), typed=True) is None
    relay = DisturbedPostgres(("127.0.0.1", 1))
    link = PostgresLink(relay, *(socket.create_connection(("127.0.0.1", relay.port)) for _ in range(2)))
    try:
        assert link.is_work(message(b"Q", b"select 1\0"))
        assert link.is_work(message(b"P", b"name\0SELECT 1\0\0\0"))
        assert link.is_work(message(b"B", b"\0name\0\0\0"))
        assert not link.is_work(message(b"Q", b" begin\0"))
        assert not link.is_work(message(b"P", b"\0COMMIT\0\0\0"))
        assert not link.is_work(message(b"B", b"\0\0\0\0"))
        assert not link.is_work(message(b"S", b""))
    finally:
        link.close()
        relay.close()


def entries(*numbers: int) -> tuple[Entry, ...]:
    return tuple(Entry(str(number), {"n": str(number)}) for number in numbers)


def test_answers_are_compared_in_words() -> None:
    def said(observed: tuple[Entry, ...], *, truncated: bool = False) -> str | None:
        return compare_entries(SUBJECT, "function", entries(1, 2, 3), PartAnswer(observed, truncated=truncated))

    assert said(entries(1, 2, 3)) is None
    assert said(entries(1)) == "2 of 3 entries lost"
    assert said(entries(1, 2, 3, 3)) == "1 entry is repeated"
    assert said(entries(1, 2, 3, 4)) == "1 entry is new"
    assert said(entries(3, 2, 1)) == "in another order"
    assert said((*entries(1, 2), Entry("3", {"n": "9"}))) == "a different `n` on 1 entry"
    assert said(entries(3), truncated=True) is None, "a first page must contain the newest entry"
    assert said(entries(1), truncated=True) == "1 of 1 entry lost; 1 entry is new"


def test_the_worst_part_decides_and_a_reason_accepts_it() -> None:
    holds, slower = (judge_part("request", 10, PartAnswer((), ms=ms), None, None) for ms in (20, 900))
    wrong = judge_part("function", 10, PartAnswer((), ms=10), "2 of 3 entries lost", "`a.py:1` requests no next page")
    error = judge_part("request", 10, PartAnswer(error="503: no", place="a.py:2"), None, None)
    assert (holds.status, slower.text, error.text) == ("holds", "slower (90.0 \u00d7)", "error 503: no; `a.py:2`")
    condition = named("slow")
    both = StressResult(condition, (wrong, holds))
    assert both.text == "function: wrong: 2 of 3 entries lost; `a.py:1` requests no next page"
    # The line of code first, the answer of the request beside it; not twice what is the same.
    refused = StressResult(condition, (wrong, error))
    assert (refused.status, refused.nearest) == ("error", wrong)
    assert refused.text == f"{both.text}; request: error 503: no; `a.py:2`"
    same = judge_part("request", 10, PartAnswer((), ms=10), "2 of 3 entries lost", "`Query t` requests no next page")
    assert StressResult(condition, (same, wrong)).text == wrong.text
    assert StressResult(condition, (holds, error)).text == f"request: {error.text}"
    assert StressResult(condition, (wrong,), accepted="why").status == "accepted"
    assert StressResult(condition, (holds,), accepted="why").status == "holds"
    unrun = PartResult("function", "not_run", "x")
    assert StressResult(condition, (unrun,)).text == "x"
    assert StressResult(condition).text == f"not run: {condition.unmet}"


def call(text: str = "Query t", *, start: Any = None, **more: Any) -> PartCall:
    return PartCall("dynamodb", text, {**QUERY, **({"ExclusiveStartKey": start} if start else {})}, **more)


def test_the_call_to_blame_is_the_last_that_is_not_followed() -> None:
    paged = named("pages-half")
    assert find_blame(paged, [call(more=True, place="a.py:9")]) == "`a.py:9` requests no next page"
    assert find_blame(paged, [call(more=True), call(start={"n": 1})]) is None
    throttled = named("throttled-once")
    assert find_blame(throttled, [call(error=refusals.THROTTLED)]) == "`Query t` is not retried"
    assert find_blame(throttled, [call(error=refusals.THROTTLED), call()]) is None
    batch = named("unprocessed-keys")

    def batch_of(*keys: int, more: bool = False) -> PartCall:
        return PartCall("dynamodb", "BatchGetItem", {"RequestItems": {"t": {"Keys": list(keys)}}}, more)

    assert "unprocessed items" in str(find_blame(batch, [batch_of(1, 2, more=True), batch_of(3)]))
    assert find_blame(batch, [batch_of(1, 2, more=True), batch_of(3), batch_of(2)]) is None


def test_conditions_are_chosen_by_name_or_first_word_and_each_has_its_rule() -> None:
    assert {one.name for one in choose(["pages"])} == {one.name for one in pages.CONDITIONS}
    assert [one.name for one in choose(["slow"])] == ["slow"]
    with pytest.raises(UsageError, match="no condition `page`"):
        choose(["page"])
    assert len({one.name for one in CONDITIONS}) == len(CONDITIONS)
    for one in CONDITIONS:
        assert explain_condition(one.name).body["stress_condition"]["rule"] == one.rule
        assert all((one.rule, one.source, one.sdk, one.unmet, one.parts))


def test_what_changes_the_copy_comes_last() -> None:
    order = [(condition.name, parts) for condition, parts in steps(CONDITIONS)]
    first_write = next(number for number, (_, parts) in enumerate(order) if parts == ("action",))
    growth = [number for number, (name, _) in enumerate(order) if name.endswith("-times")]
    assert max(n for n, (_, parts) in enumerate(order) if "function" in parts and n not in growth) < first_write
    assert growth == [len(order) - 2, len(order) - 1]


@pytest.mark.parametrize("code", [Exit.DONE, Exit.FOUND])
def test_a_wrong_answer_stands_before_a_finding_about_other_requests(code: Exit) -> None:
    cors = {"layer": "http", "class": "cors", "summary": "no page may read it", "cause": None, "fix": None}
    nothing = dict.fromkeys(cors)
    first = cors if code is Exit.FOUND else nothing
    body = {"verdict": {"status": "ok" if code is Exit.DONE else "diverged", **first, "also": []}}
    lost = StressResult(named("pages-half"), (PartResult("function", "wrong", "wrong: 3 of 5 entries lost"),))
    report = with_results(Report("trace", None, code, body), [lost], {}, 1.0, 0.0)
    found = report.body["verdict"]
    assert (report.exit_code, found["status"], found["class"]) == (Exit.FOUND, "diverged", "stress")
    assert found["also"] == ([{**cors, "subjects": []}] if code is Exit.FOUND else [])
    holds = StressResult(named("pages-half"), (PartResult("function", "holds", "holds"),))
    kept = with_results(Report("trace", None, code, body), [holds], {}, 1.0, 0.0)
    assert (kept.exit_code, kept.body["verdict"]) == (code, body["verdict"])


def test_conditions_without_time_are_not_verified() -> None:
    """What holds in two conditions of sixteen says nothing of the other fourteen."""
    nothing = dict.fromkeys(("layer", "class", "summary", "cause", "fix"))
    trace = Report("trace", None, Exit.DONE, {"verdict": {"status": "ok", **nothing, "also": []}})
    holds = StressResult(named("pages-half"), (PartResult("function", "holds", "holds"),))
    lost = StressResult(named("pages-tenth"), (PartResult("function", "wrong", "wrong: 3 of 5 entries lost"),))
    late = StressResult(named("slow"), unrun=LATE, untried=LATE)
    unmet = StressResult(named("pages-one"))
    found = with_results(trace, [holds, late, unmet], {}, 60.0, 0.0)
    assert (found.exit_code, found.body["verdict"]["status"]) == (Exit.UNCHECKED, "not_verified")
    assert found.body["verdict"]["summary"] == f"1 of 3 conditions not run, or only in part: {LATE}"
    assert "--budget" in found.body["verdict"]["fix"]["text"]
    assert with_results(trace, [holds, unmet], {}, 60.0, 0.0).exit_code == Exit.DONE
    assert with_results(trace, [lost, late], {}, 60.0, 0.0).exit_code == Exit.FOUND
    # The function was tried, and there was no time left for the request.
    half = joined([holds, StressResult(named("pages-half"), unrun=LATE, untried=LATE)])
    assert (half.status, half.unrun, LATE in half.text) == ("holds", None, True)
    assert with_results(trace, [half], {}, 60.0, 0.0).exit_code == Exit.UNCHECKED
    broken = StressResult(named("slow"), unrun="an error", untried="an error")
    failed = with_results(trace, [holds, broken], {}, 60.0, 0.0)
    assert (failed.exit_code, "--budget" in failed.body["verdict"]["fix"]["text"]) == (Exit.UNCHECKED, False)
