"""The SQL files that a container of Postgres runs: which ones, in which order, and before the migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

MASTER = "CREATE DATABASE depot;\n\\connect depot\n\\i /opt/depot/z_types.sql\n\\i /opt/depot/a_parcels.sql\n"
VARIANTS = {
    "db/master.sql": MASTER,
    "db/plain/z_types.sql": "CREATE TYPE size AS ENUM ('s', 'l');",
    "db/plain/a_parcels.sql": "CREATE TABLE parcels (id uuid PRIMARY KEY, size size);",
    "db/net_master.sql": "\\connect depot\n\\i /opt/other/ext.sql\n\\i /opt/other/parcels.sql\n",
    "db/net/ext.sql": "CREATE EXTENSION plrust;",
    "db/net/parcels.sql": "CREATE TABLE parcels (id serial PRIMARY KEY); CREATE TABLE rides (id int);",
}
WANTED = ["db/plain/z_types.sql", "db/plain/a_parcels.sql"]
BUILT = """
services:
  db:
    build: {context: ., dockerfile: db/Dockerfile}
    environment: {POSTGRES_DB: depot}
    ports: ["5433:5432"]
"""
MOUNTED = """
services:
  db:
    image: postgres:16
    volumes:
      - ./db/plain:/opt/depot
      - ./db/master.sql:/docker-entrypoint-initdb.d/01.sql
"""
DOCKER = "FROM postgres:16\nCOPY db/plain/ /opt/depot/\nCOPY db/master.sql /docker-entrypoint-initdb.d/01-master.sql\n"
PREPARE = {
    "docker/initdb/01.sql": "CREATE EXTENSION IF NOT EXISTS vector;\nCREATE ROLE reader NOLOGIN;\n"
    "GRANT USAGE ON SCHEMA public TO reader;\n",
    "alembic.ini": "[alembic]\nscript_location = alembic\n",
    "alembic/env.py": "import os\nurl = os.environ['DATABASE_URL']\n",
    "alembic/versions/1.py": "revision = '1'\ndown_revision = None\ndef upgrade(): ...\n",
    "compose.yaml": "services: {db: {image: 'pgvector/pgvector:pg16', volumes: ['./docker/initdb:"
    "/docker-entrypoint-initdb.d']}}",
}


PARTS = {
    "sql/init-de.sql": "\\i parts/1_berths.sql\n\\i parts/rows_de.sql\n",
    "sql/init-fr.sql": "\\i parts/1_berths.sql\n\\i parts/rows_fr.sql\n",
    "sql/parts/1_berths.sql": "CREATE TABLE berths (id int PRIMARY KEY, name text);",
    "sql/parts/rows_de.sql": "INSERT INTO berths VALUES (1, 'Nord');",
    "sql/parts/rows_fr.sql": "INSERT INTO berths VALUES (1, 'Ouest');",
    "sql/Dockerfile": "FROM postgres:16\nCOPY init-de.sql /docker-entrypoint-initdb.d/init.sql\n"
    "COPY parts /docker-entrypoint-initdb.d/parts\n",
}


def test_a_folder_below_the_entrypoints_is_only_what_scripts_include(tmp_path: Path) -> None:
    settings, body = made(tmp_path, PARTS)
    assert settings.steps.setup.files == ["sql/parts/1_berths.sql", "sql/parts/rows_de.sql"]
    assert "sql/parts/rows_fr.sql: not loaded: only sql/init-fr.sql includes it" in body["unused"]


@pytest.mark.parametrize(
    "files", [{"compose.yaml": BUILT, "db/Dockerfile": DOCKER}, {"db/Dockerfile": DOCKER}, {"compose.yaml": MOUNTED}]
)
def test_only_the_scripts_that_the_container_gets_count(tmp_path: Path, files: dict[str, str]) -> None:
    settings, body = made(tmp_path, {**VARIANTS, **files})
    assert settings.steps.setup.files == WANTED
    unused = {each.partition(":")[0]: each for each in body["unused"]}
    assert {"db/master.sql", "db/net_master.sql", "db/net/ext.sql", "db/net/parcels.sql"} <= {*unused}
    assert "only includes db/plain/z_types.sql, db/plain/a_parcels.sql" in unused["db/master.sql"]
    assert not any("no statement" in each for each in body["unused"])
    assert "plrust" not in (tmp_path / "devenv.toml").read_text()


def test_what_the_migrations_use_runs_before_them(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, PREPARE)
    assert settings.steps.setup.before == ["docker/initdb/*.sql"]
    assert settings.steps.setup.files == []
    assert "no file creates the extension" not in (tmp_path / "devenv.toml").read_text()


def test_a_file_that_needs_tables_of_the_migrations_runs_after_them(tmp_path: Path) -> None:
    grant = {"docker/initdb/01.sql": "CREATE ROLE reader NOLOGIN;\nGRANT SELECT ON books TO reader;\n"}
    settings, _ = made(tmp_path, {**PREPARE, **grant})
    assert settings.steps.setup.before == []
    assert settings.steps.setup.files


def test_a_step_that_config_check_refuses_is_a_question(tmp_path: Path) -> None:
    settings, body = made(tmp_path, {"db/a.sql": "CREATE TABLE a (id int);\n\\i /opt/none/b.sql\n"})
    assert settings.steps.setup.files == []
    assert [each for each in body["edits"] if "devenv cannot run step setup as it is: db/a.sql:2" in each]
    text = (tmp_path / "devenv.toml").read_text()
    assert "#~ [steps.setup]\n#~ files = " in text
