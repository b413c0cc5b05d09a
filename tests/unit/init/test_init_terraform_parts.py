"""Tags of Terraform's tables, and the parts of a table that DynamoDB Local does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.survey import survey
from devenv.init.terraform_tables import read_terraform_tables

TABLE = """
locals {
  base = { owner = "harbour" }
}
resource "aws_dynamodb_table" "boats" {
  name         = "boats"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
  PART
}
"""


@pytest.mark.parametrize(
    ("part", "tags", "lost"),
    [
        ('tags = { team = "sea", size = 3 }', {"team": "sea", "size": "3"}, ()),
        ('tags = merge(local.base, { team = "sea" })', {"owner": "harbour", "team": "sea"}, ()),
        ("tags = var.tags", None, ("tags",)),
        ("tags = { team = var.team }", None, ("tags",)),
        ("tags = {}", None, ()),
        ("point_in_time_recovery {\n enabled = true\n}", None, ("point_in_time_recovery",)),
        ("point_in_time_recovery {\n enabled = false\n}", None, ()),
        ("server_side_encryption {\n enabled = var.secret\n}", None, ("server_side_encryption",)),
        ('replica {\n region_name = "eu-west-1"\n}', None, ("replica",)),
        ("ttl {\n attribute_name = var.ttl\n}", None, ("ttl",)),
        ("ttl {\n enabled = false\n}", None, ()),
        ("stream_enabled = var.stream", None, ("stream_enabled",)),
        ('table_class = "STANDARD"', None, ()),
        ('table_class = "STANDARD_INFREQUENT_ACCESS"', None, ("table_class",)),
    ],
)
def test_a_part_is_carried_over_or_named(part: str, tags: dict[str, str] | None, lost: tuple[str, ...]) -> None:
    (made,), _ = read_terraform_tables("main.tf", TABLE.replace("PART", part))
    carried = made.request.get("Tags")
    assert (carried and {each["Key"]: each["Value"] for each in carried}) == tags
    assert made.dropped == lost


def test_the_public_module_is_no_exception(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        """
module "boats" {
  source                         = "terraform-aws-modules/dynamodb-table/aws"
  name                           = "boats"
  hash_key                       = "id"
  attributes                     = [{ name = "id", type = "S" }]
  point_in_time_recovery_enabled = true
  tags                           = { team = "sea" }
}
"""
    )
    found = survey(tmp_path)
    assert found.tables[0].request["Tags"] == [{"Key": "team", "Value": "sea"}]
    assert "main.tf:2: point_in_time_recovery of table boats: left out" in found.unused
