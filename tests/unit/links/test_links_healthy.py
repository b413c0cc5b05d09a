"""Data that is in order, however unusual: nothing is found."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from devenv.links.judge import LinkJudgement
from tests.shapes import START, TIME, World, conversation


@pytest.fixture
def world() -> World:
    return World()


def seen(judgement: LinkJudgement) -> dict[str, set[str]]:
    """Class -> subjects."""
    return {one.kind: set(one.subjects) for one in judgement.folded()}


# --- healthy


def test_a_healthy_world_has_no_faults(world: World) -> None:
    assert seen(world.judge()) == {}


def renamed_with_copies(world: World) -> None:
    world.row("bo")["display_name"] = "Bo Harbour"
    for item in world.items:
        if item.get("user_handle") == "bo":
            item["user_display_name"] = "Bo Harbour"


def empty_conversation(world: World) -> None:
    world.items += conversation(world.who("cy"), world.who("di"), [], START)


def expired_item(world: World) -> None:
    gone = {"pk": f"MSG#{world.first}", "sk": "not a time", "user_uuid": "MY_USER_UUID", "expires": 1_700_000_000}
    world.items.append(gone)


def expired_newest(world: World) -> None:
    world.letters(world.first)[-1]["expires"] = 1_700_000_000


def not_yet_expired(world: World) -> None:
    world.letters(world.first)[0]["expires"] = 4_000_000_000


def extra_attributes(world: World) -> None:
    for item in world.items:
        item["seen_by"] = {"MOCK", "TODO"}
        item["created_in"] = "2023-01-01"


def other_kinds_of_items(world: World) -> None:
    world.items += [
        {"pk": "CONFIG", "sk": "theme", "value": "{{color}}"},
        {"pk": f"GRPSTATS#{world.first}", "sk": "x"},
        {"pk": "MSGCOUNT", "sk": "7"},
    ]


def messages_that_look_like_blanks(world: World) -> None:
    for item, text in zip(world.letters(world.second), ["None", "{{handle}}", "MY_USER_UUID", "TODO"], strict=False):
        item["message"] = text


def preview_slightly_ahead(world: World) -> None:
    for head in world.heads(world.first):
        head["sk"] = (datetime.fromisoformat(head["sk"]) + timedelta(milliseconds=700)).strftime(TIME)


def same_words_again(world: World) -> None:
    for letter in world.letters(world.first)[:6]:
        letter["message"] = "ok"
    for head in world.heads(world.first):
        head["message"] = world.letters(world.first)[-1]["message"]


def regular_words_at_regular_times(world: World) -> None:
    texts = [f"text {number % 10}" for number in range(20)]
    items = conversation(world.who("cy"), world.who("di"), texts, START)
    for number, item in enumerate(item for item in items if item["pk"].startswith("MSG#")):
        item["sk"] = (START + timedelta(minutes=number)).strftime(TIME)
    for item in items:
        if item["pk"].startswith("GRP#"):
            item["sk"] = (START + timedelta(minutes=19)).strftime(TIME)
    world.items += items


def two_conversations_of_the_same_people(world: World) -> None:
    world.items += conversation(world.who("ada"), world.who("bo"), ["another topic", "fine"], START)


def user_named_like_a_blank(world: World) -> None:
    world.rows.append({"uuid": uuid.uuid4(), "handle": "null", "display_name": "None"})
    world.items += conversation(world.who("null"), world.who("bo"), ["that is my name", "really?"], START)


def one_form_without_zone(world: World) -> None:
    for item in world.items:
        item["sk"] = item["sk"].removesuffix("+00:00")


def more_people(world: World) -> None:
    world.rows += [{"uuid": uuid.uuid4(), "handle": f"p{n}", "display_name": f"P {n}"} for n in range(50)]


HEALTHY: list[Callable[[World], None]] = [
    renamed_with_copies,
    empty_conversation,
    expired_item,
    expired_newest,
    not_yet_expired,
    extra_attributes,
    other_kinds_of_items,
    messages_that_look_like_blanks,
    preview_slightly_ahead,
    same_words_again,
    regular_words_at_regular_times,
    two_conversations_of_the_same_people,
    user_named_like_a_blank,
    one_form_without_zone,
    more_people,
]


@pytest.mark.parametrize("vary", HEALTHY, ids=lambda vary: vary.__name__)
def test_healthy_look_alikes_are_not_reported(world: World, vary: Callable[[World], None]) -> None:
    vary(world)
    assert seen(world.judge()) == {}


# --- false alarms


def test_a_conversation_with_oneself_has_one_row(world: World) -> None:
    rows = conversation(world.who("cy"), world.who("cy"), [], START)
    world.items.append(rows[0])
    assert seen(world.judge()) == {}


@pytest.mark.parametrize("value", ["system", "", 7, "00000"])
def test_what_is_no_id_on_an_item_of_no_declared_kind_is_no_orphan(world: World, value: object) -> None:
    world.items.append({"pk": "AUDIT#1", "sk": "1", "user_uuid": value})
    world.items.append({"pk": "MSG-COUNT", "sk": "1", "user_uuid": value})
    assert seen(world.judge()) == {}


def test_an_id_that_names_nothing_is_an_orphan_on_any_item(world: World) -> None:
    lost = str(uuid.uuid4())
    world.items.append({"pk": "AUDIT#1", "sk": "1", "user_uuid": lost})
    assert seen(world.judge()) == {"orphan": {lost}}


def test_a_newest_message_of_the_future_is_one_fault(world: World) -> None:
    last = max(world.letters(world.first), key=lambda item: item["sk"])
    last["sk"] = "9999" + last["sk"][4:]
    assert set(seen(world.judge())) == {"future_time"}
