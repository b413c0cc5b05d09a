"""Pages of Query and Scan that end early."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from devenv.capture.disturb.disturbance import Disturbance, DynamoReply, Forward
from devenv.trace.conditions.condition import StressCondition

PAGED: Final = frozenset(["Query", "Scan"])
GUIDE: Final = "Amazon DynamoDB Developer Guide"
RULE: Final = (
    "A Query or Scan reads at most 1 MB, or Limit items, and then answers with LastEvaluatedKey. Only an answer "
    "without LastEvaluatedKey is the last one, however many items it has."
)
SDK: Final = "The clients of the AWS SDKs request one page; only their paginators request the next one."


class EarlyEnd(Disturbance):
    """Each page has at most `size(n)` items, where n is what the whole page would have had."""

    def __init__(self, size: Callable[[int], int]) -> None:
        super().__init__()
        self.size = size
        self.sizes: dict[str, int] = {}
        self.guard = threading.Lock()

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Ask for fewer items than the client does."""
        if operation not in PAGED or request.get("Select") == "COUNT":
            return forward(request)
        shape = shape_of(operation, request)
        with self.guard:
            size = self.sizes.get(shape)
        if size is None:
            whole = forward(request)
            read = int(whole.body.get("ScannedCount") or 0)
            if whole.status != 200 or read < 2:
                return whole
            size = max(1, self.size(read))
            with self.guard:
                self.sizes[shape] = size
        limit = min(size, int(request.get("Limit") or size))
        reply = forward({**request, "Limit": limit})
        if reply.body.get("LastEvaluatedKey"):
            self.struck += 1
        return reply


class EmptyPage(Disturbance):
    """The first page of each read has no items and is not the last."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: dict[str, dict[str, Any]] = {}
        self.seen: set[str] = set()

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Answer with nothing and a key; with that key, from the beginning."""
        if operation not in PAGED or request.get("Select") == "COUNT":
            return forward(request)
        shape = shape_of(operation, request)
        start = request.get("ExclusiveStartKey")
        if start is not None:
            if self.starts.get(shape) == start:
                del self.starts[shape]
                return forward({name: value for name, value in request.items() if name != "ExclusiveStartKey"})
            return forward(request)
        if shape in self.seen:
            return forward(request)
        first = forward({**request, "Limit": 1})
        key = first.body.get("LastEvaluatedKey")
        if not key:
            return forward(request)
        self.seen.add(shape)
        self.starts[shape] = key
        self.struck += 1
        empty = {"Items": [], "Count": 0, "ScannedCount": first.body.get("ScannedCount", 1), "LastEvaluatedKey": key}
        return DynamoReply(200, empty)


def shape_of(operation: str, request: dict[str, Any]) -> str:
    """Return what all pages of one read have in common."""
    return operation + json.dumps({n: v for n, v in request.items() if n != "ExclusiveStartKey"}, sort_keys=True)


def early(name: str, title: str, size: Callable[[int], int]) -> StressCondition:
    """A condition of pages that end early."""
    return StressCondition(
        name=name,
        title=title,
        rule=RULE,
        source=f"{GUIDE}, Paginating table query results",
        sdk=SDK,
        unmet="no Query or Scan has two items",
        disturb=partial(EarlyEnd, size),
    )


CONDITIONS: Final = (
    early("pages-half", "each page ends after half of its items", lambda read: math.ceil(read / 2)),
    early("pages-tenth", "each page ends after a tenth of its items", lambda read: math.ceil(read / 10)),
    early("pages-one", "each page has one item", lambda read: 1),
    StressCondition(
        name="pages-empty",
        title="an empty page that is not the last",
        rule="A page whose items were all filtered out is empty and has a LastEvaluatedKey: there are more pages.",
        source=f"{GUIDE}, Filter expressions for the Query operation",
        sdk=SDK,
        unmet="no Query or Scan has two items",
        disturb=EmptyPage,
    ),
)
