"""A thorough look reads DynamoDB's file once, and asks the server only about items that are not as they were loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from devenv.lifecycle.steps import read_inputs, step_context, step_states
from devenv.stack import open_stack
from devenv.steps.registry import Handles
from devenv.steps.seed.since import compare_items, doubted
from devenv.steps.since import Since
from tests.bench.scale import items, write_project
from tests.support import ProjectDir

ITEMS = list(items(60, 10))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = write_project(tmp_path_factory.mktemp("since") / "p", len(ITEMS), 10)
    project.ok("up")
    yield project
    project.remove()


def typed(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in item.items() if not names or name in names}


def compare(project: ProjectDir, *, by_file: bool) -> tuple[Since, list[str]]:
    """The fate of all items, and the keys of those that the server is asked about if the file is read."""
    stack = open_stack(project.path)
    context = replace(step_context(stack, lambda _: None), thorough=True)
    assert context.stored is not None
    with Handles(context) as handles:
        pages = doubted(context, handles.ledger(), "messages", ("pk", "sk"))
        asked = [key.decode() for page in pages for key in page]
        return compare_items(context if by_file else replace(context, stored=None), handles, None), asked


def test_only_what_differs_is_asked_of_the_server(running: ProjectDir) -> None:
    found, asked = compare(running, by_file=True)
    assert (found.number, found.deleted, found.changed, asked) == (len(ITEMS), (), (), [])
    with running.dynamodb() as dynamodb:
        dynamodb.call("DeleteItem", {"TableName": "messages", "Key": typed(ITEMS[7], "pk", "sk")})
        dynamodb.call("PutItem", {"TableName": "messages", "Item": typed(ITEMS[3] | {"message": "other"})})
        dynamodb.call("PutItem", {"TableName": "messages", "Item": typed(ITEMS[0] | {"sk": "strange"})})
    found, asked = compare(running, by_file=True)
    assert [ITEMS[place]["sk"] in key for place, key in zip((3, 7), asked, strict=True)] == [True, True]
    assert [key.split()[1] for key in (*found.deleted, *found.changed)] == [ITEMS[7]["sk"], ITEMS[3]["sk"]]
    assert compare(running, by_file=False)[0] == found
    stack = open_stack(running.path)
    seed = step_states(stack, read_inputs(stack), thorough=True)[-1]
    assert "1 of 60 items has since been deleted" in seed.reason
    assert "1 of 60 items has since been changed by hand" in seed.reason
