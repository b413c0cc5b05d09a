"""Reading a store changes nothing and runs nothing, whatever the SQL says that a folder's devenv.toml holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.attack.outside import Outside
from tests.e2e import world
from tests.support import ProjectDir

# Each would write, run a program, read a file of the server, or outlast the reader. {canary}: a file that tells of it.
STATEMENTS = {
    "copy-to-program": "COPY (SELECT 1) TO PROGRAM 'touch {canary}'",
    "copy-to-file": "COPY (SELECT 1) TO '{canary}'",
    "copy-behind-comments": "/* /* */ SELECT */ COPY (SELECT 1) TO PROGRAM 'touch {canary}'",
    "copy-behind-a-line": "-- SELECT\u2028\nCOPY (SELECT 1) TO PROGRAM 'touch {canary}'",
    "read-file": "SELECT pg_read_file('/etc/passwd')",
    "list-folder": "SELECT pg_ls_dir('/')",
    "leave-by-commit": "COMMIT; BEGIN READ WRITE; INSERT INTO users (handle, display_name, email, cognito_user_id)"
    " VALUES ('x', 'x', 'x', 'x'); COMMIT; SELECT 1",
    "leave-by-begin": "BEGIN READ WRITE; DELETE FROM users; COMMIT; SELECT uuid FROM users LIMIT 1",
    "leave-by-end": "END; DELETE FROM users; SELECT 1",
    "two-statements": "SELECT 1; DELETE FROM users",
    "delete-in-with": "WITH gone AS (DELETE FROM users RETURNING 1) SELECT count(*) FROM gone",
    "explain-analyze": "EXPLAIN ANALYZE DELETE FROM users",
    "select-into": "SELECT 1 AS a INTO copied",
    "select-into-temp": "SELECT 1 AS a INTO TEMP copied",
    "do": "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {canary}'''; END $$",
    "call": "CALL nothing()",
    "set": "SET default_transaction_read_only = off",
    "set-role": "SET ROLE postgres",
    "set-config-and-run": "SELECT set_config('role', 'none', false), set_config('session_authorization', 'postgres',"
    " false), query_to_xml('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
    "set-config-by-another-spelling": "SELECT U&\"set\\005fconfig\"('role', 'none', false), U&\"query\\005fto_xml\""
    "('SELECT pg_read_file(''/etc/passwd'')', true, true, '')",
    "read-write-again": "SELECT set_config('transaction_read_only', 'off', false)",
    "settings-of-the-server": "ALTER SYSTEM SET log_statement = 'all'",
    "export-object": "SELECT lo_export(lo_from_bytea(0, 'x'), '{canary}')",
    "import-object": "SELECT lo_import('/etc/passwd')",
    "values-of-a-function": "VALUES (set_config('role', 'none', false), query_to_xml('SELECT pg_read_file("
    "''/etc/passwd'')', true, true, ''))",
    "function-as-a-table": "SELECT * FROM pg_read_file('/etc/passwd')",
    "function-in-a-limit": "SELECT 1 LIMIT length(pg_read_file('/etc/passwd'))",
    "function-in-a-sub-query": "SELECT (SELECT lo_import('/etc/passwd'))",
    "text-as-a-query": "SELECT * FROM ts_stat('SELECT pg_read_file(''/etc/passwd'')::tsvector')",
    "end-of-text": "SELECT 1\0; DELETE FROM users",
    "end-sessions": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IS NOT NULL"
    " AND pid <> pg_backend_pid()",
    "reload": "SELECT pg_reload_conf()",
    "lock": "LOCK TABLE users",
    "lock-rows": "SELECT * FROM users FOR UPDATE",
    "listen": "LISTEN everything",
    "prepare": "PREPARE a AS DELETE FROM users",
    "cursor": "DECLARE a CURSOR WITH HOLD FOR SELECT 1",
    "temp-table": "CREATE TEMP TABLE a (b int)",
    "large-text": "VACUUM users",
}
RUNS = ("copy-to-program", "read-file", "leave-by-commit", "leave-by-begin", "set-config-and-run", "do")


def canary_of(running: ProjectDir) -> Path:
    """A file that the server's own account could write."""
    from tests.attack.places import data_home

    return data_home(running.path.resolve()) / "postgres" / "canary"


def toml(text: str) -> str:
    return json.dumps(text)


def filled(statement: str, canary: Path) -> str:
    return statement.replace("{canary}", str(canary))


def handles(running: ProjectDir) -> list[str]:
    return sorted(handle for (handle,) in world.sql(running, "SELECT handle FROM users"))


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("whose", ["own", "outside"])
@pytest.mark.matrix(3)
def test_a_pattern_can_only_read(running: ProjectDir, outside: Outside, tmp_path: Path, whose: str, name: str) -> None:
    canary = canary_of(running)
    before = handles(running)
    text = f"[patterns.p]\nsql = {toml(filled(STATEMENTS[name], canary))}\n"
    if whose == "own":
        file = running.path / "devenv.toml"
        kept = file.read_text()
        file.write_text(f"{kept}\n{text}")
        try:
            ran = running.devenv("patterns", "run", "p")
        finally:
            file.write_text(kept)
    else:
        ran = outside.folder(tmp_path / "clone", text).devenv("patterns", "run", "p")
    assert ran.code == 1, ran.all
    assert "error: " in ran.err
    assert "root:" not in ran.all
    assert handles(running) == before
    assert not canary.exists()


@pytest.mark.parametrize("place", ["sql", "pattern"])
def test_a_trace_can_only_read(running: ProjectDir, outside: Outside, tmp_path: Path, place: str) -> None:
    before = handles(running)
    assert before
    if place == "sql":
        text = f"[trace.e]\nsql = {toml(STATEMENTS['leave-by-begin'])}\n"
    else:
        text = f'[patterns.p]\nsql = {toml(STATEMENTS["leave-by-begin"])}\n[trace.e]\npattern = "p"\n'
    ran = outside.folder(tmp_path / "clone", text).devenv("trace", "e")
    assert ran.code in (1, 3), ran.all
    assert handles(running) == before


def test_names_in_links_and_people_are_only_names(running: ProjectDir, outside: Outside, tmp_path: Path) -> None:
    before = handles(running)
    evil = 'users"; DELETE FROM users; --'
    text = (
        f"[[links]]\nfrom = 'dynamodb:{world.TABLE}.user_uuid'\nto = {toml(f'postgres:{evil}.uuid')}\n"
        f"[person]\ntable = {toml(evil)}\nid = {toml(evil)}\nname = {toml(evil)}\n"
        '[trace.e]\npattern = "p"\n[patterns.p]\nsql = "SELECT 1"\n'
    )
    clone = outside.folder(tmp_path / "clone", text)
    for words in (("doctor",), ("verify",), ("trace", "e", "--user", evil)):
        ran = clone.devenv(*words)
        assert ran.code in (1, 2, 3), ran.all
        assert "devenv itself failed" not in ran.all
    assert handles(running) == before


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("whose", ["own", "superuser", "owner"])
def test_the_one_reader_refuses(running: ProjectDir, sign_in: dict[str, object], whose: str, name: str) -> None:
    """All statements against all three ways to sign in, without a process for each."""
    from tests.attack.places import PostgresError, read

    canary = canary_of(running)
    before = handles(running)
    with pytest.raises(PostgresError):
        read(sign_in[whose], filled(STATEMENTS[name], canary))
    assert handles(running) == before
    assert not canary.exists()


NAMES = {"<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">": "gt"}
# Ways to `act()` that no function call in a statement shows.
INDIRECT = [
    "CREATE SCHEMA indirect",
    "CREATE TYPE indirect.outerholder AS (h holder)",
    "CREATE TABLE indirect.holding (c holder)",
    "CREATE FUNCTION indirect.wrapped() RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN act(); END'",
    "CREATE TYPE indirect.odd AS (a int)",
    "CREATE FUNCTION indirect.cast(text) RETURNS indirect.odd LANGUAGE sql AS 'SELECT act(); SELECT ROW(1)'",
    "CREATE CAST (text AS indirect.odd) WITH FUNCTION indirect.cast(text)",
    "CREATE FUNCTION indirect.text_order(text, text) RETURNS int LANGUAGE sql AS 'SELECT act(); SELECT 0'",
    "CREATE FUNCTION indirect.odd_order(indirect.odd, indirect.odd) RETURNS int LANGUAGE sql"
    " AS 'SELECT act(); SELECT 0'",
    *(
        statement
        for kind in ("text", "indirect.odd")
        for sign in ("<", "<=", "=", ">=", ">")
        for statement in (
            f"CREATE FUNCTION indirect.{NAMES[sign]}({kind}, {kind}) RETURNS boolean LANGUAGE sql AS 'SELECT act()'",
            f"CREATE OPERATOR indirect.{sign}# (LEFTARG = {kind}, RIGHTARG = {kind}, FUNCTION ="
            f" indirect.{NAMES[sign]})",
        )
    ),
    *(
        f"CREATE OPERATOR CLASS indirect.{name} {default} FOR TYPE {kind} USING btree AS OPERATOR 1 indirect.<#,"
        " OPERATOR 2 indirect.<=#, OPERATOR 3 indirect.=#, OPERATOR 4 indirect.>=#, OPERATOR 5 indirect.>#,"
        f" FUNCTION 1 indirect.{name}_order({kind}, {kind})"
        for name, kind, default in (("text", "text", ""), ("odd", "indirect.odd", "DEFAULT"))
    ),
    "CREATE TABLE indirect.indexed (a int)",
    "CREATE FUNCTION indirect.planned(int) RETURNS int LANGUAGE plpgsql IMMUTABLE"
    " AS 'BEGIN IF session_user = ''devenv_reader'' OR pg_is_in_recovery() IS NULL THEN PERFORM public.act(); END IF;"
    " RETURN $1; END'",
    "CREATE INDEX ON indirect.indexed ((a + indirect.planned(1)))",
    "CREATE TYPE indirect.texts AS RANGE (subtype = text, subtype_opclass = indirect.text)",
]
ODDS = "(VALUES (ROW(1)::indirect.odd), (ROW(2)::indirect.odd)) v(c)"
WAYS = [
    "EXPLAIN ANALYZE SELECT * FROM trapped",
    "EXPLAIN (ANALYZE, FORMAT 'text') SELECT * FROM trapped",
    "EXPLAIN ANALYZE VERBOSE TABLE trapped",
    "EXPLAIN ANALYZE CREATE TABLE made AS SELECT act()",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery FROM trapped WHERE a')",
    "SELECT query_to_xml('SELECT act()', true, true, '')",
    "SELECT table_to_xml('trapped', true, true, '')",
    "SELECT domain_in('x', ('tr' || 'ap')::regtype, -1)",
    "SELECT pg_input_is_valid('x', 'tr' || 'ap')",
    "SELECT indirect.wrapped()",
    "SELECT 'x'::text::indirect.odd",
    "SELECT '{x}'::trap[]",
    "SELECT '{x}'::_trap",
    """SELECT '("(x)")'::indirect.outerholder""",
    "SELECT coalesce(c, '(x)') FROM indirect.holding",
    """SELECT json_populate_record(NULL::indirect.holding, '{"c": {"a": "x"}}')""",
    "SELECT '[a,b]'::indirect.texts",
    "SELECT a FROM indirect.indexed",
    f"SELECT * FROM {ODDS} ORDER BY c",
    f"SELECT DISTINCT c FROM {ODDS}",
    f"SELECT count(*) FROM {ODDS} GROUP BY c",
    "SELECT ROW(1)::indirect.odd UNION SELECT ROW(2)::indirect.odd",
    "SELECT greatest(ROW(1)::indirect.odd, ROW(2)::indirect.odd)",
    "SELECT ARRAY[ROW(1)::indirect.odd] < ARRAY[ROW(2)::indirect.odd]",
    "SELECT handle FROM users ORDER BY handle USING OPERATOR(indirect.<#)",
]


@pytest.fixture
def traps(running: ProjectDir) -> Iterator[Path]:
    """A function of the superuser that acts as its owner, and a domain whose check calls it. What they would make."""
    canary = canary_of(running)
    with psycopg.connect(running.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION act() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
            f" EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'touch {canary}'$c$; RETURN true; END $$"
        )
        connection.execute("CREATE DOMAIN trap AS text CHECK (act())")
        connection.execute("CREATE TYPE holder AS (a trap)")
        connection.execute("CREATE VIEW trapped AS SELECT act() AS a")
        for statement in INDIRECT:
            connection.execute(statement)
        try:
            yield canary
        finally:
            connection.execute("DROP SCHEMA indirect CASCADE")
            connection.execute("DROP FUNCTION act() CASCADE")
            connection.execute("DROP TYPE IF EXISTS holder CASCADE")
            connection.execute("DROP DOMAIN IF EXISTS trap CASCADE")


@pytest.mark.parametrize(
    ("whose", "statement"),
    [
        *((whose, "SELECT act()") for whose in ("own", "superuser")),
        *((whose, "SELECT * FROM trapped") for whose in ("own", "superuser")),
        *((whose, "SELECT 1 WHERE act()") for whose in ("own", "superuser")),
        *((whose, "SELECT 'x'::trap") for whose in ("own", "superuser")),
        *((whose, "SELECT ARRAY['x']::trap[]") for whose in ("own", "superuser")),
        *((whose, "SELECT '(x)'::holder") for whose in ("own", "superuser")),
        *((whose, """SELECT '(x)'::U&"\\0068older" """) for whose in ("own", "superuser")),
    ],
)
def test_what_acts_as_a_superuser_is_not_called(
    running: ProjectDir, sign_in: dict[str, object], traps: Path, whose: str, statement: str
) -> None:
    from tests.attack.places import PostgresError, read

    with pytest.raises(PostgresError, match=r"not called|makes no value"):
        read(sign_in[whose], statement)
    assert not traps.exists()
    assert read(sign_in[whose], "SELECT count(*) FROM users").rows


@pytest.mark.parametrize("whose", ["own", "superuser", "owner"])
def test_no_way_around_leads_to_what_acts_as_a_superuser(
    running: ProjectDir, sign_in: dict[str, object], traps: Path, whose: str
) -> None:
    """All ways in one database: each is a statement of some milliseconds."""
    from tests.attack.places import PostgresError, read

    world.sql(running, "GRANT USAGE ON SCHEMA indirect TO PUBLIC")
    for statement in WAYS:
        with pytest.raises(PostgresError, match=r"not called|makes no value|read-only|permission denied"):
            read(sign_in[whose], statement)
        assert not traps.exists(), statement
    assert read(sign_in[whose], "EXPLAIN (ANALYZE) SELECT count(*) FROM users").rows


@pytest.mark.parametrize("whose", ["own", "superuser", "owner"])
@pytest.mark.parametrize(
    "shadow",
    [
        "CREATE FUNCTION shade(bigint[], bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$ BEGIN {act}"
        " RETURN '{{}}'::bigint[]; END $$; CREATE AGGREGATE array_agg(bigint) (sfunc = shade, stype = bigint[],"
        " initcond = '{{}}')",
        "CREATE FUNCTION shade(oid, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {act} RETURN false; END $$;"
        " CREATE OPERATOR >= (LEFTARG = oid, RIGHTARG = int, FUNCTION = shade)",
        "CREATE FUNCTION shade.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {act}"
        " RETURN pg_catalog.set_config($1, $2, $3); END $$",
    ],
    ids=["aggregate", "operator", "search_path"],
)
def test_devenv_calls_no_function_in_the_place_of_a_built_in_one(
    running: ProjectDir, sign_in: dict[str, object], traps: Path, whose: str, shadow: str
) -> None:
    from tests.attack.places import PostgresError, read

    act = f"BEGIN EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'touch {traps}'$c$; EXCEPTION WHEN OTHERS THEN NULL; END;"
    database = running.env()["PGDATABASE"]
    with psycopg.connect(running.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shade; GRANT USAGE ON SCHEMA shade TO PUBLIC")
        try:
            connection.execute(shadow.format(act=act))
            connection.execute(f"ALTER DATABASE {database} SET search_path = shade, pg_catalog, public")
            with pytest.raises(PostgresError, match=r"not called|nothing is read"):
                read(sign_in[whose], "SELECT act()")
        finally:
            connection.execute(f"ALTER DATABASE {database} RESET search_path")
            connection.execute("SET search_path = pg_catalog")
            connection.execute("DROP SCHEMA shade CASCADE")
            connection.execute("DROP FUNCTION IF EXISTS public.shade CASCADE")
    assert not traps.exists()


def test_a_superuser_plans_no_function_of_another_role(running: ProjectDir, sign_in: dict[str, object]) -> None:
    from tests.attack.places import PostgresError, connect_reading

    with psycopg.connect(running.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE SCHEMA planned CREATE TABLE indexed (a int)")
        try:
            connection.execute(
                "CREATE FUNCTION planned.one(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END'"
            )
            connection.execute("CREATE INDEX ON planned.indexed ((a + planned.one(1)))")
            connect_reading(sign_in["superuser"])
            connection.execute("ALTER FUNCTION planned.one OWNER TO attack_owner")
            with pytest.raises(PostgresError, match="nothing is read"):
                connect_reading(sign_in["superuser"])
            connect_reading(sign_in["owner"])
        finally:
            connection.execute("DROP SCHEMA planned CASCADE")


def test_a_session_of_the_same_role_is_not_ended(running: ProjectDir, sign_in: dict[str, object]) -> None:
    from tests.attack.places import PostgresError, read

    role = "user=attack_owner password=owner-of-some-tables"
    env = running.env()
    where = f"host=127.0.0.1 port={env['PGPORT']} dbname={env['PGDATABASE']}"
    ends = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
    with psycopg.connect(f"{where} {role}", autocommit=True) as other:
        for statement in (
            f"SELECT pg_terminate_backend(pid) {ends}",
            f"EXPLAIN ANALYZE SELECT pg_terminate_backend(pid) {ends}",
            f'SELECT U&"pg\\005fterminate_backend"(pid) {ends}',
            f"SELECT pg_cancel_backend(pid) {ends}",
            "SELECT pg_logical_emit_message(false, 'a', 'b')",
        ):
            with pytest.raises(PostgresError, match="is not called"):
                read(sign_in["owner"], statement)
        assert other.execute("SELECT 1").fetchone() == (1,)


READS = [
    "SELECT count(*), max(handle), now() > '2020-01-01' FROM users",
    "-- a comment\nWITH a AS (SELECT 1 AS b) SELECT b, random() FROM a",
    "(SELECT handle FROM users) UNION (VALUES ('a')) ORDER BY 1",
    "TABLE users",
    "VALUES (1, 'a;b')",
    "SHOW server_version",
    "EXPLAIN SELECT * FROM users",
    "EXPLAIN ANALYZE SELECT * FROM users",
    "SELECT string_agg(handle, ',') OVER (ORDER BY handle), rank() OVER () FROM users",
    "SELECT jsonb_build_object('a', 1) -> 'a', gen_random_uuid(), to_char(now(), 'YYYY'), upper('a') LIKE 'A%'",
    "SELECT * FROM information_schema.tables",
    "SELECT '; DELETE FROM users' AS text, $$ COPY $$ /* ; */",
]


@pytest.mark.parametrize("whose", ["own", "superuser", "owner"])
@pytest.mark.parametrize("statement", READS)
def test_what_only_reads_is_read(sign_in: dict[str, object], whose: str, statement: str) -> None:
    from tests.attack.places import read

    answer = read(sign_in[whose], statement)
    assert answer.columns
    assert answer.rows


@pytest.mark.parametrize("whose", ["own", "superuser", "owner"])
@pytest.mark.matrix(3)
def test_a_statement_has_five_seconds(sign_in: dict[str, object], whose: str) -> None:
    from tests.attack.places import PostgresError, read

    began = time.monotonic()
    with pytest.raises(PostgresError, match=r"took longer|timeout"):
        read(sign_in[whose], "SELECT pg_sleep(60)")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM \"{world.TABLE}\" WHERE pk = 'a' AND sk = 'b'",
        f"-- SELECT\rDELETE FROM \"{world.TABLE}\" WHERE pk = 'a' AND sk = 'b'",
        f"/* /* */ SELECT */ INSERT INTO \"{world.TABLE}\" VALUE {{'pk': 'evil', 'sk': 'evil'}}",
        f"SELECT * FROM \"{world.TABLE}\" WHERE pk = 'a';"
        f" INSERT INTO \"{world.TABLE}\" VALUE {{'pk': 'evil', 'sk': 'x'}}",
        f"UPDATE \"{world.TABLE}\" SET a = 1 WHERE pk = 'evil' AND sk = 'x'",
    ],
)
def test_partiql_can_only_read(running: ProjectDir, statement: str) -> None:
    ran = running.devenv("ddb", "sql", statement)
    assert ran.code in (1, 2), ran.all
    assert not [item for item in world.items(running) if item["pk"] == "evil"]


def test_a_reading_client_of_dynamodb_sends_no_write(running: ProjectDir) -> None:
    from tests.attack.places import read_only_dynamodb

    with read_only_dynamodb(running) as (client, refused):
        assert client.call("ListTables")["TableNames"]
        key = {"TableName": world.TABLE, "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
        for operation, body in (
            ("PutItem", {"TableName": world.TABLE, "Item": {"pk": {"S": "evil"}, "sk": {"S": "evil"}}}),
            ("DeleteItem", key),
            ("UpdateItem", key),
            ("DeleteTable", {"TableName": world.TABLE}),
            ("BatchExecuteStatement", {"Statements": [{"Statement": "SELECT * FROM x"}]}),
            ("ExecuteTransaction", {"TransactStatements": [{"Statement": "SELECT * FROM x"}]}),
            ("TransactWriteItems", {"TransactItems": []}),
            ("ExecuteStatement", {"Statement": f"DELETE FROM \"{world.TABLE}\" WHERE pk = 'a' AND sk = 'b'"}),
        ):
            with pytest.raises(refused):
                client.call(operation, body)


@pytest.fixture(scope="module")
def sign_in(running: ProjectDir) -> Iterator[dict[str, object]]:
    """Three ways to one database: a server of devenv's own; somebody else's, as superuser; and as its owner."""
    from tests.attack.places import target

    env = running.env()
    name = "attack_owner"
    world.sql(running, f"DROP ROLE IF EXISTS {name}")
    world.sql(running, f"CREATE ROLE {name} LOGIN PASSWORD 'owner-of-some-tables'")
    world.sql(running, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    # Somebody's session, which could be ended.
    with psycopg.connect(env["DATABASE_URL"]) as other:
        yield {
            "own": target(env, own=True),
            "superuser": target(env),
            "owner": target({**env, "PGUSER": name, "PGPASSWORD": "owner-of-some-tables"}),
        }
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_that_was_made_a_superuser_is_not_used(running: ProjectDir) -> None:
    running.ok("db", "SELECT 1")
    world.sql(running, "ALTER ROLE devenv_reader SUPERUSER")
    try:
        ran = running.devenv("db", "SELECT 1")
        assert ran.code == 1
        assert "the role devenv_reader, which devenv uses to read" in ran.err
        assert "ALTER ROLE devenv_reader NOSUPERUSER" in ran.err
    finally:
        world.sql(running, "ALTER ROLE devenv_reader NOSUPERUSER")
    running.ok("db", "SELECT 1")
