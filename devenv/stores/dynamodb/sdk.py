"""The AWS SDK's way to scan: slower than `dynamodb.Dynamo`, for endpoints and credentials that only it can handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget


def open_scan(target: DynamoTarget, *, timeout: float) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """A function that asks for one page of a Scan: DynamoDB's JSON in and out, but binary values as bytes.

    Every failure is a StoreError.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "dynamodb",
        endpoint_url=target.endpoint,
        region_name=target.region,
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        config=Config(connect_timeout=timeout, read_timeout=timeout, retries={"mode": "standard", "max_attempts": 3}),
    )

    def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
        subject = f"DynamoDB Scan of table {request['TableName']} at {target.endpoint}"
        try:
            page: Mapping[str, Any] = client.scan(**request)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            raise StoreError(f"{subject} failed: {code}", detail=str(error), code=code) from None
        except BotoCoreError as error:
            raise StoreError(f"{subject} got no answer", detail=str(error), reached=False) from None
        return page

    return ask
