"""The Postgres side of the tap: bytes in, calls out."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from devenv.capture.tap.http import Unparsed
from devenv.capture.tap.pgwire import BACKEND, BACKEND_DATA, KEPT, Gate, Stream
from devenv.capture.tap.postgres import PostgresConversation
from devenv.capture.tap.records import Owner, WireCall

RECORDED = sorted((Path(__file__).parent / "recorded").glob("postgres-*.json"))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Bytes = tuple[str, bytes]


def message(letter: str, body: bytes = b"") -> bytes:
    return letter.encode() + struct.pack("!I", len(body) + 4) + body


def hello(**parameters: str) -> bytes:
    body = struct.pack("!I", 196608) + b"".join(f"{n}\0{v}\0".encode() for n, v in parameters.items()) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def query(sql: str) -> bytes:
    return message("Q", sql.encode() + b"\0")


def parse(sql: str, name: str = "", *types: int) -> bytes:
    body = f"{name}\0{sql}\0".encode() + struct.pack(f"!H{len(types)}I", len(types), *types)
    return message("P", body)


def bind(*values: str, statement: str = "", portal: str = "") -> bytes:
    body = f"{portal}\0{statement}\0".encode() + struct.pack("!HH", 0, len(values))
    body += b"".join(struct.pack("!I", len(v)) + v.encode() for v in values) + struct.pack("!H", 0)
    return message("B", body)


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message("E", f"{portal}\0".encode() + struct.pack("!I", limit))


SYNC = message("S")
DESCRIBE = message("D", b"P\0")


def columns(*names: str) -> bytes:
    return message("T", struct.pack("!H", len(names)) + b"".join(f"{n}\0".encode() + bytes(18) for n in names))


def row(*values: str) -> bytes:
    return message(
        "D", struct.pack("!H", len(values)) + b"".join(struct.pack("!I", len(v)) + v.encode() for v in values)
    )


def done(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def ready(state: str = "I") -> bytes:
    return message("Z", state.encode())


def refused(code: str, words: str = "no", **more: str) -> bytes:
    fields = {"S": "ERROR", "C": code, "M": words, **more}
    return message("E", b"".join(f"{k}{v}\0".encode() for k, v in fields.items()) + b"\0")


STARTED: list[Bytes] = [
    (">", hello(user="anna", database="shop")),
    ("<", message("R", bytes(4)) + message("S", b"search_path\0public\0") + ready()),
]


def observe(talk: list[Bytes], *, contents: bool = False, owner: Any = lambda traceparent: Owner()) -> list[WireCall]:
    told: list[WireCall] = []
    conversation = PostgresConversation(told.append, owner, contents=contents, salt=b"salt", connection=1)
    for number, (direction, data) in enumerate(talk):
        (conversation.sent if direction == ">" else conversation.received)(data, float(number))
    conversation.close(float(len(talk)))
    return told


def one(*talk: Bytes, **options: Any) -> WireCall:
    calls = observe([*STARTED, *talk], **options)
    assert len(calls) == 1, calls
    return calls[0]


def test_a_simple_query() -> None:
    call = one((">", query("SELECT a FROM t")), ("<", columns("a") + row("1") + row("2") + done("SELECT 2") + ready()))
    assert (call.statement, call.rows, call.columns, call.error) == ("SELECT a FROM t", 2, ("a",), None)
    assert (call.database, call.role, call.search_path, call.transaction) == ("shop", "anna", "public", "idle")
    assert call.ms == 1000.0


def test_no_rows_is_not_the_same_as_rows_that_were_not_captured() -> None:
    call = one((">", query("SELECT a FROM t")), ("<", columns("a") + done("SELECT 0") + ready()))
    assert call.rows == 0
    call = one((">", query("SELECT a FROM t")), ("<", refused("57014") + ready()))
    assert call.rows is None


def test_rows_that_a_write_changed_come_from_its_tag() -> None:
    assert one((">", query("UPDATE t SET a = 1")), ("<", done("UPDATE 7") + ready())).rows == 7


def test_an_extended_query_has_the_types_of_its_values_and_not_the_values() -> None:
    call = one(
        (">", parse("SELECT a FROM t WHERE b = $1 AND c = $2", "", 25, 2950) + bind("secret", "x") + DESCRIBE),
        (">", execute() + SYNC),
        ("<", message("1") + message("2") + columns("a") + row("1") + done("SELECT 1") + ready()),
    )
    assert call.parameters == ("text", "uuid")
    assert (call.rows, call.columns) == (1, ("a",))
    assert "secret" not in repr(call)


def test_types_that_the_server_finds_out() -> None:
    talk = [
        (">", parse("SELECT $1", "s") + message("D", b"Ss\0") + SYNC),
        ("<", message("1") + message("t", struct.pack("!HI", 1, 23)) + columns("a") + ready()),
        (">", bind("5", statement="s") + execute() + SYNC),
        ("<", message("2") + row("5") + done("SELECT 1") + ready()),
    ]
    call = one(*talk)
    assert (call.parameters, call.columns) == (("int4",), ("a",))


def test_equal_values_have_equal_digests_and_others_do_not() -> None:
    talk: list[Bytes] = [(">", parse("SELECT $1", "s") + SYNC), ("<", message("1") + ready())]
    for value in ("a", "b", "a"):
        talk += [(">", bind(value, statement="s") + execute() + SYNC)]
        talk += [("<", message("2") + row(value) + done("SELECT 1") + ready())]
    first, second, third = observe([*STARTED, *talk])
    assert first.digest == third.digest != second.digest


def test_a_pipeline_in_which_one_fails() -> None:
    """What stands between the failure and the next Sync is not executed, what is behind it is."""
    sent = parse("SELECT 1") + bind() + execute() + parse("SELEC") + bind() + execute() + parse("SELECT 3") + bind()
    sent += execute() + SYNC + parse("SELECT 4") + bind() + execute() + SYNC
    back = message("1") + message("2") + row("1") + done("SELECT 1") + refused("42601", "syntax error") + ready()
    back += message("1") + message("2") + row("4") + done("SELECT 1") + ready()
    calls = observe([*STARTED, (">", sent), ("<", back)])
    assert [(c.statement, c.error) for c in calls] == [("SELECT ?", None), ("SELEC", "42601"), ("SELECT ?", None)]


def test_what_comes_after_a_failure_and_before_sync_is_skipped_also_when_it_comes_later() -> None:
    talk: list[Bytes] = [
        (">", parse("SELEC")),
        ("<", refused("42601")),
        (">", bind() + execute()),
        (">", SYNC + query("SELECT 2")),
        ("<", ready() + columns("b") + row("2") + done("SELECT 1") + ready()),
    ]
    calls = observe([*STARTED, *talk])
    assert [(c.error, c.rows) for c in calls] == [("42601", None), (None, 1)]


def test_a_failed_parse_leaves_the_older_statement() -> None:
    talk: list[Bytes] = [
        (">", parse("SELECT a", "s") + SYNC),
        ("<", message("1") + ready()),
        (">", parse("SELECT b", "s") + SYNC),
        ("<", refused("42P05") + ready()),
        (">", bind(statement="s") + execute() + SYNC),
        ("<", message("2") + row("1") + done("SELECT 1") + ready()),
    ]
    assert [call.statement for call in observe([*STARTED, *talk])] == ["SELECT b", "SELECT a"]


def test_a_portal_in_parts() -> None:
    talk: list[Bytes] = [
        (">", parse("SELECT a") + bind(portal="p") + execute("p", 2) + SYNC),
        ("<", message("1") + message("2") + row("1") + row("2") + message("s") + ready("T")),
        (">", execute("p", 2) + SYNC),
        ("<", row("3") + done("SELECT 1") + ready()),
    ]
    assert [(call.rows, call.more) for call in observe([*STARTED, *talk])] == [(2, True), (1, False)]


def test_copy_in_of_a_simple_and_of_an_extended_query() -> None:
    begin = message("G", b"\0" + struct.pack("!H", 0))
    data = message("d", b"1\n") + message("c")
    simple: list[Bytes] = [
        (">", query("COPY t FROM STDIN")),
        ("<", begin),
        (">", data),
        ("<", done("COPY 1") + ready()),
    ]
    # The Sync behind Execute is ignored by a server that copies; the one behind the data counts.
    extended: list[Bytes] = [
        (">", parse("COPY t FROM STDIN") + bind() + execute() + SYNC),
        ("<", message("1") + message("2") + begin),
        (">", data + SYNC),
        ("<", done("COPY 1") + ready()),
    ]
    # A client that does not wait for the server's word.
    early: list[Bytes] = [
        (">", query("COPY t FROM STDIN") + data),
        ("<", begin + done("COPY 1") + ready()),
    ]
    both: list[Bytes] = [
        (">", parse("COPY t FROM STDIN") + bind() + execute() + SYNC + data + SYNC),
        ("<", message("1") + message("2") + begin + done("COPY 1") + ready()),
    ]
    after: list[Bytes] = [(">", parse("SELECT 1") + bind() + execute() + SYNC)]
    after += [("<", message("1") + message("2") + row("1") + done("SELECT 1") + ready())]
    for talk in (simple, extended, early, both):
        calls = observe([*STARTED, *talk, *after])
        assert [(call.operation, call.rows) for call in calls] == [("COPY", 1), ("SQL", 1)]


def test_copy_out() -> None:
    begin = message("H", b"\0" + struct.pack("!H", 0))
    call = one(
        (">", query("COPY t TO STDOUT")),
        ("<", begin + message("d", b"1\n") * 3 + message("c") + done("COPY 3") + ready()),
    )
    assert (call.operation, call.rows, call.bytes_received) == ("COPY", 3, 6)


def test_a_copy_that_the_server_refuses_half_way() -> None:
    begin = message("G", b"\0" + struct.pack("!H", 0))
    talk: list[Bytes] = [
        (">", query("COPY t FROM STDIN")),
        ("<", begin),
        (">", message("d", b"x")),
        ("<", refused("22P02") + ready()),
        (">", message("d", b"y") + message("c") + query("SELECT 1")),
        ("<", columns("a") + row("1") + done("SELECT 1") + ready()),
    ]
    assert [call.error for call in observe([*STARTED, *talk])] == ["22P02", None]


def test_the_settings_that_decide_what_a_statement_reaches() -> None:
    def run(sql: str, tag: str, state: str = "I") -> list[Bytes]:
        return [(">", query(sql)), ("<", done(tag) + ready(state))]

    # An older server does not report search_path.
    talk = [(">", hello(user="anna", options="-c search_path=app")), ("<", ready())]
    asks = run("SELECT 1", "SELECT 1")
    talk += asks + run("SET ROLE 'reader'; SET search_path TO one, two", "SET")
    talk[-1] = ("<", done("SET") + done("SET") + ready())
    talk += asks + run("BEGIN", "BEGIN", "T") + run("SET LOCAL search_path = three", "SET", "T")
    talk += run("SELECT 1", "SELECT 1", "T") + run("SET ROLE writer", "SET", "T") + run("ROLLBACK", "ROLLBACK") + asks
    talk += run("RESET ROLE", "RESET") + run("/* x */ RESET ALL", "RESET") + asks
    seen = [(c.role, c.search_path, c.transaction) for c in observe(talk) if c.statement == "SELECT ?"]
    assert seen == [
        ("anna", "app", "idle"),
        ("reader", "one, two", "idle"),
        ("reader", "three", "in transaction"),
        ("reader", "one, two", "idle"),
        ("anna", "app", "idle"),
    ]


def test_a_transaction_belongs_to_the_request_that_began_it_unless_another_is_in_flight() -> None:
    owners = iter([Owner("alone", (1,)), Owner(), Owner("alone", (2,)), Owner("alone", (2,))])
    talk: list[Bytes] = []
    for sql, state in (("BEGIN", "T"), ("INSERT INTO t VALUES (1)", "T"), ("COMMIT", "I"), ("SELECT 1", "I")):
        talk += [(">", query(sql)), ("<", done("X") + ready(state))]
    calls = observe([*STARTED, *talk], owner=lambda traceparent: next(owners))
    assert [call.owner.requests for call in calls] == [(1,), (1,), (1, 2), (2,)]


def test_a_traceparent_in_a_comment() -> None:
    asked = []

    def owner(traceparent: str | None) -> Owner:
        asked.append(traceparent)
        return Owner()

    sql = f"SELECT 1 /*application='x',traceparent='{TRACE}'*/"
    call = one((">", query(sql)), ("<", done("SELECT 1") + ready()), owner=owner)
    assert (call.traceparent, asked) == (TRACE, [TRACE])


def test_words_of_an_error_do_not_repeat_values() -> None:
    words = {"D": "Key (mail)=(a@b.c) already exists.", "t": "users", "n": "users_mail_key"}
    talk = [(">", query("INSERT …")), ("<", refused("23505", "duplicate key", **words) + ready())]
    assert one(*talk).detail == "table users, constraint users_mail_key"
    assert "a@b.c" in (one(*talk, contents=True).detail or "")


def test_passwords_are_masked_even_when_contents_are_kept() -> None:
    call = one((">", query("ALTER ROLE a PASSWORD 'hidden'")), ("<", done("ALTER ROLE") + ready()), contents=True)
    assert "hidden" not in repr(call)


def test_a_query_without_an_answer() -> None:
    call = one((">", query("SELECT pg_sleep(100)")))
    assert call.error == "no response"


def test_a_request_to_cancel_is_no_call() -> None:
    assert observe([(">", struct.pack("!IIII", 16, 80877102, 1, 2))]) == []


@pytest.mark.parametrize("data", [message("?"), b"Q\0\0\0\1", b"GET / HTTP/1.1\r\n", b"Q\xff\xff\xff\xff"])
def test_what_is_not_the_protocol_is_not_read(data: bytes) -> None:
    with pytest.raises(Unparsed):
        observe([*STARTED, (">", data)])


def test_what_asks_for_encryption_is_declined_and_never_passed_on() -> None:
    start = hello(user="a")
    asked = struct.pack("!II", 8, 80877103) + struct.pack("!II", 8, 80877104) + start
    for size in range(1, len(asked) + 1):
        gate = Gate()
        parts = [gate.feed(asked[at : at + size]) for at in range(0, len(asked), size)]
        assert b"".join(reply for reply, _ in parts) == b"NN"
        assert b"".join(forward for _, forward in parts) == start


def test_tls_from_the_first_byte_is_passed_on() -> None:
    assert Gate().feed(b"\x16\x03\x01") == (b"", b"\x16\x03\x01")


def test_a_long_message_takes_no_memory() -> None:
    stream = Stream(BACKEND, BACKEND_DATA)
    head = b"D" + struct.pack("!I", 500_000_004)
    assert list(stream.feed(head)) == []
    for _ in range(499):
        assert list(stream.feed(bytes(1_000_000))) == []
        assert len(stream.held) == 0
    assert list(stream.feed(bytes(1_000_000) + ready())) == [(ord("D"), b"", 500_000_000, 1), (ord("Z"), b"I", 1, 1)]


def test_neighbours_of_a_type_come_as_one() -> None:
    answer = columns("a") + row("1") + row("22") + message("d", b"x") + row("333") + done("SELECT 3")
    found = [(chr(kind), size, count) for kind, _, size, count in Stream(BACKEND, BACKEND_DATA).feed(answer)]
    assert found == [("T", 22, 1), ("D", 2 * 6 + 3, 2), ("d", 1, 1), ("D", 9, 1), ("C", 9, 1)]


@pytest.mark.parametrize("length", [0, 3, 1 << 31])
def test_a_length_that_is_none_is_found_between_rows(length: int) -> None:
    wrong = b"D" + struct.pack("!I", length)
    stream = Stream(BACKEND, BACKEND_DATA).feed(row("1") + wrong + bytes(9))
    assert next(stream) == (ord("D"), b"", 7, 1)
    with pytest.raises(Unparsed):
        next(stream)


TALK: list[Bytes] = [
    (">", hello(user="anna", database="shop")),
    ("<", message("R", bytes(4)) + message("S", b"search_path\0public\0") + ready()),
    (">", query("SELECT a FROM t; SET search_path = x")),
    ("<", columns("a") + row("1") * 3 + done("SELECT 3") + done("SET") + ready()),
    (">", parse("SELECT $1::text", "s", 25) + bind("x" * 300, statement="s") + DESCRIBE + execute() + SYNC),
    ("<", message("1") + message("2") + columns("text") + row("x" * 300) + done("SELECT 1") + ready("T")),
    (">", query("SELECT '" + "long" * KEPT + "'")),
    ("<", columns("?column?") + row("long" * KEPT) + done("SELECT 1") + ready("T")),
    (">", query("COPY t FROM STDIN")),
    ("<", message("G", b"\0\0\0")),
    (">", message("d", b"1\n" * 50) + message("c")),
    ("<", done("COPY 50") + ready()),
    (">", parse("SELEC") + bind() + execute() + SYNC),
    ("<", refused("42601") + ready()),
]


def timeless(calls: list[WireCall]) -> list[WireCall]:
    return [replace(call, started=0.0, ms=None if call.ms is None else 0.0) for call in calls]


def cut(talk: list[Bytes], places: st.DrawFn | Any) -> list[Bytes]:
    found: list[Bytes] = []
    for direction, data in talk:
        at = 0
        for place in sorted({p % (len(data) + 1) for p in places}):
            found.append((direction, data[at:place]))
            at = place
        found.append((direction, data[at:]))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_any_split_of_the_stream_gives_the_same_calls(places: list[int]) -> None:
    assert timeless(observe(cut(TALK, places))) == timeless(observe(TALK))


def test_byte_by_byte_gives_the_same_calls() -> None:
    short = [(d, data) for d, data in TALK if len(data) < KEPT]
    assert len(observe(short)) == 4
    assert timeless(observe([(d, data[i : i + 1]) for d, data in short for i in range(len(data))])) == timeless(
        observe(short)
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=60)), max_size=20))
def test_random_bytes_are_read_or_refused(talk: list[Bytes]) -> None:
    try:
        observe([*STARTED, *talk])
    except Unparsed:
        return


def recorded(file: Path) -> list[Bytes]:
    return [(direction, base64.b64decode(data)) for direction, data in json.loads(file.read_text())["talk"]]


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_bytes_of_a_driver(file: Path) -> None:
    talk = recorded(file)
    calls = observe(talk)
    expected = json.loads(file.read_text())["calls"]
    assert [[c.operation, c.statement, c.rows, c.error, list(c.parameters)] for c in calls] == expected
    for size in (1, 7, 100):
        pieces = [(d, data[at : at + size]) for d, data in talk for at in range(0, len(data), size)]
        assert timeless(observe(pieces)) == timeless(calls)


def test_there_are_recordings_of_every_driver() -> None:
    assert [file.stem for file in RECORDED] == ["postgres-asyncpg", "postgres-node", "postgres-psycopg"]
