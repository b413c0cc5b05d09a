"""`devenv init`: packages without `__init__.py`, routers of one file, a tool's dump of the schema, unread tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

APP = 'from fastapi import FastAPI\n{}\napp = FastAPI()\n@app.get("/health")\ndef health():\n    return {{}}\n'
SQL = {"schema.sql": "CREATE TABLE users (id uuid PRIMARY KEY);"}


@pytest.mark.parametrize(
    ("imported", "command", "folder"),
    [
        ("from api.auth import who", "api.main:app", "."),
        ("from .auth import who", "api.main:app", "."),
        ("from auth import who", "main:app", "api"),
    ],
)
def test_a_folder_is_a_package_if_its_modules_import_it_so(
    tmp_path: Path, imported: str, command: str, folder: str
) -> None:
    settings, _ = made(tmp_path, {**SQL, "api/main.py": APP.format(imported), "api/auth.py": "def who():\n    pass\n"})
    backend = settings.backend
    assert backend is not None
    assert (backend.command[3], backend.folder) == (command, folder)


def test_what_the_application_itself_serves_is_not_below_its_router(tmp_path: Path) -> None:
    server = """\
const api = express.Router();
app.get('/health', (req, res) => res.json({}));
api.get('/version', (req, res) => res.json({}));
app.use('/api/v2', api);
"""
    package = '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'
    settings, _ = made(tmp_path, {**SQL, "package.json": package, "server.js": server})
    assert settings.backend is not None
    assert settings.backend.health == "/health"


def test_a_dump_of_what_migrations_make_is_not_run_again(tmp_path: Path) -> None:
    up = "-- migrate:up\nCREATE TABLE users (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE users;\n"
    dump = "CREATE TABLE schema_migrations (version text);\nCREATE TABLE users (id int);\n"
    dump += "INSERT INTO schema_migrations (version) VALUES ('1');\n"
    settings, body = made(tmp_path, {"db/migrations/20240101_users.sql": up, "db/schema.sql": dump})
    assert settings.steps.setup.files == []
    assert "db/schema.sql: table users is already made by the migrations (dbmate)" in body["unused"]


def test_tables_that_are_not_read_are_tables(tmp_path: Path) -> None:
    terraform = 'resource "aws_dynamodb_table" "t" {\n  for_each = local.tables\n  name = each.key\n}\n'
    settings, body = made(tmp_path, {**SQL, "main.tf": terraform})
    assert settings.project.cross_store
    assert any(line.startswith("main.tf: 1 table definition") for line in body["unused"])


def test_variables_of_a_script_that_makes_tables_are_filled_in(tmp_path: Path) -> None:
    script = """\
#!/bin/bash
ENDPOINT=${DYNAMODB_ENDPOINT:-http://localhost:8000}
PREFIX=dev
TABLE="${PREFIX}-${POLLS:-polls}"
AWS="aws --endpoint-url $ENDPOINT"
aws dynamodb create-table --endpoint-url $ENDPOINT --table-name "$TABLE" --billing-mode PAY_PER_REQUEST \\
  --attribute-definitions AttributeName=pk,AttributeType=S --key-schema AttributeName=pk,KeyType=HASH
$AWS dynamodb create-table --table-name votes --billing-mode PAY_PER_REQUEST \\
  --attribute-definitions AttributeName=pk,AttributeType=S --key-schema AttributeName=pk,KeyType=HASH
aws dynamodb create-table --table-name "$UNKNOWN" --billing-mode PAY_PER_REQUEST \\
  --attribute-definitions AttributeName=pk,AttributeType=S --key-schema AttributeName=pk,KeyType=HASH
"""
    _, body = made(tmp_path, {"bin/tables.sh": script})
    assert [each for each in body["written"] if each != "devenv.toml"] == [
        "seeds/dynamodb/tables/dev-polls.json",
        "seeds/dynamodb/tables/votes.json",
    ]
    assert any(line.startswith("bin/tables.sh: 1 table definition with computed values") for line in body["unused"])


def test_a_template_that_is_no_valid_yaml_is_named_so(tmp_path: Path) -> None:
    template = "Resources:\n  T:\n    Type: AWS::DynamoDB::Table\n    Properties: {Path: /x/{id}/y, Method: get}\n"
    _, body = made(tmp_path, {**SQL, "template.yaml": template})
    assert any(
        line.startswith("template.yaml: its tables are not read, because it is not a valid template")
        for line in body["unused"]
    )


def test_a_start_script_that_needs_a_build_is_not_chosen_before_one_that_does_not(tmp_path: Path) -> None:
    scripts = '{"dev": "tsx watch src/index.ts", "start": "node dist/index.js"}'
    package = f'{{"scripts": {scripts}, "dependencies": {{"fastify": "4"}}}}'
    server = "app.get<{ Params: { id: string } }>('/health/:id', one);\napp.get<A>('/health', two);\n"
    settings, _ = made(tmp_path, {**SQL, "package.json": package, "src/index.ts": server})
    assert settings.backend is not None
    assert settings.backend.command == ["npx", "--no-install", "tsx", "src/index.ts"]
    # A route with the types of its request.
    assert settings.backend.health == "/health"


def test_a_script_of_python_that_computes_its_tables_is_proposed_as_a_step(tmp_path: Path) -> None:
    script = """\
import boto3
def attr(name):
    return {"AttributeName": name, "AttributeType": "S"}
def create(dynamodb):
    dynamodb.create_table(TableName="t", AttributeDefinitions=[attr("id")], KeySchema=[key("id")])
"""
    settings, _ = made(
        tmp_path / "a", {**SQL, "bin/tables.py": f'{script}if __name__ == "__main__":\n    create(ddb())\n'}
    )
    assert settings.steps.schema_load.command == ["{python}", "bin/tables.py"]
    # A module that only defines the function does nothing when it is run.
    settings, _ = made(tmp_path / "b", {**SQL, "shop/tables.py": script})
    assert settings.steps.schema_load.command == []


def test_every_field_of_a_settings_class_is_a_variable_wherever_it_is_used(tmp_path: Path) -> None:
    settings = """\
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="NOTES_")
    pg_host: str = "localhost"
    pg_password: str
    mail_key: str
    @property
    def dsn(self) -> str:
        return f"postgresql://x:{self.pg_password}@{self.pg_host}/notes"
settings = Settings()
"""
    files = {"app/main.py": APP.format("from .settings import settings"), "app/settings.py": settings}
    found, _ = made(tmp_path, {**SQL, **files})
    assert found.env == {"NOTES_PG_HOST": "{postgres_host}", "NOTES_PG_PASSWORD": "{postgres_password}"}
    # Without a value it stops the application when it starts.
    assert '# NOTES_MAIL_KEY = "…" # app/settings.py:6' in (tmp_path / "devenv.toml").read_text()
