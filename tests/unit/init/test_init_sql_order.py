"""The order that `devenv init` gives SQL files: by name where that works, else by what each one needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.sql_order import against_numbers, order_files
from devenv.init.sql_tables import SqlFile, read_sql
from tests.unit.init.test_init_kinds import made

SUM = "CREATE FUNCTION stock_of(s int) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM crates c, shelves s $$;"
CRATES = "CREATE TABLE crates (id int PRIMARY KEY, shelf int);"
SHELVES = "CREATE TABLE shelves (id int PRIMARY KEY);"


def ordered(files: dict[str, str]) -> list[SqlFile]:
    """The files in order."""
    read = [read_sql(name, text) for name, text in files.items()]
    return order_files([each for each in read if isinstance(each, SqlFile)])


def names(files: dict[str, str]) -> list[str]:
    return [each.name for each in ordered(files)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SUM, f"{CRATES}\n{SHELVES}"),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT id FROM crates; END;", CRATES),
        ("CREATE FUNCTION f() RETURNS int AS 'SELECT id FROM crates' LANGUAGE SQL;", CRATES),
        ("CREATE VIEW full_ones AS SELECT * FROM open_ones;", "CREATE VIEW open_ones AS SELECT 1 AS id;"),
        ("CREATE VIEW v AS SELECT weight(1);", "CREATE FUNCTION weight(i int) RETURNS int LANGUAGE sql AS 'SELECT 1';"),
        (
            "CREATE TABLE c (no int DEFAULT next_no());",
            "CREATE FUNCTION next_no() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ),
        ("CREATE TABLE heavy AS SELECT * FROM crates;", CRATES),
        ("CREATE TABLE crates_1 PARTITION OF crates FOR VALUES IN (1);", CRATES),
        (
            "CREATE INDEX i ON crates (plain(id));",
            "CREATE FUNCTION plain(i int) RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ),
    ],
)
def test_a_file_comes_after_what_it_needs(first: str, second: str) -> None:
    assert names({"sql/a/one.sql": first, "sql/b/two.sql": second}) == ["sql/b/two.sql", "sql/a/one.sql"]


@pytest.mark.parametrize(
    "first",
    [
        # Postgres checks the body only when it is called.
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT id FROM crates); END $$;",
        f"SET check_function_bodies = false;\n{SUM}",
        "DROP TABLE IF EXISTS crates;\nCREATE TYPE size AS ENUM ('s');",
        "CREATE TABLE notes (text text DEFAULT 'from crates');",
        "-- SELECT * FROM crates\nCREATE TABLE notes (id int);",
    ],
)
def test_what_only_names_a_table_keeps_its_place(first: str) -> None:
    assert names({"sql/a/one.sql": first, "sql/b/two.sql": CRATES}) == ["sql/a/one.sql", "sql/b/two.sql"]


def test_what_is_made_twice_is_there_from_the_first_on() -> None:
    view = "CREATE OR REPLACE VIEW full_ones AS SELECT id FROM crates;"
    files = {
        "1_a.sql": CRATES,
        "2_b.sql": view,
        "3_c.sql": "CREATE VIEW x AS SELECT * FROM full_ones;",
        "4_d.sql": view,
    }
    assert names(files) == [*files]


def test_numbered_files_keep_their_order_but_for_what_is_needed() -> None:
    files = {
        "db/01_stock.sql": SUM,
        "db/02_shelves.sql": SHELVES,
        "db/03_rows.sql": "INSERT INTO shelves VALUES (1);",
        "db/04_crates.sql": CRATES,
        "db/05_more.sql": "CREATE TABLE more (id int);",
    }
    found = ordered(files)
    assert [each.name[3:5] for each in found] == ["02", "03", "04", "01", "05"]
    assert [*against_numbers(found)] == [
        "db/02_shelves.sql runs before db/01_stock.sql in spite of the numbers, because db/02_shelves.sql creates"
        " `shelves`, which db/01_stock.sql needs.",
        "db/04_crates.sql runs before db/01_stock.sql in spite of the numbers, because db/04_crates.sql creates"
        " `crates`, which db/01_stock.sql needs.",
    ]


def test_the_file_says_where_numbers_are_not_followed(tmp_path: Path) -> None:
    made(tmp_path, {"db/01_stock.sql": SUM, "db/02_tables.sql": f"{CRATES}\n{SHELVES}"})
    text = (tmp_path / "devenv.toml").read_text().replace("\n# ", " ")
    assert " db/02_tables.sql runs before db/01_stock.sql in spite of the numbers, because" in text
    assert "creates `crates`, which db/01_stock.sql needs.\nfiles" in text
