"""SQL files of a folder that is not trusted get no superuser: no program runs, no file of the machine is read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ProjectDir

TABLE = "CREATE TABLE users (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text);\n"
# What the text shows: refused before anything starts.
SHOWN = {
    "a program": "COPY (SELECT 1) TO PROGRAM 'touch {ran}';",
    "a program, in lower case": "copy users from\n program 'touch {ran}';",
    "a program, in a block": "DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {ran}'; END $$;",
    "a file that is written": "COPY users (handle) TO '{ran}';",
    "a file, by a function": "INSERT INTO users (handle) SELECT pg_read_file('/etc/passwd');",
    "a large object": "SELECT lo_export(lo_from_bytea(0, 'x'), '{ran}');",
    "a language": "CREATE EXTENSION plpython3u;",
    "a library": "CREATE FUNCTION f(text) RETURNS int AS 'libc.so.6', 'system' LANGUAGE C STRICT;",
    "a setting": "ALTER SYSTEM SET archive_command = 'touch {ran}';",
    "another server": "CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;",
    "a superuser": "CREATE ROLE evil SUPERUSER LOGIN;",
}
# The program reads what it is given: one that ends before that breaks the server's pipe, now and then.
HIDDEN = "DO $$ BEGIN EXECUTE 'CO' || 'PY (SELECT 1) TO PRO' || 'GRAM ''cat >{ran}'''; END $$;"
BACK = "RESET SESSION AUTHORIZATION; RESET ROLE; SET ROLE postgres;\n"
TRIGGER = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RESET ROLE;
  EXECUTE 'CO' || 'PY (SELECT 1) TO PRO' || 'GRAM ''cat >{ran}''';
  RETURN NEW;
EXCEPTION WHEN insufficient_privilege THEN RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION f();
INSERT INTO users (handle) VALUES ('ann');
"""


@pytest.fixture
def folder(project: ProjectDir, tmp_path: Path) -> ProjectDir:
    """A folder with one SQL file and no command."""
    (project.path / "devenv.toml").write_text('[project]\nname = "sql"\n\n[steps.setup]\nfiles = ["a.sql"]\n')
    project.environ.update(DEVENV_TRUST="0", XDG_STATE_HOME=str(tmp_path / "state"))
    return project


@pytest.fixture
def ran() -> Iterator[Path]:
    """A file that the server's own account could make, whichever that is."""
    place = Path(tempfile.mkdtemp(prefix="devenv-attack-"))
    place.chmod(0o777)
    yield place / "ran"
    shutil.rmtree(place)


def write(folder: ProjectDir, text: str, ran: Path) -> None:
    (folder.path / "a.sql").write_text(TABLE + text.replace("{ran}", str(ran)))


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.matrix(4)
def test_a_statement_that_acts_outside_the_database_is_asked_for(folder: ProjectDir, ran: Path, name: str) -> None:
    write(folder, SHOWN[name], ran)
    refused = folder.devenv("up", "--json")
    assert refused.code == 2
    error = refused.document["error"]
    assert error["what"] == f"{folder.path} is not trusted to run its own commands"
    assert error["detail"].startswith("[steps.setup] a.sql:2: ")
    assert not ran.exists()
    assert {service["state"] for service in folder.json("status")["services"]} == {"stopped"}


def test_a_file_of_the_machine_is_read_for_no_folder(folder: ProjectDir, ran: Path) -> None:
    write(folder, "COPY users (handle) FROM '/etc/passwd';", ran)
    for _ in range(2):
        refused = folder.devenv("up", "--json")
        assert refused.code == 2
        assert refused.document["error"]["what"].startswith("a.sql:2: /etc/passwd, which COPY reads, is not a file")
        folder.ok("trust")


@pytest.mark.long
def test_what_hides_from_the_text_has_no_right_to(folder: ProjectDir, ran: Path) -> None:
    write(folder, HIDDEN, ran)
    refused = folder.devenv("up", "--json")
    error = refused.document["error"]
    assert refused.code == 8
    assert error["what"].startswith("a.sql:2: permission denied to COPY to or from an external program")
    assert "devenv trust" in error["hint"]
    write(folder, BACK + HIDDEN, ran)
    assert folder.devenv("up").code == 8
    assert not ran.exists()

    # Not by a trigger either, which whoever writes fires: devenv's own writes are the loader's.
    write(folder, TRIGGER, ran)
    folder.ok("up")
    folder.ok("db", "--write", "UPDATE users SET handle = 'bob'")
    write(folder, TRIGGER + "INSERT INTO users (handle) VALUES ('cid');\n", ran)
    folder.ok("up")
    folder.ok("reset", "-y")
    assert folder.json("status")["steps"][0]["state"] == "done"
    assert not ran.exists()

    # The user's word gives the files a superuser; the database that is there goes with it.
    folder.ok("trust")
    write(folder, TRIGGER + "INSERT INTO users (handle) VALUES ('dan');\n", ran)
    folder.ok("up")
    assert ran.exists()
    # Taken back, the superuser's database is not merged into by anybody else.
    folder.ok("trust", "--revoke")
    write(folder, TRIGGER, ran)
    refused = folder.devenv("up", "--json")
    assert refused.code == 8
    assert "was set up while this folder was trusted" in refused.document["error"]["what"]


def test_ordinary_files_need_no_trust(folder: ProjectDir) -> None:
    text = """
    CREATE EXTENSION IF NOT EXISTS pgcrypto;
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE ROLE sql_app LOGIN;
    CREATE SCHEMA app AUTHORIZATION sql_app;
    CREATE TYPE mood AS ENUM ('low', 'high');
    CREATE TABLE app.notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now(), m mood);
    ALTER TABLE app.notes OWNER TO sql_app;
    GRANT SELECT ON users TO sql_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO sql_app;
    CREATE VIEW handles AS SELECT handle FROM users;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM users;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE users ENABLE ROW LEVEL SECURITY;
    INSERT INTO users (handle) VALUES ('ann'), ('bob');
    COMMENT ON TABLE users IS 'people';
    """
    (folder.path / "a.sql").write_text(TABLE + text)
    folder.ok("up")
    (folder.path / "a.sql").write_text(TABLE + text + "INSERT INTO users (handle) VALUES ('cid');\n")
    folder.ok("up")
    assert folder.json("db", "SELECT count(*) FROM users")["rows"] == [[3]]
    assert folder.json("status")["steps"][0]["state"] == "done"
    assert folder.devenv("doctor").code in (0, 3)
