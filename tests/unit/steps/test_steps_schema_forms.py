"""Table definitions in the forms that people have them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.steps.schema_load.schema_load import Definition, parse
from devenv.steps.step import SourceFile

SETTINGS = msgspec.convert({"project": {"name": "x"}}, Settings)
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
TYPES = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "city")]
INDEX = {
    "IndexName": "by-city",
    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
LOCAL = {**INDEX, "IndexName": "local", "KeySchema": [KEYS[0], {"AttributeName": "city", "KeyType": "RANGE"}]}
REQUEST: dict[str, Any] = {
    "TableName": "orders",
    "AttributeDefinitions": TYPES,
    "KeySchema": KEYS,
    "GlobalSecondaryIndexes": [INDEX],
    "LocalSecondaryIndexes": [LOCAL],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "Tags": [{"Key": "team", "Value": "a"}],
    "DeletionProtectionEnabled": True,
    "BillingMode": "PAY_PER_REQUEST",
}
SIZES = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}


def read(name: str, text: Any) -> tuple[Definition, ...]:
    text = text if isinstance(text, str) else json.dumps(text)
    return parse(SETTINGS, Path(), (SourceFile(name, text),))


def one(name: str, text: Any) -> Definition:
    (found,) = read(name, text)
    return found


DESCRIBED = {
    **{key: value for key, value in REQUEST.items() if key not in ("BillingMode", "Tags")},
    "TableStatus": "ACTIVE", "ItemCount": 3, "TableArn": "arn:x", "CreationDateTime": 1.5, "TableSizeBytes": 9,
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "LatestStreamArn": "x", "TableId": "y",
    "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
    "GlobalSecondaryIndexes": [{**INDEX, "IndexStatus": "ACTIVE", "IndexArn": "x", "ItemCount": 1,
                                "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}],
}  # fmt: skip


def test_the_answer_of_describe_table() -> None:
    found = one("d.json", {"Table": DESCRIBED})
    assert found.request == {key: value for key, value in REQUEST.items() if key != "Tags"}
    assert found.left_out == ()
    assert one("d.json", [{"Table": DESCRIBED}]).table == "orders"


CLI = """#!/bin/sh
set -e
aws --endpoint-url http://localhost:8000 dynamodb create-table --table-name orders \\
  --attribute-definitions AttributeName=pk,AttributeType=S AttributeName=sk,AttributeType=S \\
    AttributeName=city,AttributeType=S \\
  --key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE \\
  --global-secondary-indexes \\
    "IndexName=by-city,KeySchema=[{AttributeName=city,KeyType=HASH}],Projection={ProjectionType=ALL}" \\
  --local-secondary-indexes '[{"IndexName": "local", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
    {"AttributeName": "city", "KeyType": "RANGE"}], "Projection": {"ProjectionType": "ALL"}}]' \\
  --stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE --tags Key=team,Value=a \\
  --billing-mode PAY_PER_REQUEST --deletion-protection-enabled --no-cli-pager > /dev/null
aws dynamodb update-time-to-live --table-name orders --time-to-live-specification "Enabled=true, AttributeName=ttl"
aws dynamodb create-table --table-name small --attribute-definitions AttributeName=id,AttributeType=N \\
  --key-schema AttributeName=id,KeyType=HASH --provisioned-throughput ReadCapacityUnits=2,WriteCapacityUnits=3
"""


def test_commands_of_the_aws_cli() -> None:
    orders, small = read("create.sh", CLI.replace("\n    {", " {"))
    assert orders.request == REQUEST
    assert orders.ttl == "ttl"
    assert small.request["ProvisionedThroughput"] == SIZES
    assert small.types == {"id": "N"}


TEMPLATE = """
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${Stage}-orders"
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      Tags: [{Key: team, Value: a}]
  Simple:
    Type: AWS::Serverless::SimpleTable
  Wide:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      TableName: !Ref Unknown
      BillingMode: PROVISIONED
      AttributeDefinitions: [{AttributeName: id, AttributeType: N}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      Replicas: [{Region: us-east-1}]
      WriteProvisionedThroughputSettings: {}
  Queue: {Type: AWS::SQS::Queue}
"""


def test_templates_of_cloudformation_and_sam() -> None:
    orders, simple, wide = read("template.yaml", TEMPLATE)
    assert (orders.table, orders.ttl) == ("dev-orders", "expires")
    assert orders.request["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert orders.request["Tags"] == [{"Key": "team", "Value": "a"}]
    assert orders.left_out == (
        "template.yaml: PointInTimeRecoverySpecification of table dev-orders",
        "template.yaml: Replicas of table Wide",
    )
    assert (simple.table, simple.types, simple.key) == ("Simple", {"id": "S"}, ("id",))
    assert (wide.table, wide.request["BillingMode"]) == ("Wide", "PAY_PER_REQUEST")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "template.yaml",
            "Resources:\n  T: {Type: 'AWS::DynamoDB::Table'}",
            "template.yaml: resource T (AWS::DynamoDB",
        ),
        ("template.yaml", "Resources:\n  Q: {Type: 'AWS::SQS::Queue'}", "template.yaml defines no table"),
        ("template.yaml", "Resources: [", "template.yaml defines no table"),
        ("a.sh", "echo hello", "a.sh has no `aws dynamodb create-table`"),
        ("a.sh", "\naws dynamodb create-table --table-name $NAME", "a.sh:2: --table-name contains a shell variable"),
        ("a.sh", "aws dynamodb create-table --table-name x --key-schema 'A=[b'", "a.sh:1: a bracket [ is never closed"),
        (
            "t.json",
            {**REQUEST, "AttributeDefinitions": [*TYPES, {"AttributeName": "idle", "AttributeType": "S"}]},
            "t.json: attribute idle of table orders is not part of any key",
        ),
    ],
)
def test_what_is_unclear_is_refused_with_its_place(name: str, text: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, text)
    assert caught.value.what.startswith(message)


def test_an_empty_default_is_no_name_of_a_table() -> None:
    template = """
Parameters: {Name: {Type: String, Default: ""}}
Resources:
  Scans:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Ref Name
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
"""
    assert [each.table for each in read("template.yaml", template)] == ["Scans"]
    assert [each.table for each in read("template.yaml", template.replace("!Ref Name", '!Sub "${Name}scans"'))] == [
        "scans"
    ]
