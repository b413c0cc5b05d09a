"""Names of tables that stand elsewhere: in JSON settings, references of serverless.yml, defaults of CloudFormation."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

PROPERTIES = """AttributeDefinitions: [{AttributeName: plate, AttributeType: S}]
        KeySchema: [{AttributeName: plate, KeyType: HASH}]
        BillingMode: PAY_PER_REQUEST
"""


def names(root: Path, files: dict[str, str]) -> list[str]:
    return [table.table for table in survey(write(root, files)).tables]


# --- CloudFormation


@pytest.mark.parametrize(
    "name",
    [
        '!If [HasSuffix, !Sub "plate-scans-${Suffix}", plate-scans]',
        '!Join ["", [plate-scans, !If [HasSuffix, !Sub "-${Suffix}", ""]]]',
        '!Sub "${Suffix}plate-scans"',
    ],
)
def test_an_empty_default_is_a_default(tmp_path: Path, name: str) -> None:
    template = f"""
Parameters:
  Suffix: {{Type: String, Default: ""}}
Conditions:
  HasSuffix: !Not [!Equals [!Ref Suffix, ""]]
Resources:
  ScansTable:
    Type: AWS::DynamoDB::Table
    Properties:
        TableName: {name}
        {PROPERTIES}"""
    _, body = made(tmp_path, {"template.yaml": template})
    assert "template.yaml:7: the definition of table plate-scans" in body["found"]
    assert not body["edits"]


def test_a_variable_has_the_name_without_the_unknown_suffix(tmp_path: Path) -> None:
    template = f"""
Resources:
  ScansTable:
    Type: AWS::DynamoDB::Table
    Properties:
        TableName: !Sub "plate-scans-${{Suffix}}"
        {PROPERTIES}"""
    files = {"template.yaml": template, ".env.template": "PLATE_SCANS_TABLE=plate-scans\n"}
    assert names(tmp_path, files) == ["plate-scans"]


# --- the Serverless Framework

SERVERLESS = f"""
service: herbs
provider: {{name: aws, stage: "${{opt:stage, 'dev'}}"}}
custom:
  names:
    dev: herb-beds-dev
    prod: herb-beds
  bedsTable: ${{self:custom.names.${{sls:stage}}}}
  logs: ${{file(config/${{sls:stage}}.yml):tables.logs}}
  all: ${{file(config/dev.yml)}}
resources:
  Resources:
    Beds:
      Type: AWS::DynamoDB::Table
      Properties:
        TableName: NAME
        {PROPERTIES}"""


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("${self:custom.bedsTable}", "herb-beds-dev"),
        ("${self:custom.logs}", "herb-logs-dev"),
        ("${self:custom.all.tables.logs}", "herb-logs-dev"),
        ("${file(config/dev.yml):tables.logs}-b", "herb-logs-dev-b"),
        ("${self:service}-${sls:stage}", "herbs-dev"),
        ("${env:HERB_TABLE, 'herb-default'}", "herb-default"),
        ("${self:custom.missing, 'herb-missing'}", "herb-missing"),
        ("${ssm:/herbs/table}", "Beds"),
    ],
)
def test_references_of_serverless_are_filled_in(tmp_path: Path, name: str, table: str) -> None:
    files = {"serverless.yml": SERVERLESS.replace("NAME", name), "config/dev.yml": "tables: {logs: herb-logs-dev}\n"}
    assert names(tmp_path, files) == [table]


def test_resources_in_a_file_of_their_own_have_the_values_of_serverless_yml(tmp_path: Path) -> None:
    head, _, resources = SERVERLESS.partition("resources:\n")
    files = {
        "api/serverless.yml": f"{head}resources:\n  - ${{file(resources/tables.yml)}}\n",
        "api/resources/tables.yml": resources.replace("NAME", "${self:custom.bedsTable}"),
    }
    assert names(tmp_path, files) == ["herb-beds-dev"]


def test_references_that_stand_for_gigabytes_are_left(tmp_path: Path) -> None:
    rows = "".join(f"  a{n}: x{f'${{self:custom.a{n + 1}}}' * 200}\n" for n in range(5))
    text = SERVERLESS.replace("NAME", "${self:custom.a0}").replace("custom:\n", f"custom:\n{rows}  a5: y\n")
    assert names(tmp_path, {"serverless.yml": text}) == ["Beds"]


# --- settings in JSON

SETTINGS = {"config/default.json": '{"dynamo": {"readings": "gauges"}}', "package.json": "{}"}
CREATE = """
const { CreateTableCommand } = require('@aws-sdk/client-dynamodb');
client.send(new CreateTableCommand({ TableName: NAME, BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [{ AttributeName: 'gauge', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'gauge', KeyType: 'HASH' }] }));
"""


@pytest.mark.parametrize(
    ("head", "name", "table"),
    [
        ("const config = require('config');", "config.get('dynamo.readings')", "gauges"),
        ("import config from 'config';", "config.get<string>('dynamo.readings')", "gauges"),
        ("const own = require('../config/default.json');", "own.dynamo.readings + '-b'", "gauges-b"),
        ("const { dynamo } = require('../config/default.json');", "`${dynamo.readings}-c`", "gauges-c"),
        ("import own from '../config/default.json' with { type: 'json' };", "own.dynamo.readings", "gauges"),
        (
            "const own = JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'config', 'default.json'), 'utf8'));",
            "own.dynamo.readings",
            "gauges",
        ),
        ("const own = JSON.parse(readFileSync('config/default.json'));", "own.dynamo['readings']", "gauges"),
    ],
)
def test_a_name_stands_in_a_json_file(tmp_path: Path, head: str, name: str, table: str) -> None:
    script = {"scripts/create.ts" if "import" in head else "scripts/create.js": head + CREATE.replace("NAME", name)}
    assert names(tmp_path, {**SETTINGS, **script}) == [table]


def test_the_settings_for_development_come_first(tmp_path: Path) -> None:
    text = "const config = require('config');" + CREATE.replace("NAME", "config.get('dynamo.readings')")
    more = {"config/development.json": '{"dynamo": {"readings": "gauges-dev"}}', "scripts/create.js": text}
    assert names(tmp_path, {**SETTINGS, **more}) == ["gauges-dev"]


def test_what_the_settings_do_not_have_is_listed(tmp_path: Path) -> None:
    text = "const config = require('config');" + CREATE.replace("NAME", "config.get('dynamo.other')")
    _, body = made(tmp_path, {**SETTINGS, "scripts/create.js": text})
    assert any("CreateTableCommand, whose request is computed" in each for each in body["unused"])


# --- texts that are put together


@pytest.mark.parametrize(
    ("name", "table"),
    [('f"{PREFIX}rides"', "dev_rides"), ('PREFIX + "rides"', "dev_rides"), ('f"{ROOT}-{STAGE}"', "rides-local")],
)
def test_a_name_that_python_puts_together(tmp_path: Path, name: str, table: str) -> None:
    text = f"""
import os, boto3
PREFIX = os.environ["TABLE_PREFIX"]
STAGE = os.getenv("STAGE", "local")
ROOT = "rides"
boto3.client("dynamodb").create_table(TableName={name}, BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{{"AttributeName": "pk", "AttributeType": "S"}}],
    KeySchema=[{{"AttributeName": "pk", "KeyType": "HASH"}}])
"""
    assert names(tmp_path, {"create.py": text, ".env.example": "TABLE_PREFIX=dev_\n"}) == [table]


def test_texts_that_stand_for_millions_of_parts_end(tmp_path: Path) -> None:
    lines = [f'a{n} = f"{"".join([f"{{a{n + 1}}}"] * 11)}"' for n in range(15)]
    call = 'boto3.client("dynamodb").create_table(TableName=a0, KeySchema=[], AttributeDefinitions=[])'
    text = "\n".join(["import boto3", *lines, 'a15 = ""', call])
    assert names(tmp_path, {"create.py": text}) == []
