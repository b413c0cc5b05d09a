"""The verdict on layer `library`: queries, errors, lost and changed entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from devenv.capture.calls import StoreCall
from devenv.trace.judge.verdict import judge
from devenv.trace.observation import (
    Answer,
    Denied,
    Entry,
    Finding,
    LibraryObservation,
    Observation,
    Observations,
    PostgresObservation,
    Ran,
)
from tests.unit.trace.judged import (
    HEALTHY,
    NEWEST_FIRST,
    ORIGIN,
    RAN,
    SENT,
    STORED,
    SUBJECT,
    also,
    entry,
    status,
    verdict,
    with_library,
)

# --- library ---


def test_a_query_that_brings_less_than_the_declared_one() -> None:
    narrow = replace(SENT, sort="begins_with(sk, 2026)", count=0)
    seen = with_library(asked=(narrow,), read=(), entries=())
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind) == ("library", "wrong_query")
    assert "begins_with(sk, 2026)" in (first.cause or "")
    assert "the declared query is Query letters where pk = MSG#g-1 descending" in (first.cause or "")
    assert "differs in sort-key condition" in (first.cause or "")
    assert also(seen) == []


def test_a_limit_that_is_only_in_the_application() -> None:
    cut = replace(SENT, limit=2, followed=False, count=2)
    seen = with_library(asked=(cut,), read=NEWEST_FIRST[:2], entries=STORED[3:])
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind) == ("library", "wrong_query")
    assert "limit 2 without the next page" in (first.cause or "")


def test_a_query_that_the_store_refuses() -> None:
    refused = replace(SENT, table="leters", error="ResourceNotFoundException", count=None)
    seen = with_library(outcome="raised", error="ClientError", detail="no such table", asked=(refused,), read=())
    assert (verdict(seen), also(seen)) == (("library", "wrong_query"), [])


def test_sql_that_the_database_refuses() -> None:
    refused = StoreCall("SQL", sql="SELECT nick FROM people", store="postgres", error="42703")
    seen = with_library(outcome="raised", error="UndefinedColumn", detail="no column", asked=(refused,))
    assert verdict(seen) == ("library", "wrong_query")


def test_a_function_that_fails_by_itself() -> None:
    seen = with_library(
        outcome="raised", error="TypeError", detail="'NoneType' is not subscriptable", where="a.py:3 in f"
    )
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind) == ("library", "error")
    assert "a.py:3 in f" in first.summary
    assert also(seen) == []


def test_a_failure_that_names_what_an_item_lacks_follows_from_the_item() -> None:
    trouble = Finding("missing_attribute", "`user_handle` is missing", about=frozenset(["user_handle"]))
    seen = with_library(outcome="raised", error="KeyError", detail="'user_handle'", entries=None)
    seen = replace(seen, dynamodb=replace(seen.dynamodb, findings=(trouble,)))
    assert (verdict(seen), also(seen)) == (("dynamodb", "missing_attribute"), [])


@pytest.mark.parametrize("outcome", ["exited", "unstarted", "unreadable"])
def test_other_ends_are_errors_of_the_function(outcome: Any) -> None:
    assert verdict(with_library(outcome=outcome, entries=None)) == ("library", "error")


def test_a_function_that_never_returns_says_what_it_waits_for() -> None:
    waiting = replace(SENT, count=None)
    first = judge(SUBJECT, with_library(outcome="timed_out", entries=None, asked=(waiting,))).first
    assert first is not None
    assert (first.layer, first.kind) == ("library", "timed_out")
    assert "waiting for Query letters" in first.summary


def test_a_function_that_returns_nothing() -> None:
    seen = with_library(entries=(), nothing=True)
    assert (verdict(seen), also(seen)) == (("library", "nothing_returned"), [])


def test_a_function_that_returns_nothing_and_asks_nothing() -> None:
    assert verdict(with_library(entries=(), asked=(), read=())) == ("library", "nothing_returned")


def test_made_up_entries() -> None:
    assert verdict(with_library(entries=(entry(9, text="hi", by="x"),), asked=(), read=())) == (
        "library",
        "wrong_query",
    )


def test_entries_that_get_lost_after_the_query() -> None:
    seen = with_library(entries=STORED[:3])
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind, first.subjects) == ("library", "items_lost", ("m5", "m4"))
    assert first.cause == "the newest 2 are lost"
    assert also(seen) == []


def test_entries_that_get_lost_where_queries_were_not_captured() -> None:
    assert verdict(with_library(entries=STORED[:3], asked=None, read=None)) == ("library", "items_lost")


def test_entries_that_no_one_stored() -> None:
    assert verdict(with_library(entries=(*STORED, entry(9)))) == ("library", "items_added")
    assert verdict(with_library(entries=STORED * 2)) == ("library", "items_added")


def test_entries_of_another_user_that_the_query_brings() -> None:
    wide = (entry(9, by="cy"), *NEWEST_FIRST)
    seen = with_library(entries=wide[::-1], read=wide, asked=(replace(SENT, key={"pk": "MSG#g-2"}),))
    assert verdict(seen) == ("library", "wrong_query")


def test_a_field_that_is_dropped() -> None:
    bare = tuple(Entry(e.id, {**e.fields, "by": None}) for e in STORED)
    first = judge(SUBJECT, with_library(entries=bare)).first
    assert first is not None
    assert (first.layer, first.kind, first.status) == ("library", "field_changed", "mutated")
    assert first.summary == "list_letters() returns 5 entries without `by`"


def test_a_field_that_the_query_leaves_out() -> None:
    bare = tuple(Entry(e.id, {**e.fields, "by": None}) for e in STORED)
    projected = replace(SENT, projection="pk, sk, text")
    seen = with_library(entries=bare, read=bare[::-1], asked=(projected,))
    assert verdict(seen) == ("library", "wrong_query")


def test_ids_that_are_those_of_something_else_are_changed_and_not_lost() -> None:
    wrong = tuple(Entry("u-ada", e.fields) for e in STORED)
    first = judge(SUBJECT, with_library(entries=wrong)).first
    assert first is not None
    assert (first.kind, first.summary) == ("field_changed", "list_letters() returns a different `id` on 5 entries")


def test_the_same_moment_in_another_spelling_is_no_change() -> None:
    other = tuple(Entry(e.id, {**e.fields, "at": (e.fields["at"] or "").replace("Z", "+00:00")}) for e in STORED)
    assert verdict(with_library(entries=other)) == (None, None)


def test_a_time_that_lost_its_zone_is_changed() -> None:
    other = tuple(Entry(e.id, {**e.fields, "at": (e.fields["at"] or "").replace("Z", "")}) for e in STORED)
    assert verdict(with_library(entries=other)) == ("library", "field_changed")


def test_another_form_than_the_declared_one() -> None:
    assert verdict(with_library(entries=None, shape="a map with `m1`, not a list")) == ("library", "field_changed")


def test_a_wrong_order() -> None:
    seen = with_library(entries=NEWEST_FIRST)
    assert (verdict(seen), also(seen)) == (("library", "reordered"), [])
    assert status(judge(SUBJECT, seen), "library") == "reordered"


def test_a_wrong_order_that_comes_from_the_query() -> None:
    seen = with_library(asked=(replace(SENT, direction="ascending"),), read=STORED, entries=NEWEST_FIRST)
    assert verdict(seen) == ("library", "wrong_query")


def test_another_way_to_the_same_answer_is_healthy() -> None:
    forward = replace(SENT, direction="ascending")
    assert verdict(with_library(asked=(forward,), read=STORED)) == (None, None)
    partiql = StoreCall("ExecuteStatement", sql="SELECT * FROM letters", count=5)
    assert verdict(with_library(asked=(partiql,), read=STORED)) == (None, None)


def test_a_scan_that_only_the_application_makes() -> None:
    scan = StoreCall("Scan", "letters", filter="pk = MSG#g-1", count=5, scanned=160)
    assert verdict(with_library(asked=(scan,))) == ("library", "wrong_query")


def test_another_table_is_a_wrong_query_even_while_it_holds_the_same() -> None:
    assert verdict(with_library(asked=(replace(SENT, table="letters-old"),))) == ("library", "wrong_query")


def test_a_page_of_the_declared_size_may_end_if_it_has_the_newest() -> None:
    subject = replace(SUBJECT, limits={"library": 2, "http": 2})
    assert verdict(with_library(entries=STORED[3:]), subject) == (None, None)
    assert verdict(with_library(entries=STORED[:2]), subject) == ("library", "items_lost")


def test_a_guard_that_refuses_a_member() -> None:
    refused = Ran("may_read()", "raised", error="NotAMember", asked=())
    seen = replace(HEALTHY, library=LibraryObservation(ran=RAN, guards=((refused, None),)))
    seen = replace(seen, http=replace(seen.http, member=Answer(403, cors=ORIGIN)))
    assert (verdict(seen), also(seen)) == (("library", "error"), [])


def test_a_guard_that_asks_otherwise_than_declared() -> None:
    declared = StoreCall("Query", "letters", "by-group", {"group": "g-1"})
    asked = replace(declared, index="by-person")
    refused = Ran("may_read()", "raised", error="NotAMember", asked=(asked,))
    seen = replace(HEALTHY, library=LibraryObservation(ran=RAN, guards=((refused, declared),)))
    assert verdict(seen) == ("library", "wrong_query")


def test_a_guard_that_refuses_someone_whose_id_is_not_stored_is_right() -> None:
    moved = Finding("mismatched_id", "", about=frozenset(["user_uuid"]))
    refused = Ran("may_read()", "raised", error="NotAMember")
    seen = replace(
        HEALTHY,
        dynamodb=replace(HEALTHY.dynamodb, owners=frozenset(["old-ada", "u-bo"])),
        cross_store=Observation(findings=(moved,)),
        library=LibraryObservation(ran=RAN, guards=((refused, None),)),
        http=replace(HEALTHY.http, member=Answer(403, cors=ORIGIN)),
    )
    assert (verdict(seen), also(seen)) == (("cross-store", "mismatched_id"), [])


def with_page(entries: Sequence[Entry], size: int = 2, **changes: Any) -> Observations:
    """The function called as the route calls it gives this."""
    page = replace(RAN, entries=tuple(entries), **changes)
    return replace(HEALTHY, library=replace(HEALTHY.library, page=page))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (STORED[:2], "2 entries that are not among the first 2 of the whole list; missing: m5, m4"),
        (STORED[2:4], "1 entry that is not among the first 2 of the whole list; missing: m5"),
        (STORED[4:], "1 entry, not the 2 that the route requests"),
        (STORED, "5 entries, not the 2 that the route requests"),
        (STORED[:2:-1], "a different order"),
        ((STORED[4], STORED[4]), "an entry more than once; missing: m4"),
    ],
)
def test_a_page_holds_the_first_of_the_whole_list(entries: Sequence[Entry], words: str) -> None:
    subject = replace(SUBJECT, limits={**SUBJECT.limits, "page": 2})
    assert verdict(with_page(STORED[3:]), subject) == (None, None)
    first = judge(subject, with_page(entries)).first
    assert first is not None
    assert (first.layer, first.kind) == ("library", "wrong_page")
    assert words in first.summary


def test_a_page_that_fails_and_one_with_what_was_just_written() -> None:
    subject = replace(SUBJECT, limits={**SUBJECT.limits, "page": 2})
    assert verdict(with_page((), outcome="raised", error="TypeError"), subject) == ("library", "error")
    fresh = with_page((STORED[4], entry(6)))
    assert verdict(fresh, subject) == ("library", "wrong_page")
    stored = replace(HEALTHY.dynamodb, fleeting=frozenset(["m6"]))
    assert verdict(replace(fresh, dynamodb=stored), subject) == (None, None)


def test_what_hides_the_row_from_the_role_of_a_lookup_is_its_cause() -> None:
    asked = StoreCall("SQL", sql="SELECT id", store="postgres", target="db:5432/a", session="as ada", count=0)
    guard = Ran("find_me()", "returned", asked=(asked,), returned=(("id", "u-ada", None),), denied=Denied("hidden"))
    first = judge(SUBJECT, with_guard(guard)).first
    assert first is not None
    assert first.cause == "`SELECT id` returns 0 rows from db:5432/a as ada; hidden"
    refused = replace(guard, outcome="raised", returned=(), asked=(replace(asked, count=None, error="42501"),))
    right = replace(refused, denied=Denied("no right", "GRANT SELECT ON t TO ada"))
    first = judge(SUBJECT, with_guard(right)).first
    assert first is not None
    assert first.cause == "`SELECT id` was refused: 42501; no right"
    assert first.fix is not None
    assert first.fix.command == "devenv db --write 'GRANT SELECT ON t TO ada'"


def test_a_store_that_refuses_credentials_is_named() -> None:
    asked = replace(SENT, error="UnrecognizedClientException", target="db:8000")
    first = judge(SUBJECT, with_library(outcome="raised", error="ClientError", asked=(asked,))).first
    assert first is not None
    assert first.kind == "error"
    assert (first.cause or "").startswith("DynamoDB at db:8000 refused the credentials with which `Query letters")


def test_a_lookup_that_finds_another_row_for_an_earlier_fault_is_no_tick() -> None:
    guard = Ran("find_me()", "returned", asked=(), returned=(("id", "u-ada", "u-bo"),))
    diverted = Observation(findings=(Finding("wrong_database", "", about=frozenset(["postgres"])),))
    seen = replace(with_guard(guard), environment=diverted)
    seen = replace(seen, library=replace(seen.library, corrected=RAN))
    found = judge(SUBJECT, seen)
    assert next(one for one in found.layers if one.name == "library").follows == "environment"


def with_guard(guard: Ran) -> Observations:
    return replace(HEALTHY, library=LibraryObservation(ran=RAN, guards=((guard, None),)))


def test_the_lookup_of_the_user_is_held_against_the_declared_row() -> None:
    asked = StoreCall("SQL", sql="SELECT id", store="postgres", target="db:5432/a", session="as ada", count=0)

    def seen(*returned: tuple[str, str, str | None], **more: Any) -> Observations:
        guard = Ran("find_me()", "returned", asked=(asked,), returned=returned)
        return replace(HEALTHY, library=LibraryObservation(ran=RAN, guards=((guard, None),)), **more)

    assert verdict(seen(("id", "u-ada", "u-ada"))) == (None, None)
    first = judge(SUBJECT, seen(("id", "u-ada", None))).first
    assert first is not None
    assert (first.kind, first.summary) == ("wrong_row", "find_me() does not find the user")
    assert first.cause == "`SELECT id` returns 0 rows from db:5432/a as ada"
    another = judge(SUBJECT, seen(("id", "u-ada", "u-bo"), ("name", "ada", None))).first
    assert another is not None
    assert "`id` is u-bo instead of u-ada; `name` is missing (expected ada)" in another.summary
    gone = PostgresObservation(findings=(Finding("missing_row", ""),))
    assert verdict(seen(("id", "u-ada", None), postgres=gone)) == ("postgres", "missing_row")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("old, public", "with search_path old, public; this row is in old.people"),
        ("public", "the driver reports another search_path, so a connection pool in between may have changed it"),
    ],
)
def test_the_table_of_another_schema_that_a_row_is_from_is_named(path: str, says: str) -> None:
    asked = StoreCall("SQL", sql="SELECT id", store="postgres", session=f"as ada with search_path {path}", count=1)
    guard = Ran("find_me()", "returned", asked=(asked,), returned=(("id", "u-ada", "u-bo"),), namesake="old.people")
    first = judge(SUBJECT, with_guard(guard)).first
    assert first is not None
    assert (first.cause or "").endswith(says)
