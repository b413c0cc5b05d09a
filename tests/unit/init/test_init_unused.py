"""`devenv init` lists what it saw and cannot use, and says what to declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

ASKS = """
import boto3
from boto3.dynamodb.conditions import Key

def visits(place_id):
    table = boto3.resource("dynamodb").Table("visits")
    return table.query(KeyConditionExpression=Key("place_id").eq(place_id))["Items"]
"""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app.py": ASKS}, "app.py:7: queries table visits by `place_id`, but no definition of the table was found"),
        (
            {"app.py": "import boto3\nddb = boto3.client('dynamodb')\n"},
            "app.py: uses DynamoDB, but neither a definition nor a query of a table",
        ),
        (
            {"requirements.txt": "boto3\n"},
            "requirements.txt: suggests DynamoDB, but neither a definition nor a query of a table",
        ),
        (
            {"compose.yaml": "services: {db: {image: amazon/dynamodb-local}}"},
            "compose.yaml: suggests DynamoDB, but neither a definition nor a query of a table",
        ),
    ],
)
def test_tables_that_are_nowhere(tmp_path: Path, files: dict[str, str], said: str) -> None:
    write(tmp_path, {**files, "schema.sql": "CREATE TABLE authors (id int PRIMARY KEY);"})
    [sentence] = survey(tmp_path).unused
    assert sentence.startswith(said)
    assert sentence.endswith("write its CreateTable request as JSON and name the file in [steps.schema-load]")


def test_nothing_of_dynamodb_is_asked_for_in_a_project_without_it(tmp_path: Path) -> None:
    write(tmp_path, {"schema.sql": "CREATE TABLE authors (id int PRIMARY KEY);", "requirements.txt": "psycopg\n"})
    assert survey(tmp_path).unused == ()


CREATOR = """\
import boto3
def make(name, key):
    boto3.client("dynamodb").create_table(TableName=name, KeySchema=[key])
if __name__ == "__main__":
    make("notes", input())
"""
WRITER = """\
import boto3
def put_note(id, text):
    boto3.resource("dynamodb").Table("notes").put_item(Item={"id": id, "text": text})
"""


def test_scripts_that_a_step_runs_are_not_called_unused(tmp_path: Path) -> None:
    files = {
        "db.sql": "CREATE TABLE a (id int);",
        "tools/tables.py": CREATOR,
        "shop/notes.py": WRITER,
        "tools/seed_notes.py": 'from shop.notes import put_note\nput_note("1", "x")\n',
    }
    settings, body = made(tmp_path, files)
    assert settings.steps.schema_load.command == ["{python}", "tools/tables.py"]
    assert settings.steps.seed.command == ["{python}", "-m", "tools.seed_notes"]
    assert not [each for each in body["unused"] if each.startswith("tools/")]


def test_a_script_whose_question_is_open_is_listed(tmp_path: Path) -> None:
    files = {"db.sql": "CREATE TABLE a (id int);", "tools/tables.py": CREATOR}
    _, body = made(tmp_path, files, yes=False)
    assert [each for each in body["unused"] if each.startswith("tools/tables.py")]


MAKES = (
    "import { CreateTableCommand } from '@aws-sdk/client-dynamodb';\n\nawait ddb.send(new CreateTableCommand({}));\n"
)
IN_PYTHON = "import boto3\n\nboto3.client('dynamodb').create_table(TableName='t', KeySchema=[])\n"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "test/prepare.ts",
            MAKES,
            "test/prepare.ts:3: not used, because this table definition is in a folder of tests",
        ),
        ("src/shop.test.ts", MAKES, "src/shop.test.ts:3: not used, because this table definition is in a test"),
        (
            "tests/conftest.py",
            IN_PYTHON,
            "tests/conftest.py:3: not used, because this table definition is in a folder of tests",
        ),
        (
            "it/store_test.go",
            'import "dynamodb"\n\nx := dynamodb.CreateTableInput{}\n',
            "it/store_test.go:3: not used, because this table definition is in a test",
        ),
        # A table of Postgres.
        ("test/knex.js", "// no dynamodb\nknex.schema.createTable('carts', (t) => t.increments());\n", None),
    ],
)
def test_a_definition_of_tests_is_listed(tmp_path: Path, file: str, text: str, said: str | None) -> None:
    found = [line for line in survey(write(tmp_path, {file: text})).unused if "table definition is in a" in line]
    assert [line[: len(said or "")] for line in found] == ([said] if said else [])
