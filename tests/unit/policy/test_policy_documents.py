"""`devenv policy`: what the documents say, what is refused, and which files are written. Nothing is started."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from devenv.config.schema import Pattern, Settings
from devenv.config.schema import Project as Named
from devenv.core.errors import UsageError
from devenv.policy.application import application
from devenv.policy.deletion import deny_deletion
from devenv.policy.documents import PolicySource, check_size
from devenv.policy.organisation import MAKER, organisation
from devenv.policy.person import person
from devenv.policy.trail import trail
from devenv.policy.wish import Wish, check_wish
from tests.support import ProjectDir, reference_project

ACCOUNT = "123456789012"
NAMED = Named(name="shop")
NOTHING = PolicySource(Settings(project=NAMED))
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/admin"


@pytest.fixture
def shop(tmp_path: Path) -> ProjectDir:
    return reference_project(tmp_path / "project")


def statements(document: Any) -> dict[str, Any]:
    found = {each["Sid"]: each for each in document["Statement"]}
    assert len(found) == len(document["Statement"]), "IAM wants every Sid once"
    return found


def test_the_denials_name_tables_and_indexes_in_every_region() -> None:
    found = statements(deny_deletion(NOTHING, Wish(("orders", "lines"), ("eu-central-1",))).document)
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
    found = statements(deny_deletion(NOTHING, Wish(("orders",), (region,), ACCOUNT, (ADMIN,), lock=True)).document)
    assert set(found) == {"DenyTableDeletion", "DenyBackupDeletion", "DenyUndoingProtection"}
    for each in found.values():
        assert each["Resource"][0].startswith(f"arn:{partition}:dynamodb:*:{ACCOUNT}:table/orders")
        assert each["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": [ADMIN]}}


def test_the_organisation_is_locked_to_its_regions() -> None:
    found = statements(organisation(NOTHING, Wish(("orders",), ("eu-central-1", "eu-west-1"))).document)
    region = found["DenyOtherRegions"]
    assert region["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}}
    assert {"iam:*", "sts:*", "organizations:*", "route53:*", "cloudfront:*", "support:*"} <= set(region["NotAction"])
    assert not any(action.startswith("dynamodb:") for action in region["NotAction"])
    assert "DenyReplicas" not in found
    assert "DenyTableCreation" not in found
    alone = statements(organisation(NOTHING, Wish(("orders",), ("eu-central-1",), admins=(ADMIN,))).document)
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
        for each in statements(
            application(PolicySource(Settings(project=NAMED, patterns=patterns)), wish).document
        ).values()
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
    with pytest.raises(UsageError, match="AWS allows 5120"):
        check_size(
            organisation(NOTHING, Wish(tuple(f"table-{n:03}" for n in range(60)), ("eu-central-1",))), MAKER.limit
        )


def test_what_cannot_be_made_is_said(shop: ProjectDir) -> None:
    (shop.path / "devenv.toml").write_text((shop.path / "devenv.toml").read_text().partition("[safety]")[0])
    body = shop.json("policy")
    assert [each["name"] for each in body["policies"]] == ["deny-deletion"]
    others = ["organisation", "application", "compute-trust", "person", "person-trust", "boundary", "endpoint", "trail"]
    assert [each["name"] for each in body["missing"]] == others
    for name in ("application", "endpoint", "trail", "roles"):
        refused = shop.devenv("policy", name)
        assert (refused.code, refused.out) == (2, "")
        assert "hint: add --account (12 digits) and --region NAME" in refused.err
    assert shop.devenv("policy", "everything").code == 2


PLACE = ("--region", "eu-central-1", "--account", ACCOUNT)
POOL = "eu-central-1:00000000-0000-4000-8000-000000000000"
ROLES = ["application", "compute-trust", "person", "person-trust", "boundary"]


def test_the_documents_alone_go_to_other_programs(shop: ProjectDir) -> None:
    one = json.loads(shop.ok("policy", "deny-deletion", "--format", "json").out)
    assert set(one) == {"Version", "Statement"}
    every = json.loads(shop.ok("policy", *PLACE, "--pool", POOL, "--format", "json").out)
    assert list(every) == ["deny-deletion", "organisation", *ROLES, "endpoint", "trail"]
    assert list(json.loads(shop.ok("policy", "roles", *PLACE, "--pool", POOL, "--format", "json").out)) == ROLES
    assert "to attach: aws organizations create-policy" in shop.ok("policy", "--region", "eu-central-1").out


def test_each_is_explained_in_two_sentences(shop: ProjectDir) -> None:
    body = shop.json("policy", *PLACE, "--pool", POOL)
    assert body["missing"] == []
    told = {each["name"]: each["explain"] for each in body["policies"]}
    assert len(set(told.values())) == 9
    assert {name: len(re.findall(r"\.(?= [A-Z]|$)", text)) for name, text in told.items()} == dict.fromkeys(told, 2)
    assert told["trail"] in shop.ok("policy", "trail", *PLACE).out.replace("\n", " ")


def test_without_the_pool_the_other_roles_are_made(shop: ProjectDir) -> None:
    body = shop.json("policy", "roles", *PLACE)
    assert [each["name"] for each in body["policies"]] == ["application", "compute-trust", "person", "boundary"]
    assert [each["name"] for each in body["missing"]] == ["person-trust"]
    assert shop.devenv("policy", "person-trust", *PLACE).code == 2
    assert shop.devenv("policy", "roles", *PLACE, "--pool", "users").code == 2


def test_the_account_of_safety_is_used(shop: ProjectDir) -> None:
    file = shop.path / "devenv.toml"
    safety = '[safety]\nregions = ["eu-west-1"]\naccount = "210987654321"\ncloudtrail = "writes"\n'
    file.write_text(file.read_text().partition("# [safety]")[0] + safety)
    selectors = json.loads(shop.ok("policy", "trail", "--format", "json").out)
    fields = {each["Field"]: each for each in selectors[1]["FieldSelectors"]}
    assert fields["resources.ARN"]["Equals"] == ["arn:aws:dynamodb:eu-west-1:210987654321:table/cruddur-messages"]
    assert fields["readOnly"]["Equals"] == ["false"]


def test_files_are_written_and_none_is_overwritten_unasked(shop: ProjectDir) -> None:
    out = str(shop.path / "policies")
    written = shop.json("policy", "--region", "eu-central-1", "--out", out)["written"]
    assert [Path(path).name for path in written] == ["deny-deletion.json", "organisation.json"]
    kept = shop.path / "policies" / "deny-deletion.json"
    assert "DenyTableDeletion" in kept.read_text()
    kept.write_text("mine")
    refused = shop.devenv("policy", "--out", out)
    assert (refused.code, kept.read_text()) == (2, "mine")
    assert "Overwrite" in refused.err
    shop.ok("policy", "deny-deletion", "--out", str(kept), "-y")
    assert "DenyTableDeletion" in kept.read_text()
    roles = shop.json("policy", "roles", *PLACE, "--pool", POOL, "--out", str(shop.path / "roles"))["written"]
    assert [Path(path).name for path in roles] == [f"{name}.json" for name in ROLES]
    file = shop.path / "file"
    file.write_text("mine")
    assert shop.devenv("policy", "--out", str(file), "-y").code == 2
    assert shop.devenv("policy", "roles", *PLACE, "--out", str(file), "-y").code == 2


# --- a person's keys


def person_of(key: str, **more: Any) -> Any:
    patterns = {"own": Pattern(table="notes", key={"pk": key}, **more)}
    return person(
        PolicySource(Settings(project=NAMED, patterns=patterns)), Wish(("notes",), ("eu-central-1",), ACCOUNT)
    )


@pytest.mark.parametrize(
    ("key", "operator", "value"),
    [
        ("USER#{person.uuid}", "StringEquals", "USER#${aws:PrincipalTag/uuid}"),
        ("{person.handle}", "StringEquals", "${aws:PrincipalTag/handle}"),
        ("USER#{person.uuid}#{day}", "StringLike", "USER#${aws:PrincipalTag/uuid}#*"),
        ("{kind}#{person.uuid}", "StringLike", "*#${aws:PrincipalTag/uuid}"),
        ("a*b#{person.uuid}", "StringEquals", "a*b#${aws:PrincipalTag/uuid}"),
        ("a*b?$#{person.uuid}#{day}", "StringLike", "a${*}b${?}${$}#${aws:PrincipalTag/uuid}#*"),
    ],
)
def test_a_persons_key_as_a_condition(key: str, operator: str, value: str) -> None:
    (statement,) = person_of(key).document["Statement"]
    assert statement["Condition"] == {
        f"ForAllValues:{operator}": {"dynamodb:LeadingKeys": [value]},
        f"ForAnyValue:{operator}": {"dynamodb:LeadingKeys": [value]},
    }


@pytest.mark.parametrize("key", ["GROUP#{group}", "ALL", "USER#{person.handle}{rest}", "{rest}{person.handle}"])
def test_a_key_that_does_not_single_out_the_person_grants_nothing(key: str) -> None:
    """Beside a wildcard, the tag `ali` would also match the key of `alice`."""
    with pytest.raises(UsageError, match="names the person"):
        person_of(key)


def test_the_partition_key_counts_and_not_another_one() -> None:
    """The sort key naming the person does not keep anybody out."""
    key = {"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}
    patterns = {"one": Pattern(table="notes", operation="GetItem", key={"sk": "{person.uuid}", "pk": "NOTE#{id}"})}
    project = PolicySource(Settings(project=NAMED, patterns=patterns), {"notes": {"KeySchema": list(key)}})
    with pytest.raises(UsageError, match="names the person"):
        person(project, Wish(("notes",), ("eu-central-1",), ACCOUNT))


def test_a_scan_is_no_persons() -> None:
    with pytest.raises(UsageError, match="names the person"):
        person_of("USER#{person.uuid}", operation="Scan")


@pytest.mark.parametrize(("name", "operator"), [("orders", "Equals"), ("shop-*", "StartsWith")])
def test_a_trail_selects_a_table_or_a_beginning(name: str, operator: str) -> None:
    _, data = trail(NOTHING, Wish((name,), ("eu-central-1",), ACCOUNT)).document
    (arn,) = data["FieldSelectors"][2][operator]
    assert arn == f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/{name.rstrip('*')}"


def test_a_trail_refuses_what_cloudtrail_cannot_say() -> None:
    with pytest.raises(UsageError, match="cannot select tables"):
        trail(NOTHING, Wish(("*-orders",), ("eu-central-1",), ACCOUNT))
    with pytest.raises(UsageError, match="are too many"):
        trail(NOTHING, Wish(tuple(f"table-{n}" for n in range(491)), ("eu-central-1",), ACCOUNT))
