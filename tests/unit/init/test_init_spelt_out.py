"""Items that a script of JavaScript spells out outside of functions, and one name for what several kinds share."""

from __future__ import annotations

import json
from pathlib import Path

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

SEED = """
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { doc } from '../src/store.js';

const shelves = [['north', 4], ['south', 2]];
const items = [];
for (const [code, rows] of shelves) {
  for (let row = 0; row < rows; row += 1) {
    const day = dayOf(row);
    items.push({ PK: `SHELF#${code}`, SK: `COUNT#${day}`, kind: 'count', plants: row * 3, by: 'Ana' });
  }
}
items.push(
  { PK: 'SHELF#north', SK: 'ALERT#2025-02-01', kind: 'alert', text: 'Too dry', level: 2 },
  { PK: 'PUMP#AX', SK: 'REPAIR#2025-03-01', kind: 'repair', text: 'New seal' },
  { PK: 'PUMP#BX', SK: 'PART#014', kind: 'part', name: 'Valve' },
);
await doc.send(new BatchWriteCommand({ RequestItems: { shop: items.map(Item => ({ PutRequest: { Item } })) } }));
"""
STORE = """
export const repairs = async (pump) => (await doc.send(new QueryCommand({
  TableName: 'shop', KeyConditionExpression: 'PK = :p AND begins_with(SK, :s)',
  ExpressionAttributeValues: { ':p': `PUMP#${pump}`, ':s': 'REPAIR#' },
}))).Items;
"""
FILES = {
    "package.json": '{"dependencies": {"pg": "8", "@aws-sdk/lib-dynamodb": "3"}}',
    "table.json": TABLE,
    "db/s.sql": "CREATE TABLE shelves (code text PRIMARY KEY);",
}


def seeded(root: Path) -> Settings:
    return made(root, {**FILES, "scripts/seed.js": SEED, "src/store.js": STORE})[0]


def test_items_that_loops_push_are_kinds(tmp_path: Path) -> None:
    kinds = {name: dict(each.match) for name, each in seeded(tmp_path).entities.items()}
    assert kinds["count"] == {"PK": "SHELF#{code}", "SK": "COUNT#{day}"}
    assert seeded(tmp_path / "b").entities["count"].attributes["plants"] == "number"


def test_an_item_with_constant_values_is_one_of_its_kind(tmp_path: Path) -> None:
    """Its key has places, by the names that queries have for them; capitals behind a word are a value."""
    settings = seeded(tmp_path)
    kinds = {name: dict(each.match) for name, each in settings.entities.items()}
    assert kinds["alert"] == {"PK": "SHELF#{code}", "SK": "ALERT#{alert_at}"}
    assert kinds["repair"] == {"PK": "PUMP#{pump}", "SK": "REPAIR#{repair_at}"}
    assert kinds["part"] == {"PK": "PUMP#{pump}", "SK": "PART#{part_id}"}
    assert settings.entities["alert"].attributes["level"] == "number"
    assert settings.trace["repairs"].entity == "repair"


def test_kinds_with_one_key_have_one_name_for_its_place(tmp_path: Path) -> None:
    """Whatever no query names: `where = { no = … }` is to select all of them."""
    store = """
def book(no, day):
    table.put_item(Item={"PK": f"STAY#{no}", "SK": "META", "kind": "stay", "day": day})
"""
    items = (
        '[{"PK": "STAY#7", "SK": "GUEST#4", "kind": "guest", "name": "Ana"},'
        ' {"PK": "STAY#7", "SK": "BILL#9", "kind": "bill", "total": 5},'
        ' {"PK": "ROOM#7", "SK": "STAY#7", "kind": "room", "beds": 2}]'
    )
    store = 'import boto3\ntable = boto3.resource("dynamodb").Table("shop")\n' + store
    settings, _ = made(tmp_path, {**FILES, "store.py": store, "items.json": items})
    hashed = {name: each.match["PK"] for name, each in settings.entities.items()}
    assert hashed == {"stay": "STAY#{no}", "guest": "STAY#{no}", "bill": "STAY#{no}", "room": "ROOM#{room_id}"}
    assert "stay_id" not in settings.entities["guest"].attributes
    assert settings.entities["guest"].attributes["no"] == "string"


COUNTS = """
export const counts = async (code, day) => (await doc.send(new QueryCommand({
  TableName: 'shop', KeyConditionExpression: 'PK = :p AND begins_with(SK, :s)',
  ExpressionAttributeValues: { ':p': `SHELF#${code}`, ':s': `COUNT#${day}` },
}))).Items;
"""


def test_a_sort_condition_with_a_parameter_is_a_part_of_the_pattern_and_of_the_trace(tmp_path: Path) -> None:
    seed = SEED.replace(
        "`COUNT#${day}`, kind", "`COUNT#${day}T${hour}`, day, hour, other: `COUNT#${day}T${time}`, kind"
    )
    settings, body = made(tmp_path, {**FILES, "scripts/seed.js": seed, "src/store.js": STORE + COUNTS})
    pattern, trace = settings.patterns["counts"], settings.trace["counts"]
    assert (pattern.sort, pattern.entities) == ({"begins_with": "COUNT#{day}"}, ["count"])
    # A key that has a time in it is no time.
    assert settings.entities["count"].attributes["other"] == "string"
    assert dict(trace.params) == {"code": "string", "day": "string"}
    assert trace.where == {"code": "{code}", "day": "{day}"}
    assert trace.library is not None
    assert list(trace.library.command or ())[-2:] == ["{code}", "{day}"]
    assert body["edits"] == []


def test_a_place_called_after_a_unique_column_refers_to_that_column(tmp_path: Path) -> None:
    sql = "CREATE TABLE trails (id serial PRIMARY KEY, code text NOT NULL UNIQUE);"
    settings, _ = made(
        tmp_path,
        {**FILES, "db/s.sql": sql, "scripts/seed.js": SEED.replace("SHELF#", "TRAIL#"), "src/store.js": STORE},
    )
    assert [link.to for link in settings.links] == ["postgres:trails.code"]


def test_what_a_handler_answers_is_no_item(tmp_path: Path) -> None:
    """It names the key, but its other fields are of the answer alone: a trace would call a right answer changed."""
    handler = """
const { PutCommand, GetCommand } = require('@aws-sdk/lib-dynamodb');
router.post('/pumps', async (req, res) => {
  const { pump_id, name } = req.body;
  await doc.send(new PutCommand({ TableName: 'pumps', Item: { pump_id, name, level: Number(req.body.level) } }));
  const photo_url = await upload(req.body.photo);
  res.json({ message: 'saved', pump_id, photo_url });
});
router.get('/:id', async (req, res) => {
  const found = await doc.send(new GetCommand({ TableName: 'pumps', Key: { pump_id: req.params.id } }));
  res.json(found.Item || {});
});
"""
    table = {
        "TableName": "pumps",
        "KeySchema": [{"AttributeName": "pump_id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pump_id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    files = {**FILES, "table.json": json.dumps(table), "src/pumps.js": handler}
    settings, _ = made(tmp_path, files)
    names = {name for entity in settings.entities.values() for name in entity.attributes}
    assert names == {"pump_id", "name", "level"}
