"""DynamoDB: the messages."""

import os
import uuid
from datetime import UTC, datetime

import boto3


class Ddb:
    @staticmethod
    def client():
        endpoint_url = os.getenv("AWS_ENDPOINT_URL")
        attrs = {"endpoint_url": endpoint_url} if endpoint_url else {}
        return boto3.client("dynamodb", **attrs)

    @staticmethod
    def list_message_groups(client, my_user_uuid):
        table_name = os.getenv("DDB_MESSAGE_TABLE")
        query_params = {
            "TableName": table_name,
            "KeyConditionExpression": "pk = :pk",
            "ScanIndexForward": False,
            "Limit": 20,
            "ExpressionAttributeValues": {":pk": {"S": f"GRP#{my_user_uuid}"}},
        }
        response = client.query(**query_params)
        results = []
        for item in response["Items"]:
            last_sent_at = item["sk"]["S"]
            results.append(
                {
                    "uuid": item["message_group_uuid"]["S"],
                    "display_name": item["user_display_name"]["S"],
                    "handle": item["user_handle"]["S"],
                    "message": item["message"]["S"],
                    "created_at": last_sent_at,
                }
            )
        return results

    @staticmethod
    def list_messages(client, message_group_uuid):
        table_name = os.getenv("DDB_MESSAGE_TABLE")
        query_params = {
            "TableName": table_name,
            "KeyConditionExpression": "pk = :pk",
            "ScanIndexForward": False,
            "Limit": 20,
            "ExpressionAttributeValues": {":pk": {"S": f"MSG#{message_group_uuid}"}},
        }
        response = client.query(**query_params)
        results = []
        for item in response["Items"]:
            created_at = item["sk"]["S"]
            results.append(
                {
                    "uuid": item["message_uuid"]["S"],
                    "display_name": item["user_display_name"]["S"],
                    "handle": item["user_handle"]["S"],
                    "message": item["message"]["S"],
                    "created_at": created_at,
                }
            )
        return results

    @staticmethod
    def create_message(client, message_group_uuid, message, my_user_uuid, my_user_display_name, my_user_handle):
        created_at = datetime.now(UTC).isoformat()
        message_uuid = str(uuid.uuid4())
        record = {
            "pk": {"S": f"MSG#{message_group_uuid}"},
            "sk": {"S": created_at},
            "message_uuid": {"S": message_uuid},
            "message": {"S": message},
            "user_uuid": {"S": my_user_uuid},
            "user_display_name": {"S": my_user_display_name},
            "user_handle": {"S": my_user_handle},
        }
        client.put_item(TableName=os.getenv("DDB_MESSAGE_TABLE"), Item=record)
        return {"message_group_uuid": message_group_uuid, "uuid": my_user_uuid, "message": message}
