"""`setup` against a real Postgres: the first load, changed files, a rebuild, and everything that must survive them."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.core.errors import DevenvError, UsageError
from tests.integration.setup_support import POSTS, SCHEMA, USERS, everything, loaded, users

__all__ = ["loaded"]

pytest_plugins = ("tests.integration.step_support",)


def test_the_first_run_makes_the_database_and_is_then_done(small: Any) -> None:
    small.steps["setup"] = {"files": ["sql/*.sql"]}
    small.write("sql/1.sql", SCHEMA)
    small.write("sql/2.sql", USERS)
    state = small.look("setup")
    assert (state.state, state.reason) == ("pending", f"database {small.database} does not exist")
    outcome = small.run("setup")
    assert outcome.summary == "2 tables, 3 rows"
    assert sorted(users(small)) == ["ada", "bob", "cy"]
    assert small.look("setup").state == "done"
    assert small.databases() == [small.database]


def test_running_again_changes_nothing(loaded: Any) -> None:
    before = everything(loaded)
    assert loaded.run("setup").summary == "nothing to change"
    assert everything(loaded) == before
    assert loaded.databases() == [loaded.database]


def test_an_existing_empty_database_is_used(small: Any) -> None:
    small.steps["setup"] = {"files": ["1.sql"]}
    small.write("1.sql", "")
    assert small.run("setup").summary == "nothing to change"
    small.sql("DROP SCHEMA devenv CASCADE")
    assert small.look("setup").state == "pending"
    small.write("1.sql", SCHEMA + USERS)
    assert small.run("setup").summary == "2 tables, 3 rows"


@pytest.mark.parametrize(
    ("text", "what", "detail"),
    [
        (
            "CREATE TABLE t (a int);\nINSERT INTO t\nVALUES (1, 2);",
            "bad.sql:3: INSERT has more expressions",
            "in: INSERT",
        ),
        ("SELECT 1;\n\nSELEC 1;", 'bad.sql:3: syntax error at or near "SELEC"', "in: SELEC 1"),
        (USERS, "bad.sql:2: duplicate key value violates unique constraint", "Key (handle)=(ada) already exists."),
        ("DO $$ BEGIN\nCOMMIT; END $$", "bad.sql:1: invalid transaction termination", "PL/pgSQL"),
        ("VACUUM", "bad.sql:1: VACUUM cannot run inside a transaction block", "in: VACUUM"),
        (
            "CREATE TABLE t (a int REFERENCES u DEFERRABLE INITIALLY DEFERRED)",
            'bad.sql:1: relation "u" does not exist',
            "in: CREATE",
        ),
    ],
)
def test_an_error_names_file_line_and_statement_and_keeps_nothing(
    small: Any, text: str, what: str, detail: str
) -> None:
    small.steps["setup"] = {"files": ["good.sql", "bad.sql"]}
    small.write("good.sql", SCHEMA + USERS)
    small.write("bad.sql", text)
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    assert caught.value.exit_code == 8
    assert caught.value.what.startswith(what)
    assert detail in str(caught.value.detail)
    assert small.sql("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'devenv')") == [(0,)]
    state = small.look("setup")
    assert (state.state, state.reason) == ("failed", f"the last run failed: {caught.value.what}")
    small.write("bad.sql", "SELECT 1")
    small.run("setup")
    assert small.look("setup").state == "done"


def test_a_violated_deferred_constraint_is_an_error_of_the_files(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write(
        "a.sql",
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO c VALUES (7);",
    )
    with pytest.raises(DevenvError, match="violate a constraint") as caught:
        small.run("setup")
    assert "Key (p)=(7)" in str(caught.value.detail)


@pytest.mark.parametrize(
    ("files", "content", "what"),
    [
        (["none*.sql"], None, "[steps.setup] files: no file matches 'none*.sql'"),
        (["a.sql"], b"SELECT 1;\nSELECT '\xff';", "a.sql:2 is not UTF-8"),
        (["a.sql"], b"SELECT 1;\n\0", "a.sql:2 holds a NUL character"),
        (["a.sql"], b"ROLLBACK;", "a.sql:1: ROLLBACK is not possible here"),
        (["a.sql"], b"\\i other.sql", "a.sql:1: other.sql is not a file of the project"),
    ],
)
def test_files_are_refused_before_anything_is_written(
    small: Any, files: list[str], content: bytes | None, what: str
) -> None:
    small.steps["setup"] = {"files": files}
    if content is not None:
        small.write("a.sql", content)
    with pytest.raises(UsageError) as caught:
        small.read("setup")
    assert caught.value.what.startswith(what)
    assert caught.value.exit_code == 2


def test_strange_characters_arrive_as_they_are(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    table = '"we""ird %s $1 \\ Täble"'
    text = "100% '' \"quoted\" $1 ${x} \\n ünï 💥 %s %(a)s"
    small.write(
        "a.sql",
        f"CREATE TABLE {table} (\"k %s\" int PRIMARY KEY, v text);INSERT INTO {table} VALUES (1, '{text}');",
    )
    small.run("setup")
    assert small.sql(f"SELECT v FROM {table}") == [(text.replace("''", "'"),)]
    small.write(
        "a.sql",
        f'CREATE TABLE {table} ("k %s" int PRIMARY KEY, v text, "ne%w" int);'
        f"INSERT INTO {table} VALUES (1, '{text} v2', 5), (2, '%', NULL);",
    )
    assert small.run("setup").summary == "1 schema change, 1 row inserted, 1 row updated"
    assert small.sql(f"SELECT * FROM {table}") == [
        (1, text.replace("''", "'") + " v2", 5),
        (2, "%", None),
    ]
    assert small.foreign("setup") is None


def test_a_session_that_a_file_changes_does_not_disturb_what_follows(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write(
        "a.sql",
        "SELECT pg_catalog.set_config('search_path', '', false); SET DateStyle = 'German';"
        "SET client_encoding = 'LATIN1';"
        "CREATE TABLE public.t (d date PRIMARY KEY); INSERT INTO public.t VALUES ('24.12.2023');",
    )
    small.run("setup")
    assert small.sql("SELECT \"row\"->>'d' FROM devenv.seeded") == [("2023-12-24",)]
    assert small.foreign("setup") is None


# --- Changed files ---


def test_a_changed_value_is_updated_and_the_row_keeps_its_uuid(loaded: Any) -> None:
    before = users(loaded)
    loaded.write("sql/users.sql", USERS.replace("'Bob'", "'Robert'"))
    assert loaded.look("setup").state == "stale"
    outcome = loaded.run("setup")
    assert outcome.counts["rows updated"] == 1
    assert outcome.counts["rows inserted"] == outcome.counts["rows deleted"] == 0
    assert users(loaded) == before
    assert loaded.sql("SELECT name FROM users WHERE handle = 'bob'") == [("Robert",)]
    assert loaded.look("setup").state == "done"


def test_new_rows_refer_to_the_live_parents(loaded: Any) -> None:
    ids = users(loaded)
    loaded.write("sql/users.sql", USERS + "INSERT INTO users (handle, name) VALUES ('dan', 'Dan');")
    outcome = loaded.run("setup")
    assert outcome.counts["rows inserted"] == 2
    assert outcome.counts["rows updated"] == outcome.counts["rows deleted"] == 0
    assert {handle: uuid for handle, uuid in users(loaded).items() if handle != "dan"} == ids
    query = "SELECT text FROM posts JOIN users ON users.uuid = user_uuid WHERE handle = 'dan'"
    assert loaded.sql(query) == [("hello from dan",)]


def test_a_reference_without_a_foreign_key_follows_the_live_uuid(loaded: Any) -> None:
    reply = "SELECT p.text, q.text FROM posts p JOIN posts q ON q.uuid = p.reply_to ORDER BY p.text"
    loaded.write("sql/posts.sql", POSTS.replace("'reply',", "'answer',"))
    outcome = loaded.run("setup")
    # A post has no natural key: another text is another post.
    assert (outcome.counts["rows inserted"], outcome.counts["rows deleted"]) == (1, 1)
    assert loaded.sql(reply) == [("answer", "hello from ada")]


def test_rows_that_left_the_files_are_deleted_children_first(loaded: Any) -> None:
    loaded.write("sql/users.sql", USERS.replace("('bob', 'Bob'), ", ""))
    outcome = loaded.run("setup")
    assert outcome.counts["rows deleted"] == 2
    assert sorted(users(loaded)) == ["ada", "cy"]
    assert outcome.warnings == ()


def test_rows_made_by_hand_survive_and_keep_what_they_refer_to(loaded: Any) -> None:
    loaded.sql("INSERT INTO users (handle, name) VALUES ('eve', 'by hand')")
    loaded.sql(
        "INSERT INTO posts (user_uuid, text, expires_at) SELECT uuid, 'by hand', now() FROM users WHERE handle = 'bob'"
    )
    loaded.write("sql/users.sql", USERS.replace("('bob', 'Bob'), ", ""))
    outcome = loaded.run("setup")
    assert sorted(users(loaded)) == ["ada", "bob", "cy", "eve"]
    assert loaded.sql("SELECT text FROM posts WHERE text = 'by hand'") == [("by hand",)]
    assert outcome.warnings == (
        "public.users (handle=bob) is no longer in the files, but is kept: rows that devenv did not write refer to it",
    )


def test_a_cascade_does_not_take_rows_made_by_hand(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    schema = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p ON DELETE CASCADE);"
    small.write("a.sql", schema + "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1);")
    small.run("setup")
    small.sql("INSERT INTO c VALUES (2)")
    small.write("a.sql", schema)
    small.run("setup")
    assert small.sql("SELECT p FROM c") == [(2,)]
    assert small.sql("SELECT id FROM p") == [(2,)]


def test_a_seed_that_meets_a_row_made_by_hand_leaves_it(loaded: Any) -> None:
    loaded.sql("INSERT INTO users (handle, name) VALUES ('dan', 'by hand')")
    dan = users(loaded)["dan"]
    loaded.write("sql/users.sql", USERS + "INSERT INTO users (handle, name) VALUES ('dan', 'from the seeds');")
    outcome = loaded.run("setup")
    assert outcome.warnings == (
        "public.users (handle=dan) already exists and was not written by devenv: it is left unchanged",
    )
    assert loaded.sql("SELECT uuid, name FROM users WHERE handle = 'dan'") == [(dan, "by hand")]
    # The seeded post of that user refers to the row that is there.
    assert loaded.sql("SELECT user_uuid FROM posts WHERE text = 'hello from dan'") == [(dan,)]
    loaded.write("sql/users.sql", USERS)
    loaded.run("setup")
    assert loaded.sql("SELECT name FROM users WHERE handle = 'dan'") == [("by hand",)]


def test_what_the_application_changed_or_deleted_stays_so(loaded: Any) -> None:
    loaded.sql("UPDATE users SET name = 'Ada Lovelace' WHERE handle = 'ada'")
    loaded.sql("UPDATE posts SET likes = 7 WHERE text = 'hello from ada'")
    loaded.sql("DELETE FROM posts WHERE text = 'hello from bob'")
    loaded.write("sql/users.sql", USERS.replace("'Cy'", "'Cyrus'").replace("'Ada'", "'ADA'"))
    outcome = loaded.run("setup")
    assert loaded.sql("SELECT name FROM users ORDER BY handle") == [("Ada Lovelace",), ("Bob",), ("Cyrus",)]
    assert loaded.sql("SELECT text, likes FROM posts ORDER BY text") == [
        ("hello from ada", 7),
        ("hello from cy", 0),
        ("reply", 0),
    ]
    assert outcome.counts["values changed after loading (kept)"] == 1
    assert outcome.counts["rows deleted after loading (not inserted again)"] == 1


def test_a_row_that_the_application_changed_is_not_deleted(loaded: Any) -> None:
    loaded.sql("UPDATE posts SET likes = 7 WHERE text = 'hello from ada'")
    loaded.write("sql/posts.sql", POSTS.replace("hello from", "hi from"))
    outcome = loaded.run("setup")
    assert len(outcome.warnings) == 1
    assert "kept: it was changed" in outcome.warnings[0]
    assert ("hello from ada", 7) in loaded.sql("SELECT text, likes FROM posts")


def test_a_deleted_parent_stays_deleted_and_its_new_children_are_left_out(loaded: Any) -> None:
    loaded.sql("DELETE FROM posts")
    loaded.sql("DELETE FROM users WHERE handle = 'bob'")
    loaded.write(
        "sql/posts.sql", POSTS + "INSERT INTO posts (user_uuid, text, expires_at) SELECT uuid, 'new', now() FROM users;"
    )
    outcome = loaded.run("setup")
    assert sorted(users(loaded)) == ["ada", "cy"]
    assert loaded.sql("SELECT text FROM posts") == [("new",), ("new",)]
    assert len([text for text in outcome.warnings if "the row that it refers to was deleted" in text]) == 1


def test_a_uuid_given_in_the_file_names_its_row(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    row = "INSERT INTO posts (uuid, user_uuid, text, expires_at)"
    row += " VALUES ('{}', (SELECT uuid FROM users), '{}', '2033-01-01');"
    base = SCHEMA + "INSERT INTO users (handle, name) VALUES ('ada', 'Ada');"
    first, second = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    small.write("a.sql", base + row.format(first, "one"))
    small.run("setup")
    small.write("a.sql", base + row.format(first, "two") + row.format(second, "three"))
    outcome = small.run("setup")
    assert (outcome.counts["rows updated"], outcome.counts["rows inserted"]) == (1, 1)
    assert small.sql("SELECT uuid::text, text FROM posts ORDER BY text DESC") == [(first, "two"), (second, "three")]


def test_a_key_made_of_references_names_its_row(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    schema = (
        "CREATE TABLE users (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text UNIQUE NOT NULL);"
        "CREATE TABLE tags (id serial PRIMARY KEY, label text UNIQUE NOT NULL);"
        "CREATE TABLE likes (user_uuid uuid REFERENCES users, tag int REFERENCES tags, weight int,"
        " PRIMARY KEY (user_uuid, tag));"
        "CREATE TABLE notes (user_uuid uuid, tag int, note text PRIMARY KEY,"
        " FOREIGN KEY (user_uuid, tag) REFERENCES likes ON DELETE CASCADE);"
    )
    rows = (
        "INSERT INTO users (handle) VALUES {}; INSERT INTO tags (label) VALUES ('x'), ('y');"
        "INSERT INTO likes SELECT uuid, id, {} FROM users, tags;"
        "INSERT INTO notes SELECT user_uuid, tag, handle || label FROM likes JOIN users ON uuid = user_uuid"
        " JOIN tags ON id = tag;"
    )
    small.write("a.sql", schema + rows.format("('ada'), ('bob')", 1))
    small.run("setup")
    before = small.sql("SELECT note, user_uuid, tag FROM notes ORDER BY note")
    small.write("a.sql", schema + rows.format("('cy'), ('ada'), ('bob')", 2))
    outcome = small.run("setup")
    assert outcome.summary == "5 rows inserted, 4 rows updated"
    assert small.sql("SELECT DISTINCT weight FROM likes") == [(2,)]
    assert small.sql("SELECT note, user_uuid, tag FROM notes WHERE note !~ 'cy' ORDER BY note") == before
    small.write("a.sql", schema + rows.format("('cy')", 2))
    assert small.run("setup").summary == "10 rows deleted"


def test_numbers_from_a_sequence_are_the_databases_own(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    schema = (
        "CREATE TABLE tags (id serial PRIMARY KEY, label text UNIQUE NOT NULL);"
        "CREATE TABLE uses (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tag int NOT NULL REFERENCES tags);"
    )
    uses = "INSERT INTO uses (tag) SELECT id FROM tags;"
    small.write("a.sql", schema + "INSERT INTO tags (label) VALUES ('a'), ('b');" + uses)
    small.run("setup")
    small.sql("INSERT INTO tags (label) VALUES ('by hand')")
    small.write("a.sql", schema + "INSERT INTO tags (label) VALUES ('new'), ('a'), ('b');" + uses)
    small.run("setup")
    assert small.sql("SELECT id, label FROM tags ORDER BY id") == [(1, "a"), (2, "b"), (3, "by hand"), (4, "new")]
    assert small.sql("SELECT label FROM uses JOIN tags ON tags.id = tag ORDER BY label") == [("a",), ("b",), ("new",)]


def test_numbers_given_in_the_file_name_their_row_even_when_the_sequence_is_set(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    text = (
        "CREATE TABLE tags (id serial PRIMARY KEY, label text NOT NULL);"
        "INSERT INTO tags VALUES (1, '{}'), (2, 'b'){};"
        "SELECT setval('tags_id_seq', (SELECT max(id) FROM tags));"
    )
    small.write("a.sql", text.format("a", ""))
    small.run("setup")
    small.write("a.sql", text.format("A", ", (3, 'c')"))
    outcome = small.run("setup")
    assert (outcome.counts["rows updated"], outcome.counts["rows inserted"]) == (1, 1)
    small.sql("INSERT INTO tags (label) VALUES ('next')")
    assert small.sql("SELECT id, label FROM tags ORDER BY id") == [(1, "A"), (2, "b"), (3, "c"), (4, "next")]


def test_rows_without_any_key_are_distinguished_by_their_content(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL);")
    small.run("setup")
    small.sql("INSERT INTO t VALUES (9, 'by hand')")
    small.write("a.sql", "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (3, NULL);")
    small.run("setup")
    assert small.sql("SELECT a, b FROM t ORDER BY a") == [(1, "x"), (3, None), (9, "by hand")]


def test_an_error_in_changed_files_touches_nothing(loaded: Any) -> None:
    before = everything(loaded)
    loaded.write("sql/users.sql", USERS.replace("'Bob'", "'Robert'") + "\nINSERT INTO users (handle) VALUES ('x');")
    with pytest.raises(DevenvError) as caught:
        loaded.run("setup")
    assert caught.value.exit_code == 8
    assert caught.value.what.startswith('sql/users.sql:4: null value in column "name"')
    assert everything(loaded) == before
    assert loaded.databases() == [loaded.database]
    assert loaded.look("setup").state == "failed"


def test_rows_that_were_there_before_devenv_are_not_devenvs(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "")
    small.run("setup")
    small.sql("DROP SCHEMA devenv CASCADE")
    small.sql("CREATE TABLE users (handle text PRIMARY KEY, name text); ")
    small.sql("INSERT INTO users VALUES ('ada', 'by hand'), ('zoe', 'by hand')")
    small.write(
        "a.sql",
        "CREATE TABLE users (handle text PRIMARY KEY, name text); INSERT INTO users VALUES ('ada', 'a'), ('bob', 'b');",
    )
    outcome = small.run("setup")
    assert small.sql("SELECT * FROM users ORDER BY handle") == [("ada", "by hand"), ("bob", "b"), ("zoe", "by hand")]
    assert len(outcome.warnings) == 1


# --- From scratch ---


def test_a_rebuild_gives_everyone_a_new_uuid_and_removes_what_was_made_by_hand(loaded: Any) -> None:
    before = users(loaded)
    loaded.sql("INSERT INTO users (handle, name) VALUES ('eve', 'by hand')")
    loaded.sql("UPDATE posts SET likes = 3 WHERE text = 'reply'")
    assert loaded.foreign("setup") == (
        f"database {loaded.database} has rows that devenv did not write, or that changed after devenv wrote them:"
        " 1 in public.posts, 1 in public.users"
    )
    loaded.run("setup", fresh=True)
    after = users(loaded)
    assert sorted(after) == ["ada", "bob", "cy"]
    assert not set(before.values()) & set(after.values())
    assert loaded.foreign("setup") is None
    assert loaded.look("setup").state == "done"
    assert loaded.databases() == [loaded.database]


def test_a_rebuild_with_a_broken_file_keeps_the_old_database(loaded: Any) -> None:
    before = everything(loaded)
    loaded.write("sql/posts.sql", "INSERT INTO posts VALUES (1);")
    with pytest.raises(DevenvError) as caught:
        loaded.run("setup", fresh=True)
    assert caught.value.exit_code == 8
    assert everything(loaded) == before
    loaded.write("sql/posts.sql", POSTS)
    assert loaded.look("setup").state == "done"
    loaded.run("setup")
    assert loaded.databases() == [loaded.database]


def test_open_sessions_do_not_stop_a_rebuild(loaded: Any) -> None:
    import psycopg

    before = users(loaded)
    server = loaded.server
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname=loaded.database
    ) as session:
        session.execute("SELECT * FROM users")
        outcome = loaded.run("setup", fresh=True)
        assert outcome.warnings == ("ended 1 session on the old database",)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert users(loaded) != before


def test_a_database_without_a_record_is_all_foreign(small: Any) -> None:
    small.steps["setup"] = {"files": ["a.sql"]}
    small.write("a.sql", "")
    assert small.foreign("setup") is None
    small.run("setup")
    small.sql("CREATE TABLE t AS SELECT generate_series(1, 3)")
    small.sql("DROP SCHEMA devenv CASCADE")
    assert str(small.foreign("setup")).endswith("3 in public.t")


# --- The project's own command ---


def test_a_command_runs_in_the_project_with_its_variables_and_its_output_in_the_log(small: Any) -> None:
    small.write("seed.txt", "one")
    small.steps["setup"] = {"files": [], "command": ["sh", "-c", "pwd; echo $HOME; cat seed.txt"]}
    assert small.look("setup").state == "pending"
    with pytest.raises(DevenvError, match="there is no database"):
        small.run("setup")
    assert str(small.root) in small.context.log.read_text()
    assert small.look("setup").state == "failed"


def test_a_command_is_stale_when_its_files_change(small: Any) -> None:
    small.write("seed.txt", "CREATE TABLE t (id int)")
    small.steps["setup"] = {"files": ["seed.txt"]}
    small.run("setup")
    small.steps["setup"] = {"files": ["seed.txt"], "command": ["true"]}
    small.run("setup")
    assert small.look("setup").state == "done"
    small.write("seed.txt", "two")
    assert small.look("setup").state == "stale"


@pytest.mark.parametrize(
    ("command", "what", "detail"),
    [
        (["sh", "-c", "echo first; echo broken >&2; exit 3"], "the command sh -c echo first", "first\nbroken"),
        (["sh", "-c", "kill -9 $$"], "was ended by signal 9", "(no output)"),
        (["./nothing"], "the command ./nothing could not be started", "No such file"),
    ],
)
def test_a_failing_command_shows_its_last_lines(small: Any, command: list[str], what: str, detail: str) -> None:
    small.steps["setup"] = {"command": command}
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    assert caught.value.exit_code == 8
    assert what in caught.value.what
    assert detail in str(caught.value.detail)
    assert small.look("setup").state == "failed"
