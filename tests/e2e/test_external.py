"""Stores that somebody else started: nothing is written before they are marked, nothing ever beyond this machine."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from devenv.core.errors import StoreError
from devenv.core.model import PostgresTarget
from devenv.engines.external.marks import MARK_TABLE
from devenv.stores.postgres.client import connect
from tests.e2e import world
from tests.e2e.aws_like import Cloud
from tests.e2e.engines import contents, external_project, fill, other_stores, without_marks
from tests.e2e.test_snapshots import killed_after
from tests.support import ProjectDir
from tests.terminal import open_terminal

pytestmark = pytest.mark.long

ITEM = f"INSERT INTO \"{world.TABLE}\" VALUE {{'pk': 'x', 'sk': 'y'}}"
# A plan for `repair`: whether it may be carried out is asked before it is read.
WRITES = (
    "up",
    "up --force setup",
    "up --no-input",
    "up --json",
    "setup -y",
    "schema-load -y",
    "seed -y",
    "reset -y",
    "db --write 'CREATE TABLE x (y int)'",
    f"ddb sql --write|{ITEM}",
    "ddb sql --write|DELETE FROM \"their-carts\" WHERE pk = 'their-carts 0'",
    "snapshot save one",
    "snapshot restore one",
    "snapshot delete one",
    "doctor --fix",
    "repair apply plan.json",
    "repair undo plan.json",
)
# Nothing of these is meant to write; they get what looks like a write.
READS = (
    "status",
    "up --dry-run",
    "db|CREATE DATABASE mine",
    "db|CREATE TABLE x (y int)",
    "db|COPY (SELECT 1) TO PROGRAM 'touch {file}'",
    "db|/* */ -- x\n COPY (SELECT 1) TO '{file}'",
    "db|DO $$ BEGIN EXECUTE $x$ COPY (SELECT 1) TO '{file}' $x$; END $$",
    "db|SELECT lo_export(1, '{file}')",
    f"ddb sql|{ITEM}",
    "ddb list-tables",
    "ddb scan their-carts",
    "doctor",
    "verify",
    f"trace conversation {world.TELESCOPE}",
    "down --data -y",
    "down",
    "env",
    "logs",
    "snapshot list",
    "patterns check",
    "config show",
)
# Where a statement that reads tried to write.
FILE = Path("/var/tmp/devenv-test-written")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A PostgreSQL and a DynamoDB Local with somebody's data."""
    with other_stores(tmp_path_factory.mktemp("theirs")) as made:
        fill(made)
        yield made


@pytest.fixture
def project(stores: ProjectDir, tmp_path: Path) -> Iterator[ProjectDir]:
    """The reference project, pointed at them; nothing of it is left there."""
    made = external_project(tmp_path / "project", stores)
    yield made
    made.remove()


def words(line: str) -> list[str]:
    """The arguments of a command: what follows `|` is one, quotes hold one together."""
    front, _, statement = line.replace("{file}", str(FILE)).partition("|")
    return [word.strip("'") for word in re.findall(r"'[^']*'|\S+", front)] + ([statement] if statement else [])


def test_unmarked_stores_are_not_written_to_by_any_command(project: ProjectDir, stores: ProjectDir) -> None:
    before = contents(stores)
    for line in WRITES:
        ran = project.devenv(*words(line))
        assert ran.code == 2, f"{line} exited {ran.code}: {ran.all}"
        assert "devenv up" in ran.all, f"{line} does not say the way on: {ran.all}"
    for line in READS:
        project.devenv(*words(line))
    # Not even by the server's own programs and files, which a superuser may use in a read-only transaction.
    assert not FILE.exists()
    ran = project.devenv("db")
    assert (ran.code, "an SQL shell could write to that store" in ran.err) == (2, True)
    assert contents(stores) == before


def test_the_store_itself_refuses_what_a_command_forgot_to_ask_for(stores: ProjectDir) -> None:
    env = stores.env()
    target = PostgresTarget("127.0.0.1", int(env["PGPORT"]), env["PGUSER"], env["PGPASSWORD"], "theirs", refused="no")
    for statement in (b"CREATE DATABASE mine", b"DELETE FROM orders", b"COMMENT ON DATABASE theirs IS 'mine'"):
        for autocommit in (True, False):
            with (
                pytest.raises(StoreError, match="refused a statement") as refused,
                connect(target, autocommit=autocommit) as connection,
            ):
                connection.execute(statement)
            assert refused.value.code in ("25006", "25001"), statement


def test_consent_names_what_it_is_about_and_how_to_give_it(project: ProjectDir) -> None:
    ran = project.devenv("up", "--no-input")
    assert "databases: postgres, theirs" in ran.err
    assert "their-carts, their-events" in ran.err
    assert "write database `cruddur`" in ran.err
    assert ran.err.endswith("hint: devenv up --engine external --mark\n")


def test_marked_stores_work_and_another_users_data_stays_as_it_was(project: ProjectDir, stores: ProjectDir) -> None:
    before = contents(stores)
    project.ok("up", "--mark")
    marked = contents(stores)
    assert {name: marked[name] for name in before if name != "databases"} == {
        name: what for name, what in before.items() if name != "databases"
    }
    assert f"dynamodb {MARK_TABLE}" in marked
    # From now on nobody is asked, and every command works.
    project.ok("up", "--no-input")
    project.ok("reset", "-y")
    project.ok("db", "--write", "DELETE FROM activities")
    project.ok("snapshot", "save", "one")
    project.ok("seed", "-y")
    assert project.json("doctor")["summary"]["fail"] == 0
    # A mark is for this database in this very cluster.
    [comment] = [comment for name, _, comment in marked["databases"] if name == "cruddur"]
    [(number,)] = world.sql(project, "SELECT system_identifier FROM pg_control_system()")
    assert comment == f"devenv may write database cruddur (cluster {number})"
    project.ok("down", "--data", "--no-backup", "-y")
    assert contents(stores) == before


def test_a_killed_command_leaves_no_mark_for_good(project: ProjectDir, stores: ProjectDir) -> None:
    """A store is marked in two steps and unmarked in two: `down --data` finishes what a killed command had begun."""
    before = contents(stores)
    up, away = ("up", "--no-backend", "--mark"), ("down", "--data", "--no-backup", "-y")
    for call in (
        "engines.external.marks.make_mark_table",
        "engines.external.marks.mark_database",
        "host.registry.register",
    ):
        assert killed_after(project, f"devenv.{call}", *up) == -signal.SIGKILL, call
        project.ok(*away)
        assert contents(stores) == before, call
    # Without the question, too: it was answered.
    assert killed_after(project, "devenv.engines.external.marks.make_mark_table", *up) == -signal.SIGKILL
    project.ok("up", "--no-backend", "--no-input")
    assert killed_after(project, "devenv.snapshots.cleanup.erase", *away) == -signal.SIGKILL
    project.ok(*away)
    assert contents(stores) == before


def test_what_a_killed_move_left_running_is_reported_before_the_next(project: ProjectDir) -> None:
    """A store was started, and the state does not know it yet: `down` would not see it from the other engine."""
    project.ok("up", "--no-backend", "--mark")
    project.ok("down")
    move = ("up", "--no-backend", "--engine", "embedded")
    # The first process is the clock of the logs, the second a store.
    assert killed_after(project, "devenv.host.processes.spawn:2", *move) == -signal.SIGKILL
    world.until(lambda: any(world.servers(project).values()), "what was started")
    ran = project.devenv("up", "--no-backend")
    assert (ran.code, "is up on engine `embedded`" in ran.err) == (2, True), ran.all
    assert ran.err.endswith("hint: devenv down && devenv up --engine external\n")
    project.ok("down")
    assert not any(world.servers(project).values())
    project.ok("up", "--no-backend")
    project.ok("down", "--engine", "embedded", "--data", "--no-backup", "-y")


def test_a_mark_that_was_copied_to_another_cluster_is_none(project: ProjectDir, stores: ProjectDir) -> None:
    project.ok("up", "--mark")
    world.sql(project, "COMMENT ON DATABASE cruddur IS 'devenv may write database cruddur (cluster 1)'")
    assert project.devenv("seed", "-y").code == 2
    project.ok("up", "--mark")
    project.ok("down", "--data", "--no-backup", "-y")


def test_a_database_of_that_name_with_tables_is_foreign(project: ProjectDir, stores: ProjectDir) -> None:
    url = stores.env()["DATABASE_URL"]
    world.query(url, "CREATE DATABASE cruddur")
    try:
        with psycopg.connect(url, dbname="cruddur", autocommit=True) as connection:
            connection.execute("CREATE TABLE users (id int)")
        before = contents(stores)
        ran = project.devenv("up", "--mark")
        assert (ran.code, "is foreign" in ran.err) == (2, True), ran.all
        assert "[postgres] database" in ran.err
        assert contents(stores) == before
    finally:
        world.query(url, "DROP DATABASE cruddur")


class TestElsewhere:
    """A host that is not loopback as it is written: `127.1`, which does lead here, so that a connection would show."""

    @pytest.fixture
    def remote(self, stores: ProjectDir, tmp_path: Path) -> ProjectDir:
        env = stores.env()
        return external_project(
            tmp_path / "remote",
            stores,
            postgres=f"postgresql://{env['PGUSER']}@127.1:{env['PGPORT']}/theirs",
            dynamodb=env["AWS_ENDPOINT_URL_DYNAMODB"].replace("127.0.0.1", "127.1"),
            access_key="ASIAQNZGKIQY56JQ7WML",
        )

    def test_it_is_refused_without_a_connection(self, stores: ProjectDir, tmp_path: Path) -> None:
        connections: list[object] = []
        with socket.create_server(("127.0.0.1", 0)) as server:

            def accept() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connections.append(server.accept())

            threading.Thread(target=accept, daemon=True).start()
            port = server.getsockname()[1]
            project = external_project(
                tmp_path / "p", stores, postgres=f"postgresql://me@127.1:{port}", dynamodb=f"http://127.1:{port}"
            )
            for line in (*WRITES, *READS):
                ran = project.devenv(*words(line))
                quiet = line in ("env", "logs", "down", "down --data -y", "snapshot list", "config show")
                assert ran.code == (0 if quiet else 2), f"{line} exited {ran.code}: {ran.all}"
            for line in WRITES:
                assert project.devenv(*words(line), "--allow-remote").code == 2, line
            assert connections == []

    def test_it_is_read_when_that_is_allowed_and_named_first(self, remote: ProjectDir, stores: ProjectDir) -> None:
        before = contents(stores)
        ran = remote.ok("--allow-remote", "ddb", "scan", "their-carts")
        first, second, *_ = ran.err.splitlines()
        env = stores.env()
        assert first == f"reading from Postgres at 127.1:{env['PGPORT']}/theirs as {env['PGUSER']}"
        where = env["AWS_ENDPOINT_URL_DYNAMODB"].replace("127.0.0.1", "127.1")
        account = "account 029608264753 (according to the access key)"
        assert second == f"reading from DynamoDB at {where}, region us-east-1, {account}"
        assert remote.json("db", "SELECT count(*) FROM orders", "--allow-remote")["rows"] == [[20]]
        states = {each["name"]: each["state"] for each in remote.json("status", "--allow-remote")["services"]}
        assert (states["postgres"], states["dynamodb"]) == ("running", "running")
        for line in (*WRITES, "db|DELETE FROM orders"):
            assert remote.devenv(*words(line), "--allow-remote").code in (1, 2), line
        assert contents(stores) == before


@pytest.mark.parametrize("tables", [("prod",), ()], ids=["by its ARNs", "without tables"])
def test_a_tunnel_to_aws_is_refused_on_loopback_too(
    stores: ProjectDir, tmp_path: Path, tables: tuple[str, ...]
) -> None:
    asked: list[str] = []
    handler = type("Handler", (Cloud,), {"tables": tables, "asked": asked})
    before = contents(stores)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project = external_project(
            tmp_path / "p", stores, dynamodb=f"http://127.0.0.1:{server.server_address[1]}", access_key="devenvlocal"
        )
        ran = project.devenv("up", "--mark")
        server.shutdown()
    assert ran.code == 2, ran.all
    assert ("not DynamoDB Local" if tables else "leads to AWS") in ran.err
    assert set(asked) <= {"ListTables", "DescribeTable"}
    assert contents(stores) == before


class TestMoving:
    """From one engine to another: explained, never guessed, and each with its own data."""

    def test_up_on_one_engine_down_and_up_on_another_and_back(self, stores: ProjectDir, tmp_path: Path) -> None:
        made = external_project(tmp_path / "project", stores)
        settings: Mapping[str, str] = {name: value for name, value in made.environ.items() if name != "DEVENV_ENGINE"}
        project = ProjectDir(made.path, dict(settings))
        try:
            project.ok("up")
            world.sql(project, "DELETE FROM activities")
            here = world.data(project)
            ran = project.devenv("up", "--engine", "external", "--mark")
            assert ran.code == 2
            assert "this project is up on engine `embedded` (postgres, dynamodb, backend)" in ran.err
            assert ran.err.endswith("hint: devenv down && devenv up --engine external\n")
            assert project.devenv("status", DEVENV_ENGINE="external").code == 2
            project.ok("down", DEVENV_ENGINE="external")
            ran = project.ok("up", "--engine", "external", "--mark")
            assert "from engine `embedded` to `external`: each has its own data" in ran.err
            assert world.data(project) != here
            assert project.json("status")["engine"] == "external"
            assert project.devenv("up", "--engine", "embedded").code == 2
            # The other engine's data can be looked at, and deleted, from here.
            assert project.devenv("down", "--engine", "podman").code == 2
            project.ok("down", "--data", "--no-backup", "-y")
            ran = project.ok("up", "--engine", "embedded")
            assert world.data(project) == here
            assert project.json("status")["engine"] == "embedded"
        finally:
            project.remove()
        assert set(without_marks(contents(stores))) == set(contents(stores))


def test_a_person_is_asked_once(stores: ProjectDir, tmp_path: Path) -> None:
    project = external_project(tmp_path / "project", stores)
    before = contents(stores)
    try:
        for answer, code in (("n\n", 2), ("y\n", 0)):
            with open_terminal(project.command("up", "--no-backend"), project.environment()) as terminal:
                terminal.until("[y/N]")
                terminal.press(answer)
                assert terminal.end() == code, terminal.seen
            assert (contents(stores) == before) is (code == 2)
        with open_terminal(project.command("up", "--no-backend"), project.environment()) as terminal:
            assert terminal.end() == 0
            assert "[y/N]" not in terminal.seen
    finally:
        project.remove()
    assert contents(stores) == before


def test_all_projects_are_listed_and_stopped_without_its_settings(stores: ProjectDir, tmp_path: Path) -> None:
    cache = {"DEVENV_CACHE": str(tmp_path / "cache")}
    made = external_project(tmp_path / "project", stores)
    made = ProjectDir(made.path, {**made.environ, **cache})
    # Another shell, in which the addresses of the stores are not set.
    elsewhere = ProjectDir(made.path, cache)
    try:
        made.ok("up", "--mark", "--no-backend")
        for project in (made, elsewhere):
            [seen] = project.json("ps")["projects"]
            assert (seen["state"], seen["services"]) == ("running", [])
            assert {(store["name"], store["pid"]) for store in seen["connected"]} == {
                ("postgres", None), ("dynamodb", None),
            }  # fmt: skip
        assert re.search(r"postgres +port \d+, not started by devenv", elsewhere.ok("ps").out)
        gone = {
            "DEVENV_EXTERNAL_POSTGRES": "postgresql://127.0.0.1:1",
            "DEVENV_EXTERNAL_DYNAMODB": "http://127.0.0.1:1",
        }
        assert made.json("ps", **gone)["projects"][0]["state"] == "stopped"

        made.ok("up")
        refused = elsewhere.devenv("down", "--all", "--data", "-y")
        assert refused.code == 2
        assert f"not stopped: {made.path}: engine external needs Postgres's address\n  hint: name it by" in refused.out
        ran = elsewhere.ok("down", "--all")
        assert ran.out.splitlines() == [
            f"stopped: {made.path}",
            f"left running: dynamodb, postgres, which devenv did not start (of {made.path})",
        ]
        # The folder's name tells checkouts apart.
        assert "cruddur (project) backend: stopped\n" in ran.err
        [seen] = elsewhere.json("ps")["projects"]
        assert (seen["state"], seen["services"], seen["connected"]) == ("stopped", [], [])
        assert elsewhere.ok("down", "--all").out == "nothing was running\n"
        assert stores.json("status")["services"][0]["state"] == "running"
    finally:
        made.remove()


# The calls of one restore after which devenv is killed: the journal is there from the second on.
KILLS = (
    "devenv.snapshots.restore.verify",
    "devenv.snapshots.restore.once",
    "devenv.snapshots.restore.swap_database",
    "devenv.snapshots.item_backup.make_as",
    "devenv.steps.seed.writes.write_together",
    "devenv.snapshots.restore.replace_file",
    "devenv.snapshots.manifest.sealed",
)


@pytest.fixture(scope="module")
def kept(stores: ProjectDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A project of its own there, up."""
    made = external_project(tmp_path_factory.mktemp("kept") / "project", stores, postgres=kept_url(stores))
    made.ok("up", "--mark", "--no-backend")
    yield made
    made.remove()


def kept_url(stores: ProjectDir) -> str:
    """The same server, with a database of this module's other project."""
    env = stores.env()
    return f"postgresql://{env['PGUSER']}@127.0.0.1:{env['PGPORT']}/kept"


class TestKept:
    """Snapshots where the data files are not devenv's."""

    def test_a_killed_restore_is_finished_or_has_done_nothing(self, kept: ProjectDir) -> None:
        sums = {}
        for name in ("here", "there"):
            world.sql(kept, "DELETE FROM activities WHERE likes_count = 0")
            with world.dynamodb(kept).Table(world.TABLE).batch_writer() as table:
                for item in world.items(kept)[:5]:
                    table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
            kept.ok("snapshot", "save", name)
            sums[name] = world.data(kept)
        now, finished = "there", []
        for call in KILLS:
            other = "here" if now == "there" else "there"
            assert killed_after(kept, call, "snapshot", "restore", other) == -signal.SIGKILL, call
            kept.ok("snapshot", "save", call)
            seen = world.data(kept)
            assert seen in sums.values(), call
            if seen == sums[other] and seen != sums[now]:
                finished.append(call)
                now = other
        assert finished == list(KILLS[1:])

    def test_a_table_that_was_recreated_is_known_again(self, kept: ProjectDir) -> None:
        kept.ok("reset", "-y")
        kept.ok("snapshot", "save", "known")
        data = world.data(kept)
        kept.ok("schema-load", "-y")
        kept.ok("snapshot", "restore", "known")
        assert world.data(kept) == data
        # The seeds count as loaded by devenv: nothing to do, and nobody is asked.
        assert {line["action"] for line in kept.json("up", "--no-backend")["plan"]} == {"keep"}
        kept.ok("seed")

    def test_it_can_be_restored_in_another_place(self, kept: ProjectDir, tmp_path: Path) -> None:
        kept.ok("reset", "-y")
        world.sql(kept, "DELETE FROM activities WHERE likes_count = 0")
        kept.ok("snapshot", "save", "portable")
        data, people = world.data(kept), world.sql(kept, "SELECT uuid FROM users ORDER BY 1")
        file = tmp_path / "one.snapshot"
        kept.ok("snapshot", "export", "portable", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        embedded = external_embedded(kept)
        assert embedded.devenv("snapshot", "import", str(file)).code == 2
        embedded.remove()
        with other_stores(tmp_path) as elsewhere:
            project = external_project(tmp_path / "project", elsewhere)
            project.ok("snapshot", "import", str(file), "--as", "two")
            project.ok("up", "--mark", "--no-backend")
            project.ok("snapshot", "restore", "two")
            assert world.data(project) == data
            assert world.sql(project, "SELECT uuid FROM users ORDER BY 1") == people
            project.ok("snapshot", "delete", "two")
            before = [row[0] for row in world.query(elsewhere.env()["DATABASE_URL"], "SELECT datname FROM pg_database")]
            assert not [name for name in before if "two" in name]


def external_embedded(project: ProjectDir) -> ProjectDir:
    """The same folder on the engine `embedded`, beside."""
    other = ProjectDir(project.path.with_name("other"), {})
    other.path.mkdir()
    (other.path / "devenv.toml").write_text('[project]\nname = "other"\n')
    return other
