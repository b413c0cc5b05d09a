"""Requests that an application sent, in a form that can be compared with a declared pattern. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from devenv.capture.calls import StoreCall
from devenv.capture.tap.records import WireCall
from devenv.core.late import late
from devenv.core.model import POSTGRES
from devenv.core.value import Value
from devenv.links.values import as_text
from devenv.stores.dynamodb.client import plain_value

CLAUSE: Final = late(
    r"begins_with\s*\(\s*(?P<prefixed>[#\w.-]+)\s*,\s*(?P<prefix>:\w+)\s*\)"
    r"|(?P<between>[#\w.-]+)\s+BETWEEN\s+(?P<low>:\w+)\s+AND\s+(?P<high>:\w+)"
    r"|(?P<left>[#\w.-]+)\s*(?P<operator><>|<=|>=|=|<|>)\s*(?P<right>:\w+)",
    re.IGNORECASE,
)
LEGACY: Final = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
SESSION: Final = ("host", "port", "database", "user", "search_path", "options")
ROLE: Final = late(r"(?:-c\s*|--)role=(\S+)")
READS: Final = frozenset(["Query", "Scan", "GetItem", "BatchGetItem", "TransactGetItems", "ExecuteStatement"])


class Sent(Value, frozen=True):
    """One request as it was observed, with its answer as far as there was one."""

    service: str
    operation: str
    request: Any
    url: str | None = None
    region: str | None = None
    key: str | None = None
    place: Mapping[str, Any] = {}
    items: Sequence[Mapping[str, Any]] | None = None
    count: int | None = None
    scanned: int | None = None
    more: bool = False
    error: str | None = None
    detail: str | None = None

    @property
    def is_sql(self) -> bool:
        """Return True for a statement, False for an operation of DynamoDB."""
        return self.service == POSTGRES


def read_events(events: Iterable[Mapping[str, Any]]) -> list[Sent]:
    """Requests with their answers, in the order in which they were sent."""
    found: dict[int, Sent] = {}
    for event in events:
        if event.get("event") == "asked":
            place = {name: event[name] for name in SESSION if event.get(name) is not None}
            found[event["number"]] = Sent(
                event["service"],
                event["operation"],
                event["request"],
                event.get("url"),
                event.get("region"),
                None,
                place,
            )
        elif event.get("event") == "answered" and event["number"] in found:
            sent = found[event["number"]]
            signed = event.get("signed") or {}
            found[event["number"]] = replace(
                sent,
                region=signed.get("region") or sent.region,
                key=signed.get("key"),
                items=event.get("items"),
                count=event.get("count"),
                scanned=event.get("scanned"),
                more=bool(event.get("more")),
                error=event.get("error"),
                detail=event.get("detail"),
            )
    return list(found.values())


def from_call(call: WireCall) -> Sent:
    """A call that the tap recorded."""
    return Sent(
        call.store,
        call.operation,
        call.statement if call.is_sql else call.request,
        region=call.region,
        key=call.key,
        items=call.items,
        count=call.rows,
        scanned=call.scanned,
        more=call.more and not call.is_sql,
        error=call.error,
        detail=call.detail,
    )


def is_read(sent: Sent) -> bool:
    """Return True if a request reads data."""
    return sent.is_sql or sent.operation in READS


def fold_pages(sent: Iterable[Sent]) -> list[list[Sent]]:
    """Requests that are pages of one read together, in order."""
    runs: list[list[Sent]] = []
    for one in sent:
        request = one.request if isinstance(one.request, dict) else {}
        cursor = "ExclusiveStartKey" in request or "NextToken" in request
        before = next((run for run in reversed(runs) if run[-1].more and signature(run[-1]) == signature(one)), None)
        if cursor and before is not None:
            before.append(one)
        else:
            runs.append([one])
    return runs


def signature(sent: Sent) -> str:
    """Return what pages of one read have in common."""
    request = dict(sent.request) if isinstance(sent.request, dict) else {"": sent.request}
    for name in ("ExclusiveStartKey", "NextToken", "Limit"):
        request.pop(name, None)
    return json.dumps([sent.operation, sent.url, request], sort_keys=True, default=str)


def describe(run: Sequence[Sent]) -> StoreCall:
    """One read of one or several pages."""
    first, last = run[0], run[-1]
    counts = [one.count for one in run if one.count is not None]
    scans = [one.scanned for one in run if one.scanned is not None]
    asked = describe_sql(first) if first.is_sql else describe_dynamodb(first)
    return replace(
        asked,
        followed=not last.more,
        count=sum(counts) if counts else None,
        scanned=sum(scans) if scans else None,
        error=last.error,
        detail=last.detail,
        times=len(run),
    )


def describe_sql(sent: Sent) -> StoreCall:
    taken_on = ROLE.search(str(sent.place.get("options") or ""))
    user, role = sent.place.get("user"), taken_on[1] if taken_on else None
    taken = bool(role) and role not in ("none", user)
    who = f"role {role} (login {user})" if taken else user
    words = (
        ("as", who),
        ("with search_path", sent.place.get("search_path")),
        ("in", sent.place.get("transaction")),
    )
    session = " ".join(f"{word} {value}" for word, value in words if value)
    acting = role if taken else user
    named = str(acting) if acting else None
    return StoreCall("SQL", sql=str(sent.request), session=session or None, role=named, store=POSTGRES)


def describe_dynamodb(sent: Sent) -> StoreCall:
    request = sent.request if isinstance(sent.request, dict) else {}
    if sent.operation == "ExecuteStatement":
        return StoreCall(sent.operation, sql=str(request.get("Statement")), limit=request.get("Limit"))
    if sent.operation == "GetItem":
        return StoreCall(sent.operation, request.get("TableName"), key=texts(request.get("Key", {})))
    if sent.operation == "BatchGetItem":
        return StoreCall(sent.operation, ", ".join(request.get("RequestItems", {})))
    key, sort = read_condition(request)
    forward = request.get("ScanIndexForward", True)
    return StoreCall(
        sent.operation,
        request.get("TableName"),
        request.get("IndexName"),
        key,
        sort,
        spell(request, request.get("FilterExpression")),
        spell(request, request.get("ProjectionExpression")),
        request.get("Limit"),
        None if sent.operation != "Query" else "ascending" if forward else "descending",
    )


def texts(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Attribute values as text."""
    return {name: as_text(plain_value(value)) or "" for name, value in attributes.items()}


def read_condition(request: Mapping[str, Any]) -> tuple[dict[str, str], str | None]:
    """The equalities of a key condition, and what else it asks, in words."""
    values = texts(request.get("ExpressionAttributeValues") or {})
    names: Mapping[str, str] = request.get("ExpressionAttributeNames") or {}
    key: dict[str, str] = {}
    rest: list[str] = []
    for found in CLAUSE.finditer(request.get("KeyConditionExpression") or ""):
        if found["prefixed"]:
            rest.append(
                f"begins_with({names.get(found['prefixed'], found['prefixed'])}, {values.get(found['prefix'])})"
            )
        elif found["between"]:
            name = names.get(found["between"], found["between"])
            rest.append(f"{name} BETWEEN {values.get(found['low'])} AND {values.get(found['high'])}")
        else:
            name = names.get(found["left"], found["left"])
            text = values.get(found["right"], found["right"])
            if found["operator"] == "=":
                key[name] = text
            else:
                rest.append(f"{name} {found['operator']} {text}")
    for name, condition in (request.get("KeyConditions") or {}).items():
        operands = [as_text(plain_value(value)) or "" for value in condition.get("AttributeValueList", ())]
        operator = condition.get("ComparisonOperator")
        if operator == "EQ":
            key[name] = operands[0]
        elif operator == "BEGINS_WITH":
            rest.append(f"begins_with({name}, {operands[0]})")
        elif operator == "BETWEEN":
            rest.append(f"{name} BETWEEN {' AND '.join(operands)}")
        else:
            rest.append(f"{name} {LEGACY.get(operator, operator)} {' '.join(operands)}")
    return key, " and ".join(rest) or None


def spell(request: Mapping[str, Any], expression: str | None) -> str | None:
    """An expression with its names and values written out."""
    if not expression:
        return None
    values = texts(request.get("ExpressionAttributeValues") or {})
    known = {**(request.get("ExpressionAttributeNames") or {}), **values}
    return re.sub(r"[:#]\w+", lambda found: str(known.get(found[0], found[0])), expression)
