"""Requests to DynamoDB and their responses as calls. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from devenv.capture.tap.http import Exchange, Exchanges
from devenv.capture.tap.masks import mask_request, mask_secrets, mask_sql, valid_traceparent
from devenv.capture.tap.records import Owner, WireCall

LIMIT: Final = 1 << 20
WHOLE_LIMIT: Final = 32 << 20
DETAIL_CHARS: Final = 500
CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)/\d*/([^/,\s]+)/")
QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
# How DynamoDB Local writes a page of items, and what comes behind them.
PAGE: Final = b'{"Items":['
BEHIND: Final = b'],"Count":'
# What brings items, and where they are in the response.
ITEMS: Final[Mapping[str, str]] = {
    "Query": "Items",
    "Scan": "Items",
    "ExecuteStatement": "Items",
    "GetItem": "Item",
    "BatchGetItem": "Responses",
    "TransactGetItems": "Responses",
}


class DynamoConversation:
    """A connection to DynamoDB. `told` gets each call; `owner` is asked, when one begins, whose it is."""

    def __init__(
        self,
        told: Callable[[WireCall], None],
        owner: Callable[[str | None], Owner],
        unparsed: Callable[[str], None],
        *,
        contents: bool,
        salt: bytes,
        connection: int,
    ) -> None:
        self.told, self.owner, self.unparsed = told, owner, unparsed
        self.contents, self.salt, self.connection = contents, salt, connection
        exchanges = Exchanges(self.began, self.ended, WHOLE_LIMIT if contents else LIMIT)
        self.sent, self.received, self.close = exchanges.sent, exchanges.received, exchanges.close

    def began(self, exchange: Exchange) -> None:
        """A request's head: from here on it belongs to somebody."""
        exchange.mark = self.owner(valid_traceparent(exchange.headers.get("traceparent")))

    def ended(self, exchange: Exchange) -> None:
        """A request has its response, or will have none."""
        target = exchange.headers.get("x-amz-target", "")
        if not target.startswith("DynamoDB_"):
            self.unparsed("a request without a DynamoDB operation")
            return
        owner = exchange.mark if isinstance(exchange.mark, Owner) else Owner()
        self.told(self.read(exchange, target.rpartition(".")[2], owner))

    def read(self, exchange: Exchange, operation: str, owner: Owner) -> WireCall:
        request = parse(exchange.body, exchange.headers, exchange.body_size)
        answer = None if self.contents else parse_page(exchange)
        if answer is None:
            answer = parse(exchange.answer, exchange.answer_headers, exchange.answer_size)
        if request is None or (answer is None and exchange.ended is not None):
            self.unparsed("a body that is not JSON, or is too long")
        signed = CREDENTIAL.search(exchange.headers.get("authorization", ""))
        error, detail = read_error(exchange.status, answer)
        items = items_of(operation, answer) if answer is not None and error is None else None
        return WireCall(
            "dynamodb",
            operation,
            exchange.started,
            None if exchange.ended is None else (exchange.ended - exchange.started) * 1000,
            self.connection,
            statement=statement_of(operation, request, contents=self.contents),
            request=request if self.contents else mask_request(request),
            digest=hashlib.blake2b(bytes(exchange.body), key=self.salt, digest_size=8).hexdigest(),
            rows=rows_of(answer, items),
            scanned=number(answer, "ScannedCount"),
            units=units_of(answer),
            items=tuple(items) if self.contents and items is not None else None,
            more=bool(answer and any(answer.get(n) for n in ("LastEvaluatedKey", "NextToken", "UnprocessedKeys"))),
            error="no response" if exchange.status is None else error,
            detail=detail if self.contents or detail is None else QUOTED.sub("?", detail),
            region=signed[2] if signed else None,
            key=hashlib.sha256(signed[1].encode()).hexdigest() if signed else None,
            traceparent=valid_traceparent(exchange.headers.get("traceparent")),
            bytes_sent=exchange.body_size,
            bytes_received=exchange.answer_size,
            owner=owner,
        )


def parse_page(exchange: Exchange) -> dict[str, Any] | None:
    """A page without its items, which are most of it; None for what does not begin with items.

    Behind a list, only the page itself has another name: the value of an attribute is an object with one.
    """
    body = exchange.answer
    if exchange.status != 200 or not body.startswith(PAGE) or len(body) < exchange.answer_size:
        return None
    behind = body.rfind(BEHIND)
    try:
        return dict(json.loads(b"{" + body[behind + 2 :])) if behind >= 0 else None
    except ValueError:
        return None


def parse(body: bytearray, headers: Mapping[str, str], size: int) -> dict[str, Any] | None:
    """A body's JSON object; None for what is cut, or is none."""
    if len(body) < size:
        return None
    try:
        text = bytes(body)
        if headers.get("content-encoding", "").lower() == "gzip":
            text = zlib.decompressobj(31).decompress(text, WHOLE_LIMIT)
        found = json.loads(text or b"{}")
    except (ValueError, zlib.error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_error(status: int | None, answer: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """A response's error code and words; None and None when it is none."""
    if status is None or status < 400:
        return None, None
    kind = str((answer or {}).get("__type") or f"status {status}").rpartition("#")[2]
    words = (answer or {}).get("message") or (answer or {}).get("Message")
    return kind, str(words)[:DETAIL_CHARS] if words else None


def statement_of(operation: str, request: Mapping[str, Any] | None, *, contents: bool) -> str | None:
    text = (request or {}).get("Statement")
    if not operation.startswith("Execute") or not isinstance(text, str):
        return None
    return mask_secrets(text) if contents else mask_sql(text)


def items_of(operation: str, answer: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The items that a read brought; None for what is no read."""
    found = answer.get(ITEMS.get(operation, ""))
    if operation == "GetItem":
        return [found] if found else []
    if operation == "BatchGetItem":
        return [item for table in (found or {}).values() for item in table]
    if operation == "TransactGetItems":
        return [one["Item"] for one in found or () if one.get("Item")]
    return found if isinstance(found, list) else None


def rows_of(answer: Mapping[str, Any] | None, items: list[Mapping[str, Any]] | None) -> int | None:
    """Return how many items a response is about."""
    count = number(answer, "Count")
    return count if count is not None else None if items is None else len(items)


def number(answer: Mapping[str, Any] | None, name: str) -> int | None:
    found = (answer or {}).get(name)
    return found if isinstance(found, int) else None


def units_of(answer: Mapping[str, Any] | None) -> float | None:
    """The capacity units that the store says it took, when it was asked to say so."""
    consumed = (answer or {}).get("ConsumedCapacity")
    many = consumed if isinstance(consumed, list) else [consumed]
    found = [one["CapacityUnits"] for one in many if isinstance(one, dict) and "CapacityUnits" in one]
    return float(sum(found)) if found else None
