"""moto's own server on a loopback port, told which table or index a DynamoDB request is about.

moto authorises DynamoDB requests against the resource `*`, so that a statement that names an ARN never applies there.
It asks each service for the resource by a method that DynamoDB's lacks; this gives it one. All else, who asks, their
policies and what those say, is moto's. Run as: python tests/moto_server.py PORT
"""

from __future__ import annotations

import sys

from moto.dynamodb.responses import DynamoHandler
from moto.server import main


def resource_of(handler: DynamoHandler) -> str:
    """The ARN that AWS authorises this request against."""
    body = handler.body
    if "BackupArn" in body:
        return str(body["BackupArn"])
    if "TableName" not in body:
        return "*"
    table = f"arn:aws:dynamodb:{handler.region}:{handler.current_account}:table/{body['TableName']}"
    return f"{table}/index/{body['IndexName']}" if "IndexName" in body else table


if __name__ == "__main__":
    DynamoHandler._determine_resource = resource_of
    main(["--host", "127.0.0.1", "--port", sys.argv[1]])
