"""The pytest plugin in a suite of somebody else: own stores, a restored pair per test, and nothing left behind."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devenv.config.load import data_home
from devenv.testing.scratch import MEMORY
from tests.e2e.world import until
from tests.support import REPOSITORY, ProjectDir, reference_project

SUITE = """
import os
import boto3, psycopg, pytest

def look():
    with psycopg.connect("") as connection:
        rows = connection.execute("SELECT count(*) FROM activities").fetchone()[0]
        server = connection.execute("SHOW data_directory").fetchone()[0]
    table = boto3.resource("dynamodb").Table("cruddur-messages")
    items = table.scan(Select="COUNT")["Count"]
    return rows, items, server, os.environ["AWS_ENDPOINT_URL_DYNAMODB"]

def spoil():
    with psycopg.connect("") as connection:
        connection.execute("DELETE FROM activities")
        connection.execute("CREATE TABLE mine (n int)")
    client = boto3.client("dynamodb")
    client.put_item(TableName="cruddur-messages", Item={"pk": {"S": "mine"}, "sk": {"S": "x"}})
    client.create_table(TableName="mine", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])

@pytest.mark.parametrize("number", range(6))
def test_each_has_its_own_pair(devenv_stores, number):
    rows, items, server, endpoint = look()
    with open(f"pair-{os.getpid()}-{number}", "w") as file:
        file.write(f"{server} {endpoint}")
    assert (rows, items) == (8, 162)
    assert devenv_stores.postgres_url == os.environ["DATABASE_URL"]
    assert devenv_stores.dynamodb_url == endpoint
    spoil()

def test_a_copy_has_what_makes_it_cheap(devenv_stores):
    listing = "SELECT pg_ls_dir('base/' || oid) FROM pg_database WHERE datname = %s"
    with psycopg.connect(dbname="postgres") as connection:
        files = {row[0] for row in connection.execute(listing, [os.environ["PGDATABASE"]])}
    assert "pg_internal.init" in files
    assert not [name for name in files if name.endswith("_vm")]

def test_drops_the_database(devenv_stores):
    with psycopg.connect(dbname="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{os.environ["PGDATABASE"]}" WITH (FORCE)')
    boto3.client("dynamodb").delete_table(TableName="cruddur-messages")

def test_leaves_transactions_open(devenv_stores):
    assert look()[:2] == (8, 162)
    left = psycopg.connect("")
    left.execute("LOCK TABLE activities")
    left.execute("DELETE FROM activities")
    globals()["left"] = left

class TestModule:
    def test_first(self, devenv_stores_module):
        assert look()[:2] == (8, 162)
        spoil()

    def test_second_sees_what_the_first_did(self, devenv_stores_module):
        assert look()[:2] == (0, 163)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[ProjectDir]:
    """A project with tests of its own."""
    project = reference_project(tmp_path / "suite")
    (project.path / "test_suite.py").write_text(SUITE)
    yield project
    project.remove()


def command(*arguments: str) -> list[str]:
    """pytest with the plugin, whether devenv is installed here or only on the path."""
    installed = any(each.name == "devenv" for each in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "devenv.testing.pytest_plugin"]
    return [sys.executable, "-m", "pytest", *plugin, "-q", "-p", "no:cacheprovider", *arguments]


def run(project: ProjectDir, *arguments: str) -> None:
    """Run its tests to the end, which must be a good one."""
    ran = subprocess.run(
        command(*arguments), cwd=project.path, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def traces() -> set[str]:
    """Folders and processes of test runs, on this machine."""
    places = {MEMORY, Path(tempfile.gettempdir())}
    folders = {str(path) for place in places if place.is_dir() for path in place.glob("devenv-pytest-*")}
    running = set()
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or [])
        if process.info["status"] != psutil.STATUS_ZOMBIE and (
            "devenv-pytest-" in words or "devenv.testing.reaper" in words
        ):
            running.add(f"{process.pid} {words}")
    return folders | running


def test_a_suite_gets_a_restored_pair_per_test_and_leaves_nothing(suite: ProjectDir) -> None:
    before = traces()
    run(suite, "test_suite.py")
    assert len({file.read_text() for file in suite.path.glob("pair-*")}) == 1
    assert not (suite.path / ".devstate").exists()
    assert not data_home(suite.path.resolve()).exists()
    assert traces() <= before


def test_each_worker_has_a_pair_of_its_own(suite: ProjectDir) -> None:
    before = traces()
    run(suite, "-n", "2", "-k", "own_pair", "test_suite.py")
    told = {file.name.split("-")[1]: file.read_text().split() for file in suite.path.glob("pair-*")}
    assert len(told) == 2
    assert len({server for server, _ in told.values()}) == len({endpoint for _, endpoint in told.values()}) == 2
    assert traces() <= before


def test_each_test_finds_the_databases_settings_and_grants_as_the_files_made_them(suite: ProjectDir) -> None:
    with (suite.path / "seeds/postgres/users.sql").open("a") as file:
        file.write("\nGRANT CONNECT ON DATABASE cruddur TO PUBLIC;\nALTER DATABASE cruddur SET work_mem = '5MB';\n")
    (suite.path / "test_suite.py").write_text(
        "import psycopg, pytest\n"
        "@pytest.mark.parametrize('number', range(3))\n"
        "def test_settings(devenv_stores, number):\n"
        "    with psycopg.connect('') as connection:\n"
        "        assert connection.execute('SHOW work_mem').fetchone()[0] == '5MB'\n"
        "        granted = 'SELECT datacl IS NOT NULL FROM pg_database WHERE datname = current_database()'\n"
        "        assert connection.execute(granted).fetchone()[0]\n"
        "        connection.execute(\"ALTER DATABASE cruddur SET work_mem = '6MB'\")\n"
        "        connection.execute('REVOKE ALL ON DATABASE cruddur FROM PUBLIC')\n"
    )
    run(suite, "test_suite.py")


@pytest.mark.long
@pytest.mark.parametrize("where", ["a test", "the start"])
def test_a_killed_pytest_leaves_nothing_behind(suite: ProjectDir, where: str) -> None:
    before = traces()
    (suite.path / "test_suite.py").write_text(
        "import os, pathlib, time\n"
        "def test_long(devenv_stores):\n"
        "    pathlib.Path('here').write_text('x')\n"
        "    time.sleep(600)\n"
    )
    running = subprocess.Popen(
        command("test_suite.py"), cwd=suite.path, env=suite.environment(), stdout=subprocess.DEVNULL
    )
    if where == "a test":
        until((suite.path / "here").exists, "the test to begin")
    else:
        until(lambda: [each for each in traces() - before if re.search(r"java|initdb", each)], "a store to start")
    running.send_signal(signal.SIGKILL)
    running.wait()
    until(lambda: traces() <= before, "the guard to end everything")


@pytest.mark.long
def test_the_developers_own_project_is_not_touched(suite: ProjectDir) -> None:
    suite.ok("up", "--no-backend")
    before = suite.env(), suite.json("status")
    run(suite, "test_suite.py")
    assert (suite.env(), suite.json("status")) == before


def test_a_project_that_cannot_start_is_reported_in_words(suite: ProjectDir) -> None:
    (suite.path / "seeds/postgres/users.sql").write_text("SELEC 1;")
    ran = subprocess.run(
        command("test_suite.py", "-k", "first"),
        cwd=suite.path, env=suite.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert re.search(r"devenv: .*seeds/postgres/users.sql:1", ran.stdout)
    assert "Traceback" not in ran.stdout


def test_without_a_project_pytests_own_way_to_name_one_is_reported(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text("def test_first(devenv_stores):\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ndevenv_project = elsewhere\n")
    ran = subprocess.run(command(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"devenv: no devenv.toml in {tmp_path / 'elsewhere'} or any folder above it" in ran.stdout
    assert "in pytest's configuration: devenv_project = " in ran.stdout
    assert "--project" not in ran.stdout


def test_the_plugin_is_installed_with_devenv() -> None:
    import tomllib

    told = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert told["project"]["entry-points"]["pytest11"] == {"devenv": "devenv.testing.pytest_plugin"}
    assert os.path.exists(REPOSITORY / "devenv" / "testing" / "pytest_plugin.py")
