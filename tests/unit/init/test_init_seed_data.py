"""The data files that a seed script reads: their items tell attributes, types and links of the tables that they fit."""

from __future__ import annotations

import json
from pathlib import Path

from devenv.init.seeds import find_seeds
from tests.unit.init.test_init import drafted, write

TREE, OTHER = "8f5b2c1a-0d5f-4a6e-9d2e-6b1f0c7a4e21", "1c5b2c1a-0d5f-4a6e-9d2e-6b1f0c7a4e22"


def table(name: str, *key: str) -> dict[str, object]:
    kinds = zip(key, ("HASH", "RANGE"), strict=False)
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in key],
        "KeySchema": [{"AttributeName": each, "KeyType": kind} for each, kind in kinds],
    }


BASKETS = [
    {"basketId": "b-1", "treeId": TREE, "pickerId": 1, "kg": 12, "pickedAt": "2024-09-01T08:00:00Z"},
    {"basketId": "b-2", "treeId": OTHER, "pickerId": 2, "kg": 9, "pickedAt": "2024-09-02T08:00:00Z"},
]
CHECKS = [{"basketId": "b-1", "at": "2024-09-01T09:00:00Z", "pickerId": 2, "note": "two bruised"}]
FILES = {
    "package.json": json.dumps(
        {
            "dependencies": {"pg": "8", "express": "4", "@aws-sdk/lib-dynamodb": "3"},
            "scripts": {"start": "node src/app.js", "db:import": "node tools/load.js"},
        }
    ),
    "sql/1.sql": f"""CREATE TABLE trees (id uuid PRIMARY KEY, sort text);
CREATE TABLE pickers (id serial PRIMARY KEY, name text);
INSERT INTO trees VALUES ('{TREE}', 'apple'), ('{OTHER}', 'pear');
INSERT INTO pickers (name) VALUES ('Ann'), ('Bo');""",
    "ddb/baskets.json": json.dumps(table("orchard-baskets", "basketId")),
    "ddb/checks.json": json.dumps(table("orchard-checks", "basketId", "at")),
    "in/baskets.json": json.dumps(BASKETS),
    "in/checks.json": json.dumps(CHECKS),
    "src/tables.js": "export const BASKETS = 'orchard-baskets';\nexport const CHECKS = 'orchard-checks';\n",
    "tools/load.js": """import { readFileSync } from 'node:fs';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { db } from '../src/db.js';
import { BASKETS, CHECKS } from '../src/tables.js';
const read = (f) => JSON.parse(readFileSync(new URL(`../in/${f}`, import.meta.url)));
for (const Item of read('baskets.json')) await db.send(new PutCommand({ TableName: BASKETS, Item }));
for (const Item of read('checks.json')) await db.send(new PutCommand({ TableName: CHECKS, Item }));
""",
    "src/app.js": """import express from 'express';
import { PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { db } from './db.js';
import { BASKETS, CHECKS } from './tables.js';
const app = express();
app.get('/baskets/:basketId/checks', async (req, res) => {
  const { Items } = await db.send(new QueryCommand({ TableName: CHECKS, KeyConditionExpression: 'basketId = :b',
    ExpressionAttributeValues: { ':b': req.params.basketId } }));
  res.json(Items);
});
app.post('/baskets/:basketId/checks', async (req, res) => {
  const { by, note } = req.body;
  const Item = { basketId: req.params.basketId, at: new Date().toISOString(), pickerId: by, note };
  await db.send(new PutCommand({ TableName: CHECKS, Item }));
  res.json(Item);
});
app.listen(3000);
""",
}


def test_items_of_the_files_that_a_script_reads_are_known_and_other_functions_constants_are_not(tmp_path: Path) -> None:
    found = drafted(write(tmp_path, FILES))
    kinds = {each.table: each.attributes for each in found.entities.values()}
    assert set(kinds) == {"orchard-baskets", "orchard-checks"}
    assert {name: each.removesuffix("?") for name, each in kinds["orchard-baskets"].items()} == {
        "basketId": "string", "treeId": "uuid", "pickerId": "number", "kg": "number", "pickedAt": "time",
    }  # fmt: skip
    assert kinds["orchard-checks"]["pickerId"] == "number"
    assert "treeId" not in kinds["orchard-checks"]
    links = {(each.source, each.to) for each in found.links}
    assert ("dynamodb:orchard-baskets.treeId", "postgres:trees.id") in links
    assert found.steps.seed.files == ["tools/load.js", "in/baskets.json", "in/checks.json"]


def test_data_of_rows_is_no_fault_of_the_items(tmp_path: Path) -> None:
    request = table("orchard-baskets", "basketId")
    texts = {"in/baskets.json": json.dumps(BASKETS), "in/trees.json": json.dumps([{"id": TREE, "sort": "apple"}])}
    found = find_seeds(texts, {"orchard-baskets": request}, [*texts])
    assert (found.files, found.unused) == (("in/baskets.json",), ())
    assert find_seeds(texts, {"orchard-baskets": request}).files == ()
