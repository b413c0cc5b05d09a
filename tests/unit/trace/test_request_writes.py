"""What a request changes by being sent, told from what is written meanwhile."""

from __future__ import annotations

from dataclasses import replace

from devenv.core.model import Finding
from devenv.trace.judge.fault import at_layer
from devenv.trace.judge.verdict import judge
from devenv.trace.request_writes import Changed, StoredThing, Writes, compare_things, finding_of, notes_of, row_thing
from tests.unit.trace.judged import HEALTHY, SUBJECT

EMPTY_PREVIEW = Finding("missing_item", "the row shows an entry that does not exist", subjects=("g-1",))


def group_row(at: str, message: str = "hello", group: str = "g-1") -> tuple[str, StoredThing]:
    name = f"GRP#u-ada {at}"
    fields = {"owner": "u-ada", "sk": at, "message": message, "group": group, "by": "u-bo"}
    return name, StoredThing(f"item {name}", fields, ("row", "GRP#u-ada"))


def test_an_item_that_moved_to_another_key_is_one_change() -> None:
    (old_name, old), (new_name, new) = group_row("2023"), group_row("2026")
    assert list(compare_things({old_name: old}, {new_name: new})) == [Changed(old, "sk", "2023", "2026")]


def test_new_and_deleted_items_are_no_change_of_what_was_compared() -> None:
    one, other = group_row("2023"), group_row("2026", "other words", "g-2")
    assert list(compare_things(dict([one]), dict([one, other]))) == []
    assert list(compare_things(dict([one, other]), dict([other]))) == []


def test_a_column_that_changed() -> None:
    (name, old), (_, new) = (row_thing(("public", "users"), "id", {"id": "u-ada", "name": x}) for x in ("Ada", "Bo"))
    assert list(compare_things({name: old}, {name: new})) == [Changed(old, "name", "Ada", "Bo")]


def test_the_finding_names_the_item_the_field_and_both_values() -> None:
    old = group_row("2023")[1]
    found = finding_of(Writes(own=(Changed(old, "sk", "2023", "2026"),)), ())
    assert found is not None
    assert (found.kind, found.summary) == (
        "request_writes",
        "the request changed item GRP#u-ada 2023: sk 2023 → 2026",
    )


def test_words_of_peoples_own_are_not_shown() -> None:
    old = group_row("2023")[1]
    found = finding_of(Writes(own=(Changed(old, "message", "secret", "other"),), hidden=frozenset(["message"])), ())
    assert found is not None
    assert "secret" not in found.summary


def test_one_change_alone_is_a_note() -> None:
    row = row_thing(("public", "users"), "id", {"id": "u-ada", "name": "Ada"})[1]
    writes = Writes(meanwhile=(Changed(row, "name", "Ada", "Bo"),))
    assert finding_of(writes, ()) is None
    assert notes_of(writes) == ("written during the trace: public.users.name of u-ada: Ada → Bo",)


def test_a_lookup_that_was_asked_after_the_row_had_changed_follows_from_it() -> None:
    row = row_thing(("public", "users"), "id", {"id": "u-ada", "name": "Ada"})[1]
    wrong = at_layer("library", Finding("wrong_row", "find_me() finds another row: `name` is Bo, not Ada"))
    found = finding_of(Writes(own=(Changed(row, "name", "Ada", "Bo"),)), [wrong])
    assert found is not None
    assert found.explains == {("wrong_row", ())}


def test_it_stands_before_the_faults_that_it_makes_in_the_data() -> None:
    old = group_row("2023")[1]
    stored = replace(at_layer("dynamodb", EMPTY_PREVIEW), status="missing")
    found = finding_of(Writes(own=(Changed(old, "sk", "2023", "2026"),)), [stored])
    assert found is not None
    dynamodb = replace(HEALTHY.dynamodb, findings=(EMPTY_PREVIEW,))
    seen = replace(HEALTHY, dynamodb=dynamodb, http=replace(HEALTHY.http, findings=(found,)))
    judged = judge(SUBJECT, seen)
    assert judged.first is not None
    assert (judged.first.layer, judged.first.kind) == ("http", "request_writes")
    assert [one.kind for one in judged.also] == ["missing_item"]
