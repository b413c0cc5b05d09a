"""devenv.stores.postgres.client against a real server."""

from __future__ import annotations

import dataclasses
import os
import socket
from typing import Any

import psycopg
import pytest
from psycopg import sql

from devenv.core.errors import StoreError
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Column, Constraint, Index, read_catalog
from devenv.stores.postgres.client import PostgresError
from devenv.stores.postgres.reader import asking, read

pytest_plugins = ("tests.integration.step_support",)


@pytest.fixture
def target(targets: Any) -> Any:
    """The server's own database."""
    return dataclasses.replace(targets[0], database="postgres")


@pytest.fixture
def made(small: Any) -> Any:
    """A database of its own, empty."""
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "")
    small.run("setup")
    return small


def test_the_probe_asks_a_real_question(target: Any) -> None:
    assert int(postgres.probe(target).split(".")[0]) >= 14


def test_the_system_identifier_is_the_clusters(target: Any) -> None:
    with postgres.connect(target) as connection:
        assert postgres.system_identifier(connection).isdigit()


def test_a_block_that_ends_well_commits_and_one_that_fails_does_not(made: Any) -> None:
    with postgres.connect(made.postgres) as connection:
        connection.execute("CREATE TABLE t (a int)")
    with pytest.raises(PostgresError), postgres.connect(made.postgres) as connection:
        connection.execute("INSERT INTO t VALUES (1); SELECT 1 / 0")
    assert made.sql("SELECT * FROM t") == []


def test_an_error_has_the_drivers_words_the_code_and_the_position(target: Any) -> None:
    with pytest.raises(PostgresError) as caught, postgres.connect(target) as connection:
        connection.execute("SELECT 1 AS one, nope")
    error = caught.value
    assert error.what == f"Postgres at {target.address} refused a statement"
    assert (error.code, error.position, error.reached, error.exit_code) == ("42703", 18, True, 1)
    assert error.detail == 'column "nope" does not exist'


def test_text_that_is_not_unicode_is_an_error_of_ours(target: Any) -> None:
    """Bytes of a command line that are not UTF-8, in a statement and as a bound value."""
    for query, values in (("SELECT '\udcff'", []), ("SELECT %s", ["\udcff"])):
        with pytest.raises(PostgresError, match="not Unicode") as failed, postgres.connect(target) as connection:
            connection.execute(query, values)
        assert failed.value.reached


def test_a_violation_that_shows_only_at_commit_is_translated_too(made: Any) -> None:
    made.sql("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(PostgresError) as caught, postgres.connect(made.postgres) as connection:
        connection.execute("INSERT INTO t VALUES (1), (1)")
    assert caught.value.code == "23505"
    assert "Key (a)=(1) already exists." in str(caught.value.detail)


def test_a_missing_database_is_distinguished_from_a_missing_server(target: Any) -> None:
    with pytest.raises(StoreError) as caught, postgres.connect(target, database="no such database"):
        pass
    assert (caught.value.code, caught.value.reached) == (postgres.NO_DATABASE, True)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = dataclasses.replace(target, port=unused.getsockname()[1])
        with pytest.raises(StoreError) as caught, postgres.connect(nowhere):
            pass
    assert caught.value.reached is False
    assert caught.value.exit_code == 3
    assert caught.value.what == f"Postgres at {nowhere.address} does not answer"


def test_a_wrong_password_is_the_drivers_to_tell(target: Any) -> None:
    with pytest.raises(StoreError) as caught, postgres.connect(dataclasses.replace(target, password="wrong")):
        pass
    assert "password authentication failed" in str(caught.value.detail)
    assert "wrong" not in str(caught.value.detail).replace("password", "")


def test_a_server_that_dies_in_the_middle_was_not_reached(target: Any) -> None:
    with pytest.raises(StoreError) as caught, postgres.connect(target) as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert caught.value.reached is False


def test_a_read_only_connection_writes_nothing(target: Any) -> None:
    with pytest.raises(StoreError) as caught, postgres.connect(target, read_only=True) as connection:
        connection.execute("CREATE TABLE never (a int)")
    assert caught.value.code == "25006"


def test_text_forms_do_not_depend_on_the_database(made: Any) -> None:
    quoted = sql.Identifier(made.database).as_string()
    made.sql(f"ALTER DATABASE {quoted} SET datestyle = 'German'")
    made.sql(f"ALTER DATABASE {quoted} SET timezone = 'Asia/Tokyo'")
    with postgres.connect(made.postgres) as connection:
        assert postgres.one(connection, "SELECT '2023-12-24 10:00+00'::timestamptz::text") == "2023-12-24 10:00:00+00"


def test_names_with_percent_signs_go_beside_bound_values(made: Any) -> None:
    made.sql('CREATE TABLE "100%s" ("a %b" text)')
    query = sql.SQL("INSERT INTO {} ({}) VALUES (%s), ({}) RETURNING {}").format(
        postgres.name("100%s"), postgres.name("a %b"), sql.Literal("50%"), postgres.name("a %b")
    )
    with postgres.connect(made.postgres) as connection:
        assert postgres.execute(connection, query, ["x%y"]).fetchall() == [("x%y",), ("50%",)]


def test_the_catalog_tells_what_the_project_declares_and_nothing_else(made: Any) -> None:
    made.sql(
        """
        CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x',
          low text GENERATED ALWAYS AS (lower(name)) STORED, UNIQUE (name));
        CREATE TABLE posts (id serial PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, CHECK (user_id > 0));
        CREATE UNIQUE INDEX one ON posts (user_id);
        CREATE INDEX two ON posts (lower(user_id::text)) WHERE user_id > 5;
        CREATE VIEW v AS SELECT 1 AS a;
        """
    )
    with postgres.connect(made.postgres) as connection:
        path = postgres.one(connection, "SELECT current_setting('search_path')")
        catalog = read_catalog(connection)
        assert postgres.one(connection, "SELECT current_setting('search_path')") == path
    users, posts = catalog.table(("public", "users")), catalog.table(("public", "posts"))
    assert [table.title for table in catalog.tables] == ["public.posts", "public.users"]
    assert users is not None
    assert posts is not None
    assert users.columns == (
        Column("id", "integer", True, None, "identity"),
        Column("name", "character varying(20)", True, "'x'::character varying"),
        Column("low", "text", False, "lower((name)::text)", "stored"),
    )
    assert users.keys == (("id",), ("name",))
    assert posts.columns[0] == Column("id", "integer", True, "nextval('public.posts_id_seq'::regclass)")
    assert [each for each in posts.constraints if each.kind == "foreign"] == [
        Constraint(
            "posts_user_id_fkey",
            "foreign",
            "FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE",
            ("user_id",),
            ("public", "users"),
            ("id",),
        )
    ]
    assert posts.indexes == (
        Index("one", "CREATE UNIQUE INDEX one ON public.posts USING btree (user_id)", ("user_id",)),
        Index(
            "two",
            "CREATE INDEX two ON public.posts USING btree (lower((user_id)::text)) WHERE (user_id > 5)",
        ),
    )
    assert posts.keys == (("id",), ("user_id",))
    assert [(each.kind, each.name) for each in catalog.objects] == [
        ("sequence", "public.posts_id_seq"),
        ("owner", "public.posts_id_seq"),
        ("view", "public.v"),
    ]


def test_driver_errors_of_a_nested_block_can_be_caught_as_ours(target: Any) -> None:
    with postgres.connect(target) as connection:
        with pytest.raises(PostgresError), connection.transaction(), postgres.translated("here"):
            connection.execute("SELECT nope")
        assert postgres.one(connection, "SELECT 1") == 1
    with pytest.raises(PostgresError, match="Postgres at here could not be used"), postgres.translated("here"):
        raise psycopg.ProgrammingError("the query has 1 placeholder but 0 parameters were passed")


def test_the_shells_libpq_variables_lead_no_connection_elsewhere(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steering = {
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "elsewhere",
        "PGSERVICEFILE": "/nowhere/services",
        "PGSSLMODE": "verify-full",
        "PGSSLNEGOTIATION": "direct",
        "PGGSSENCMODE": "require",
        "PGREQUIREAUTH": "none",
        "PGOPTIONS": "-c search_path=nowhere",
        "PGTARGETSESSIONATTRS": "standby",
        "PGTZ": "Asia/Tokyo",
        "PGDATESTYLE": "German",
    }
    for name, value in steering.items():
        monkeypatch.setenv(name, value)
    with postgres.connect(target) as connection:
        settings = ("TimeZone", "DateStyle", "search_path")
        found = [postgres.one(connection, f"SHOW {name}") for name in settings]
    assert found == ["UTC", "ISO, MDY", '"$user", public']
    assert {name: os.environ[name] for name in steering} == steering


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("'infinity'::timestamptz", "infinity"),
        ("'-infinity'::date", "-infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        ("'24:00'::time", "24:00:00"),
        ("'99999999 years'::interval", "99999999 years"),
        ("'10000-01-01'::timestamp", "10000-01-01 00:00:00"),
        ("array['infinity'::timestamptz]", ["infinity"]),
        ("'2023-06-24 10:00:00.5+02'::timestamptz", "2023-06-24 08:00:00.5+00"),
        ("1::bigint", 1),
        ("true", True),
    ],
)
def test_values_that_python_cannot_hold_are_shown(target: Any, expression: str, shown: object) -> None:
    with asking(target) as each:
        answer = each.ask(f"SELECT {expression} AS it", as_text=True)
    assert (answer.columns, answer.rows) == (["it"], [(shown,)])


def test_a_query_is_one_statement(target: Any) -> None:
    for statement in ("SELECT 1; CREATE TABLE public.never (a int)", "COMMIT; CREATE TABLE public.never (a int)"):
        with pytest.raises(PostgresError) as caught:
            read(target, statement)
        assert caught.value.code == "42601"
    with pytest.raises(PostgresError) as caught:
        postgres.write(target, "SELECT 1; CREATE TABLE public.never (a int)")
    assert caught.value.code == "42601"
