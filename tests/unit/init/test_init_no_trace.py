"""`devenv init` says why a project with tables gets no trace; and routes with several names behind the `?`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

PART = '{"AttributeName": "NAME", "KIND"}'
KEYS = '{"AttributeName": "shop", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}'
REVERSED = '{"AttributeName": "buyer", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}'
TYPES = ", ".join(f'{{"AttributeName": "{name}", "AttributeType": "S"}}' for name in ("shop", "at", "buyer"))
TABLE = (
    f'{{"TableName": "sales", "KeySchema": [{KEYS}], "AttributeDefinitions": [{TYPES}], "GlobalSecondaryIndexes":'
    f' [{{"IndexName": "by-buyer", "KeySchema": [{REVERSED}], "Projection": {{"ProjectionType": "ALL"}}}}]}}'
)
HEAD = """const express = require('express');
const { DynamoDBDocumentClient, QueryCommand, GetCommand, PutCommand } = require('@aws-sdk/lib-dynamodb');
const app = express();
"""
WRITES = """app.post('/sales', async (req, res) => {
  const item = { shop: req.body.shop, at: new Date().toISOString(), buyer: req.body.buyer, total: 5 };
  await ddb.send(new PutCommand({ TableName: 'sales', Item: item }));
  res.json({ ok: true });
});
"""
LATEST = """app.get('/latest', async (req, res) => {
  const { buyer, limit = 20 } = req.query;
  const out = await ddb.send(new QueryCommand({ TableName: 'sales', IndexName: 'by-buyer',
    KeyConditionExpression: 'buyer = :b', ExpressionAttributeValues: { ':b': buyer }, ScanIndexForward: false }));
  res.json({ sales: out.Items });
});
"""
CACHE = """async function cached(shop) {
  const out = await ddb.send(new GetCommand({ TableName: 'sales', Key: { shop, at: 'all' } }));
  return out.Item ? JSON.parse(out.Item.data) : null;
}
async function sales(shop) { return (await cached(shop)) || []; }
async function listed(shop) { return sales(shop); }
app.get('/sales/:shop', async (req, res) => { res.json(await listed(req.params.shop)); });
"""
BASE = {
    "package.json": '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4", "pg": "8"}}',
    "schema.sql": "CREATE TABLE t (id int PRIMARY KEY);",
    "sales.json": TABLE,
}
READ = """async function one(shop, at) {
  const out = await ddb.send(new GetCommand({ TableName: 'sales', Key: { shop, at } }));
  return out.Item;
}
app.get('/health', (req, res) => res.json({ ok: true }));
"""


def test_a_list_by_an_index_whose_attribute_only_the_table_types(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**BASE, "server.js": HEAD + WRITES + LATEST})
    assert settings.entities["sales"].attributes["buyer"] == "string"
    (trace,) = settings.trace.values()
    assert trace.request is not None
    assert (trace.request.path, trace.where) == ("/latest?buyer={buyer}", {"buyer": "{buyer}"})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (WRITES, "[trace.*]: server.js writes items, and no query or lookup by a key was found"),
        (CACHE, "returns a value that it computes from the item"),
        (READ, "no GET route that calls one (server.js:5) was recognised"),
        (WRITES + LATEST, ""),
    ],
)
def test_the_reason_is_printed(tmp_path: Path, code: str, said: str) -> None:
    _, body = made(tmp_path, {**BASE, "server.js": HEAD + code})
    lines = [str(line) for line in body["undeclared"] if "[trace." in str(line)]
    assert len(lines) == bool(said), lines
    assert all(said in line for line in lines)


GETS = """app.get('/sales/:shop/:at', async (req, res) => {
  const { shop, at } = req.params;
  const out = await ddb.send(new GetCommand({ TableName: 'sales', Key: { shop, at } }));
  res.json(ANSWER);
});
"""
HELPER = """async function one(shop, at) {
  const out = await ddb.send(new GetCommand({ TableName: 'sales', Key: { shop, at } }));
  return out.Item;
}
app.get('/sales/:shop/:at', async (req, res) => {
  const item = await one(req.params.shop, req.params.at);
  res.json(ANSWER);
});
"""
FLASK = """
from flask import Flask, jsonify, request
import boto3
app = Flask(__name__)
table = boto3.resource("dynamodb").Table("sales")

@app.post("/sales")
def add():
    table.put_item(Item={"shop": request.json["shop"], "at": request.json["at"], "buyer": "b"})
    return "ok"

@app.get("/sales/<shop>/<at>")
def one(shop, at):
    item = table.get_item(Key={"shop": shop, "at": at})["Item"]
    return jsonify({"buyer": item["buyer"]})
"""
NOT_WHOLE = "gets an item by its key, but devenv could not see that its answer is the whole item"


@pytest.mark.parametrize(
    "answer", ["{ buyer: out.Item.buyer }", "{ n: 1, total: out.Item?.total }", "out.Item['data']"]
)
def test_a_route_that_answers_with_some_fields_of_its_item_has_a_line(tmp_path: Path, answer: str) -> None:
    """Also beside another trace. The field was taken for the place of the whole item."""
    settings, body = made(tmp_path, {**BASE, "server.js": HEAD + WRITES + LATEST + GETS.replace("ANSWER", answer)})
    assert [trace.request and trace.request.path for trace in settings.trace.values()] == ["/latest?buyer={buyer}"]
    [line] = [each for each in body["undeclared"] if "/sales/{shop}/{at}" in each]
    assert NOT_WHOLE in line


def test_a_route_in_python_that_answers_with_some_fields_of_its_item_has_a_line(tmp_path: Path) -> None:
    base = {name: text for name, text in BASE.items() if name != "package.json"}
    _, body = made(tmp_path, {**base, "app.py": FLASK, "requirements.txt": "flask\nboto3\n"})
    [line] = [each for each in body["undeclared"] if "[trace.one]" in each]
    assert NOT_WHOLE in line
    assert "/sales/{shop}/{at} (app.py:" in line


@pytest.mark.parametrize("answer", ["item", "{ sale: item, total: item.total }", "{ ...item, total: item.total }"])
def test_a_route_that_answers_with_the_whole_item_is_traced(tmp_path: Path, answer: str) -> None:
    settings, _ = made(tmp_path, {**BASE, "server.js": HEAD + WRITES + HELPER.replace("ANSWER", answer)})
    assert settings.trace["one"].request is not None


def test_a_route_that_picks_fields_of_what_a_function_gets_is_marked(tmp_path: Path) -> None:
    """Its answer has no id: a request would report each item as lost."""
    answer = "{ buyer: item.buyer, total: Number(item.total) }"
    settings, _ = made(tmp_path, {**BASE, "server.js": HEAD + WRITES + HELPER.replace("ANSWER", answer)})
    assert settings.trace["one"].request is None
    text = " ".join((tmp_path / "devenv.toml").read_text().replace("\n# ", " ").split())
    assert "picks the fields of its answer, and `at`, the item's id, is not among them" in text
    assert "EDIT" in text
