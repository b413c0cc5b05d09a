"""Recorded lines to requests and marks; settings to the tap's addresses and back; the file between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from devenv.capture.tap import history, journal
from devenv.capture.tap.addresses import redirect
from devenv.capture.tap.records import How, Owner, Request, WireCall, to_json
from devenv.query.requests import match_path
from devenv.render.requests_text import call_lines

POSTGRES, TAP = ("127.0.0.1", 5432), ("127.0.0.1", 25999)


def call(statement: str, digest: str = "1", *owners: int, how: How = "alone") -> WireCall:
    return WireCall("postgres", "SQL", 1.0, 1.0, statement=statement, digest=digest, owner=Owner(how, owners))


def request(number: int) -> Request:
    return Request(number, "GET", "/", 1.0, 2.0, 200)


def test_calls_are_grouped_by_their_request() -> None:
    lines = [
        call("a", "1", 1),
        call("b", "1", 2),
        call("c", "1", 1, 2, how="shared"),
        call("d", "1", how="none"),
        request(2),
        request(1),
        call("late", "1", 1),
    ]
    found = [
        (g.request.number if g.request else None, [c.statement for c in g.calls], g.shared)
        for g in history.group(map(to_json, lines))
    ]
    assert found == [(None, ["c"], (1, 2)), (None, ["d"], ()), (2, ["b"], ()), (1, ["a", "late"], ())]


def test_a_tap_that_was_started_again_does_not_mix_the_calls_of_both() -> None:
    lines = [to_json(call("a", "1", 1)), {"kind": "started", "at": 1.0}, to_json(request(1))]
    assert [[c.statement for c in g.calls] for g in history.group(lines)] == [[]]


WORDS = st.none() | st.text(max_size=5)
POSTGRES_CALLS = st.builds(
    WireCall,
    st.just("postgres"),
    st.sampled_from(["SQL", "COPY"]),
    st.floats(0, 1e10),
    st.none() | st.floats(-1, 1e6),
    st.integers(0, 9),
    statement=WORDS,
    digest=st.none() | st.just("00ff"),
    parameters=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    rows=st.none() | st.integers(0, 3),
    columns=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    more=st.booleans(),
    error=WORDS,
    detail=WORDS,
    database=WORDS,
    search_path=WORDS,
    role=WORDS,
    transaction=WORDS,
    traceparent=st.none() | st.just(f"00-{1:032x}-{1:016x}-01"),
    bytes_sent=st.integers(0, 10),
    bytes_received=st.integers(0, 10),
    owner=st.builds(Owner, st.sampled_from(["alone", "shared"]), st.lists(st.integers(0, 9), max_size=2).map(tuple)),
)


@given(POSTGRES_CALLS)
def test_a_line_of_a_call_is_the_call(one: WireCall) -> None:
    assert json.loads(journal.call_line(one)) == json.loads(json.dumps(to_json(one)))


def test_every_field_of_a_call_is_in_its_line() -> None:
    """A new field goes into journal.SAME, into `call_line`, or here, if calls to Postgres never have it."""
    dynamodb = {"request", "items", "scanned", "units", "region", "key"}
    each = {"started", "ms", "connection", "digest", "rows", "traceparent", "bytes_sent", "bytes_received", "owner"}
    assert dynamodb | each | set(journal.SAME) == {one.name for one in fields(WireCall)}


@pytest.mark.parametrize(
    ("calls", "marks"),
    [
        ([call("SELECT a", str(n)) for n in range(3)], [("n+1", 3)]),
        ([call("SELECT a", str(n)) for n in range(2)], []),
        ([call("SELECT a"), call("SELECT b"), call("SELECT a")], [("repeated", 2)]),
        ([call("BEGIN")] * 5 + [call("COMMIT")] * 5, []),
        ([call("SELECT a", d) for d in "1231"], [("repeated", 2), ("n+1", 4)]),
    ],
)
def test_loops_and_repetitions_are_marked(calls: list[WireCall], marks: list[tuple[str, int]]) -> None:
    assert [(mark.kind, mark.times) for mark in history.repeats(calls)] == marks


def test_pages_of_one_read_are_no_loop() -> None:
    pages = [
        WireCall("dynamodb", "Query", 1.0, request={"TableName": "t", "ExclusiveStartKey": {}}, digest=str(n))
        for n in range(5)
    ]
    assert history.repeats(pages) == ()


def test_equal_calls_share_a_line() -> None:
    calls = [{"store": "postgres", "text": "`SELECT a`", "rows": 1, "error": None, "ms": 1.0}] * 4
    marks = [{"kind": "n+1", "times": 4, "calls": [0, 1, 2, 3]}]
    assert len(call_lines(calls, marks, verbose=False)) == 1
    assert "N+1: 4 times" in call_lines(calls, marks, verbose=False)[0]
    assert len(call_lines(calls, marks, verbose=True)) == 4


@pytest.mark.parametrize(
    ("given", "through"),
    [
        ({"URL": "postgresql://a:5432@localhost:5432/b"}, {"URL": "postgresql://a:5432@127.0.0.1:25999/b"}),
        ({"A": "http://127.0.0.1:54321", "B": "10.0.0.1:5432"}, {"A": "http://127.0.0.1:54321", "B": "10.0.0.1:5432"}),
        ({"PGHOST": "localhost", "PGPORT": "5432"}, {"PGHOST": "127.0.0.1", "PGPORT": "25999"}),
        ({"DB_HOST": "db.example", "DB_PORT": "5432"}, {"DB_HOST": "db.example", "DB_PORT": "5432"}),
        ({"PGPORT": "5432"}, {"PGPORT": "25999"}),
        ({"COUNT": "5432", "url": "[::1]:5432"}, {"COUNT": "5432", "url": "127.0.0.1:25999"}),
    ],
)
def test_settings_lead_through_the_tap(given: dict[str, str], through: dict[str, str]) -> None:
    assert redirect(given, {POSTGRES: TAP}) == through


@given(
    st.dictionaries(
        st.sampled_from(["PGPORT", "PGHOST", "URL", "X"]), st.sampled_from(["5432", "127.0.0.1", "127.0.0.1:5432", "x"])
    )
)
def test_there_and_back_is_where_it_began(environ: dict[str, str]) -> None:
    assert redirect(redirect(environ, {POSTGRES: TAP}), {TAP: POSTGRES}) == environ


@pytest.mark.parametrize(
    ("declared", "path", "found"),
    [
        ("/api/messages/{id}", "/api/messages/a%20b?limit=…", {"id": "a b"}),
        ("/api/messages/{id}", "/api/messages/a/b", None),
        ("/api/me", "/api/me", {}),
        ("/o/{order}/l.{line}?x={y}", "/o/7/l.3", {"order": "7", "line": "3"}),
        ("/o/{order}/l.{line}", "/o/7/lx3", None),
    ],
)
def test_a_recorded_path_gives_the_parameters_of_a_declared_one(
    declared: str, path: str, found: dict[str, str] | None
) -> None:
    assert match_path(declared, path) == found


def test_the_journal_is_bounded_and_survives_a_cut_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BYTES", 2000)
    file = tmp_path / "requests.jsonl"
    kept = journal.CallJournal(file)
    for number in range(100):
        kept.add(request(number))
        kept.flush()
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 4000
    with open(file, "a") as half:
        half.write('{"kind":"requ')
    numbers = [line["number"] for line in journal.read(file)]
    assert numbers == list(range(numbers[0], 100))
    kept.add(WireCall("dynamodb", "Query", 1.0, request={"TableName": "x" * 100_000}))
    assert len(kept.lines[0]) < 1000
