"""`setup` with a changed schema: what is applied in place, and what would lose data."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.core.errors import DevenvError
from tests.integration.setup_support import SCHEMA, everything, loaded, users

__all__ = ["loaded"]

pytest_plugins = ("tests.integration.step_support",)


# --- Changed schema ---


def test_what_adds_to_the_schema_is_applied_in_place(loaded: Any) -> None:
    ids = users(loaded)
    loaded.sql("ALTER TABLE users ADD COLUMN by_hand text")
    loaded.sql("CREATE TABLE notes (a int)")
    schema = (
        SCHEMA.replace("name text NOT NULL,", "name text, email text NOT NULL, age int DEFAULT 7,")
        + """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE SEQUENCE numbers START 5;
    CREATE SCHEMA extra;
    CREATE TABLE extra.tags (id bigserial PRIMARY KEY, post uuid REFERENCES public.posts ON DELETE SET NULL,
      label text CHECK (label <> ''), mood mood DEFAULT 'good', twice int GENERATED ALWAYS AS (2 * 3) STORED,
      UNIQUE (label));
    CREATE INDEX posts_text ON posts (lower(text));
    CREATE UNIQUE INDEX users_email ON users (email);
    CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql AS $$ SELECT upper(t) $$;
    CREATE VIEW loud AS SELECT shout(handle) AS handle FROM users;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    """
    )
    loaded.write("sql/schema.sql", schema)
    loaded.write(
        "sql/users.sql",
        "INSERT INTO users (handle, name, email)"
        " SELECT h, initcap(h), h || '@example.com' FROM unnest('{ada,bob,cy}'::text[]) h;"
        "INSERT INTO extra.tags (label) VALUES ('x');",
    )
    assert loaded.look("setup").state == "stale"
    loaded.run("setup")
    assert users(loaded) == ids
    assert loaded.sql("SELECT handle, email, age FROM users ORDER BY handle LIMIT 1") == [("ada", "ada@example.com", 7)]
    assert loaded.sql("SELECT id, label, mood, twice FROM extra.tags") == [(1, "x", "good", 6)]
    assert loaded.sql("SELECT handle FROM loud ORDER BY 1") == [("ADA",), ("BOB",), ("CY",)]
    # A fresh load of the same files declares exactly the same, but for what was made by hand.
    from devenv.steps.setup.setup import read_declared
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.catalog import read_catalog

    with postgres.connect(loaded.postgres) as connection:
        live, declared = read_catalog(connection), read_declared(connection)
    assert declared is not None
    assert set(declared.objects) <= set(live.objects)
    assert [table.id for table in live.tables if table not in declared.tables] == [
        ("public", "notes"),
        ("public", "users"),
    ]
    live_users, wanted_users = live.table(("public", "users")), declared.table(("public", "users"))
    assert live_users is not None
    assert wanted_users is not None
    assert set(wanted_users.columns) < set(live_users.columns)
    assert (live_users.constraints, live_users.indexes) == (wanted_users.constraints, wanted_users.indexes)


def test_what_the_files_no_longer_declare_goes_when_that_loses_nothing(loaded: Any) -> None:
    extra = "CREATE INDEX by_text ON posts (text); CREATE VIEW v AS SELECT 1 AS one;"
    extra += "ALTER TABLE posts ADD CHECK (likes >= 0);"
    loaded.write("sql/schema.sql", SCHEMA + extra)
    loaded.run("setup")
    loaded.sql("CREATE INDEX by_hand ON posts (likes)")
    loaded.write("sql/schema.sql", SCHEMA.replace("likes int NOT NULL DEFAULT 0", "likes int DEFAULT 1"))
    loaded.run("setup")
    assert loaded.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'posts' ORDER BY 1") == [
        ("by_hand",),
        ("posts_pkey",),
    ]
    assert loaded.sql("SELECT count(*) FROM pg_views WHERE schemaname = 'public'") == [(0,)]
    loaded.sql("UPDATE posts SET likes = NULL; UPDATE posts SET likes = -1")


@pytest.mark.parametrize(
    ("change", "loss"),
    [
        (("  name text NOT NULL,\n", ""), "column public.users.name is no longer in the files"),
        (("likes int", "likes bigint"), "column public.posts.likes is integer in the database and bigint in the files"),
        ((SCHEMA[SCHEMA.index("CREATE TABLE posts") :], ""), "table public.posts is no longer in the files"),
    ],
)
def test_what_would_lose_data_stops_with_the_way_out(loaded: Any, change: tuple[str, str], loss: str) -> None:
    before = everything(loaded)
    loaded.write("sql/schema.sql", SCHEMA.replace(*change))
    loaded.write("sql/users.sql", "")
    loaded.write("sql/posts.sql", "")
    with pytest.raises(DevenvError) as caught:
        loaded.run("setup")
    assert caught.value.exit_code == 8
    assert loss in str(caught.value.detail)
    assert "devenv setup" in str(caught.value.hint)
    assert everything(loaded) == before


def test_a_new_obligatory_column_stops_when_a_row_has_nothing_for_it(loaded: Any) -> None:
    loaded.sql("INSERT INTO users (handle, name) VALUES ('eve', 'by hand')")
    loaded.write("sql/schema.sql", SCHEMA.replace("name text NOT NULL,", "name text NOT NULL, email text NOT NULL,"))
    loaded.write("sql/users.sql", "INSERT INTO users (handle, name, email) VALUES ('ada', 'Ada', 'a@example.com');")
    loaded.write("sql/posts.sql", "")
    with pytest.raises(DevenvError) as caught:
        loaded.run("setup")
    assert 'column "email" of relation "users" contains null values' in str(caught.value.detail)
    assert sorted(users(loaded)) == ["ada", "bob", "cy", "eve"]


def test_a_column_or_table_dropped_by_hand_is_noticed_and_made_again(loaded: Any) -> None:
    loaded.sql("DROP TABLE posts")
    loaded.sql("ALTER TABLE users DROP COLUMN name")
    assert loaded.look("setup").reason == "no longer there: public.posts, public.users.name"
    loaded.run("setup")
    assert loaded.look("setup").state == "done"
    assert loaded.sql("SELECT handle, name FROM users ORDER BY handle") == [
        ("ada", "Ada"),
        ("bob", "Bob"),
        ("cy", "Cy"),
    ]
    assert loaded.sql("SELECT count(*) FROM posts JOIN users ON users.uuid = user_uuid") == [(4,)]
