"""Two conversations of the same members: copies of one another, or not."""

from __future__ import annotations

from tests.shapes import START, World, conversation


def kinds(world: World) -> set[str]:
    return {fault.kind for fault in world.judge().faults}


def test_conversations_of_the_same_members_are_compared_by_their_texts() -> None:
    world = World()
    texts = [f"other letter {number}" for number in range(12)]
    world.items += conversation(world.who("ada"), world.who("bo"), texts, START)
    assert kinds(world) == set()
    for item in world.items:
        item["message"] = item["message"].removeprefix("other ")
    assert kinds(world) == {"duplicate"}


def test_a_shorter_conversation_of_the_same_members_is_no_copy() -> None:
    world = World()
    texts = [item["message"] for item in world.letters(world.first)]
    world.items += conversation(world.who("ada"), world.who("bo"), texts[:-1], START)
    assert kinds(world) == set()
