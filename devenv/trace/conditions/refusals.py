"""Requests that DynamoDB refuses, or does only in part, and that can be sent again."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from devenv.capture.disturb.disturbance import Disturbance, DynamoReply, Forward, refusal
from devenv.trace.conditions.condition import BOTH, WRITES, StressCondition

THROTTLED: Final = "ProvisionedThroughputExceededException"
WAIT_S: Final = 2.0
GUIDE: Final = "Amazon DynamoDB Developer Guide"
DATA: Final = frozenset(
    ["Query", "Scan", "GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem"]
) | {"TransactGetItems", "TransactWriteItems", "ExecuteStatement", "ExecuteTransaction"}
RETRIES: Final = (
    "The AWS SDKs retry a throttled request automatically: boto3 up to 4 times (legacy) or 2 times (standard), "
    "with growing random pauses; after that the application gets the error."
)


def throttled() -> DynamoReply:
    """The refusal."""
    return refusal(THROTTLED, "The level of configured provisioned throughput for the table was exceeded")


READS: Final = frozenset(["Query", "Scan", "GetItem", "BatchGetItem", "TransactGetItems", "ExecuteStatement"])


class ThrottleOnce(Disturbance):
    """Each different read is refused the first time, and the first write of each kind: a repeated one may differ."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Refuse what is new."""
        shape = operation + (json.dumps(request, sort_keys=True) if operation in READS else "")
        if operation not in DATA or shape in self.seen:
            return forward(request)
        self.seen.add(shape)
        self.struck += 1
        return throttled()


class ThrottleFor(Disturbance):
    """Every request is refused for WAIT_S from the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.until: float | None = None

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Refuse until the time is over."""
        if operation not in DATA:
            return forward(request)
        self.until = self.until or time.monotonic() + WAIT_S
        if time.monotonic() >= self.until:
            return forward(request)
        self.struck += 1
        return throttled()


class HalfBatch(Disturbance):
    """The first batch of each kind is done by half; the rest comes back."""

    def __init__(self, operation: str, left: str) -> None:
        super().__init__()
        self.operation, self.left = operation, left

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Pass the first half on."""
        if operation != self.operation or self.struck:
            return forward(request)
        done, rest = split_batch(request["RequestItems"])
        if not rest:
            return forward(request)
        self.struck += 1
        reply = forward({**request, "RequestItems": done}) if done else DynamoReply(200, {"Responses": {}})
        return DynamoReply(reply.status, {**reply.body, self.left: rest})


def split_batch(tables: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first half of a batch, and the rest."""
    done: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for table, part in tables.items():
        many = part["Keys"] if isinstance(part, dict) else part
        half = len(many) // 2
        for to, some in ((done, many[:half]), (rest, many[half:])):
            if some:
                to[table] = {**part, "Keys": some} if isinstance(part, dict) else some
    return done, rest


class RefuseOnce(Disturbance):
    """The first write of these operations is refused, once."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Refuse the first."""
        if self.struck or not self.concerns(operation, request):
            return forward(request)
        self.struck += 1
        if operation == "TransactWriteItems":
            parts = request.get("TransactItems") or []
            place = next((n for n, part in enumerate(parts) if conditional(part)), 0)
            reasons = [{"Code": self.kind if n == place else "None"} for n in range(len(parts))]
            words = ", ".join(reason["Code"] for reason in reasons)
            text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{words}]"
            return refusal("TransactionCanceledException", text, CancellationReasons=reasons)
        if self.kind == "TransactionConflict":
            return refusal("TransactionConflictException", "Transaction is ongoing for the item")
        return refusal("ConditionalCheckFailedException", "The conditional request failed")

    def concerns(self, operation: str, request: dict[str, Any]) -> bool:
        """Return True for a write that this can happen to."""
        if operation == "TransactWriteItems":
            return self.kind == "TransactionConflict" or any(map(conditional, request.get("TransactItems") or []))
        if operation not in ("PutItem", "UpdateItem", "DeleteItem"):
            return False
        return self.kind == "TransactionConflict" or "ConditionExpression" in request


def conditional(part: dict[str, Any]) -> bool:
    """Return True if a part of a transaction has a condition."""
    return any("ConditionExpression" in each for each in part.values())


class UnprocessedKeys(HalfBatch):
    """BatchGetItem."""

    def __init__(self) -> None:
        super().__init__("BatchGetItem", "UnprocessedKeys")


class UnprocessedItems(HalfBatch):
    """BatchWriteItem."""

    def __init__(self) -> None:
        super().__init__("BatchWriteItem", "UnprocessedItems")


CONDITIONS: Final = (
    StressCondition(
        name="throttled-once",
        title="each request is throttled once",
        rule="A table or partition above its throughput refuses requests with ProvisionedThroughputExceededException.",
        source=f"{GUIDE}, Error handling with DynamoDB",
        sdk=RETRIES,
        unmet="no request to DynamoDB was sent",
        disturb=ThrottleOnce,
        parts=BOTH,
    ),
    StressCondition(
        name="throttled-2s",
        title="DynamoDB throttles for two seconds",
        rule="While capacity is scaled or a partition is split, requests are refused for some time, not just once.",
        source=f"{GUIDE}, Error retries and exponential backoff",
        sdk=RETRIES,
        unmet="no request to DynamoDB was sent",
        disturb=ThrottleFor,
        together=True,
    ),
    StressCondition(
        name="unprocessed-keys",
        title="BatchGetItem returns half of the keys unprocessed",
        rule="BatchGetItem answers with UnprocessedKeys when it exceeds 16 MB or is throttled in part.",
        source="Amazon DynamoDB API Reference, BatchGetItem",
        sdk="The clients do not retry UnprocessedKeys; the resource's batch_writer does so for writes only.",
        unmet="no BatchGetItem was sent",
        disturb=UnprocessedKeys,
    ),
    StressCondition(
        name="unprocessed-items",
        title="BatchWriteItem leaves half of the items unprocessed",
        rule="BatchWriteItem answers with UnprocessedItems when it is throttled in part.",
        source="Amazon DynamoDB API Reference, BatchWriteItem",
        sdk="The clients do not retry UnprocessedItems; boto3's batch_writer does.",
        unmet="no BatchWriteItem was sent",
        disturb=UnprocessedItems,
        parts=WRITES,
    ),
    StressCondition(
        name="conflict",
        title="a transaction conflicts with another one",
        rule="A write to an item of a transaction in progress is refused with TransactionConflict.",
        source=f"{GUIDE}, Transaction conflict handling in DynamoDB",
        sdk="boto3 and the AWS SDK for JavaScript do not retry a cancelled transaction.",
        unmet="no write to DynamoDB was sent",
        disturb=lambda: RefuseOnce("TransactionConflict"),
        parts=WRITES,
    ),
    StressCondition(
        name="conditional-failure",
        title="the condition of a write fails once",
        rule="A ConditionExpression fails when another writer was faster; the item is not changed.",
        source=f"{GUIDE}, Condition expressions",
        sdk="No SDK retries it; read the item again first.",
        unmet="no write with a condition was sent",
        disturb=lambda: RefuseOnce("ConditionalCheckFailed"),
        parts=WRITES,
    ),
)
