"""Small projects that were once called well, or led astray, when they were not: each stands for a kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.lifecycle.old_addresses import FILES
from tests.e2e.world import free_port
from tests.support import ProjectDir, empty_project

Make = Callable[..., ProjectDir]
ID = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
THINGS = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make a project of these files, by name; each is removed in the end."""
    made: list[ProjectDir] = []

    def one(settings: str, name: str = "project", **files: Any) -> ProjectDir:
        folder = tmp_path / name
        project = empty_project(folder, settings)
        made.append(project)
        for file, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / file.replace("_", ".")).write_text(text)
        return project

    yield one
    for project in made:
        project.remove()


def codes(project: ProjectDir, *words: str, **environ: str) -> dict[str, str]:
    """Doctor's findings: code -> evidence."""
    checks = project.json("doctor", *words, **environ)["checks"]
    return {check["code"]: check["evidence"] for check in checks if check["status"] in ("fail", "warn")}


@pytest.mark.long
def test_the_same_id_in_capitals_is_not_consistent_with_links_alone(make: Make) -> None:
    project = make(
        '[project]\nname = "spelling"\n[postgres]\ndatabase = "app"\n[steps.setup]\nfiles = ["a.sql"]\n'
        '[steps.schema-load]\nfiles = ["t.json"]\n[steps.seed]\nfiles = ["i.json"]\n'
        '[[links]]\nname = "owner"\nfrom = "dynamodb:things.id[USER#{}]"\nto = "postgres:users.id"\n',
        a_sql=f"CREATE TABLE users (id uuid PRIMARY KEY); INSERT INTO users VALUES ('{ID}');",
        t_json=THINGS,
        i_json={"table": "things", "items": [{"id": f"USER#{ID.upper()}"}]},
    )
    project.ok("up")
    verify = project.json("verify")
    assert (verify["verdict"], verify["exit_code"]) == ("inconsistent", 1)
    assert verify["findings"]["malformed_id"] == 1
    assert "is the same id, written differently" in codes(project)["DAT002"]


@pytest.mark.long
def test_a_materialized_view_is_refreshed_after_a_merge(make: Make) -> None:
    sql = "CREATE TABLE orders (id int PRIMARY KEY);\nINSERT INTO orders VALUES {};\n"
    view = "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;\n"
    settings = '[project]\nname = "matview"\n[postgres]\ndatabase = "app"\n[steps.setup]\nfiles = ["a.sql"]\n'
    project = make(settings, a_sql=sql.format("(1)") + view)
    project.ok("up")
    (project.path / "a.sql").write_text(sql.format("(1), (2)") + view)
    project.ok("up")
    assert project.json("db", "select * from totals")["rows"] == [[2]]


def test_a_table_called_like_the_database_makes_no_second_finding(make: Make) -> None:
    project = make(
        '[project]\nname = "pgdb"\n[postgres]\ndatabase = "app"\n[steps.schema-load]\nfiles = ["t.json"]\n',
        t_json={**THINGS, "TableName": "app"},
    )
    project.ok("up")
    found = codes(project, "--only", "environment", **{**project.env(), "PGDATABASE": "other"})
    assert list(found) == ["ENV005"]


LEADS_ELSEWHERE = [
    {"SQLALCHEMY_DATABASE_URI": "postgresql://a:b@db:5432/x"},
    {"POSTGRES_URL": "postgresql://a:b@db:5432/x"},
    {"DB_HOST": "db"},
    {"PGHOST": "/tmp"},
    {"DYNAMODB_ENDPOINT": "http://dynamodb-local:8000"},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    {"HTTP_PROXY": "http://127.0.0.1:9"},
    # Three more of the kind.
    {"READ_REPLICA": "postgres://a:b@replica.example:5432/x"},
    {"DDB_URL": "http://127.0.0.1:9999"},
    {"POSTGRES_HOST": "db", "POSTGRES_PORT": "5432"},
]


def test_every_variable_that_leads_elsewhere_is_found_whatever_its_name(make: Make) -> None:
    project = make('[project]\nname = "blind"\n[postgres]\ndatabase = "app"\n')
    project.ok("up")
    env = project.env()
    assert codes(project, "--only", "environment", **env) == {}
    silent = [names for names in LEADS_ELSEWHERE if not codes(project, "--only", "environment", **{**env, **names})]
    assert silent == []


SEED = """import boto3
client = boto3.client("dynamodb", endpoint_url="http://localhost:{port}")
client.put_item(TableName="things", Item={{"id": {{"S": "from A"}}}})
"""


@pytest.mark.long
def test_a_seed_command_with_the_old_port_written_in_is_refused_when_the_port_moved(make: Make) -> None:
    port = free_port()
    head = f'[postgres]\ndatabase = "app"\n[dynamodb]\nport = {port}\n[steps.schema-load]\nfiles = ["t.json"]\n'
    other = make(f'[project]\nname = "hardB"\n{head}', "B", t_json=THINGS)
    other.ok("up")
    project = make(
        f'[project]\nname = "hardA"\n{head}[steps.seed]\ncommand = ["{{python}}", "seed.py"]\nfiles = ["seed.py"]\n',
        "A",
        t_json=THINGS,
        seed_py=SEED.format(port=port),
    )
    refused = project.devenv("up")
    assert refused.code in (2, 8), refused.all
    assert "seed.py:2" in refused.all
    assert str(port) in refused.all
    assert other.json("ddb", "scan", "things")["items"] == []


@pytest.mark.long
def test_an_application_with_the_old_port_written_in_is_named_when_the_port_moved(make: Make) -> None:
    port = free_port()
    head = f'[postgres]\ndatabase = "app"\n[dynamodb]\nport = {port}\n'
    other = make(f'[project]\nname = "hardD"\n{head}', "D")
    other.ok("up")
    project = make(
        f'[project]\nname = "hardC"\n{head}[backend]\n'
        'command = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]\nhealth = "/"\n',
        "C",
        app_py="import boto3\n"
        f"# http://localhost:{port} is where it was\n"
        f"table = boto3.resource('dynamodb', endpoint_url='http://localhost:{port}')\n"
        f"server = 'http://localhost:{port}/'\n",
    )
    more = project.path / "more"
    more.mkdir()
    for number in range(FILES):
        (more / f"m{number}.py").touch()
    said = project.ok("up").all
    assert f"only the first {FILES} source files were searched" in said
    (more / "m0.py").unlink()
    now = next(service["port"] for service in project.json("status")["services"] if service["name"] == "dynamodb")
    assert "app.py:3 contains the old port of dynamodb" in said
    assert f"its address is now {now}: read it from the variable AWS_ENDPOINT_URL_DYNAMODB" in said
    assert said.count("the old port of") == 1
    assert "the old port of" not in other.ok("up").all
    project.ok("down")
    said = project.ok("up").all
    assert "app.py:3 contains the old port" in said
    assert "source files were searched" not in said


def test_setup_from_scratch_gives_a_command_what_its_first_run_found(make: Make) -> None:
    project = make(
        '[project]\nname = "again"\n[postgres]\ndatabase = "app"\n[steps.setup]\ncommand = ["{python}", "setup.py"]\n',
        setup_py="import os, psycopg\n"
        "url = os.environ['DATABASE_URL']\n"
        "with psycopg.connect(url.rpartition('/')[0] + '/postgres', autocommit=True) as connection:\n"
        "    connection.execute('CREATE DATABASE app')\n"
        "with psycopg.connect(url) as connection:\n"
        "    connection.execute('CREATE TABLE users (id int PRIMARY KEY)')\n",
    )
    project.ok("up")
    project.ok("db", "--write", "CREATE TABLE mine (id int)")
    project.ok("setup", "-y")
    assert project.devenv("db", "SELECT * FROM mine").code == 1
    assert project.json("db", "SELECT count(*) FROM users")["rows"] == [[0]]
    assert project.json("status")["steps"][0]["state"] == "done"


def test_a_setting_that_waits_for_a_restart_is_said_by_the_next_up(make: Make) -> None:
    settings = '[project]\nname = "moved"\n[postgres]\ndatabase = "app"\n[steps.setup]\nfiles = ["a.sql"]\n'
    project = make(settings, a_sql="CREATE TABLE users (id uuid PRIMARY KEY);")
    project.ok("up")
    file = project.path / "devenv.toml"
    file.write_text(file.read_text().replace("[postgres]\n", '[postgres]\nsource = "system"\n'))
    second = " ".join(project.ok("up").all.split())
    assert "[postgres] source = system is not in effect" in second
    assert "devenv down && devenv up" in second
    project.ok("down")
    again = project.devenv("up")
    if again.code == 9:  # the machine's PostgreSQL is of another major version
        assert "either [postgres] source in devenv.toml changed" in " ".join(again.all.split())
    else:
        assert again.code in (0, 10), again.all
