"""The verdict on layer `http`: statuses, bodies, pages, strangers, CORS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devenv.core.model import Fix
from devenv.trace.answers import Form, read_answer
from devenv.trace.difference import compare
from devenv.trace.judge.fault import changed_text
from devenv.trace.judge.pages import ends_text
from devenv.trace.judge.verdict import judge
from devenv.trace.layers.origins import find_origins
from devenv.trace.observation import (
    Answer,
    Entry,
    Finding,
    HttpObservation,
    LibraryObservation,
    NextPage,
    PostgresObservation,
)
from tests.unit.trace.judged import (
    HEALTHY,
    MEMBER,
    NOBODY,
    ORIGIN,
    RAN,
    STORED,
    SUBJECT,
    also,
    entry,
    verdict,
    with_library,
    with_member,
    with_pattern,
)

# --- http ---


@pytest.mark.parametrize("code", [301, 400, 404, 500, 503])
def test_a_status_that_is_no_success(code: int) -> None:
    assert verdict(with_member(status=code, entries=None)) == ("http", "status")


@pytest.mark.parametrize("code", [401, 403])
def test_a_member_who_is_refused(code: int) -> None:
    assert verdict(with_member(status=code, entries=None)) == ("http", "not_authorised")


def test_a_refused_user_who_may_be_a_stranger_is_no_fault() -> None:
    unknown = replace(HEALTHY.postgres, belongs=None)
    assert verdict(replace(with_member(status=403, entries=None), postgres=unknown))[0] is None
    assert verdict(replace(with_member(status=401, entries=None), postgres=unknown)) == ("http", "not_authorised")
    hidden = judge(SUBJECT, replace(with_member(status=404, entries=None), postgres=unknown)).first
    assert hidden is not None
    assert "no group or link tells whether" in (hidden.cause or "")


def test_a_refusal_follows_from_a_person_who_is_not_found() -> None:
    trouble = Finding("placeholder", "sign-in id is MOCK", about=frozenset(["sign_in"]))
    seen = replace(with_member(status=401, entries=None), postgres=PostgresObservation(findings=(trouble,)))
    assert (verdict(seen), also(seen)) == (("postgres", "placeholder"), [])


@pytest.mark.parametrize("lost", [STORED[1:], STORED[:-1]])
def test_a_placeholder_that_the_answer_does_not_follow_from_comes_last(lost: tuple[Entry, ...]) -> None:
    trouble = Finding("placeholder", "sign-in id is MOCK", about=frozenset(["sign_in"]))
    person = replace(HEALTHY.postgres, findings=(trouble,))
    seen = replace(with_member(entries=lost), postgres=person)
    assert (verdict(seen), also(seen)) == (("http", "items_lost"), [("postgres", "placeholder")])
    assert verdict(replace(HEALTHY, postgres=person)) == ("postgres", "placeholder"), "it is no request's fault alone"
    nothing = replace(with_member(entries=()), postgres=person)
    assert verdict(nothing) == ("postgres", "placeholder"), "an unknown user may get an empty list"


def test_no_answer_in_time() -> None:
    assert verdict(with_member(status=None, problem="timed_out", entries=None)) == ("http", "timed_out")
    assert verdict(with_member(status=None, problem="broken", entries=None)) == ("http", "status")


def test_an_answer_that_is_no_json() -> None:
    assert verdict(with_member(problem="not_json", entries=None, media="text/html")) == ("http", "not_json")


def test_an_answer_that_is_too_large() -> None:
    assert verdict(with_member(problem="too_large", entries=None)) == ("http", "body_changed")


def test_success_with_nothing_in_it() -> None:
    assert verdict(with_member(empty=True, entries=None)) == ("http", "status")
    assert verdict(with_member(status=204, empty=True, entries=None)) == ("http", "status")


def test_an_error_that_is_answered_as_an_empty_list() -> None:
    seen = with_member(entries=())
    assert verdict(seen) == ("http", "items_lost")
    logged = replace(seen, http=replace(seen.http, log=("ERROR listing failed",)))
    assert verdict(logged) == ("http", "status")


def test_a_failing_function_behind_a_success() -> None:
    seen = with_library(outcome="raised", error="ValueError", detail="x", entries=None)
    seen = replace(seen, http=replace(seen.http, member=replace(MEMBER, entries=())))
    assert (verdict(seen), also(seen)) == (("library", "error"), [("http", "status")])


def test_another_form_of_the_body() -> None:
    assert verdict(with_member(entries=None, shape="a map with `data`, not a list")) == ("http", "body_changed")


def test_entries_lost_between_function_and_answer() -> None:
    first = judge(SUBJECT, with_member(entries=STORED[3:])).first
    assert first is not None
    assert (first.kind, first.cause) == (
        "items_lost",
        "the oldest 3 are lost: the list ends after 2, as if only the first page had been read",
    )


def test_a_later_page_that_names_no_next_one() -> None:
    page = NextPage(2, "/letters?before=5", header="Link", ids=("4",))
    first = judge(SUBJECT, with_member(entries=STORED[3:], pages=2, following=(page,))).first
    assert first is not None
    assert first.kind == "items_lost"
    assert first.cause == "the oldest 3 are lost: the list ends after 2: page 2 has no Link to a next page"


def test_no_link_is_missed_on_a_page_that_only_repeats() -> None:
    page = NextPage(2, "/letters?before=5", header="Link", repeated=("m4", "m5"))
    seen = with_member(entries=STORED[3:], pages=2, repeated=("m4", "m5"), following=(page,))
    lost = next(one for one in judge(SUBJECT, seen).also if one.kind == "items_lost")
    assert lost.cause == "the oldest 3 are lost: the list ends after 2: page 2 has only entries of earlier pages"


def test_the_oldest_are_lost_and_one_in_between() -> None:
    first = judge(SUBJECT, with_member(entries=(STORED[2], STORED[4]))).first
    assert first is not None
    assert first.cause == (
        "1 entry in between is lost, and the oldest 2 are lost: the list ends after 2, as if only the first page had "
        "been read"
    )


@pytest.mark.parametrize(
    ("kept", "spans", "said"),
    [
        ((1, 3), (("b", "b"), ("d", "d")), "the oldest 1 is lost on each of 2 pages"),
        ((0, 2), (("a", "a"), ("c", "c")), "the newest 1 is lost on each of 2 pages"),
        ((0, 3), (("a", "a"), ("d", "d")), None),
        ((1, 2), (("b", "b"), ("c", "c")), None),
        ((0, 2), (("a", "c"),), None),
    ],
)
def test_entries_lost_at_the_same_end_of_each_page(
    kept: tuple[int, ...], spans: tuple[tuple[str, str], ...], said: str | None
) -> None:
    letters = [Entry(name, {SUBJECT.sorted_by or "": name}) for name in "abcd"]
    member = replace(MEMBER, entries=tuple(letters[number] for number in kept), spans=spans, pages=len(spans))
    missing = [entry for number, entry in enumerate(letters) if number not in kept]
    assert ends_text(SUBJECT, member, missing) == said


def test_where_a_redirect_led_is_named() -> None:
    seen = with_library()
    answer = replace(MEMBER, status=404, entries=None, redirected="302 to /login")
    first = judge(SUBJECT, replace(seen, http=replace(seen.http, member=MEMBER, anonymous=answer))).first
    assert first is not None
    assert first.summary == "the API answers 404 to a request without a token (redirected: 302 to /login), not 401"
    page = replace(answer, status=200, problem="not_json", media="text/html")
    first = judge(SUBJECT, replace(seen, http=replace(seen.http, member=MEMBER, anonymous=page))).first
    assert first is not None
    assert first.summary == "the API answers 200 to a request without a token (redirected: 302 to /login), not 401"
    first = judge(SUBJECT, replace(seen, http=replace(seen.http, member=answer))).first
    assert first is not None
    assert first.summary.endswith(" (redirected: 302 to /login)")


def test_entries_in_the_place_of_lost_ones_are_not_counted_as_those() -> None:
    first = judge(SUBJECT, with_member(entries=(*STORED[:4], entry(9, by="x")))).first
    assert first is not None
    assert first.summary == "the API returns 4 of 5, and 1 entry that the function does not return"
    first = judge(SUBJECT, with_member(entries=(*STORED[1:], entry(9, by="x")))).first
    assert first is not None
    assert (first.cause or "").startswith("the oldest 1 is lost; list_letters() is correct"), "no page ended here"
    first = judge(SUBJECT, with_library(entries=(*STORED[:4], entry(9, by="x")))).first
    assert first is not None
    assert first.summary.startswith("list_letters() returns 4 of 5, and 1 entry that the declared pattern does not, al")


def test_a_page_that_names_the_next_one_is_healthy() -> None:
    assert verdict(with_member(entries=STORED[3:], more=True)) == (None, None)


def test_a_page_that_leaves_out_the_newest_is_not() -> None:
    assert verdict(with_member(entries=STORED[:2], more=True)) == ("http", "items_lost")


@pytest.mark.parametrize(
    "entries",
    [
        (*STORED, entry(9)),
        STORED[::-1],
        tuple(Entry(e.id, {**e.fields, "text": "other"}) for e in STORED),
        (entry(9, text="other", by="cy"),),
    ],
    ids=["more", "reversed", "changed", "other"],
)
def test_a_body_that_differs(entries: tuple[Entry, ...]) -> None:
    assert verdict(with_member(entries=entries)) == ("http", "body_changed")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"media": "text/plain"}, "Content-Type: application/json"),
        (
            {"problem": "not_json", "detail": "x", "media": "text/html", "entries": None},
            "remove [trace.conversation.req",
        ),
        ({"problem": "not_json", "detail": "it is UTF-16, not UTF-8", "entries": None}, "JSON in UTF-8"),
        (
            {"problem": "not_json", "detail": "br", "encoding": "br", "entries": None},
            "Content-Encoding",
        ),
    ],
)
def test_what_to_send_instead_of_unreadable_json(changes: dict[str, Any], said: str) -> None:
    first = judge(SUBJECT, with_member(**changes)).first
    assert first is not None
    assert first.fix is not None
    assert (first.kind, said in first.fix.text) == ("not_json", True)


def test_strangers_and_people_without_a_token() -> None:
    for who in ("stranger", "anonymous"):
        seen = replace(HEALTHY, http=replace(HEALTHY.http, **{who: replace(MEMBER)}))
        assert verdict(seen) == ("http", "open_to_strangers")
        first = judge(SUBJECT, seen).first
        assert first is not None
        assert first.fix is not None
        # The log of a request that was answered says nothing.
        assert (first.fix.command, "check that the user may read this" in first.fix.text) == (None, True)
        nothing = replace(HEALTHY, http=replace(HEALTHY.http, **{who: replace(MEMBER, entries=())}))
        assert verdict(nothing) == ("http", "status"), "another status is declared"
        other = replace(HEALTHY, http=replace(HEALTHY.http, **{who: Answer(404, cors=ORIGIN)}))
        assert verdict(other) == ("http", "status")
        first = judge(SUBJECT, other).first
        assert first is not None
        assert first.fix is not None
        assert f"add it to `{who}` in [trace.conversation.request]" in first.fix.text


def test_a_refusal_that_contains_what_it_refuses() -> None:
    long = tuple(replace(one, id=f"message-{one.id}") for one in STORED)
    seen = with_pattern(long[::-1], replace(HEALTHY, dynamodb=replace(HEALTHY.dynamodb, entries=long)))
    for place in ("stranger", "later"):
        told = Answer(403, cors=ORIGIN, refusal='{"detail": "not yours: message-m2, message-m4"}')
        changes = {"stranger": told} if place == "stranger" else {"later": {"stranger": told}}
        first = judge(SUBJECT, replace(seen, http=replace(seen.http, **changes))).first
        assert first is not None
        assert (first.kind, first.subjects) == ("open_to_strangers", ("message-m2", "message-m4"))
        assert (
            first.summary == "the API answers 403 to a user who is not a member, and its body has 2 entries of the list"
        )
    short = Answer(403, cors=ORIGIN, refusal="m2 is not yours")
    assert verdict(replace(HEALTHY, http=replace(HEALTHY.http, stranger=short))) == (None, None)


def test_pages_that_overlap_or_leave_a_gap_are_a_fault_of_the_cursor() -> None:
    assert verdict(with_member(repeated=(STORED[0].id or "",))) == ("http", "cursor")
    times = sorted(one.fields["at"] or "" for one in STORED)
    assert len(times) > 2, "the sample needs at least three different times"
    middle = tuple(one for one in STORED if one.fields["at"] != times[1])
    spans = ((times[2], times[-1]), (times[0], times[0]))
    assert verdict(with_member(entries=middle, spans=spans)) == ("http", "cursor")
    assert verdict(with_member(entries=middle)) == ("http", "items_lost"), "without pages it is any loss"


def test_the_media_type_and_the_text_of_the_cursor_are_held_to_what_is_declared() -> None:
    assert verdict(with_member(media="text/html; charset=utf-8")) == ("http", "not_json")
    assert verdict(with_member(media="application/vnd.api+json")) == (None, None)
    other = tuple(Entry(e.id, {**e.fields, "at": (e.fields["at"] or "").replace("Z", "+00:00")}) for e in STORED)
    seen = with_member(entries=other)
    assert judge(SUBJECT, seen).first is None, "the same moments"
    first = judge(replace(SUBJECT, cursor="at"), seen).first
    assert first is not None
    assert first.kind == "body_changed"


def test_a_field_that_an_answer_lacks_is_absent_and_another_with_its_value_is_named() -> None:
    form = Form("", "id", {"name": "name", "age": "age"})
    before = (Entry("1", {"name": "Ada", "age": "7"}),)
    given = [
        {"id": "1", "age": 7, "displayName": "Ada"},
        {"id": "1", "age": 7, "displayName": "Ada", "title": "Ada"},
        {"id": "1", "age": 7, "name": None, "displayName": "Ada"},
    ]
    found = [compare(before, read_answer([one], [form])[0] or (), {}).changed for one in given]
    assert [[(one.field, one.observed, one.absent, one.instead) for one in each] for each in found] == [
        [("name", None, True, "displayName")],
        [("name", None, True, None)],
        [("name", None, False, None)],
    ]
    assert (
        changed_text(SUBJECT, "the API returns", found[0])
        == "the API returns 1 entry without `name` (the value is in `displayName`)"
    )


def test_a_stranger_who_sees_as_little_as_a_member_does_is_let_in_all_the_same() -> None:
    empty = replace(MEMBER, entries=())
    seen = replace(
        HEALTHY,
        dynamodb=replace(HEALTHY.dynamodb, entries=()),
        pattern=replace(HEALTHY.pattern, entries=()),
        library=LibraryObservation(ran=replace(RAN, entries=(), read=())),
        http=HttpObservation(member=empty, stranger=empty, anonymous=NOBODY),
    )
    assert verdict(seen) == ("http", "open_to_strangers")


def test_errors_without_cors_headers() -> None:
    seen = replace(HEALTHY, http=replace(HEALTHY.http, stranger=Answer(403)))
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.kind, "not every answer" in first.summary, "403 to a stranger" in first.summary) == (
        "cors",
        True,
        True,
    )


def test_an_origin_that_is_refused_is_named_with_the_answer_and_where_to_look() -> None:
    refused = HttpObservation(
        member=replace(MEMBER, cors=None),
        anonymous=replace(NOBODY, cors=None),
        preflight=Answer(400, detail="Disallowed CORS origin"),
        origins=(("WEB_PAGES", "http://localhost:3100"),),
    )
    first = judge(SUBJECT, replace(HEALTHY, http=refused)).first
    assert first is not None
    assert first.fix is not None
    assert f"200 to {SUBJECT.person}" in first.summary
    said = f"the application answers 400 to a preflight request with Origin: {ORIGIN} (Disallowed CORS origin)"
    assert first.cause == said
    assert "WEB_PAGES (http://localhost:3100)" in first.fix.text
    assert "may be" in first.fix.text
    assert first.fix.command is None
    unknown = judge(SUBJECT, replace(HEALTHY, http=replace(refused, origins=()))).first
    assert unknown is not None
    assert unknown.fix is not None
    assert "devenv.toml" in unknown.fix.text
    another = replace(refused, preflight=Answer(200, cors="http://localhost:3100"))
    named = judge(SUBJECT, replace(HEALTHY, http=another)).first
    assert named is not None
    assert "Access-Control-Allow-Origin is http://localhost:3100" in named.summary


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (
            {"CORS_ORIGINS": "http://localhost:3100,http://127.0.0.1:3100", "PAY": "https://pay.example"},
            ["CORS_ORIGINS"],
        ),
        ({"WEB_PAGES": '["https://a.example"]', "PORT": "3000", "REGION": "us-east-1"}, ["WEB_PAGES"]),
        ({"CORS_ORIGINS": f"http://other:1, {ORIGIN}"}, []),
        ({"CORS_ORIGINS": f"{ORIGIN}/"}, ["CORS_ORIGINS"]),
        ({"DATABASE": "postgresql://127.0.0.1/chat"}, []),
    ],
)
def test_variables_that_may_hold_the_allowed_origins(environ: dict[str, str], found: list[str]) -> None:
    assert [name for name, _ in find_origins(environ, ORIGIN)] == found


def test_the_password_in_such_a_variable_is_masked() -> None:
    [(_, text)] = find_origins({"CORS_ORIGINS": "https://ann:Hunter2Hunter2@pages.example"}, ORIGIN)
    assert "Hunter2Hunter2" not in text


def test_what_concerns_other_requests_leaves_this_one_fit_for_stress() -> None:
    closed = replace(HEALTHY, http=replace(HEALTHY.http, member=replace(MEMBER, cors=None)))
    opened = replace(HEALTHY, http=replace(HEALTHY.http, stranger=replace(MEMBER)))
    for seen in (closed, opened):
        found = judge(SUBJECT, seen)
        assert (found.status, found.fit) == ("diverged", True)
    assert judge(SUBJECT, HEALTHY).fit
    both = judge(SUBJECT, with_member(entries=STORED[3:], cors=None))
    assert (len(both.also), both.fit) == (1, False)
    unanswered = replace(HEALTHY, http=HttpObservation(unasked="it is down", declared=True))
    assert not judge(SUBJECT, unanswered).fit


def test_any_origin_may_be_allowed() -> None:
    open_to_all = replace(MEMBER, cors="*")
    assert verdict(replace(HEALTHY, http=replace(HEALTHY.http, member=open_to_all))) == (None, None)


def test_cors_is_not_judged_where_no_origin_is_declared() -> None:
    seen = replace(HEALTHY, http=replace(HEALTHY.http, member=replace(MEMBER, cors=None)))
    assert verdict(seen, replace(SUBJECT, origin=None)) == (None, None)


def test_an_application_that_is_older_than_its_code_is_said() -> None:
    seen = with_member(entries=STORED[1:])
    seen = replace(seen, library=replace(seen.library, code_changed="app/letters.py"))
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert first.fix is not None
    assert "app/letters.py was changed after the application was started" in (first.cause or "")
    assert first.fix.command == "devenv restart backend"


def test_no_text_of_an_entry_is_in_any_sentence() -> None:
    secret = tuple(Entry(e.id, {**e.fields, "text": "a very private sentence"}) for e in STORED)
    for seen in (with_library(entries=secret), with_member(entries=secret), with_pattern(secret)):
        found = judge(SUBJECT, seen)
        sentences = " ".join(f"{b.summary} {b.cause}" for b in (found.first, *found.also) if b)
        assert "private" not in sentences


def test_a_wrong_answer_of_a_right_function_is_placed_in_the_process_or_the_route() -> None:
    for seen in (with_member(entries=STORED[:-1]), with_member(status=401, entries=None)):
        first = judge(SUBJECT, seen).first
        assert first is not None
        assert first.cause is not None
        assert "list_letters() is correct when called in a new process" in first.cause
        assert first.fix is not None
        assert first.fix.command == "devenv restart backend"


def test_without_a_function_the_answer_is_compared_with_the_stores() -> None:
    alone = replace(HEALTHY, library=replace(HEALTHY.library, ran=None))
    for entries, told in (
        ((), "the list is lost between the stores and the answer"),
        ((*STORED[:4], entry(9, by="x")), "and 1 entry that devenv does not read from the stores"),
        ((entry(9, by="x"),), "none of which devenv reads from the stores"),
        ((*STORED, entry(9, by="x")), "returns 1 entry that devenv does not read from the stores"),
    ):
        first = judge(SUBJECT, with_member(alone, entries=entries)).first
        assert first is not None
        assert told in f"{first.summary}; {first.cause}"
        assert "function" not in f"{first.summary}; {first.cause}"
    assert "between the function and the answer" in (judge(SUBJECT, with_member(entries=())).first.cause or "")  # type: ignore[union-attr]


def test_a_restart_is_not_offered_where_an_item_without_its_row_explains_the_answer() -> None:
    lost = Finding("orphan", "1 id: u-9 matches no row", None, Fix("restore the row", "devenv up"), ("u-9",))
    for status, entries in ((200, STORED[:-1]), (401, None)):
        seen = with_member(status=status, entries=entries)
        seen = replace(seen, cross_store=replace(seen.cross_store, findings=(lost,)))
        found = judge(SUBJECT, seen)
        assert found.first is not None
        assert found.first.kind == "orphan"
        fixes = [one.fix.command for one in found.also if one.fix]
        assert "devenv restart backend" not in fixes


def test_where_the_log_tells_an_error_or_entries_only_look_different_the_place_is_not_guessed() -> None:
    logged = with_member(entries=STORED[1:])
    logged = replace(logged, http=replace(logged.http, log=("ValueError: no",)))
    changed = with_member(entries=(replace(STORED[0], fields={**STORED[0].fields, "by": "bo"}), *STORED[1:]))
    for seen in (logged, changed):
        first = judge(SUBJECT, seen).first
        assert first is not None
        assert "new process" not in (first.cause or "")
