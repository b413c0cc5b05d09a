"""Loans, in DynamoDB."""

import uuid
from datetime import UTC, datetime

import boto3
from boto3.dynamodb.conditions import Key

from loans.settings import settings

dynamodb = boto3.resource("dynamodb", endpoint_url=settings.dynamodb_endpoint, region_name=settings.aws_region)
table = dynamodb.Table(settings.loans_table)


def get_loans(tool_id: str) -> list[dict]:
    """The loans of a tool, oldest first."""
    answer = table.query(KeyConditionExpression=Key("pk").eq(f"TOOL#{tool_id}"), ScanIndexForward=True)
    items = answer["Items"]
    while "LastEvaluatedKey" in answer:
        answer = table.query(
            KeyConditionExpression=Key("pk").eq(f"TOOL#{tool_id}"),
            ScanIndexForward=True,
            ExclusiveStartKey=answer["LastEvaluatedKey"],
        )
        items += answer["Items"]
    return [
        {"id": item["loan_id"], "since": item["sk"], "member": item["member_handle"], "note": item["note"]}
        for item in items
    ]


def add_loan(tool_id: str, member, note: str) -> dict:
    item = {
        "pk": f"TOOL#{tool_id}",
        "sk": datetime.now(UTC).isoformat(),
        "loan_id": str(uuid.uuid4()),
        "member_id": str(member.id),
        "member_handle": member.handle,
        "note": note,
    }
    table.put_item(Item=item)
    return item
