"""`devenv init` runs no SQL file that is out of use, and those that a list of psql includes in its order."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.unit.init.test_init_kinds import made

NOW = "CREATE TABLE members (id uuid PRIMARY KEY);"
OTHER = "CREATE TABLE book (nr serial PRIMARY KEY);"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("sql/schema_2019.sql", f"-- superseded by the migrations\n{OTHER}", 'line 1 says "superseded"'),
        ("sql/a.sql", f"-- Books.\n-- Do not run this one.\n{OTHER}", 'line 2 says "do not run"'),
        ("legacy/book.sql", OTHER, "it is in a folder named legacy"),
        ("sql/old/book.sql", OTHER, "it is in a folder named old"),
        ("sql/up.sql", "ALTER TABLE `book` ADD `room` INT NULL;", "it is written for MySQL"),
    ],
)
def test_what_is_out_of_use_is_listed(tmp_path: Path, name: str, text: str, reason: str) -> None:
    settings, body = made(tmp_path, {"sql/now.sql": NOW, name: text})
    assert settings.steps.setup.files == ["sql/now.sql"]
    assert f"{name}: {reason}" in body["unused"]


@pytest.mark.parametrize(
    "files",
    [
        {"legacy/schema.sql": NOW},
        {"sql/schema.sql": f"{NOW}\n-- superseded: the table books\n"},
        {"sql/schema.sql": f"{NOW}\nCOMMENT ON TABLE members IS 'the `old` ones';"},
    ],
)
def test_what_is_in_use_stays(tmp_path: Path, files: dict[str, str]) -> None:
    settings, _ = made(tmp_path, files)
    assert settings.steps.setup.files == [*files]


def test_the_files_that_psql_includes_are_run_in_its_order(tmp_path: Path) -> None:
    settings, body = made(
        tmp_path,
        {
            "sql/install.sql": "\\set ON_ERROR_STOP on\n\\echo for :env\n\\ir types.sql\n\\ir t/b.sql\n\\ir t/a.sql\n"
            "\\ir grants.sql\n",
            "sql/types.sql": "CREATE DOMAIN code AS text;",
            "sql/t/a.sql": "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES b);",
            "sql/t/b.sql": "CREATE TABLE b (id int PRIMARY KEY, c code);",
            "sql/grants.sql": "GRANT SELECT ON a, b TO PUBLIC;",
            "sql/sample.sql": "INSERT INTO b VALUES (1, 'x');",
        },
    )
    expected = ["types", "t/b", "t/a", "grants", "sample"]
    assert settings.steps.setup.files == [f"sql/{name}.sql" for name in expected]
    assert (
        "sql/install.sql: it only includes sql/types.sql, sql/t/b.sql, sql/t/a.sql, sql/grants.sql; these run in the"
        in (" ".join(body["unused"]))
    )


def test_grants_stand_behind_their_tables(tmp_path: Path) -> None:
    files = {
        "sql/access.sql": "GRANT SELECT ON TABLE public.a TO PUBLIC;",
        "sql/tables.sql": "CREATE TABLE a (id int);",
    }
    settings, _ = made(tmp_path, files)
    assert settings.steps.setup.files == ["sql/tables.sql", "sql/access.sql"]


def test_demo_data_beside_flyways_folder_is_not_the_folder(tmp_path: Path) -> None:
    place = "src/main/resources/db"
    files = {
        f"{place}/demo/V1000__demo.sql": "INSERT INTO depot VALUES (1);",
        f"{place}/migration/V1__depot.sql": "CREATE TABLE depot (id int PRIMARY KEY);",
        f"{place}/migration/V10__more.sql": "ALTER TABLE depot ADD COLUMN city text;",
    }
    settings, _ = made(tmp_path, files)
    assert msgspec.to_builtins(settings.steps.setup.migrations)["folder"] == f"{place}/migration"
    assert settings.steps.setup.files == [f"{place}/demo/*.sql"]


def test_flask_migrate_names_the_module_that_is_there(tmp_path: Path) -> None:
    files = {
        "server/wsgi.py": "from shelf import create_app\napp = create_app()\n",
        "server/migrations/env.py": "from flask import current_app\n",
        "server/migrations/versions/1_a.py": 'revision = "1"\n',
    }
    settings, _ = made(tmp_path, files)
    assert "server/wsgi.py" in str(settings.steps.setup.migrations)
