"""Every fault of failures.md that can be seen standing still, in the reference project as `devenv up` makes it.

Each is injected into the real stores or the real process; doctor must name it by the right code and the right ids and
exit 1; after `--fix`, or the command that it prints, all is well again. Then pairs of them.
"""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo
from tests.support import ProjectDir, reference_project

TABLE = "cruddur-messages"
MAIN = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
Item = dict[str, Any]


@dataclass
class Stack:
    """The reference project, up; and its stores, to be damaged."""

    project: ProjectDir
    env: dict[str, str]
    sessions: list[psycopg.Connection[Any]] = field(default_factory=list)
    dirty: bool = False

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.env["DATABASE_URL"], autocommit=True)

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def id(self, handle: str) -> str:
        ((found,),) = self.sql("SELECT uuid FROM users WHERE handle = %s", handle)
        return str(found)

    @contextmanager
    def dynamo(self) -> Iterator[Dynamo]:
        env = self.env
        target = DynamoTarget(
            env["AWS_ENDPOINT_URL_DYNAMODB"], env["AWS_REGION"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
        )
        with Dynamo(target) as dynamo:
            yield dynamo

    def items(self, prefix: str) -> list[Item]:
        with self.dynamo() as dynamo:
            found = [item for item in dynamo.scan(TABLE) if item["pk"]["S"].startswith(prefix)]
        return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    def letters(self) -> list[Item]:
        return self.items(f"MSG#{MAIN}")

    def heads(self) -> list[Item]:
        return [item for item in self.items("GRP#") if item["message_group_uuid"]["S"] == MAIN]

    def put(self, item: Item) -> None:
        with self.dynamo() as dynamo:
            dynamo.call("PutItem", {"TableName": TABLE, "Item": item})

    def delete(self, item: Item) -> None:
        with self.dynamo() as dynamo:
            dynamo.call("DeleteItem", {"TableName": TABLE, "Key": {"pk": item["pk"], "sk": item["sk"]}})

    def change(self, item: Item, **texts: str | None) -> None:
        self.delete(item)
        changed = {**item, **{name: {"S": text} for name, text in texts.items() if text is not None}}
        self.put({name: value for name, value in changed.items() if texts.get(name, "") is not None})

    def remake_table(self, change: Callable[[dict[str, Any]], None]) -> None:
        """The table again, from a definition that differs by `change`, with its items (not devenv's own any more)."""
        definition = json.loads((self.project.path / f"seeds/dynamodb/tables/{TABLE}.json").read_text())
        items = self.items("")
        change(definition)
        with self.dynamo() as dynamo:
            dynamo.call("DeleteTable", {"TableName": TABLE})
            dynamo.call("CreateTable", definition)
            dynamo.write_batch(TABLE, [{"PutRequest": {"Item": item}} for item in items])
        self.dirty = True

    def doctor(self, *options: str) -> dict[str, Any]:
        return self.project.json("doctor", *options)

    def carry_out(self, command: str) -> None:
        """Type a command that doctor printed, agreeing to what it asks."""
        for part in command.split(" && "):
            words = shlex.split(part)
            assert words[0] == "devenv", command
            agree = ["-y"] if words[1] in ("setup", "schema-load", "seed", "reset") else []
            assert self.project.devenv(*words[1:], *agree).code == 0, part


def findings(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in report["checks"] if row["status"] not in ("ok", "skip")}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    project = reference_project(tmp_path_factory.mktemp("faults") / "project")
    project.ok("up")
    yield Stack(project, project.env())
    project.remove()


@pytest.fixture
def stack(up: Stack) -> Iterator[Stack]:
    """The stack, healthy at the beginning, whatever the test before did."""
    if up.dirty or up.doctor()["verdict"] != "healthy":
        up.project.ok("reset", "-y")
        up.dirty = False
    yield up
    while up.sessions:
        up.sessions.pop().close()


# --- the faults: each does its damage and returns the ids that doctor must name


def idle_in_transaction(s: Stack) -> set[str]:
    connection = psycopg.connect(s.env["DATABASE_URL"])
    s.sessions.append(connection)
    connection.execute("SELECT 1 FROM users")
    pid = connection.info.backend_pid
    s.sql("SELECT pg_sleep(3.2)")
    return {str(pid)}


def no_table(s: Stack) -> set[str]:
    with s.dynamo() as dynamo:
        dynamo.call("DeleteTable", {"TableName": TABLE})
    return {TABLE}


def no_index(s: Stack) -> set[str]:
    def change(definition: dict[str, Any]) -> None:
        del definition["GlobalSecondaryIndexes"]
        del definition["AttributeDefinitions"][2]

    s.remake_table(change)
    return {TABLE}


def other_index_keys(s: Stack) -> set[str]:
    def change(definition: dict[str, Any]) -> None:
        definition["GlobalSecondaryIndexes"][0]["KeySchema"] = [
            {"AttributeName": "message_group_uuid", "KeyType": "HASH"},
            {"AttributeName": "pk", "KeyType": "RANGE"},
        ]

    s.remake_table(change)
    return {TABLE}


def no_column(s: Stack) -> set[str]:
    s.sql("ALTER TABLE users DROP COLUMN email")
    return {"public.users.email"}


def wrong_column_type(s: Stack) -> set[str]:
    s.sql("ALTER TABLE activities ALTER reply_to_activity_uuid TYPE integer USING NULL")
    return {"public.activities.reply_to_activity_uuid"}


def row_missing(s: Stack) -> set[str]:
    found = {s.id("tove")}
    s.sql("DELETE FROM activities WHERE user_uuid = (SELECT uuid FROM users WHERE handle = 'tove')")
    s.sql("DELETE FROM users WHERE handle = 'tove'")
    return found


def handle_differs(s: Stack) -> set[str]:
    s.sql("UPDATE users SET handle = 'inez' WHERE handle = 'ines'")
    return {s.id("inez")}


def handle_with_a_blank(s: Stack) -> set[str]:
    s.sql("UPDATE users SET handle = 'tove ' WHERE handle = 'tove'")
    return {s.id("tove ")}


def handle_twice(s: Stack) -> set[str]:
    s.sql("ALTER TABLE users DROP CONSTRAINT users_handle_key")
    s.sql(
        "INSERT INTO users (display_name, handle, email, cognito_user_id)"
        " VALUES ('Tove 2', 'tove', 'tove2@example.com', 'x')"
    )
    return {str(found) for (found,) in s.sql("SELECT uuid FROM users WHERE handle = 'tove'")}


def sign_in_placeholder(s: Stack) -> set[str]:
    s.sql("UPDATE users SET cognito_user_id = 'MOCK' WHERE handle = 'ines'")
    return {s.id("ines")}


def every_uuid_changed(s: Stack) -> set[str]:
    s.dirty = True  # Mended, it is healthy, but what setup loaded has other uuids: later faults would be told by those.
    s.sql("ALTER TABLE activities DROP CONSTRAINT activities_user_uuid_fkey")
    s.sql(
        "WITH new AS (SELECT uuid AS old, gen_random_uuid() AS fresh FROM users),"
        " a AS (UPDATE activities SET user_uuid = fresh FROM new WHERE user_uuid = old)"
        " UPDATE users SET uuid = fresh FROM new WHERE uuid = old"
    )
    s.sql("ALTER TABLE activities ADD FOREIGN KEY (user_uuid) REFERENCES users (uuid)")
    return {s.id(handle) for handle in ("ines", "rafael", "mei", "jonas", "priya")}


def one_uuid_differs(s: Stack) -> set[str]:
    new = str(uuid.uuid4())
    for item in s.items(""):
        if item["user_handle"]["S"] == "jonas" and item["pk"]["S"].startswith("MSG#"):
            s.change(item, user_uuid=new)
    return {s.id("jonas"), new}


def name_changed(s: Stack) -> set[str]:
    s.dirty = True  # Fixed, it is healthy, but the name stays: a second change of it would be none.
    s.sql("UPDATE users SET display_name = 'Ines H.' WHERE handle = 'ines'")
    return {s.id("ines")}


def user_deleted(s: Stack) -> set[str]:
    found = {s.id("jonas")}
    s.sql("DELETE FROM activities WHERE user_uuid = (SELECT uuid FROM users WHERE handle = 'jonas')")
    s.sql("DELETE FROM users WHERE handle = 'jonas'")
    return found


def group_row_twice(s: Stack) -> set[str]:
    s.put({**s.heads()[0], "sk": {"S": "2023-06-01T00:00:00.000000+00:00"}})
    return {MAIN}


def message_twice(s: Stack) -> set[str]:
    letter = s.letters()[0]
    s.put({**letter, "sk": {"S": "2023-06-01T00:00:00.000000+00:00"}})
    return {letter["message_uuid"]["S"]}


def everything_twice(s: Stack) -> set[str]:
    """As a seed does that makes new ids and times whenever it is loaded."""
    for letter in s.letters():
        later = letter["sk"]["S"].replace("2023-05", "2023-03").replace("2023-06", "2023-04")
        s.put({**letter, "sk": {"S": later}, "message_uuid": {"S": str(uuid.uuid4())}})
    return {MAIN}


def future(s: Stack) -> set[str]:
    letter = s.letters()[13]
    s.change(letter, sk="2133-06-24T20:57:02.000000+00:00")
    return {letter["message_uuid"]["S"]}


def naive_time(s: Stack) -> set[str]:
    letter = s.letters()[16]
    s.change(letter, sk=letter["sk"]["S"].removesuffix("+00:00"))
    return {letter["message_uuid"]["S"]}


def offset_time(s: Stack) -> set[str]:
    letter = s.letters()[19]
    s.change(letter, sk=letter["sk"]["S"].replace("+00:00", "+02:00"))
    return {letter["message_uuid"]["S"]}


def stale_preview(s: Stack) -> set[str]:
    head = s.heads()[0]
    s.change(head, sk="2023-06-01T00:00:00.000000+00:00", message="an older text")
    return {MAIN}


def message_without_its_rows(s: Stack) -> set[str]:
    # After the newest: that may be the one of a test before, whose rows were corrected.
    letter = s.letters()[-1]
    later = datetime.fromisoformat(letter["sk"]["S"]) + timedelta(days=1)
    changed = {"sk": later.isoformat(timespec="microseconds"), "message_uuid": str(uuid.uuid4())}
    s.put({**letter, **{name: {"S": text} for name, text in changed.items()}})
    return {MAIN}


def placeholder_uuid(s: Stack) -> set[str]:
    letter = s.letters()[22]
    s.change(letter, user_uuid="MY_USER_UUID")
    return {letter["message_uuid"]["S"]}


def placeholder_handle(s: Stack) -> set[str]:
    letter = s.letters()[25]
    s.change(letter, user_handle="MY_OTHER_HANDLE")
    return {letter["message_uuid"]["S"]}


def placeholder_owner(s: Stack) -> set[str]:
    s.change(s.heads()[0], pk="GRP#{{my_user_uuid}}")
    return {MAIN}


def missing_attribute(s: Stack) -> set[str]:
    letter = s.letters()[28]
    s.change(letter, message=None)
    return {letter["message_uuid"]["S"]}


def half_a_conversation(s: Stack) -> set[str]:
    s.delete(s.heads()[0])
    return {MAIN}


def stranger(s: Stack) -> set[str]:
    letter = s.letters()[31]
    s.change(letter, user_uuid=s.id("tove"), user_handle="tove", user_display_name="Tove Adeyemi")
    return {letter["message_uuid"]["S"]}


def capital_letters(s: Stack) -> set[str]:
    letter = s.letters()[34]
    s.change(letter, user_uuid=letter["user_uuid"]["S"].upper())
    return {letter["message_uuid"]["S"]}


def number_for_text(s: Stack) -> set[str]:
    letter = s.letters()[37]
    s.put({**letter, "message": {"N": "7"}})
    return {letter["message_uuid"]["S"]}


@dataclass(frozen=True)
class Fault:
    """`row`: of failures.md, or why it is here. `fixed`: whether `--fix` mends it; else the printed command must.

    `beside`: what else the damage really is. `many`: the command mends the first of several.
    """

    row: int | str
    inject: Callable[[Stack], set[str]]
    code: str
    fixed: bool = False
    beside: tuple[str, ...] = ()
    many: bool = False


FAULTS = (
    Fault(12, idle_in_transaction, "SVC005"),
    Fault(13, no_table, "SCH002", fixed=True),
    Fault(13, no_index, "SCH003", fixed=True),
    Fault(14, other_index_keys, "SCH003", fixed=True),
    Fault(15, no_column, "SCH001"),
    Fault(15, wrong_column_type, "SCH001"),
    Fault(16, row_missing, "DAT013"),
    Fault(17, handle_differs, "XST003", fixed=True),
    Fault(17, handle_with_a_blank, "DAT011"),
    Fault("duplicate handles", handle_twice, "DAT011", beside=("SCH001",)),
    Fault(18, sign_in_placeholder, "DAT012"),
    Fault(19, every_uuid_changed, "XST002", fixed=True),
    Fault(20, one_uuid_differs, "XST002", fixed=True),
    Fault(21, name_changed, "XST003", fixed=True),
    Fault(22, user_deleted, "XST001"),
    Fault(23, group_row_twice, "DAT007"),
    Fault(23, message_twice, "DAT007"),
    Fault(23, everything_twice, "DAT007", many=True),
    Fault(24, future, "DAT006"),
    Fault(25, naive_time, "DAT005"),
    Fault(25, offset_time, "DAT005", fixed=True),
    Fault(26, stale_preview, "DAT010", fixed=True),
    Fault(26, message_without_its_rows, "DAT010", fixed=True),
    Fault(27, placeholder_uuid, "DAT004", fixed=True),
    Fault(27, placeholder_handle, "DAT004", fixed=True),
    Fault(27, placeholder_owner, "DAT004"),
    Fault(28, missing_attribute, "DAT001"),
    Fault("a lost write", half_a_conversation, "DAT008", fixed=True),
    Fault("no member", stranger, "DAT009"),
    Fault("spelling", capital_letters, "DAT002", fixed=True),
    Fault("type", number_for_text, "DAT003"),
)
IDS = [f"{fault.row}-{fault.inject.__name__}" for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
@pytest.mark.matrix(8)
def test_one_fault_is_named_and_can_be_fixed(stack: Stack, fault: Fault) -> None:
    ids = fault.inject(stack)
    report = stack.doctor()
    assert report["exit_code"] == 1
    assert set(findings(report)) == {fault.code, *fault.beside}
    row = findings(report)[fault.code]
    assert ids <= set(row["subjects"]), row
    assert row["fix"]["safe"] is fault.fixed
    if fault.fixed:
        assert stack.doctor("--fix")["verdict"] == "healthy"
    elif row["fix"]["command"].startswith('devenv db "SELECT'):
        stack.carry_out(row["fix"]["command"])  # It shows the rows: which of them is right, only a person knows.
        return
    else:
        stack.carry_out(row["fix"]["command"])
        if fault.many:
            return
        stack.doctor("--fix")
    after = stack.doctor()
    assert findings(after) == {}
    assert (after["exit_code"], after["verdict"]) == (0, "healthy")


def test_a_lost_row_comes_back_under_the_id_that_items_name_now(stack: Stack) -> None:
    every_uuid_changed(stack)
    assert stack.doctor("--fix")["verdict"] == "healthy"
    (jonas,) = user_deleted(stack)
    row = findings(stack.doctor())["XST001"]
    assert jonas in row["subjects"]
    stack.carry_out(row["fix"]["command"])
    assert stack.id("jonas") == jonas
    assert stack.doctor()["verdict"] == "healthy"


# Damage to data, in pairs: each hides nothing of the other. (Damage to a schema makes doctor skip what needs it.)
DATA = [fault for fault in FAULTS if fault.code.startswith(("DAT", "XST"))]
# New uuids come first: what the other then names is what it is named by.
PAIRS = [
    (second, first) if second.inject is every_uuid_changed else (first, second)
    for first, second in zip(DATA, DATA[7:] + DATA[:7], strict=True)
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a.inject.__name__}+{b.inject.__name__}" for a, b in PAIRS])
@pytest.mark.matrix(8)
def test_two_faults_are_both_named(stack: Stack, first: Fault, second: Fault) -> None:
    expected: dict[str, set[str]] = {}
    for fault in (first, second):
        expected.setdefault(fault.code, set()).update(fault.inject(stack))
    found = findings(stack.doctor())
    assert set(expected) <= set(found)
    for code, ids in expected.items():
        assert ids & set(found[code]["subjects"]), (code, ids, found[code])
