"""SQL inside programs: the tables that it asks and fills, what nothing makes, and scripts that are part of no step."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.sql_code import read_sql_texts
from devenv.init.survey import survey
from tests.unit.init.test_init import write

SCHEMA = "CREATE TABLE boats (id int PRIMARY KEY, name text);\nCREATE VIEW fast AS SELECT * FROM boats;"


@pytest.mark.parametrize(
    ("file", "text", "asks", "fills"),
    [
        ("a.py", 'q = """\n  SELECT b.id FROM boats b\n  JOIN crew c ON c.boat = b.id"""', {"boats", "crew"}, set()),
        ("a.py", "run('INSERT INTO public.boats (id) VALUES (%s)', [1])", set(), {"boats"}),
        ("a.py", "run('WITH old AS (SELECT 1 FROM logs) SELECT * FROM old')", {"logs"}, set()),
        ("a.py", "run('SELECT EXTRACT(year FROM at) FROM trips WHERE a IS DISTINCT FROM b')", {"trips"}, set()),
        ("a.py", "run('SELECT * FROM generate_series(1, 3), pg_class, information_schema.tables')", set(), set()),
        ("a.py", "print('choose one from the list')", None, None),
        ("a.js", 'await pool.query(`UPDATE "Boats" SET name = $1 WHERE id = $2`, [n, id]);', set(), {"boats"}),
        ("a.go", "db.Query(ctx, `SELECT id\n FROM boats WHERE name = $1`, name)", {"boats"}, set()),
        ("A.java", 'jdbc.query("SELECT name FROM boats WHERE id = ?", id);', {"boats"}, set()),
        ("bin/load", '#!/usr/bin/env python3\nrun("DELETE FROM boats WHERE id = 1")', {"boats"}, set()),
        ("tests/a.py", "run('SELECT 1 FROM nothing')", None, None),
        ("a.md", "'SELECT 1 FROM nothing'", None, None),
    ],
)
def test_statements_of_programs(file: str, text: str, asks: set[str] | None, fills: set[str] | None) -> None:
    found = read_sql_texts({file: text})
    if asks is None:
        assert found == []
        return
    (one,) = found
    assert (one.asks, one.fills) == (asks, fills)


def test_a_table_that_nothing_makes_is_listed_with_its_places(tmp_path: Path) -> None:
    code = "def one(c):\n    return c.execute('SELECT * FROM {} WHERE id = %s', [1])\n"
    files = {f"app/{name}.py": "import os\n" + code.format(name) for name in ("boats", "fast", "sails")}
    found = survey(write(tmp_path, {"schema.sql": SCHEMA, **files}))
    assert [line for line in found.unused if "SQL uses" in line] == [
        "app/sails.py:3: SQL uses table sails, but no file found here creates it"
    ]


def test_no_table_is_missed_where_no_file_makes_one(tmp_path: Path) -> None:
    found = survey(write(tmp_path, {"app.py": "import os\nrun('SELECT * FROM boats')\n"}))
    assert not any("SQL uses" in line for line in found.unused)


def test_scripts_that_are_part_of_no_step_are_listed(tmp_path: Path) -> None:
    files = {
        "db/schema.sql": SCHEMA,
        "db/extra.sh": "psql -c 'create table x (id int)'\n",
        "db/notes.sh": "echo nothing of interest\n",
        "tools/seed_boats.rb": "conn.exec(\"INSERT INTO boats VALUES (1, 'a')\")\n",
        "tools/seed.mjs": "console.log(process.env.TENANT)\n",
        "tests/seed.py": "print(1)\n",
    }
    found = survey(write(tmp_path, files))
    assert sorted(line for line in found.unused if "If the script is needed" in line) == [
        "db/extra.sh: devenv did not read this script in the folder of the SQL files. If the script is needed, declare"
        ' [steps.setup] command = ["bash", "db/extra.sh"]',
        'tools/seed.mjs: its name contains "seed", but no write to DynamoDB was found in it. If the script is needed,'
        ' declare [steps.seed] command = ["node", "tools/seed.mjs"]',
        "tools/seed_boats.rb: it inserts rows into `boats`, but no write to DynamoDB was found in it. If the script is"
        ' needed, declare [steps.seed] command = ["ruby", "tools/seed_boats.rb"]',
    ]


def test_files_stand_behind_the_types_and_functions_that_they_need(tmp_path: Path) -> None:
    files = {
        "sql/area.sql": "CREATE FUNCTION area(b box_size) RETURNS int LANGUAGE sql AS 'SELECT (b).w * (b).h';",
        "sql/crates.sql": "CREATE TABLE crates (id int, size box_size, code crate_code NOT NULL);",
        "sql/domains.sql": "CREATE DOMAIN crate_code AS text CHECK (VALUE <> '');",
        "sql/guards.sql": "CREATE TRIGGER g BEFORE INSERT ON crates FOR EACH ROW EXECUTE FUNCTION guard_crate();",
        "sql/z_functions.sql": "CREATE FUNCTION guard_crate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$;",
        "sql/types.sql": "CREATE TYPE box_size AS (w int, h int);",
    }
    order = [file.name[4:-4] for file in survey(write(tmp_path, files)).sql]
    assert max(order.index("types"), order.index("domains")) < order.index("crates") < order.index("guards")
    assert order.index("types") < order.index("area")
    assert order.index("z_functions") < order.index("guards")


def test_numbered_files_that_need_nothing_of_later_ones_keep_their_order(tmp_path: Path) -> None:
    files = {
        "1.sql": "CREATE TYPE a AS ENUM ('x');",
        "2.sql": "CREATE TABLE t (v a);",
        "3.sql": "CREATE TYPE b AS ENUM ();",
    }
    assert [file.name for file in survey(write(tmp_path, files)).sql] == ["1.sql", "2.sql", "3.sql"]
