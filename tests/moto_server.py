"""moto's own server on a loopback port, with three things that its DynamoDB and Direct Connect lack.

- moto authorises DynamoDB requests against the resource `*`, so that a statement that names an ARN never applies there.
  It asks each service for the resource by a method that DynamoDB's lacks; this gives it one. All else, who asks, their
  policies and what those say, is moto's.
- UpdateTable's ReplicaUpdates are remembered, and DescribeTable shows them.
- DescribeVirtualInterfaces answers with what CreatePrivateVirtualInterface and CreatePublicVirtualInterface were given.

Run as: python tests/moto_server.py PORT
"""

from __future__ import annotations

import json
import sys
from typing import Any

from moto.directconnect.responses import DirectConnectResponse
from moto.dynamodb.responses import DynamoHandler
from moto.server import main

INTERFACES: list[dict[str, Any]] = []


def resource_of(handler: DynamoHandler) -> str:
    """The ARN that AWS authorises this request against."""
    body = handler.body
    if "BackupArn" in body:
        return str(body["BackupArn"])
    if "TableName" not in body:
        return "*"
    table = f"arn:aws:dynamodb:{handler.region}:{handler.current_account}:table/{body['TableName']}"
    return f"{table}/index/{body['IndexName']}" if "IndexName" in body else table


def update_table(handler: DynamoHandler, inner: Any = DynamoHandler.update_table) -> Any:
    """moto's UpdateTable, and the replicas."""
    table = handler.dynamodb_backend.get_table(handler.body["TableName"])
    created = [each["Create"]["RegionName"] for each in handler.body.get("ReplicaUpdates") or ()]
    table.made_replicas = [*getattr(table, "made_replicas", ()), *created]
    return inner(handler)


def describe_table(handler: DynamoHandler, inner: Any = DynamoHandler.describe_table) -> Any:
    """moto's DescribeTable, and the replicas."""
    answer = inner(handler)
    table = handler.dynamodb_backend.get_table(handler.body["TableName"])
    if made := getattr(table, "made_replicas", ()):
        answer.result["Table"] = {**answer.result["Table"], "Replicas": [{"RegionName": name} for name in made]}
    return answer


def create_interface(kind: str) -> Any:
    """CreatePrivateVirtualInterface and the like."""

    def create(handler: DirectConnectResponse) -> str:
        INTERFACES.append(
            {
                "virtualInterfaceId": f"dxvif-{len(INTERFACES)}",
                "virtualInterfaceType": kind,
                "virtualInterfaceState": "available",
                "region": handler.region,
            }
        )
        return json.dumps(INTERFACES[-1])

    return create


def describe_interfaces(handler: DirectConnectResponse) -> str:
    """DescribeVirtualInterfaces of one region."""
    return json.dumps({"virtualInterfaces": [each for each in INTERFACES if each["region"] == handler.region]})


def forget(handler: DirectConnectResponse) -> str:
    """DeleteVirtualInterface: all of them, as tests share one server."""
    INTERFACES.clear()
    return json.dumps({"virtualInterfaceState": "deleted"})


if __name__ == "__main__":
    DynamoHandler._determine_resource = resource_of
    DynamoHandler.update_table = update_table
    DynamoHandler.describe_table = describe_table
    DirectConnectResponse.describe_virtual_interfaces = describe_interfaces
    DirectConnectResponse.create_private_virtual_interface = create_interface("private")
    DirectConnectResponse.create_public_virtual_interface = create_interface("public")
    DirectConnectResponse.delete_virtual_interface = forget
    main(["--host", "127.0.0.1", "--port", sys.argv[1]])
