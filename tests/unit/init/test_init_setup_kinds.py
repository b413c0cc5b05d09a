"""`devenv init` runs only the SQL that is Postgres' and the project's: the rest is listed with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

NOW = "CREATE TABLE plots (id int PRIMARY KEY, name text);"


# --- other servers


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("cache/seen.sql", "CREATE TABLE seen (id INTEGER PRIMARY KEY AUTOINCREMENT);", "SQLite (AUTOINCREMENT)"),
        ("cache/on.sql", "PRAGMA foreign_keys = ON;\nCREATE TABLE a (id INTEGER);", "SQLite (PRAGMA foreign_keys)"),
        ("erp/a.sql", "CREATE TABLE Sale (Id INT IDENTITY(1,1), Buyer NVARCHAR(80));", "SQL Server (IDENTITY(1,1))"),
        ("erp/b.sql", "CREATE TABLE dbo.Sale (Id INT);", "SQL Server (dbo)"),
        ("erp/c.sql", "CREATE TABLE Sale (Id INT);\nGO\n", "SQL Server (GO)"),
        ("erp/d.sql", "CREATE TABLE sale (nr NUMBER(10), buyer VARCHAR2(80));", "Oracle (NUMBER(10)"),
    ],
)
def test_sql_of_another_server_is_listed(tmp_path: Path, name: str, text: str, reason: str) -> None:
    settings, body = made(tmp_path, {"db/now.sql": NOW, name: text})
    assert settings.steps.setup.files == ["db/now.sql"]
    assert f"{name}: it is written for {reason}" in "\n".join(body["unused"])


def test_the_name_of_a_file_or_folder_tells_the_server(tmp_path: Path) -> None:
    files = {"db/now.sql": NOW, "sqlite/index.sql": "CREATE TABLE words (id INTEGER PRIMARY KEY);"}
    settings, body = made(tmp_path, files)
    assert settings.steps.setup.files == ["db/now.sql"]
    assert "sqlite/index.sql: its name says that it is for SQLite" in body["unused"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE plots (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 10) PRIMARY KEY);",
        "CREATE TABLE plots (id bigserial PRIMARY KEY, note text DEFAULT 'GO');\n-- PRAGMA and `old` names\n",
        "CREATE SCHEMA dbo;\nCREATE TABLE dbo.plots (id int);",
        "CREATE TABLE plots (id int, word text);\nCOPY plots FROM stdin;\n1\t`a`\n2\tGO\n\\.\n",
        "CREATE FUNCTION one() RETURNS text LANGUAGE plpgsql AS $body$\nBEGIN RETURN '`a`';\nEND $body$;",
    ],
)
def test_sql_of_postgres_is_loaded(tmp_path: Path, text: str) -> None:
    settings, _ = made(tmp_path, {"db/oracle_import.sql" if "bigserial" in text else "db/now.sql": text})
    assert len(settings.steps.setup.files) == 1


# --- tools


def test_alembic_runs_in_the_folder_of_its_file(tmp_path: Path) -> None:
    files = {
        "backend/alembic.ini": "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n",
        "backend/migrations/env.py": "from alembic import context\n",
        "backend/migrations/versions/1_plots.py": "revision = '1'\n",
    }
    settings, _ = made(tmp_path, files)
    command = settings.steps.setup.migrations.command  # type: ignore[union-attr]
    assert command == ["sh", "-c", "cd backend && '{python}' -m alembic upgrade head"]
    assert settings.steps.setup.migrations.folder == "backend/migrations"  # type: ignore[union-attr]


def test_alembic_whose_paths_start_at_the_project_runs_there(tmp_path: Path) -> None:
    files = {
        "ops/alembic.ini": "[alembic]\nscript_location = store/changes\n",
        "store/changes/versions/1_plots.py": "revision = '1'\n",
    }
    settings, _ = made(tmp_path, files)
    command = settings.steps.setup.migrations.command  # type: ignore[union-attr]
    assert command == ["{python}", "-m", "alembic", "-c", "ops/alembic.ini", "upgrade", "head"]


DRIZZLE = {
    "src/sql/meta/_journal.json": json.dumps(
        {"dialect": "postgresql", "entries": [{"idx": 1, "tag": "0000_more"}, {"idx": 0, "tag": "0001_plots"}]}
    ),
    "src/sql/0000_more.sql": "ALTER TABLE plots ADD area int;",
    "src/sql/0001_plots.sql": NOW,
    "src/sql/0002_wip.sql": "INSERT INTO plots VALUES (1, 'x');",
}
WIP = "src/sql/0002_wip.sql: not loaded: src/sql/meta/_journal.json does not list it, so Drizzle does not run it"


def test_what_drizzles_journal_does_not_list_is_not_loaded(tmp_path: Path) -> None:
    config = {"drizzle.config.ts": "export default { out: './src/sql' }", "package.json": "{}"}
    settings, body = made(tmp_path, {**DRIZZLE, **config})
    migrations = settings.steps.setup.migrations
    assert migrations.command == ["npx", "--no-install", "drizzle-kit", "migrate"]  # type: ignore[union-attr]
    assert settings.steps.setup.files == []
    assert WIP in body["unused"]


def test_drizzles_files_without_a_configuration_run_in_the_order_of_the_journal(tmp_path: Path) -> None:
    settings, body = made(tmp_path, DRIZZLE)
    assert settings.steps.setup.files == ["src/sql/0001_plots.sql", "src/sql/0000_more.sql"]
    assert WIP in body["unused"]


def test_drizzle_of_another_dialect_is_not_loaded(tmp_path: Path) -> None:
    journal = json.dumps({"dialect": "sqlite", "entries": [{"idx": 0, "tag": "0001_plots"}]})
    settings, body = made(tmp_path, {**DRIZZLE, "src/sql/meta/_journal.json": journal, "db/now.sql": NOW})
    assert settings.steps.setup.files == ["db/now.sql"]
    assert 'src/sql/0001_plots.sql: not loaded: src/sql/meta/_journal.json has the dialect "sqlite"' in body["unused"]


LIQUIBASE = {
    "db/changelog/master.yaml": """
databaseChangeLog:
  - include: {file: changes/001.sql, relativeToChangelogFile: true}
  - changeSet:
      id: 2
      author: me
      context: demo
      changes:
        - sqlFile: {path: sql/views.sql}
        - loadData: {tableName: plots, file: data/plots.csv}
""",
    "db/changelog/changes/001.sql": f"--liquibase formatted sql\n--changeset me:1\n{NOW}\n--rollback DROP TABLE plots;",
    "db/changelog/sql/views.sql": "CREATE VIEW v AS SELECT 1;",
    "db/changelog/data/plots.csv": "id,name\n1,a\n",
    "db/loose.sql": "--liquibase formatted sql\n--changeset me:9\nCREATE TABLE loose (id int);",
}


def test_the_files_of_a_changelog_of_liquibase_are_not_loaded(tmp_path: Path) -> None:
    settings, body = made(tmp_path, {"docker-compose.yml": "services: {db: {image: postgres}}", **LIQUIBASE})
    assert settings.steps.setup.files == []
    said = "\n".join(body["unused"])
    for name in ("changes/001.sql", "sql/views.sql", "data/plots.csv"):
        assert f"db/changelog/{name}: not loaded: db/changelog/master.yaml names it" in said
    assert "db/loose.sql: not loaded: a Liquibase changelog: only" in said
    assert "db/changelog/master.yaml: devenv itself runs no changelog of Liquibase (contexts: demo;" in said
    assert "--changelog-file=db/changelog/master.yaml" in said


def test_liquibases_xml_is_read(tmp_path: Path) -> None:
    files = {
        "src/main/resources/db/changelog.xml": '<databaseChangeLog><changeSet id="1" author="me">'
        '<sqlFile path="classpath:db/sql/plots.sql"/></changeSet></databaseChangeLog>',
        "src/main/resources/db/sql/plots.sql": NOW,
        "compose.yaml": "services: {db: {image: postgres}}",
    }
    settings, body = made(tmp_path, files)
    assert settings.steps.setup.files == []
    assert "src/main/resources/db/sql/plots.sql: not loaded" in "\n".join(body["unused"])


def test_liquibase_runs_by_the_projects_own_script(tmp_path: Path) -> None:
    package = {"scripts": {"db:migrate": "liquibase update"}, "devDependencies": {"liquibase": "4"}}
    settings, body = made(tmp_path, {**LIQUIBASE, "package.json": json.dumps(package)})
    assert settings.steps.setup.migrations.command == ["npm", "run", "db:migrate"]  # type: ignore[union-attr]
    assert not any("no changelog of Liquibase (contexts" in each for each in body["unused"])


def test_csv_files_that_psql_loads_are_used(tmp_path: Path) -> None:
    files = {
        "db/1_plots.sql": NOW,
        "db/2_load.sql": "\\copy plots FROM 'db/data/rows.csv' WITH (FORMAT csv, HEADER)\n",
        "db/data/rows.csv": "id,name\n1,a\n",
    }
    settings, body = made(tmp_path, files)
    assert settings.steps.setup.files == ["db/*.sql"]
    assert body["unused"] == []


# --- folders of one's own


SEQUELIZE = {
    "api/.sequelizerc": """const path = require('path');
module.exports = {
  'migrations-path': path.resolve('src', 'db', 'changes'),
  'seeders-path': path.resolve('src', 'db', 'demo'),
};
""",
    "api/package.json": json.dumps({"dependencies": {"sequelize": "6"}, "devDependencies": {"sequelize-cli": "6"}}),
    "api/src/db/changes/plots.js": "module.exports = { up: (q, T) => q.createTable('plots', { id: T.UUID }) };",
    "api/src/db/demo/plots.js": "module.exports = { up: (q) => q.bulkInsert('plots', [{ id: 'x' }]) };",
}


def test_sequelize_has_its_folders_from_its_file(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, SEQUELIZE)
    migrations = settings.steps.setup.migrations
    assert migrations.folder == "api/src/db/changes"  # type: ignore[union-attr]
    text = "cd api && npx --no-install sequelize-cli db:migrate"
    assert migrations.command == ["sh", "-c", text]  # type: ignore[union-attr]
    assert settings.steps.seed.command == ["sh", "-c", "cd api && npx --no-install sequelize-cli db:seed:all"]
    assert settings.steps.seed.files == ["api/src/db/demo/plots.js"]


def test_knex_has_its_folders_from_its_file(tmp_path: Path) -> None:
    files = {
        "knexfile.ts": "export default { client: 'pg', migrations: { directory: './db/changes', extension: 'ts' },\n"
        "  seeds: { directory: path.join(__dirname, 'db', 'demo') } };",
        "db/changes/001_plots.ts": "export function up(knex) { return knex.schema.createTable('plots', f) }",
        "db/demo/01_plots.ts": "export async function seed(knex) { await knex('plots').insert([{ id: 1 }]) }",
    }
    settings, _ = made(tmp_path, files)
    migrations = settings.steps.setup.migrations
    assert (migrations.tool, migrations.folder) == ("knex", "db/changes")  # type: ignore[union-attr]
    assert settings.steps.seed.files == ["db/demo/01_plots.ts"]


TYPEORM = {
    "src/db/changes/CreatePlots.ts": "import { MigrationInterface } from 'typeorm';\n"
    "export class CreatePlots169 implements MigrationInterface {}"
}


def test_migrations_of_typeorm_are_found_by_their_class(tmp_path: Path) -> None:
    package = {"scripts": {"typeorm": "typeorm-ts-node-commonjs -d src/source.ts"}, "dependencies": {"typeorm": "0.3"}}
    settings, _ = made(tmp_path, {**TYPEORM, "package.json": json.dumps(package)})
    migrations = settings.steps.setup.migrations
    assert migrations.folder == "src/db/changes"  # type: ignore[union-attr]
    assert migrations.command == ["npm", "run", "typeorm", "--", "migration:run"]  # type: ignore[union-attr]


def test_migrations_without_a_known_command_are_listed(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**TYPEORM, "compose.yaml": "services: {db: {image: postgres}}"})
    assert any(
        each.startswith("src/db/changes: has migrations of TypeORM, but devenv does not know their command")
        for each in body["unused"]
    )
