"""init declares [person] for a table that shows that it has people, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

TABLE = """
import boto3
boto3.client("dynamodb").create_table(
    TableName="bees",
    AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
)
"""


def app(table: str, columns: str) -> dict[str, str]:
    """A project with one table, whose rows the items refer to by a code."""
    return {
        "requirements.txt": "flask\nboto3\npsycopg\n",
        "schema.sql": f"CREATE TABLE {table} (id uuid PRIMARY KEY, {columns});",
        "tables.py": TABLE,
        "repo.py": f'''
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("bees")
def add(code, at):
    table.put_item(Item={{"pk": f"X#{{code}}", "sk": at, "{table.removesuffix("s")}_code": code, "at": at}})
def notes_of(code):
    return table.query(KeyConditionExpression=Key("pk").eq(f"X#{{code}}"))["Items"]
''',
    }


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("hives", "code text NOT NULL UNIQUE, name text"),
        ("apiaries", "code text NOT NULL UNIQUE, slug text UNIQUE"),
        ("farms", "code text NOT NULL UNIQUE, external_id text"),
    ],
)
def test_a_table_of_things_is_no_person(tmp_path: Path, table: str, columns: str) -> None:
    settings, body = made(tmp_path, app(table, columns))
    assert settings.person is None
    (sentence,) = [each for each in body["undeclared"] if each.startswith("[person]")]
    assert f"({table})" in sentence
    assert [each.sql for each in settings.trace.values()] == [None]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("keepers", "code text NOT NULL UNIQUE, email text"),
        ("keepers", "code text NOT NULL UNIQUE, password_hash text"),
        ("keepers", "code text NOT NULL UNIQUE, cognito_sub text"),
        ("members", "code text NOT NULL UNIQUE"),
    ],
)
def test_a_table_with_evidence_of_people_is_the_person(tmp_path: Path, table: str, columns: str) -> None:
    settings, body = made(tmp_path, app(table, columns))
    assert settings.person is not None
    assert settings.person.table == f"public.{table}"
    assert not [each for each in body["undeclared"] if each.startswith("[person]")]


def test_the_table_of_an_opaque_token_is_the_person(tmp_path: Path) -> None:
    lookup = 'ROW = "SELECT id FROM keepers WHERE api_token = %s"\n'
    files = app("keepers", "code text NOT NULL UNIQUE, api_token text")
    settings, _ = made(tmp_path, files | {"auth.py": lookup})
    assert settings.person is not None
    assert settings.person.table == "public.keepers"


@pytest.mark.parametrize(
    ("more", "person"), [("", None), ("  @Column({ unique: true }) email: string;\n", "public.agents")]
)
def test_a_name_alone_makes_no_people_of_entities(tmp_path: Path, more: str, person: str | None) -> None:
    entity = (
        "import { Entity, PrimaryGeneratedColumn, Column } from 'typeorm';\n"
        "@Entity('agents')\nexport class Agent {\n  @PrimaryGeneratedColumn('uuid') id: string;\n"
        f"  @Column() name: string;\n{more}}}\n"
    )
    table = TABLE.replace('"pk"', '"agent_id"')
    repo = (
        'import boto3\ntable = boto3.resource("dynamodb").Table("bees")\n'
        'def add(agent_id, at, text):\n    table.put_item(Item={"agent_id": agent_id, "sk": at, "text": text})\n'
    )
    package = '{"name": "a", "dependencies": {"typeorm": "0.3", "pg": "8"}}'
    files = {"package.json": package, "src/agent.entity.ts": entity, "tables.py": table, "repo.py": repo}
    settings, _ = made(tmp_path, files)
    assert (settings.person.table if settings.person else None) == person
