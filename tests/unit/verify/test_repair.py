"""Plans of repairs: what is written, from what to what, and what is left alone. Pure."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from devenv.links.judge import LinkJudgement
from devenv.stores.dynamodb.client import plain, typed_item
from devenv.verify.repair import Write, describe_write, plan_repairs, request
from tests.shapes import PLAN, TABLE, World


@pytest.fixture
def world() -> World:
    return World()


def carry_out(world: World, writes: tuple[Write, ...]) -> None:
    """Do to the world's items what the writes do to a table."""
    for write in writes:
        if write.before is not None:
            world.items.remove(plain(write.before))
        if write.after is not None:
            world.items.append(plain(write.after))


def kinds(judgement: LinkJudgement) -> set[str]:
    return {fault.kind for fault in judgement.faults}


def sorted_items(world: World) -> list[dict[str, Any]]:
    return sorted(world.items, key=lambda item: (item["pk"], item["sk"]))


def test_nothing_wrong_is_nothing_to_write(world: World) -> None:
    assert plan_repairs(world.judge(), PLAN) == ()


def test_new_ids_reach_every_item_and_key_and_nothing_else_changes(world: World) -> None:
    expected = World()
    expected.rows = world.rows
    expected.items = [dict(item) for item in world.items]
    for row in world.rows:
        old, row["uuid"] = str(row["uuid"]), uuid.uuid4()
        for item in expected.items:
            for name in ("pk", "user_uuid"):
                item[name] = item[name].replace(old, str(row["uuid"]))
    writes = plan_repairs(world.judge(), PLAN)
    assert len(writes) == 21
    assert sum(write.moves for write in writes) == 4
    carry_out(world, writes)
    assert sorted_items(world) == sorted_items(expected)
    assert kinds(world.judge()) == set()


def test_only_what_differs_is_changed(world: World) -> None:
    world.row("bo")["display_name"] = "Bo Harbour"
    writes = plan_repairs(world.judge(), PLAN)
    assert {tuple(write.changes) for write in writes} == {("user_display_name",)}
    assert not any(write.moves for write in writes)
    carry_out(world, writes)
    assert kinds(world.judge()) == set()


def test_new_id_and_stale_copy_of_one_item_are_one_write(world: World) -> None:
    world.row("bo").update(uuid=uuid.uuid4(), display_name="Bo Harbour")
    writes = plan_repairs(world.judge(), PLAN)
    assert ("mismatched_id", "stale_copy") in {write.reasons for write in writes}
    assert len({id(write.before) for write in writes}) == len(writes)
    carry_out(world, writes)
    assert kinds(world.judge()) == set()


@pytest.mark.parametrize("side", ["ada", "bo"])
def test_the_missing_half_is_made_from_the_other(world: World, side: str) -> None:
    lost = next(head for head in world.heads(world.first) if head["pk"] == f"GRP#{world.id(side)}")
    world.items.remove(lost)
    (write,) = plan_repairs(world.judge(), PLAN)
    assert write.before is None
    assert plain(write.after or {}) == lost


def test_the_missing_half_of_moved_ids_is_made_with_the_new_ones(world: World) -> None:
    world.items.remove(world.heads(world.first)[0])
    for row in world.rows:
        row["uuid"] = uuid.uuid4()
    carry_out(world, plan_repairs(world.judge(), PLAN))
    assert kinds(world.judge()) == set()
    assert len(world.heads(world.first)) == 2


def test_a_stale_preview_is_moved_to_the_newest_letter(world: World) -> None:
    head = world.heads(world.first)[0]
    right = dict(head)
    head.update(sk="2024-01-01T00:00:00.000000+00:00", message="old")
    (write,) = plan_repairs(world.judge(), PLAN)
    assert write.moves
    assert plain(write.after or {}) == right


def test_a_blank_beside_a_known_natural_key_is_filled_in(world: World) -> None:
    letter = world.letters(world.first)[0]
    letter["user_uuid"] = "MY_USER_UUID"
    (write,) = plan_repairs(world.judge(), PLAN)
    assert write.changes == {"user_uuid": ({"S": "MY_USER_UUID"}, {"S": world.id("ada")})}


def test_times_with_a_zone_are_rewritten_and_others_left(world: World) -> None:
    first, second = world.letters(world.first)[:2]
    first["sk"], second["sk"] = "2024-05-01T12:00:00.000000+02:00", "2024-05-01T10:00:44"
    (write,) = plan_repairs(world.judge(), PLAN)
    assert (write.after or {})["sk"] == {"S": "2024-05-01T10:00:00.000000+00:00"}


def test_a_key_that_another_item_has_is_not_taken(world: World) -> None:
    first, second = world.letters(world.first)[:2]
    first["sk"] = second["sk"].replace("+00:00", "Z")
    assert plan_repairs(world.judge(), PLAN) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda w: w.letters(w.first)[0].pop("message"),
        lambda w: w.items.append({**w.letters(w.first)[0], "sk": "2024-05-01T10:00:01.000000+00:00"}),
        lambda w: w.letters(w.first)[0].update(user_uuid=str(uuid.uuid4()), user_handle="nobody"),
        lambda w: w.letters(w.first)[0].update(sk="2035-01-01T00:00:00.000000+00:00"),
        lambda w: w.letters(w.first)[0].update(user_uuid=w.id("di")),
        lambda w: w.letters(w.first)[0].update(message=7),
    ],
    ids=["missing attribute", "duplicate", "orphan", "future", "ambiguous id", "type"],
)
def test_what_could_lose_something_is_left_alone(world: World, damage: Any) -> None:
    damage(world)
    assert kinds(world.judge())
    assert plan_repairs(world.judge(), PLAN) == ()


def test_undone_twice_is_the_write_itself(world: World) -> None:
    world.row("bo")["uuid"] = uuid.uuid4()
    before = sorted_items(world)
    writes = plan_repairs(world.judge(), PLAN)
    carry_out(world, writes)
    carry_out(world, tuple(write.undone() for write in writes))
    assert sorted_items(world) == before
    assert [write.undone().undone() for write in writes] == list(writes)


# --- the requests


OLD = typed_item({"pk": "GRP#1", "sk": "a", "name": "Bo", "extra": "x"})
KEYS = ("pk", "sk")


def test_a_changed_attribute_is_an_update_that_holds_every_old_value() -> None:
    new = typed_item({"pk": "GRP#1", "sk": "a", "name": "Bo Harbour"})
    assert request(Write(TABLE, KEYS, OLD, new, ())) == (
        "UpdateItem",
        {
            "TableName": TABLE,
            "Key": {"pk": {"S": "GRP#1"}, "sk": {"S": "a"}},
            "ConditionExpression": "#o0 = :o0 AND #o1 = :o1 AND #o2 = :o2 AND #o3 = :o3",
            "ExpressionAttributeNames": {
                "#o0": "pk",
                "#o1": "sk",
                "#o2": "name",
                "#o3": "extra",
                "#n0": "name",
                "#n1": "extra",
            },
            "ExpressionAttributeValues": {
                ":o0": {"S": "GRP#1"},
                ":o1": {"S": "a"},
                ":o2": {"S": "Bo"},
                ":o3": {"S": "x"},
                ":n0": {"S": "Bo Harbour"},
            },
            "UpdateExpression": "SET #n0 = :n0 REMOVE #n1",
        },
    )


def test_a_changed_key_is_one_transaction() -> None:
    new = {**OLD, "pk": {"S": "GRP#2"}}
    operation, body = request(Write(TABLE, KEYS, OLD, new, ()))
    delete, put = body["TransactItems"]
    assert operation == "TransactWriteItems"
    assert delete["Delete"]["Key"] == {"pk": {"S": "GRP#1"}, "sk": {"S": "a"}}
    assert "#o2 = :o2" in delete["Delete"]["ConditionExpression"]
    assert put["Put"]["Item"] == new
    assert put["Put"]["ConditionExpression"] == "attribute_not_exists(#k)"


def test_a_new_item_is_put_where_nothing_is_and_taken_back_by_a_delete() -> None:
    write = Write(TABLE, KEYS, None, OLD, ())
    assert request(write)[0] == "PutItem"
    assert request(write.undone())[0] == "DeleteItem"


def test_from_nothing_to_nothing_is_no_write() -> None:
    with pytest.raises(ValueError, match="nothing"):
        request(Write(TABLE, KEYS, None, None, ()))


def test_a_write_is_shown_before_and_after() -> None:
    new = {**OLD, "name": {"S": "Bo Harbour"}}
    assert describe_write(Write(TABLE, KEYS, OLD, new, ("stale_copy",)), "applied") == {
        "table": TABLE,
        "key": {"pk": "GRP#1", "sk": "a"},
        "reasons": ["stale_copy"],
        "state": "applied",
        "changes": [{"attribute": "name", "before": "Bo", "after": "Bo Harbour"}],
    }


def test_the_missing_half_has_nothing_of_the_other_sides_own(world: World) -> None:
    lost = next(head for head in world.heads(world.first) if head["pk"] == f"GRP#{world.id('ada')}")
    world.items.remove(lost)
    (half,) = world.heads(world.first)
    half.update(unread=3, muted=True)
    (write,) = plan_repairs(world.judge(), PLAN)
    assert write.after is not None
    assert plain(write.after) == lost


def test_a_condition_stays_below_what_an_expression_may_hold(world: World) -> None:
    world.row("bo")["display_name"] = "Bo Harbour"
    for item in world.items:
        item.update({f"extra_{number}": number for number in range(450)})
    for write in plan_repairs(world.judge(), PLAN):
        _, body = request(write)
        assert len(body["ConditionExpression"]) < 4096
        assert "user_display_name" in body["ExpressionAttributeNames"].values()
