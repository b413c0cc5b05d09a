"""What an action must have written, held against what changed."""

from __future__ import annotations

from datetime import UTC, datetime

from devenv.capture.tap.records import WireCall
from devenv.config.writes import TraceAction, Written
from devenv.trace.action.calls import find_loose_writes, is_write
from devenv.trace.action.data import Thing, differences
from devenv.trace.action.judge import JudgedWrites, WriteLedger, judge_writes

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BEFORE = [
    Thing("postgres", "public.orders", "public.orders", "1", {"id": "1", "state": "open", "note": "a"}),
    Thing("postgres", "public.orders", "public.orders", "2", {"id": "2", "state": "open", "note": "b"}),
]


def judge(action: TraceAction, after: list[Thing]) -> JudgedWrites:
    one, other = ({thing.place: thing for thing in things} for things in (BEFORE, after))
    return judge_writes(action, WriteLedger(one, other, differences(one, other), {"text": "x"}, {}, NOW, NOW))


def row(key: str, **values: str) -> Thing:
    return Thing("postgres", "public.orders", "public.orders", key, {"id": key, **values})


CLOSE = TraceAction(
    path="/", writes=[Written(table="orders", change="changed", where={"id": "1"}, fields={"state": "closed"})]
)
DELETE = TraceAction(path="/", writes=[Written(table="orders", change="deleted", where={"id": "1"})])
NEW = TraceAction(path="/", writes=[Written(table="orders", fields={"note": "{text}", "at": "{now}"})])


def kinds(writes: JudgedWrites) -> list[str]:
    return [finding.kind for _, finding in writes.findings]


def test_a_changed_row_keeps_its_other_fields() -> None:
    assert kinds(judge(CLOSE, [row("1", state="closed", note="a"), BEFORE[1]])) == []
    wrong = judge(CLOSE, [row("1", state="closed", note="z"), BEFORE[1]])
    assert kinds(wrong) == ["wrong_value"]
    assert [(one.name, one.expected, one.observed) for one in wrong.results[0].things[0].fields if not one.right] == [
        ("note", "a", "z")
    ]


def test_what_stays_and_what_nothing_declares_is_named() -> None:
    assert kinds(judge(CLOSE, BEFORE)) == ["not_written"]
    assert kinds(judge(CLOSE, [row("1", state="closed", note="a")])) == ["unexpected_write"]
    assert kinds(judge(DELETE, BEFORE)) == ["not_deleted"]
    assert kinds(judge(DELETE, BEFORE[1:])) == []


def test_now_is_a_moment_of_the_request() -> None:
    assert kinds(judge(NEW, [*BEFORE, row("3", note="x", at="2026-01-02T04:04:06+01:00")])) == []
    for at in ("2026-01-02T04:04:06+00:00", "2026-01-02T03:04:05", "yesterday"):
        assert kinds(judge(NEW, [*BEFORE, row("3", note="x", at=at)])) == ["wrong_value"]
    assert kinds(judge(NEW, BEFORE)) == ["not_written"]
    two = [row(key, note="x", at=NOW.isoformat()) for key in "34"]
    assert kinds(judge(NEW, [*BEFORE, *two])) == ["duplicate"]


def test_writes_are_distinguished_from_reads_and_held_to_one_transaction() -> None:
    def item(operation: str, **request: object) -> WireCall:
        return WireCall("dynamodb", operation, 0.0, request=request)

    def sql(statement: str, transaction: str) -> WireCall:
        return WireCall("postgres", "query", 0.0, statement=statement, transaction=transaction)

    assert not is_write(item("Query"))
    assert not is_write(sql("SELECT 1", "idle"))
    assert is_write(item("ExecuteStatement", Statement="DELETE FROM x"))
    assert list(find_loose_writes([item("Query"), item("PutItem")])) == []
    assert list(find_loose_writes([item("TransactWriteItems", TransactItems=[1, 2])])) == []
    assert [one.kind for one in find_loose_writes([item("PutItem"), item("DeleteItem")])] == ["not_atomic"]
    assert [one.kind for one in find_loose_writes([item("BatchWriteItem", RequestItems={"t": [1, 2]})])] == [
        "not_atomic"
    ]
    inserts = ("INSERT INTO a VALUES (1)", "insert into b values (1)")
    assert list(find_loose_writes([sql(one, "in transaction") for one in inserts])) == []
    assert [one.kind for one in find_loose_writes([sql(one, "idle") for one in inserts])] == ["not_atomic"]
