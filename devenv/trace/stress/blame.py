"""Which call of the application explains a wrong answer, and in what. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from devenv.trace.conditions.condition import StressCondition
from devenv.trace.stress.result import PartCall

PLACES: Final = frozenset(["ExclusiveStartKey", "NextToken"])
# Error codes after which the same request may be sent again.
AGAIN: Final = ("Throttl", "ThroughputExceeded", "Conflict", "ConditionalCheckFailed", "TransactionCanceled")


def find_blame(condition: StressCondition, calls: Sequence[PartCall]) -> str | None:
    """A clause for the line of a condition; None when the calls do not tell."""
    if condition.name.startswith("pages") or condition.times > 1:
        return blame_pages(calls, condition)
    if condition.name.startswith("unprocessed"):
        return blame_batches(calls)
    failed = [call for call in calls if call.error and any(word in call.error for word in AGAIN)]
    if failed and (last := failed[-1]):
        later = calls[list(calls).index(last) + 1 :]
        if not any(shape(call) == shape(last) for call in later):
            return f"{name_of(last)} is not retried"
    return None


def blame_pages(calls: Sequence[PartCall], condition: StressCondition) -> str | None:
    """The read whose next page is not asked for, or is asked for from another place."""
    reads = [call for call in calls if call.store == "dynamodb"]
    for place, call in enumerate(reads):
        if not call.more:
            continue
        later = [one for one in reads[place + 1 :] if shape(one) == shape(call)]
        keys = [start_of(one) for one in later]
        if not any(keys):
            return f"{name_of(call)} requests no next page"
        if call.next_key is not None and call.next_key not in keys:
            return f"{name_of(call)} does not continue from LastEvaluatedKey"
    if condition.times > 1 and reads:
        alike = max((sum(shape(one) == shape(call) for one in reads), n) for n, call in enumerate(reads))
        return f"{name_of(reads[alike[1]])} is sent {alike[0]} times" if alike[0] > len(reads) // 2 > 10 else None
    return None


def blame_batches(calls: Sequence[PartCall]) -> str | None:
    """The batch whose rest is not sent again."""
    batches = [call for call in calls if call.text.startswith("Batch")]
    for place, call in enumerate(batches):
        if call.more and not any(part_of(later, call) for later in batches[place + 1 :]):
            return f"{name_of(call)} does not retry the unprocessed items"
    return None


def part_of(later: PartCall, call: PartCall) -> bool:
    """Return True if a batch has nothing that an earlier one did not have."""
    mine, theirs = elements_of(later), elements_of(call)
    return bool(mine) and mine <= theirs


def elements_of(call: PartCall) -> set[str]:
    """The keys or writes of a batch, as text."""
    tables = call.request.get("RequestItems", {}) if isinstance(call.request, dict) else {}
    parts = [each["Keys"] if isinstance(each, dict) else each for each in tables.values()]
    return {json.dumps(one, sort_keys=True) for part in parts for one in part}


def start_of(call: PartCall) -> Any:
    """Where a page begins; None for the first."""
    request = call.request if isinstance(call.request, dict) else {}
    return request.get("ExclusiveStartKey") or request.get("NextToken")


def shape(call: PartCall) -> str:
    """Return what a call has in common with its further pages."""
    request = call.request if isinstance(call.request, dict) else {"text": call.request}
    kept = {name: value for name, value in request.items() if name not in PLACES | {"Limit", "ClientRequestToken"}}
    return call.text + json.dumps(kept, sort_keys=True, default=str)


def name_of(call: PartCall) -> str:
    """The line of code, or the call where the line is not known."""
    return f"`{call.place}`" if call.place else f"`{call.text}`"
