"""The writes among the calls that a tap recorded, and whether they belong to one transaction. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from devenv.capture.tap.records import WireCall
from devenv.core.model import Finding

WRITES: Final = frozenset(
    ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteTransaction"]
)
PARTIQL: Final = re.compile(r"\s*(insert|update|delete)\b", re.IGNORECASE)
SQL: Final = re.compile(
    r"\s*(with\b.*\b)?(insert\s+into|update|delete\s+from|merge\s+into|truncate|copy)\b", re.I | re.S
)
CAUSE: Final = "if one of them fails, or the process ends in between, the others remain"


def is_write(call: WireCall) -> bool:
    """Return True if a call changes items or rows, as far as it says so."""
    if call.is_sql:
        return SQL.match(call.statement or "") is not None
    if call.operation == "ExecuteStatement":
        request = call.request if isinstance(call.request, dict) else {}
        return PARTIQL.match(str(request.get("Statement") or call.statement or "")) is not None
    return call.operation in WRITES


def parts_of(call: WireCall) -> int:
    """Return how many items a call to DynamoDB writes; 1 where it does not say."""
    request: dict[str, Any] = call.request if isinstance(call.request, dict) else {}
    if call.operation == "BatchWriteItem":
        return sum(len(each) for each in request.get("RequestItems", {}).values())
    return len(request.get("TransactItems") or request.get("TransactStatements") or [0])


def write_texts(calls: Sequence[WireCall]) -> list[dict[str, Any]]:
    """The writes for the report, in order."""
    return [
        {
            "store": call.store,
            "text": " ".join((call.statement or "").split()) if call.is_sql else call.operation,
            "items": call.rows if call.is_sql else parts_of(call),
            "error": call.error,
        }
        for call in calls
        if is_write(call)
    ]


def find_loose_writes(calls: Sequence[WireCall]) -> Iterator[Finding]:
    """A fault for each store in which what belongs together was not written in one transaction."""
    done = [call for call in calls if is_write(call) and call.error is None]
    items = [call for call in done if not call.is_sql]
    atomic = {"TransactWriteItems", "ExecuteTransaction"}
    if len(items) > 1 or any(call.operation not in atomic and parts_of(call) > 1 for call in items):
        names = ", ".join(dict.fromkeys(call.operation for call in items))
        number = sum(map(parts_of, items))
        text = f"{number} items were written by {len(items)} calls ({names}), not by one TransactWriteItems"
        yield Finding("not_atomic", text, CAUSE)
    rows = [call for call in done if call.is_sql]
    if len(rows) > 1 and any(call.transaction in (None, "idle") for call in rows):
        yield Finding("not_atomic", f"{len(rows)} statements write to Postgres outside a transaction", CAUSE)
