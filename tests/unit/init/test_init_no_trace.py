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
        (CACHE, "gives a value that it makes of the item"),
        (READ, "no GET route that calls one (server.js:5) was recognised"),
        (WRITES + LATEST, ""),
    ],
)
def test_the_reason_is_printed(tmp_path: Path, code: str, said: str) -> None:
    _, body = made(tmp_path, {**BASE, "server.js": HEAD + code})
    lines = [str(line) for line in body["undeclared"] if "[trace." in str(line)]
    assert len(lines) == bool(said), lines
    assert all(said in line for line in lines)
