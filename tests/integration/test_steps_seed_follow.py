"""`seed` with rows whose ids changed: all items follow, whatever wrote them."""

from __future__ import annotations

import json
import threading
from typing import Any

from devenv.stores.dynamodb.client import Dynamo, typed_item
from tests.integration.seed_support import ITEMS, USERS, agrees, call, chat, group, ids, message, put, seeds, texts

__all__ = ["chat"]

pytest_plugins = ("tests.integration.step_support",)


# --- Following ---


def test_after_a_rebuild_all_items_follow_the_new_ids_whatever_wrote_them(chat: Any) -> None:
    chat.up()
    old = ids(chat)
    put(chat, pk="MSG#1", sk="2023-02-01", text="sent", user_uuid=old["bob"], user_handle="bob")
    call(chat, "DeleteItem", Key=typed_item({"pk": f"GRP#{old['bob']}", "sk": "2023-01-01"}))
    put(chat, pk=f"GRP#{old['bob']}", sk="2023-02-01", text="sent", user_uuid=old["ada"], user_handle="ada")
    chat.run("setup", fresh=True)
    assert not set(old.values()) & set(ids(chat).values())
    assert chat.look("seed").reason == "3 of 3 ids in public.users.uuid changed"
    assert chat.up()["seed"].summary == "6 items updated because ids changed"
    assert agrees(chat)
    assert texts(chat) == ["GRP#01 hi", "GRP#01 sent", "MSG#01 hello", "MSG#02 hello", "MSG#03 hello", "MSG#01 sent"]
    # And the ledger followed too: a changed file still finds its own items, and only those.
    seeds(chat, [group("ada", "bob", text="new"), *ITEMS[1:]])
    assert chat.up()["seed"].summary == "1 item updated"
    seeds(chat, [])
    assert chat.up()["seed"].summary == "4 items deleted"
    assert texts(chat) == ["GRP#01 sent", "MSG#01 sent"]


def test_ids_changed_behind_devenvs_back_are_followed(chat: Any) -> None:
    chat.up()
    chat.sql("UPDATE users SET uuid = gen_random_uuid() WHERE handle = 'ada'")
    assert chat.look("seed").reason == "1 of 3 ids in public.users.uuid changed"
    chat.up()
    assert agrees(chat)


def test_new_rows_and_renamed_rows_are_no_reason_to_follow(chat: Any) -> None:
    chat.up()
    before = chat.items("chat")
    chat.sql("INSERT INTO users (handle, name) VALUES ('eve', 'Eve')")
    assert chat.look("seed").state == "done"
    # Somebody else takes the handle; the old row is still there, so its items stay with it.
    chat.sql("UPDATE users SET handle = 'old-' || handle WHERE handle LIKE 'o%'")
    chat.sql("INSERT INTO users (handle, name) SELECT substr(handle, 5), 'new' FROM users WHERE handle LIKE 'old-%'")
    assert chat.look("seed").state == "done"
    assert chat.items("chat") == before


def test_ids_whose_row_is_gone_are_left_and_reported(chat: Any) -> None:
    chat.up()
    old = ids(chat)
    put(chat, pk="MSG#2", sk="2023-02-01", text="of bob", user_uuid=old["bob"], user_handle="bob")
    seeds(chat, [message(1, "ada")])
    chat.write("users.sql", USERS.replace("('bob', 'Bob'), ", ""))
    chat.run("setup", fresh=True)
    outcome = chat.up()["seed"]
    assert outcome.warnings == (
        "deleted from public.users: 1 row (bob); items that refer to deleted rows stay as they are",
    )
    assert [item["user_uuid"] for item in chat.items("chat") if item["text"] == "of bob"] == [old["bob"]]
    # The row comes back, with another id again: now its items follow.
    chat.write("users.sql", USERS)
    chat.run("setup", fresh=True)
    chat.up()
    assert agrees(chat)


def test_an_item_is_left_and_reported_when_its_new_key_is_taken(chat: Any) -> None:
    chat.up()
    chat.run("setup", fresh=True)
    put(chat, pk=f"GRP#{ids(chat)['ada']}", sk="2023-01-01", text="taken", user_uuid="x", user_handle="ada")
    outcome = chat.up()["seed"]
    assert len([text for text in outcome.warnings if "because another item has" in text]) == 1
    assert "taken" in [item["text"] for item in chat.items("chat")]


def test_an_item_with_very_many_attributes_follows_too(chat: Any) -> None:
    chat.up()
    many = {f"attribute_with_a_long_name_{number}": "x" for number in range(450)}
    put(chat, pk=f"GRP#{ids(chat)['bob']}", sk="2024-01-01", user_uuid=ids(chat)["ada"], text="long", **many)
    chat.run("setup", fresh=True)
    assert chat.up()["seed"].warnings == ()
    found = [(item["pk"], item["user_uuid"], len(item)) for item in chat.items("chat") if item["text"] == "long"]
    assert found == [(f"GRP#{ids(chat)['bob']}", ids(chat)["ada"], 454)]


def test_no_write_of_the_application_is_lost_while_items_follow(chat: Any) -> None:
    seeds(chat, [*ITEMS[:2], *({**message(1, "ada"), "sk": f"{n:04}"} for n in range(200))])
    chat.up()
    chat.run("setup", fresh=True)
    stop, written = threading.Event(), 0

    def use_the_application() -> None:
        nonlocal written
        with Dynamo(chat.dynamodb) as dynamo:
            while not stop.is_set():
                request = {
                    "TableName": chat.table("chat"),
                    "Key": typed_item({"pk": "MSG#1", "sk": f"{written % 200:04}"}),
                    "UpdateExpression": "ADD likes :one SET note = user_uuid",
                    "ExpressionAttributeValues": typed_item({":one": 1}),
                }
                dynamo.call("UpdateItem", request)
                written += 1

    application = threading.Thread(target=use_the_application)
    application.start()
    try:
        chat.up()
    finally:
        stop.set()
        application.join()
    assert written > 0
    assert sum(item.get("likes", 0) for item in chat.items("chat")) == written
    assert agrees(chat)


def test_copies_in_sets_and_numbers_follow_too(small: Any) -> None:
    table = small.table("chat")
    small.steps.update(
        {"setup": {"files": ["a.sql"]}, "schema-load": {"files": ["t.json"]}, "seed": {"files": ["i.json"]}}
    )
    to = {"to": "postgres:public.people.id", "natural_key": {"name": "name"}}
    small.links += [
        {"from": f"dynamodb:{table}.id", **to},
        {"from": f"dynamodb:{table}.ids", **to},
        {"from": f"dynamodb:{table}.list", **to},
        {"from": f"dynamodb:{table}.tag[<{{}}>]", **to},
    ]
    small.write(
        "a.sql",
        "CREATE TABLE people (id int PRIMARY KEY, name text); INSERT INTO people VALUES (7, 'ada'), (8, 'bob');",
    )
    small.write(
        "t.json",
        json.dumps(
            {
                "TableName": table,
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            }
        ),
    )
    seeds(small, [], name="i.json")
    small.up()
    put(small, id=7, name="ada", ids={8, 7, 99}, list=[7, "8", [7]], tag="<7>", other=7)
    small.sql("UPDATE people SET id = id + 100")
    assert small.up()["seed"].summary == "1 item updated because ids changed"
    assert small.items("chat") == [
        {"id": 107, "name": "ada", "ids": {107, 108, 99}, "list": [107, "108", [107]], "tag": "<107>", "other": 7}
    ]
