"""The advice for an id without a row cures: deleted rows come back, and an id of another table is called one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.support import ProjectDir, empty_project

SETTINGS = """
[project]
name = "lab"

[steps.setup]
files = ["lab.sql"]

[entities.check]
table = "checks"
match = { pk = "TOOL#{tool}" }

[entities.check.attributes]
tool = "uuid"
person = "uuid"
driver = "number"

[[links]]
from = "dynamodb:checks.tool"
to = "postgres:tools.id"

[[links]]
from = "dynamodb:checks.person"
to = "postgres:people.id"

[[links]]
from = "dynamodb:checks.driver"
to = "postgres:drivers.id"

[trace.check]
params = { tool = "string" }
sql = "SELECT id FROM tools WHERE id = %(tool)s::uuid"
entity = "check"
where = { tool = "{tool}" }
ids = { dynamodb = "tool" }
"""
TOOL, ADA = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
SQL = f"""
CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL, desk integer);
CREATE TABLE tools (id uuid PRIMARY KEY, owner uuid REFERENCES people);
CREATE TABLE drivers (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
                      loud text GENERATED ALWAYS AS (upper(name)) STORED);
INSERT INTO people VALUES ('{ADA}', 'Ada', 7);
INSERT INTO tools VALUES ('{TOOL}', '{ADA}');
INSERT INTO drivers (name) VALUES ('Olga'), ('Samir');
"""
TABLE = {
    "TableName": "checks",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = empty_project(tmp_path_factory.mktemp("advice") / "lab", SETTINGS)
    (project.path / "lab.sql").write_text(SQL)
    try:
        project.ok("up")
        with project.dynamodb() as dynamodb:
            dynamodb.call("CreateTable", TABLE)
        yield project
    finally:
        project.remove()


@pytest.fixture
def lab(served: ProjectDir) -> ProjectDir:
    """The project with the item that fits its rows."""
    write(served, person=ADA, driver=2)
    return served


def write(project: ProjectDir, person: str, driver: int) -> None:
    item = typed_item({"pk": f"TOOL#{TOOL}", "tool": TOOL, "person": person, "driver": driver})
    with project.dynamodb() as dynamodb:
        dynamodb.call("PutItem", {"TableName": "checks", "Item": item})


def test_an_id_of_another_table_is_no_deleted_row(lab: ProjectDir) -> None:
    write(lab, person=TOOL, driver=2)
    cause = f"{TOOL} is the id of a row of public.tools, not of public.people"
    verdict = lab.json("trace", "check", TOOL)["verdict"]
    row = lab.json("doctor", "--only", "XST001")["checks"][0]
    assert (verdict["layer"], verdict["class"], verdict["cause"], row["cause"]) == (
        *("cross-store", "orphan"),
        *(cause, cause),
    )
    for fix in (verdict["fix"], row["fix"]):
        assert fix["text"].startswith("write the id of a row of public.people into `person` of checks TOOL#11111111…")
        assert "deleted" not in fix["text"]
        assert TOOL in lab.ok(*shlex.split(fix["command"])[1:]).out


def test_an_id_that_never_existed_is_no_deleted_row(lab: ProjectDir) -> None:
    write(lab, person=ADA, driver=7)  # `people` has this number in another column
    verdict = lab.json("trace", "check", TOOL)["verdict"]
    assert (verdict["layer"], verdict["fix"]["command"]) == ("cross-store", "devenv doctor")
    assert "setup loaded" not in verdict["cause"]


def test_an_id_that_the_sql_does_not_find_is_that_of_another_table(lab: ProjectDir) -> None:
    verdict = lab.json("trace", "check", ADA)["verdict"]
    assert (verdict["layer"], verdict["cause"]) == ("postgres", "it is the id of a row of public.people")
    assert verdict["fix"]["command"] == f"devenv trace check {TOOL}"


def test_the_command_inserts_a_row_whose_id_postgres_always_generates(lab: ProjectDir) -> None:
    lab.ok("db", "--write", "DELETE FROM drivers WHERE id = 2")
    row = lab.json("doctor", "--only", "XST001")["checks"][0]
    assert row["cause"] == "a row that setup loaded has since been deleted: 2"
    lab.ok(*shlex.split(row["fix"]["command"])[1:])
    assert "SAMIR" in lab.ok("db", "SELECT * FROM drivers WHERE id = 2").out
    assert lab.json("doctor", "--only", "XST001")["checks"][0]["status"] == "ok"
