"""The policies that `devenv policy` writes do what they say: enforced by moto's server, and by a second evaluator.

What moto 5 cannot prove, and the second evaluator does: moto evaluates no conditions of identity policies (a statement
with one always applies), enforces no service control policies (so their statements are attached to a user here), and
knows no resources of DynamoDB by itself (see tests/moto_server.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devenv.policy.documents import DELETION, UNDOING
from devenv.policy.organisation import REPLICAS
from tests.integration.moto_support import ACCOUNT, REGION, Moto, server
from tests.integration.policy_support import ALLOW_ALL, Simulate, simulate
from tests.support import REPOSITORY, ProjectDir, reference_project

__all__ = ["server", "simulate"]
TABLE, INDEX, OTHER = "cruddur-messages", "message-group-sk-index", "scratch"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/table-admin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectDir:
    """The reference project, not started: the policies are made of its files."""
    return reference_project(tmp_path_factory.mktemp("policies"))


def written(project: ProjectDir, name: str, *options: str) -> dict[str, Any]:
    """The document that the command writes into a file."""
    file = project.path / f"{name}.json"
    project.ok("policy", name, "--account", ACCOUNT, "--region", REGION, *options, "--out", str(file), "-y")
    return json.loads(file.read_text())


# --- moto


@pytest.fixture
def moto(server: Moto) -> Iterator[Moto]:
    """Two tables, without anybody being asked who they are; `enforce` begins that."""
    server.post("/moto-api/reset-auth", "inf")
    server.post("/moto-api/reset")
    dynamodb = server.client("dynamodb")
    request = json.loads((REPOSITORY / "seeds/dynamodb/tables/cruddur-messages.json").read_text())
    for name in (TABLE, OTHER):
        dynamodb.create_table(**{**request, "TableName": name})
    yield server
    server.post("/moto-api/reset-auth", "inf")


def someone(moto: Moto, *documents: Mapping[str, Any]) -> Any:
    """A DynamoDB client of a new user to whom these policies are attached; enforcement is on from now on."""
    iam = moto.client("iam")
    iam.create_user(UserName="someone")
    for number, document in enumerate(documents):
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        iam.attach_user_policy(UserName="someone", PolicyArn=arn)
    key = iam.create_access_key(UserName="someone")["AccessKey"]
    moto.post("/moto-api/reset-auth", "0")
    return moto.client("dynamodb", key)


def role(moto: Moto, document: Mapping[str, Any]) -> Any:
    """A DynamoDB client of a role with this inline policy, as the attach command of the application's policy makes."""
    iam = moto.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="app", PolicyName="tables", PolicyDocument=json.dumps(document))
    key = moto.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    moto.post("/moto-api/reset-auth", "0")
    return moto.client("dynamodb", key)


def allowed(call: Callable[..., Any], **request: Any) -> bool:
    """Whether a call is let through. Any other refusal than that of the policies is an error."""
    try:
        call(**request)
    except ClientError as error:
        # moto refuses in XML, which the DynamoDB client shows as the bare status and the text.
        if "is not authorized to perform" not in str(error):
            raise
        return False
    return True


ITEM = {"pk": {"S": "MSG#1"}, "sk": {"S": "2023"}}
EQUALS = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "MSG#1"}}}
BY_GROUP = {
    "IndexName": INDEX,
    "KeyConditionExpression": "message_group_uuid = :g",
    "ExpressionAttributeValues": {":g": {"S": "1"}},
}


def test_who_may_do_everything_may_delete_without_the_policy(moto: Moto) -> None:
    """Else nothing that follows would mean anything."""
    client = someone(moto, ALLOW_ALL)
    assert allowed(client.delete_table, TableName=TABLE)


def test_no_table_of_the_project_can_be_deleted(moto: Moto, project: ProjectDir) -> None:
    client = someone(moto, ALLOW_ALL, written(project, "deny-deletion"))
    assert not allowed(client.delete_table, TableName=TABLE)
    assert allowed(client.update_table, TableName=TABLE, DeletionProtectionEnabled=False)
    assert not allowed(client.delete_table, TableName=TABLE)
    assert allowed(client.put_item, TableName=TABLE, Item=ITEM)
    assert allowed(client.query, TableName=TABLE, **EQUALS)
    assert allowed(client.query, TableName=TABLE, **BY_GROUP)
    assert allowed(client.delete_item, TableName=TABLE, Key=ITEM)
    assert allowed(client.describe_table, TableName=TABLE)
    assert allowed(client.delete_table, TableName=OTHER)


def test_nor_a_backup_of_it(moto: Moto, project: ProjectDir) -> None:
    setup = moto.client("dynamodb")
    backups = [
        setup.create_backup(TableName=t, BackupName="before")["BackupDetails"]["BackupArn"] for t in (TABLE, OTHER)
    ]
    client = someone(moto, ALLOW_ALL, written(project, "deny-deletion"))
    assert [allowed(client.delete_backup, BackupArn=arn) for arn in backups] == [False, True]


def test_the_lock_keeps_the_protection(moto: Moto, project: ProjectDir) -> None:
    client = someone(moto, ALLOW_ALL, written(project, "deny-deletion", "--lock"))
    assert not allowed(client.update_table, TableName=TABLE, DeletionProtectionEnabled=False)
    assert not allowed(
        client.update_continuous_backups,
        TableName=TABLE,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    assert allowed(client.put_item, TableName=TABLE, Item=ITEM)
    assert allowed(client.update_table, TableName=OTHER, DeletionProtectionEnabled=False)


def test_the_organisations_policy_denies_deletion_and_replicas(moto: Moto, project: ProjectDir) -> None:
    """moto takes it as a service control policy, but enforces it only where it is attached to a user."""
    document = written(project, "organisation")
    organizations = moto.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    organizations.create_policy(
        Name="protect", Description="d", Type="SERVICE_CONTROL_POLICY", Content=json.dumps(document)
    )
    conditional = [each["Sid"] for each in document["Statement"] if "Condition" in each]
    assert conditional == ["DenyOtherRegions"]
    kept = {**document, "Statement": [each for each in document["Statement"] if "Condition" not in each]}
    client = someone(moto, ALLOW_ALL, kept)
    assert not allowed(client.delete_table, TableName=TABLE)
    replica = {"ReplicationGroup": [{"RegionName": "us-east-1"}], "GlobalTableName": TABLE}
    assert not allowed(client.create_global_table, **replica)
    assert allowed(client.put_item, TableName=TABLE, Item=ITEM)
    assert allowed(client.delete_table, TableName=OTHER)


def test_the_application_may_do_what_its_patterns_need_and_no_more(moto: Moto, project: ProjectDir) -> None:
    client = role(moto, written(project, "application"))
    assert allowed(client.query, TableName=TABLE, **EQUALS)
    assert allowed(client.query, TableName=TABLE, **BY_GROUP)
    assert not allowed(client.query, TableName=OTHER, **EQUALS)
    assert not allowed(client.query, TableName=OTHER, **BY_GROUP)
    assert not allowed(client.scan, TableName=TABLE)
    assert not allowed(client.put_item, TableName=TABLE, Item=ITEM)
    assert not allowed(client.delete_table, TableName=TABLE)
    assert not allowed(client.list_tables)


def test_the_application_may_write_when_that_is_asked(moto: Moto, project: ProjectDir) -> None:
    client = role(moto, written(project, "application", "--writes"))
    assert allowed(client.put_item, TableName=TABLE, Item=ITEM)
    assert allowed(client.delete_item, TableName=TABLE, Key=ITEM)
    assert not allowed(client.put_item, TableName=OTHER, Item=ITEM)
    assert not allowed(client.update_table, TableName=TABLE, DeletionProtectionEnabled=False)


# --- the second evaluator: conditions and service control policies


def asked(action: str, resource: str, region: str, who: str, scp: Any = ALLOW_ALL, own: Any = ALLOW_ALL) -> Any:
    """One request, as the evaluator takes it."""
    attached = [{"name": "full", "policy": ALLOW_ALL}, {"name": "ours", "policy": scp}]
    return {
        "request": {
            "principal": who,
            "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": {"aws:RequestedRegion": region, "aws:PrincipalArn": who},
        },
        "identityPolicies": [{"name": "all", "policy": ALLOW_ALL}, {"name": "own", "policy": own}],
        "serviceControlPolicies": [{"orgIdentifier": "r-root", "policies": attached}],
        "resourceControlPolicies": [],
    }


def arn(table: str, rest: str = "", region: str = REGION) -> str:
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}{rest}"


def test_conditions_and_service_control_policies(project: ProjectDir, simulate: Simulate) -> None:
    scp = written(project, "organisation", "--admin", ADMIN)
    wide = written(project, "organisation", "--region", "eu-west-1")
    deny = written(project, "deny-deletion", "--lock", "--admin", ADMIN)
    dev = f"arn:aws:iam::{ACCOUNT}:role/developer"
    cases: list[tuple[str, dict[str, Any], str]] = []

    def case(name: str, expected: str, *request: Any, **more: Any) -> None:
        cases.append((name, asked(*request, **more), expected))

    denied, ok = "ExplicitlyDenied", "Allowed"
    for action in DELETION:
        case(f"{action} by a developer", denied, action, arn(TABLE), REGION, dev, scp=scp)
        case(f"{action} by the admin", ok, action, arn(TABLE), REGION, ADMIN, scp=scp)
        case(f"{action} of another table", ok, action, arn(OTHER), REGION, dev, scp=scp)
        case(f"{action}, identity policy", denied, action, arn(TABLE), REGION, dev, own=deny)
        case(f"{action}, identity policy, admin", ok, action, arn(TABLE), REGION, ADMIN, own=deny)
    for action in UNDOING:
        case(f"{action}, locked", denied, action, arn(TABLE), REGION, dev, own=deny)
        case(f"{action}, admin", ok, action, arn(TABLE), REGION, ADMIN, own=deny)
    backup = arn(TABLE, "/backup/01489602797149-73d8d5bc")
    case("a backup", denied, "dynamodb:DeleteBackup", backup, REGION, dev, scp=scp)
    case("creation by a developer", denied, "dynamodb:CreateTable", arn(TABLE), REGION, dev, scp=scp)
    case("creation by the admin", ok, "dynamodb:CreateTable", arn(TABLE), REGION, ADMIN, scp=scp)
    case("creation of another table", ok, "dynamodb:CreateTable", arn(OTHER), REGION, dev, scp=scp)
    for region, expected in ((REGION, ok), ("us-east-1", denied), ("eu-west-1", denied)):
        case(f"a query in {region}", expected, "dynamodb:Query", arn(TABLE, region=region), region, dev, scp=scp)
        index = arn(TABLE, f"/index/{INDEX}", region)
        case(f"a query of the index in {region}", expected, "dynamodb:Query", index, region, dev, scp=scp)
        case(
            f"a new table in {region}",
            expected,
            "dynamodb:CreateTable",
            arn(OTHER, region=region),
            region,
            dev,
            scp=scp,
        )
        case(f"an instance in {region}", expected, "ec2:DescribeInstances", "*", region, dev, scp=scp)
    case("the second region", ok, "dynamodb:Query", arn(TABLE, region="eu-west-1"), "eu-west-1", dev, scp=wide)
    case("a third region", denied, "dynamodb:Query", arn(TABLE, region="us-east-1"), "us-east-1", dev, scp=wide)
    case("a global service", ok, "iam:ListUsers", "*", "us-east-1", dev, scp=scp)
    case("sign-in", ok, "sts:GetCallerIdentity", "*", "us-east-1", dev, scp=scp)
    case("all regions' names", ok, "ec2:DescribeRegions", "*", "us-east-1", dev, scp=scp)
    case("a replica, one region", denied, REPLICAS[0], arn(TABLE), REGION, dev, scp=scp)
    case("a replica, two regions", ok, REPLICAS[0], arn(TABLE), REGION, dev, scp=wide)
    found = simulate([request for _, request, _ in cases])
    wrong = [(name, result) for (name, _, expected), result in zip(cases, found, strict=True) if result != expected]
    assert wrong == []
