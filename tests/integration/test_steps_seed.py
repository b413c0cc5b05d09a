"""`seed` against real stores: loading, merging, references, and following rows whose ids changed."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from devenv.core.errors import DevenvError, UsageError
from devenv.stores.dynamodb.client import typed_item
from tests.integration.seed_support import ITEMS, USERS, agrees, call, chat, group, ids, message, put, seeds, texts

__all__ = ["chat"]

pytest_plugins = ("tests.integration.step_support",)


# --- Loading ---


def test_items_are_loaded_with_their_references_and_then_done(chat: Any) -> None:
    ran = chat.up()
    assert ran["seed"].summary == "5 items loaded"
    now = ids(chat)
    assert [item for item in chat.items("chat") if item["pk"] == f"GRP#{now['ada']}"] == [
        {
            "pk": f"GRP#{now['ada']}",
            "sk": "2023-01-01",
            "text": "hi",
            "user_uuid": now["bob"],
            "user_handle": "bob",
            "user_name": "Bob",
        }
    ]
    assert agrees(chat)
    before = chat.items("chat")
    assert chat.up() == {}
    assert chat.run("seed").summary == "nothing to change"
    assert chat.items("chat") == before


def test_many_items_are_loaded_in_batches(chat: Any) -> None:
    many = [{"pk": f"MSG#{n % 7}", "sk": f"{n:05}", "text": "x" * 50, "user_uuid": "", "n": n} for n in range(603)]
    chat.links.clear()
    seeds(chat, many)
    assert chat.up()["seed"].summary == "603 items loaded"
    assert {int(item["n"]) for item in chat.items("chat")} == set(range(603))
    seeds(chat, many[300:])
    assert chat.run("seed").summary == "300 items deleted"
    assert len(chat.items("chat")) == 303


def test_every_kind_of_value_arrives_exactly(chat: Any) -> None:
    chat.write(
        "items/1.json",
        """{"table": "TABLE", "items": [{"pk": "p", "sk": "s", "rank": 7,
        "exact": 0.1234567890123456789012345678901234567, "large": 12345678901234567890123456789012345678e50,
        "small": -1.50E-100, "zero": -0.0, "yes": true, "nothing": null, "empty": "",
        "list": [1, "two", [3.0], {"four": 4}], "map": {"a b": {"c": []}},
        "names": {"$set": ["b", "a"]}, "numbers": {"$set": [1, 2.50]}, "bytes": {"$binary": "AAE="},
        "text": "100% $1 '' \\" ünï 💥 $${users[handle=ada].uuid} $x {y}",
        "nested": {"id": ["${users[handle=ada].name}"]}, "people": {"$set": ["${users[handle=bob].name}", "x"]},
        "odd": "<${public.\\"users\\"[\\"handle\\"='o''hara \\"x\\" %s ]$'].name}>"}]}""".replace(
            "TABLE", chat.table("chat")
        ),
    )
    chat.up()
    (item,) = chat.items("chat")
    assert item == {
        "pk": "p",
        "sk": "s",
        "rank": 7,
        "exact": Decimal("0.1234567890123456789012345678901234567"),
        "large": Decimal("12345678901234567890123456789012345678e50"),
        "small": Decimal("-1.50E-100"),
        "zero": 0,
        "yes": True,
        "nothing": None,
        "empty": "",
        "list": [1, "two", [3], {"four": 4}],
        "map": {"a b": {"c": []}},
        "names": {"a", "b"},
        "numbers": {1, Decimal("2.5")},
        "bytes": b"\0\1",
        "text": "100% $1 '' \" ünï 💥 ${users[handle=ada].uuid} $x {y}",
        "nested": {"id": ["Ada"]},
        "people": {"Bob", "x"},
        "odd": "<Ó'Hara>",
    }
    assert chat.run("seed").summary == "nothing to change"


def test_a_table_without_a_schema_is_that_of_the_links_whatever_the_search_path(chat: Any) -> None:
    chat.run("setup")
    chat.sql("CREATE SCHEMA archive")
    chat.sql("CREATE TABLE archive.users AS SELECT gen_random_uuid() AS uuid, handle, name FROM public.users")
    named = chat.database.replace('"', '""')
    chat.sql(f'ALTER DATABASE "{named}" SET search_path = archive, public')
    chat.run("schema-load")
    chat.run("seed")
    now = dict(chat.sql("SELECT handle, uuid::text FROM public.users"))
    items = chat.items("chat")
    assert [item["user_uuid"] for item in items] == [now[item["user_handle"]] for item in items]
    assert len(items) == 5


def test_seeds_without_references_and_links_need_no_postgres(chat: Any) -> None:
    chat.links.clear()
    seeds(chat, [{"pk": "a", "sk": "b"}])
    chat.run("schema-load")
    chat.run("seed")
    assert chat.look("seed").state == "done"


# --- Bad input ---


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([{"sk": "x"}], "items/1.json: item 1 of table {table} has no `pk`"),
        ([{"pk": "a", "sk": "x"}, {"pk": "a", "sk": 5}], "items/1.json: item 2 of table {table}: `sk` must be a text"),
        ([{"pk": "a", "sk": "x", "rank": "1"}], "items/1.json: item 1 of table {table}: `rank` must be a number"),
        ([{"pk": "", "sk": "x"}], "items/1.json: item 1 of table {table}: `pk` is empty"),
        ([{"pk": "a" * 2049, "sk": "x"}], "items/1.json: item 1 of table {table}: `pk` is longer than 2048 bytes"),
        ([{"pk": "a", "sk": "x"}] * 2, "items/1.json: item 2 has the same key as items/1.json: item 1"),
        ([group("ada", "bob")] * 2, "items/1.json: item 2 has the same key as items/1.json: item 1"),
        ([{"pk": "a", "sk": "x", "v": "y" * 410_000}], "items/1.json: item 1 of table {table} has 410007 bytes"),
        ([{"pk": "a", "sk": "${users}"}], "items/1.json: item 1, attribute sk: `${{users}}` is not a reference"),
        ([{"pk": "a", "sk": "${users[handle=].x}"}], "items/1.json: item 1, attribute sk: `"),
        ([{"pk": "a", "sk": "x", "v": {"$sot": [1]}}], 'items/1.json: item 1, attribute v: "$sot" is unknown'),
        ([{"pk": "a", "sk": "x", "v": {"$set": []}}], 'items/1.json: item 1, attribute v: "$set" must be a list'),
        ([{"pk": "a", "sk": "x", "v": {"$set": [1, "a"]}}], "items/1.json: item 1, attribute v: a set must have only"),
        (
            [{"pk": "a", "sk": "x", "v": {"$set": [1, 1.0]}}],
            "items/1.json: item 1, attribute v: a set has a member twice",
        ),
        ([{"pk": "a", "sk": "x", "v": {"$binary": "!"}}], 'items/1.json: item 1, attribute v: "$binary" is not base64'),
        (
            [{"pk": "a", "sk": "x", "v": "\ud800"}],
            "items/1.json: item 1, attribute v: the text has half of a surrogate",
        ),
        ([{"pk": "a", "sk": "x", "v": 10**39 + 1}], "items/1.json: item 1, attribute v: a number has more than 38"),
        ([7], "items/1.json: item 1 is not an object"),
    ],
)
def test_items_are_refused_before_anything_is_written(chat: Any, items: list[Any], what: str) -> None:
    seeds(chat, items)
    with pytest.raises(UsageError) as caught:
        chat.read("seed")
    assert caught.value.what.startswith(what.format(table=chat.table("chat")))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b'{"table": "t",\n "items": [{"pk": }]}', "items/1.json:2:19 is not valid JSON"),
        (b'{"table": "t", "items": [{"a": NaN}]}', "items/1.json: NaN is not a number that can be stored"),
        (b'{"table": "t", "items": [{"a": 1e999}]}', "items/1.json: table t has no definition"),
        (b'{"table": "t", "items": [{"pk": "a", "pk": "b"}]}', 'items/1.json: an object has "pk" twice'),
        (b'{"table": "t", "items": {}}', "items/1.json is not a seed file"),
        (b'{"table": "t", "items": [], "item": []}', 'items/1.json: unknown key "item"'),
        (b"[]", "items/1.json is not a seed file"),
        (b"\xff", "items/1.json:1 is not UTF-8"),
        (b"[" * 100_000, "items/1.json is nested too deeply"),
    ],
)
def test_files_that_are_no_seeds_are_refused(chat: Any, text: bytes, what: str) -> None:
    chat.write("items/1.json", text)
    with pytest.raises(UsageError) as caught:
        chat.read("seed")
    assert caught.value.what.startswith(what)


def test_numbers_out_of_range_are_refused(chat: Any) -> None:
    text = '{"table": "TABLE", "items": [{"pk": "a", "sk": "b", "n": 1e999}]}'
    chat.write("items/1.json", text.replace("TABLE", chat.table("chat")))
    with pytest.raises(UsageError, match="outside of DynamoDB's range"):
        chat.read("seed")


def test_a_table_without_definition_is_refused_with_the_nearest_one(chat: Any) -> None:
    chat.write("items/1.json", json.dumps({"table": chat.table("chats"), "items": []}))
    with pytest.raises(UsageError) as caught:
        chat.read("seed")
    assert caught.value.hint == f"did you mean `{chat.table('chat')}`?"


@pytest.mark.parametrize(
    ("reference", "detail", "hint"),
    [
        ("${users[handle=Ada].uuid}", "no row of \"users\" has handle = 'Ada'", "did you mean `ada`?"),
        ("${users[name=nobody].uuid}", "no row of \"users\" has name = 'nobody'", "known are: "),
        ("${user[handle=ada].uuid}", 'there is no table "user"', "did you mean `users`?"),
        ("${x.users[handle=ada].uuid}", 'there is no table "x"."users"', "did you mean `users`?"),
        ("${users[handel=ada].uuid}", 'table "users" has no column `handel`', "did you mean `handle`?"),
        ("${users[handle=ada].id}", 'table "users" has no column `id`', "did you mean `uuid`?"),
        ("${users[nick=x].uuid}", "2 rows of \"users\" have nick = 'x'", "correct items/1.json"),
        ("${users[handle=ada].nick}", "`nick` is NULL in the row", "correct items/1.json"),
        (
            "${users[handle=x'); DROP TABLE users; --].uuid}",
            'no row of "users" has handle = "x\'); DROP TABLE users; --"',
            "known are: ",
        ),
        ('${"users; DROP TABLE users"[handle=ada].uuid}', 'there is no table "users; DROP TABLE users"', ""),
        ('${users["handle = handle OR ""x"[handle=ada].uuid}', None, ""),
    ],
)
@pytest.mark.matrix(4)
def test_references_that_name_nothing_say_what_was_meant(
    chat: Any, reference: str, detail: str | None, hint: str
) -> None:
    chat.up()
    chat.sql("UPDATE users SET nick = 'x' WHERE handle <> 'ada'")
    before = chat.items("chat")
    seeds(chat, [{"pk": "a", "sk": "b"}, {"pk": "a", "sk": "c", "v": reference}])
    if detail is None:
        with pytest.raises(UsageError, match="is not a reference"):
            chat.run("seed")
        return
    with pytest.raises(DevenvError) as caught:
        chat.run("seed")
    assert caught.value.exit_code == 8
    what = f"items/1.json: item 2 of table {chat.table('chat')}: {reference} cannot be resolved"
    assert caught.value.what == what
    assert str(caught.value.detail).startswith(detail)
    assert str(caught.value.hint).startswith(hint)
    assert chat.items("chat") == before
    assert chat.look("seed").state == "failed"
    assert len(ids(chat)) == 3
    seeds(chat, ITEMS)
    chat.run("seed")
    assert chat.look("seed").state == "done"


def test_a_link_to_nothing_is_said_so(chat: Any) -> None:
    chat.links[0]["to"] = "postgres:users.id"
    chat.run("setup")
    chat.run("schema-load")
    with pytest.raises(DevenvError) as caught:
        chat.run("seed")
    assert caught.value.what == "[[links]]: public.users.id cannot be read"
    assert 'column "id" does not exist' in str(caught.value.detail)


def test_a_link_to_a_table_that_the_application_creates_later_stops_nothing(chat: Any) -> None:
    """`up` starts the application after this step: without it the table would never be there."""
    seeds(chat, [{"pk": "a", "sk": "1", "user_uuid": str(uuid.UUID(int=7))}])
    chat.links[0]["to"] = "postgres:visitors.id"
    chat.links[0].pop("natural_key", None)
    chat.run("setup")
    chat.run("schema-load")
    outcome = chat.run("seed")
    assert any("public.visitors did not exist when this step ran" in each for each in outcome.warnings), (
        outcome.warnings
    )
    state = chat.look("seed")
    assert (state.state, "were not compared" in state.reason, "kept their ids" in state.reason) == ("done", True, False)
    chat.sql("CREATE TABLE visitors (id uuid PRIMARY KEY)")
    chat.sql(f"INSERT INTO visitors VALUES ('{uuid.UUID(int=7)}')")
    assert chat.look("seed").state == "done"
    chat.run("seed")
    assert "kept their ids" in chat.look("seed").reason
    chat.sql("DROP TABLE visitors")
    gone = chat.look("seed")
    assert (gone.state, "does not exist any more" in gone.reason) == ("stale", True)
    assert len(chat.items("chat")) == 1


def test_keys_that_become_equal_or_too_long_through_references_are_refused(chat: Any) -> None:
    seeds(chat, [{"pk": "a", "sk": "${users[handle=ada].name}"}, {"pk": "a", "sk": "Ada"}])
    chat.run("setup")
    chat.run("schema-load")
    with pytest.raises(DevenvError, match=r"with its references filled in, items/1\.json: item 2 has the same key"):
        chat.run("seed")
    assert chat.items("chat") == []


def test_a_missing_table_is_said_so(chat: Any) -> None:
    chat.run("setup")
    with pytest.raises(DevenvError) as caught:
        chat.run("seed")
    assert caught.value.what == f"table {chat.table('chat')} does not exist"


# --- Changed files ---


def test_a_changed_file_replaces_adds_and_removes_its_own_items(chat: Any) -> None:
    chat.up()
    seeds(chat, [*ITEMS[:2], message(1, "ada", "changed"), message(3, "ada"), message(4, "bob", "new")])
    assert chat.look("seed").reason == "its files or the links changed"
    assert chat.up()["seed"].summary == "1 item loaded, 1 item updated, 1 item deleted"
    assert texts(chat) == ["GRP#01 hi", "GRP#01 hi", "MSG#01 changed", "MSG#03 hello", "MSG#04 new"]


def test_a_file_taken_away_takes_its_items_with_it(chat: Any) -> None:
    seeds(chat, [message(9, "ada")], name="items/2.json")
    chat.up()
    (chat.root / "items/2.json").unlink()
    assert chat.up()["seed"].summary == "1 item deleted"
    assert len(chat.items("chat")) == 5


def test_items_made_changed_moved_or_deleted_by_others_are_left_alone(chat: Any) -> None:
    chat.up()
    now = ids(chat)
    put(chat, pk="MSG#1", sk="2023-02-01", text="by hand", user_uuid=now["ada"], user_handle="ada")
    put(chat, pk="MSG#1", sk="2023-01-01", text="edited", user_uuid=now["ada"], user_handle="ada")
    call(chat, "DeleteItem", Key=typed_item({"pk": "MSG#1", "sk": "2023-01-02"}))
    # What a send does to a group row: the sort key moves on.
    call(chat, "DeleteItem", Key=typed_item({"pk": f"GRP#{now['ada']}", "sk": "2023-01-01"}))
    moved = {"pk": f"GRP#{now['ada']}", "sk": "2023-02-01", "text": "by hand", "user_uuid": now["bob"]}
    put(chat, **moved, user_handle="bob", user_name="Bob")
    seeds(
        chat,
        [
            group("ada", "bob", text="from the file"),
            group("bob", "ada", text="from the file"),
            message(1, "ada", "from the file"),
            message(2, "bob", "from the file"),
            message(3, "ada", "from the file"),
            message(32, "ada", "from the file"),
        ],
    )
    outcome = chat.up()["seed"]
    assert outcome.summary == (
        "1 item loaded, 2 items updated, 1 item changed after loading (kept), "
        "2 items deleted after loading (not loaded again)"
    )
    assert texts(chat) == [
        "GRP#01 from the file",
        "GRP#01 by hand",
        "MSG#01 edited",
        "MSG#03 from the file",
        "MSG#32 from the file",
        "MSG#01 by hand",
    ]
    assert chat.foreign("seed") == (
        "DynamoDB has items that devenv did not write, or that changed after devenv wrote them:"
        f" 3 in table {chat.table('chat')}"
    )
    # Also when they leave the files.
    seeds(chat, [])
    chat.up()
    assert texts(chat) == ["GRP#01 by hand", "MSG#01 edited", "MSG#01 by hand"]


def test_a_seed_that_meets_an_item_of_another_user_leaves_it(chat: Any) -> None:
    chat.run("setup")
    chat.run("schema-load")
    put(chat, pk="MSG#1", sk="2023-01-01", text="by hand", user_uuid="x", user_handle="ada")
    outcome = chat.run("seed")
    assert outcome.summary == "4 items loaded"
    assert outcome.warnings == (
        f"table {chat.table('chat')}: left unchanged 1 item that devenv did not write"
        ' ({"pk":{"S":"MSG#1"},"sk":{"S":"2023-01-01"}})',
    )
    seeds(chat, [])
    chat.run("seed")
    assert texts(chat) == ["MSG#01 by hand"]


def test_a_changed_row_is_read_again(chat: Any) -> None:
    chat.up()
    chat.write("users.sql", USERS.replace("'Bob'", "'Robert'"))
    ran = chat.up()
    assert list(ran) == ["setup", "seed"]
    assert {item["user_name"] for item in chat.items("chat") if "user_name" in item} == {"Ada", "Robert"}
    chat.sql("UPDATE users SET name = 'Roberta' WHERE handle = 'bob'")
    state = chat.look("seed")
    assert state.reason == "1 reference now resolves to another value (${users[handle=bob].name})"
    assert (state.follows, state.stuck) == (True, False)
    chat.up()
    assert {item["user_name"] for item in chat.items("chat") if "user_name" in item} == {"Ada", "Roberta"}
    chat.sql("UPDATE users SET handle = 'robert' WHERE handle = 'bob'")
    state = chat.look("seed")
    assert state.reason.startswith("${users[handle=bob].name}: ")
    assert (state.follows, state.stuck) == (True, True)


@pytest.mark.parametrize("how", ["recreated", "emptied"])
def test_a_table_that_lost_everything_is_loaded_again(chat: Any, how: str) -> None:
    chat.up()
    if how == "recreated":
        chat.run("schema-load", fresh=True)
    else:
        for item in chat.items("chat"):
            call(chat, "DeleteItem", Key=typed_item({"pk": item["pk"], "sk": item["sk"]}))
    reason = chat.look("seed").reason
    assert reason == f"table {chat.table('chat')} {'was recreated' if how == 'recreated' else 'is empty'}"
    assert chat.up()["seed"].summary == "5 items loaded"


def test_from_scratch_empties_the_tables_first(chat: Any) -> None:
    chat.up()
    put(chat, pk="MSG#1", sk="2023-02-01", text="by hand", user_uuid="x", user_handle="ada")
    call(chat, "DeleteItem", Key=typed_item({"pk": "MSG#1", "sk": "2023-01-02"}))
    assert chat.run("seed", fresh=True).summary == "5 items loaded"
    assert len(chat.items("chat")) == 5
    assert chat.foreign("seed") is None
    assert chat.look("seed").state == "done"
