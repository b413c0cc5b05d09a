"""`devenv init` reads PynamoDB: tables of its models, their items, and the requests that its calls send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.pynamodb import pynamo_models, pynamo_tables
from devenv.init.source import parse_python
from tests.unit.init.test_init_kinds import made

MODELS = """\
import os
from pynamodb.models import Model
from pynamodb.attributes import UnicodeAttribute, NumberAttribute, UTCDateTimeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
class ByLane(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-lane"
        projection = KeysOnlyProjection()
    lane = UnicodeAttribute(hash_key=True)
    at = UTCDateTimeAttribute(range_key=True)
class Base(Model):
    note = UnicodeAttribute(null=True)
class Roll(Base):
    class Meta:
        table_name = TABLE
        host = os.environ.get("DDB_URL")
    player_id = UnicodeAttribute(hash_key=True, attr_name="playerId")
    at = UTCDateTimeAttribute(range_key=True)
    lane = UnicodeAttribute()
    pins = NumberAttribute(default=0)
    lanes = ByLane()
"""
MAIN = """\
from fastapi import FastAPI
from .models import Roll
app = FastAPI()
@app.get("/players/{player_id}/rolls")
def rolls(player_id: str):
    return [{"when": r.at, "pins": r.pins} for r in Roll.query(player_id, scan_index_forward=False)]
@app.get("/lanes/{lane}")
def of_lane(lane: str):
    return [{"when": r.at, "player": r.player_id} for r in Roll.lanes.query(lane, limit=5)]
@app.on_event("startup")
def start():
    if not Roll.exists():
        Roll.create_table(wait=True)
"""
SQL = {"db.sql": "CREATE TABLE players (id uuid PRIMARY KEY, email text UNIQUE);"}


@pytest.mark.parametrize(
    ("name", "variables", "table"),
    [
        ('"rolls"', {}, "rolls"),
        ('os.environ.get("ROLLS", "spare")', {}, "spare"),
        ('os.environ["ROLLS"]', {"ROLLS": "mine"}, "mine"),
        ("name_of(os)", {}, None),
    ],
)
def test_the_table_of_a_model(name: str, variables: dict[str, str], table: str | None) -> None:
    tree = parse_python(MODELS.replace("TABLE", name))
    assert tree is not None
    found = pynamo_tables(pynamo_models({"models.py": tree}, variables))
    assert [each.table for each in found] == ([table] if table else [])
    if table:
        request = found[0].request
        assert [part["AttributeName"] for part in request["KeySchema"]] == ["playerId", "at"]
        (index,) = request["GlobalSecondaryIndexes"]
        assert (index["IndexName"], index["Projection"]) == ("by-lane", {"ProjectionType": "KEYS_ONLY"})


def test_the_requests_of_a_model_become_traces(tmp_path: Path) -> None:
    files = {"app/__init__.py": "", "app/models.py": MODELS.replace("TABLE", '"rolls"'), "app/main.py": MAIN}
    settings, body = made(tmp_path, {**SQL, **files})
    assert settings.entities["roll"].attributes == {
        "playerId": "uuid",
        "at": "time",
        "lane": "string",
        "pins": "number",
        "note": "string?",
    }
    assert [link.source for link in settings.links] == ["dynamodb:rolls.playerId"]
    assert settings.env["DDB_URL"] == "{dynamodb_url}"
    trace = settings.trace["rolls"]
    assert trace.request is not None
    assert (trace.ids["dynamodb"], trace.ids["http"], dict(trace.fields)) == (
        "at",
        "when",
        {"pins": "pins", "when": "at"},
    )
    assert settings.patterns["of_lane"].index == "by-lane"
    assert not [each for each in body["unused"] if "PynamoDB" in each or "create_table" in each]


def test_a_model_with_a_computed_name_is_listed(tmp_path: Path) -> None:
    files = {**SQL, "app/models.py": MODELS.replace("TABLE", "name_of(os)")}
    _, body = made(tmp_path, files)
    assert [each for each in body["unused"] if "a table definition in PynamoDB" in each]


def test_tables_of_sqlmodel_and_who_makes_them(tmp_path: Path) -> None:
    text = (
        "import uuid\nfrom sqlmodel import Field, SQLModel, create_engine\n"
        "class Player(SQLModel, table=True):\n    id: uuid.UUID = Field(primary_key=True)\n    email: str\n"
        "SQLModel.metadata.create_all(create_engine('x'))\n"
    )
    table = {
        "TableName": "rolls",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "player_id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "player_id", "KeyType": "HASH"}],
    }
    item = {"table": "rolls", "items": [{"player_id": "5b2c8f8e-0000-4000-8000-000000000001"}]}
    files = {"app/db.py": text, "t.json": json.dumps(table), "seeds/rolls.json": json.dumps(item)}
    settings, body = made(tmp_path, files)
    assert [link.to for link in settings.links] == ["postgres:player.id"]
    assert [each for each in body["unused"] if each.startswith("app/db.py:6: SQLAlchemy makes the tables")]


def test_one_thing_in_both_stores_is_linked_by_its_key(tmp_path: Path) -> None:
    bean = '[DynamoDBTable("Clients")]\npublic class Client { [DynamoDBHashKey] public string Id { get; set; } }\n'
    files = {"db.sql": 'CREATE TABLE "Clients" ("Id" text PRIMARY KEY);', "Client.cs": bean}
    settings, _ = made(tmp_path, files)
    (link,) = settings.links
    assert (link.name, link.source, link.to) == ("client", "dynamodb:Clients.Id", "postgres:Clients.Id")
    rejected, _ = made(tmp_path / "asked", files, yes=False)
    assert not rejected.links


def test_a_key_that_the_application_writes_as_it_is_has_no_template_of_a_seed(tmp_path: Path) -> None:
    table = {
        "TableName": "stock",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("sku", "ts")],
        "KeySchema": [{"AttributeName": "sku", "KeyType": "HASH"}, {"AttributeName": "ts", "KeyType": "RANGE"}],
    }
    seed = (
        'import boto3\ntable = boto3.resource("dynamodb").Table("stock")\ndef seed_stock(now):\n'
        '    for i in range(9):\n        table.put_item(Item={"sku": f"SKU-{i:03d}", "ts": now, "kind": "SET"})\n'
    )
    code = (
        'import boto3\ntable = boto3.resource("dynamodb").Table("stock")\ndef reserve(items, ts):\n'
        '    for each in items:\n        table.put_item(Item={"sku": each["sku"], "ts": ts, "kind": "TAKE"})\n'
    )
    files = {**SQL, "t.json": json.dumps(table), "scripts/seed_stock.py": seed, "app/stock.py": code}
    settings, _ = made(tmp_path, files)
    (entity,) = settings.entities.values()
    assert entity.match == {}
    assert "i" not in entity.attributes
