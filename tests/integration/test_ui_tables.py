"""The page's knowledge of DynamoDB's tables while describing one takes long: nothing waits, nothing is wrong."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo
from devenv.ui.table_stream import REST_S
from tests.e2e.engines import external_project
from tests.integration.verify_support import Message, proxied
from tests.support import ProjectDir, reference_project
from tests.ui import LivePage, live_page

TABLE = "cruddur-messages"
OTHER = "other"
# Together more bytes than the page describes without a thought.
ITEMS = 8


class Slow:
    """A DynamoDB Local behind a proxy that holds DescribeTable back while `open` is not set; `asked` counts them."""

    def __init__(self, project: ProjectDir, store: Dynamo) -> None:
        self.project = project
        self.store = store
        self.open = threading.Event()
        self.asked: list[str] = []

    def before(self, operation: str, request: Message) -> Message:
        if operation == "DescribeTable":
            self.asked.append(request["TableName"])
            self.open.wait(20)
            # Long enough for it not to be asked for every page.
            time.sleep(0.2)
        return request


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    folder = tmp_path_factory.mktemp("tables")
    stores = reference_project(folder / "stores")
    try:
        stores.ok("up", "--no-backend")
        env = stores.env()
        names = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        target = DynamoTarget(*(env[name] for name in names))
        with Dynamo(target) as store, proxied(target) as proxy:
            fill(store, TABLE, {"pk": "S", "sk": "S"})
            found = Slow(external_project(folder / "project", stores, dynamodb=proxy.endpoint), store)
            proxy.before = found.before
            yield found
    finally:
        stores.remove()


@pytest.fixture
def page(slow: Slow) -> Iterator[LivePage]:
    """A page that has looked at nothing yet."""
    slow.open.clear()
    slow.asked.clear()
    with live_page(slow.project) as found:
        yield found
    slow.open.set()


def make(store: Dynamo, table: str, keys: dict[str, str], index: str = "", items: int = ITEMS) -> None:
    """The table anew, with these keys (name -> type, the partition's first) and an index by `at`, filled."""
    if table in store.call("ListTables")["TableNames"]:
        store.call("DeleteTable", {"TableName": table})
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)]
    types = {**keys, **({"at": "S"} if index else {})}
    by_at = {
        "IndexName": index,
        "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    store.call(
        "CreateTable",
        {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": schema,
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
            **({"GlobalSecondaryIndexes": [by_at]} if index else {}),
        },
    )
    fill(store, table, keys, items)


def fill(store: Dynamo, table: str, keys: dict[str, str], items: int = ITEMS) -> None:
    """Items whose key attributes are all their number."""
    for number in range(items):
        key = {name: {kind: str(number)} for name, kind in keys.items()}
        item = {**key, "at": {"S": "x"}, "text": {"S": "x" * 300_000}}
        store.call("PutItem", {"TableName": table, "Item": item})


def side(page: LivePage, **address: str) -> dict[str, Any]:
    found: dict[str, Any] = page.json(f"/data?{urlencode(address)}")["dynamodb"]
    return found


def entry(page: LivePage, table: str) -> dict[str, Any]:
    """The table in the list of tables."""
    return next(each for each in side(page)["tables"] if each["table"] == table)


def partition_key(page: LivePage, table: str) -> str:
    """The attribute by which the page offers to ask."""
    found = re.search(r'name="hash" value="" placeholder="(\w+) ="', page.ask(f"/data?items={table}").text)
    assert found
    return found[1]


def learn(slow: Slow, page: LivePage, table: str) -> list[dict[str, str]]:
    """Let the page describe a table; the parts that it was sent."""
    slow.open.set()
    return list(page.events(f"/stream/tables?table={table}"))


def test_a_page_does_not_wait_for_the_count_which_comes_behind_it(slow: Slow, page: LivePage) -> None:
    # Nothing is described before `open` is set: each of these is answered without.
    assert side(page, items=TABLE)["items"]
    assert [item["sk"]["S"] for item in side(page, items=TABLE, hash="7")["items"]] == ["7"]
    assert "a Scan of a table that is not counted yet" in side(page, items=TABLE, value="7")["asks"]
    listed = entry(page, TABLE)
    assert (listed["keys"], listed["items"]) == (["pk", "sk"], None)
    text = page.ask("/data").text
    assert f'id="count-{TABLE}">counting…' in text
    stream = re.search(r'data-stream="(/stream/tables[^"]*)"', text)
    assert stream
    assert slow.asked == []
    slow.open.set()
    parts = {each["target"]: each["html"] for each in page.events(stream[1])}
    assert parts == {f"keys-{TABLE}": "pk, sk", f"count-{TABLE}": f"{ITEMS + 162:,} items"}
    assert slow.asked == [TABLE]
    # It is "about" as soon as something may have been written since.
    time.sleep(0.3)
    listed = entry(page, TABLE)
    assert (listed["items"], listed["about"]) == (ITEMS + 162, True)
    assert f"about {ITEMS + 162:,} items" in page.ask("/data").text
    assert slow.asked == [TABLE], "it is not counted for every page"


def test_who_leaves_a_page_at_once_starts_no_count(slow: Slow, page: LivePage) -> None:
    assert side(page, items=TABLE)["items"]
    connection = http.client.HTTPConnection(page.host, timeout=10)
    connection.request("GET", f"/stream/tables?table={TABLE}", headers={"Cookie": page.cookie})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.close()
    connection.close()
    time.sleep(REST_S + 1)
    assert slow.asked == []


def test_an_undeclared_table_is_listed_before_it_is_described(slow: Slow, page: LivePage) -> None:
    make(slow.store, OTHER, {"id": "S"})
    assert (entry(page, OTHER)["keys"], entry(page, OTHER)["items"]) == ([], None)
    parts = {each["target"]: each["html"] for each in learn(slow, page, OTHER)}
    assert parts == {f"keys-{OTHER}": "id", f"count-{OTHER}": f"{ITEMS:,} items"}
    assert entry(page, OTHER)["keys"] == ["id"]


@pytest.mark.long
@pytest.mark.parametrize(
    "keys",
    [
        {"b": "N", "a": "S"},
        {"a": "N", "b": "N"},
        {"a": "S", "c": "N"},
        {"a": "S"},
    ],
    ids=str,
)
@pytest.mark.parametrize("items", [0, ITEMS])
def test_a_recreated_table_is_shown_by_its_new_schema(
    slow: Slow, page: LivePage, keys: dict[str, str], items: int
) -> None:
    make(slow.store, OTHER, {"a": "S", "b": "N"})
    learn(slow, page, OTHER)
    assert partition_key(page, OTHER) == "a"
    make(slow.store, OTHER, keys, items=items)
    first = next(iter(keys))
    assert partition_key(page, OTHER) == first
    assert entry(page, OTHER)["keys"] == list(keys)
    assert len(side(page, items=OTHER, hash="7")["items"]) == bool(items)
    statement = f'SELECT * FROM "{OTHER}" WHERE {first} = {"7" if keys[first] == "N" else repr("7")}'
    amount = page.ask(f"/data/amount?{urlencode({'partiql': statement})}").text
    assert ("a GetItem" if len(keys) == 1 else "a Query") in amount


def test_a_table_that_is_gone_is_said_to_be_gone(slow: Slow, page: LivePage) -> None:
    make(slow.store, OTHER, {"a": "S"})
    learn(slow, page, OTHER)
    assert side(page, items=OTHER)["items"]
    slow.store.call("DeleteTable", {"TableName": OTHER})
    assert "ResourceNotFoundException" in side(page, items=OTHER)["error"]
    assert OTHER not in json.dumps(side(page)["tables"])


def test_an_index_that_came_or_went_is_noticed_when_it_is_asked(slow: Slow, page: LivePage) -> None:
    make(slow.store, OTHER, {"a": "S"})
    learn(slow, page, OTHER)
    make(slow.store, OTHER, {"a": "S"}, index="by-at")
    assert side(page, items=OTHER, index="by-at", hash="x")["items"]
    make(slow.store, OTHER, {"a": "S"})
    assert "has no index by-at" in side(page, items=OTHER, index="by-at", hash="x")["error"]


def test_a_page_that_showed_other_indexes_than_there_are_says_so(slow: Slow, page: LivePage) -> None:
    make(slow.store, TABLE, {"pk": "S", "sk": "S"})
    # What is declared has an index, and its keys are right.
    assert "<option>message-group-sk-index" in page.ask(f"/data?items={TABLE}").text
    changed = [each["html"] for each in learn(slow, page, TABLE) if each["target"] == "table-changes"]
    assert [f"{TABLE} has other keys or indexes than this page shows" in each for each in changed] == [True]
    assert "message-group-sk-index" not in page.ask(f"/data?items={TABLE}").text
