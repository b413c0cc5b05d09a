"""Faults of a request that writes: each is named at its layer, and the user's stores stay as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.trace.bench import GROUP, TABLE, Bench

Patch = Callable[[Bench], None]
PLAN = "return sent, [*map(delete, rows), *map(put, moved.values()), put_message(sent, sender)]"
SEND = "patiently(functools.partial(dynamodb().transact_write_items, TransactItems=writes))"


@dataclass(frozen=True)
class WriteFault:
    name: str
    layer: str
    kind: str
    inject: Patch
    object: str


def patch(*changes: tuple[str, str], file: str = "messages.py") -> Patch:
    return lambda bench: bench.patch(file, *changes)


def other_table(bench: Bench) -> None:
    request = {key: bench.table[key] for key in ("KeySchema", "AttributeDefinitions")}
    names = {one["AttributeName"] for one in request["KeySchema"]}
    request["AttributeDefinitions"] = [one for one in request["AttributeDefinitions"] if one["AttributeName"] in names]
    with bench.dynamodb() as dynamodb:
        dynamodb.call("CreateTable", {"TableName": "archive", "BillingMode": "PAY_PER_REQUEST", **request})
    bench.undo.append(lambda: drop(bench, "archive"))
    stored = "put_message(sent, sender)]\n\n    return write(plan)\n\n\ndef start_conversation"
    elsewhere = stored.replace("put_message(sent, sender)", "archived(put_message(sent, sender))")
    helper = (
        "def put(item: Item) -> Write:",
        'def archived(write: Write) -> Write:\n    write["Put"]["TableName"] = "archive"\n    return write\n\n\n'
        "def put(item: Item) -> Write:",
    )
    bench.patch("messages.py", (stored, elsewhere), helper)


def drop(bench: Bench, table: str) -> None:
    with bench.dynamodb() as dynamodb:
        dynamodb.call("DeleteTable", {"TableName": table})


HELPERS = """def other_of(rows: list[Item], sender: User) -> Item:
    uuids = [row["user_uuid"]["S"] for row in rows]
    return {"uuid": next(one for one in uuids if one != sender["uuid"])}


def again(sent: SentMessage, sender: User) -> Write:
    return put_message({**sent, "uuid": str(uuid.uuid4()), "created_at": sent["created_at"].replace("+", "1+")}, sender)


"""


def sent_by(sender: str) -> Patch:
    head = "def put_message("
    return patch(
        (PLAN, PLAN.replace("put_message(sent, sender)", f"put_message(sent, {sender})")), (head, HELPERS + head)
    )


def before_the_write(lines: str) -> Patch:
    end = "    return write(plan)\n\n\ndef start_conversation"
    return patch((end, lines + end))


UPDATE = """    with postgres() as connection:
        connection.execute("UPDATE public.users SET display_name = 'Mei' WHERE handle = 'mei'")
"""
ONE_BY_ONE = """for one in writes:
                ((kind, request),) = one.items()
                getattr(dynamodb(), {"Put": "put_item", "Delete": "delete_item"}[kind])(**request)"""

FAULTS = (
    WriteFault(
        "one of two group rows is not moved",
        "dynamodb",
        "half_group",
        patch((PLAN, "rows = rows[:1]\n        moved = dict(list(moved.items())[:1])\n        " + PLAN)),
        "message_group",
    ),
    WriteFault(
        "a wrong time",
        "dynamodb",
        "wrong_value",
        patch(
            (
                'created_at = datetime.now(UTC).isoformat(timespec="microseconds")',
                'created_at = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="microseconds")',
            )
        ),
        "`sk`",
    ),
    WriteFault("another table", "dynamodb", "written_elsewhere", other_table, "archive"),
    WriteFault("no transaction", "library", "not_atomic", patch((SEND, ONE_BY_ONE)), "DeleteItem, PutItem"),
    WriteFault(
        "a wrong sender", "dynamodb", "wrong_value", sent_by("{**sender, **other_of(rows, sender)}"), "`user_uuid`"
    ),
    WriteFault(
        "the text is cut",
        "dynamodb",
        "wrong_value",
        patch(('"message": {"S": sent["message"]},', '"message": {"S": sent["message"][:8]},')),
        "`message`",
    ),
    WriteFault(
        "the preview stays as it was",
        "dynamodb",
        "wrong_value",
        patch(
            (
                'change = {"sk": {"S": sent["created_at"]}, "message": {"S": message}}',
                'change = {"sk": {"S": sent["created_at"]}}',
            )
        ),
        "message_group",
    ),
    WriteFault(
        "no message is stored",
        "dynamodb",
        "not_written",
        patch((PLAN, "return sent, [*map(delete, rows), *map(put, moved.values())]")),
        "message",
    ),
    WriteFault("stored twice", "dynamodb", "duplicate", sent_by("sender), again(sent, sender"), "2 new messages"),
    WriteFault(
        "the answer names another message",
        "http",
        "body_changed",
        patch((SEND + "\n            return sent", SEND + '\n            return {**sent, "uuid": str(uuid.uuid4())}')),
        "`uuid`",
    ),
    WriteFault(
        "the old group rows stay",
        "dynamodb",
        "not_written",
        patch((PLAN, "return sent, [*map(put, moved.values()), put_message(sent, sender)]")),
        "message_group",
    ),
    WriteFault("a member is refused", "http", "status", before_the_write("    raise NotAMember\n"), "403"),
    WriteFault("a row is changed too", "postgres", "unexpected_write", before_the_write(UPDATE), "public.users"),
)


def checksum(bench: Bench) -> str:
    rows = [bench.sql(f"SELECT to_jsonb(t) FROM {name} t ORDER BY 1") for name in ("users", "activities")]
    items = sorted(json.dumps(item, sort_keys=True) for item in bench.scan(TABLE))
    return hashlib.sha256(json.dumps([rows, items], default=str).encode()).hexdigest()


def act(bench: Bench) -> dict[str, Any]:
    before = checksum(bench)
    document = bench.trace("conversation", GROUP, "--user", "ines", "--action")
    assert checksum(bench) == before, "the user's stores must not change"
    return document


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("actions") / "project")
    yield made
    made.close()


def test_a_sound_write_is_shown_field_by_field(bench: Bench) -> None:
    document = act(bench)
    assert document["verdict"]["status"] == "ok", document["verdict"]
    layers = {layer["name"]: layer for layer in document["layers"]}
    message, rows = layers["dynamodb"]["output"]["written"]
    assert (message["what"], message["change"], len(message["things"])) == ("message", "new", 1)
    assert {one["name"] for one in message["things"][0]["fields"]} == {
        *("message_group_uuid", "sk", "message", "user_uuid", "user_handle", "user_display_name")
    }
    assert (rows["what"], rows["change"]) == ("message_group", "changed")
    assert [one["problem"] for one in rows["things"]] == [None, None]
    assert [one["text"] for one in layers["library"]["output"]["writes"]] == ["TransactWriteItems"]
    assert layers["http"]["output"]["action"]["status"] == 200


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, id=each.name, marks=() if number == 0 else pytest.mark.long)
        for number, each in enumerate(FAULTS)
    ],
)
def test_a_fault_of_a_write_is_named_at_its_layer(bench: Bench, fault: WriteFault) -> None:
    try:
        fault.inject(bench)
        # The code of the running application is not what is tried: it need not start again.
        bench.restart_needed = False
        verdict = act(bench)["verdict"]
    finally:
        bench.restore()
    assert (verdict["layer"], verdict["class"]) == (fault.layer, fault.kind), verdict
    assert fault.object in verdict["summary"]
