"""The judgement alone: what the layers gave goes in as values, the first that breaks comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devenv.capture.calls import StoreCall, side_by_side
from devenv.core.model import Failure, cause_label
from devenv.trace.judge.verdict import judge
from devenv.trace.observation import (
    Answer,
    DynamoObservation,
    Entry,
    Finding,
    HttpObservation,
    LibraryObservation,
    Observation,
    Observations,
    PatternObservation,
    PostgresObservation,
    Ran,
)
from tests.unit.trace.judged import (
    DECLARED,
    HEALTHY,
    MEMBER,
    NEWEST_FIRST,
    NOBODY,
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
    with_member,
    with_pattern,
)

# --- healthy ---


def test_healthy() -> None:
    found = judge(SUBJECT, HEALTHY)
    assert (found.status, found.first, found.also) == ("ok", None, ())
    assert {layer.status for layer in found.layers} == {"ok"}
    assert [(layer.expected_count, layer.observed_count) for layer in found.layers][-3:] == [(5, 5)] * 3


def test_an_empty_conversation_is_healthy() -> None:
    seen = replace(
        HEALTHY,
        dynamodb=replace(HEALTHY.dynamodb, entries=()),
        pattern=replace(HEALTHY.pattern, entries=()),
        library=replace(HEALTHY.library, ran=replace(RAN, entries=(), read=(), asked=(replace(SENT, count=0),))),
        http=replace(HEALTHY.http, member=replace(MEMBER, entries=())),
    )
    found = judge(SUBJECT, seen)
    assert found.status == "ok"
    assert [layer.observed_count for layer in found.layers][-3:] == [0, 0, 0]


def test_what_no_one_declared_is_not_asked_and_no_fault() -> None:
    seen = replace(
        HEALTHY,
        cross_store=Observation(unasked="the project declares no links"),
        library=LibraryObservation(unasked="the subject declares no library"),
        http=HttpObservation(unasked="the subject declares no request"),
    )
    found = judge(SUBJECT, seen)
    assert found.status == "ok"
    assert status(found, "library") == status(found, "http") == status(found, "cross-store") == "not_run"


def test_without_a_library_the_api_is_held_against_the_pattern() -> None:
    seen = replace(HEALTHY, library=LibraryObservation(unasked="none"))
    assert verdict(seen) == (None, None)
    assert verdict(replace(with_member(entries=STORED[1:]), library=seen.library)) == ("http", "items_lost")


def test_a_layer_that_could_not_be_asked_leaves_the_trace_unverified() -> None:
    seen = replace(HEALTHY, pattern=PatternObservation(failure=Failure("no answer")))
    found = judge(SUBJECT, seen)
    assert (found.status, found.unverified) == ("not_verified", ("pattern",))
    assert status(found, "pattern") == "error"


def test_a_fault_outranks_what_could_not_be_asked() -> None:
    seen = replace(with_member(status=500, entries=None), postgres=PostgresObservation(failure=Failure("no answer")))
    assert judge(SUBJECT, seen).status == "diverged"


def test_an_entry_that_expired_or_was_written_in_between_may_be_there_or_not() -> None:
    seen = replace(HEALTHY, dynamodb=replace(HEALTHY.dynamodb, fleeting=frozenset(["m5", "m6"])))
    assert verdict(with_member(seen, entries=STORED[:4])) == (None, None)
    assert verdict(with_member(seen, entries=(*STORED, entry(6)))) == (None, None)
    late = replace(RAN, entries=(*STORED, entry(6)), read=(entry(6), *NEWEST_FIRST))
    assert verdict(replace(with_member(seen, entries=late.entries), library=LibraryObservation(ran=late))) == (
        None,
        None,
    )


# --- a layer's own troubles ---


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("environment", "unset"),
        ("services", "unreachable"),
        ("services", "schema_drift"),
        ("postgres", "missing_row"),
        ("dynamodb", "duplicate"),
        ("cross_store", "mismatched_id"),
    ],
)
def test_a_layers_own_trouble_is_the_first_fault_and_later_ones_follow(layer: str, kind: str) -> None:
    trouble = Finding(kind, "what is wrong", about=frozenset(["backend"]))
    observation = replace(getattr(HEALTHY, layer), findings=(trouble,))
    seen = replace(with_member(entries=STORED[1:]), **{layer: observation})
    assert verdict(seen) == (layer.replace("_", "-"), kind)
    assert also(seen) == [("http", "items_lost")]


def test_environment_classes_come_in_the_order_of_their_weight() -> None:
    troubles = (Finding("wrong_table", "", about=frozenset(["dynamodb"])), Finding("unset", "", about=frozenset(["X"])))
    seen = replace(HEALTHY, environment=Observation(findings=troubles), library=LibraryObservation())
    assert [(b.layer, b.kind) for b in [judge(SUBJECT, seen).first, *judge(SUBJECT, seen).also] if b] == [
        ("environment", "unset"),
        ("environment", "wrong_table"),
    ]


def test_nothing_is_said_of_data_in_a_store_that_does_not_answer() -> None:
    down = Finding("unreachable", "down", about=frozenset(["postgres"]))
    orphan = Finding("orphan", "no row", about=frozenset(["user_uuid"]))
    seen = replace(
        HEALTHY,
        services=Observation(findings=(down,)),
        cross_store=Observation(findings=(orphan,)),
        http=replace(HEALTHY.http, member=Answer(503, cors=ORIGIN)),
    )
    assert (verdict(seen), also(seen)) == (("services", "unreachable"), [])


def test_a_column_of_another_type_explains_what_its_rows_look_like() -> None:
    drift = Finding("schema_drift", "", about=frozenset(["postgres", "sign_in"]))
    twice = Finding("ambiguous_row", "", about=frozenset(["people", "sign_in"]))
    seen = replace(HEALTHY, services=Observation(findings=(drift,)), postgres=PostgresObservation(findings=(twice,)))
    assert (verdict(seen), also(seen)) == (("services", "schema_drift"), [])


def test_an_unknown_subject_explains_the_404() -> None:
    seen = replace(
        HEALTHY,
        dynamodb=DynamoObservation(entries=(), found=False, findings=(Finding("missing_item", "there is none"),)),
        pattern=replace(HEALTHY.pattern, entries=()),
        library=LibraryObservation(
            ran=replace(RAN, entries=(), read=(), asked=(replace(SENT, count=0),)),
            guards=((Ran("may_read()", "raised", error="UnknownGroup"), None),),
        ),
        http=HttpObservation(member=Answer(404, cors=ORIGIN), anonymous=NOBODY, stranger=Answer(404, cors=ORIGIN)),
    )
    assert (verdict(seen), also(seen)) == (("dynamodb", "missing_item"), [])


# --- environment: what the calls prove ---


ELSEWHERE = replace(
    SENT, target="127.0.0.1:9", elsewhere="port 9 is not 8000", elsewhere_kind="wrong_endpoint", count=0
)


def test_calls_that_go_elsewhere_although_the_variables_are_right() -> None:
    seen = with_library(asked=(ELSEWHERE,), read=(), entries=())
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind, first.status) == ("environment", "wrong_endpoint", "wrong_target")
    assert "127.0.0.1:9" in first.summary
    assert also(seen) == []


def test_variables_that_the_code_ignores_are_no_fault() -> None:
    trouble = Finding("unset", "the endpoint is not set", about=frozenset(["dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"]))
    assert verdict(replace(HEALTHY, environment=Observation(findings=(trouble,)))) == (None, None)


def test_variables_that_no_one_can_say_the_code_ignores_are_a_fault() -> None:
    trouble = Finding("unset", "the endpoint is not set", about=frozenset(["dynamodb"]))
    seen = replace(HEALTHY, environment=Observation(findings=(trouble,)))
    silent = replace(seen, library=LibraryObservation(ran=replace(RAN, asked=None)))
    assert verdict(silent) == ("environment", "unset")


def test_what_the_code_loads_by_itself_counts_as_environment() -> None:
    loaded = Finding("wrong_endpoint", "its code sets it", about=frozenset(["dynamodb"]))
    seen = with_library(asked=(ELSEWHERE,), read=(), entries=())
    seen = replace(seen, library=replace(seen.library, diverted=(loaded,)))
    assert verdict(seen) == ("environment", "wrong_endpoint")
    assert also(seen) == []


def test_a_wrong_environment_and_a_wrong_query_are_distinguished_by_the_corrected_run() -> None:
    trouble = Finding("wrong_endpoint", "", about=frozenset(["dynamodb"]))
    narrow = replace(SENT, sort="begins_with(sk, 2026)", count=0)
    seen = with_library(asked=(ELSEWHERE,), read=(), entries=())
    corrected = replace(RAN, asked=(narrow,), read=(), entries=())
    seen = replace(seen, environment=Observation(findings=(trouble,)))
    assert also(replace(seen, library=replace(seen.library, corrected=RAN))) == []
    assert also(replace(seen, library=replace(seen.library, corrected=corrected))) == [("library", "wrong_query")]


# --- pattern ---


def lifted(**changes: Any) -> StoreCall:
    return replace(DECLARED, **changes)


def test_a_sort_key_condition_narrows() -> None:
    asked = lifted(sort="begins_with(sk, 2026)")
    seen = with_pattern((), asked=asked, stages=(("sort", NEWEST_FIRST),))
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert (first.layer, first.kind, first.status) == ("pattern", "narrowed", "missing")
    assert "begins_with(sk, 2026)" in first.summary
    assert set(first.subjects) == {"m1", "m2", "m3", "m4", "m5"}
    assert also(seen) == []


def test_a_limit_without_the_next_page_truncates() -> None:
    seen = with_pattern(NEWEST_FIRST[:2], asked=lifted(limit=2, followed=False), stages=(("limit", NEWEST_FIRST),))
    assert verdict(seen) == ("pattern", "truncated")
    assert status(judge(SUBJECT, seen), "pattern") == "truncated"


def test_a_limit_that_is_not_reached_is_healthy() -> None:
    seen = with_pattern(NEWEST_FIRST, asked=lifted(limit=20, followed=False), stages=(("limit", NEWEST_FIRST),))
    assert verdict(seen) == (None, None)


def test_a_filter_drops() -> None:
    kept = NEWEST_FIRST[::2]
    seen = with_pattern(kept, asked=lifted(filter="by = ada"), stages=(("filter", NEWEST_FIRST),))
    assert verdict(seen) == ("pattern", "filtered")


def test_of_two_restrictions_the_one_that_takes_more_comes_first() -> None:
    asked = lifted(sort="sk > 2023-06-02", limit=2, followed=False)
    stages = (("limit", NEWEST_FIRST[:4]), ("sort", NEWEST_FIRST))
    seen = with_pattern(NEWEST_FIRST[:2], asked=asked, stages=stages)
    assert (verdict(seen), also(seen)) == (("pattern", "truncated"), [("pattern", "narrowed")])


def test_a_key_that_finds_something_else() -> None:
    seen = with_pattern((), asked=lifted(key={"pk": "GRP#g-1"}), strays=2)
    assert verdict(seen) == ("pattern", "wrong_key")


def test_an_index_that_does_not_hold_the_items() -> None:
    seen = with_pattern((), asked=lifted(index="by-group"), strays=2)
    assert verdict(seen) == ("pattern", "wrong_index")


def test_an_index_that_does_not_carry_all_attributes() -> None:
    bare = tuple(Entry(e.id, {**e.fields, "text": None}) for e in NEWEST_FIRST)
    assert verdict(with_pattern(bare, asked=lifted(index="by-group"))) == ("pattern", "wrong_index")


def test_a_key_that_is_wider_than_the_subject() -> None:
    seen = with_pattern((*NEWEST_FIRST, entry(9)))
    assert verdict(seen) == ("pattern", "wrong_key")
    first = judge(SUBJECT, seen).first
    assert first is not None
    assert "`where` of [trace.conversation]" in (first.cause or "")
    assert "Correct the item" in (first.fix.text if first.fix else "")


def test_a_pattern_that_the_store_refuses() -> None:
    refused = PatternObservation(
        asked=lifted(index="no-such"), refused="ValidationException", failure=Failure("no", "no index")
    )
    seen = replace(HEALTHY, pattern=refused)
    assert verdict(seen) == ("pattern", "wrong_index")
    assert also(seen) == []


def test_a_pattern_in_the_wrong_order() -> None:
    seen = with_pattern(STORED, asked=lifted(direction="ascending"))
    assert verdict(seen) == ("pattern", "reordered")
    assert status(judge(SUBJECT, seen), "pattern") == "reordered"


def test_times_in_mixed_formats_are_in_order_when_the_store_sorts_them_as_text() -> None:
    mixed = (entry(5, at="2023-06-05T12:00:00+02:00"), entry(4, at="2023-06-05T11:30:00Z"))
    trouble = Finding("mixed_time_format", "", about=frozenset(["at"]))
    seen = with_pattern(mixed)
    seen = replace(seen, dynamodb=replace(seen.dynamodb, entries=mixed[::-1], findings=(trouble,)))
    seen = replace(
        seen,
        library=LibraryObservation(ran=replace(RAN, entries=mixed[::-1], read=mixed)),
        http=replace(seen.http, member=replace(MEMBER, entries=mixed[::-1])),
    )
    assert (verdict(seen), also(seen)) == (("dynamodb", "mixed_time_format"), [])


def test_a_scan_where_a_query_does() -> None:
    seen = with_pattern(NEWEST_FIRST, asked=lifted(operation="Scan", scanned=160))
    assert verdict(seen) == ("pattern", "scan")


def test_entries_that_their_key_does_not_reach_are_not_missed_again() -> None:
    trouble = Finding("malformed_key", "in capitals", about=frozenset(["pk"]))
    seen = with_pattern(NEWEST_FIRST[1:])
    seen = replace(seen, dynamodb=replace(seen.dynamodb, hidden=frozenset(["m5"]), findings=(trouble,)))
    assert (verdict(seen), also(seen)) == (("dynamodb", "malformed_key"), [])


def test_a_wrong_pattern_is_not_held_against_an_application_that_does_better() -> None:
    seen = replace(HEALTHY, pattern=replace(HEALTHY.pattern, entries=(), asked=lifted(key={"pk": "GRP#g-1"})))
    assert (verdict(seen), also(seen)) == (("pattern", "wrong_key"), [])


# --- bad answers that are nobody's fault, or an earlier layer's ---


def explained(seen: Observations) -> dict[str, tuple[str, str | None, str | None]]:
    """The layers whose bad answer is explained, each with its status."""
    layers = judge(SUBJECT, seen).layers
    return {each.name: (each.status, each.follows, each.right) for each in layers if each.follows or each.right}


def test_what_fails_behind_a_fault_follows_from_it() -> None:
    lost = Finding("wrong_endpoint", "", about=frozenset(["AWS_ENDPOINT_URL_DYNAMODB"]))
    failing = Ran("list_letters()", "raised", error="EndpointConnectionError", detail="AWS_ENDPOINT_URL_DYNAMODB")
    seen = replace(with_member(status=503, entries=None), environment=Observation(findings=(lost,)))
    assert explained(seen) == {"http": ("ok", "environment", None)}
    assert explained(replace(seen, library=LibraryObservation(ran=failing))) == {
        "library": ("ok", "environment", None),
        "http": ("ok", "environment", None),
    }
    # What the function gives with the project's own settings is what its line shows.
    corrected = replace(seen, library=LibraryObservation(ran=failing, corrected=RAN))
    assert explained(corrected) == {"http": ("ok", "environment", None)}


def test_a_member_whose_group_row_is_lost_is_refused_for_that() -> None:
    half = Finding("half_group", "")
    lone = frozenset(["u-bo"])
    seen = replace(
        with_member(status=403, entries=None),
        dynamodb=replace(HEALTHY.dynamodb, owners=lone, members=lone, findings=(half,)),
        library=LibraryObservation(ran=RAN, guards=((Ran("may_read()", "raised", error="NotAMember"), None),)),
    )
    assert verdict(seen) == ("dynamodb", "half_group")
    assert explained(seen) == {"library": ("ok", "dynamodb", None), "http": ("ok", "dynamodb", None)}


def test_what_passes_a_wrong_list_on_follows_from_who_made_it() -> None:
    assert explained(with_pattern(NEWEST_FIRST[:2])) == {
        "library": ("ok", "pattern", None),
        "http": ("ok", "pattern", None),
    }
    assert explained(with_library(entries=(), read=(), asked=(replace(SENT, count=0),))) == {
        "http": ("ok", "library", None)
    }
    elsewhere = Finding("wrong_endpoint", "", about=frozenset(["dynamodb"]))
    empty = replace(RAN, entries=(), read=(), asked=(replace(SENT, count=0, elsewhere="another port"),))
    seen = replace(with_member(entries=()), environment=Observation(findings=(elsewhere,)))
    seen = replace(seen, library=LibraryObservation(ran=empty, corrected=RAN))
    assert explained(seen) == {"http": ("ok", "environment", None)}


def test_what_passes_wrong_values_on_follows_from_who_made_them() -> None:
    wrong = (entry(1, text="another"), *STORED[1:])
    assert explained(with_library(entries=wrong)) == {"http": ("ok", "library", None)}


def test_a_page_and_a_fault_of_the_data_are_no_wrong_list() -> None:
    stale = Finding("stale_copy", "")
    page = with_library(entries=STORED[3:])
    subject = replace(SUBJECT, limits={"library": 2, "http": 2})
    copied = judge(subject, replace(page, cross_store=Observation(findings=(stale,))))
    assert [layer.status for layer in copied.layers] == [*["ok"] * 4, "mutated", *["ok"] * 3]
    assert [layer.follows for layer in copied.layers] == [None] * 8
    variable = Finding("stale_process", "", about=frozenset(["GREETING"]))
    late = judge(subject, replace(page, environment=Observation(findings=(variable,))))
    assert [layer.follows for layer in late.layers] == [None] * 8
    scanned = with_pattern(NEWEST_FIRST, asked=replace(DECLARED, operation="Scan"))
    assert explained(scanned) == {}


def test_who_is_no_member_is_rightly_refused() -> None:
    seen = replace(
        with_member(status=403, entries=None), postgres=PostgresObservation(person={"id": "u-cy", "handle": "cy"})
    )
    assert judge(SUBJECT, seen).status == "ok"
    assert explained(seen) == {"http": ("ok", None, f"{SUBJECT.person} is not a member, so 403 is right")}
    assert explained(HEALTHY) == {}


# --- explanations ---


def test_a_function_that_returns_none_is_explained_by_its_query() -> None:
    narrow = replace(SENT, sort="begins_with(sk, 2026)", count=0)
    found = judge(SUBJECT, with_library(entries=(), nothing=True, asked=(narrow,), read=()))
    assert found.first is not None
    assert (found.first.layer, found.first.kind) == ("library", "wrong_query")
    assert "its query does not return 5 entries" in found.first.summary
    assert "begins_with(sk, 2026)" in (found.first.cause or "")


def test_a_function_that_read_all_and_returns_none_forgot_to_return() -> None:
    found = judge(SUBJECT, with_library(entries=(), nothing=True))
    assert found.first is not None
    assert (found.first.kind, found.first.cause) == (
        "nothing_returned",
        "its query returned them, but the function returned None",
    )


def test_none_for_what_an_earlier_layer_lost_follows_from_that() -> None:
    asked = lifted(sort="begins_with(sk, 2026)")
    seen = with_pattern((), asked=asked, stages=(("sort", NEWEST_FIRST),))
    ran = replace(RAN, entries=(), nothing=True, asked=(asked,), read=())
    found = judge(SUBJECT, replace(seen, library=replace(seen.library, ran=ran)))
    assert [found.first and found.first.kind, *(one.kind for one in found.also)] == ["narrowed"]
    assert next(layer for layer in found.layers if layer.name == "library").follows == "pattern"


def test_equal_queries_are_not_shown_as_different() -> None:
    assert side_by_side([SENT], DECLARED) == (
        "it sends Query letters where pk = MSG#g-1 descending, which is the declared query"
    )
    assert "differs in table" in side_by_side([replace(SENT, table="other")], DECLARED)


@pytest.mark.parametrize(
    ("cause", "label"),
    [
        ("its filter drops them", "cause"),
        ("either it was deleted, or it was never made", "possible cause"),
        ("possibly it was copied to several rows", "possible cause"),
        ("2 of 3 ids of users: either these rows were made again, or others", "possible cause"),
        ("a row that setup loaded has since been deleted: u-1", "cause"),
    ],
)
def test_a_cause_that_names_alternatives_is_a_possible_one(cause: str, label: str) -> None:
    assert cause_label(cause) == label
