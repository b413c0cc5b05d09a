"""The types that `devenv init` declares: told by expressions, values and links; none where nothing tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import COMPOSE, made

SQL = """
CREATE TABLE growers (id uuid PRIMARY KEY, email text UNIQUE, api_token text UNIQUE);
CREATE TABLE beds (id uuid PRIMARY KEY, grower_id uuid REFERENCES growers(id), label text);
"""
DEFINED = """
{"TableName": "garden-log", "BillingMode": "PAY_PER_REQUEST",
 "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
 "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}
"""


def types(root: Path, loop: str, attributes: str, parameters: str = "") -> dict[str, str]:
    """The declared types of an item that a program writes."""
    code = f"""
import time
import boto3
from decimal import Decimal

def main(rows{parameters}):
    table = boto3.resource("dynamodb").Table("garden-log")
    for bed_id, unit in rows:
        {loop}
            table.put_item(Item={{"pk": f"BED#{{bed_id}}", "sk": f"PICK#{{day}}", {attributes}}})
"""
    files = {"docker-compose.yml": COMPOSE, "db/a.sql": SQL, "tables/garden.json": DEFINED, "tool/fill.py": code}
    settings, _ = made(root, files)
    (entity,) = settings.entities.values()
    return entity.attributes


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("8 + day % 3", "number"),
        ("-day", "number"),
        ("day // 2", "number"),
        ("grams", "number"),
        ("int(unit)", "number"),
        ("Decimal(unit)", "number"),
        ("int(time.time())", "number"),
        ("'ripe' if day % 2 else 'green'", "string"),
        ("'%s kg' % unit", "string"),
        ("f'{unit} kg'", "string"),
        ("day > 7", "boolean"),
        ("not unit", "boolean"),
        ("[unit]", "list"),
        ("{'unit': unit}", "map"),
        ("annotated", "number"),
        ("unit", None),
        ("unit if day else 3", None),
        ("rows[0][1]", None),
    ],
)
def test_the_type_of_an_expression(tmp_path: Path, expression: str, wanted: str | None) -> None:
    loop = "for day, grams in ((3, 400), (9, 650)):"
    assert types(tmp_path, loop, f'"yield_": {expression}', ", annotated: int = 1").get("yield_") == wanted


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        ('"picked": f"2026-06-{day:02d}T08:00:00Z"', "string"),
        ('"date": f"2026-06-{day:02d}"', "time"),
        ('"candidate": "Ada"', "string"),
        ('"created_by": unit', "string"),
        ('"created_at": unit', "time"),
        ('"size": unit', None),
    ],
)
def test_a_name_tells_a_time_only_where_it_is_one(tmp_path: Path, attribute: str, wanted: str | None) -> None:
    found = types(tmp_path, "for day in range(4):", attribute)
    assert found.get(attribute.split('"')[1]) == wanted


def test_an_id_that_a_link_reads_has_the_type_of_its_column(tmp_path: Path) -> None:
    found = types(tmp_path, "for day in (1, 2):", '"bed_id": bed_id, "grower_id": unit')
    assert (found["bed_id"], found["grower_id"]) == ("uuid", "uuid")


def test_names_are_numbered_in_turn(tmp_path: Path) -> None:
    code = """
import boto3

def main(rows, table=boto3.resource("dynamodb").Table("garden-log")):
    for grower_id, bed_id in rows:
        table.put_item(Item={"pk": f"BED#{bed_id}", "sk": "ABOUT", "grower_id": grower_id})
        table.put_item(Item={"pk": f"GROWER#{grower_id}", "sk": "ABOUT", "label": "x"})
"""
    files = {"docker-compose.yml": COMPOSE, "db/a.sql": SQL, "tables/garden.json": DEFINED, "tool/fill.py": code}
    settings, _ = made(tmp_path, files)
    assert [link.name for link in settings.links] == ["bed", "grower", "grower_2"]


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("SELECT id, email FROM growers WHERE api_token = %s", "api_token"),
        ("select * from public.growers\n where active and api_token=$1", "api_token"),
        ("SELECT id FROM growers WHERE email = %s", None),
        ("SELECT id FROM sessions WHERE api_token = %s", None),
        ("SELECT id FROM growers WHERE token_hash = %s", None),
    ],
)
def test_a_lookup_by_a_token_is_seen(tmp_path: Path, statement: str, column: str | None) -> None:
    code = f"""
import psycopg

def grower_by_token(token):
    with psycopg.connect("") as connection:
        return connection.execute('''{statement}''', (token,)).fetchone()
"""
    fill = """
import boto3

def main(rows, table=boto3.resource("dynamodb").Table("garden-log")):
    for grower_id in rows:
        table.put_item(Item={"pk": f"GROWER#{grower_id}", "sk": "ABOUT", "label": "x"})
"""
    files = {"docker-compose.yml": COMPOSE, "db/a.sql": SQL, "tables/garden.json": DEFINED, "app/db.py": code}
    settings, _ = made(tmp_path, files | {"tool/fill.py": fill})
    assert settings.person is not None
    assert (settings.token.column if settings.token else None) == column
