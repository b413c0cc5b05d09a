"""What `devenv up` gives: both stores with the reference project's data, private, on loopback, and the same again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.support import ProjectDir

SERVICE = {"name", "state", "pid", "host", "port", "url", "version", "started"}


def test_plain_drivers_see_the_people_and_the_conversation(running: ProjectDir) -> None:
    """With nothing but the variables of `devenv env`: psycopg and boto3 read them by themselves."""
    code = (
        "import boto3, psycopg, os\n"
        "from boto3.dynamodb.conditions import Key\n"
        "with psycopg.connect('') as c: print(c.execute('SELECT count(*) FROM public.users').fetchone()[0])\n"
        "table = boto3.resource('dynamodb').Table(os.environ['DDB_MESSAGE_TABLE'])\n"
        f"print(table.query(KeyConditionExpression=Key('pk').eq('MSG#{world.TELESCOPE}'), Select='COUNT')['Count'])\n"
        "index = table.query(IndexName='message-group-sk-index',\n"
        f"    KeyConditionExpression=Key('message_group_uuid').eq('{world.TELESCOPE}'))\n"
        "print(index['Count'])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **running.env()},
        capture_output=True,
        text=True,
        check=True,
    )
    users, messages, groups = map(int, ran.stdout.split())
    assert users >= 4
    assert messages >= 100
    assert groups == 2


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_command_reads_settings_and_state_once(running: ProjectDir, command: str) -> None:
    code = (
        "import os, sys\n"
        "def note(event, given):\n"
        "    if event == 'open' and os.path.basename(str(given[0])) in ('devenv.toml', 'state.json'):\n"
        "        os.write(2, b'READ %s\\n' % os.path.basename(given[0]).encode())\n"
        "sys.addaudithook(note)\n"
        f"sys.argv = ['devenv', '{command}']\n"
        "from devenv.cli.app import entry\n"
        "entry()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=running.path,
        env=running.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(re.findall(r"^READ (.*)", ran.stderr, re.M)) == ["devenv.toml", "state.json"]


def test_a_token_lets_a_person_in(running: ProjectDir) -> None:
    token = running.ok("env", "--token", "ines").out.strip()
    url = running.env()["BACKEND_URL"] + "/api/message_groups"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, bool(json.load(answer))) == (200, True)
    for nobody in ("nobody", "x' OR '1'='1", "", "%"):
        ran = running.devenv("env", "--token", nobody)
        assert (ran.code, ran.out) == (2, "")
        assert "no user has handle" in ran.err


def test_every_user_id_in_dynamodb_names_a_row(running: ProjectDir) -> None:
    assert world.orphans(running) == set()
    people = {
        str(uuid): (handle, name)
        for uuid, handle, name in world.sql(running, "SELECT uuid, handle, display_name FROM users")
    }
    for item in world.items(running):
        assert (item["user_handle"], item["user_display_name"]) == people[item["user_uuid"]]


def test_a_second_up_changes_nothing(running: ProjectDir) -> None:
    state = running.path / ".devstate" / "state.json"

    def look() -> object:
        url = running.env()["DATABASE_URL"]
        rows = (
            world.query(url, "SELECT xmin, * FROM users ORDER BY uuid"),
            world.query(url, "SELECT xmin, * FROM activities"),
        )
        written = world.query(url, "SELECT pg_current_wal_insert_lsn()")
        files = state.stat().st_mtime_ns, state.read_bytes()
        return world.pids(running), rows, written, sorted(map(str, world.items(running))), files

    for _ in range(4):
        before = look()
        ran = running.ok("up")
        after = look()
        if after == before:
            break
        # Within 15 s after a change Postgres writes a record of its own (LogStandbySnapshot), and readers of a busy
        # machine may cause further ones. A change of `up` would repeat each time.
    assert after == before
    assert "already up" in ran.out
    assert {line["action"] for line in running.json("up")["plan"]} == {"keep"}


def test_up_and_status_say_what_the_contract_names(running: ProjectDir) -> None:
    up, status = running.json("up"), running.json("status")
    assert up["schema"] == "devenv.up/1"
    assert status["schema"] == "devenv.status/1"
    for document in (up, status):
        assert document["project"] == "cruddur"
        assert document["engine"] == "embedded"
        assert [service["name"] for service in document["services"]] == ["postgres", "dynamodb", "backend"]
        for service in document["services"]:
            assert set(service) >= SERVICE
            assert service["state"] == "running"
            assert service["host"] == "127.0.0.1"
            assert str(service["port"]) in service["url"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", service["started"])
        assert [step["name"] for step in document["steps"]] == ["setup", "schema-load", "seed"]
        assert {step["state"] for step in document["steps"]} == {"done"}
        assert all(step["reason"] for step in document["steps"])
    assert {*up["plan"][0]} == {"target", "action", "reason"}
    assert "total" in up["timings"]
    assert [bool(service["version"]) for service in status["services"]] == [True, True, False]


def test_env_gives_what_the_contract_names_in_every_form(running: ProjectDir) -> None:
    values = running.env()
    assert set(values) >= {
        *("DATABASE_URL", "CONNECTION_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"),
        *("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"),
        *("AWS_SECRET_ACCESS_KEY", "DDB_MESSAGE_TABLE", "BACKEND_URL"),
    }
    assert "AWS_ENDPOINT_URL" not in values
    assert running.json("env")["env"] == values
    script = f'eval "$({" ".join(running.command("env"))})" && printf %s "$PGPASSWORD"'
    ran = subprocess.run(["sh", "-c", script], env=running.environment(), capture_output=True, text=True, check=True)
    assert ran.stdout == values["PGPASSWORD"]


def test_passwords_are_generated_and_shown_by_env_alone(running: ProjectDir) -> None:
    password = running.env()["PGPASSWORD"]
    assert len(password) >= 24
    for command in ("status", "up -v --timings", "config show", "logs", "status --json", "up --json", "logs --json"):
        assert password not in running.ok(*command.split()).all
    for file in (running.path / ".devstate").rglob("*"):
        assert not file.is_file() or password not in file.read_text(errors="replace") or file.name == "secrets.json"


def test_files_are_private(running: ProjectDir) -> None:
    home = data_home(running.path.resolve())
    for folder in {running.path / ".devstate", home}:
        assert folder.stat().st_mode & 0o777 == 0o700, folder
        for file in folder.iterdir():
            assert file.stat().st_mode & 0o077 == 0, f"{file} is open to others"
    for log in (running.path / ".devstate" / "logs").iterdir():
        assert log.stat().st_mode & 0o777 == 0o600, log


def test_every_listener_is_on_loopback(running: ProjectDir) -> None:
    assert world.listeners(list(world.pids(running).values())) == {"127.0.0.1"}


def test_services_are_detached(running: ProjectDir) -> None:
    for name, pid in world.pids(running).items():
        assert os.getsid(pid) != os.getsid(0), name
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null", name


def test_dry_run_plans_and_does_nothing(running: ProjectDir) -> None:
    before = world.pids(running), (running.path / ".devstate" / "state.json").read_bytes()
    ran = running.ok("up", "--dry-run", "--force", "schema-load")
    lines = [line.split(maxsplit=2) for line in ran.out.splitlines()[1:]]
    assert [(line[0], line[1]) for line in lines] == [
        ("keep", "postgres"),
        ("keep", "dynamodb"),
        ("keep", "backend"),
        ("keep", "setup"),
        ("run", "schema-load"),
        ("run", "seed"),
    ]
    assert all(len(line) == 3 for line in lines)
    assert running.json("up", "--dry-run")["dry_run"] is True
    assert (world.pids(running), (running.path / ".devstate" / "state.json").read_bytes()) == before


class TestRun:
    """`devenv run`: the command is replaced by what it runs."""

    @pytest.mark.parametrize("code", [0, 1, 7, 127, 126, 125, 130])
    def test_the_exit_code_passes_through(self, running: ProjectDir, code: int) -> None:
        assert running.devenv("run", "--", "sh", "-c", f"exit {code}").code == code

    def test_the_settings_are_there_and_the_rest_stays(self, running: ProjectDir) -> None:
        ran = running.ok("run", "--", "sh", "-c", 'echo "$DATABASE_URL $MINE"', MINE="mine")
        assert ran.out == f"{running.env()['DATABASE_URL']} mine\n"

    def test_options_of_the_command_are_its_own(self, running: ProjectDir) -> None:
        assert (
            running.ok("run", "--", "printf", "%s ", "--json", "-v", "--project", "x").out == "--json -v --project x "
        )
        assert running.ok("run", "printf", "%s ", "--json", "-v").out == "--json -v "

    def test_stdin_passes_through(self, running: ProjectDir) -> None:
        assert running.ok("run", "--", "cat", stdin="hello\n").out == "hello\n"

    def test_a_missing_command_is_127_and_one_that_cannot_run_126(self, running: ProjectDir, tmp_path: Path) -> None:
        ran = running.devenv("run", "--", "no-such-command")
        assert ran.code == 127
        assert "no-such-command: no such command" in ran.err
        (tmp_path / "text").write_text("not a program")
        assert running.devenv("run", "--", str(tmp_path / "text")).code == 126

    def test_a_signal_reaches_the_command(self, running: ProjectDir) -> None:
        waiting = subprocess.Popen(
            running.command("run", "--", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"),
            env=running.environment(),
            stdout=subprocess.PIPE,
        )
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"ready\n"
        waiting.send_signal(signal.SIGTERM)
        waiting.communicate()
        assert waiting.returncode == 9


class TestLook:
    """`devenv db` and `devenv ddb`: looking is free, changing needs --write."""

    def test_rows_are_a_table_when_they_fit(self, running: ProjectDir) -> None:
        ran = running.ok("db", "SELECT handle, 1 AS one FROM users WHERE handle = 'mei'", COLUMNS="80")
        assert ran.out == "handle | one\n-------+----\nmei    | 1\n(1 row)\n"

    def test_rows_are_expanded_when_they_do_not(self, running: ProjectDir) -> None:
        ran = running.ok("db", "SELECT handle, repeat('x', 70) AS long FROM users WHERE handle = 'mei'", COLUMNS="60")
        assert ran.out == f"{'-[ 1 ]':-<40}\nhandle | mei\nlong   | {'x' * 70}\n(1 row)\n"

    def test_stored_control_characters_are_shown_not_obeyed(self, running: ProjectDir) -> None:
        assert "\\x1b[2J" in running.ok("db", r"SELECT E'\x1b[2J' AS x").out

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE users SET handle = handle",
            "CREATE TABLE t (a int)",
            "SET TRANSACTION READ WRITE; DELETE FROM users",
            "COMMIT; DELETE FROM activities",
            "SET default_transaction_read_only = off; DELETE FROM activities",
            "ROLLBACK; SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DELETE FROM activities",
        ],
    )
    def test_a_change_needs_write(self, running: ProjectDir, statement: str) -> None:
        before = world.data(running)
        ran = running.devenv("db", statement)
        # Refused as input; two statements in one are the server's to refuse.
        assert ran.code == (1 if ";" in statement else 2), ran.all
        assert world.data(running) == before

    def test_a_refused_change_tells_the_option(self, running: ProjectDir) -> None:
        assert "devenv db --write" in running.devenv("db", "DELETE FROM users").err

    def test_write_changes(self, running: ProjectDir) -> None:
        ran = running.ok("db", "--write", "CREATE TABLE mine (a int)")
        assert ran.out == "CREATE TABLE\n"
        running.ok("db", "DROP TABLE mine", "--write")

    def test_a_wrong_statement_is_the_drivers_word(self, running: ProjectDir) -> None:
        ran = running.devenv("db", "SELECT nothing FROM nowhere")
        assert ran.code == 1
        assert "nowhere" in ran.err

    @pytest.mark.parametrize(("option", "shell"), [("--write", "devenv db --write"), ("-v", "devenv db")])
    def test_several_statements_are_for_a_shell_that_may_do_as_much(
        self, running: ProjectDir, option: str, shell: str
    ) -> None:
        ran = running.devenv("db", option, "SELECT 1; SELECT 2")
        assert ran.code == 1
        assert (
            f"hint: {shell}  (opens a shell, which accepts several statements; without the shell, pass one at a time)\n"
            in ran.err
        )
        assert (
            f"hint: {shell}  (opens a shell, in which you can try statements)\n"
            in running.devenv("db", option, "SELECT FROM FROM").err
        )

    def test_json_rows(self, running: ProjectDir) -> None:
        document = running.json("db", "SELECT 1 AS a, NULL AS b, 1.5 AS c, '{\"x\": 1}'::jsonb AS d, true AS e")
        assert document["columns"] == ["a", "b", "c", "d", "e"]
        assert document["rows"] == [[1, None, "1.5", {"x": 1}, True]]

    def test_a_shell_prints_no_document(self, running: ProjectDir) -> None:
        document = running.json("db")
        assert document["exit_code"] == 2
        assert "--json needs a statement" in document["error"]["what"]
        assert document["error"]["hint"] == 'devenv db --json "select 1"'

    def test_tables_and_items(self, running: ProjectDir) -> None:
        [table] = running.json("ddb", "list-tables")["rows"]
        assert table[:3] == ["cruddur-messages", "pk, sk", "message-group-sk-index"]
        document = running.json("ddb", "scan", "cruddur-messages", "--limit", "3")
        assert len(document["rows"]) == 3
        assert "there are more" in document["summary"]
        total = len(world.items(running))
        assert running.json("ddb", "scan", "cruddur-messages", "--limit", "10000")["summary"] == f"({total} items)"

    def test_json_items_are_in_dynamodbs_own_form(self, running: ProjectDir) -> None:
        table = world.dynamodb(running).Table(world.TABLE)
        table.put_item(
            Item={"pk": "types", "sk": "1", "none": None, "raw": b"\0\xff", "tags": {"a"}, "n": Decimal("1.5")}
        )
        table.put_item(Item={"pk": "types", "sk": "2"})
        try:
            statement = f"SELECT * FROM \"{world.TABLE}\" WHERE pk = 'types'"
            for words in (("sql", statement), ("scan", world.TABLE, "--limit", "1000")):
                document = running.json("ddb", *words)
                assert len(document["items"]) == len(document["rows"])
                found = {item["sk"]["S"]: item for item in document["items"] if item["pk"] == {"S": "types"}}
                own = {"none": {"NULL": True}, "raw": {"B": "AP8="}, "tags": {"SS": ["a"]}, "n": {"N": "1.5"}}
                assert found["1"] == {"pk": {"S": "types"}, "sk": {"S": "1"}, **own}
                assert found["2"] == {"pk": {"S": "types"}, "sk": {"S": "2"}}
                rows = [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
                shown = {row["sk"]: row for row in rows if row["pk"] == "types"}
                assert (shown["1"]["raw"], shown["1"]["none"], shown["2"]["none"]) == ("00ff", None, None)
        finally:
            for sort in ("1", "2"):
                table.delete_item(Key={"pk": "types", "sk": sort})

    def test_an_unknown_table_is_named_with_the_way_to_the_names(self, running: ProjectDir) -> None:
        ran = running.devenv("ddb", "scan", "nope")
        assert ran.code == 1
        assert "nope" in ran.err
        assert "devenv ddb list-tables" in ran.err

    def test_partiql_reads(self, running: ProjectDir) -> None:
        statement = f"SELECT message FROM \"{world.TABLE}\" WHERE pk = 'MSG#{world.TELESCOPE}'"
        assert len(running.json("ddb", "sql", statement, "--limit", "5")["rows"]) == 5
        assert len(running.json("ddb", "sql", f"  select{statement[6:]}", "--limit", "5")["rows"]) == 5

    @pytest.mark.parametrize(
        "statement",
        [
            f"DELETE FROM \"{world.TABLE}\" WHERE pk = 'a' AND sk = 'b'",
            f"insert into \"{world.TABLE}\" value {{'pk': 'x', 'sk': 'y'}}",
            f"UPDATE \"{world.TABLE}\" SET a = 1 WHERE pk = 'a' AND sk = 'b'",
            "EXISTS(SELECT 1)",
            "",
        ],
    )
    def test_partiql_changes_nothing_without_write(self, running: ProjectDir, statement: str) -> None:
        before = world.data(running)
        ran = running.devenv("ddb", "sql", statement)
        assert ran.code == 2
        assert "--write" in ran.err
        assert world.data(running) == before


def test_logs_of_each_service(running: ProjectDir) -> None:
    assert "database system is ready" in running.ok("logs", "postgres", "--tail", "500").out
    assert running.ok("logs", "--tail", "0").out == ""
    together = running.ok("logs", "--tail", "2").out.splitlines()
    # Each line has its time, its service and its text.
    assert {line.split(" | ")[0].split()[1] for line in together} >= {"postgres", "dynamodb", "backend"}
    assert set(running.json("logs")["logs"]) >= {"postgres", "dynamodb", "backend"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_logs_can_be_followed(running: ProjectDir, number: signal.Signals, code: int) -> None:
    following = subprocess.Popen(
        running.command("logs", "-f", "postgres", "--tail", "1"),
        env=running.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    following.stdout.readline()
    running.devenv("db", "SELECT followed FROM nowhere")
    while "followed" not in following.stdout.readline():
        assert following.poll() is None
    following.send_signal(number)
    _, told = following.communicate()
    assert following.returncode == code
    assert told.endswith("hint: devenv logs --follow\n")


def test_status_is_json_for_scripts(running: ProjectDir) -> None:
    assert json.loads(running.ok("--json", "status").out)["exit_code"] == 0
