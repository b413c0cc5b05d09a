"""Tables of Terraform whose values are references: `for_each`, `count`, `dynamic`, locals and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devenv.init.survey import survey
from devenv.init.terraform_tables import read_terraform_tables

TABLES = """
locals {
  stage  = "local"
  tables = {
    invoices = { hash = "account", range = "number" }
    payments = { hash = "account" }
  }
}
"""
EACH = """
resource "aws_dynamodb_table" "this" {
  for_each     = local.tables
  name         = "${var.prefix}-${each.key}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = each.value.hash
  range_key    = RANGE
  dynamic "attribute" {
    for_each = values(each.value)
    content {
      name = attribute.value
      type = "S"
    }
  }
}
"""
PREFIX = 'variable "prefix" {\n  default = "bill"\n}\n'
ONE = """
resource "aws_dynamodb_table" "one" {
  MORE
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  attribute {
    name = "pk"
    type = "S"
  }
}
"""


def keys(text: str, *others: str) -> dict[str, list[Any]]:
    found, _ = read_terraform_tables("main.tf", text, others)
    return {each.table: [part["AttributeName"] for part in each.request["KeySchema"]] for each in found}


@pytest.mark.parametrize("optional", ["try(each.value.range, null)", 'lookup(each.value, "range", null)'])
def test_for_each_over_a_local_object(optional: str) -> None:
    expected = {"bill-invoices": ["account", "number"], "bill-payments": ["account"]}
    assert keys(TABLES + PREFIX + EACH.replace("RANGE", optional)) == expected
    assert keys(EACH.replace("RANGE", optional), TABLES, PREFIX) == expected


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ('for_each = toset(["aaa", "bbb"])\n  name = each.key', ["aaa", "bbb"]),
        ('for_each = { a = "first", b = "second" }\n  name = "${each.value}-x"', ["first-x", "second-x"]),
        ("for_each = toset(local.names)\n  name = each.value", ["xxx", "yyy"]),
        ("count = length(local.names)\n  name = local.names[count.index]", ["xxx", "yyy"]),
        ("count = 0\n  name = local.names[count.index]", []),
        ('name = local.deep["a"].name', ["zzz"]),
        ("for_each = toset(var.unknown)\n  name = each.key", []),
    ],
)
def test_names_by_turns(more: str, names: list[str]) -> None:
    outside = 'locals {\n  names = ["xxx", "yyy"]\n  deep = { a = { name = "zzz" } }\n}\nvariable "unknown" {}\n'
    assert [*keys(outside + ONE.replace("MORE", more))] == names


def test_a_dynamic_block_over_a_list_and_an_index() -> None:
    text = """
resource "aws_dynamodb_table" "audit" {
  name      = "audit"
  hash_key  = "entity"
  dynamic "attribute" {
    for_each = ["entity", "actor"]
    iterator = each_one
    content {
      name = each_one.value
      type = "S"
    }
  }
  dynamic "global_secondary_index" {
    for_each = { by-actor = "actor" }
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value
      projection_type = "ALL"
    }
  }
}
"""
    ((found,), _) = read_terraform_tables("main.tf", text)
    assert [each["AttributeName"] for each in found.request["AttributeDefinitions"]] == ["entity", "actor"]
    (index,) = found.request["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["KeySchema"][0]["AttributeName"]) == ("by-actor", "actor")


def test_a_name_with_a_default_is_kept_apart_from_one_without() -> None:
    ((one,), _) = read_terraform_tables("main.tf", PREFIX + ONE.replace("MORE", 'name = "${var.prefix}-one"'))
    assert (one.table, one.computed, one.defaults) == ("bill-one", "${var.prefix}-one", True)
    ((two,), _) = read_terraform_tables("main.tf", ONE.replace("MORE", 'name = "${var.prefix}-one"'))
    assert (two.table, two.computed, two.defaults) == ("one", "${var.prefix}-one", False)


def test_a_reference_to_itself_ends() -> None:
    text = "locals {\n  a = local.b\n  b = local.a\n}\n" + ONE.replace("MORE", "for_each = local.a\n  name = each.key")
    assert keys(text) == {}


def test_a_resource_that_is_not_read_is_listed_beside_one_that_makes_two(tmp_path: Path) -> None:
    two = ONE.replace("MORE", 'for_each = toset(["aaa", "bbb"])\n  name = each.key')
    (tmp_path / "main.tf").write_text(
        two + ONE.replace('"one"', '"other"').replace("MORE", "for_each = data.x.y.names")
    )
    found = survey(tmp_path)
    assert {each.table for each in found.tables} == {"aaa", "bbb"}
    assert any(line.startswith("main.tf: 1 table definition") for line in found.unused)


def test_tables_of_a_resource_that_are_not_read_are_counted(tmp_path: Path) -> None:
    text = """
resource "aws_dynamodb_table" "each" {
  for_each     = { carts = "cart", orders = var.unknown }
  name         = each.key
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = each.value
  attribute {
    name = each.value
    type = "S"
  }
}
"""
    found, notes = read_terraform_tables("main.tf", text)
    assert [each.table for each in found] == ["carts"]
    (note,) = notes
    assert note.startswith(
        "main.tf:2: 1 of the 2 tables of aws_dynamodb_table.each, with computed values, or incomplete: write"
    )
    many = text.replace("for_each     = { carts", "count = 100000 #").replace("each.value", '"pk"')
    found, notes = read_terraform_tables("main.tf", many.replace("each.key", '"t-${count.index}"'))
    assert notes == [f"main.tf:2: 99800 of the 100000 tables of aws_dynamodb_table.each, {note.partition('each, ')[2]}"]
    (tmp_path / "main.tf").write_text(text)
    assert note in "\n".join(survey(tmp_path).unused)
