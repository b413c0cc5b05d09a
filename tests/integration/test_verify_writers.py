"""verify while the application writes: a correct write under way is no finding."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devenv.stores.dynamodb.client import Dynamo
from tests.conftest import Stores
from tests.integration.doctor_support import messaging
from tests.integration.verify_support import Compared, compared, proxied
from tests.shapes import TIME, conversation


@pytest.fixture
def letters(stores: Stores, tmp_path: Path) -> Iterator[Compared]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield compared(made, tmp_path)


# --- writers at work


def test_correct_writers_at_work_are_no_finding(letters: Compared, stores: Stores) -> None:
    """Changes of both stores twenty times a second, at least one with every page: letters, new people, new names."""
    project = letters.project
    handles = {h: (str(u), h, n) for u, h, n in project.sql("SELECT uuid, handle, display_name FROM users")}
    start = datetime(2024, 5, 2, tzinfo=UTC)
    project.put(*conversation(handles["bo"], handles["cy"], [f"text {n}" for n in range(40)], start))
    stop = threading.Event()
    changed = threading.Semaphore(0)
    done: list[str] = []

    def write() -> None:
        ways = random.Random(5).choices([add_person, send, rename], k=10_000)
        began = time.monotonic()
        with Dynamo(stores.dynamodb) as dynamodb:
            while not stop.wait(max(0.0, began + 0.05 * len(done) - time.monotonic())):
                done.append(ways[len(done)](letters, dynamodb, len(done)))
                changed.release()

    with proxied(stores.dynamodb) as proxy:

        def before(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if operation != "Scan" or request.get("Select"):
                return request
            pages.append(operation)
            assert changed.acquire(timeout=30)
            return {**request, "Limit": 10}

        pages: list[str] = []
        proxy.before = before
        writer = threading.Thread(target=write)
        writer.start()
        try:
            report = letters.through(proxy).verify(segments=3, workers=1, grace_s=0.3)
        finally:
            stop.set()
            writer.join()
    assert report.body["findings"] == {}
    assert report.body["verdict"] == "consistent"
    assert report.body["rechecked"] > 0
    assert len(done) > len(pages) > 10
    assert set(done) == {"sent", "added", "renamed"}


def rename(made: Compared, dynamodb: Dynamo, number: int) -> str:
    """Another name for bo: in Postgres, and then in all items that copy it."""
    name = f"Bo {number}"
    ((bo,),) = made.project.sql("UPDATE users SET display_name = %s WHERE handle = 'bo' RETURNING uuid", name)
    updates = [
        {
            "Update": {
                "TableName": made.project.table,
                "Key": {part: item[part] for part in ("pk", "sk")},
                "UpdateExpression": "SET user_display_name = :name",
                "ExpressionAttributeValues": {":name": {"S": name}},
            }
        }
        for item in made.project.items(user_uuid=str(bo))
    ]
    for first_of_them in range(0, len(updates), 100):
        dynamodb.call("TransactWriteItems", {"TransactItems": updates[first_of_them : first_of_them + 100]})
    return "renamed"


def send(made: Compared, dynamodb: Dynamo, number: int) -> str:
    """A letter, and both rows of its conversation moved, in one transaction."""
    table = made.project.table
    row = min(made.project.items(pk="GRP#"), key=lambda item: item["sk"]["S"])
    group = row["message_group_uuid"]["S"]
    rows = made.project.items(pk="GRP#", message_group_uuid=group)
    at = (datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=number)).strftime(TIME)
    names = ("user_uuid", "user_handle", "user_display_name")
    letter = {
        "pk": {"S": f"MSG#{group}"},
        "sk": {"S": at},
        "message_uuid": {"S": str(uuid.uuid4())},
        "message": {"S": "hello"},
        **{name: row[name] for name in names},
    }
    actions: list[dict[str, Any]] = [{"Put": {"TableName": table, "Item": letter}}]
    for old in rows:
        key = {name: old[name] for name in ("pk", "sk")}
        actions.append({"Delete": {"TableName": table, "Key": key}})
        actions.append({"Put": {"TableName": table, "Item": {**old, "sk": {"S": at}, "message": {"S": "hello"}}}})
    dynamodb.call("TransactWriteItems", {"TransactItems": actions})
    return "sent"


def add_person(made: Compared, dynamodb: Dynamo, number: int) -> str:
    """A new person who at once has a conversation with ada."""
    name = f"p{number}"
    ((new,),) = made.project.sql(
        "INSERT INTO users (display_name, handle, email, cognito_user_id) VALUES (%s, %s, %s, %s) RETURNING uuid",
        *(name, name, f"{name}@example.com", name),
    )
    ((ada, ada_name),) = made.project.sql("SELECT uuid, display_name FROM users WHERE handle = 'ada'")
    at = datetime(2024, 7, 1, tzinfo=UTC) + timedelta(seconds=number)
    items = conversation((str(new), name, name), (str(ada), "ada", ada_name), ["hi"], at)
    from devenv.stores.dynamodb.client import typed_item

    puts = [{"Put": {"TableName": made.project.table, "Item": typed_item(item)}} for item in items]
    dynamodb.call("TransactWriteItems", {"TransactItems": puts})
    return "added"
