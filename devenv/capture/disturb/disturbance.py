"""The behaviour of the stores under one condition; without changes, the normal behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DynamoReply:
    """A response of DynamoDB."""

    status: int
    body: dict[str, Any]


Forward = Callable[[dict[str, Any]], DynamoReply]
"""Sends a request of the same operation to the store."""


def refusal(kind: str, message: str, **more: Any) -> DynamoReply:
    """An error of DynamoDB."""
    service = "com.amazonaws.dynamodb.v20120810"
    return DynamoReply(400, {"__type": f"{service}#{kind}", "message": message, "Message": message, **more})


class Disturbance:
    """The base: nothing is disturbed. `struck` counts what was.

    Methods are called by several threads. `slow_s` is added to each statement, `drops_transaction` ends one connection
    in the middle of its next transaction.
    """

    slow_s = 0.0
    drops_transaction = False

    def __init__(self) -> None:
        self.struck = 0

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Answer one request to DynamoDB."""
        return forward(request)
