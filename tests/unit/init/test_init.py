"""`devenv init`: what it reads out of files of every kind, what it writes, what it must not do. Nothing is started."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devenv.cli.settings_report import check_settings
from devenv.config.load import load
from devenv.config.parse import parse
from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.init.command import init, project_name, take_back
from devenv.init.draft import Drafter
from devenv.init.names import table_variables
from devenv.init.sheet import Sheet, toml
from devenv.init.sql_order import order_files
from devenv.init.sql_tables import read_sql
from devenv.init.survey import survey
from devenv.init.tables import Found, read_json_tables, read_yaml_tables
from devenv.init.terraform_tables import read_terraform_tables
from tests.support import ProjectDir

KEY = [{"AttributeName": "pk", "KeyType": "HASH"}]
TABLE = {
    "TableName": "orders",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": KEY,
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def drafted(root: Path) -> Settings:
    """The settings that init would write, and those with every edit agreed to, which must be valid too."""
    text = Drafter(survey(root), "x").draft().text
    parse(tomllib.loads(re.sub(r"(?m)^#~ ", "", text)), root)
    return parse(tomllib.loads(text), root)


# --- an empty folder


def test_an_empty_folder_gets_an_example_that_is_valid(tmp_path: Path) -> None:
    report = init(tmp_path)
    assert report.body["example"] is True
    assert report.body["written"][0] == "devenv.toml"
    checked = check_settings(load(tmp_path, {})).body["checked"]
    assert "the files of step seed" in checked
    assert {"notes", "topic"} == set(load(tmp_path, {}).settings.patterns)


def test_a_project_is_left_alone(tmp_path: Path) -> None:
    init(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"devenv\.toml already exists"):
        init(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["seeds/postgres/users.sql", "seeds/dynamodb/items/notes.json"])
def test_all_is_written_or_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="so nothing was written"):
        init(tmp_path)
    assert not (tmp_path / "devenv.toml").exists()


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    project = tmp_path / "project"
    outside.mkdir()
    project.mkdir()
    (project / "seeds").symlink_to(outside)
    with pytest.raises(UsageError, match="so nothing was kept"):
        init(project)
    assert (list(outside.iterdir()), [path.name for path in project.iterdir()]) == ([], ["seeds"])


def test_the_command_and_its_document(tmp_path: Path) -> None:
    project = ProjectDir(tmp_path)
    document = project.json("init")
    assert (document["schema"], document["next"]) == ("devenv.init/1", "devenv up")
    assert project.ok("config", "check")
    refused = project.devenv("init")
    assert refused.code == 2
    assert "hint: devenv config check" in refused.err


@pytest.mark.parametrize(
    ("folder", "name"), [("shop", "shop"), ("My Shop!", "My-Shop"), ("...", "project"), ("x" * 99, "x" * 63)]
)
def test_the_project_is_called_as_its_folder(folder: str, name: str) -> None:
    assert project_name(Path("/") / folder) == name


# --- table definitions


def test_tables_of_cloudformation_in_yaml() -> None:
    text = """
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      TableName: orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      Tags: [{Key: stage, Value: !Ref Stage}]
  Unnamed:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${Stage}-lines"
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Bucket:
    Type: AWS::S3::Bucket
"""
    found = read_yaml_tables("template.yaml", text)
    assert [each.request for each in found] == [
        {**TABLE, "BillingMode": "PAY_PER_REQUEST"},
        {**TABLE, "TableName": "Unnamed", "BillingMode": "PAY_PER_REQUEST"},
    ]


def test_tables_of_terraform() -> None:
    text = """
# the orders
resource "aws_dynamodb_table" "orders" {
  name           = "orders"
  billing_mode   = "PROVISIONED"
  read_capacity  = var.read
  write_capacity = 5
  hash_key       = "pk"
  range_key      = "at"
  attribute {
    name = "pk"
    type = "S"
  }
  attribute {
    name = "at"
    type = "N"
  }
  attribute {
    name = "sku"
    type = "S"
  }
  global_secondary_index {
    name               = "by-sku"
    hash_key           = "sku"
    range_key          = "at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["pieces", "price"]
  }
  tags = { Name = "orders-${var.stage}" }
  deletion_protection_enabled = true
}
resource "aws_dynamodb_table" "computed" {
  name = "x-${var.stage}"
}
"""
    ((found,), _) = read_terraform_tables("main.tf", text)
    assert found.line == 3
    assert found.request["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ]
    (index,) = found.request["GlobalSecondaryIndexes"]
    assert index["KeySchema"][0] == {"AttributeName": "sku", "KeyType": "HASH"}
    assert index["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["pieces", "price"]}
    assert found.request["ProvisionedThroughput"] == {"ReadCapacityUnits": 1, "WriteCapacityUnits": 5}
    assert found.request["DeletionProtectionEnabled"] is True


def test_a_computed_name_of_terraform_is_that_of_the_resource() -> None:
    text = """
resource "aws_dynamodb_table" "carts" {
  name = "${var.stage}-carts"
  billing_mode = "PAY_PER_REQUEST"
  hash_key = "pk"
  attribute {
    name = "pk"
    type = "S"
  }
}
resource "aws_dynamodb_table" "computed_key" {
  name = "x"
  hash_key = "${var.key}"
  attribute {
    name = "${var.key}"
    type = "S"
  }
}
"""
    ((found,), _) = read_terraform_tables("main.tf", text)
    assert (found.table, found.computed) == ("carts", "${var.stage}-carts")
    ((found,), _) = read_terraform_tables("main.tf", text.replace('"${var.stage}-carts"', "var.table"))
    assert (found.table, found.computed) == ("carts", "${var.table}")


SHOP = {
    "infra/template.yaml": """
Parameters: {Kind: {Default: carts}}
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${AWS::StackName}-orders"
      AttributeDefinitions: [{AttributeName: customer_id, AttributeType: N}, {AttributeName: at, AttributeType: S}]
      KeySchema: [{AttributeName: customer_id, KeyType: HASH}, {AttributeName: at, KeyType: RANGE}]
  Carts:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Ref Kind
      AttributeDefinitions: [{AttributeName: customer_id, AttributeType: N}]
      KeySchema: [{AttributeName: customer_id, KeyType: HASH}]
""",
    "shop/orders.py": """
import os, boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])

def orders_of(customer_id):
    return table.query(KeyConditionExpression=Key("customer_id").eq(customer_id), ScanIndexForward=False)["Items"]

def cart(client, customer_id):
    return client.get_item(TableName="carts", Key={"customer_id": {"N": customer_id}}).get("Item")

def unclear(client, key):
    return client.get_item(TableName="carts", Key=key)
""",
}


@pytest.mark.parametrize(
    ("dotenv", "orders", "edits"),
    [
        ("ORDERS_TABLE=shop-orders\nSECRET_TABLE=x\n", "shop-orders", 0),
        ("", "Orders", 1),
        ("A_TABLE=lines\n", "Orders", 1),
    ],
)
def test_a_computed_name_is_what_a_variable_says_or_is_asked_for(
    tmp_path: Path, dotenv: str, orders: str, edits: int
) -> None:
    settings = drafted(write(tmp_path, {**SHOP, ".env": dotenv}))
    assert settings.env == {"ORDERS_TABLE": orders}
    of, cart = settings.patterns["orders_of"], settings.patterns["cart"]
    assert (of.table, of.key, of.order) == (orders, {"customer_id": "{customer_id}"}, "descending")
    assert (cart.table, cart.key, cart.operation) == ("carts", {"customer_id": "{customer_id}"}, "get")
    assert len(settings.patterns) == 2
    asked = [edit for edit in Drafter(survey(tmp_path), "x").draft().edits if "the table's name" in edit]
    assert len(asked) == edits


def test_a_variable_that_could_be_either_table_is_none() -> None:
    tables = [Found("f", 1, {"TableName": name}) for name in ("a-orders", "b-orders", "lines")]
    read = ["ORDER_TABLE", "DDB_LINE_TABLE_NAME", "TABLE_NAME", "LINES", "A_ORDERS_TABLE"]
    assert table_variables(read, tables, {}) == {"DDB_LINE_TABLE_NAME": "lines", "A_ORDERS_TABLE": "a-orders"}


def test_requests_in_json_are_used_where_they_are(tmp_path: Path) -> None:
    write(tmp_path, {"infra/orders.json": json.dumps([TABLE]), "infra/other.json": '{"KeySchema": 1}'})
    assert drafted(tmp_path).steps.schema_load.files == ["infra/orders.json"]
    assert read_json_tables("x", json.dumps({"a": TABLE})) == []


SCRIPT = """
import os, boto3
from boto3.dynamodb.conditions import Key
TABLE = os.environ.get("ORDERS_TABLE", "orders")
resource = boto3.resource("dynamodb")
table = resource.Table(TABLE)

def make():
    request = dict(
        TableName=TABLE,
        KeySchema=[dict(AttributeName="pk", KeyType="HASH"), {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[dict(AttributeName="pk", AttributeType="S"), dict(AttributeName="sk", AttributeType="S")],
        BillingMode="PAY_PER_REQUEST",
    )
    resource.create_table(**request)

def list_orders(customer_id):
    found = table.query(KeyConditionExpression=Key("pk").eq("CUST#" + customer_id) & Key("sk").begins_with("2024"))
    return [{"id": item["order_id"], "sku": item["sku"], "when": item.get("sk")} for item in found["Items"]]

def put_order(customer_id, order_id, sku, created_at, pieces):
    table.put_item(Item={"pk": f"CUST#{customer_id}", "sk": created_at, "order_id": order_id, "sku": sku})
"""


def test_code_with_the_resource_interface(tmp_path: Path) -> None:
    sql = "CREATE TABLE customers (id text PRIMARY KEY, email text NOT NULL UNIQUE);"
    write(tmp_path, {"shop/store.py": SCRIPT, "schema.sql": sql})
    settings = drafted(tmp_path)
    (entity,) = settings.entities.values()
    assert entity.match == {"pk": "CUST#{customer_id}"}
    assert entity.attributes == {"customer_id": "string", "sk": "time", "order_id": "string", "sku": "string"}
    pattern = settings.patterns["orders"]
    assert (pattern.table, pattern.key) == ("orders", {"pk": "CUST#{person.id}"})
    assert "reads only items with begins_with(sk, …)" in Drafter(survey(tmp_path), "x").draft().text
    trace = settings.trace["orders"]
    assert trace.library is not None
    assert trace.library.function == "shop.store:list_orders"
    assert trace.library.arguments == {"customer_id": "{person.id}"}
    assert trace.fields == {"sku": "sku", "when": "sk"}
    assert settings.env == {"ORDERS_TABLE": "orders"}
    assert settings.person is not None
    assert (settings.person.table, settings.person.name) == ("public.customers", "email")


def test_a_column_that_is_only_similarly_named_is_asked_for(tmp_path: Path) -> None:
    sql = "CREATE TABLE customers (customer_id text PRIMARY KEY, email text UNIQUE, paid text UNIQUE);"
    users = "CREATE TABLE users (uuid uuid UNIQUE);"
    more = '{"user_uuid": sku, "customer_email": sku, "paid": sku, "pk"'
    code = SCRIPT.replace('{"pk"', more)
    key = [{"AttributeName": "customer_id", "KeyType": "HASH"}]
    kinds = [{"AttributeName": "customer_id", "AttributeType": "S"}]
    carts = {"TableName": "carts", "AttributeDefinitions": kinds, "KeySchema": key}
    write(tmp_path, {"store.py": code, "schema.sql": sql + users, "carts.json": json.dumps(carts)})
    draft = Drafter(survey(tmp_path), "x").draft()
    assert [link.source for link in drafted(tmp_path).links] == ["dynamodb:orders.user_uuid"]
    asked = "Does carts.customer_id hold ids of customers.customer_id? Only their names are similar."
    assert any(edit.startswith(asked) for edit in draft.edits)
    assert '#~ from = "dynamodb:carts.customer_id"\n#~ to = "postgres:customers.customer_id"\n' in draft.text
    assert '#~ natural_key = { customer_email = "email" }\n' in draft.text
    links = [line for line in draft.found if line.startswith("link ")]
    assert links == [
        "link orders.user_uuid -> users.uuid",
        "link orders.pk[CUST#{}] -> customers.customer_id, needs your confirmation",
        "link carts.customer_id -> customers.customer_id, needs your confirmation",
    ]
    assert any(line.endswith(": entity order (table orders)") for line in draft.found)


# --- SQL


def test_sql_files_run_in_an_order_that_works(tmp_path: Path) -> None:
    texts = {
        "a_rows.sql": "INSERT INTO lines VALUES (1); INSERT INTO orders VALUES (1);",
        "b_lines.sql": "CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES public.orders (id));",
        "c_orders.sql": 'CREATE TABLE IF NOT EXISTS "orders" (id integer, at timestamptz, PRIMARY KEY (id));',
        "d_rows.sql": "INSERT INTO orders VALUES (2);",
        "query.sql": "SELECT * FROM orders WHERE id = %(id)s",
        "template.sql": "INSERT INTO orders VALUES (%(id)s);",
    }
    read = [read_sql(name, text) for name, text in texts.items()]
    files = [each for each in read if not isinstance(each, str)]
    assert read[4:] == ["it only reads", "a program fills in its values"]
    assert [file.name for file in order_files(files)] == ["c_orders.sql", "b_lines.sql", "d_rows.sql", "a_rows.sql"]
    (orders,) = files[2].tables
    assert [(c.name, c.type, c.unique) for c in orders.columns] == [
        ("id", "integer", True),
        ("at", "timestamptz", False),
    ]


def test_sql_that_devenv_cannot_run_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a.sql": "CREATE TABLE t (id int);", "b.sql": "CREATE TABLE u (id int);\nROLLBACK;\n"})
    draft = Drafter(survey(tmp_path), "x").draft()
    assert drafted(tmp_path).steps.setup.files == ["a.sql"]
    assert draft.edits[0].startswith("b.sql:2: ROLLBACK is not possible here")
    assert '#~     "b.sql",' in draft.text


def test_extensions_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    sql = 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";\nCREATE EXTENSION postgis;\nCREATE TABLE t (id uuid);'
    write(tmp_path, {"schema.sql": sql})
    draft = Drafter(survey(tmp_path), "x").draft()
    assert '#~ source = "system"' in draft.text
    assert "lacks: postgis (" in draft.edits[0]


def test_the_extensions_of_contrib_need_no_question(tmp_path: Path) -> None:
    sql = 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";\nCREATE EXTENSION pgcrypto;\nCREATE TABLE t (id uuid);'
    write(tmp_path, {"schema.sql": sql})
    assert "source" not in Drafter(survey(tmp_path), "x").draft().text


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/bash\npsql $URL -c 'CREATE DATABASE shop;'\n",
        "#!/bin/bash\ncreatedb -h localhost shop\n",
        "#!/bin/bash\npsql postgresql://me:pw@localhost:5432/shop < schema.sql\npsql postgresql://me:pw@db:5432/postgres",
    ],
)
def test_the_database_that_a_script_makes(tmp_path: Path, script: str) -> None:
    write(tmp_path, {"schema.sql": "CREATE TABLE t (id int);", "bin/db/create": script})
    assert drafted(tmp_path).postgres.database == "shop"


# --- the file's form


@pytest.mark.parametrize(
    "value",
    ["plain", 'quote " and \\ slash', "line\nbreak", "tab\t del\x7f nul\x01", "ünï 漢", 7, 1.5, True, ["a", "b"], {}],
)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}
    assert tomllib.loads(f"x = {toml({'odd key': value})}") == {"x": {"odd key": value}}


def test_edits_have_no_effect_until_they_are_agreed_to() -> None:
    sheet = Sheet()
    sheet.ask("Is it so?")
    sheet.section("links", array=True)
    sheet.key("name", "x")
    sheet.agreed()
    sheet.section("project")
    sheet.key("name", "y", "a note\nthat breaks")
    assert tomllib.loads(sheet.text) == {"project": {"name": "y"}}
    assert tomllib.loads(sheet.text.replace("#~ ", "")) == {"links": [{"name": "x"}], "project": {"name": "y"}}


def test_what_a_killed_init_left_goes_and_what_was_changed_since_stays(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "seeds").mkdir(parents=True)
    for path in (outside, root / "seeds" / "mine", root / "same"):
        path.write_text("left")
    (root / "seeds" / "edited").write_text("by hand")
    (root / "seeds" / "link").symlink_to(outside)
    names = ("same", "seeds/edited", "seeds/link", "../outside", str(outside), "nowhere/x")
    (root / ".devenv-init").write_text(json.dumps(dict.fromkeys(names, hashlib.sha256(b"left").hexdigest())))
    take_back(root)
    assert outside.read_text() == "left"
    assert {path.name for path in root.rglob("*")} == {"seeds", "mine", "edited", "link"}


def test_a_note_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / ".devenv-init").write_text("[1]")
    with pytest.raises(UsageError, match="not devenv's note"):
        take_back(tmp_path)
