"""Items and rows against what is declared: every class of fault, alone; consequences folded in; healthy look-alikes."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.groups import settles_in
from devenv.links.judge import LinkJudgement, compile_plan, judge
from devenv.stores.dynamodb.client import typed_item
from tests.shapes import NOW, PLAN, SETTINGS, TABLE, TIME, USERS, World


@pytest.fixture
def world() -> World:
    return World()


def seen(judgement: LinkJudgement) -> dict[str, set[str]]:
    """Class -> subjects."""
    return {one.kind: set(one.subjects) for one in judgement.folded()}


# --- one fault, one class, the right ids


def test_every_id_changed_is_one_finding_with_its_cause(world: World) -> None:
    old = {row["handle"]: str(row["uuid"]) for row in world.rows}
    for row in world.rows:
        row["uuid"] = uuid.uuid4()
    (one,) = world.judge().folded()
    assert one.kind == "mismatched_id"
    assert (one.count, one.items) == (3, 21)
    assert set(one.subjects) == {id for handle in ("ada", "bo", "cy") for id in (old[handle], world.id(handle))}
    assert one.cause is not None
    assert "every id of public.users.uuid has changed (3 of 3)" in one.cause


def test_one_changed_id_names_its_user_and_breaks_no_group(world: World) -> None:
    old = world.id("bo")
    world.row("bo")["uuid"] = uuid.uuid4()
    assert seen(world.judge()) == {"mismatched_id": {old, world.id("bo")}}


def test_half_changed_items_are_still_only_mismatched(world: World) -> None:
    old, new = world.id("bo"), str(uuid.uuid4())
    for item in world.items[::2]:
        for name in ("pk", "user_uuid"):
            item[name] = item[name].replace(old, new)
    assert seen(world.judge()) == {"mismatched_id": {old, new}}


def test_the_id_of_another_user_beside_the_copies_of_the_right_one_is_mismatched_but_not_safe(world: World) -> None:
    letter = world.letters(world.first)[0]
    letter["user_uuid"] = world.id("di")
    judgement = world.judge()
    assert seen(judgement) == {"mismatched_id": {world.id("ada"), world.id("di")}}
    assert [fault.safe for fault in judgement.faults] == [False]


def test_deleted_user_leaves_orphans_and_nothing_else(world: World) -> None:
    gone = world.id("bo")
    world.rows = [row for row in world.rows if row["handle"] != "bo"]
    judgement = world.judge()
    assert seen(judgement) == {"orphan": {gone}}
    # Some items have the handle beside it, some not: it is one id all the same, described with its handle.
    [one] = judgement.folded()
    assert (one.count, len(one.examples)) == (1, 1)
    assert "user_handle bo" in one.examples[0]


def test_an_id_that_one_item_has_behind_a_prefix_is_one_id(world: World) -> None:
    gone = world.id("bo")
    world.rows = [row for row in world.rows if row["handle"] != "bo"]
    letter = next(each for each in world.letters(world.first) if each["user_uuid"] == gone)
    letter["user_uuid"] = f"USER#{gone}"
    [one] = world.judge().folded("orphan")
    assert (one.count, one.subjects) == (1, (gone,))


def test_no_rows_at_all_is_one_finding_that_says_so(world: World) -> None:
    world.rows = []
    (one,) = world.judge().folded()
    assert one.kind == "orphan"
    assert one.cause is not None
    assert "public.users has no rows" in one.cause


def test_unknown_id_on_one_letter_is_an_orphan_when_the_handle_is_unknown_too(world: World) -> None:
    letter = world.letters(world.first)[3]
    letter["user_uuid"], letter["user_handle"] = str(uuid.uuid4()), "nobody"
    assert seen(world.judge()) == {"orphan": {letter["user_uuid"]}}


@pytest.mark.parametrize(("column", "value"), [("display_name", "Bo Harbour"), ("handle", "bosun")])
def test_changed_row_makes_its_copies_stale(world: World, column: str, value: str) -> None:
    world.row("bo")[column] = value
    judgement = world.judge()
    assert list(seen(judgement)) == ["stale_copy"]
    assert {s for one in judgement.folded() for s in one.subjects} == {str(world.rows[1]["uuid"])}
    assert all(fault.safe for fault in judgement.faults)


def test_handles_exchanged_between_two_rows_are_stale_copies_not_other_ids(world: World) -> None:
    world.rows[0]["handle"], world.rows[1]["handle"] = "bo", "ada"
    assert list(seen(world.judge())) == ["stale_copy"]


@pytest.mark.parametrize(
    ("attribute", "value", "kind"),
    [
        ("user_uuid", "MY_USER_UUID", "placeholder"),
        ("user_uuid", "{{user_uuid}}", "placeholder"),
        ("user_uuid", "None", "placeholder"),
        ("user_handle", "MY_OTHER_HANDLE", "placeholder"),
        ("user_display_name", "undefined", "placeholder"),
        ("message_uuid", "TODO", "placeholder"),
        ("user_uuid", "12345", "malformed_id"),
        ("message_uuid", "letter-7", "malformed_id"),
        ("message_uuid", None, "missing_attribute"),
        ("user_uuid", None, "missing_attribute"),
        ("message", None, "missing_attribute"),
        ("message", 7, "wrong_type"),
        ("message_uuid", 7, "wrong_type"),
        ("expires", "soon", "wrong_type"),
        ("user_display_name", ["Ada"], "wrong_type"),
    ],
)
def test_one_bad_attribute_of_a_letter(world: World, attribute: str, value: Any, kind: str) -> None:
    letter = world.letters(world.first)[4]
    own = letter["message_uuid"]
    if value is None:
        del letter[attribute]
    else:
        letter[attribute] = value
    subjects = seen(world.judge())
    assert set(subjects) == {kind}
    if attribute != "message_uuid":
        assert own in subjects[kind]
    assert world.first in subjects[kind] or attribute.startswith("user_")


@pytest.mark.parametrize(
    ("attribute", "value", "kind"),
    [
        ("pk", "GRP#MY_USER_UUID", "placeholder"),
        ("pk", "GRP#ada", "malformed_key"),
        ("pk", "GRP#", "malformed_key"),
        ("message_group_uuid", "MY_GROUP_UUID", "placeholder"),
        ("message_group_uuid", None, "missing_attribute"),
        ("user_uuid", "MY_OTHER_UUID", "placeholder"),
        ("user_handle", None, "missing_attribute"),
        ("message", None, "missing_attribute"),
    ],
)
def test_one_bad_attribute_of_a_group_row_breaks_nothing_else(
    world: World, attribute: str, value: str | None, kind: str
) -> None:
    head = world.heads(world.first)[0]
    if value is None:
        del head[attribute]
    else:
        head[attribute] = value
    assert set(seen(world.judge())) == {kind}


@pytest.mark.parametrize("wrong", ["grp#{}", "GRP:{}", "GRP{}", "Grp #{}", " GRP#{}"])
def test_nearly_the_right_key_is_malformed_not_a_missing_half(world: World, wrong: str) -> None:
    head = world.heads(world.first)[0]
    head["pk"] = wrong.format(head["pk"].removeprefix("GRP#"))
    assert seen(world.judge()) == {"malformed_key": {world.first}}


def test_the_newest_letter_under_nearly_the_right_key_is_only_malformed(world: World) -> None:
    letter = world.letters(world.first)[-1]
    letter["pk"] = letter["pk"].replace("MSG#", "msg#")
    assert seen(world.judge()) == {"malformed_key": {letter["message_uuid"], world.first}}


@pytest.mark.parametrize("spell", [str.upper, lambda text: text.replace("-", "")], ids=["capitals", "no hyphens"])
def test_another_spelling_of_an_id_is_malformed_and_safe_to_fix(world: World, spell: Callable[[str], str]) -> None:
    head = world.heads(world.first)[0]
    head["pk"] = "GRP#" + spell(head["pk"].removeprefix("GRP#"))
    judgement = world.judge()
    assert seen(judgement) == {"malformed_key": {world.first}}
    assert judgement.faults[0].safe


def test_another_spelling_of_a_group_id_stays_in_its_group(world: World) -> None:
    for letter in world.letters(world.first):
        letter["pk"] = letter["pk"].upper()
    assert set(seen(world.judge())) == {"malformed_key"}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("2024-05-01T12:10:00", False),
        ("2024-05-01T12:10:00.000001", False),
        ("2024-05-01T10:10:00+00:00", True),
        ("2024-05-01T12:10:00.000000+02:00", True),
        ("2024-05-01 10:10:00.000000+00:00", True),
        ("1714558200", False),
        ("May 1st", False),
    ],
)
def test_a_time_of_another_form(world: World, text: str, safe: bool) -> None:
    letter = world.letters(world.second)[0]
    letter["sk"] = text
    for head in world.heads(world.second):
        head["sk"] = "2024-05-01T12:10:00.000000+00:00"
        head["message"] = letter["message"]
    for other in world.letters(world.second)[1:]:
        world.items.remove(other)
    judgement = world.judge()
    assert "mixed_time_format" in seen(judgement)
    (fault,) = [fault for fault in judgement.faults if fault.kind == "mixed_time_format"]
    assert set(fault.subjects) == {letter["message_uuid"], world.second}
    assert fault.safe is safe


def test_the_form_of_most_times_in_utc_is_the_right_one(world: World) -> None:
    for letter in world.letters(world.first):
        letter["sk"] = letter["sk"].removesuffix("+00:00")
    judgement = world.judge()
    assert set(seen(judgement)) == {"mixed_time_format"}
    assert len(judgement.faults) == 12


def test_future_letters_are_future_and_not_also_a_stale_preview(world: World) -> None:
    letter = world.letters(world.first)[2]
    letter["sk"] = "2035-01-01T00:00:00.000000+00:00"
    assert seen(world.judge()) == {"future_time": {letter["message_uuid"], world.first}}


def test_a_whole_conversation_in_the_future(world: World) -> None:
    shift = timedelta(days=4000)
    for item in world.letters(world.first) + world.heads(world.first):
        item["sk"] = (datetime.fromisoformat(item["sk"]) + shift).strftime(TIME)
    judgement = world.judge()
    assert set(seen(judgement)) == {"future_time"}
    assert len(judgement.faults) == 14


def test_a_time_within_the_clocks_tolerance_is_not_future(world: World) -> None:
    newest = max(letter["sk"] for letter in world.letters(world.first))
    now = datetime.fromisoformat(newest) - timedelta(seconds=30)
    assert seen(world.judge(now)) == {}


def test_missing_half_names_group_and_owner_and_is_safe(world: World) -> None:
    head = next(head for head in world.heads(world.first) if head["pk"] == f"GRP#{world.id('bo')}")
    world.items.remove(head)
    judgement = world.judge()
    assert seen(judgement) == {"half_group": {world.first, world.id("bo")}}
    assert judgement.faults[0].safe


def test_letters_of_a_group_without_rows(world: World) -> None:
    for head in world.heads(world.second):
        world.items.remove(head)
    judgement = world.judge()
    assert seen(judgement) == {"half_group": {world.second}}
    assert not judgement.faults[0].safe


def test_missing_half_of_a_deleted_user_cannot_be_made(world: World) -> None:
    head = next(head for head in world.heads(world.first) if head["pk"] == f"GRP#{world.id('bo')}")
    world.items.remove(head)
    world.rows = [row for row in world.rows if row["handle"] != "bo"]
    faults = [fault for fault in world.judge().faults if fault.kind == "half_group"]
    assert [fault.safe for fault in faults] == [False]


def test_author_who_is_no_member(world: World) -> None:
    letter = world.letters(world.first)[1]
    letter["user_uuid"], letter["user_handle"], letter["user_display_name"] = world.who("di")
    assert seen(world.judge()) == {"foreign_member": {letter["message_uuid"], world.first, world.id("di")}}


def test_row_that_names_someone_who_has_no_row(world: World) -> None:
    head = world.heads(world.first)[0]
    head["user_uuid"], head["user_handle"], head["user_display_name"] = world.who("di")
    assert seen(world.judge()) == {"foreign_member": {world.first, world.id("di")}}


def test_row_that_names_its_own_owner(world: World) -> None:
    head = next(head for head in world.heads(world.first) if head["pk"] == f"GRP#{world.id('ada')}")
    head["user_uuid"], head["user_handle"], head["user_display_name"] = world.who("ada")
    assert seen(world.judge()) == {"foreign_member": {world.first, world.id("ada")}}


def test_older_row_is_a_stale_preview_that_is_safe_to_move(world: World) -> None:
    head = world.heads(world.first)[0]
    head["sk"], head["message"] = "2024-01-01T00:00:00.000000+00:00", "old"
    judgement = world.judge()
    newest = max(world.letters(world.first), key=lambda letter: letter["sk"])
    assert seen(judgement) == {"stale_preview": {world.first, newest["message_uuid"]}}
    assert judgement.faults[0].safe


def test_other_text_at_the_same_time_is_a_stale_preview(world: World) -> None:
    world.heads(world.first)[0]["message"] = "something else"
    assert list(seen(world.judge())) == ["stale_preview"]


def test_newer_letter_that_moved_no_row(world: World) -> None:
    last = world.letters(world.first)[-1]
    at = datetime.fromisoformat(last["sk"]) + timedelta(minutes=1)
    world.items.append({**last, "sk": at.strftime(TIME), "message_uuid": str(uuid.uuid4()), "message": "new"})
    judgement = world.judge()
    assert list(seen(judgement)) == ["stale_preview"]
    assert len(judgement.faults) == 2


@pytest.mark.parametrize(
    ("texts", "row", "seen_now"),
    [
        (["new"], None, ["stale_preview"]),
        (["new"], "new", []),  # its time was taken a moment earlier
        # Times in whole seconds: of two letters of one moment, either may be the newest.
        (["new", "as before"], None, []),
        (["as before", "new"], None, []),
        (["new", "as before"], "new", []),
        (["new", "newer"], None, ["stale_preview"]),
    ],
)
def test_a_letter_right_after_another_that_moved_no_row(
    world: World, texts: list[str], row: str | None, seen_now: list[str]
) -> None:
    last = world.letters(world.first)[-1]
    at = datetime.fromisoformat(last["sk"]) + timedelta(seconds=1)
    for text in texts:
        message = last["message"] if text == "as before" else text
        world.items.append({**last, "sk": at.strftime(TIME), "message_uuid": str(uuid.uuid4()), "message": message})
    for head in world.heads(world.first):
        head["message"] = row or head["message"]
    judgement = world.judge(at + timedelta(seconds=5))
    assert list(seen(judgement)) == seen_now
    assert len(judgement.faults) == 2 * len(seen_now)


@pytest.mark.parametrize(("age_s", "waits_s"), [(0.5, 1.5), (2, 0), (3600, 0), (-30, 2)])
def test_a_letter_of_a_moment_ago_is_given_the_time_of_a_write(world: World, age_s: float, waits_s: float) -> None:
    last = world.letters(world.first)[-1]
    at = datetime.fromisoformat(last["sk"]) + timedelta(minutes=1)
    world.items.append({**last, "sk": at.strftime(TIME), "message_uuid": str(uuid.uuid4()), "message": "new"})
    now = at + timedelta(seconds=age_s)
    assert settles_in(PLAN.groups, world.judge(now).faults, now).total_seconds() == waits_s


def test_rows_that_show_a_lost_letter(world: World) -> None:
    settings = copy.deepcopy(SETTINGS)
    del settings["entities"]["letter"]["ttl"]
    plan = compile_plan(msgspec.convert(settings, Settings), {TABLE: ("pk", "sk")})
    world.items.remove(max(world.letters(world.first), key=lambda letter: letter["sk"]))
    raw = [typed_item(item) for item in world.items]
    assert seen(judge(plan, {TABLE: raw}, {USERS: world.rows}, NOW)) == {"missing_item": {world.first}}


def test_where_letters_expire_a_row_may_show_one_that_is_gone(world: World) -> None:
    world.items.remove(max(world.letters(world.first), key=lambda letter: letter["sk"]))
    assert seen(world.judge()) == {}


def test_one_letter_id_under_two_keys(world: World) -> None:
    letter = world.letters(world.first)[0]
    world.items.append({**letter, "sk": "2024-05-01T10:00:01.000000+00:00"})
    assert seen(world.judge()) == {"duplicate": {letter["message_uuid"]}}


def test_two_rows_of_one_owner(world: World) -> None:
    head = world.heads(world.first)[0]
    world.items.append({**head, "sk": "2024-04-01T10:00:01.000000+00:00"})
    assert seen(world.judge()) == {"duplicate": {world.first, head["pk"].removeprefix("GRP#")}}


def loaded_again(world: World, shift: timedelta, group: str) -> None:
    for item in world.letters(group):
        at = (datetime.fromisoformat(item["sk"]) + shift).strftime(TIME)
        world.items.append({**item, "sk": at, "message_uuid": str(uuid.uuid4())})


@pytest.mark.parametrize("shift", [timedelta(hours=3, microseconds=1234), timedelta(seconds=1)])
def test_a_conversation_loaded_twice_under_new_ids(world: World, shift: timedelta) -> None:
    loaded_again(world, shift, world.first)
    for head in world.heads(world.first):
        head["sk"] = max(letter["sk"] for letter in world.letters(world.first))
    judgement = world.judge()
    assert set(seen(judgement)) == {"duplicate"}
    assert world.first in seen(judgement)["duplicate"]
    assert judgement.folded()[0].items == 12


def test_a_conversation_loaded_twice_under_a_new_group_id(world: World) -> None:
    new = str(uuid.uuid4())
    for item in copy.deepcopy(world.letters(world.first) + world.heads(world.first)):
        item["pk"] = item["pk"].replace(world.first, new)
        if "message_group_uuid" in item:
            item["message_group_uuid"] = new
            item["sk"] = item["sk"].replace("+00:00", "+00:00")
        else:
            item["message_uuid"] = str(uuid.uuid4())
        world.items.append(item)
    assert seen(world.judge()) == {"duplicate": {world.first, new}}


def test_two_rows_with_one_natural_key_are_ambiguous(world: World) -> None:
    world.rows.append({"uuid": uuid.uuid4(), "handle": "di", "display_name": "Another Di"})
    ids = {str(row["uuid"]) for row in world.rows if row["handle"] == "di"}
    assert seen(world.judge()) == {"ambiguous_row": ids}


@pytest.mark.parametrize("handle", ["di ", "DI"])
def test_natural_keys_that_are_nearly_equal(world: World, handle: str) -> None:
    new = {"uuid": uuid.uuid4(), "handle": handle, "display_name": "Another"}
    world.rows.append(new)
    subjects = seen(world.judge())
    assert str(new["uuid"]) in subjects["near_miss"]


def test_a_loaded_row_that_is_gone(world: World) -> None:
    gone = world.row("di")
    seeded = [{name: str(value) for name, value in row.items()} for row in world.rows]
    world.rows.remove(gone)
    raw = [typed_item(item) for item in world.items]
    found = judge(PLAN, {TABLE: raw}, {USERS: world.rows}, NOW, {USERS: seeded})
    assert seen(found) == {"missing_row": {str(gone["uuid"]), "di"}}


def test_loaded_rows_with_other_ids_or_other_handles_are_not_gone(world: World) -> None:
    seeded = [{name: str(value) for name, value in row.items()} for row in world.rows]
    world.row("di")["uuid"] = uuid.uuid4()
    world.row("di")["handle"] = "di"
    seeded[2]["handle"] = "before"
    raw = [typed_item(item) for item in world.items]
    assert seen(judge(PLAN, {TABLE: raw}, {USERS: world.rows}, NOW, {USERS: seeded})) == {}


@pytest.mark.parametrize("moved", [False, True])
def test_a_loaded_row_that_items_still_name_is_an_orphan_and_not_twice_reported(world: World, moved: bool) -> None:
    gone = world.row("bo")
    seeded = [{name: str(value) for name, value in row.items()} for row in world.rows]
    if moved:
        seeded[1]["uuid"] = str(uuid.uuid4())  # as loaded; the id changed since, and the items followed
    world.rows.remove(gone)
    raw = [typed_item(item) for item in world.items]
    assert set(seen(judge(PLAN, {TABLE: raw}, {USERS: world.rows}, NOW, {USERS: seeded}))) == {"orphan"}


# --- pairs: each is named, neither hides nor invents


SINGLE: dict[str, Callable[[World], None]] = {
    "mismatched_id": lambda w: w.row("cy").update(uuid=uuid.uuid4()),
    "stale_copy": lambda w: w.row("bo").update(display_name="Bo Harbour"),
    "missing_attribute": lambda w: w.letters(w.first)[4].pop("message"),  # type: ignore[dict-item, return-value]
    "placeholder": lambda w: w.letters(w.first)[5].update(user_handle="MY_HANDLE"),
    "malformed_id": lambda w: w.letters(w.first)[6].update(message_uuid="seven"),
    "wrong_type": lambda w: w.letters(w.first)[7].update(expires="soon"),
    "future_time": lambda w: w.letters(w.first)[8].update(sk="2035-01-01T00:00:00.000000+00:00"),
    "mixed_time_format": lambda w: w.letters(w.first)[9].update(sk="2024-05-01T10:05:33"),
    "half_group": lambda w: w.items.remove(w.heads(w.second)[0]),
    "stale_preview": lambda w: w.heads(w.first)[1].update(message="something else"),
    "foreign_member": lambda w: w.letters(w.second)[1].update(
        zip(("user_uuid", "user_handle", "user_display_name"), w.who("di"), strict=True)
    ),
    "duplicate": lambda w: w.items.append({**w.letters(w.second)[0], "sk": "2024-05-01T10:00:01.000000+00:00"}),
    "ambiguous_row": lambda w: w.rows.append({"uuid": uuid.uuid4(), "handle": "di", "display_name": "Di Two"}),
}


@pytest.mark.parametrize("second", SINGLE)
@pytest.mark.parametrize("first", SINGLE)
def test_pairs_of_faults_are_both_named_and_nothing_else(world: World, first: str, second: str) -> None:
    for kind in dict.fromkeys([first, second]):
        SINGLE[kind](world)
    assert set(seen(world.judge())) == {first, second}


# --- second looks


def test_only_what_stays_is_confirmed(world: World) -> None:
    world.items.remove(world.heads(world.second)[0])
    world.letters(world.first)[0].pop("message")
    before = world.judge()
    damaged = World()
    after = damaged.judge()
    assert before.passing
    assert set(seen(before.lasting(before.words()))) == {"half_group", "missing_attribute"}
    assert seen(after.lasting(before.words())) == {}
    assert set(seen(before.lasting(after.words()))) == {"missing_attribute"}
