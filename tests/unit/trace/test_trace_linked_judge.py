"""The verdict on fields that show a column of a linked row: at the function, at the API, several kinds, no values."""

from __future__ import annotations

from dataclasses import replace

from devenv.capture.calls import StoreCall
from devenv.trace.judge.verdict import judge
from devenv.trace.observation import Entry, LibraryObservation, Observations
from tests.unit.trace.judged import HEALTHY, RAN, SENT, STORED, SUBJECT, also, verdict, with_member

LINKED = replace(SUBJECT, fields=(*SUBJECT.fields, "name"), linked={("", "name"): "public.people.full_name"})
NAMES = StoreCall("SQL", sql="SELECT id, full_name FROM people", store="postgres", count=0)


def named(entries: tuple[Entry, ...], *names: str | None) -> tuple[Entry, ...]:
    """The entries with these names, the last one for all further ones."""
    texts = [*names, *names[-1:] * len(entries)]
    return tuple(replace(one, fields={**one.fields, "name": text}) for one, text in zip(entries, texts, strict=False))


RIGHT = named(STORED, "Ada")


def seen_with(library: tuple[Entry, ...], http: tuple[Entry, ...], stored: tuple[Entry, ...] = RIGHT) -> Observations:
    ran = replace(RAN, entries=library, read=stored[::-1], asked=(SENT, NAMES))
    return with_member(
        replace(
            HEALTHY,
            dynamodb=replace(HEALTHY.dynamodb, entries=stored),
            pattern=replace(HEALTHY.pattern, entries=stored[::-1]),
            library=LibraryObservation(ran=ran),
        ),
        entries=http,
    )


def test_the_right_names_are_no_fault() -> None:
    assert judge(LINKED, seen_with(RIGHT, RIGHT)).status == "ok"


def test_a_wrong_name_is_the_functions_fault_and_the_api_repeats_it() -> None:
    wrong = named(STORED, "Ada", "unknown", "Ada")
    seen = seen_with(wrong, wrong)
    found = judge(LINKED, seen)
    assert found.first is not None
    assert (found.first.layer, found.first.kind, found.first.subjects) == ("library", "field_changed", ("m2",))
    assert found.first.summary.endswith("on 1 entry: `name` of m2 is `unknown`, public.people.full_name is `Ada`")
    assert "FROM people` returned 0 rows" in (found.first.cause or "")
    assert found.also == ()
    assert [layer.follows for layer in found.layers if layer.name == "http"] == ["library"]


def test_a_function_that_gives_the_id_instead_leaves_the_field_to_the_route() -> None:
    given = named(STORED, "u-ada")
    seen = seen_with(given, RIGHT)
    ran = replace(seen.library.ran or RAN, asked=(SENT,))
    seen = replace(seen, library=replace(seen.library, ran=ran))
    first = judge(LINKED, seen).first
    assert first is not None
    assert first.layer == "library"
    assert 'write in [trace.conversation.library]: fields = { name = "" }' in (first.fix.text if first.fix else "")
    assert also(seen, LINKED) == []


def test_a_field_that_only_the_route_adds_is_compared_there() -> None:
    assert judge(LINKED, seen_with(STORED, RIGHT)).status == "ok"
    seen = seen_with(STORED, named(STORED, None))
    assert (verdict(seen, LINKED), also(seen, LINKED)) == (("http", "body_changed"), [])
    first = judge(LINKED, seen).first
    assert first is not None
    assert "5 entries without `name`: `name` of m1 is null, public.people.full_name is `Ada`" in first.summary


def test_a_name_whose_row_is_not_known_is_not_compared() -> None:
    half = (*RIGHT[:4], STORED[4])
    answer = named(STORED, "Ada", "Ada", "Ada", "Ada", "unknown")
    assert judge(LINKED, seen_with(answer, answer, half)).status == "ok"


def test_null_in_the_row_is_null_in_the_answer() -> None:
    nothing = named(STORED, None)
    assert judge(LINKED, seen_with(nothing, nothing, nothing)).status == "ok"
    wrong = named(STORED, "unknown")
    first = judge(LINKED, seen_with(wrong, wrong, nothing)).first
    assert first is not None
    assert "public.people.full_name is null" in first.summary


def test_values_of_payload_are_not_said() -> None:
    wrong = named(STORED, "unknown")
    first = judge(replace(LINKED, payload=("name",)), seen_with(wrong, wrong)).first
    assert first is not None
    assert first.kind == "field_changed"
    assert "unknown" not in first.summary
    assert "Ada" not in first.summary


def test_a_field_of_one_of_several_kinds() -> None:
    subject = replace(LINKED, linked={("letter", "name"): "public.people.full_name"}, sorted_by=None, orders={})
    stored = tuple(Entry(f"letter {one.id}", one.fields, "letter") for one in RIGHT)
    wrong = tuple(replace(one, fields={**one.fields, "name": "x"}) for one in stored)
    first = judge(subject, seen_with(wrong, wrong, stored)).first
    assert first is not None
    assert "`name` of letter m1 is `x`, public.people.full_name is `Ada`" in first.summary
