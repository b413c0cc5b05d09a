"""doctor's groups `safety` and `drift` against an AWS account: moto's server, whose own record tells what was sent.

Every fault is a change of a sound account, so that what is found is the change and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from devenv.aws.account import AwsAccount, Refused
from tests.integration.account_support import (
    ARN,
    CODES,
    DATA,
    TABLES,
    Cloud,
    cloud,
    document,
    make_gateway,
    only_reads,
    rows,
    shown,
)
from tests.integration.moto_support import ACCOUNT, REGION, server
from tests.support import ProjectDir, reference_project
from tests.unit.doctor.test_doctor_safety import TABLE

__all__ = ["cloud", "server"]


def nothing(cloud: Cloud) -> None:
    pass


def other_gateway(cloud: Cloud) -> None:
    """Another team's VPC, with an endpoint for its own tables."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    policy = document("dynamodb:*", ARN.replace(TABLE, "invoices"), Principal="*")
    make_gateway(ec2, vpc, [routes], policy)


def direct_connect(cloud: Cloud) -> None:
    """Direct Connect instead of the VPN."""
    cloud.client("ec2").delete_vpn_connection(VpnConnectionId=cloud.vpn)
    virtual = {"virtualInterfaceName": "office", "vlan": 1, "asn": 65000, "virtualGatewayId": "vgw-1"}
    cloud.client("directconnect").create_private_virtual_interface(
        connectionId="dxcon-1", newPrivateVirtualInterface=virtual
    )


def second_trail(cloud: Cloud) -> None:
    """One trail is stopped, another one logs everything of DynamoDB."""
    trail = cloud.client("cloudtrail")
    trail.stop_logging(Name="trail")
    trail.create_trail(Name="second", S3BucketName="logs")
    trail.start_logging(Name="second")
    trail.put_event_selectors(
        TrailName="second", AdvancedEventSelectors=[{"Name": "all", "FieldSelectors": [DATA, TABLES]}]
    )


def harmless_group(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_group(GroupName="auditors")
    policy = document("dynamodb:ListTables", "*")
    made = iam.create_policy(PolicyName="names", PolicyDocument=policy)["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="auditors", PolicyArn=made)
    iam.add_user_to_group(GroupName="auditors", UserName="uploader")


SOUND = (nothing, other_gateway, direct_connect, second_trail, harmless_group)


@pytest.mark.parametrize("change", SOUND, ids=lambda each: each.__name__)
def test_a_sound_account_is_quiet(cloud: Cloud, change: Callable[[Cloud], None]) -> None:
    change(cloud)
    cloud.moto.forget()
    found = rows()
    assert shown(found) == {}
    assert {"sts:GetCallerIdentity", "cloudtrail:GetEventSelectors"} < set(only_reads(cloud.moto))


def region_trail(cloud: Cloud) -> None:
    trail = cloud.client("cloudtrail")
    trail.delete_trail(Name="trail")
    elsewhere = cloud.client("cloudtrail", "us-east-1")
    cloud.client("s3", "us-east-1").create_bucket(Bucket="far-logs")
    elsewhere.create_trail(Name="far", S3BucketName="far-logs")
    elsewhere.start_logging(Name="far")
    elsewhere.put_event_selectors(
        TrailName="far", AdvancedEventSelectors=[{"Name": "all", "FieldSelectors": [DATA, TABLES]}]
    )


def attach(cloud: Cloud) -> None:
    arn = cloud.client("iam").create_policy(PolicyName="all", PolicyDocument=document("*", "*"))["Policy"]["Arn"]
    cloud.client("iam").attach_user_policy(UserName="uploader", PolicyArn=arn)


def group_policy(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_group(GroupName="developers")
    iam.put_group_policy(GroupName="developers", PolicyName="p", PolicyDocument=document("dynamodb:Query", ARN))


def user_key(cloud: Cloud) -> None:
    cloud.user("script", document("dynamodb:PutItem", "arn:aws:dynamodb:*:*:table/*"))
    cloud.client("iam").create_access_key(UserName="script")


def public_interface(cloud: Cloud) -> None:
    cloud.client("ec2").delete_vpn_connection(VpnConnectionId=cloud.vpn)
    virtual = {"virtualInterfaceName": "office", "vlan": 1, "asn": 65000}
    cloud.client("directconnect").create_public_virtual_interface(
        connectionId="dxcon-1", newPublicVirtualInterface=virtual
    )


FAULTS: dict[str, tuple[str, Callable[[Cloud], Any], str]] = {
    "a replica elsewhere": (
        "SAF004",
        lambda c: c.client("dynamodb").update_table(
            TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": "us-east-1"}}]
        ),
        f"a replica of table {TABLE} in the account is in us-east-1",
    ),
    "no trail": ("SAF010", lambda c: c.client("cloudtrail").delete_trail(Name="trail"), "there is no trail"),
    "a stopped trail": ("SAF010", lambda c: c.client("cloudtrail").stop_logging(Name="trail"), "switched off"),
    "management events only": (
        "SAF010",
        lambda c: c.selectors({"Field": "eventCategory", "Equals": ["Management"]}),
        "log management events only",
    ),
    "another table's events": (
        "SAF010",
        lambda c: c.selectors(DATA, TABLES, {"Field": "resources.ARN", "StartsWith": [f"{ARN}-old"]}),
        f"table {TABLE} in {REGION}: data events not logged",
    ),
    "writes only": (
        "SAF010",
        lambda c: c.selectors(DATA, TABLES, {"Field": "readOnly", "Equals": ["false"]}),
        "GetItem, BatchGetItem, Query, Scan and 1 more",
    ),
    "a trail of another region": ("SAF010", region_trail, "there is no trail"),
    "no gateway endpoint": (
        "SAF011",
        lambda c: c.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[c.gateway]),
        "no gateway endpoint",
    ),
    "the default policy": ("SAF011", lambda c: c.endpoint(None), "its policy allows requests to *"),
    "a policy for all tables": (
        "SAF011",
        lambda c: c.endpoint(document("dynamodb:*", ARN.replace(TABLE, "*"), Principal="*")),
        "table/*, so to more than the project's tables",
    ),
    "a policy without the table": (
        "SAF011",
        lambda c: c.endpoint(document("dynamodb:*", ARN.replace(TABLE, "invoices"), Principal="*")),
        f"the policy allows no requests to table `{TABLE}`",
    ),
    "an attached policy": ("SAF012", attach, "user uploader (user) may GetItem"),
    "a group's own policy": ("SAF012", group_policy, "group developers (group) may Query on table"),
    "a user with a key": ("SAF012", user_key, "user script (user, with 1 access key) may PutItem on table"),
    "no VPN": (
        "SAF013",
        lambda c: c.client("ec2").delete_vpn_connection(VpnConnectionId=c.vpn),
        "has no Site-to-Site VPN and no Direct Connect",
    ),
    "no interface endpoint": (
        "SAF013",
        lambda c: c.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[c.interface]),
        "has no interface endpoint",
    ),
    "a public interface": ("SAF013", public_interface, "it is a public virtual interface"),
}


@pytest.mark.parametrize(("code", "fault", "told"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.matrix(4)
def test_a_fault_in_the_account_is_found(cloud: Cloud, code: str, fault: Callable[[Cloud], Any], told: str) -> None:
    fault(cloud)
    cloud.moto.forget()
    found = rows()
    assert list(shown(found)) == [code], shown(found)
    assert found[code]["status"] == "fail"
    assert told in found[code]["evidence"]
    only_reads(cloud.moto)


def test_the_users_keys_and_documents_are_not_shown(cloud: Cloud) -> None:
    user_key(cloud)
    (key,) = cloud.client("iam").list_access_keys(UserName="script")["AccessKeyMetadata"]
    assert key["AccessKeyId"] not in json.dumps(rows("SAF012"))


# --- what cannot be asked


def test_another_account_is_not_asked(cloud: Cloud) -> None:
    found = rows(safety={"account": "999999999999"})
    assert {row["status"] for row in found.values()} == {"error"}
    assert (
        f"the credentials are for account {ACCOUNT}, and [safety] account is 999999999999"
        in found["SAF010"]["evidence"]
    )
    assert set(cloud.moto.calls()) == {"sts:GetCallerIdentity"}


def test_without_credentials_it_is_not_verified(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    found = rows()
    assert {row["status"] for row in found.values()} == {"error"}
    assert "Unable to locate credentials" in found["SAF012"]["evidence"]
    assert cloud.moto.calls() == []


def test_a_refused_call_is_not_verified(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that may look at tables only: the rest is not said to hold."""
    iam = cloud.client("iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=document("dynamodb:Describe*", "*"))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    cloud.moto.post("/moto-api/reset-auth", "0")
    try:
        found = rows()
    finally:
        cloud.moto.post("/moto-api/reset-auth", "inf")
    assert {code: row["status"] for code, row in found.items()} == {"SAF004": "ok", **dict.fromkeys(CODES[1:], "error")}
    assert "not verified: iam:GetAccountAuthorizationDetails" in found["SAF012"]["evidence"]


def test_a_shell_that_leads_to_the_projects_own_store_leads_to_no_account(cloud: Cloud) -> None:
    found = AwsAccount([REGION], own=cloud.moto.url).look("users")
    assert "points to the project's own DynamoDB" in found.unread["users"][0]
    assert cloud.moto.calls() == []


def test_a_client_sends_no_write(cloud: Cloud) -> None:
    client = AwsAccount([REGION]).client("dynamodb", REGION)
    with pytest.raises(Refused, match="UpdateTable was not sent"):
        client.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    with pytest.raises(Refused):
        client.delete_table(TableName=TABLE)
    assert cloud.moto.calls() == []


# --- the command itself


@pytest.fixture
def project(tmp_path: Any) -> ProjectDir:
    """The reference project, not started, with the account in its settings."""
    made = reference_project(tmp_path / "project")
    file = made.path / "devenv.toml"
    file.write_text(file.read_text() + f'\n[safety]\nregions = ["{REGION}"]\naccount = "{ACCOUNT}"\n')
    return made


def test_drift_by_the_command(cloud: Cloud, project: ProjectDir) -> None:
    request = json.loads((project.path / "seeds/dynamodb/tables/cruddur-messages.json").read_text())
    cloud.client("dynamodb").create_table(**request)
    cloud.moto.forget()
    shell = cloud.moto.variables()
    ran = project.devenv("doctor", "--only", "drift", "--allow-remote", "--json", **shell)
    assert (ran.code, ran.document["verdict"]) == (0, "healthy"), ran.all
    assert [each["code"] for each in ran.document["checks"]] == ["DRF001", "DRF002"]
    assert "dynamodb:DescribeTable" in only_reads(cloud.moto)
    cloud.client("dynamodb").update_table(TableName="cruddur-messages", DeletionProtectionEnabled=True)
    cloud.moto.forget()
    ran = project.devenv("doctor", "--only", "table-settings", "--allow-remote", **shell)
    assert ran.code == 1
    assert "deletion protection: off in the declaration, on in the account" in ran.out
    only_reads(cloud.moto)


def test_without_the_option_nothing_is_sent(cloud: Cloud, project: ProjectDir) -> None:
    shell = cloud.moto.variables()
    ran = project.devenv("doctor", "--only", "drift", "--json", **shell)
    assert (ran.code, ran.document["verdict"]) == (3, "not_verified")
    assert ran.document["checks"][0]["fix"]["command"] == "devenv doctor --only drift --allow-remote"
    project.devenv("doctor", "--only", "safety", **shell)
    assert cloud.moto.calls() == []


def test_the_sdk_is_loaded_only_to_ask_the_account(project: ProjectDir) -> None:
    """Importing boto3 takes longer than most commands."""
    for arguments in (("doctor", "--only", "safety"), ("policy",), ("config", "show")):
        ran = project.devenv(*arguments, PYTHONPROFILEIMPORTTIME="1")
        assert "devenv.cli.app" in ran.err
        assert "botocore" not in ran.err, arguments
