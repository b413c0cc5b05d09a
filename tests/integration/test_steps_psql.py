"""`setup` with files written for psql, and with what pg_dump writes of a database as large as the sample ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import DevenvError
from devenv.engines.embedded.postgres import find_wheel

pytest_plugins = ("tests.integration.step_support",)

# Of the kinds that a sample database has: an enum, a domain, inheritance of defaults, a partitioned table, functions,
# triggers, views, a materialized view, full text, arrays, bytea, generated columns, identity, comments, odd names.
SAMPLE = r"""
CREATE SCHEMA shop;
CREATE TYPE shop.rating AS ENUM ('G', 'PG', 'R');
CREATE DOMAIN shop.year AS int CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE TABLE shop.film (
  id serial PRIMARY KEY, title text NOT NULL, made shop.year, rating shop.rating DEFAULT 'G', features text[],
  words tsvector, cover bytea, price numeric(5, 2) DEFAULT 4.99, twice numeric GENERATED ALWAYS AS (price * 2) STORED,
  changed timestamptz NOT NULL DEFAULT now());
CREATE TABLE shop."Odd ""name"" \ x" (
  k int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Tab	col" text, UNIQUE ("Tab	col"));
CREATE TABLE shop.customer (id int PRIMARY KEY, name text, email text UNIQUE, data jsonb);
CREATE TABLE shop.payment (id bigint NOT NULL, customer int REFERENCES shop.customer, film int REFERENCES shop.film,
  amount numeric, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE shop.payment_2022 PARTITION OF shop.payment FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE shop.payment_rest PARTITION OF shop.payment DEFAULT;
CREATE FUNCTION shop.index_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.words := to_tsvector('english', NEW.title); RETURN NEW; END; $$;
CREATE TRIGGER words BEFORE INSERT OR UPDATE ON shop.film FOR EACH ROW EXECUTE FUNCTION shop.index_words();
CREATE VIEW shop.sales AS SELECT film, sum(amount) AS amount FROM shop.payment GROUP BY film;
CREATE MATERIALIZED VIEW shop.best AS SELECT * FROM shop.sales ORDER BY amount DESC LIMIT 10;
CREATE INDEX film_words ON shop.film USING gin (words);
COMMENT ON TABLE shop.film IS 'it''s; a \ comment';
INSERT INTO shop.film (title, made, rating, features, cover)
SELECT 'Film ' || n || E' \\ \t''q'' ; $1 :x', 1950 + n % 70, (ARRAY['G','PG','R'])[1 + n % 3]::shop.rating,
  ARRAY['a,b', NULL, '"c"'], decode(md5(n::text), 'hex') FROM generate_series(1, 1000) n;
INSERT INTO shop."Odd ""name"" \ x" ("Tab	col") VALUES (E'\\.'), (E'line\nbreak'), (NULL), ('');
INSERT INTO shop.customer SELECT n, 'Name ' || n, n || '@example.com', jsonb_build_object('n', n, 's', E'\\x')
FROM generate_series(1, 600) n;
INSERT INTO shop.payment SELECT n, 1 + n % 600, 1 + n % 1000, n % 10 + 0.99, date '2021-07-01' + n % 700
FROM generate_series(1, 16000) n;
REFRESH MATERIALIZED VIEW shop.best;
CREATE ROLE clerk_{mark};
GRANT SELECT ON shop.sales TO clerk_{mark};
ALTER TABLE shop.customer OWNER TO clerk_{mark};
"""
COUNTS = """SELECT (SELECT count(*) FROM shop.film), (SELECT count(*) FROM shop.payment), (SELECT sum(amount) FROM
shop.payment), (SELECT md5(string_agg(f::text, '|' ORDER BY id)) FROM shop.film f), (SELECT
md5(string_agg(o::text, '|' ORDER BY k)) FROM shop."Odd ""name"" \\ x" o), (SELECT count(*) FROM shop.best),
(SELECT last_value FROM shop.film_id_seq)
"""


def dumps(small: Any) -> list[Path]:
    """The pg_dump programs of this machine that can read the server."""
    own = Path(find_wheel(Path(os.environ.get("DEVENV_CACHE", "/var/cache/devenv")), None).program("pg_dump"))
    found = [own, *map(Path, filter(None, [shutil.which("pg_dump")]))]
    return [each for each in found if " 18" in subprocess.run([each, "-V"], capture_output=True, text=True).stdout]


@pytest.mark.parametrize("options", [[], ["--inserts"], ["--column-inserts", "--create"], ["--clean", "--if-exists"]])
@pytest.mark.matrix(4)
def test_what_pg_dump_writes_loads_and_gives_the_same(small: Any, options: list[str]) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", SAMPLE.replace("{mark}", small.mark))
    small.run("setup")
    before = small.sql(COUNTS)
    environ = {
        "PGHOST": small.server.host, "PGPORT": str(small.server.port), "PGUSER": small.server.user,
        "PGPASSWORD": small.server.password, "PATH": os.environ["PATH"],
    }  # fmt: skip
    command = [dumps(small)[0], *options, "--exclude-schema=devenv", small.database]
    dump = subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout
    small.sql(f"ALTER TABLE shop.customer OWNER TO {small.server.user}; DROP OWNED BY clerk_{small.mark}")
    small.sql(f"DROP ROLE clerk_{small.mark}")
    small.write("a.sql", dump)
    small.write("b.sql", "INSERT INTO late VALUES (1);")
    small.write("a2.sql", "CREATE TABLE late (id int);")
    small.steps["setup"] = {"files": ["a.sql", "a2.sql", "b.sql"]}
    outcome = small.run("setup", fresh=True)
    assert small.sql(COUNTS) == before
    assert small.sql("SELECT count(*) FROM public.late") == [(1,)], "pg_dump's empty search_path ends with its file"
    left_out = "\n".join(outcome.warnings)
    assert "the role does not exist on this server" in left_out
    assert f"OWNER TO clerk_{small.mark}" in left_out
    assert ("CREATE DATABASE" in left_out) == ("--create" in options)
    assert small.look("setup").state == "done"


@pytest.mark.parametrize(
    "head",
    [
        "SET default_with_oids = false;",
        "SET transaction_timeout = 0;\nSET default_table_access_method = heap;\n\\restrict aB1",
        "SET some_future_setting = 1;\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE SCHEMA public;",
    ],
    ids=["12", "17", "19"],
)
def test_the_settings_of_every_version_of_pg_dump(small: Any, head: str) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write(
        "a.sql", f"{head}\nCREATE TABLE public.t (a int);\nCOPY public.t (a) FROM stdin;\n1\n2\n\\.\n\\unrestrict aB1\n"
    )
    outcome = small.run("setup")
    assert small.sql("SELECT sum(a) FROM t") == [(3,)]
    assert all("setting" in warning for warning in outcome.warnings)


def test_rows_of_a_file_and_a_fault_in_them(small: Any) -> None:
    small.steps["setup"] = {"files": ["db/a.sql"]}
    small.write("db/a.sql", "CREATE TABLE t (a int, b text);\n\\copy t FROM 'rows.csv' WITH (FORMAT csv, HEADER)\n")
    small.write("db/rows.csv", 'a,b\n1,"x, y"\n2,\n')
    small.run("setup")
    assert small.sql("SELECT a, b FROM t ORDER BY a") == [(1, "x, y"), (2, None)]
    small.write("db/rows.csv", 'a,b\n1,"x, y"\nno,\n')
    assert small.look("setup").state == "stale", "the rows are a part of what the step makes"
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    assert caught.value.what.startswith('db/rows.csv:3: invalid input syntax for type integer: "no"')


@pytest.mark.parametrize(
    "again",
    ["CREATE ROLE {r} NOLOGIN;", "CREATE USER {r} WITH PASSWORD 'x';", "DROP ROLE IF EXISTS {r};\nCREATE ROLE {r};"],
)
def test_a_role_that_is_there_is_no_failure(small: Any, again: str) -> None:
    role = f"reader_{small.mark}"
    small.steps["setup"] = {"files": ["a.sql"]}
    text = again.format(r=role) + f"\nCREATE TABLE users (id int PRIMARY KEY);\nGRANT SELECT ON users TO {role};\n"
    small.write("a.sql", text)
    small.run("setup")
    small.write("a.sql", text + f"-- x\nCREATE TABLE more (id int);\nGRANT SELECT ON more TO {role};\n")
    small.run("setup")
    small.run("setup", fresh=True)
    allowed = (
        f"SELECT has_table_privilege('{role}', 'users', 'SELECT'), has_table_privilege('{role}', 'more', 'SELECT')"
    )
    assert small.sql(allowed) == [(True, True)]
    small.sql(f"DROP OWNED BY {role}")
    small.sql(f"DROP ROLE {role}")


def test_a_grant_that_is_new_reaches_the_live_tables(small: Any) -> None:
    role = f"late_{small.mark}"
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "CREATE TABLE users (id int PRIMARY KEY);")
    small.run("setup")
    small.write("a.sql", f"CREATE TABLE users (id int PRIMARY KEY);CREATE ROLE {role};GRANT SELECT ON users TO {role};")
    small.run("setup")
    assert small.sql(f"SELECT has_table_privilege('{role}', 'users', 'SELECT')") == [(True,)]
    small.sql(f"DROP OWNED BY {role}")
    small.sql(f"DROP ROLE {role}")


def test_what_is_left_out_is_listed(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "\\timing on\n\\! rm -rf x\n\\c other\nCREATE TABLE t (a int);\n\\o out.txt\n")
    warnings = small.run("setup").warnings
    assert warnings == (
        "1 line left out (it only changes how psql prints results): a.sql:1 \\timing on",
        "1 line left out (devenv runs no program for it): a.sql:2 \\! rm -rf x",
        "1 line left out (the statements after it run in the project's database postgres): a.sql:3 \\c other",
        "1 line left out (devenv writes no files for it): a.sql:5 \\o out.txt",
    )


def test_what_is_left_out_is_listed_where_a_later_line_needs_it(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "CREATE TABLE t (a int);\nSELECT 7 AS seven \\gset\nINSERT INTO t VALUES (:seven);\n")
    with pytest.raises(DevenvError, match=r"a.sql:3: syntax error") as caught:
        small.run("setup")
    assert (
        "\\gset runs the result or stores it in variables, which devenv does not do): a.sql:2 SELECT 7 AS seven"
        in str(caught.value.detail)
    )
    assert "write the value there" in str(caught.value.hint)
