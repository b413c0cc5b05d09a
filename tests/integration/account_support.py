"""A sound AWS account on moto's server, and what doctor says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from devenv.aws.account import READS, AwsAccount
from devenv.doctor.runner import diagnose
from tests.integration.moto_support import ACCOUNT, REGION, Moto
from tests.unit.doctor.test_doctor_safety import TABLE, context

DEMANDS = {
    "regions": [REGION],
    "cloudtrail": True,
    "vpc_endpoint": True,
    "no_users": True,
    "private_path": True,
    "account": ACCOUNT,
}
CODES = ("SAF004", "SAF010", "SAF011", "SAF012", "SAF013")
ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}"
REQUEST: dict[str, Any] = {
    "TableName": TABLE,
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "author", "day")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-author",
            "KeySchema": [{"AttributeName": "author", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title", "size"]},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "day", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "DeletionProtectionEnabled": True,
}


def document(action: str, resource: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Cloud:
    """An account with a sound setup, and the ids of its parts."""

    moto: Moto
    vpc: str
    routes: str
    gateway: str
    interface: str
    vpn: str

    def client(self, service: str, region: str = REGION) -> Any:
        return self.moto.client(service, region=region)

    def selectors(self, *fields: dict[str, Any]) -> None:
        self.client("cloudtrail").put_event_selectors(
            TrailName="trail", AdvancedEventSelectors=[{"Name": "data", "FieldSelectors": list(fields)}]
        )

    def user(self, name: str, policy: str | None = None) -> None:
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)

    def endpoint(self, policy: str | None) -> None:
        ec2 = self.client("ec2")
        ec2.delete_vpc_endpoints(VpcEndpointIds=[self.gateway])
        make_gateway(ec2, self.vpc, [self.routes], policy)


DATA = {"Field": "eventCategory", "Equals": ["Data"]}
TABLES = {"Field": "resources.type", "Equals": ["AWS::DynamoDB::Table"]}


def make_gateway(ec2: Any, vpc: str, routes: list[str], policy: str | None) -> str:
    service = f"com.amazonaws.{REGION}.dynamodb"
    more = {"PolicyDocument": policy} if policy else {}
    made = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=service, RouteTableIds=routes, VpcEndpointType="Gateway", **more
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


ONLY_OURS = document("dynamodb:*", [ARN, f"{ARN}/index/*"], Principal="*")


@pytest.fixture
def cloud(server: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    server.post("/moto-api/reset")
    client = server.client
    client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    trail = client("cloudtrail")
    trail.create_trail(Name="trail", S3BucketName="logs", IsMultiRegionTrail=True)
    trail.start_logging(Name="trail")
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.dynamodb", VpcEndpointType="Interface", SubnetIds=[subnet]
    )["VpcEndpoint"]["VpcEndpointId"]
    customer = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.1", BgpAsn=65000)
    vpn = ec2.create_vpn_connection(
        Type="ipsec.1",
        CustomerGatewayId=customer["CustomerGateway"]["CustomerGatewayId"],
        VpnGatewayId=ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"],
    )["VpnConnection"]["VpnConnectionId"]
    dynamodb = client("dynamodb")
    dynamodb.create_table(**REQUEST)
    dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    dynamodb.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    made = Cloud(server, vpc, routes, make_gateway(ec2, vpc, [routes], ONLY_OURS), interface, vpn)
    made.selectors(DATA, TABLES, {"Field": "resources.ARN", "Equals": [ARN]})
    made.user("uploader", document("s3:*", "*"))
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    server.forget()
    yield made
    client("directconnect").delete_virtual_interface(virtualInterfaceId="all")


def rows(*codes: str, drift: bool = False, **more: Any) -> dict[str, dict[str, Any]]:
    """Code -> row of one diagnosis with the account."""
    demands = {**DEMANDS, **more.pop("safety", {})}
    account = AwsAccount(demands["regions"], expected=demands["account"])
    made = context(demands, request=REQUEST, account=account, asks_drift=drift, **more)
    entity = msgspec.structs.replace(made.settings.entities["letter"], ttl="expires")
    settings = msgspec.structs.replace(made.settings, entities={**made.settings.entities, "letter": entity})
    backups = {TABLE: {"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}}
    made = replace(made, settings=settings, read_backups=lambda: backups)
    return {each["code"]: each for each in diagnose(made, only=codes or CODES).body["checks"]}


def shown(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {code: f"{row['status']}: {row['evidence']}" for code, row in found.items() if row["status"] != "ok"}


def only_reads(moto: Moto) -> list[str]:
    """The calls that were recorded, after a look that each of them only reads."""
    calls = moto.calls()
    assert calls, "nothing was recorded, so nothing is shown"
    writes = [each for each in calls if not each.partition(":")[2].startswith(READS)]
    assert writes == []
    return calls
