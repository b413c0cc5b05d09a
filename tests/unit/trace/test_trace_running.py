"""A wrong answer whose functions are right: what the running application asked, whose entries it has, who answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devenv.capture.calls import StoreCall
from devenv.capture.tap.records import Owner, Request, WireCall, to_json
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.verdict import judge
from devenv.trace.layers.asked import lines_from, reads_in
from devenv.trace.layers.between import kept_by_cache, no_json
from devenv.trace.layers.rewritten import written
from devenv.trace.observation import Observations
from tests.unit.trace.judged import HEALTHY, MEMBER, RAN, SENT, STORED, SUBJECT, entry, with_member

MARK = f"00-{'a' * 32}-{'b' * 16}-01"
LOOKUP = StoreCall("SQL", sql="SELECT id FROM people WHERE sub = %(sub)s", count=1, session="as app", store="postgres")


def first(seen: Observations) -> LayerFinding:
    found = judge(SUBJECT, seen).first
    assert found is not None
    return found


def running(*asked: StoreCall, lookup: StoreCall | None = None) -> str:
    """The cause of an answer that lost its newest entry, with these reads of the running application."""
    seen = with_member(entries=STORED[:-1])
    guards = (
        *seen.library.guards,
        *([(replace(RAN, returned=(("id", "1", "1"),), asked=(lookup,)), None)] * bool(lookup)),
    )
    seen = replace(seen, library=replace(seen.library, guards=guards), http=replace(seen.http, asked=asked))
    return first(seen).cause or ""


# --- what the running application asked ---


def test_without_a_tap_the_place_stays_open() -> None:
    assert "in the running process" in (first(with_member(entries=STORED[:-1])).cause or "")


def test_an_application_that_asks_no_store() -> None:
    assert running().endswith(
        "sends no query to the addresses that devenv gave it, not even that of list_letters() (`Query letters where "
        "pk = MSG#g-1 descending`): either the application or a cache in front of it kept the answer, or the "
        "application's code takes another address (from a file such as .env)"
    )


def test_a_read_that_is_not_sent() -> None:
    other = replace(SENT, table="drafts")
    assert running(other).endswith(
        "does not send `Query letters where pk = MSG#g-1 descending`, unlike list_letters(): it sends `Query drafts "
        "where pk = MSG#g-1 descending` instead"
    )
    assert running(LOOKUP).endswith("unlike list_letters(): it kept an answer, or sends another query")


def test_a_read_for_each_entry_is_counted() -> None:
    user = StoreCall("SQL", sql="SELECT name FROM people WHERE id = $1", count=1, store="postgres")
    told = "sends 12 reads like `SELECT name FROM people WHERE id = $1`, which none of the declared functions sends"
    assert running(SENT, *[user] * 12).endswith(told)
    assert "in the running process" in running(SENT, *[user] * 3)


def test_another_table_is_named_before_another_read_of_the_same_store() -> None:
    user = replace(SENT, operation="GetItem", table="users")
    assert "it sends `Query drafts where" in running(user, replace(SENT, table="drafts"))


def test_a_read_of_the_same_place_that_brings_nothing() -> None:
    told = running(replace(SENT, key={"pk": "?"}, count=0))
    assert (
        "gets 0 items from `Query letters`; a new process, which sends `pk = MSG#g-1`, gets 5:"
        " the running application sends another key"
    ) in told


def test_the_lookup_comes_first_and_says_as_whom_it_was_asked() -> None:
    mine = replace(LOOKUP, sql="select id from people where sub = $1", count=0, session="as app in a transaction")
    told = running(mine, lookup=LOOKUP)
    assert "gets 0 rows from `SELECT id FROM people WHERE sub = %(sub)s` (as app in a transaction)" in told
    assert "a new process gets 1 (as app)" in told
    assert "Query letters" not in told


def test_a_lookup_in_another_session_that_finds_as_many_rows() -> None:
    told = running(replace(LOOKUP, session="as app with search_path old"), SENT, lookup=LOOKUP)
    assert "(as app with search_path old); a new process gets 1 (as app)" in told


def test_reads_that_are_the_same_leave_the_code_behind_them() -> None:
    assert "in the running process" in running(SENT)


# --- the tap's lines ---


def call(connection: int = 1, transaction: str = "idle", *, statement: str = "SELECT 1", owner: Owner) -> Any:
    place: dict[str, Any] = {
        "statement": statement,
        "rows": 1,
        "owner": owner,
        "role": "app",
        "transaction": transaction,
    }
    return to_json(WireCall("postgres", "SQL", 5.0, 1.0, connection, **place))


def request(number: int, started: float = 5.0, mark: str | None = None) -> Mapping[str, Any]:
    return to_json(Request(number, "GET", "/", started, 100.0, 200, mark))


def test_reads_of_the_marked_request_alone() -> None:
    lines = [
        call(owner=Owner("alone", (1,)), statement="SELECT 1"),
        request(1, 1.0),
        call(owner=Owner("alone", (2,)), statement="BEGIN"),
        call(owner=Owner("alone", (2,)), transaction="in transaction", statement="SELECT 2"),
        request(2, mark=MARK),
    ]
    found = reads_in(lines, MARK)
    assert found is not None
    assert [(one.sql, one.session, one.count) for one in found] == [("SELECT 2", "as app", 1)]
    assert reads_in(lines[:-1], MARK) is None


@pytest.mark.parametrize(("other_began", "known"), [(1.0, True), (4.95, False)], ids=["ended", "meanwhile"])
def test_a_shared_call_is_listed_only_if_the_other_request_had_ended(other_began: float, known: bool) -> None:
    left_open = call(owner=Owner("shared", (1, 2)), transaction="in transaction")
    found = reads_in([request(1, other_began), left_open, request(2, mark=MARK)], MARK)
    assert (found is not None) is known
    if found:
        assert found[0].session == "as app in a transaction that was begun before the request"


def test_only_new_requests_are_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    assert list(lines_from(file, 0)) == []
    file.write_text('{"kind":"request","number":1}\n')
    place = file.stat().st_size
    file.write_text(file.read_text() + '{"kind":"call"}\n{"kind":"request","number":2}\n{"cut')
    assert [line["number"] for line in lines_from(file, place)] == [2]
    file.write_text('{"kind":"request","number":3}\n')
    assert [line["number"] for line in lines_from(file, 10 * place)] == [3]


# --- whose answer it is ---


def strangers(**http: Any) -> LayerFinding:
    """Two entries of somebody else instead of one's own."""
    theirs = (entry(7, text="x", at="2020-01-01T00:00:00Z"), entry(8, text="y", at="2020-01-02T00:00:00Z"))
    kept = http.pop("kept", None)
    seen = with_member(entries=theirs, kept=kept)
    stored = replace(seen.dynamodb, elsewhere=http.pop("elsewhere", {}))
    return first(replace(seen, dynamodb=stored, http=replace(seen.http, **http)))


def test_entries_that_one_other_person_has_in_common() -> None:
    cause = strangers(elsewhere={"m7": ("cy", "bo"), "m8": ("bo",)}).cause or ""
    assert cause.startswith("all 2 extra entries are stored for bo, so this is the answer for another user")


def test_an_entry_of_two_others_is_the_answer_of_who_shares_the_rest() -> None:
    both = with_member(entries=(*STORED[:1], entry(7, text="x", at="2020-01-01T00:00:00Z")))
    owners = {"m7": ("cy", "bo"), "m1": ("bo",)}
    seen = replace(both, dynamodb=replace(both.dynamodb, elsewhere=owners))
    assert (first(seen).cause or "").startswith("the extra entry is stored for bo, so this is the answer for another")


def test_entries_that_are_stored_nowhere_are_nobodys() -> None:
    assert "stored for" not in (strangers(elsewhere={"m7": ("bo",)}).cause or "")


def test_the_key_under_which_a_cache_holds_the_answer() -> None:
    found = strangers(kept_under=("list:all", "list:ada"))
    assert "the cache holds this answer under `list:all`; the declared key of this user is `list:ada`" in (
        found.cause or ""
    )
    assert found.fix is not None
    assert "list:ada" in found.fix.text


def test_a_cache_that_answers_is_said_and_a_restart_is_not_advised() -> None:
    found = strangers(kept="x-cache: HIT")
    assert found.cause == "a cache answered, and not the application (x-cache: HIT)"
    assert found.fix is not None
    assert found.fix.command is None
    stranger = replace(MEMBER, kept="age: 3")
    seen = replace(HEALTHY, http=replace(HEALTHY.http, stranger=stranger))
    assert (first(seen).kind, "(age: 3)" in (first(seen).cause or "")) == ("open_to_strangers", True)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-cache": "Hit from cloudfront", "age": "7"}, "x-cache: Hit from cloudfront, age: 7"),
        ({"cache-status": "Edge; hit; ttl=30"}, "cache-status: Edge; hit; ttl=30"),
        ({"cache-status": "Edge; fwd=miss; stored"}, None),
        ({"x-cache": "MISS", "age": "0"}, None),
        ({"cf-cache-status": "DYNAMIC"}, None),
        ({}, None),
    ],
)
def test_headers_of_caches(headers: Mapping[str, str], told: str | None) -> None:
    assert kept_by_cache(headers) == told


# --- bodies and rows ---


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'[{"a": 1}, {"a"', "it is cut off: its JSON has no end after 15 bytes"),
        (b'{"a": "caf\xe9"}', "it is not UTF-8 (byte 10)"),
        ('{"a": 1}'.encode("utf-16"), "it is UTF-16, not UTF-8"),
        (b"[1, 2,, 3]", "it is not JSON (character 6)"),
        (b"hello", "it is not JSON"),
    ],
)
def test_why_a_body_is_no_json(body: bytes, told: str) -> None:
    with pytest.raises(ValueError) as raised:
        json.loads(body.decode())
    assert no_json(body, raised.value) == told


def test_a_row_that_is_written_with_the_values_that_it_has() -> None:
    people = ("public", "people")
    before = {(people, "1"): ("(1,ada)", "700"), (people, "2"): ("(2,bo)", "700"), (people, "3"): ("(3,cy)", "700")}
    after = {(people, "1"): ("(1,ada)", "701"), (people, "2"): ("(2,Bo)", "701"), (people, "3"): ("(3,cy)", "700")}
    assert list(written(before, after)) == [(people, "1")]
