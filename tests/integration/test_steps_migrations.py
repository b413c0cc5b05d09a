"""`setup` from migrations: the order, the up halves, the tool's own table, new ones on live data, and refusals."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from devenv.core.errors import DevenvError, UsageError

pytest_plugins = ("tests.integration.step_support",)

USERS = "CREATE TABLE users (id int PRIMARY KEY, handle text);\nINSERT INTO users VALUES (1, 'ann');\n"
COLUMN = "ALTER TABLE users ADD COLUMN a text DEFAULT 'x';\nUPDATE users SET handle = upper(handle);\n"
DROP = "ALTER TABLE users DROP COLUMN a;\n"

# tool -> (folder, its three files with the third first by name where that is possible, table, what it holds afterwards)
TOOLS: dict[str, tuple[dict[str, str], str, list[tuple[Any, ...]]]] = {
    "flyway": (
        {
            "db/migration/V1__users.sql": USERS,
            "db/migration/V2__a_column.sql": COLUMN,
            "db/migration/V10__drop.sql": DROP,
            "db/migration/U10__drop.sql": "ALTER TABLE users ADD COLUMN a text;",
        },
        "SELECT installed_rank, version, description, script, success FROM flyway_schema_history ORDER BY 1",
        [
            (1, "1", "users", "V1__users.sql", True),
            (2, "2", "a column", "V2__a_column.sql", True),
            (3, "10", "drop", "V10__drop.sql", True),
        ],
    ),
    "dbmate": (
        {
            "db/migrations/20240101_users.sql": f"-- migrate:up\n{USERS}-- migrate:down\nDROP TABLE users;\n",
            "db/migrations/20240102_a.sql": f"-- migrate:up transaction:false\n{COLUMN}\n-- migrate:down\nnonsense;",
            "db/migrations/20240103_b.sql": f"-- migrate:up\n{DROP}",
        },
        "SELECT version FROM schema_migrations ORDER BY 1",
        [("20240101",), ("20240102",), ("20240103",)],
    ),
    "goose": (
        {
            "migrations/1_users.sql": f"-- +goose Up\n-- +goose StatementBegin\n{USERS}-- +goose StatementEnd\n"
            "-- +goose Down\nDROP TABLE users;\n",
            "migrations/2_a.sql": f"-- +goose Up\n{COLUMN}-- +goose Down\nnonsense;",
            "migrations/10_b.sql": f"-- +goose Up\n{DROP}",
        },
        "SELECT version_id, is_applied FROM goose_db_version ORDER BY id",
        [(0, True), (1, True), (2, True), (10, True)],
    ),
    "sql-migrate": (
        {
            "migrations/1-users.sql": f"-- +migrate Up\n{USERS}-- +migrate Down\nDROP TABLE users;\n",
            "migrations/2-a.sql": f"-- +migrate Down\nnonsense;\n-- +migrate Up\n{COLUMN}",
            "migrations/10-b.sql": f"-- +migrate Up\n{DROP}",
        },
        "SELECT id FROM gorp_migrations ORDER BY length(id), id",
        [("2-a.sql",), ("10-b.sql",), ("1-users.sql",)],
    ),
    "golang-migrate": (
        {
            "migrations/1_users.up.sql": f"BEGIN;\n{USERS}COMMIT;\n",
            "migrations/1_users.down.sql": "DROP TABLE users;",
            "migrations/2_a.up.sql": COLUMN,
            "migrations/10_b.up.sql": DROP,
        },
        "SELECT version, dirty FROM schema_migrations",
        [(10, False)],
    ),
    "prisma": (
        {
            "prisma/migrations/20240101000000_init/migration.sql": USERS,
            "prisma/migrations/20240102000000_a/migration.sql": COLUMN,
            "prisma/migrations/20240103000000_b/migration.sql": DROP,
            "prisma/migrations/migration_lock.toml": 'provider = "postgresql"',
        },
        "SELECT migration_name, finished_at IS NOT NULL, length(checksum) FROM _prisma_migrations ORDER BY 1",
        [("20240101000000_init", True, 64), ("20240102000000_a", True, 64), ("20240103000000_b", True, 64)],
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.matrix(3)
def test_the_up_halves_run_in_the_tools_order_and_the_tool_is_reported(small: Any, tool: str) -> None:
    files, query, recorded = TOOLS[tool]
    small.steps["setup"] = {"migrations": tool}
    for name, text in files.items():
        small.write(name, text)
    small.run("setup")
    assert small.look("setup").state == "done"
    assert small.sql("SELECT * FROM users") == [(1, "ANN")]
    assert sorted(small.sql(query)) == sorted(recorded)
    assert small.foreign("setup") is None
    small.run("setup", fresh=True)
    assert sorted(small.sql(query)) == sorted(recorded)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.matrix(3)
def test_a_new_migration_runs_on_the_live_data(small: Any, tool: str) -> None:
    files, query, recorded = TOOLS[tool]
    small.steps["setup"] = {"migrations": tool}
    last = next(name for name, text in files.items() if text.endswith(DROP))
    for name, text in files.items():
        if name != last:
            small.write(name, text)
    small.run("setup")
    small.sql("INSERT INTO users VALUES (7, 'mine', 'kept')")
    small.sql("UPDATE users SET a = 'changed' WHERE id = 1")
    assert "2 in public.users" in str(small.foreign("setup"))
    small.write(last, files[last].replace(DROP, DROP + "UPDATE users SET handle = handle || '!';"))
    assert small.look("setup").state == "stale"
    outcome = small.run("setup")
    assert outcome.counts["migrations run"] == 1
    assert small.sql("SELECT * FROM users ORDER BY 1") == [(1, "ANN!"), (7, "mine!")]
    assert sorted(small.sql(query)) == sorted(recorded)
    assert small.look("setup").state == "done"
    assert "already" not in str(outcome.warnings)
    assert "1 in public.users" in str(small.foreign("setup")), "what was changed in row 1 is dropped"


def test_what_the_tool_ran_itself_does_not_run_again(small: Any) -> None:
    files, _, _ = TOOLS["dbmate"]
    small.steps["setup"] = {"migrations": "dbmate"}
    first, second, third = files
    small.write(first, files[first])
    small.run("setup")
    small.sql("ALTER TABLE users ADD COLUMN a text DEFAULT 'x'")
    small.sql("INSERT INTO schema_migrations VALUES ('20240102')")
    small.write(second, files[second])
    small.write(third, files[third])
    small.run("setup")
    assert small.sql("SELECT version FROM schema_migrations ORDER BY 1") == [
        ("20240101",),
        ("20240102",),
        ("20240103",),
    ]


def test_a_migration_that_fails_on_live_data_keeps_nothing(small: Any) -> None:
    small.steps["setup"] = {"migrations": {"tool": "goose", "folder": "db"}}
    small.write("db/1_a.sql", f"-- +goose Up\n{USERS}")
    small.run("setup")
    small.sql("INSERT INTO users VALUES (2, 'ann')")
    small.write("db/2_b.sql", "-- +goose Up\nCREATE TABLE b ();\nALTER TABLE users ADD UNIQUE (handle);")
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    assert caught.value.what.startswith("db/2_b.sql:3: could not create unique index")
    assert small.sql("SELECT to_regclass('b'), max(version_id) FROM goose_db_version") == [(None, 1)]


def test_plain_files_follow_the_migrations(small: Any) -> None:
    small.steps["setup"] = {"migrations": "flyway", "files": ["seed.sql"]}
    small.write("db/migration/V1__users.sql", USERS)
    small.write("seed.sql", "INSERT INTO users VALUES (2, 'bob');")
    small.run("setup")
    small.write("seed.sql", "INSERT INTO users VALUES (2, 'bob'), (3, 'cy');")
    small.write("db/migration/V2__more.sql", "INSERT INTO users VALUES (4, 'dee');")
    small.run("setup")
    assert small.sql("SELECT id FROM users ORDER BY 1") == [(1,), (2,), (3,), (4,)]
    assert small.foreign("setup") is None


@pytest.mark.parametrize(
    ("name", "text", "what", "setting"),
    [
        ("db/migrations/1.sql", "-- migrate:up\n\n-- migrate:down\n", "1.sql:3: `-- migrate:down` belongs", '"dbmate"'),
        ("sql/2.sql", "-- +goose Up\n-- +goose Down\n", "2.sql:2: `-- +", '{ tool = "goose", folder = "sql" }'),
        ("migrations/c.sql", "-- +migrate Up\n-- +migrate Down\n", "c.sql:2: `-- +migrate Down`", '"sql-migrate"'),
        ("migrations/1_d.down.sql", "DROP TABLE x", "1_d.down.sql: a file that undoes", '"golang-migrate"'),
    ],
)  # fmt: skip
def test_a_migration_among_plain_files_is_refused(small: Any, name: str, text: str, what: str, setting: str) -> None:
    small.steps["setup"] = {"files": ["**/*.sql"]}
    small.write(name, text)
    with pytest.raises(UsageError) as caught:
        small.read("setup")
    assert what in caught.value.what
    assert f"migrations = {setting}" in str(caught.value.hint)


def test_numbers_in_names_of_plain_files_count_as_numbers(small: Any) -> None:
    small.steps["setup"] = {"files": ["V*.sql"]}
    for name in ("V10__b.sql", "V2__a.sql", "V1__users.sql"):
        small.write(name, "")
    assert [file.name for file in small.read("setup").files] == ["V1__users.sql", "V2__a.sql", "V10__b.sql"]


def test_a_folder_without_migrations_is_said(small: Any) -> None:
    small.steps["setup"] = {"migrations": "goose"}
    with pytest.raises(UsageError) as caught:
        small.read("setup")
    assert "no migration of goose in migrations or db/migrations" in caught.value.what
    assert 'migrations = { tool = "goose", folder = "…" }' in str(caught.value.hint)


# A tool as they are: it reads DATABASE_URL, runs what its own table has not, each in a transaction of its own.
PROGRAM = """
import os, pathlib, sys, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as c:
    c.execute("CREATE TABLE IF NOT EXISTS ran (name text PRIMARY KEY)")
    done = {row[0] for row in c.execute("SELECT name FROM ran")}
    for file in sorted(pathlib.Path("changes").glob("*.txt")):
        if file.name not in done:
            with c.transaction():
                c.execute(file.read_text())
                c.execute("INSERT INTO ran VALUES (%s)", [file.name])
"""


@pytest.fixture
def by_command(small: Any) -> Any:
    small.steps["setup"] = {
        "migrations": {"command": [sys.executable, "run.py"], "folder": "changes"},
        "files": ["seed.sql"],
    }
    small.write("run.py", PROGRAM)
    small.write("changes/1.txt", USERS)
    small.write("seed.sql", "INSERT INTO users VALUES (2, 'bob');")
    return small


def test_a_command_runs_beside_and_its_work_is_recorded(by_command: Any) -> None:
    by_command.run("setup")
    assert by_command.look("setup").state == "done"
    assert by_command.foreign("setup") is None
    assert len(by_command.databases()) == 1
    by_command.sql("INSERT INTO users VALUES (9, 'mine')")
    by_command.write("changes/2.txt", COLUMN)
    assert by_command.look("setup").state == "stale", "the hash of the migrations folder changed"
    assert by_command.run("setup").summary == "1 migration run"
    assert by_command.sql("SELECT * FROM users ORDER BY 1") == [(1, "ANN", "x"), (2, "BOB", "x"), (9, "MINE", "x")]
    assert "1 in public.users" in str(by_command.foreign("setup"))
    assert by_command.look("setup").state == "done"


def test_a_command_that_fails_leaves_the_live_database_alone(by_command: Any) -> None:
    by_command.run("setup")
    by_command.write("changes/2.txt", "CREATE TABLE half (); SELECT nonsense;")
    with pytest.raises(DevenvError) as caught:
        by_command.run("setup")
    assert 'column "nonsense" does not exist' in str(caught.value.detail)
    assert by_command.sql("SELECT to_regclass('half')") == [(None,)]
    assert len(by_command.databases()) == 1
    by_command.write("changes/2.txt", "CREATE TABLE whole ();")
    by_command.run("setup")
    assert by_command.look("setup").state == "done"


def test_a_migration_that_changed_after_it_ran_is_refused(by_command: Any) -> None:
    by_command.run("setup")
    by_command.write("changes/1.txt", USERS + "-- changed")
    with pytest.raises(DevenvError) as caught:
        by_command.run("setup")
    assert caught.value.what == "changes/1.txt changed, but it has run already"
    assert "devenv setup" in str(caught.value.hint)
    by_command.run("setup", fresh=True)
    assert by_command.look("setup").state == "done"


def test_a_command_that_writes_elsewhere_is_not_believed(by_command: Any) -> None:
    by_command.write("run.py", "print('all done')")
    with pytest.raises(DevenvError) as caught:
        by_command.run("setup")
    assert "made no table in the database it was given" in caught.value.what
    assert by_command.databases() == []


BEFORE = "CREATE EXTENSION IF NOT EXISTS citext;\nCREATE DOMAIN title AS citext;\n"
NEEDS = "CREATE TABLE readers (name title);\n"


def test_files_of_before_run_before_a_tools_own_command(by_command: Any) -> None:
    by_command.steps["setup"]["before"] = ["first.sql"]
    by_command.write("first.sql", BEFORE)
    by_command.write("changes/2.txt", NEEDS)
    by_command.run("setup")
    assert by_command.look("setup").state == "done"
    by_command.write("changes/3.txt", "CREATE TABLE more (name title);")
    assert by_command.run("setup").summary == "1 migration run"
    assert by_command.sql("SELECT to_regclass('more')::text") == [("more",)]


def test_files_of_before_run_before_plain_migrations(small: Any) -> None:
    small.steps["setup"] = {"migrations": "flyway", "before": ["first.sql"]}
    small.write("first.sql", BEFORE)
    small.write("db/migration/V1__a.sql", NEEDS)
    small.run("setup")
    assert small.look("setup").state == "done"
