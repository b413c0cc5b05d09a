"""The subject's part of both stores, read again by key: what is seen of a change, and what is not read for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from devenv.config.trace import Trace, TraceEntity
from devenv.links.facts import Facts, read_known_rows, read_rows
from devenv.stores.postgres.reader import reading
from devenv.trace.again import changed_items, items_now, part_of, was_written, written_entries
from devenv.trace.question import Application, Question, TraceContext
from devenv.trace.request_writes import compare_things, is_changed, look, things_of, watch
from tests.conftest import Stores
from tests.integration.doctor_support import Project, messaging

LETTERS = Trace(
    params={"group": "uuid"},
    entity="letter",
    where={"message_group_uuid": "{group}"},
    group="conversation",
    ids={"dynamodb": "message_uuid"},
    sorted_by="sk",
)
# Nothing is small: what is read whole by its size alone shows nothing.
SMALL = 0


@pytest.fixture
def letters(stores: Stores) -> Iterator[Project]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield made


def of(letters: Project, message: str) -> Any:
    return next(item for item in letters.items() if item["message"]["S"] == message and "message_uuid" in item)


def ask(letters: Project, trace: Trace) -> TraceContext:
    """The conversation of ada and bo; the stores are read."""
    group = of(letters, "letter number 0")["pk"]["S"].removeprefix("MSG#")
    facts = Facts(letters.context, trace=trace)
    facts.judgement()
    return TraceContext(Question("letters", trace, {"group": group}), facts, Application())


@pytest.fixture
def inquiry(letters: Project) -> TraceContext:
    return ask(letters, LETTERS)


def test_only_the_partitions_of_the_subject_are_read(letters: Project, inquiry: TraceContext) -> None:
    part = part_of(inquiry, None, SMALL)
    ids = letters.ids()
    group = inquiry.question.identifier
    wanted = {f"MSG#{group}", f"GRP#{ids['ada']}", f"GRP#{ids['bo']}"}
    assert {text for keys in part.places.values() for _, text in keys or ()} == wanted
    read = {item["pk"]["S"] for items in items_now(inquiry, part.places).values() for item in items}
    assert read == wanted
    assert {row["handle"] for rows in part.rows.values() for row in rows} == {"ada", "bo"}
    assert part_of(inquiry, None).places == {letters.table: None}


def test_a_subject_without_items_lies_where_its_key_says(letters: Project, inquiry: TraceContext) -> None:
    group = str(uuid.uuid4())
    empty = replace(inquiry, question=replace(inquiry.question, values={"group": group}))
    assert part_of(empty, None, SMALL).places == {letters.table: {("S", f"MSG#{group}")}}
    assert not was_written(empty, None, SMALL)
    letters.put({**of(letters, "letter number 0"), "pk": {"S": f"MSG#{group}"}})
    assert was_written(empty, None, SMALL)


def test_a_key_that_takes_more_than_is_known_means_the_whole_table(letters: Project, inquiry: TraceContext) -> None:
    by_author = structs.replace(
        LETTERS, entity=None, where={}, entities=[TraceEntity("letter", where={"message": "{group}"})]
    )
    question = Question("letters", by_author, {"group": "hi"})
    asked = TraceContext(question, inquiry.facts, Application())
    assert part_of(asked, None, SMALL).places == {letters.table: None}
    assert not was_written(asked, None, SMALL)
    letters.change(of(letters, "hi"), message="ho")
    assert was_written(asked, None, SMALL)


def test_what_is_written_elsewhere_is_not_the_subject_s(letters: Project, inquiry: TraceContext) -> None:
    letters.change(of(letters, "hello"), message="of others")
    assert not was_written(inquiry, None, SMALL)
    assert was_written(inquiry, None)  # a small table is looked at whole
    assert written_entries(inquiry, None, SMALL) == frozenset()


@pytest.mark.parametrize("how", ["changed", "deleted", "new"])
def test_an_entry_that_was_written_since_is_named(letters: Project, inquiry: TraceContext, how: str) -> None:
    item = of(letters, "letter number 3")
    name = item["message_uuid"]["S"]
    match how:
        case "changed":
            letters.change(item, message="otherwise")
        case "deleted":
            letters.delete(item)
        case "new":
            name = str(uuid.uuid4())
            letters.put({**item, "sk": {"S": "2026-01-01T00:00:00.000000+00:00"}, "message_uuid": {"S": name}})
    assert was_written(inquiry, None, SMALL)
    assert written_entries(inquiry, None, SMALL) == {name}


def test_an_entry_whose_row_was_renamed_is_named(letters: Project) -> None:
    asked = ask(letters, structs.replace(LETTERS, fields={"author": "user_uuid.display_name"}))
    assert written_entries(asked, None, SMALL) == frozenset()
    letters.sql("UPDATE users SET display_name = 'Another' WHERE handle = 'ada'")
    adas = {
        i["message_uuid"]["S"]
        for i in letters.items(pk=f"MSG#{asked.question.identifier}")
        if i["user_handle"]["S"] == "ada"
    }
    assert written_entries(asked, None, SMALL) == adas


def test_nothing_changed_and_nothing_is_seen(inquiry: TraceContext) -> None:
    part = part_of(inquiry, None, SMALL)
    assert not any(changed_items(inquiry, part.places).values())
    watched = watch(inquiry, None, SMALL)
    before = things_of(watched.records, watched.part.rows)
    assert len(before) == 12 + 2 + 2
    assert not is_changed(watched, before)
    assert look(watched) == before


def test_a_named_row_and_an_item_that_moved_are_changes(letters: Project, inquiry: TraceContext) -> None:
    watched = watch(inquiry, None, SMALL)
    before = things_of(watched.records, watched.part.rows)
    letters.sql("UPDATE users SET handle = 'cyrus' WHERE handle = 'cy'")
    assert not is_changed(watched, before)
    letters.sql("UPDATE users SET display_name = 'Renamed' WHERE handle = 'bo'")
    assert is_changed(watched, before)
    head = next(i for i in letters.items(pk=f"GRP#{letters.ids()['ada']}") if i["user_handle"]["S"] == "bo")
    letters.change(head, sk="2026-02-02T00:00:00.000000+00:00")
    found = {(one.field, one.after) for one in compare_things(before, look(watched))}
    assert found == {("display_name", "Renamed"), ("sk", "2026-02-02T00:00:00.000000+00:00")}


def test_only_the_newest_are_watched_and_the_others_are_counted(letters: Project, inquiry: TraceContext) -> None:
    watched = watch(inquiry, None, SMALL, most=5)
    before = things_of(watched.records, watched.part.rows)
    assert (len(watched.records), len(watched.left)) == (5, 9)
    letters.change(of(letters, "letter number 0"), message="among the others")
    assert not is_changed(watched, before)
    assert look(watched) == before
    letters.change(of(letters, "letter number 11"), message="among the newest")
    assert is_changed(watched, before)


def test_rows_are_found_by_texts_of_any_form(letters: Project, inquiry: TraceContext) -> None:
    odd = ['a"b', "a\\b", "a,b", "{a}", "NULL", " a ", "", "ä\n"]
    letters.sql("CREATE TABLE odd (name text PRIMARY KEY, number int)")
    for number, text in enumerate([*odd, "another"]):
        letters.sql("INSERT INTO odd VALUES (%s, %s)", text, number)
    with reading(letters.context.targets.postgres) as connection:
        found = read_rows(connection, ("public", "odd"), ("name", "number"), ("name", odd))
        numbers = read_rows(connection, ("public", "odd"), ("name",), ("number", [1, 2]))
        assert read_rows(connection, ("public", "odd"), ("name",), ("number", [])) == []
    assert {row["name"] for row in found} == set(odd)
    assert [row["name"] for row in numbers] == odd[1:3]
    assert read_known_rows(inquiry.facts, {}) == {}
