"""Tables of Terraform whose values come from outside their file: `dev.tfvars`, variables of .env, calls of modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

RIDES = """
variable "prefix" {}
resource "aws_dynamodb_table" "rides" {
  name         = "${var.prefix}rides"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  attribute {
    name = "pk"
    type = "S"
  }
}
"""
MODULE = {
    "infra/modules/table/variables.tf": 'variable "name" {}\nvariable "hash_key" {}\nvariable "prefix" {\n'
    '  default = "none"\n}\n',
    "infra/modules/table/main.tf": """
resource "aws_dynamodb_table" "this" {
  name         = var.name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = var.hash_key
  attribute {
    name = var.hash_key
    type = "S"
  }
}
""",
}


def tables(root: Path, files: dict[str, str]) -> dict[str, str]:
    """Table -> its hash key."""
    return {t.table: t.request["KeySchema"][0]["AttributeName"] for t in survey(write(root, files)).tables}


@pytest.mark.parametrize(
    ("files", "named_by"),
    [
        ({"infra/dev.tfvars": 'prefix = "dev_"\n', "infra/prod.tfvars": 'prefix = ""\n'}, "infra/dev.tfvars"),
        ({"infra/terraform.tfvars": 'prefix = "dev_"\n'}, "infra/terraform.tfvars"),
        ({"infra/envs/local.tfvars": 'prefix = "dev_"\n'}, "infra/envs/local.tfvars"),
        ({".env.example": "TABLE_PREFIX=dev_\n"}, "TABLE_PREFIX"),
    ],
)
def test_a_name_is_filled_in_and_the_file_says_from_where(tmp_path: Path, files: dict[str, str], named_by: str) -> None:
    _, body = made(tmp_path, {"infra/main.tf": RIDES, **files})
    assert "infra/main.tf:3: the definition of table dev_rides" in body["found"]
    assert f"Its name is filled in from {named_by}." in " ".join((tmp_path / "devenv.toml").read_text().split("\n# "))
    assert not body["edits"]


@pytest.mark.parametrize("more", [{}, {".env.example": "A_PREFIX=a_\nB_PREFIX=b_\n"}])
def test_a_name_without_one_known_value_is_a_question(tmp_path: Path, more: dict[str, str]) -> None:
    _, body = made(tmp_path, {"infra/main.tf": RIDES, **more})
    assert any("Is rides the table's name?" in each for each in body["edits"])


def test_a_module_of_the_project_makes_a_table_for_each_call(tmp_path: Path) -> None:
    calls = """
variable "prefix" {}
module "audit" {
  source   = "./modules/table"
  name     = "${var.prefix}audit"
  hash_key = "event"
}
module "rest" {
  source   = "./modules/table"
  for_each = { bikes = "bike", stops = "stop" }
  name     = "${var.prefix}${each.key}"
  hash_key = each.value
}
"""
    files = {**MODULE, "infra/main.tf": calls, "infra/dev.tfvars": 'prefix = "dev_"\n'}
    assert tables(tmp_path, files) == {"dev_audit": "event", "dev_bikes": "bike", "dev_stops": "stop"}
    assert not any("main.tf" in each for each in survey(tmp_path).unused)


def test_an_open_name_of_a_module_is_called_by_the_call(tmp_path: Path) -> None:
    call = 'module "audit" {\n  source = "./modules/table"\n  name = "${var.prefix}audit"\n  hash_key = "event"\n}\n'
    assert tables(tmp_path, {**MODULE, "infra/main.tf": call}) == {"audit": "event"}


def test_a_module_that_is_not_called_is_listed(tmp_path: Path) -> None:
    said = survey(write(tmp_path, MODULE)).unused
    assert any(each.startswith("infra/modules/table/main.tf: 1 table definition") for each in said)


def test_the_public_module_makes_a_table_of_its_inputs(tmp_path: Path) -> None:
    call = """
module "ledger" {
  source     = "terraform-aws-modules/dynamodb-table/aws"
  version    = "~> 4.0"
  name       = "ledger"
  hash_key   = "account"
  range_key  = "number"
  attributes = [{ name = "account", type = "S" }, { name = "number", type = "N" }, { name = "day", type = "S" }]
  global_secondary_indexes = [{ name = "by-day", hash_key = "day", projection_type = "ALL" }]
}
"""
    (table,) = survey(write(tmp_path, {"main.tf": call})).tables
    assert (table.table, table.line) == ("ledger", 2)
    assert [part["AttributeName"] for part in table.request["KeySchema"]] == ["account", "number"]
    assert table.request["GlobalSecondaryIndexes"][0]["IndexName"] == "by-day"
