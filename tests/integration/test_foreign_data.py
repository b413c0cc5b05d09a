"""Data that devenv did not write is found in DynamoDB's file: for each page of a Scan the server sorts all the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devenv.engines.embedded import dynamodb_file
from devenv.lifecycle.reset import foreign_data
from devenv.lifecycle.steps import read_inputs, step_context
from devenv.snapshots.save import store_file
from devenv.stack import open_stack
from devenv.steps.ledger import decode
from devenv.steps.registry import STEPS
from devenv.steps.seed.strangers import count_strangers
from devenv.steps.step import StepContext
from devenv.stores.dynamodb.client import SCANNED, Dynamo
from tests.bench.scale import write_project
from tests.integration.verify_support import Message, proxied
from tests.support import ProjectDir

EVERY_TYPE = {
    "pk": {"S": "MSG#ö'\"\\"},
    "sk": {"S": "1"},
    "number": {"N": "12345678901234567890.5"},
    "binary": {"B": "AAH/"},
    "yes": {"BOOL": True},
    "none": {"NULL": True},
    "list": {"L": [{"N": "1"}, {"S": ""}, {"L": []}]},
    "map": {"M": {"a": {"M": {}}, "b": {"BS": ["AAE="]}}},
    "texts": {"SS": ["b", "a"]},
    "numbers": {"NS": ["2", "1.5"]},
}
FOREIGN = "DynamoDB has items that devenv did not write, or that changed after devenv wrote them: 2 in table messages"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ProjectDir]:
    project = write_project(tmp_path / "p", 100, 10)
    project.ok("up")
    yield project
    project.remove()


def context(project: ProjectDir) -> StepContext:
    return step_context(open_stack(project.path), print)


def change_one_and_add_one(project: ProjectDir) -> None:
    with project.dynamodb() as dynamodb:
        put(project, EVERY_TYPE)
        first = next(dynamodb.scan("messages"))
        put(project, {**first, "message": {"S": "edited"}})


def put(project: ProjectDir, item: dict[str, Any]) -> None:
    with project.dynamodb() as dynamodb:
        dynamodb.call("PutItem", {"TableName": "messages", "Item": item})


def test_the_file_and_a_scan_give_the_same_answer(running: ProjectDir) -> None:
    by_file = context(running)
    assert by_file.stored is not None
    by_scan = replace(by_file, stored=None)
    assert [count_strangers(each, ["messages", "none"]) for each in (by_file, by_scan)] == [None, None]
    change_one_and_add_one(running)
    assert [count_strangers(each, ["messages", "none"]) for each in (by_file, by_scan)] == [FOREIGN, FOREIGN]
    with running.dynamodb() as dynamodb:
        scanned = list(dynamodb.scan("messages"))
    lots = list(dynamodb_file.read_items(store_file(open_stack(running.path)), "messages"))
    stored = [decode(item) for lot in lots for item in lot]
    assert sorted(stored, key=repr_of) == sorted(scanned, key=repr_of)


def repr_of(item: dict[str, Any]) -> str:
    return repr((item["pk"], item["sk"]))


def test_no_step_scans_and_the_sentence_comes_once(running: ProjectDir) -> None:
    stack = open_stack(running.path)
    change_one_and_add_one(running)
    inputs = read_inputs(stack, whole=True)
    assert foreign_data(stack, [step.name for step in STEPS], inputs) == [FOREIGN]
    with proxied(stack.engine.targets().dynamodb) as proxy:
        asked: set[str] = set()

        def note(operation: str, request: Message) -> Message:
            asked.add(operation)
            return request

        proxy.before = note
        ctx = context(running)
        ctx = replace(ctx, dynamodb=replace(ctx.dynamodb, endpoint=proxy.endpoint))
        assert [step.foreign(ctx, inputs[step.name]) for step in STEPS] == [None, FOREIGN, FOREIGN]
    assert asked == {"DescribeTable"}


def test_a_scan_asks_for_pages_that_the_server_need_not_sort_the_whole_table_for(running: ProjectDir) -> None:
    change_one_and_add_one(running)
    ctx = context(running)
    with proxied(ctx.dynamodb) as proxy:
        scans: list[Message] = []

        def note(operation: str, request: Message) -> Message:
            scans.extend([request] if operation == "Scan" else [])
            return request

        proxy.before = note
        ctx = replace(ctx, stored=None, dynamodb=replace(ctx.dynamodb, endpoint=proxy.endpoint))
        assert count_strangers(ctx, ["messages"]) == FOREIGN
        with Dynamo(ctx.dynamodb) as dynamodb:
            assert len(list(dynamodb.scan("messages"))) == 101
            assert [page["Count"] for page in dynamodb.scan_pages("messages", Limit=60)] == [60, 41]
    assert [request.get("Limit") for request in scans] == [SCANNED, SCANNED, 60, 60]


def test_items_of_a_table_that_was_made_again_are_all_foreign(running: ProjectDir) -> None:
    with running.dynamodb() as dynamodb:
        items = list(dynamodb.scan("messages"))[:2]
        described = dynamodb.call("DescribeTable", {"TableName": "messages"})["Table"]
        dynamodb.call("DeleteTable", {"TableName": "messages"})
        dynamodb.call(
            "CreateTable",
            {
                "TableName": "messages",
                "KeySchema": described["KeySchema"],
                "AttributeDefinitions": described["AttributeDefinitions"],
                "BillingMode": "PAY_PER_REQUEST",
            },
        )
    for item in items:
        put(running, item)
    assert count_strangers(context(running), ["messages"]) == FOREIGN
