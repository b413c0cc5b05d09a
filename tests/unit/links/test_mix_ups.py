"""Values of another row, or of another attribute: said as such, and not as something out of date."""

from __future__ import annotations

from tests.shapes import World


def cause_of(world: World) -> str:
    (one,) = world.judge().folded()
    assert one.cause is not None
    return one.cause


def test_the_id_of_another_user_is_named_with_its_owner() -> None:
    world = World()
    world.letters(world.first)[0]["user_uuid"] = world.id("di")
    other = f"{world.id('di')} is the id of public.users handle=di"
    assert cause_of(world) == f"{other}, so the item was written with the id of another row"


def test_an_id_that_no_row_has_keeps_its_cause() -> None:
    world = World()
    world.letters(world.first)[0]["user_uuid"] = "2e5f1fa6-ee7f-4961-b6f8-2a81f6c63d46"
    assert "recreated" in cause_of(world)


def test_exchanged_copies_are_no_stale_copies() -> None:
    world = World()
    letter = world.letters(world.first)[0]
    letter["user_handle"], letter["user_display_name"] = letter["user_display_name"], letter["user_handle"]
    assert cause_of(world) == "the values of user_handle and user_display_name are swapped"


def test_one_copy_that_is_out_of_date_keeps_its_cause() -> None:
    world = World()
    world.letters(world.first)[0]["user_display_name"] = "Somebody Else"
    assert cause_of(world).endswith("or the item was changed")


def test_rows_of_one_owner_that_stand_in_each_others_group() -> None:
    world = World()
    one, other = (
        next(head for head in world.heads(group) if head["pk"] == f"GRP#{world.id('ada')}")
        for group in (world.first, world.second)
    )
    one["message_group_uuid"], other["message_group_uuid"] = world.second, world.first
    causes = [folded.cause or "" for folded in world.judge().folded("foreign_member")]
    assert causes[0].startswith("the values of message_group_uuid of GRP#")
    assert causes[0].endswith("are exchanged")


def test_a_row_with_a_wrong_member_is_no_exchange() -> None:
    world = World()
    for group in (world.first, world.second):
        head = next(head for head in world.heads(group) if head["pk"] == f"GRP#{world.id('ada')}")
        head["user_uuid"], head["user_handle"], head["user_display_name"] = world.who("di")
    assert "exchanged" not in (world.judge().folded("foreign_member")[0].cause or "")
