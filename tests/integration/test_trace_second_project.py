"""A second project, traced by configuration alone: order lines under numbers, a backend in JavaScript."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.e2e.world import own_ports
from tests.support import ProjectDir, empty_project

NODE = Path(sys.executable).parent / "node"
SETTINGS = """
[project]
name = "shop"

[postgres]
database = "shop"

[backend]
command = ["NODE", "shop.mjs", "serve", "{port}"]
health = "/"

[steps.setup]
files = ["schema.sql"]

[steps.schema-load]
files = ["lines.json"]

[entities.line]
table = "lines"

[entities.line.attributes]
order_id = "number"
line = "number"
sku = "string"
pieces = "number"
customer_id = "number"
customer_code = "string"

[[links]]
name = "customer"
from = "dynamodb:lines.customer_id"
to = "postgres:shop.customers.id"
natural_key = { customer_code = "code" }

[person]
table = "shop.customers"
id = "id"
name = "code"

[patterns.lines]
table = "lines"
key = { order_id = "{order_id}" }
order = "ascending"

[trace.order]
params = { order_id = "number" }
pattern = "lines"
entity = "line"
where = { order_id = "{order_id}" }
ids = { dynamodb = "line", library = "position", http = "position" }
fields = { article = "sku", pieces = "pieces", position = "line" }
sorted_by = "position"
order = "ascending"

[trace.order.library]
command = ["NODE", "shop.mjs", "print", "{order_id}"]
fields = { article = "article" }

[trace.order.request]
path = "/orders/{order_id}"
headers = { X-Customer = "{person.code}" }
items = "order.lines"
"""
TABLE = {
    "TableName": "lines",
    "KeySchema": [{"AttributeName": "order_id", "KeyType": "HASH"}, {"AttributeName": "line", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "order_id", "AttributeType": "N"},
        {"AttributeName": "line", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
SQL = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, code text NOT NULL UNIQUE, title text NOT NULL);
INSERT INTO shop.customers VALUES (1001, 'C-ONE', 'First Ltd'), (1002, 'C-TWO', 'Second Ltd');
"""
# DynamoDB Local reads region and key of a signature and does not check the rest, so no library is needed.
APPLICATION = """
import http from "node:http";
const url = process.env.AWS_ENDPOINT_URL_DYNAMODB;
const scope = `${process.env.AWS_ACCESS_KEY_ID}/20230101/${process.env.AWS_REGION}/dynamodb/aws4_request`;
async function lines(order) {
  const answer = await fetch(url, { method: "POST", headers: {
    "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.Query",
    "X-Amz-Date": "20230101T000000Z",
    Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00` },
    body: JSON.stringify({ TableName: "lines", KeyConditionExpression: "order_id = :o",
      ExpressionAttributeValues: { ":o": { N: String(order) } } }) });
  const { Items } = await answer.json();
  return Items.map((i) => ({ position: Number(i.line.N), article: i.sku.S, pieces: Number(i.pieces.N) }));
}
const [mode, value] = process.argv.slice(2);
if (mode === "print") {
  console.log(JSON.stringify(await lines(value)));
} else {
  http.createServer(async (request, response) => {
    if (request.url === "/") return response.end("ok");
    const found = await lines(request.url.split("/").pop());
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ order: { lines: found } }));
  }).listen(Number(value), "127.0.0.1");
}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ProjectDir]:
    folder = tmp_path / "shop"
    project = ProjectDir(empty_project(folder, SETTINGS.replace("NODE", str(NODE))).path, own_ports())
    (folder / "schema.sql").write_text(SQL)
    (folder / "lines.json").write_text(json.dumps(TABLE))
    (folder / "shop.mjs").write_text(APPLICATION)
    project.ok("up")
    items = [
        {"order_id": 7, "line": number, "sku": sku, "pieces": number, "customer_id": 1001, "customer_code": "C-ONE"}
        for number, sku in enumerate(["apple", "pear", "plum"], 1)
    ]
    with project.dynamodb() as dynamodb:
        dynamodb.write_batch("lines", [{"PutRequest": {"Item": typed_item(item)}} for item in items])
    yield project
    project.remove()


def change(project: ProjectDir, old: str, new: str) -> None:
    """Change the application's code and serve it anew."""
    file = project.path / "shop.mjs"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    project.ok("down")
    project.ok("up")


def named(document: dict[str, Any]) -> tuple[str | None, str | None]:
    return document["verdict"]["layer"], document["verdict"]["class"]


def test_a_healthy_order(shop: ProjectDir) -> None:
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    assert document["verdict"]["status"] == "ok", document["verdict"]
    assert document["exit_code"] == 0
    counts = {layer["name"]: layer["observed_count"] for layer in document["layers"]}
    assert (counts["dynamodb"], counts["pattern"], counts["library"], counts["http"]) == (3, 3, 3, 3)
    library = next(layer for layer in document["layers"] if layer["name"] == "library")
    [query] = library["output"]["queries"]
    assert (query["text"], query["count"], query["elsewhere"]) == ("Query lines where order_id = 7", 3, None)


# The API shows an order to its customer only: items name him by a link, and no group is declared.
TOKEN = """
[token]
command = ["echo", "{person.code}"]
"""
CHECKED = """const owner = (await lines(order, true)).find((i) => i.customer_code)?.customer_code.S;
    if (request.headers.authorization !== `Bearer ${owner}`) { response.statusCode = 403; return response.end("{}"); }
    response.setHeader("""


def test_who_may_read_it_is_whom_its_items_name(shop: ProjectDir) -> None:
    settings = shop.path / "devenv.toml"
    text = settings.read_text().replace(
        'X-Customer = "{person.code}" }', 'Authorization = "Bearer {token}" }\nstranger = [403]'
    )
    settings.write_text(text + TOKEN)
    code = shop.path / "shop.mjs"
    changed = (
        code.read_text()
        .replace("lines(order) {", "lines(order, raw) {")
        .replace("return Items.map", "return raw ? Items : Items.map")
    )
    changed = changed.replace("const found = await lines(request.url", "const order = request.url").replace(
        '.split("/").pop());', '.split("/").pop();\n    const found = await lines(order);'
    )
    code.write_text(changed.replace("response.setHeader(", CHECKED))
    with shop.dynamodb() as dynamodb:
        owned = [{"order_id": 9, "line": 1, "sku": "fig", "pieces": 1, "customer_id": 1002, "customer_code": "C-TWO"}]
        unowned = [{"order_id": 10, "line": 1, "sku": "fig", "pieces": 1}]
        dynamodb.write_batch("lines", [{"PutRequest": {"Item": typed_item(item)}} for item in (*owned, *unowned)])
    shop.ok("restart", "backend")
    document = shop.json("trace", "order", "9")
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert document["verdict"]["status"] == "ok", document["verdict"]
    assert layers["postgres"]["output"]["person"]["code"] == "C-TWO"
    assert {one["who"]: one["status"] for one in layers["http"]["output"]["answers"]} == {
        "member": 200,
        "stranger": 403,
    }
    # Who asks is not named, nor known for a stranger: 403 proves nothing.
    document = shop.json("trace", "order", "10")
    http = next(layer for layer in document["layers"] if layer["name"] == "http")
    assert (document["exit_code"], http["findings"], http["uncovered"]) == (
        1,
        [],
        [
            "the answer to a stranger (no group or link tells who may read this)",
            "the answer to a user who may read this (no group or link tells who that is; name one: --user)",
        ],
    )


@pytest.mark.long
def test_an_application_that_was_left_out_is_not_run_and_no_fault(shop: ProjectDir) -> None:
    shop.ok("stop", "backend")
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    assert (document["exit_code"], document["verdict"]["status"]) == (3, "not_verified")
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert (layers["services"]["status"], layers["library"]["status"]) == ("ok", "ok")
    assert layers["services"]["summary"] == "postgres, dynamodb answer"
    assert layers["http"]["status"] == "not_run"
    assert "devenv up" in layers["http"]["unasked"]


@pytest.mark.parametrize(
    ("old", "new", "kind", "named_in"),
    [
        ('TableName: "lines", Key', 'TableName: "lines", Limit: 2, Key', "wrong_query", "limit 2"),
        ('":o": { N: String(order) }', '":o": { N: "8" }', "wrong_query", "order_id = 8"),
        ("return Items.map(", "return Items.slice(1).map(", "items_lost", "although its query returned them"),
        ('TableName: "lines", Key', 'TableName: "line", Key', "wrong_query", "ResourceNotFoundException"),
        (
            'ExpressionAttributeValues: { ":o": { N: String(order) } }',
            'FilterExpression: "pieces > :p", '
            'ExpressionAttributeValues: { ":o": { N: String(order) }, ":p": { N: "1" } }',
            "wrong_query",
            "filter pieces > 1",
        ),
    ],
    ids=["limit", "key", "slice", "table", "filter"],
)
@pytest.mark.matrix(5)
def test_what_a_command_of_another_language_asked_is_named(
    shop: ProjectDir, old: str, new: str, kind: str, named_in: str
) -> None:
    change(shop, old, new)
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    assert named(document) == ("library", kind)
    verdict = document["verdict"]
    assert named_in in f"{verdict['summary']} {verdict['cause']}"


@pytest.mark.long
def test_a_command_that_goes_past_the_tap_is_not_said_to_ask_nothing(shop: ProjectDir) -> None:
    address = shop.env()["AWS_ENDPOINT_URL_DYNAMODB"]
    change(shop, "process.env.AWS_ENDPOINT_URL_DYNAMODB", f'"{address}"')
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    library = next(layer for layer in document["layers"] if layer["name"] == "library")
    assert (library["status"], library["output"]["queries"]) == ("ok", None)


@pytest.mark.long
def test_a_field_that_the_function_drops(shop: ProjectDir) -> None:
    change(shop, "pieces: Number(i.pieces.N)", "amount: Number(i.pieces.N)")
    assert named(shop.json("trace", "order", "7", "--user", "C-ONE")) == ("library", "field_changed")


def test_lines_that_only_the_route_loses(shop: ProjectDir) -> None:
    change(shop, "lines: found }", "lines: found.slice(1) }")
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    assert named(document) == ("http", "items_lost")
    assert next(layer for layer in document["layers"] if layer["name"] == "http")["missing"] == ["1"]
    code = shop.path / "shop.mjs"
    before = code.stat()
    code.write_text(code.read_text().replace("found.slice(1)", "found"))
    # As `cp -p`, rsync and archives do: the correction is older than the process.
    os.utime(code, (before.st_atime, before.st_mtime - 60))
    document = shop.json("trace", "order", "7", "--user", "C-ONE")
    assert named(document) == ("http", "items_lost")
    assert "shop.mjs was changed after the application was started" in document["verdict"]["cause"]
    assert document["verdict"]["fix"]["command"] == "devenv restart backend"
    shop.ok("restart", "backend")
    assert shop.json("trace", "order", "7", "--user", "C-ONE")["verdict"]["status"] == "ok"


@pytest.mark.long
def test_a_function_that_prints_no_json(shop: ProjectDir) -> None:
    change(shop, "console.log(JSON.stringify(await lines(value)))", 'console.log("Hello")')
    assert named(shop.json("trace", "order", "7", "--user", "C-ONE")) == ("library", "error")


@pytest.mark.long
def test_an_order_that_does_not_exist(shop: ProjectDir) -> None:
    document = shop.json("trace", "order", "8", "--user", "C-ONE")
    assert (document["exit_code"], named(document)) == (1, ("dynamodb", "missing_item"))
    assert document["verdict"]["fix"]["command"] == "devenv trace order 7"


@pytest.mark.long
def test_a_customer_who_does_not_exist(shop: ProjectDir) -> None:
    document = shop.json("trace", "order", "7", "--user", "c-one")
    assert (document["exit_code"], named(document)) == (1, ("postgres", "near_miss"))
