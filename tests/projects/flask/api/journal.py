"""The journal of a plot, in DynamoDB."""

import os
import uuid
from datetime import UTC, datetime

import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table(os.environ["JOURNAL_TABLE"])


def list_entries(plot_id):
    """All entries of a plot, newest first."""
    entries = []
    asked = {"KeyConditionExpression": Key("pk").eq(f"PLOT#{plot_id}"), "ScanIndexForward": False}
    while True:
        page = table.query(**asked)
        entries += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return [
        {
            "id": item["entry_uuid"],
            "written_at": item["sk"],
            "text": item["text"],
            "gardener": item["gardener_handle"],
            "name": item["gardener_display_name"],
        }
        for item in entries
    ]


def add_entry(plot_id, gardener, text):
    item = {
        "pk": f"PLOT#{plot_id}",
        "sk": datetime.now(UTC).isoformat(),
        "entry_uuid": str(uuid.uuid4()),
        "text": text,
        "gardener_uuid": str(gardener["uuid"]),
        "gardener_handle": gardener["handle"],
        "gardener_display_name": gardener["display_name"],
    }
    table.put_item(Item=item)
    return item
