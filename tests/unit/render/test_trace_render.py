"""A trace in the terminal, and what all its forms share: short ids, counts, pairs of entries, and no secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from devenv.core.model import Report
from devenv.render import report as render
from devenv.render import trace_view
from devenv.render.cells import cell_width
from devenv.render.trace_html import write_html
from devenv.render.trace_otlp import write_otlp
from devenv.render.trace_text import trace_text, wrap
from tests.trace_samples import (
    DECLARED,
    GROUP,
    NAMES,
    NARROW,
    SAMPLES,
    STALE,
    breaks,
    down,
    everywhere,
    finding,
    healthy,
    healthy_body,
    mangled,
    message_id,
    named,
    narrowed,
    orphan,
    report_of,
    wrong_query,
)

FORMS: dict[str, Callable[[Report], str]] = {
    "text": lambda report: "\n".join(trace_text(report, verbose=True)),
    "html": write_html,
    "otlp": write_otlp,
}


def shown(report: Report, monkeypatch: pytest.MonkeyPatch, width: int = 100, *, verbose: bool = False) -> list[str]:
    """The lines on a terminal of this width, without colours."""
    monkeypatch.setenv("COLUMNS", str(width))
    return [re.sub(r"\x1b\[\d*m", "", line) for line in trace_text(report, verbose)]


def test_a_healthy_trace_has_one_line_per_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(healthy(), monkeypatch) == [
        f"conversation {GROUP}",
        "the messages of a conversation, as ines, 350 ms",
        "├ ✓ environment  ok             <1 ms  process 4711 is connected to this project's stores",
        "├ ✓ services     ok             51 ms  postgres, dynamodb, backend answer",
        "├ ✓ postgres     ok             55 ms  one row: 2e5f1fa6-ee7f-4961-b6f8-2a81f6c63d46 ines",
        "├ ✓ dynamodb     ok        12    1 ms  in table chat-messages",
        "├ ✓ cross-store  ok              1 ms  2 ids looked up",
        "├ ✓ pattern      ok  12 of 12   34 ms  Query chat-messages where pk = MSG#5ae290ed-55d1-47a0-bc6d-f…",
        "├ ✓ library      ok  12 of 12  290 ms  list_messages()",
        "└ ✓ http         ok  12 of 12   66 ms  member 200, stranger 403",
        "✓ ok: every layer agrees with the one before",
    ]


def test_a_layer_that_fails_for_an_earlier_one_is_not_shown_as_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    body = healthy_body()
    fault = finding("environment", "wrong_endpoint", "AWS_ENDPOINT_URL_DYNAMODB leads elsewhere", None, None)
    report = breaks(body, fault, status="wrong_target")
    http = named(body, "http")
    http.update(observed_count=None, entries=None, follows="environment")
    http["output"]["answers"][0]["status"] = 503
    report = report_of(report.exit_code, body)
    lines = shown(report, monkeypatch, 120)
    assert lines[-2] == "└ = http         follows        ? of 12   66 ms  from environment: member 503, stranger 403"
    assert '<span class="chip warn">follows</span>' in write_html(report)
    assert '"stringValue":"environment"' in write_otlp(report).replace(" ", "")


def test_a_refusal_that_is_right_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    report = healthy()
    right = "tove is not a member, so 403 is right"
    named(report.body, "http").update(observed_count=None, entries=None, right=right)
    lines = shown(report, monkeypatch)
    assert lines[-2:] == [
        f"└ ✓ http         ok   ? of 12   66 ms  {right}",
        f"✓ ok: every layer agrees with the one before; {right}",
    ]
    assert f"Every layer agrees with the one before; {right}" in write_html(report)


def test_a_verdict_of_ok_names_the_layers_that_were_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    report = healthy()
    why = "the subject declares no request"
    named(report.body, "http").update(status="not_run", observed_count=None, entries=None, unasked=why)
    verdict = "very layer that ran agrees with the one before; not run: http (the subject declares no request)"
    assert " ".join(shown(report, monkeypatch, 160)[-1:]) == f"✓ ok: e{verdict}"
    assert f"<span>E{verdict}</span>" in write_html(report)


def test_the_broken_layer_stands_open(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(wrong_query(), monkeypatch)
    first = next(number for number, line in enumerate(lines) if "library" in line and "✗" in line)
    assert lines[first - 1].startswith("├ ✓ pattern")
    assert lines[first].split() == ["├", "✗", "library", "missing", "0", "of", "12", "290", "ms", "wrong_query"]
    assert lines[first + 1 : first + 11] == [
        "│   wrong_query: list_messages() returns 0 of 12: its query does not return 12 entries that the",
        "│   declared pattern returns",
        f"│   missing   12: {message_id(0)[:8]}… {message_id(1)[:8]}… {message_id(2)[:8]}… and 9 more",
        f"│   declared  {DECLARED}",
        f"│   sent      Query chat-messages where pk = MSG#{GROUP} and",
        "│             begins_with(sk, 2026) descending → 0 of 0 read",
        "│   differs   in the sort-key condition",
        "│   fix       correct list_messages()",
        f"│   then      devenv trace conversation {GROUP} --user ines",
        "└ ✗ http         mutated    0 of 0   66 ms  open_to_strangers",
    ]
    assert lines[first + 11 :] == [
        "also:",
        "  ✗ http, open_to_strangers: the API answers 200 to a user who is not a member, with 12 entries",
        "    cause     the user is not checked",
        "    fix       check membership",
        "    run       devenv logs backend",
        "✗ diverged at library: wrong_query",
    ]


def test_a_narrowed_pattern_shows_what_its_condition_takes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join(shown(narrowed(), monkeypatch, 120))
    assert f"│   declared  {NARROW.removesuffix(' descending')}" in lines
    assert "│   without   its sort-key condition: 12 entries" in lines
    assert "│   cause     its sort-key condition (begins_with(sk, 2026)) leaves them out" in lines
    assert "│   run       devenv config check" in lines
    assert lines.endswith("✗ diverged at pattern: narrowed")


def test_changed_fields_new_entries_and_the_order_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(mangled(), monkeypatch)
    assert f"│   extra     1: {message_id(99)[:8]}…" in lines
    assert f"│   changed   handle on 1 entry: {message_id(11)[:8]}… ines → null" in lines
    assert "│   order     the same entries in a different order" in lines


def test_the_command_of_an_orphan_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (100, 40, 10):
        lines = shown(orphan(), monkeypatch, width)
        assert [line for line in lines if line.endswith("devenv up")], width
    assert STALE in "".join(shown(orphan(), monkeypatch))


def test_layers_that_could_not_be_asked_say_why_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(down(), monkeypatch)
    assert sum("Connection refused" in line for line in lines) == 1
    assert lines[-1] == "? not verified: could not be checked: dynamodb, cross-store, pattern"
    assert [line.split()[1] for line in lines if line[:1] in "├└"] == ["✓", "✓", "✓", "?", "?", "?", "-", "-"]
    narrow = shown(down(), monkeypatch, 40)
    assert sum("for the same reason" in line for line in narrow) == 3


def test_behind_a_layer_that_breaks_a_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    body = dict(down().body)
    same = ("it is not running", "start what is not running", "devenv up")
    faults = [finding("services", "unreachable", f"{name} does not answer", *same) for name in ("DynamoDB", "Postgres")]
    lines = shown(breaks(body, *faults, status="error"), monkeypatch)
    assert not any("Connection refused" in line for line in lines)
    assert sum(line.endswith("run       devenv up") for line in lines) == 1
    assert "│   also      unreachable: Postgres does not answer" in lines
    assert sum("DynamoDB at 127.0.0.1:8000 does not answer" in line for line in lines) == 3


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [32, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal_but_commands(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in shown(SAMPLES[name](), monkeypatch, width):
        assert cell_width(line) <= width or re.search(r"\b(run|then) +devenv ", line), line
        assert line == line.rstrip()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_layer_and_its_status_is_there_on_a_narrow_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = SAMPLES[name]()
    lines = [line for line in shown(report, monkeypatch, 40) if line[:1] in "├└"]
    assert [line.split()[2] for line in lines] == list(NAMES)
    for line, layer in zip(lines, report.body["layers"], strict=True):
        assert layer["status"].replace("_", " ") in line


def test_zero_is_not_the_same_as_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trace_view.counts({"expected_count": 0, "observed_count": 0}) == "0 of 0"
    assert trace_view.counts({"expected_count": 0, "observed_count": 2}) == "2, not 0"
    assert trace_view.counts({"expected_count": 3, "observed_count": None}) == "? of 3"
    assert trace_view.counts({"expected_count": None, "observed_count": 0}) == "0"
    assert trace_view.counts({"expected_count": None, "observed_count": None}) == ""


def test_an_empty_answer_is_explained_by_the_notes_of_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    body = healthy_body(0)
    named(body, "dynamodb")["notes"] = ["the group exists and has no messages yet"]
    lines = shown(report_of(0, body), monkeypatch)
    assert "│   note      the group exists and has no messages yet" in lines


def test_a_field_that_is_absent_is_not_called_null(monkeypatch: pytest.MonkeyPatch) -> None:
    report = mangled()
    (change,) = named(dict(report.body), "library")["changed"]
    change |= {"absent": True, "instead": "displayName"}
    assert "ines → absent (`displayName` has it)" in " ".join(" ".join(shown(report, monkeypatch)).split())


def test_verbose_shows_every_id_and_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join(shown(wrong_query(), monkeypatch, 120, verbose=True))
    assert all(message_id(number) in lines for number in range(12))
    assert "4.5 read units as DynamoDB Local counts them" in lines


def test_ids_that_look_alike_stand_in_full() -> None:
    alike = ["11111111-1111-4111-8111-111111111111", "11111111-2222-4222-8222-222222222222"]
    assert trace_view.short_ids(alike) == f"2: {alike[0]} {alike[1]}"
    assert trace_view.short_ids(["order-7", "?"]) == "2: order-7 ?"
    assert trace_view.short("a-rather-long-identifier-of-another-kind") == "a-rather-lon…her-kind"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("日本語", 4, ["日本", "語"]),
        ("a\nb", 4, ["a", "b"]),
        ("\x1b[31mred", 20, ["\\x1b[31mred"]),
    ],
)
def test_text_is_wrapped_by_cells(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


def test_pairs_of_entries_tell_what_happened_to_each() -> None:
    pairs = trace_view.pair_entries(named(dict(mangled().body), "library"))
    told = [(pair.state, pair.id, pair.was, pair.now) for pair in pairs if pair.state != "same"]
    assert told == [
        ("extra", message_id(99), None, 13),
        ("changed", message_id(11), 12, 12),
        ("moved", message_id(1), 2, 1),
        ("moved", message_id(0), 1, 2),
    ]
    assert pairs[1].fields == {"handle"}
    assert len(pairs) == 13


def test_an_entry_with_another_id_is_one_pair() -> None:
    body = healthy_body(2)
    library = named(body, "library")
    given = library["entries"]
    library.update(
        expected=given,
        entries=[given[0], {**given[1], "id": "sender"}],
        changed=[{"id": message_id(1), "field": "id", "expected": message_id(1), "observed": "sender"}],
    )
    states = [(pair.state, pair.id) for pair in trace_view.pair_entries(library)]
    assert states == [("changed", message_id(1)), ("same", message_id(0))]


def test_pairs_need_both_sides() -> None:
    assert trace_view.pair_entries(named(healthy_body(), "pattern")) == []


# --- what must not be shown ---

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3YzFmNGE1MiJ9.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "carrier",
    [
        "Bearer {secret}",
        "GET /?token={secret}&page=2",
        "postgresql://chat:{secret}@127.0.0.1:5432/chat",
        "connect(host='db', password='{secret}')",
        "PGPASSWORD={secret} psql",
        f"sent {JWT} {{unused}}",
    ],
)
def test_secrets_and_tokens_show_nowhere(form: str, name: str, carrier: str) -> None:
    told = FORMS[form](everywhere(SAMPLES[name](), " " + carrier.format(secret="hunter2hunter2", unused="")))
    assert "hunter2hunter2" not in told
    assert JWT.split(".")[1] not in told
    assert "****" in told


@pytest.mark.parametrize("form", FORMS)
def test_variables_and_headers_that_hold_secrets_are_masked_by_name(form: str) -> None:
    body = healthy_body()
    environment, http = named(body, "environment"), named(body, "http")
    environment["output"]["variables"] += [{"name": "AUTH_SECRET", "value": "open sesame"}]
    http["request"]["headers"] = {"Authorization": "open sesame", "Cookie": "open sesame", "Origin": "http://here"}
    told = FORMS[form](report_of(0, body))
    assert "open sesame" not in told


@pytest.mark.parametrize("form", ["text", "html"])
def test_keys_of_items_are_shown_and_values_that_are_called_key_are_not(form: str) -> None:
    body = healthy_body()
    dynamodb, library = named(body, "dynamodb"), named(body, "library")
    dynamodb["output"]["items"] = [{"key": "MSG#94C08BE3 2023-06-12T17:12:30.000000+00:00", "kind": "message"}]
    library["request"]["calls"][0]["arguments"] = {"key": "open sesame", "password": "open sesame"}
    shown = FORMS[form](report_of(0, body))
    if form == "html":  # where the output of a healthy layer stands, too
        assert "MSG#94C08BE3 2023-06-12T17:12:30.000000+00:00" in shown
    assert "open sesame" not in shown
    cached = trace_view.readable({"request": {"key": "conv:2e5f1fa6", "service": "cache"}})
    assert cached["request"]["key"] == "conv:2e5f1fa6"
    assert trace_view.readable({"key": "open sesame", "params": {"key": "open sesame"}}) == {
        "key": "****",
        "params": {"key": "****"},
    }


def test_a_text_that_comes_twice_is_masked_by_where_it_stands() -> None:
    told = trace_view.readable([{"title": "open sesame", "password": "open sesame"}, {"title": "open sesame"}])
    assert told == [{"title": "open sesame", "password": "****"}, {"title": "open sesame"}]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("there is no bearer token", "there is no bearer token"),
        ("no Bearer token.", "no Bearer token."),
        ("bearer authentication, please", "bearer authentication, please"),
        ("Bearer token-1234", "Bearer ****"),
        ("Bearer hunter", "Bearer ****"),
        ("bearer tokenhunter2", "bearer ****"),
        ("Bearer\ttoken=abc", "Bearer\t****"),
    ],
)
def test_a_word_behind_bearer_is_no_token(said: str, shown: str) -> None:
    assert trace_view.readable({"detail": said}) == {"detail": shown}


def unknown_conversation() -> dict[str, Any]:
    body: dict[str, Any] = dict(healthy_body(0))
    dynamodb = named(body, "dynamodb")
    lost = finding("dynamodb", "missing_item", f"there is no conversation {GROUP}", None, None)
    dynamodb.update(status="missing", findings=[lost])
    dynamodb["output"] |= {"found": False, "items": [], "near": []}
    body["verdict"] |= {"status": "diverged", "layer": "dynamodb", "class": "missing_item", "fix": None, "also": []}
    return body


def test_an_id_that_is_stored_nowhere_is_not_found_and_nothing_is_broken() -> None:
    body = unknown_conversation()
    page = write_html(report_of(1, body))
    assert "? Not found" in page
    assert "✗ Broken" not in page
    body["verdict"]["also"] = [finding("http", "cors", "no answer lets a page read it", None, None)]
    assert trace_view.is_not_found(body)
    # An item in another spelling, or one that a file can restore, is a fault.
    named(body, "dynamodb")["output"]["near"] = ["MSG#94C08BE3"]
    assert not trace_view.is_not_found(body)
    named(body, "dynamodb")["output"]["near"] = []
    body["verdict"]["fix"] = {"text": "restore it", "command": "devenv up --restore-seeds", "safe": True}
    assert not trace_view.is_not_found(body)
    assert "✗ Broken" in write_html(report_of(1, body))


def test_a_list_that_is_the_same_is_not_called_changed() -> None:
    body = healthy_body()
    http = named(body, "http")
    http.update(status="mutated", findings=[finding("http", "cors", "no answer lets a page read it", None, None)])
    http.update(expected=http["entries"], missing=[], extra=[], changed=[], reordered=False)
    assert trace_view.standing(http) == "broken"
    [sentence] = trace_view.judgement(body, http)
    assert sentence.endswith("its 12 entries are as expected, but another part of its answer is wrong.")
    assert "mutated" not in write_html(report_of(1, body))
    http["changed"] = [{"id": message_id(1), "field": "handle", "expected": "a", "observed": "b"}]
    assert trace_view.standing(http) == "mutated"


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_at_the_place_where_a_long_text_is_cut_is_not_half_shown(form: str) -> None:
    body = healthy_body()
    for before in (trace_view.VALUE - 30, trace_view.VALUE - 10, trace_view.VALUE - 1):
        named(body, "http")["output"]["log"] = ["x" * before + " Bearer " + "hunter2" * 20]
        assert "hunter2" not in FORMS[form](report_of(0, body))


@pytest.mark.parametrize("form", FORMS)
def test_what_people_wrote_stays_a_number_of_characters(form: str) -> None:
    told = FORMS[form](mangled())
    assert "[10 characters]" in told or form != "html"
    assert "Hey Rafael" not in told


def test_the_note_on_newer_code_shows_beside_a_correct_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    note = "app/main.py was changed after the application was started"
    body = healthy_body()
    named(body, "http")["notes"] = [note]
    assert note not in " ".join(shown(report_of(0, body), monkeypatch, 120))
    named(body, "http")["output"]["code_changed"] = "app/main.py"
    assert note in " ".join(shown(report_of(0, body), monkeypatch, 120))


# --- what others wrote ---

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\u2066\x9b31m\x00\ud800 <script>alert(1)</script> \"'>&"


@pytest.mark.parametrize("name", SAMPLES)
def test_stored_text_cannot_steer_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (40, 100):
        for line in shown(everywhere(SAMPLES[name](), HOSTILE), monkeypatch, width, verbose=True):
            assert line.isprintable(), line


@pytest.mark.parametrize("form", FORMS)
def test_ten_megabytes_in_one_value_are_cut_and_counted(form: str) -> None:
    body: dict[str, Any] = healthy_body()
    big = "eyJ" * 3_500_000
    named(body, "http")["output"]["log"] = [big]
    named(body, "library")["output"]["function"] = big
    body["subject"]["title"] = big
    told = FORMS[form](report_of(0, body))
    assert len(told) < 200_000
    assert "more characters" in told or "****" in told


def test_the_command_line_shows_it_and_json_keeps_the_body(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_report(orphan(), as_json=False, color="never", verbose=False)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.endswith("✗ diverged at cross-store: orphan\n")
