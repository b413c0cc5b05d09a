"""`devenv init` on kinds of projects: what each gives, and that nothing it saw is passed over in silence."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devenv.cli.guesses import choose_likely
from devenv.cli.settings_report import check_settings
from devenv.config.load import load
from devenv.config.parse import parse
from devenv.config.schema import Settings
from devenv.core.errors import Exit
from devenv.init.command import init
from devenv.init.listing import list_widely
from devenv.init.review import review_folder
from devenv.init.survey import survey
from tests.unit.init.test_init import write

COMPOSE = 'services: {db: {image: "postgres:16"}, ddb: {image: amazon/dynamodb-local}}'
MAKE = "CREATE TABLE o (id int);"
KEY = '"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]'
ATTRIBUTES = '"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]'
REQUEST = f'{{"TableName": "things", {ATTRIBUTES}, {KEY}}}'


def made(root: Path, files: dict[str, str], *, yes: bool = True) -> tuple[Settings, dict[str, Any]]:
    """The settings that init writes, and its report. `config check` takes the file."""
    report = init(write(root, files), choose_likely if yes else None)
    check_settings(load(root))
    return parse(tomllib.loads((root / "devenv.toml").read_text()), root), dict(report.body)


# --- which files are looked at


def test_upper_files_come_first_and_a_full_folder_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{n}.json": "{}" for n in range(9)} | {"z/schema.sql": "CREATE TABLE t (id int);"})
    found = list_widely(tmp_path, most=100, most_in_folder=3)
    assert [path.as_posix() for path in found.files] == ["data/0.json", "data/1.json", "data/2.json", "z/schema.sql"]
    assert found.left_out == ("data: more than 3 files: the rest was not read",)


@pytest.mark.parametrize("folder", ["build", "vendor", "target", ".aws-sam/build", "node_modules/x", "dist", ".next"])
def test_what_tools_made_is_not_read(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {f"{folder}/schema.sql": "CREATE TABLE t (id int);", "docker-compose.yml": COMPOSE})
    assert survey(tmp_path).sql == ()


# --- SQL


def test_every_sql_file_is_used_in_order_or_listed_with_the_reason(tmp_path: Path) -> None:
    settings, body = made(
        tmp_path,
        {
            "docker-compose.yml": COMPOSE,
            "db/00_extensions.sql": "CREATE EXTENSION IF NOT EXISTS citext;",
            "db/01_types.sql": "CREATE TYPE state AS ENUM ('open');",
            "db/02_tables.sql": "CREATE TABLE users (id uuid PRIMARY KEY, handle citext, state state);",
            "db/03_email.sql": "ALTER TABLE users ADD COLUMN email text;",
            "db/10_views.sql": "CREATE VIEW v AS SELECT email FROM users;",
            "db/9_index.sql": "CREATE INDEX ON users (email);",
            "db/queries/by_handle.sql": "SELECT * FROM users WHERE handle = $1",
            "db/queries/add.sql": "INSERT INTO users VALUES ($1, $2)",
            "db/clean.sql": "DROP TABLE users;",
            "docs/copy.sql": "CREATE TABLE users (id uuid);",
            "tests/fixtures/rows.sql": "INSERT INTO users VALUES (1);",
            "notes.sql": "-- nothing yet\n",
        },
    )
    assert settings.steps.setup.files == [
        f"db/{name}.sql" for name in ("00_extensions", "01_types", "02_tables", "03_email", "9_index", "10_views")
    ]
    assert sorted(body["unused"]) == [
        "db/clean.sql: it creates nothing",
        "db/queries/add.sql: a program fills in its values",
        "db/queries/by_handle.sql: it only reads",
        "docker-compose.yml: suggests DynamoDB, but neither a definition nor a query of a table was found. If the"
        " project has a table, write its CreateTable request as JSON and name the file in [steps.schema-load]",
        "docs/copy.sql: table users is already made by db/02_tables.sql",
        "notes.sql: it has no statement",
        "tests/fixtures/rows.sql: it is in a folder of tests",
    ]


def test_files_whose_names_are_in_no_order_run_in_one_that_works(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "a_email.sql": "ALTER TABLE ONLY public.users ADD COLUMN email text;",
            "b_rows.sql": "INSERT INTO users (id) VALUES (1);",
            "c_users.sql": "CREATE TABLE users (id int);",
            "d_functions.sql": "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        },
    )
    assert settings.steps.setup.files == ["c_users.sql", "d_functions.sql", "a_email.sql", "b_rows.sql"]


# --- migrations


@pytest.mark.parametrize(
    ("files", "setting"),
    [
        ({"api/V1__init.sql": MAKE}, {"tool": "flyway", "folder": "api"}),
        ({"db/migration/V1__init.sql": MAKE}, "flyway"),
        ({"migrations/1_o.up.sql": MAKE, "migrations/1_o.down.sql": "DROP TABLE o;"}, "golang-migrate"),
        ({"db/migrations/20240101_o.sql": f"-- migrate:up\n{MAKE}\n-- migrate:down\nDROP TABLE o;"}, "dbmate"),
        ({"sql/schema/001_o.sql": f"-- +goose Up\n{MAKE}\n"}, {"tool": "goose", "folder": "sql/schema"}),
        ({"prisma/migrations/2024_init/migration.sql": MAKE}, "prisma"),
        ({"alembic.ini": "[alembic]", "alembic/env.py": "", "alembic/versions/1_o.py": "revision = '1'"}, "alembic"),
        ({"migrations/env.py": "import current_app", "migrations/versions/1.py": "revision = '1'"}, "flask-migrate"),
        ({"manage.py": "", "shop/migrations/0001_initial.py": ""}, "django"),
        ({"knexfile.js": "module.exports = {}", "migrations/1_o.js": "exports.up = (knex) => knex.schema"}, "knex"),
    ],
)
def test_migrations_are_proposed(tmp_path: Path, files: dict[str, str], setting: Any) -> None:
    init(write(tmp_path, files))
    written = tomllib.loads((tmp_path / "devenv.toml").read_text())
    assert written["steps"]["setup"] == {"migrations": setting}


def test_a_schema_that_the_migrations_make_too_is_not_loaded_twice(tmp_path: Path) -> None:
    settings, body = made(
        tmp_path,
        {
            "db/migration/V1__init.sql": "CREATE TABLE orders (id text PRIMARY KEY);",
            "db/schema.sql": "CREATE TABLE orders (id text PRIMARY KEY);",
            "db/seed.sql": "INSERT INTO orders VALUES ('1');",
        },
    )
    assert settings.steps.setup.files == ["db/seed.sql"]
    assert body["unused"] == ["db/schema.sql: table orders is already made by the migrations (flyway)"]


def test_migrations_of_an_unknown_tool_are_named_with_the_setting(tmp_path: Path) -> None:
    _, body = made(tmp_path, {"docker-compose.yml": COMPOSE, "db/migrate/20240101_users.rb": "create_table :users"})
    assert (
        "db/migrate: has migrations of Rails, but devenv does not know their command. Declare it:" in body["unused"][0]
    )


# --- table definitions

TABLES = {
    "loop.py": """
import boto3
KEY = [{"AttributeName": "id", "KeyType": "HASH"}]
KIND = [{"AttributeName": "id", "AttributeType": "S"}]
for name in ("a_loop", "b_loop"):
    boto3.client("dynamodb").create_table(TableName=name, KeySchema=KEY, AttributeDefinitions=KIND)
TABLES = {"pair": KEY, "other": KEY}
async def make(client):
    for name, key in TABLES.items():
        await client.create_table(TableName=name, KeySchema=key, AttributeDefinitions=KIND)
""",
    "create.sh": """
aws dynamodb create-table --table-name scripted --billing-mode PAY_PER_REQUEST \\
  --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH
aws dynamodb create-table --table-name "$COMPUTED" --attribute-definitions AttributeName=id,AttributeType=S
""",
    "tables.ts": """
import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
const shared = { KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }] };
export const make = async (client: Client): Promise<void> => {
  await client.send(new CreateTableCommand({
    TableName: process.env.NAME ?? 'typed',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' as const }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST', // on demand
  }));
  await client.send(new CreateTableCommand(requestOf('x')));
};
""",
    "sam.yaml": """
Resources:
  Simple: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: simple}}
  Everywhere:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      TableName: global
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      Replicas: [{Region: eu-central-1}]
  Broken: {Type: AWS::DynamoDB::Table, Properties: {TableName: broken}}
""",
    "describe.json": f'{{"Table": {{"TableStatus": "ACTIVE", "TableName": "described", {ATTRIBUTES}, {KEY}}}}}',
    "serverless.yml": """
custom: {stage: dev, name: "jobs-${self:custom.stage}"}
resources:
  Resources:
    Jobs:
      Type: AWS::DynamoDB::Table
      Properties:
        TableName: ${self:custom.name}
        AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
        KeySchema: [{AttributeName: id, KeyType: HASH}]
""",
    "refused.json": f'{{"TableName": "x", {ATTRIBUTES}, {KEY}}}',
    "Cart.java": "@DynamoDbBean public class Cart {}",
    "stack.ts": "new dynamodb.Table(this, 'T', { partitionKey });",
    "model.py": "from pynamodb.models import Model\n",
}


def test_table_definitions_of_every_kind_are_read_or_listed(tmp_path: Path) -> None:
    write(tmp_path, TABLES)
    found = survey(tmp_path)
    names = {table.table for table in found.tables}
    assert names == {
        *("a_loop", "b_loop", "pair", "other", "scripted", "typed", "simple", "global", "described", "jobs-dev"),
    }
    (everywhere,) = (table.request for table in found.tables if table.table == "global")
    assert everywhere["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert everywhere["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "expires"}
    places = sorted(each.partition(": ")[0] for each in found.unused)
    assert places == [
        "Cart.java:1",
        "create.sh",
        "model.py:1",
        "refused.json",
        "sam.yaml",
        "sam.yaml:4",
        "stack.ts:1",
        "tables.ts:11",
    ]


def test_code_that_uses_a_table_that_is_nowhere_is_named(tmp_path: Path) -> None:
    code = "import os, boto3\nboto3.client('dynamodb').put_item(TableName=os.getenv('T'), Item={'id': {'S': '1'}})\n"
    settings, body = made(tmp_path, {"svc/app.py": code, "svc/init.sql": "CREATE TABLE t (id int);"})
    assert body["unused"][0].startswith("svc/app.py: uses DynamoDB, but no definition of its table was found")
    assert settings.project.cross_store is True


# --- compose


def test_several_compose_files_and_overrides(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "docker-compose.yml": "services: {db: {image: '${PG:-bitnami/postgresql:16}', environment:"
            " [POSTGRESQL_DATABASE=shop, POSTGRESQL_USERNAME=me], ports: ['5433:5432']}}",
            "docker-compose.override.yml": "services: {db: {ports: ['5544:5432']}}",
            "infra/docker-compose.local.yml": "services: {aws: {image: localstack/localstack, ports: ['4566:4566']}}",
        },
    )
    assert (settings.postgres.database, settings.postgres.user, settings.postgres.port) == ("shop", "me", 5544)
    assert settings.dynamodb.port == 4566


@pytest.mark.parametrize(
    ("service", "store"),
    [
        ("image: pgvector/pgvector:pg16", "postgres"),
        ("image: timescale/timescaledb:latest-pg16", "postgres"),
        ("{build: ./pg, ports: ['5432:5432'], environment: {POSTGRES_DB: x}}", "postgres"),
        ("image: localstack/localstack", "dynamodb"),
        ("{image: localstack/localstack, environment: {SERVICES: 's3,dynamodb'}}", "dynamodb"),
        ("{image: localstack/localstack, environment: {SERVICES: 's3'}}", None),
        ("{image: openjdk, command: java -jar DynamoDBLocal.jar -sharedDb}", "dynamodb"),
        ("image: prom/postgres_exporter", None),
        ("image: aaronshaf/dynamodb-admin", None),
    ],
)
def test_images_that_are_a_store(tmp_path: Path, service: str, store: str | None) -> None:
    text = service if service.startswith("{") else f"{{{service}}}"
    write(tmp_path, {"compose.yaml": f"services: {{x: {text}}}"})
    compose = survey(tmp_path).compose
    assert compose is not None
    found = [name for name in ("postgres", "dynamodb") if getattr(compose, name)]
    assert found == ([store] if store else [])


def test_parts_of_an_address_and_drivers_are_filled_in_and_no_password_is_copied(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "docker-compose.yml": "services:\n  api: {build: ., env_file: .env.example, command: [uvicorn, 'main:app',"
            " --port, '8080'], ports: ['8080:8080']}\n  db: {image: 'postgres:16', ports: ['5432:5432']}\n",
            ".env.example": "DB_HOST=db\nDB_PORT=5432\nDB_PASSWORD=pw-77\nREDIS_HOST=cache\n"
            "DATABASE_URL=postgresql+asyncpg://me:pw-77@db/shop\n",
        },
    )
    assert settings.env == {
        "DB_HOST": "{postgres_host}",
        "DB_PORT": "{postgres_port}",
        "DB_PASSWORD": "{postgres_password}",
        "DATABASE_URL": "postgresql+asyncpg://{postgres_url}",
        "REDIS_HOST": "cache",
    }
    assert "pw-77" not in (tmp_path / "devenv.toml").read_text()


QUERIES = """
import boto3
from datetime import datetime
client = boto3.client("dynamodb")

def colon(room):
    return client.query(TableName="things", KeyConditionExpression="id = :id AND begins_with(sk, :year)",
        ExpressionAttributeValues={"id": {"S": room}, ":year": {"S": str(datetime.now().year)}})["Items"]

def short(room):
    return client.query(TableName="things", Limit=20, KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": {"S": room}})["Items"]

def fixed():
    return client.query(TableName="things", KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": {"S": "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"}})["Items"]

def sound(room):
    found, last = [], {}
    while last is not None:
        page = client.query(TableName="things", Limit=20, KeyConditionExpression="id = :id", **last,
            ExpressionAttributeValues={":id": {"S": room}})
        last = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
    return found
"""


def test_what_is_wrong_in_a_query_is_named_with_its_line(tmp_path: Path) -> None:
    _, body = made(tmp_path, {"app.py": QUERIES, "t.json": REQUEST})
    assert body["code"] == [
        "app.py:7: the expression uses :id, which has no value: DynamoDB refuses the query",
        "app.py:7: begins_with(sk, str(datetime.now().year)) depends on today's date: older items are never read",
        "app.py:11: Limit 20, and the code requests no next page: the list ends after 20 items",
        "app.py:15: the value of key attribute `id` is a fixed id in the code",
    ]


def test_a_condition_built_of_objects_may_follow_the_clock_too(tmp_path: Path) -> None:
    code = """
import boto3, datetime
from boto3.dynamodb.conditions import Key

def latest(room):
    month = str(datetime.date.today())[:7]
    return boto3.resource("dynamodb").Table("things").query(
        KeyConditionExpression=Key("id").eq(room) & Key("at").begins_with(month))["Items"]

def of_day(room, day):
    return boto3.resource("dynamodb").Table("things").query(
        KeyConditionExpression=Key("id").eq(room) & Key("at").begins_with(day))["Items"]
"""
    _, body = made(tmp_path, {"app.py": code, "t.json": REQUEST})
    assert body["code"] == [
        "app.py:7: begins_with(at, str(datetime.date.today())[:7]) depends on today's date: older items are never read"
    ]


def test_texts_of_a_template_in_json_become_truth_values(tmp_path: Path) -> None:
    table = {**json.loads(REQUEST), "TableName": {"Ref": "Name"}, "DeletionProtectionEnabled": {"Ref": "Kept"}}
    template = {
        "Parameters": {"Name": {"Default": "things"}, "Kept": {"Type": "String", "Default": "true"}},
        "Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": table}},
    }
    made(tmp_path, {"stack.json": json.dumps(template)})
    written = json.loads((tmp_path / "seeds" / "dynamodb" / "tables" / "things.json").read_text("utf-8"))
    assert written["DeletionProtectionEnabled"] is True


def test_a_data_source_of_spring_gets_all_parts_of_the_address(tmp_path: Path) -> None:
    compose = """services:
  db: {image: "postgres:16", environment: {POSTGRES_DB: app, POSTGRES_PASSWORD: pw-of-db-1}}
  api:
    build: .
    environment:
      - SPRING_DATASOURCE_URL=jdbc:postgresql://db:5432/app
      - SPRING_DATASOURCE_USERNAME=postgres
      - SPRING_DATASOURCE_PASSWORD=pw-of-db-1
"""
    written, _ = made(tmp_path, {"docker-compose.yml": compose})
    assert written.env == {
        "SPRING_DATASOURCE_URL": "jdbc:postgresql://{postgres_host}:{postgres_port}/{postgres_database}",
        "SPRING_DATASOURCE_USERNAME": "{postgres_user}",
        "SPRING_DATASOURCE_PASSWORD": "{postgres_password}",
    }
    assert "pw-of-db-1" not in (tmp_path / "devenv.toml").read_text("utf-8")


def test_a_folder_is_reviewed_without_its_tests_and_tables(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": QUERIES, "tests/test_app.py": QUERIES, "test_more.py": QUERIES, "bin/list": QUERIES})
    seen = review_folder(tmp_path)
    assert (len(seen.faults), seen.queries, seen.unread) == (4, 4, ())
    assert seen.faults[2].place == "app.py:11"
    script = "const one = async () => doc.send(new QueryCommand({ KeyConditionExpression: 'pk = :p', Limit: 5,"
    (tmp_path / "app.py").write_text("x = 1")
    (tmp_path / "store.js").write_text(f"{script} ExpressionAttributeValues: {{ ':q': 1 }} }}));\n")
    assert [str(each) for each in review_folder(tmp_path).faults] == [
        "store.js:1: the expression uses :p, which has no value: DynamoDB refuses the query",
        "store.js:1: Limit 5, and the code requests no next page: the list ends after 5 items",
    ]
    assert [each.refused for each in review_folder(tmp_path).faults] == [True, False]


# --- what is written where nothing is known, and where nothing is


def test_a_foreign_project_gets_a_minimal_file_and_no_example(tmp_path: Path) -> None:
    files = {
        "pom.xml": "<project><dependency><artifactId>postgresql</artifactId></dependency></project>",
        "src/main/resources/application.properties": "spring.datasource.url=jdbc:postgresql://localhost:5432/shop\n",
        "src/Cart.java": "@DynamoDbBean public class Cart {}",
    }
    write(tmp_path, files)
    report = init(tmp_path)
    assert (report.exit_code, report.body["example"], report.body["written"]) == (Exit.FOUND, False, ["devenv.toml"])
    assert report.body["needed"][0].startswith("[steps.setup]")
    assert any(each.startswith("src/Cart.java:1: a table definition in Java") for each in report.body["unused"])
    settings = parse(tomllib.loads((tmp_path / "devenv.toml").read_text()), tmp_path)
    assert settings.postgres.database == "shop"


@pytest.mark.parametrize("name", ["README.md", ".gitignore", "LICENSE"])
def test_a_folder_with_only_a_readme_is_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    assert init(tmp_path).body["example"] is True


# --- answers


def test_yes_takes_what_is_likely_and_leaves_the_rest(tmp_path: Path) -> None:
    files = {
        "schema.sql": "CREATE EXTENSION postgis;\nCREATE TABLE users (uuid uuid PRIMARY KEY, handle text);",
        "t.json": REQUEST,
        "a.py": "import boto3\ndef put_thing(my_user_uuid):\n    c.put_item(TableName='things', Item={'id': {'S': 'x'},"
        " 'my_user_uuid': {'S': my_user_uuid}})\n",
    }
    settings, body = made(tmp_path, files)
    assert [link.name for link in settings.links] == ["my_user"]
    assert settings.postgres.source == "wheel"
    text = (tmp_path / "devenv.toml").read_text()
    assert '#~ source = "system"' in text
    assert "# Likely: Does things.my_user_uuid hold ids of users.uuid?" in text
    assert "# EDIT 1:" in text
    assert len(body["edits"]) == 1


def test_answers_take_drop_or_replace(tmp_path: Path) -> None:
    files = {
        "schema.sql": "CREATE TABLE users (uuid uuid PRIMARY KEY, handle text);",
        "t.json": REQUEST,
        "a.py": "import boto3\ndef put_thing(my_user_uuid):\n    c.put_item(TableName='things', Item={'id': {'S': 'x'},"
        " 'my_user_uuid': {'S': my_user_uuid}, 'their_user_uuid': {'S': x}})\n",
    }
    write(tmp_path, files)
    answers = iter([False, '[[links]]\nname = "mine"\nfrom = "dynamodb:things.id"\nto = "postgres:users.uuid"'])
    init(tmp_path, lambda guess: next(answers))
    settings = parse(tomllib.loads((tmp_path / "devenv.toml").read_text()), tmp_path)
    assert [(link.name, link.source) for link in settings.links] == [("mine", "dynamodb:things.id")]


def test_every_section_is_explained_and_there_is_an_example_of_a_trace(tmp_path: Path) -> None:
    made(tmp_path, {"docker-compose.yml": COMPOSE, "t.json": REQUEST})
    lines = (tmp_path / "devenv.toml").read_text().splitlines()
    assert "# [trace.SUBJECT]" in lines
    heads = [at for at, line in enumerate(lines) if line.startswith("[")]
    for at in heads:
        above = lines[:at]
        while above and not above[-1]:
            above.pop()
        assert above[-1].startswith("#"), lines[at]
