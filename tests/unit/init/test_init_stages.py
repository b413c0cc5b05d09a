"""Of tables that differ only in a stage, the one that the project uses is made; the others are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

APP = """
import os, boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table(NAME)

def parcels(user_id):
    return table.query(KeyConditionExpression=Key("PK").eq(f"USER#{user_id}"))["Items"]
"""
READ = 'os.environ["PARCELS_TABLE"]'
TERRAFORM = """
locals { stages = ["prod", "staging", "dev"] }
resource "aws_dynamodb_table" "parcels" {
  for_each     = toset(local.stages)
  name         = "parcels-${each.key}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "PK"
  attribute {
    name = "PK"
    type = "S"
  }
}
"""


def table(name: str, hash_key: str = "PK") -> str:
    return json.dumps({**json.loads(TABLE.replace("PK", hash_key)), "TableName": name})


def tables_of(root: Path, files: dict[str, str], name: str = READ) -> tuple[list[str], str]:
    """The tables that schema-load makes, and all lines of the report."""
    sql = "CREATE TABLE users (id uuid PRIMARY KEY, email text UNIQUE);"
    settings, body = made(root, {"db/s.sql": sql, "app.py": APP.replace("NAME", name), **files})
    assert settings.steps.schema_load.files is not None
    requests: list[dict[str, Any]] = [
        json.loads((root / file).read_text()) for file in settings.steps.schema_load.files
    ]
    return [str(each["TableName"]) for each in requests], json.dumps(body)


THREE = {f"infra/{stage}/parcels.json": table(f"parcels-{stage}") for stage in ("dev", "prod", "staging")}


@pytest.mark.parametrize(
    ("files", "name", "chosen", "why"),
    [
        ({}, READ, "parcels-dev", "no variable chooses one"),
        ({".env": "PARCELS_TABLE=parcels-staging\n"}, READ, "parcels-staging", "the value of PARCELS_TABLE"),
        ({}, 'os.environ.get("PARCELS_TABLE", "parcels-prod")', "parcels-prod", "the code's default"),
        ({}, '"parcels-staging"', "parcels-staging", "the code names it"),
        (
            {".env": "APP_ENV=production\n"},
            "f\"parcels-{os.environ['APP_ENV']}\"",
            "parcels-prod",
            "the stage of APP_ENV",
        ),
    ],
)
def test_one_stage_is_made_and_the_others_are_listed(
    tmp_path: Path, files: dict[str, str], name: str, chosen: str, why: str
) -> None:
    names, lines = tables_of(tmp_path, {**THREE, **files}, name)
    assert names == [chosen]
    for other in {"parcels-dev", "parcels-staging", "parcels-prod"} - {chosen}:
        stage = other.removeprefix("parcels-")
        assert (
            f"infra/{stage}/parcels.json:1: table {other} belongs to another stage; devenv creates {chosen} ({why})"
            in lines
        )


def test_one_stage_of_a_template_is_made(tmp_path: Path) -> None:
    assert tables_of(tmp_path, {"main.tf": TERRAFORM})[0] == ["parcels-dev"]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({".env": "LIVE_TABLE=parcels-prod\nTRIAL_TABLE=parcels-test\n"}, READ),
        ({}, '"parcels-prod" if LIVE else "parcels-test"'),
    ],
)
def test_tables_that_are_both_in_use_are_both_made(tmp_path: Path, files: dict[str, str], name: str) -> None:
    two = {f"infra/{n}.json": table(n) for n in ("parcels-prod", "parcels-test")}
    assert tables_of(tmp_path, {**two, **files}, name)[0] == ["parcels-prod", "parcels-test"]


def test_tables_with_other_keys_are_not_one_table(tmp_path: Path) -> None:
    two = {"infra/a.json": table("parcels-dev"), "infra/b.json": table("parcels-test", "HK")}
    assert tables_of(tmp_path, two)[0] == ["parcels-dev", "parcels-test"]
