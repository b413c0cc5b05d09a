"""Snapshots of a running project: what comes back is what was there, to the last row and item, also after a kill."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.support import ProjectDir, empty_project, reference_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project with both stores running."""
    made = reference_project(tmp_path_factory.mktemp("snapshots") / "project")
    made.ok("up", "--no-backend")
    yield made
    made.remove()


OTHERS: Final = (
    "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
    "SELECT loid::text, pageno, encode(data, 'hex') FROM pg_largeobject ORDER BY 1, 2",
    "SELECT schemaname, viewname, definition FROM pg_views"
    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
)


def checksum(project: ProjectDir) -> str:
    """One number over all rows of all tables, devenv's own record included, all items, and what is neither: how far
    sequences got, large objects, views, indexes, and when items expire.
    """
    env = project.env()
    digest = hashlib.sha256()
    with psycopg.connect(env["DATABASE_URL"]) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT t::text FROM {table} AS t ORDER BY 1").fetchall()  # type: ignore[arg-type]
            digest.update(json.dumps([table, rows]).encode())
        for other in OTHERS:
            digest.update(json.dumps(connection.execute(other).fetchall()).encode())
    tables_of = world.resource(env).meta.client
    for name in tables_of.list_tables()["TableNames"]:
        described = tables_of.describe_table(TableName=name)["Table"]
        items = sorted(json.dumps(item, sort_keys=True, default=str) for item in world.scan(env, name))
        expiry = tables_of.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        indexes = sorted(index["IndexName"] for index in described.get("GlobalSecondaryIndexes", ()))
        digest.update(json.dumps([name, str(described["CreationDateTime"]), items, expiry, indexes]).encode())
    return digest.hexdigest()


def change(project: ProjectDir, mark: str) -> None:
    """Change both stores: rows updated, added and deleted, a table, items changed and added, a whole table."""
    world.sql(project, "UPDATE users SET display_name = display_name || %s", mark)
    world.sql(project, "DELETE FROM activities WHERE uuid = (SELECT min(uuid::text)::uuid FROM activities)")
    world.sql(project, f'CREATE TABLE IF NOT EXISTS "extra {mark}" (n int)')
    world.sql(project, f'CREATE SCHEMA "apart {mark}" CREATE TABLE t (n serial) CREATE VIEW v AS SELECT n FROM t')
    world.sql(project, f'INSERT INTO "apart {mark}".t DEFAULT VALUES')
    world.sql(project, f"SELECT nextval('\"apart {mark}\".t_n_seq')")
    world.sql(project, f"SELECT lo_from_bytea(0, '{mark}')")
    table = world.dynamodb(project).Table(world.TABLE)
    item = world.items(project)[0]
    table.put_item(Item={**item, "message": mark})
    table.put_item(Item={"pk": f"MSG#{mark}", "sk": "x"})
    world.dynamodb(project).create_table(
        TableName=f"extra-{mark}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    world.dynamodb(project).meta.client.update_time_to_live(
        TableName=f"extra-{mark}", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )


def test_what_was_saved_comes_back(project: ProjectDir) -> None:
    saved = project.json("snapshot", "save", "before-x")["saved"]
    before = checksum(project)
    change(project, "a")
    changed = checksum(project)
    assert changed != before
    ran = project.json("snapshot", "restore", "before-x")
    assert ran["exit_code"] == 0
    assert checksum(project) == before
    assert {line["action"] for line in project.json("up", "--no-backend")["plan"]} == {"keep"}
    project.ok("snapshot", "restore", ran["kept"])
    assert checksum(project) == changed
    project.ok("snapshot", "restore", "before-x")
    assert saved["counts"]["postgres"] == {"public.activities": 8, "public.users": 6}
    assert saved["counts"]["dynamodb"] == {world.TABLE: 162}
    assert set(saved["steps"]) == {"setup", "schema-load", "seed"}
    assert {"name", "versions", "git", "checksums", "size", "method", "created"} <= set(saved)
    assert saved["method"] in ("copy", "clone")
    assert set(saved["checksums"]) == {"postgres", "dynamodb.sqlite", "ledger.sqlite", "secrets.json"}
    assert saved["versions"]["postgres"]
    assert saved["versions"]["dynamodb"]


@pytest.mark.long
def test_a_stopped_project_can_be_saved_and_restored(project: ProjectDir) -> None:
    before = checksum(project)
    project.ok("down")
    project.ok("snapshot", "save", "cold")
    assert world.servers(project) == {"postgres": [], "dynamodb": []}
    project.ok("up", "--no-backend")
    change(project, "cold")
    project.ok("down")
    project.ok("snapshot", "restore", "cold")
    assert world.servers(project) == {"postgres": [], "dynamodb": []}
    project.ok("up", "--no-backend")
    assert checksum(project) == before
    project.ok("snapshot", "delete", "cold")
    assert "cold" not in project.ok("snapshot", "list").out.split()


@pytest.mark.long
def test_a_port_that_someone_takes_while_postgres_is_stopped_is_given_up(project: ProjectDir) -> None:
    project.ok("up", "--no-backend")
    port = int(project.env()["PGPORT"])
    before = world.data(project)
    taken = threading.Event()

    def take(server: socket.socket) -> None:
        end = time.monotonic() + 60
        while not taken.is_set() and time.monotonic() < end:
            with contextlib.suppress(OSError):
                server.bind(("127.0.0.1", port))
                server.listen()
                taken.set()

    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thread = threading.Thread(target=take, args=(server,))
        thread.start()
        project.ok("snapshot", "save", "moved")
        thread.join()
        assert taken.is_set()
        assert int(project.env()["PGPORT"]) != port
        assert world.data(project) == before


@pytest.mark.long
def test_a_connected_application_is_sent_away_and_can_come_back(project: ProjectDir) -> None:
    url = project.env()["DATABASE_URL"]
    before = checksum(project)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        project.ok("snapshot", "save", "connected")
        project.ok("snapshot", "restore", "connected")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    assert world.query(url, "SELECT 1") == [(1,)]
    assert checksum(project) == before
    project.ok("snapshot", "delete", "connected")


# The calls of one restore after which devenv is killed: before the journal, at it, and between all later ones.
KILLS = (
    "devenv.host.file_clone.copy_tree",
    "devenv.snapshots.restore.stage",
    "devenv.host.writing.write_private",
    "devenv.snapshots.restore.once",
    "devenv.engines.embedded.engine.EmbeddedEngine.stop",
    "pathlib.Path.rename:2",
    "pathlib.Path.rename:3",
    "pathlib.Path.rename:4",
    "devenv.snapshots.restore.swap_files",
    "devenv.engines.embedded.engine.EmbeddedEngine.restore_steps",
    "devenv.snapshots.manifest.sealed",
    "shutil.rmtree:5",
    "devenv.engines.wait.start_store",
)
# The same for DynamoDB's file as a whole.
KILLS_LARGE = (
    *KILLS[:3],
    "devenv.engines.embedded.engine.EmbeddedEngine.stop",
    "pathlib.Path.rename:2",
    "pathlib.Path.replace",
    "devenv.engines.embedded.dynamodb_file.put_in_place",
    "devenv.engines.embedded.engine.EmbeddedEngine.stop:2",
    *KILLS[5:],
    "devenv.engines.wait.start_store:2",
)
# Is called by nothing here: the command ends by itself.
NEVER = "devenv.snapshots.restore.portable"
KILLED = """
import importlib, os, signal, sys
from devenv.engines.embedded import dynamodb_file
if "EVERY_FILE_IS_LARGE" in os.environ:
    dynamodb_file.LARGE = 0
place, _, number = sys.argv[1].partition(":")
calls = int(number or 1)
module, names = place, []
while True:
    module, _, name = module.rpartition(".")
    names.insert(0, name)
    try:
        owner = importlib.import_module(module)
        break
    except ImportError:
        continue
for name in names[:-1]:
    owner = getattr(owner, name)
real = getattr(owner, names[-1])
def killed(*arguments, **more):
    global calls
    result = real(*arguments, **more)
    calls -= 1
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, names[-1], killed)
from devenv.cli.app import main
main(sys.argv[2:])
"""


def killed_after(project: ProjectDir, call: str, *arguments: str, large: bool = False) -> int:
    """Run a command that is killed right after its first `call` has returned; its exit code.

    `large`: DynamoDB's file is treated as a large one.
    """
    return subprocess.run(
        [sys.executable, "-c", KILLED, call, "--project", str(project.path), *arguments],
        env={**project.environment(), **({"EVERY_FILE_IS_LARGE": "1"} if large else {})},
        cwd=project.path,
        capture_output=True,
        check=False,
    ).returncode


@pytest.mark.long
def test_a_large_file_of_items_is_put_back_as_a_whole(project: ProjectDir) -> None:
    before, env = checksum(project), project.env()
    assert killed_after(project, NEVER, "snapshot", "save", "whole", large=True) == 0
    change(project, "whole")
    changed = checksum(project)
    assert killed_after(project, NEVER, "snapshot", "restore", "whole", large=True) == 0
    assert checksum(project) == before
    assert project.env() == env
    kept = next(each["name"] for each in project.json("snapshot", "list")["snapshots"] if "whole`" in each["reason"])
    assert killed_after(project, NEVER, "snapshot", "restore", kept, large=True) == 0
    assert checksum(project) == changed
    project.ok("snapshot", "restore", "whole")
    project.ok("snapshot", "delete", "whole")


@pytest.mark.long
@pytest.mark.parametrize("large", [False, True])
def test_a_killed_restore_is_finished_or_taken_back(project: ProjectDir, large: bool) -> None:
    kills = KILLS_LARGE if large else KILLS
    sums = {}
    for name in ("here", "there"):
        change(project, f"killed-{name}-{large}")
        # Items follow changed rows; from here on `up` itself has nothing to change.
        project.ok("up", "--no-backend")
        project.ok("snapshot", "save", name)
        sums[name] = checksum(project)
    now, taken_back, finished = "there", [], []
    for call in kills:
        other = "here" if now == "there" else "there"
        assert killed_after(project, call, "snapshot", "restore", other, large=large) == -signal.SIGKILL, call
        project.ok("up", "--no-backend")
        seen = checksum(project)
        assert seen in sums.values(), call
        (taken_back if seen == sums[now] else finished).append(call)
        now = now if seen == sums[now] else other
    assert taken_back == list(kills[:2])
    assert finished == list(kills[2:])
    home = data_home(project.path.resolve())
    assert [path for place in (home, home / "snapshots") for path in place.glob(".*")] == []
    for name in sums:
        project.ok("snapshot", "restore", name)
        assert checksum(project) == sums[name]
        project.ok("snapshot", "delete", name)


@pytest.mark.long
@pytest.mark.parametrize(
    "call", ["devenv.host.file_clone.copy_tree", "devenv.snapshots.manifest.sealed", "pathlib.Path.rename"]
)
def test_a_killed_save_leaves_a_whole_snapshot_or_none(project: ProjectDir, call: str) -> None:
    before = checksum(project)
    assert killed_after(project, call, "snapshot", "save", "half") == -signal.SIGKILL
    project.ok("up", "--no-backend")
    assert checksum(project) == before
    names = [each["name"] for each in project.json("snapshot", "list")["snapshots"]]
    if "half" in names:
        project.ok("snapshot", "restore", "half")
        assert checksum(project) == before
        project.ok("snapshot", "delete", "half")
    project.ok("snapshot", "save", "half")
    project.ok("snapshot", "delete", "half")


@pytest.mark.long
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_killed_down_data_loses_nothing(project: ProjectDir, number: int) -> None:
    before = checksum(project)
    assert killed_after(project, f"pathlib.Path.rename:{number}", "down", "--data", "-y") == -signal.SIGKILL
    ran = project.devenv("down", "--data", "-y")
    assert ran.code == 0, ran.all
    newest = project.json("snapshot", "list")["snapshots"][-1]["name"]
    assert newest.startswith("auto-")
    project.ok("snapshot", "restore", newest)
    project.ok("up", "--no-backend")
    assert checksum(project) == before


@pytest.mark.long
def test_down_data_keeps_a_snapshot_and_says_how_to_return(project: ProjectDir) -> None:
    before = checksum(project)
    ran = project.ok("down", "--data", "-y")
    (line,) = [line for line in ran.out.splitlines() if "devenv snapshot restore" in line]
    project.ok("up", "--no-backend")
    assert checksum(project) != before
    project.ok(*line.partition(": devenv ")[2].split())
    project.ok("up", "--no-backend")
    assert checksum(project) == before


@pytest.mark.parametrize("step", ["setup", "schema-load", "seed", "reset"])
@pytest.mark.matrix(4)
def test_every_step_keeps_a_snapshot_and_says_how_to_return(project: ProjectDir, step: str) -> None:
    change(project, f"mine-{step}")
    before = checksum(project)
    (line,) = [line for line in project.ok(step, "-y").out.splitlines() if "devenv snapshot restore" in line]
    assert checksum(project) != before
    project.ok(*line.partition(": devenv ")[2].split())
    assert checksum(project) == before
    assert project.ok("up", "--no-backend").code == 0


def test_a_server_that_refuses_every_connection_is_stopped_all_the_same(tmp_path: Path) -> None:
    """`down` tidies snapshots up in it; that is no reason to leave it running."""
    made = empty_project(tmp_path / "closed")
    try:
        made.ok("up")
        made.ok("snapshot", "save", "kept")
        env = made.env()
        with psycopg.connect(env["DATABASE_URL"], dbname="postgres", autocommit=True) as connection:
            connection.execute(f"ALTER ROLE {env['PGUSER']} NOLOGIN")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(env["DATABASE_URL"], dbname="postgres")
        assert {"postgres", "dynamodb"} <= set(made.json("down")["stopped"])
    finally:
        made.remove()


@pytest.mark.long
def test_automatic_snapshots_are_bounded(project: ProjectDir) -> None:
    def automatic() -> list[dict[str, Any]]:
        return [each for each in project.json("snapshot", "list")["snapshots"] if each["automatic"]]

    while len(automatic()) <= 5:
        project.ok("seed", "-y")
    newest = [each["name"] for each in automatic()][-5:]
    project.ok("down")
    assert [each["name"] for each in automatic()] == newest
    project.ok("up", "--no-backend")
    kept = world.sql(project, "SELECT datname FROM pg_database WHERE datname LIKE 'devenv-kept-%'")
    assert {name for (name,) in kept} == {each["database"] for each in automatic() if each["form"] == "database"}


@pytest.mark.long
def test_the_copy_of_an_older_cluster_brings_back_no_database_of_a_deleted_snapshot(project: ProjectDir) -> None:
    def kept() -> set[str]:
        return {name for (name,) in world.sql(project, "SELECT datname FROM pg_database") if "devenv-kept-" in name}

    project.ok("seed", "-y")
    project.ok("snapshot", "save", "older")
    gone = [each for each in project.json("snapshot", "list")["snapshots"] if each["database"]][-1]
    assert gone["database"] in kept()
    project.ok("snapshot", "delete", gone["name"])
    project.ok("seed", "-y")
    lost = project.json("snapshot", "list")["snapshots"][-1]
    assert (lost["form"], lost["usable"]) == ("database", True)
    project.ok("snapshot", "restore", "older")
    assert gone["database"] not in kept()
    # A snapshot that is younger than the restored one, and a part of the data that is no longer here.
    seen = {each["name"]: each["usable"] for each in project.json("snapshot", "list")["snapshots"]}
    assert (seen[lost["name"]], seen["older"]) == (False, True)
    # (In a narrow terminal it takes several lines.)
    told = " ".join(project.ok("snapshot", "list").out.split())
    assert re.search(rf"{lost['name']} .*cannot be restored: its database was deleted", told)
    assert project.devenv("snapshot", "restore", lost["name"]).code == 9
    # While the stores stand still nobody drops it; the next `down` does.
    project.ok("down")
    project.ok("snapshot", "restore", "older")
    project.ok("up", "--no-backend")
    assert gone["database"] in kept()
    project.ok("down")
    project.ok("up", "--no-backend")
    assert gone["database"] not in kept()


def damage(file: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_damaged_snapshot_is_refused_before_anything_is_touched(project: ProjectDir) -> None:
    project.ok("snapshot", "save", "damaged")
    before = checksum(project)
    damage(data_home(project.path.resolve()) / "snapshots" / "damaged" / "dynamodb.sqlite")
    pids = world.pids(project)
    ran = project.devenv("snapshot", "restore", "damaged")
    assert ran.code == 1
    assert "is damaged" in ran.err
    assert (checksum(project), world.pids(project)) == (before, pids)
    assert not (data_home(project.path.resolve()) / ".incoming").exists()
    project.ok("snapshot", "delete", "damaged")


@pytest.mark.long
@pytest.mark.parametrize(("part", "version", "words"), [
    ("postgres", "15.2", "PostgreSQL 15.2"),
    ("dynamodb", "9.0.0", "DynamoDB Local 9.0.0"),
    ("platform", "linux-vax", "platform linux-vax"),
])  # fmt: skip
def test_another_engine_version_is_refused_before_anything_is_touched(
    project: ProjectDir, part: str, version: str, words: str
) -> None:
    project.ok("snapshot", "save", "other")
    manifest = data_home(project.path.resolve()) / "snapshots" / "other" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["versions"][part] = version
    manifest.write_text(json.dumps(told))
    before = checksum(project), world.pids(project)
    ran = project.devenv("snapshot", "restore", "other")
    assert ran.code == 9
    assert words in ran.err
    assert (checksum(project), world.pids(project)) == before
    project.ok("snapshot", "delete", "other")


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".x", "", "a b", "x" * 64, "ä"])
@pytest.mark.matrix(4)
def test_a_name_that_is_no_name_is_refused(project: ProjectDir, name: str) -> None:
    for task in ("save", "restore", "delete"):
        ran = project.devenv("snapshot", task, "--", name)
        assert ran.code == 2, ran.all


def test_an_unknown_or_a_taken_name_is_refused(project: ProjectDir) -> None:
    ran = project.devenv("snapshot", "restore", "unknown")
    assert (ran.code, "there is no snapshot `unknown`" in ran.err) == (2, True)
    project.ok("snapshot", "save", "taken")
    ran = project.devenv("snapshot", "save", "taken")
    assert (ran.code, "a snapshot `taken` already exists" in ran.err) == (2, True)
    project.ok("snapshot", "delete", "taken")


@pytest.mark.long
def test_snapshots_are_private(project: ProjectDir) -> None:
    project.ok("snapshot", "save", "private")
    place = data_home(project.path.resolve()) / "snapshots" / "private"
    for path in (place.parent, place, *place.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    project.ok("snapshot", "delete", "private")
