"""Table definitions that are decided or built by a template or a program, and queries that lack a value."""

from __future__ import annotations

import json
from pathlib import Path

from devenv.init.review import review_folder
from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import REQUEST, made


def test_conditions_of_a_template_are_decided_by_its_defaults(tmp_path: Path) -> None:
    either = {"Fn::If": ["Live", "live", "test"]}
    table = {
        **json.loads(REQUEST),
        "TableName": {"Fn::Join": ["-", ["things", either]]},
        "BillingMode": {"Fn::If": ["Small", "PAY_PER_REQUEST", "PROVISIONED"]},
        "Replicas": [{"Region": "eu-west-1", "DeletionProtectionEnabled": True}],
    }
    template = {
        "Parameters": {"Stage": {"Type": "String", "Default": "test"}, "Zone": {"Type": "String"}},
        "Conditions": {
            "Live": {"Fn::Equals": [{"Ref": "Stage"}, "live"]},
            "Small": {"Fn::And": [{"Fn::Not": [{"Condition": "Live"}]}, {"Fn::Equals": ["a", "a"]}]},
        },
        "Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": table}},
    }
    _, body = made(tmp_path, {"stack.json": json.dumps(template)})
    written = json.loads((tmp_path / "seeds" / "dynamodb" / "tables" / "things-test.json").read_text("utf-8"))
    assert (written["BillingMode"], written["DeletionProtectionEnabled"]) == ("PAY_PER_REQUEST", True)
    assert any("Replicas of table things-test: left out" in line for line in body["unused"])


PUT_TOGETHER = """
def sure(client):
    keys = [{"AttributeName": "pot", "KeyType": "HASH"}]
    keys.append({"AttributeName": "leaf", "KeyType": "RANGE"})
    request = {"TableName": "pots", "KeySchema": keys, "AttributeDefinitions": [
        {"AttributeName": "pot", "AttributeType": "S"}, {"AttributeName": "leaf", "AttributeType": "S"}]}
    request["BillingMode"] = "PAY_PER_REQUEST"
    client.create_table(**request)

def unsure(client, sorted_by):
    keys = [{"AttributeName": "bed", "KeyType": "HASH"}]
    attributes = [{"AttributeName": "bed", "AttributeType": "S"}]
    if sorted_by:
        keys.append({"AttributeName": sorted_by, "KeyType": "RANGE"})
        attributes.append({"AttributeName": sorted_by, "AttributeType": "S"})
    client.create_table(
        TableName="beds", KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST")
"""


def test_a_definition_that_is_put_together_is_read_whole_or_listed(tmp_path: Path) -> None:
    _, body = made(tmp_path, {"garden.py": "import boto3\n" + PUT_TOGETHER})
    (pots,) = survey(tmp_path).tables
    assert [part["AttributeName"] for part in pots.request["KeySchema"]] == ["pot", "leaf"]
    assert any(line.startswith("garden.py:17: create_table(…), whose request is computed") for line in body["unused"])


def test_constants_of_the_sdk_are_their_values(tmp_path: Path) -> None:
    script = """import { CreateTableCommand, KeyType, ScalarAttributeType } from "@aws-sdk/client-dynamodb";
export const make = (client: DynamoDBClient) => client.send(new CreateTableCommand({ TableName: "votes",
  BillingMode: BillingMode.PAY_PER_REQUEST, KeySchema: [{ AttributeName: "id", KeyType: KeyType.HASH }],
  AttributeDefinitions: [{ AttributeName: "id", AttributeType: ScalarAttributeType.N }] }));
"""
    made(tmp_path, {"tables.ts": script})
    (votes,) = survey(tmp_path).tables
    assert votes.request["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "N"}]
    assert votes.request["BillingMode"] == "PAY_PER_REQUEST"


def test_a_name_without_a_value_is_a_fault_also_in_go(tmp_path: Path) -> None:
    python = """
def list_marks(pupil):
    return client.query(TableName="marks", KeyConditionExpression="pupil = :p AND #w > :w",
        ExpressionAttributeNames={"#when": "when"}, ExpressionAttributeValues={":p": pupil, ":w": 1})["Items"]
"""
    go = """package marks

func ListMarks(ctx context.Context, client *dynamodb.Client, pupil string) (*dynamodb.QueryOutput, error) {
	return client.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("marks"),
		KeyConditionExpression: aws.String("pupil = :pupil"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			"pupil": &types.AttributeValueMemberS{Value: pupil}}})
}
"""
    write(tmp_path, {"marks.py": python, "marks.go": go, "marks_test.go": go, "tests/tap/marks.go": go})
    assert sorted(map(str, review_folder(tmp_path).faults)) == [
        "marks.go:4: the expression uses :pupil, which has no value: DynamoDB refuses the query",
        "marks.py:3: the expression uses #w, which has no value: DynamoDB refuses the query",
    ]


def test_the_region_has_one_value_whatever_the_variable_is_called(tmp_path: Path) -> None:
    compose = """services:
  api: {build: ., environment: {LEDGER_DDB_REGION: eu-north-1, DYNAMODB_REGION: eu-north-1, REGION: emea}}
  ddb: {image: amazon/dynamodb-local}
"""
    settings, _ = made(tmp_path, {"compose.yml": compose, "t.json": REQUEST})
    assert settings.dynamodb.region == "eu-north-1"
    assert settings.env == {"LEDGER_DDB_REGION": "{region}", "DYNAMODB_REGION": "{region}", "REGION": "emea"}
