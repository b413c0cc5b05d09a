"""A trace whose request relies on a row: `{row.COLUMN}` is filled in for every layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.e2e.world import own_ports
from tests.support import ProjectDir, empty_project

SETTINGS = """
[project]
name = "apiary"

[backend]
command = ["{python}", "app.py", "{port}"]
health = "/"

[steps.setup]
files = ["hives.sql"]

[entities.visit]
table = "visits"
match = { pk = "HIVE#{hive_id}" }

[entities.visit.attributes]
hive_id = "uuid"
at = "string"

[entities.weight]
table = "weights"
match = {}

[entities.weight.attributes]
scale = "number"
at = "string"

[[links]]
from = "dynamodb:visits.hive_id"
to = "postgres:hives.id"

[patterns.visits]
table = "visits"
key = { pk = "HIVE#{row.id}" }

[patterns.weights]
table = "weights"
key = { scale = "{row.scale}" }

[trace.visits]
params = { code = "string" }
sql = "SELECT id, note FROM hives WHERE code = %(code)s"
pattern = "visits"
entity = "visit"
where = { hive_id = "{row.id}" }
ids = { dynamodb = "at", library = "at", http = "at" }

[trace.visits.library]
function = "reads:visits"
arguments = { hive = "{row.id}" }

[trace.visits.request]
path = "/{row.id}"

[trace.weights]
params = { code = "string" }
sql = "SELECT scale FROM hives WHERE code = %(code)s"
pattern = "weights"
entity = "weight"
where = { scale = "{row.scale}" }
ids = { dynamodb = "at", library = "at" }

[trace.weights.library]
function = "reads:weights"
arguments = { scale = "{row.scale}" }
"""
HIVE = "b2b6f0a4-77d0-4f6e-8c11-5e2d90cc0a01"
SQL = f"""
CREATE TABLE hives (id uuid PRIMARY KEY, code text UNIQUE, scale int, note text);
INSERT INTO hives VALUES ('{HIVE}', 'A1', 7, NULL);
"""
READS = """
import os, boto3

def query(table, key, value):
    dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
    found = dynamodb.query(TableName=table, KeyConditionExpression=f"{key} = :k",
                           ExpressionAttributeValues={":k": value})["Items"]
    return [{"at": item["at"]["S"]} for item in found]

def visits(hive):
    return query("visits", "pk", {"S": f"HIVE#{hive}"})

def weights(scale):
    return query("weights", "scale", {"N": str(scale)})
"""
APP = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from reads import visits

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(visits(self.path[1:]) if len(self.path) > 1 else []).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def table(name: str, key: str, kind: str) -> dict[str, object]:
    """A table with a partition key of this type, and a sort key `at`."""
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": kind},
            {"AttributeName": "at", "AttributeType": "S"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


@pytest.fixture(scope="module")
def apiary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    empty = empty_project(tmp_path_factory.mktemp("row") / "apiary", SETTINGS)
    for name, text in (("hives.sql", SQL), ("reads.py", READS), ("app.py", APP)):
        (empty.path / name).write_text(text)
    project = ProjectDir(empty.path, own_ports())
    try:
        project.ok("up")
        with project.dynamodb() as dynamodb:
            dynamodb.call("CreateTable", table("visits", "pk", "S"))
            dynamodb.call("CreateTable", table("weights", "scale", "N"))
            for item in (
                {"pk": f"HIVE#{HIVE}", "hive_id": HIVE, "at": "monday"},
                {"pk": f"HIVE#{HIVE}", "hive_id": HIVE, "at": "tuesday"},
            ):
                dynamodb.call("PutItem", {"TableName": "visits", "Item": typed_item(item)})
            for scale in (7, 8):
                item = typed_item({"scale": scale, "at": f"noon of {scale}"})
                dynamodb.call("PutItem", {"TableName": "weights", "Item": item})
        yield project
    finally:
        project.remove()


def test_a_column_of_the_row_is_filled_in_for_every_layer(apiary: ProjectDir) -> None:
    document = apiary.json("trace", "visits", "A1")
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert (document["verdict"]["status"], document["exit_code"]) == ("ok", 0), document["verdict"]
    assert {layer["status"] for layer in layers.values()} == {"ok"}
    assert [layers[name]["observed_count"] for name in ("dynamodb", "pattern", "library", "http")] == [2, 2, 2, 2]


def test_a_number_of_the_row_is_filled_in(apiary: ProjectDir) -> None:
    layers = {layer["name"]: layer for layer in apiary.json("trace", "weights", "A1")["layers"]}
    for name in ("dynamodb", "pattern", "library"):
        assert [entry["id"] for entry in layers[name]["entries"]] == ["noon of 7"], layers[name]


def test_without_a_row_the_layers_that_need_it_are_not_run_and_say_so(apiary: ProjectDir) -> None:
    document = apiary.json("trace", "visits", "Z9")
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert (document["verdict"]["layer"], document["verdict"]["class"]) == ("postgres", "missing_row")
    for name, what in (
        ("dynamodb", "it"),
        ("cross-store", "it"),
        ("pattern", "the pattern"),
        ("library", "it"),
        ("http", "the request"),
    ):
        layer = layers[name]
        assert (layer["status"], layer["failure"]) == ("not_run", None), name
        assert layer["unasked"] == f"{what} needs {{row.id}}, and `sql` found no row"


def test_a_column_without_a_value_is_named(apiary: ProjectDir) -> None:
    file = apiary.path / "devenv.toml"
    file.write_text(SETTINGS.replace('"{row.id}" }\nids', '"{row.note}" }\nids'))
    try:
        layers = {layer["name"]: layer for layer in apiary.json("trace", "visits", "A1")["layers"]}
    finally:
        file.write_text(SETTINGS)
    for name in ("dynamodb", "cross-store"):
        assert layers[name]["status"] == "not_run"
        said = "it needs {row.note}, and the row that `sql` finds has no value in column `note`"
        assert layers[name]["unasked"] == said
