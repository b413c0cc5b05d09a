"""What `init` reads of an application: its tokens, its settings class, the keys of its seeds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.config.schema import Token
from devenv.init.draft import health_rank
from devenv.init.real_values import find_values
from devenv.init.routes import read_routes
from devenv.init.settings_class import with_variables
from tests.unit.init.test_init_kinds import COMPOSE, REQUEST, made
from tests.unit.init.test_init_plain_tables import table

USERS = "CREATE TABLE users (uuid uuid PRIMARY KEY, handle text UNIQUE, cognito_user_id text);"
APP = """
import os, boto3, jwt
from flask import Flask
from boto3.dynamodb.conditions import Key
app = Flask(__name__)
table = boto3.resource("dynamodb").Table("notes")
ISSUER = os.environ["COGNITO_ISSUER"]
POOL, CLIENT = os.environ["USER_POOL_ID"], os.environ["USER_POOL_CLIENT_ID"]

def list_notes(room):
    items = table.query(KeyConditionExpression=Key("id").eq(f"ROOM#{room}"))["Items"]
    return [{"id": item["note_id"], "text": item["text"]} for item in items]

def add_note(room, user):
    table.put_item(Item={"id": f"ROOM#{room}", "note_id": "1", "text": "x", "user_uuid": user})

@app.get("/rooms/<room>")
@login_required
def show(room):
    return list_notes(room)
"""
TABLE = REQUEST.replace("things", "notes")
FILES = {"docker-compose.yml": COMPOSE, "db.sql": USERS, "app.py": APP, "notes.json": TABLE}


def test_tokens_of_cognito_get_an_issuer_and_requests_carry_one(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FILES)
    assert settings.token == Token(issuer="cognito")
    assert settings.env == {
        "COGNITO_ISSUER": "{token_issuer}",
        "USER_POOL_ID": "{token_user_pool}",
        "USER_POOL_CLIENT_ID": "{token_client_id}",
    }
    request = settings.trace["notes"].request
    assert request is not None
    assert (request.headers, request.anonymous) == ({"Authorization": "Bearer {token}"}, [401])


def test_a_check_of_the_audience_asks_for_id_tokens(tmp_path: Path) -> None:
    code = APP + "\ndef verify(token, key):\n    return jwt.decode(token, key, audience=CLIENT)\n"
    settings, _ = made(tmp_path, {**FILES, "app.py": code})
    assert settings.token == Token(issuer="cognito", use="id")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # The address is written in the code, or nobody has a sign-in id: both are asked for.
        ("app.py", APP.replace('os.environ["COGNITO_ISSUER"]', '"https://cognito-idp.us-east-1.amazonaws.com/x"')),
        ("db.sql", USERS.replace(", cognito_user_id text", "")),
    ],
)
def test_where_no_issuer_can_stand_in_it_says_what_is_missing(tmp_path: Path, name: str, text: str) -> None:
    settings, _ = made(tmp_path, {**FILES, name: text})
    assert settings.token is None
    assert "checks tokens of Cognito" in (tmp_path / "devenv.toml").read_text()
    request = settings.trace["notes"].request
    assert request is not None
    assert request.headers == {}


SHELF = """\
import express from 'express';
import { CognitoJwtVerifier } from 'aws-jwt-verify';
import { QueryCommand } from '@aws-sdk/lib-dynamodb';
const clientId = process.env.COGNITO_CLIENT_ID;
const verifier = CognitoJwtVerifier.create({ userPoolId: process.env.COGNITO_POOL_ID, tokenUse: 'id', clientId });
const app = express();
app.get('/my/shelf', async (req, res) => {
  let id;
  try { id = await reader(req); } catch { return res.sendStatus(401); }
  const { Items } = await doc.send(new QueryCommand({ TableName: 'shelves',
    KeyConditionExpression: 'reader_id = :r', ExpressionAttributeValues: { ':r': id } }));
  res.json({ shelf: Items });
});
"""
SHELVES = {
    "schema.sql": "CREATE TABLE readers (id uuid PRIMARY KEY, COLUMN text UNIQUE, email text);",
    "shelves.json": table("shelves", "reader_id", "isbn"),
    "index.mjs": SHELF,
    ".env.example": "COGNITO_POOL_ID=eu-west-1_AbC123\nCOGNITO_CLIENT_ID=4f4f\n",
    "package.json": '{"name": "x", "scripts": {"start": "node index.mjs"},'
    ' "dependencies": {"express": "4", "aws-jwt-verify": "4"}}',
}


@pytest.mark.parametrize("column", ["cognito_sub", "sub", "auth_id", "cognitoSub", "idp_user_id"])
def test_keys_from_the_address_of_aws_get_an_issuer_of_that_name_and_the_line_to_add(
    tmp_path: Path, column: str
) -> None:
    files = {**SHELVES, "schema.sql": SHELVES["schema.sql"].replace("COLUMN", f'"{column}"')}
    settings, body = made(tmp_path, files)
    pool = "eu-west-1_AbC123"
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{pool}"
    assert settings.token == Token(issuer="cognito", use="id", user_pool=pool, client_id="4f4f", claims={"iss": issuer})
    assert settings.env["COGNITO_JWKS_URL"] == "{token_jwks_url}"
    assert settings.env["COGNITO_POOL_ID"] == "{token_user_pool}"
    assert settings.person is not None
    assert settings.person.sign_in == column
    assert "verifier.cacheJwks(" in str(body["edits"])
    trace = settings.trace["shelf"]
    assert trace.where == {"reader_id": "{person.id}"}
    assert trace.request is not None
    assert (trace.request.path, trace.request.items, trace.request.anonymous) == ("/my/shelf", "shelf", [401])


def test_a_route_that_never_refuses_is_for_everybody(tmp_path: Path) -> None:
    text = SHELF.replace("sendStatus(401)", "sendStatus(404)")
    settings, _ = made(
        tmp_path, {**SHELVES, "index.mjs": text, "schema.sql": SHELVES["schema.sql"].replace("COLUMN", "sub")}
    )
    request = settings.trace["shelf"].request
    assert request is not None
    assert request.anonymous == []


@pytest.mark.parametrize(
    ("rows", "blank"), [("('a', 'MOCK'), ('b', 'MOCK')", "MOCK"), ("('a', '9f3c'), ('b', 'MOCK')", None)]
)
def test_a_placeholder_for_every_sign_in_id_is_filled(tmp_path: Path, rows: str, blank: str | None) -> None:
    seeds = f"{USERS}\nINSERT INTO users (handle, cognito_user_id) VALUES {rows};"
    settings, _ = made(tmp_path, {**FILES, "db.sql": seeds})
    assert settings.person is not None
    assert settings.person.sign_in_placeholder == blank


def test_a_project_without_tokens_gets_none(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "app.py": APP.replace("COGNITO_ISSUER", "A").replace("USER_POOL", "B")})
    assert settings.token is None
    assert "Cognito" not in (tmp_path / "devenv.toml").read_text()


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("@app.get('/x')\n@login_required\ndef f(): pass", True),
        ("@app.get('/x')\n@auth.signed_in\ndef f(): pass", True),
        ("@app.get('/x')\ndef f(user=Depends(get_current_user)): pass", True),
        ("@app.get('/x')\ndef f(db=Depends(get_session)): pass", False),
        ("@app.get('/x')\n@cross_origin()\ndef f(): pass", False),
    ],
)
def test_a_route_for_people_who_are_signed_in(text: str, guarded: bool) -> None:
    [route] = read_routes("app.py", ast.parse(text))
    assert route.guarded is guarded


SETTINGS = """
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    table: str = "orders"
    key: str
    region: str = Field("eu-north-1", alias="AWS_REGION")
    retries: int = 3
settings = Settings()
def get_settings() -> Settings:
    return settings
"""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("settings.table", "os.environ.get('SHOP_TABLE', 'orders')"),
        ("config.settings.key", "os.environ['SHOP_KEY']"),
        ("get_settings().region", "os.environ.get('AWS_REGION', 'eu-north-1')"),
        ("settings.retries", "os.environ.get('SHOP_RETRIES')"),
        ("settings.unknown", "settings.unknown"),
        ("other.table", "other.table"),
    ],
)
def test_a_field_of_a_settings_class_is_a_variable(text: str, read: str) -> None:
    trees = {"settings.py": ast.parse(SETTINGS), "app.py": ast.parse(f"\n\nx = {text}")}
    found = with_variables(trees)["app.py"]
    assert ast.unparse(found) == f"x = {read}"
    assert {node.lineno for node in ast.walk(found) if isinstance(node, ast.expr)} == {3}


@pytest.mark.parametrize(
    ("head", "read"),
    [
        ("def f(config: Settings):", True),
        ("async def f(config: Settings = Depends(get_settings)):", True),
        ('def f(*, config: Annotated["Settings", Depends(get_settings)]):', False),
        ("def f(*, config: Annotated[Settings, Depends(get_settings)]):", True),
        ("def f():\n    config = get_settings()", True),
        ("def f():\n    config = Settings()", True),
        ("def f(config: Other):", False),
        ("def f(config):", False),
    ],
)
def test_settings_that_a_function_gets_or_makes_are_variables_in_it(head: str, read: bool) -> None:
    trees = {"settings.py": ast.parse(SETTINGS), "app.py": ast.parse(f"{head}\n    return config.key\nconfig.key")}
    found = ast.unparse(with_variables(trees)["app.py"])
    assert ("return os.environ['SHOP_KEY']" in found) is read
    assert found.endswith("\nconfig.key")


def test_keys_that_a_seed_fills_with_a_constant_give_values() -> None:
    text = "LADDER = 'd9428888-122b-41e1-b85b-1f0a3c7e9b10'\nput(pk=f'TOOL#{LADDER}', sk=f'AT#{WHEN}')\n"
    rows = 'op.execute("""INSERT INTO members (handle) VALUES (\'ines\'), (\'jonas\')""")'
    values = find_values({"scripts/seed_loans.py": text, "migrations/0002.py": rows}, [])
    assert values.of("tool_id", "string") == "d9428888-122b-41e1-b85b-1f0a3c7e9b10"
    assert values.column("members", "handle") == ("ines", "jonas")


@pytest.mark.parametrize(
    ("paths", "health"),
    [
        (["/", "/boards", "/up"], "/up"),
        (["/status", "/api/healthz"], "/api/healthz"),
        (["/", "/livestreams"], "/"),
        (["/readyz", "/ping"], "/ping"),
        (["/orders", "/readings"], None),
    ],
)
def test_the_route_that_tells_that_the_application_serves(paths: list[str], health: str | None) -> None:
    assert min(filter(None, map(health_rank, paths)), default=(0, None))[1] == health


def test_no_health_path_is_invented(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FILES)
    assert settings.backend is not None
    assert settings.backend.health is None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "site/settings.py",
            'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql",\n'
            '    "NAME": os.environ.get("BOOKS_DB", "books"), "USER": "ada"}}\n',
        ),
        ("config/default.json", '{"pg": {"host": "localhost", "user": "ada", "database": "books"}}'),
        ("src/db.js", "const pool = new (require('pg').Pool)({ database: process.env.PGDATABASE ?? 'books' });\n"),
        ("app.py", 'import psycopg\npsycopg.connect(host="localhost", dbname="books")\n'),
    ],
)
def test_the_database_that_settings_name_is_the_projects(tmp_path: Path, file: str, text: str) -> None:
    settings, _ = made(tmp_path, {file: text, "db/schema.sql": "CREATE TABLE books (id int PRIMARY KEY);"})
    assert settings.postgres.database == "books"


def test_a_url_counts_before_a_setting_and_another_servers_setting_not_at_all(tmp_path: Path) -> None:
    files = {
        "a.py": 'import psycopg\npsycopg.connect("postgresql://localhost/right", dbname="wrong")\n',
        "b.py": 'mysql.connect(database="other")\n',
        "db/schema.sql": "CREATE TABLE books (id int PRIMARY KEY);",
    }
    assert made(tmp_path / "both", files)[0].postgres.database == "right"
    del files["a.py"]
    assert made(tmp_path / "other", files)[0].postgres.database == "postgres"


@pytest.mark.parametrize("place", ["localhost:5432/claims?currentSchema=desk", "localhost/claims"])
def test_a_database_that_only_a_tool_fills_is_declared(tmp_path: Path, place: str) -> None:
    """Liquibase alone loads its files, and the application still needs its database."""
    changelog = """databaseChangeLog:
- changeSet:
    id: 1
    author: a
    changes:
    - createTable:
        tableName: t
"""
    files = {
        "src/main/resources/db/changelog/master.yaml": changelog,
        "src/main/resources/application.properties": f"spring.datasource.url=${{U:jdbc:postgresql://{place}}}\n",
        "tables.json": REQUEST,
        "build.gradle": "dependencies { implementation 'org.postgresql:postgresql' }",
    }
    assert made(tmp_path, files)[0].postgres.database == "claims"
