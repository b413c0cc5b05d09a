"""What DynamoDB said of a table is kept as long as its file defines it so: to say it again, it counts all items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.engines.embedded.dynamodb_file import read_definitions
from devenv.lifecycle.steps import step_context
from devenv.snapshots.save import store_file
from devenv.stack import open_stack
from devenv.steps.registry import Handles
from tests.bench.scale import TABLE, write_project
from tests.support import ProjectDir

INDEX = {
    "IndexName": "by-group",
    "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = write_project(tmp_path_factory.mktemp("kept") / "p", 100, 10)
    project.ok("up")
    yield project
    project.remove()


@pytest.fixture(autouse=True)
def as_declared(running: ProjectDir) -> Iterator[None]:
    """Each test leaves the table as the project declares it."""
    yield
    with running.dynamodb() as dynamodb:
        dynamodb.call("DeleteTable", {"TableName": "messages"})
    running.ok("up")


def seen(project: ProjectDir) -> dict[str, Any]:
    with Handles(step_context(open_stack(project.path), print)) as handles:
        return dict(handles.describe("messages") or {})


def was_kept(described: dict[str, Any]) -> bool:
    """What is kept says nothing of items; what DynamoDB says does."""
    assert described["KeySchema"] == TABLE["KeySchema"]
    return "ItemCount" not in described


def test_a_look_after_up_asks_for_no_description_until_the_table_changes(running: ProjectDir) -> None:
    assert was_kept(seen(running))
    first = read_definitions(store_file(open_stack(running.path)))
    attributes = [*TABLE["AttributeDefinitions"], {"AttributeName": "group", "AttributeType": "S"}]
    with running.dynamodb() as dynamodb:
        dynamodb.call("PutItem", {"TableName": "messages", "Item": {"pk": {"S": "MSG#x"}, "sk": {"S": "1"}}})
        assert read_definitions(store_file(open_stack(running.path))) == first
        assert was_kept(seen(running))
        dynamodb.call(
            "UpdateTable",
            {
                "TableName": "messages",
                "AttributeDefinitions": attributes,
                "GlobalSecondaryIndexUpdates": [{"Create": INDEX}],
            },
        )
    changed = seen(running)
    assert not was_kept(changed)
    assert [index["IndexName"] for index in changed["GlobalSecondaryIndexes"]] == ["by-group"]


def test_a_table_that_was_created_again_is_described_again(running: ProjectDir) -> None:
    with running.dynamodb() as dynamodb:
        dynamodb.call("DeleteTable", {"TableName": "messages"})
        assert seen(running) == {}
        dynamodb.call("CreateTable", TABLE)
    assert not was_kept(seen(running))
    steps = {step["name"]: step["state"] for step in running.json("status")["steps"]}
    assert steps["seed"] == "stale"
    running.ok("up")
    assert was_kept(seen(running))


def test_a_stream_that_is_switched_on_is_a_change(running: ProjectDir) -> None:
    assert was_kept(seen(running))
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    with running.dynamodb() as dynamodb:
        dynamodb.call("UpdateTable", {"TableName": "messages", "StreamSpecification": stream})
    assert seen(running)["StreamSpecification"] == stream


def test_a_file_that_cannot_be_read_defines_nothing(tmp_path: Path) -> None:
    assert read_definitions(tmp_path / "none.db") == {}
    (tmp_path / "text.db").write_text("no database\n" * 100)
    assert read_definitions(tmp_path / "text.db") == {}
