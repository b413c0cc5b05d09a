"""`devenv init` finds the names of tables that templates compute: .tfvars, mappings, SSM, defaults of code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

TERRAFORM = """
variable "env" {
  default = "dev"
}
locals {
  name = "shop-${var.env}-readings"
}
resource "aws_dynamodb_table" "readings" {
  name         = local.name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
}
"""


def template(name: str, parameters: str = "{}", more: str = "") -> str:
    return f"""\
Parameters: {parameters}
Mappings:
  Names: {{dev: {{orders: orders-of-dev}}}}
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: {name}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
      KeySchema: [{{AttributeName: id, KeyType: HASH}}]
{more}"""


def names(root: Path, files: dict[str, str]) -> list[str]:
    return [table.table for table in survey(write(root, files)).tables]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, "shop-dev-readings"),
        ({"terraform.tfvars": 'env = "mine"'}, "shop-mine-readings"),
        ({"x.auto.tfvars": 'env = "auto"', "prod.tfvars": 'env = "prod"'}, "shop-auto-readings"),
        ({"prod.tfvars": 'env = "prod"', "local.tfvars": 'env = "local"'}, "shop-local-readings"),
        ({"envs/dev/terraform.tfvars": 'env = "d1"', "envs/prod/terraform.tfvars": 'env = "p1"'}, "shop-d1-readings"),
        ({"terraform.tfvars": "env = {"}, "shop-dev-readings"),
    ],
)
def test_variables_of_terraform_have_the_values_of_their_files(
    tmp_path: Path, files: dict[str, str], name: str
) -> None:
    placed = {f"infra/{file}": text for file, text in files.items()}
    assert names(tmp_path, {"infra/main.tf": TERRAFORM, **placed}) == [name]


@pytest.mark.parametrize(
    ("given", "parameters", "more", "name"),
    [
        ("!FindInMap [Names, !Ref Stage, orders]", "{Stage: {Type: String, Default: dev}}", "", "orders-of-dev"),
        (
            "!Ref T",
            "{T: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /shop/orders}}",
            "  P:\n    Type: AWS::SSM::Parameter\n    Properties: {Name: /shop/orders, Value: the-orders}\n",
            "the-orders",
        ),
    ],
)
def test_names_that_the_template_itself_gives(
    tmp_path: Path, given: str, parameters: str, more: str, name: str
) -> None:
    assert names(tmp_path, {"template.yaml": template(given, parameters, more)}) == [name]


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        ("!Ref T", "{T: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /shop/orders}}"),
        ("'{{resolve:ssm:/shop/orders}}'", "{}"),
        ("!FindInMap [Names, prod, orders]", "{}"),
        ('!Sub "orders-${Stage}"', "{Stage: {Type: String}}"),
    ],
)
def test_a_name_that_is_stored_elsewhere_is_asked_for(tmp_path: Path, given: str, parameters: str) -> None:
    settings, body = made(tmp_path, {"template.yaml": template(given, parameters)})
    (file,) = settings.steps.schema_load.files
    assert json.loads((tmp_path / file).read_text())["TableName"] == "Orders"
    assert any("Is Orders the table's name?" in each for each in body["edits"])


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("app.py", 'import os\nT = os.environ.get("ORDERS_TABLE", "orders-blue")\n'),
        ("app.ts", 'const t = process.env.ORDERS_TABLE ?? "orders-blue";\n'),
        ("run.sh", 'export ORDERS_TABLE="${ORDERS_TABLE:-orders-blue}"\n'),
    ],
)
def test_the_default_of_the_code_settles_a_computed_name(tmp_path: Path, file: str, code: str) -> None:
    text = template('!Sub "orders-${Stage}"', "{Stage: {Type: String}}")
    assert names(tmp_path, {"template.yaml": text, file: code}) == ["orders-blue"]


def test_a_known_variable_wins_over_the_default_of_the_code(tmp_path: Path) -> None:
    text = template('!Sub "orders-${Stage}"', "{Stage: {Type: String}}")
    code = 'import os\nT = os.environ.get("ORDERS_TABLE", "orders-blue")\n'
    files = {"template.yaml": text, "app.py": code, ".env": "ORDERS_TABLE=orders-red\n"}
    assert names(tmp_path, files) == ["orders-red"]
