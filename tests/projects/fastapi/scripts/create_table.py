import os

import boto3

dynamodb = boto3.client(
    "dynamodb", endpoint_url=os.environ.get("DYNAMODB_ENDPOINT"), region_name=os.environ["AWS_REGION"]
)
dynamodb.create_table(
    TableName="loans",
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    KeySchema=[
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
)
