"""`devenv init` on tables that hold one kind of items: their key is an attribute's value, not a word and an id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

LOU, MIA = "c0000000-0000-4000-8000-000000000001", "c0000000-0000-4000-8000-000000000002"
PEOPLE = f"""\
CREATE TABLE customers (id uuid PRIMARY KEY, email text NOT NULL UNIQUE, api_key text UNIQUE);
INSERT INTO customers (id, email) VALUES ('{LOU}', 'lou@x.test'), ('{MIA}', 'mia@x.test');
"""
APP = """\
import boto3
from boto3.dynamodb.conditions import Key
from flask import Flask, jsonify

app = Flask(__name__)
table = boto3.resource("dynamodb").Table("orders")

def orders_of(customer_id):
    found = table.query(KeyConditionExpression=Key("customer_id").eq(customer_id))
    return [{"no": o["order_no"], "total": str(o["total"])} for o in found["Items"]]

@app.get("/customers/<customer_id>/orders")
def orders(customer_id):
    return jsonify(orders_of(customer_id))
"""


def table(name: str, hash_key: str, sort_key: str, **types: str) -> str:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": sort_key, "KeyType": "RANGE"}]
    kinds = [{"AttributeName": n, "AttributeType": types.get(n, "S")} for n in (hash_key, sort_key)]
    return json.dumps(
        {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": kinds, "KeySchema": keys}
    )


def rows(name: str, *items: dict[str, object]) -> str:
    return json.dumps({"table": name, "items": items})


FILES = {"db/schema.sql": PEOPLE, "dynamo/orders.json": table("orders", "customer_id", "order_no")}


def test_a_table_of_one_kind_has_an_entity_a_link_and_a_trace(tmp_path: Path) -> None:
    items = rows("orders", {"customer_id": MIA, "order_no": "1001", "total": 7})
    settings, body = made(tmp_path, {**FILES, "app.py": APP, "orders.json": items})
    assert settings.entities["order"].match == {}
    assert settings.entities["order"].attributes == {"customer_id": "uuid", "order_no": "string", "total": "number"}
    # Another customer may have an order 1001.
    assert settings.entities["order"].unique == []
    assert [(link.source, link.to) for link in settings.links] == [
        ("dynamodb:orders.customer_id", "postgres:customers.id")
    ]
    trace = settings.trace["orders_of"]
    assert trace.ids == {"dynamodb": "order_no", "library": "no", "http": "no"}
    assert trace.fields == {"total": "total"}
    # The person whose id the items have, not the first row.
    assert "devenv trace orders_of --user mia@x.test" in body["lines"]


def test_the_function_of_a_route_is_not_called_as_a_library(tmp_path: Path) -> None:
    app = APP.replace(
        "def orders_of(customer_id):\n", '@app.get("/customers/<customer_id>/orders")\ndef orders_of(customer_id):\n'
    )
    app = app.partition('\n@app.get("/customers/<customer_id>/orders")\ndef orders(')[0] + "\n"
    settings, body = made(tmp_path, {**FILES, "app.py": app})
    trace = settings.trace["orders_of"]
    assert trace.library is None
    assert trace.request is not None
    assert body["edits"] == []


def test_what_an_index_asks_by_is_not_the_id_of_its_items(tmp_path: Path) -> None:
    request = json.loads(table("progress", "course_id", "student_id"))
    parts = [{"AttributeName": "student_id", "KeyType": "HASH"}, {"AttributeName": "course_id", "KeyType": "RANGE"}]
    index = {"IndexName": "by-student", "KeySchema": parts, "Projection": {"ProjectionType": "ALL"}}
    request["GlobalSecondaryIndexes"] = [index]
    app = """\
import boto3
from boto3.dynamodb.conditions import Key
def progress_of(student_id):
    table = boto3.resource("dynamodb").Table("progress")
    return table.query(IndexName="by-student", KeyConditionExpression=Key("student_id").eq(student_id))["Items"]
"""
    settings, _ = made(tmp_path, {"t/progress.json": json.dumps(request), "app.py": app})
    assert list(settings.entities) == ["progress"]
    assert settings.trace["progress_of"].ids == {"dynamodb": "course_id", "library": "course_id"}


@pytest.mark.parametrize("columns", ["", " (login, name)"])
def test_an_attribute_that_is_called_after_a_table_and_holds_its_codes_is_a_link(tmp_path: Path, columns: str) -> None:
    sql = "CREATE TABLE voters (login text PRIMARY KEY, name text);\n"
    sql += f"INSERT INTO voters{columns} VALUES ('lea', 'Lea'), ('jon', 'Jon');\n"
    votes = rows("votes", {"poll": "1", "voter": "lea"}, {"poll": "1", "voter": "jon"})
    settings, _ = made(
        tmp_path, {"schema.sql": sql, "t.json": table("votes", "poll", "voter"), "seed/votes.json": votes}
    )
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:votes.voter", "postgres:voters.login")]


def test_codes_in_capitals_are_values_where_no_key_has_a_separator(tmp_path: Path) -> None:
    seed = "station,departs_at\nHAM,2025-06-01T08:00:00Z\nBER,2025-06-01T09:00:00Z\n"
    files = {"t.json": table("departures", "station", "departs_at"), "data/departures.csv": seed}
    settings, _ = made(tmp_path, files)
    assert {n: (e.match, e.attributes) for n, e in settings.entities.items()} == {
        "departure": ({}, {"station": "string", "departs_at": "time"})
    }


def test_keys_that_pg_dump_adds_behind_the_tables_count(tmp_path: Path) -> None:
    sql = """\
CREATE TABLE public.patients (id integer NOT NULL, name text);
ALTER TABLE ONLY public.patients
    ADD CONSTRAINT patients_pkey PRIMARY KEY (id);
"""
    visits = rows("visits", {"patient_id": 1, "at": "2025-03-05"})
    files = {"dump.sql": sql, "t.json": table("visits", "patient_id", "at", patient_id="N"), "seed.json": visits}
    settings, _ = made(tmp_path, files)
    assert [(link.source, link.to) for link in settings.links] == [
        ("dynamodb:visits.patient_id", "postgres:patients.id")
    ]


def test_places_of_seeded_keys_have_the_names_of_the_code(tmp_path: Path) -> None:
    script = """\
const { QueryCommand } = require('@aws-sdk/lib-dynamodb');
exports.listSms = async (userId) => {
  const page = await ddb.send(new QueryCommand({
    TableName: 'sms', KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': `U#${userId}` },
  }));
  return page.Items.map((i) => ({ id: i.sms_id }));
};
"""
    sql = "CREATE TABLE users (id bigint PRIMARY KEY, phone text UNIQUE);\n"
    seed = rows("sms", {"pk": "U#7", "sk": "2025-01-01T00:00:00Z", "sms_id": "x1"})
    settings, _ = made(
        tmp_path, {"a.sql": sql, "t.json": table("sms", "pk", "sk"), "seed.json": seed, "index.js": script}
    )
    assert settings.entities["u"].match == {"pk": "U#{userId}"}
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:sms.pk[U#{}]", "postgres:users.id")]


@pytest.mark.parametrize(("word", "traced"), [("ORDER#", True), ("ORD", True), ("INVOICE#", False)])
def test_a_kind_that_the_query_leaves_out_is_not_traced(tmp_path: Path, word: str, traced: bool) -> None:
    app = f"""\
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("shop")
def put(user, order):
    table.put_item(Item={{"pk": f"USER#{{user}}", "sk": f"ORDER#{{order}}", "note": "x"}})
def mine(user):
    return table.query(KeyConditionExpression=Key("pk").eq(f"USER#{{user}}") & Key("sk").begins_with("{word}"))["Items"]
"""
    settings, _ = made(tmp_path, {"t.json": table("shop", "pk", "sk"), "app.py": app})
    assert list(settings.entities) == ["order"]
    assert bool(settings.trace) is traced


LIST = """\
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("rides")
def rides_of(rider_id):
    found = table.query(KeyConditionExpression=Key("rider_id").eq(rider_id), ScanIndexForward=False)["Items"]
    return found
"""
RIDE = {"rider_id": MIA, "started_at": "2026-01-02T03:04:05Z", "km": 7}


def test_the_time_that_is_the_id_is_also_the_field_that_sorts(tmp_path: Path) -> None:
    files = {"t/rides.json": table("rides", "rider_id", "started_at"), "rides.json": rows("rides", RIDE)}
    settings, _ = made(tmp_path, {**files, "app.py": LIST})
    trace = settings.trace["rides_of"]
    assert trace.sorted_by == "started_at"
    assert trace.fields["started_at"] == "started_at"
    assert trace.ids == {"dynamodb": "started_at", "library": "started_at"}


def test_a_list_by_an_index_whose_key_has_a_word_is_traced(tmp_path: Path) -> None:
    """`GROWER#…`: the one kind of items that has the attribute is what the index lists."""
    names = {"pk": "HASH", "sk": "RANGE", "gsi1pk": "HASH", "gsi1sk": "RANGE"}
    parts = [{"AttributeName": name, "KeyType": kind} for name, kind in names.items()]
    index = {"IndexName": "by-grower", "KeySchema": parts[2:], "Projection": {"ProjectionType": "ALL"}}
    request = {
        "TableName": "greenhouse",
        "KeySchema": parts[:2],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        "GlobalSecondaryIndexes": [index],
    }
    code = """
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("greenhouse")

def add_harvest(bed_id, grower_id, day, kilos):
    table.put_item(Item={"pk": f"BED#{bed_id}", "sk": f"HARVEST#{day}", "gsi1pk": f"GROWER#{grower_id}",
                         "gsi1sk": f"HARVEST#{day}", "day": day, "kilos": kilos})

def harvests_of(grower_id):
    return table.query(IndexName="by-grower", KeyConditionExpression=Key("gsi1pk").eq(f"GROWER#{grower_id}"))["Items"]
"""
    files = {"tables/t.json": json.dumps(request), "store.py": code}
    settings, _ = made(tmp_path, files)
    [trace] = settings.trace.values()
    assert (trace.pattern, trace.entity) == ("harvests_of", "harvest")
    assert trace.where == {"gsi1pk": "GROWER#{grower_id}"}
