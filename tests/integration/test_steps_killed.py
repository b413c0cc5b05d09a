"""`kill -9` at any moment: the next run ends in the same data as an undisturbed one, generated uuids aside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from devenv.stores.dynamodb.client import Dynamo, typed_item
from tests.support import dice

pytest_plugins = ("tests.integration.step_support",)

ROOT = Path(__file__).parents[2]
ROUNDS = 4
LONGEST_S = 3.0  # on a busy machine one run can take much longer than the next
SCHEMA = """
CREATE TABLE users (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text NOT NULL UNIQUE, name text NOT NULL);
CREATE TABLE posts (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_uuid uuid NOT NULL REFERENCES users, text text
);
"""
PEOPLE = ("ada", "bob", "cy")


def write_version(small: Any, version: int) -> None:
    """Two versions of everything: other names, other posts, an index, other items."""
    extra = "CREATE INDEX by_text ON posts (text);" if version == 2 else ""
    rows = "".join(
        f"INSERT INTO users (handle, name) VALUES ('{who}', '{who} {version}');"
        f"INSERT INTO posts (user_uuid, text) SELECT uuid, 'post ' || n FROM users, generate_series({version}, 40) n"
        f" WHERE handle = '{who}';"
        for who in PEOPLE
    )
    small.write("all.sql", SCHEMA + extra + rows)
    items = [
        {
            "pk": f"GRP#${{users[handle={PEOPLE[n % 3]}].uuid}}",
            "sk": f"{n:04}",
            "user_uuid": f"${{users[handle={PEOPLE[(n + 1) % 3]}].uuid}}",
            "user_handle": PEOPLE[(n + 1) % 3],
            "text": f"version {version}" if n % 2 else "same",
        }
        for n in range(version * 50, 600 + version * 50)
    ]
    small.write("items.json", json.dumps({"table": small.table("chat"), "items": items}))


@pytest.fixture
def chat(small: Any) -> Any:
    """A small chat with a few hundred items, nothing loaded yet."""
    table = small.table("chat")
    small.steps.update(
        {"setup": {"files": ["all.sql"]}, "schema-load": {"files": ["t.json"]}, "seed": {"files": ["items.json"]}}
    )
    to = {"to": "postgres:users.uuid", "natural_key": {"user_handle": "handle"}}
    small.links += [{"from": f"dynamodb:{table}.user_uuid", **to}, {"from": f"dynamodb:{table}.pk[GRP#{{}}]", **to}]
    definition = {
        "TableName": table,
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    small.write("t.json", json.dumps(definition))
    return small


def run_and_kill(small: Any, delay_s: float | None, fresh: list[str]) -> tuple[bool, float]:
    """Run the steps in a process of their own and kill it `delay_s` after it began. Whether it was done, seconds."""
    spec = {
        "root": str(small.root),
        "server": [small.server.host, small.server.port, small.server.user, small.server.password],
        "dynamodb": [
            small.dynamodb.endpoint,
            small.dynamodb.region,
            small.dynamodb.access_key,
            small.dynamodb.secret_key,
        ],
        "mark": small.mark,
        "database": small.database,
        "steps": small.steps,
        "links": small.links,
        "fresh": fresh,
    }
    small.write("spec.json", json.dumps(spec))
    command = [sys.executable, "-m", "tests.integration.step_runner", str(small.root / "spec.json")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        if delay_s is not None:
            time.sleep(delay_s)
            process.kill()
        done = process.stdout.readline() == "done\n"
    return done, time.monotonic() - began


def rows(small: Any) -> list[Any]:
    """All rows, with handles in the place of uuids."""
    query = "SELECT handle, name, p.text FROM users JOIN posts p ON p.user_uuid = users.uuid"
    return sorted(small.sql(query))


def items(small: Any) -> list[Any]:
    """All items, with handles in the place of uuids. An id that names no row stays as it is, and so is seen."""
    handles = {str(uuid): handle for handle, uuid in small.sql("SELECT handle, uuid FROM users")}
    found = []
    for item in small.items("chat"):
        owner = item["pk"].removeprefix("GRP#")
        user = item["user_uuid"]
        found.append(
            (handles.get(owner, owner), item["sk"], handles.get(user, user), item["user_handle"], item["text"])
        )
    return sorted(found)


def forget_everything(small: Any) -> None:
    database, small.database = small.database, "postgres"
    server = small.server
    import psycopg

    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
    ) as connection:
        quoted = psycopg.sql.Identifier(database)
        connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
    small.database = database
    with Dynamo(small.dynamodb) as dynamo:
        if small.table("chat") in dynamo.call("ListTables")["TableNames"]:
            dynamo.call("DeleteTable", {"TableName": small.table("chat")})
    (small.root / ".devstate" / "ledger.sqlite").unlink(missing_ok=True)


@pytest.mark.long
def test_killed_in_a_first_load(chat: Any) -> None:
    rng = dice("a first load")
    write_version(chat, 1)
    done, length = run_and_kill(chat, None, [])
    assert done
    expected = rows(chat), items(chat)
    assert len(expected[1]) == 600
    for number in range(ROUNDS):
        forget_everything(chat)
        delay = rng.uniform(0, min(length, LONGEST_S))
        run_and_kill(chat, delay, [])
        chat.up()
        assert (rows(chat), items(chat)) == expected, f"round {number}, killed after {delay:.3f} s"
        assert chat.databases() == [chat.database]


@pytest.mark.long
def test_killed_while_the_ids_change_and_the_files_too(chat: Any) -> None:
    rng = dice("ids and files change")
    expected = {}
    length = 0.0
    for version in (1, 2, 1, 2):
        write_version(chat, version)
        done, length = run_and_kill(chat, None, ["setup"])
        assert done
        if version in expected:
            assert (rows(chat), items(chat)) == expected[version]
        expected[version] = rows(chat), items(chat)
    sent = {"pk": "GRP#", "sk": "9999", "user_handle": "bob", "text": "sent by the application"}
    uuid = dict(chat.sql("SELECT handle, uuid::text FROM users"))
    with Dynamo(chat.dynamodb) as dynamo:
        item = typed_item({**sent, "pk": f"GRP#{uuid['ada']}", "user_uuid": uuid["bob"]})
        dynamo.call("PutItem", {"TableName": chat.table("chat"), "Item": item})
    own = ("ada", "9999", "bob", "bob", "sent by the application")
    for number in range(ROUNDS):
        version = 1 + number % 2
        write_version(chat, version)
        delay = rng.uniform(0, min(length, LONGEST_S))
        run_and_kill(chat, delay, ["setup"])
        if number % 3 == 2:
            # Killed once more, in the recovery.
            run_and_kill(chat, rng.uniform(0, min(length, LONGEST_S)), [])
        chat.up()
        told = f"round {number}, killed after {delay:.3f} s"
        assert rows(chat) == expected[version][0], told
        assert items(chat) == sorted([*expected[version][1], own]), told
        assert chat.databases() == [chat.database]
