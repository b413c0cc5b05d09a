"""`devenv policy`: what the documents say, what is refused, and which files are written. Nothing is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.config.schema import Pattern
from devenv.core.errors import UsageError
from devenv.policy.documents import Wish, application, check_size, check_wish, deny_deletion, organisation
from tests.support import ProjectDir, reference_project

ACCOUNT = "123456789012"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/admin"


@pytest.fixture
def shop(tmp_path: Path) -> ProjectDir:
    return reference_project(tmp_path / "project")


def statements(document: Any) -> dict[str, Any]:
    found = {each["Sid"]: each for each in document["Statement"]}
    assert len(found) == len(document["Statement"]), "IAM wants every Sid once"
    return found


def test_the_denials_name_tables_and_indexes_in_every_region() -> None:
    found = statements(deny_deletion(Wish(("orders", "lines"), ("eu-central-1",))).document)
    assert found["DenyTableDeletion"] == {
        "Sid": "DenyTableDeletion",
        "Effect": "Deny",
        "Action": ["dynamodb:DeleteTable", "dynamodb:DeleteTableReplica"],
        "Resource": [
            "arn:aws:dynamodb:*:*:table/orders",
            "arn:aws:dynamodb:*:*:table/orders/index/*",
            "arn:aws:dynamodb:*:*:table/lines",
            "arn:aws:dynamodb:*:*:table/lines/index/*",
        ],
    }
    assert set(found) == {"DenyTableDeletion", "DenyBackupDeletion"}


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_every_partition_has_its_own_arns(region: str, partition: str) -> None:
    found = statements(deny_deletion(Wish(("orders",), (region,), ACCOUNT, (ADMIN,), lock=True)).document)
    assert set(found) == {"DenyTableDeletion", "DenyBackupDeletion", "DenyUndoingProtection"}
    for each in found.values():
        assert each["Resource"][0].startswith(f"arn:{partition}:dynamodb:*:{ACCOUNT}:table/orders")
        assert each["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": [ADMIN]}}


def test_the_organisation_is_locked_to_its_regions() -> None:
    found = statements(organisation(Wish(("orders",), ("eu-central-1", "eu-west-1"))).document)
    region = found["DenyOtherRegions"]
    assert region["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}}
    assert {"iam:*", "sts:*", "organizations:*", "route53:*", "cloudfront:*", "support:*"} <= set(region["NotAction"])
    assert not any(action.startswith("dynamodb:") for action in region["NotAction"])
    assert "DenyReplicas" not in found
    assert "DenyTableCreation" not in found
    alone = statements(organisation(Wish(("orders",), ("eu-central-1",), admins=(ADMIN,))).document)
    assert {"DenyReplicas", "DenyTableCreation"} < set(alone)


def test_the_application_gets_what_its_patterns_need() -> None:
    patterns = {
        "one": Pattern(table="a-b", key={"pk": "x"}),
        "two": Pattern(table="a-b", index="by-c", key={"c": "x"}),
        "three": Pattern(table="a.b", operation="Scan"),
        "rows": Pattern(sql="SELECT 1"),
        "elsewhere": Pattern(table="other", key={"pk": "x"}),
    }
    wish = Wish(("a*",), ("eu-central-1",), ACCOUNT, writes=True)
    found = {
        each["Resource"][0].split("table/")[1]: each["Action"]
        for each in statements(application(patterns, wish).document).values()
    }
    assert set(found) == {"a-b", "a-b/index/by-c", "a.b"}
    assert found["a-b/index/by-c"] == ["dynamodb:Query"]
    assert found["a-b"][:2] == ["dynamodb:Query", "dynamodb:PutItem"]
    assert found["a.b"][0] == "dynamodb:Scan"


@pytest.mark.parametrize(
    "wish",
    [
        Wish(("orders",), account="12345"),
        Wish(("orders",), account="ACCOUNT_ID"),
        Wish(("orders",), ("Europe",)),
        Wish(("or ders",)),
        Wish(("x",)),
        Wish(("orders",), admins=("admin",)),
        Wish(("orders",), admins=(f"arn:aws:iam::{ACCOUNT}:role/*",)),
        Wish(("orders",), admins=("arn:aws:iam::*:role/*/**",)),
        Wish(("orders",), admins=(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/session",)),
        Wish(()),
    ],
)
def test_what_is_no_part_of_an_arn_is_refused(wish: Wish) -> None:
    """AWS would take such a policy, and it would protect nothing."""
    with pytest.raises(UsageError):
        check_wish(wish)


def test_a_role_may_have_a_path_and_a_name_that_ends_differently() -> None:
    check_wish(Wish(("orders",), admins=(ADMIN, f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/*/Admin_*")))


def test_a_document_that_aws_would_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match="AWS takes 5120"):
        check_size(organisation(Wish(tuple(f"table-{n:03}" for n in range(60)), ("eu-central-1",))))


def test_what_cannot_be_made_is_said(shop: ProjectDir) -> None:
    (shop.path / "devenv.toml").write_text((shop.path / "devenv.toml").read_text().partition("[safety]")[0])
    body = shop.json("policy")
    assert [each["name"] for each in body["policies"]] == ["deny-deletion"]
    assert [each["name"] for each in body["missing"]] == ["organisation", "application"]
    refused = shop.devenv("policy", "application")
    assert (refused.code, refused.out) == (2, "")
    assert "hint: add --account (12 digits) and --region NAME" in refused.err
    assert shop.devenv("policy", "everything").code == 2


def test_the_documents_alone_go_to_other_programs(shop: ProjectDir) -> None:
    one = json.loads(shop.ok("policy", "deny-deletion", "--format", "json").out)
    assert set(one) == {"Version", "Statement"}
    every = json.loads(shop.ok("policy", "--region", "eu-central-1", "--account", ACCOUNT, "--format", "json").out)
    assert list(every) == ["deny-deletion", "organisation", "application"]
    assert "to attach: aws organizations create-policy" in shop.ok("policy", "--region", "eu-central-1").out


def test_files_are_written_and_none_is_overwritten_unasked(shop: ProjectDir) -> None:
    out = str(shop.path / "policies")
    written = shop.json("policy", "--region", "eu-central-1", "--account", ACCOUNT, "--out", out)["written"]
    assert [Path(path).name for path in written] == ["deny-deletion.json", "organisation.json", "application.json"]
    kept = shop.path / "policies" / "deny-deletion.json"
    assert "DenyTableDeletion" in kept.read_text()
    kept.write_text("mine")
    refused = shop.devenv("policy", "--out", out)
    assert (refused.code, kept.read_text()) == (2, "mine")
    assert "Overwrite" in refused.err
    shop.ok("policy", "deny-deletion", "--out", str(kept), "-y")
    assert "DenyTableDeletion" in kept.read_text()
    file = shop.path / "file"
    file.write_text("mine")
    assert shop.devenv("policy", "--out", str(file), "-y").code == 2
