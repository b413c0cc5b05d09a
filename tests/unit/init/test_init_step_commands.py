"""The project's own commands for migrations and seeds, its port, and the variables of a schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import TABLE, write
from tests.unit.init.test_init_kinds import made

NEST = {"@nestjs/core": "10"}
ITEMS = json.dumps({TABLE["TableName"]: [{"PutRequest": {"Item": {"pk": {"S": "A"}, "sk": {"S": "B"}}}}]})
PACKAGE = {"scripts": {"start": "node server.js"}, "dependencies": {"express": "4", "pg": "8"}}
KNEX = {
    "knexfile.js": "module.exports = { client: 'pg' }",
    "db/migrations/1_o.js": "exports.up = (knex) => knex.schema.createTable('o', (t) => { t.increments() })",
    "db/seeds/01_o.js": "exports.seed = (knex) => knex('o').insert([{ id: 1 }])",
}


def package(**more: Any) -> str:
    """A package.json."""
    return json.dumps({**PACKAGE, **more})


def test_knex_seeds_run_after_the_migrations_where_items_are_in_files(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**KNEX, "t.json": json.dumps(TABLE), "seed-items.json": ITEMS})
    text = "npx --no-install knex migrate:latest && npx --no-install knex seed:run"
    assert settings.steps.setup.migrations.command == ["sh", "-c", text]  # type: ignore[union-attr]
    assert settings.steps.setup.migrations.folder == "db/migrations"  # type: ignore[union-attr]
    assert settings.steps.seed.files == ["seed-items.json"]


def test_knex_seeds_are_step_seed_where_there_is_no_table(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {f"api/{name}": text for name, text in KNEX.items()})
    assert settings.steps.seed.command == ["sh", "-c", "cd api && npx --no-install knex seed:run"]
    assert settings.steps.seed.files == ["api/db/seeds/01_o.js"]


def test_prisma_seed_runs_before_the_script_that_loads_items(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "db/package.json": package(prisma={"seed": "tsx prisma/seed.ts"}),
            "db/prisma/migrations/1_init/migration.sql": "CREATE TABLE shows (id uuid PRIMARY KEY);",
            "db/prisma/seed.ts": "prisma.show.create({ data: { id: '1' } })",
            "items/package.json": package(scripts={"import": "tsx src/import.ts"}),
            "items/src/import.ts": f"""
import {{ PutCommand }} from '@aws-sdk/lib-dynamodb';
doc.send(new PutCommand({{ TableName: '{TABLE["TableName"]}', Item: {{ pk: 'A', sk: 'B' }} }}));
""",
            "t.json": json.dumps(TABLE),
        },
    )
    assert settings.steps.setup.migrations.tool == "prisma"  # type: ignore[union-attr]
    assert settings.steps.seed.command == [
        "sh",
        "-c",
        "(cd db && npx --no-install prisma db seed) && (cd items && npm run import)",
    ]
    assert settings.steps.seed.files == ["db/prisma/seed.ts", "items/src/import.ts"]


def test_a_seed_script_runs_by_its_name_in_package_json(tmp_path: Path) -> None:
    text = f"doc.send(new PutCommand({{ TableName: '{TABLE['TableName']}', Item: {{ pk: 'A', sk: 'B' }} }}));"
    files = {"api/package.json": package(scripts={"seed": "ts-node src/seed.ts"}), "api/src/seed.ts": text}
    settings, _ = made(tmp_path, {**files, "t.json": json.dumps(TABLE)})
    assert settings.steps.seed.command == ["npm", "--prefix", "api", "run", "seed"]


@pytest.mark.parametrize(
    ("files", "command", "folder"),
    [
        (
            {
                "package.json": package(scripts={"db:migrate": "npm -w api run typeorm -- migration:run"}),
                "api/src/migrations/1689-Init.ts": "import { MigrationInterface } from 'typeorm'",
            },
            ["npm", "run", "db:migrate"],
            "api/src/migrations",
        ),
        (
            {
                "package.json": package(scripts={"typeorm": "typeorm-ts-node-commonjs -d src/ds.ts"}),
                "src/migrations/1689-Init.ts": "import { MigrationInterface } from 'typeorm'",
            },
            ["npm", "run", "typeorm", "--", "migration:run"],
            "src/migrations",
        ),
        (
            {"package.json": package(), "drizzle.config.ts": "export default { out: './sql' }"}
            | {"sql/0000_a.sql": "CREATE TABLE o (id int);", "sql/meta/_journal.json": "{}"},
            ["npx", "--no-install", "drizzle-kit", "migrate"],
            "sql",
        ),
        (
            {"Gemfile": "gem 'rails'", "config/application.rb": "", "bin/rails": "#!/usr/bin/env ruby\n"}
            | {"db/migrate/20240101_users.rb": "create_table :users"},
            ["bin/rails", "db:migrate"],
            "db/migrate",
        ),
    ],
)
def test_migrations_of_another_tool_run_by_the_projects_command(
    tmp_path: Path, files: dict[str, str], command: list[str], folder: str
) -> None:
    settings, body = made(tmp_path, files)
    migrations = settings.steps.setup.migrations
    assert (migrations.command, migrations.folder) == (command, folder)  # type: ignore[union-attr]
    assert not any("devenv does not know their command" in each for each in body["unused"])


def test_rails_migrates_without_writing_structure_sql(tmp_path: Path) -> None:
    files = {"Gemfile": "gem 'rails'", "config/application.rb": "", "db/structure.sql": "CREATE TABLE users (id int);"}
    settings, body = made(tmp_path, {**files, "db/migrate/2024_users.rb": "create_table :users"})
    command = settings.steps.setup.migrations.command  # type: ignore[union-attr]
    assert command == ["bundle", "exec", "rails", "runner", "ActiveRecord::Tasks::DatabaseTasks.migrate"]
    assert settings.steps.setup.files == []
    assert "db/structure.sql: the migrations (Rails) create what it contains" in body["unused"]


# --- the application


@pytest.mark.parametrize(
    ("files", "command", "port", "health"),
    [
        (
            {
                "web/package.json": package(scripts={"dev": "next dev -p 3001"}, dependencies={"next": "14"}),
                "web/app/(x)/api/healthcheck/route.ts": "export function GET() { return new Response('OK') }",
            },
            ["npx", "--no-install", "next", "dev", "-p", "{port}"],
            3001,
            "/api/healthcheck",
        ),
        (
            {
                "package.json": package(
                    scripts={"start:dev": "nest start --watch"}, dependencies={"@nestjs/core": "10"}
                ),
                "src/main.ts": "@Controller('health')\nclass H { @Get() check() { return 1 } }\n"
                "app.setGlobalPrefix('api/v2'); await app.listen(3333);",
            },
            ["npx", "--no-install", "nest", "start"],
            3333,
            "/api/v2/health",
        ),
        (
            {
                "package.json": package(scripts={"start": "tsx src/index.ts"}, dependencies={"hono": "4"}),
                "src/index.ts": "const app = new Hono().basePath('/v1');\napp.get('/ping', (c) => c.text('x'));\n"
                "serve({ fetch: app.fetch, port: 8787 });",
            },
            ["npx", "--no-install", "tsx", "src/index.ts"],
            8787,
            "/v1/ping",
        ),
    ],
)
def test_the_server_of_a_package_its_port_and_its_health_are_found(
    tmp_path: Path, files: dict[str, str], command: list[str], port: int, health: str
) -> None:
    settings, _ = made(tmp_path, {**files, "db/schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    backend = settings.backend
    assert backend is not None
    assert (backend.command, backend.port, backend.health) == (command, port, health)


def test_the_address_that_a_go_program_listens_on_is_given(tmp_path: Path) -> None:
    text = """package main

import ("net/http"; "os")

func main() {
	addr := os.Getenv("LISTEN_ADDR")
	if addr == "" {
		addr = ":8090"
	}
	http.ListenAndServe(addr, nil)
}
"""
    files = {"go.mod": "module x\n", "cmd/api/main.go": text, "db/schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"}
    settings, _ = made(tmp_path, files)
    assert settings.backend is not None
    assert (settings.backend.port, settings.backend.env) == (8090, {"LISTEN_ADDR": "127.0.0.1:{port}"})


@pytest.mark.parametrize("name", ["DB_PORT", "PGPORT", "BASE_PORT", "REDIS_PORT"])
def test_the_port_of_a_store_is_not_the_applications(tmp_path: Path, name: str) -> None:
    settled = f"""
const knex = require('knex')({{ client: 'pg', connection: {{
  host: process.env.BASE_HOST, port: Number(process.env.{name} || 5432), password: process.env.BASE_PASSWORD }} }});
"""
    server = "const express = require('express');\nexpress().listen(process.env.PORT || 3100);\n"
    files = {
        "package.json": json.dumps({"scripts": {"start": "node src/server.js"}, "dependencies": {"express": "4"}}),
        "src/base.js": settled,
        "src/server.js": server,
        "db/schema.sql": "CREATE TABLE t (id int PRIMARY KEY);",
    }
    settings, _ = made(tmp_path, files)
    assert settings.backend is not None
    assert settings.backend.env == {"PORT": "{port}"}


# --- variables


ENV = """
import { z } from 'zod';
export const env = z
  .object({
    POSTGRES_URL: z.string().url(),
    PLAYS_TABLE: z.string().default('Plays'),
    DYNAMO_ENDPOINT: z.string().url().optional(),
  })
  .parse(process.env);
"""
USE = "new QueryCommand({ TableName: env.PLAYS_TABLE, KeyConditionExpression: 'pk = :p' }); new Pool(env.POSTGRES_URL)"


@pytest.mark.parametrize(
    ("text", "required"),
    [
        (ENV, {"POSTGRES_URL"}),
        ("const { POSTGRES_URL, PLAYS_TABLE = 'Plays', DYNAMO_ENDPOINT: at = '' } = process.env;", {"POSTGRES_URL"}),
        (
            "const env = cleanEnv(process.env, {\n  POSTGRES_URL: url(),\n  PLAYS_TABLE: str({ default: 'Plays' }),\n"
            "  DYNAMO_ENDPOINT: str({ default: '' }),\n});",
            {"POSTGRES_URL"},
        ),
    ],
)
def test_variables_of_a_schema_and_those_taken_apart_are_read(tmp_path: Path, text: str, required: set[str]) -> None:
    (code,) = survey(write(tmp_path, {"src/env.ts": text})).code
    assert set(code.variables) == {"POSTGRES_URL", "PLAYS_TABLE", "DYNAMO_ENDPOINT"}
    assert code.required == required


def test_the_default_of_a_schema_is_the_tables_name(tmp_path: Path) -> None:
    found = survey(write(tmp_path, {"src/env.ts": ENV, "src/use.ts": f"async function plays(p) {{ {USE} }}"}))
    (query,) = [query for code in found.code for query in code.queries]
    assert query.table == "Plays"
