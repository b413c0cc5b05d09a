"""A small DynamoDB client on `http.client`, and the attribute-value codec.

Not botocore: importing it and building a client costs more than a whole `devenv up` that has nothing to do. For what is
not on loopback it is worth that (remote.py).
Items stay in DynamoDB's own JSON (`{"pk": {"S": "x"}}`); `plain` and `typed_item` translate.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import http.client
import random
import re
import select
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, urlsplit

import msgspec

from devenv.core.deadline import deadline
from devenv.core.errors import Exit, StoreError, UsageError
from devenv.core.model import DynamoTarget
from devenv.core.plural import number_of
from devenv.stores.dynamodb.bounded import BoundedSocket

if TYPE_CHECKING:
    from devenv.stores.dynamodb.remote import Transport

API: Final = "DynamoDB_20120810"
CONTENT_TYPE: Final = "application/x-amz-json-1.0"
READS: Final = ("List", "Describe", "Get", "BatchGet", "TransactGet", "Query", "Scan")
CURSORS: Final = {
    "LastEvaluatedKey": "ExclusiveStartKey",
    "LastEvaluatedTableName": "ExclusiveStartTableName",
    "NextToken": "NextToken",
}
REPEATED: Final = "RepeatedCursor"
# DynamoDB Local reads and sorts all that is left of a table for a page without a limit. A page ends at 1 MB anyway.
SCANNED: Final = 10_000
BATCH_ITEMS: Final = 25
BATCH_KEYS: Final = 100
BATCH_BYTES: Final = 15_000_000  # DynamoDB's limit is 16 MB; the rest is room for the envelope.
ANSWER_BYTES: Final = 64_000_000  # The largest real answer is 16 MB; more than this is not DynamoDB.

ANSWER_S: Final = 10.0
# DynamoDB Local counts a table's items to describe it: many seconds for millions.
DESCRIBE_S: Final = 20.0
# While an index is made or deleted, DynamoDB Local has it in one list and not in another, and fails at once at reads.
FAILED: Final = b"#InternalFailure"
FAILED_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.2)
AT_ONCE_S: Final = 1.0

Item = dict[str, Any]


class Dynamo:
    """One keep-alive connection to one endpoint. Use one per thread; a context manager.

    `timeout` (seconds) bounds the connect, and each answer as a whole: one that comes a byte at a time ends in time,
    too; without it, a table's description may take longer. Every failure is a StoreError; one that a time-out made has
    the exit code 4.
    """

    api = API

    def __init__(self, target: DynamoTarget, *, timeout: float = ANSWER_S) -> None:
        self.target = target
        self.timeout = timeout
        self._url = split_endpoint(target.endpoint)
        self._connection: http.client.HTTPConnection | None = None
        self._allowed = self._end = 0.0
        # Nothing is signed here that leaves the machine: boto3 does that.
        self.transport: Transport | None = None if is_local(self._url.hostname or "") else self.remote()

    def remote(self) -> Transport:
        """The way of everything that is not on loopback."""
        from devenv.stores.dynamodb.remote import SdkTransport

        return SdkTransport(self.target, self.timeout, self.api)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self.transport is not None:
            self.transport.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, operation: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request (`call("GetItem", {...})`) and its answer, both in DynamoDB's JSON.

        StoreError: `code` is the AWS error type without prefix; `reached` is False when nothing answered in time
        or what answered is not DynamoDB. Never sent twice, except a read: on a connection that turned out closed,
        and when DynamoDB Local fails at it.
        """
        body = body or {}
        return self._judge(operation, body, *self._exchange(operation, body))

    def answer(self, operation: str, body: Mapping[str, Any]) -> bytes:
        """The same as the answer's own bytes, for who parses them faster than `call` does."""
        status, answer = self._exchange(operation, body)
        if status != http.client.OK:
            self._judge(operation, body, status, answer)
        return answer

    def _exchange(self, operation: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        """The HTTP status and the body of what answered, after what FAILED_PAUSES_S says."""
        for pause in FAILED_PAUSES_S:
            began = time.monotonic()
            status, answer = self._send_once(operation, body)
            failed = status == http.client.INTERNAL_SERVER_ERROR and FAILED in answer
            if not failed or not operation.startswith(READS) or time.monotonic() - began > AT_ONCE_S:
                return status, answer
            time.sleep(pause)
        return self._send_once(operation, body)

    def _send_once(self, operation: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        """Send one request; the HTTP status and the body of what answered. UsageError for what may not be sent."""
        self._guard(operation, body)
        try:
            payload = msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            raise StoreError(
                f"{self._subject(operation, body)} has text that is not Unicode", detail=str(error)
            ) from None
        send, reused = self._send, False
        if self.transport is not None:
            send, self._allowed = self.transport.send, self.timeout
        else:
            self._drop_if_stale()
            reused = self._connection is not None
        try:
            try:
                status, answer = send(operation, payload)
            except (ConnectionError, http.client.RemoteDisconnected):
                if not reused or not operation.startswith(READS):
                    raise
                self.close()
                status, answer = self._send(operation, payload)
        except TimeoutError:
            self.close()
            late = self._unreached(operation, body, f"no answer within {self._allowed:.3g} s")
            late.exit_code = Exit.TIMEOUT
            raise late from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._unreached(operation, body, str(error) or type(error).__name__) from None
        return status, answer

    def _guard(self, operation: str, body: Mapping[str, Any]) -> None:
        """Send nothing to a store that is closed, and no write to one that refuses them (engines/external.py)."""
        reads = operation.startswith(READS) or (
            operation == "ExecuteStatement" and verb(str(body.get("Statement", ""))) == "SELECT"
        )
        if reason := self.target.closed or (None if reads else self.target.refused):
            raise UsageError(reason, detail=f"{operation} was not sent")

    def pages(self, operation: str, body: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every page of `Scan`, `Query`, `ListTables` or `ExecuteStatement`, until the store says there is no more."""
        request = dict(body or {})
        marks: set[bytes] = set()
        while True:
            page = self.call(operation, request)
            yield page
            cursor = next((name for name in CURSORS if page.get(name)), None)
            if cursor is None:
                return
            mark = msgspec.json.encode(page[cursor])
            if mark in marks:
                raise self.repeated(operation, request)
            marks.add(mark)
            request[CURSORS[cursor]] = page[cursor]

    def repeated(self, operation: str, body: Mapping[str, Any]) -> StoreError:
        """The error for pages that lead back to one that was read: their end would never come (exit 3)."""
        error = StoreError(
            f"{self._subject(operation, body)} does not end",
            detail="a page names an earlier page as the next one",
            code=REPEATED,
        )
        error.exit_code = Exit.UNCHECKED
        return error

    def has_table(self, table: str) -> bool:
        """Return True if there is a table of exactly this name. Unlike DescribeTable it counts no items."""
        return any(table in page["TableNames"] for page in self.pages("ListTables"))

    def scan(self, table: str, **extra: Any) -> Iterator[Item]:
        """Every raw item of `table`. `extra` goes into the request: `scan("t", Segment=0, TotalSegments=4)`."""
        for page in self.scan_pages(table, **extra):
            yield from page["Items"]

    def scan_pages(self, table: str, **extra: Any) -> Iterator[dict[str, Any]]:
        """Every page of a Scan of the whole table, or of one segment."""
        return self.pages("Scan", {"TableName": table, "Limit": SCANNED, **extra})

    def read_keys(self, table: str, keys: Sequence[Mapping[str, Any]], *, deadline_s: float = 30.0) -> Iterator[Item]:
        """The items that exist of these different keys, by consistent reads, whole. Order is the store's.

        What the store leaves unprocessed is asked for again; StoreError when some is left after `deadline_s` seconds.
        """
        end = time.monotonic() + deadline_s
        for first in range(0, len(keys), BATCH_KEYS):
            left: Sequence[Mapping[str, Any]] = keys[first : first + BATCH_KEYS]
            pause = 0.05
            while left:
                asked = len(left)
                answer = self.call("BatchGetItem", {"RequestItems": {table: {"Keys": left, "ConsistentRead": True}}})
                yield from answer["Responses"].get(table, ())
                left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                if left and time.monotonic() + pause > end:
                    raise StoreError(
                        f"{number_of(len(left), 'item')} of {table} not read from DynamoDB at {self.target.endpoint}",
                        detail=f"still unprocessed after {deadline_s:g} s of retries",
                        code="UnprocessedKeys",
                    )
                if len(left) == asked:
                    time.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, 1.0)

    def write_batch(self, table: str, requests: Sequence[Mapping[str, Any]], *, deadline_s: float = 30.0) -> None:
        """Apply `{"PutRequest": {"Item": …}}` and `{"DeleteRequest": {"Key": …}}` in batches, in order.

        What the store leaves unprocessed is sent again with growing pauses; StoreError when some of it is still
        left after `deadline_s` seconds. Batches before a failure stay written.
        """
        end = time.monotonic() + deadline_s
        for batch in split_batches(requests):
            left: Sequence[Mapping[str, Any]] = batch
            pause = 0.05
            while True:
                answer = self.call("BatchWriteItem", {"RequestItems": {table: left}})
                left = answer.get("UnprocessedItems", {}).get(table, [])
                if not left:
                    break
                if time.monotonic() + pause > end:
                    raise StoreError(
                        f"{number_of(len(left), 'item')} of {table} not accepted by DynamoDB at {self.target.endpoint}",
                        detail=f"still unprocessed after {deadline_s:g} s of retries",
                        code="UnprocessedItems",
                    )
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, 1.0)

    def _drop_if_stale(self) -> None:
        """Close a kept connection that the server has closed, so that a write is never sent into the void."""
        kept = self._connection.sock if self._connection is not None else None
        if kept is None:
            self.close()
            return
        poll = select.poll()
        poll.register(kept, select.POLLIN)
        if poll.poll(0):
            self.close()

    def _send(self, operation: str, payload: bytes) -> tuple[int, bytes]:
        self._allowed = deadline.bound(patience(operation, self.timeout))
        deadline.doing = f"DynamoDB {operation} at {self.target.endpoint}"
        self._end = time.monotonic() + self._allowed
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._url.hostname or "", self._url.port, timeout=self._allowed)
            self._connection.connect()
            self._connection.sock = BoundedSocket(self._connection.sock, self.left)
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = sign(self.target, operation, payload, now, self.api)
        self._connection.request("POST", self._url.path or "/", payload, headers)
        response = self._connection.getresponse()
        answer = response.read(ANSWER_BYTES)
        if len(answer) == ANSWER_BYTES:
            raise http.client.HTTPException(f"an answer of {ANSWER_BYTES} bytes or more")
        checksum = response.getheader("x-amz-crc32")
        if checksum is not None and checksum != str(zlib.crc32(answer)):
            raise http.client.HTTPException(f"an answer of {len(answer)} bytes whose checksum is wrong")
        deadline.moved()
        return response.status, answer

    def left(self) -> float:
        """Seconds that the answer under way may still take. TimeoutError if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _judge(self, operation: str, body: Mapping[str, Any], status: int, answer: bytes) -> dict[str, Any]:
        try:
            tree = msgspec.json.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            tree = None
        if isinstance(tree, dict) and status == http.client.OK:
            return tree
        if isinstance(tree, dict) and isinstance(tree.get("__type"), str):
            code = tree["__type"].rpartition("#")[2]
            words = tree.get("message") or tree.get("Message")
            detail = None if words is None else str(words)
            raise StoreError(f"{self._subject(operation, body)} failed: {code}", detail=detail, code=code)
        self.close()
        shown = " ".join(answer[:120].decode("utf-8", "replace").split())
        raise StoreError(
            f"{self.target.endpoint} is not DynamoDB: its answer to {operation} is not DynamoDB's",
            detail=f"HTTP {status}: {shown}" if shown else f"HTTP {status}, empty",
            reached=False,
        )

    def _unreached(self, operation: str, body: Mapping[str, Any], detail: str) -> StoreError:
        return StoreError(f"{self._subject(operation, body)} got no answer", detail=detail, reached=False)

    def _subject(self, operation: str, body: Mapping[str, Any]) -> str:
        table = body.get("TableName") or ", ".join(body.get("RequestItems") or ())
        return f"DynamoDB {operation}{f' of table {table}' if table else ''} at {self.target.endpoint}"


def patience(operation: str, timeout: float) -> float:
    """Return how long an answer may take: who set no limit of their own waits until a large table is counted."""
    return DESCRIBE_S if operation == "DescribeTable" and timeout == ANSWER_S else timeout


def is_local(host: str) -> bool:
    """Return True for a name or address of loopback."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){1,3}", host) is not None


def read_only(target: DynamoTarget) -> DynamoTarget:
    """The same store for a client that cannot write: `Dynamo` sends no request that could change anything."""
    return replace(target, refused=target.refused or "this command only reads")


def verb(statement: str) -> str:
    """The first word of a PartiQL statement, in capitals, behind comments and parentheses; "" where that is not sure.

    Who takes a comment for longer or shorter than DynamoDB does takes a DELETE for a SELECT.
    """
    found = re.match(r"(?:[\s(]|--[^\r\n]*\r?\n|/\*(?:(?!/\*).)*?\*/)*(\w+)", statement, re.DOTALL)
    return found[1].upper() if found else ""


def probe(target: DynamoTarget, *, timeout: float = 2.0) -> None:
    """A signed ListTables: an open port or an unsigned GET says nothing. StoreError unless DynamoDB answers it."""
    with Dynamo(target, timeout=timeout) as dynamo:
        if not isinstance(dynamo.call("ListTables", {"Limit": 1}).get("TableNames"), list):
            raise StoreError(f"{target.endpoint} is not DynamoDB: it does not list tables", reached=False)


def split_endpoint(endpoint: str) -> SplitResult:
    """The parts of an endpoint URL. StoreError when it is not `http[s]://host[:port]`."""
    try:
        url = urlsplit(endpoint)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise StoreError(
            f"{endpoint!r} is not a DynamoDB endpoint",
            detail="it must look like http://127.0.0.1:8000",
            reached=False,
        )
    return url


def sign(target: DynamoTarget, operation: str, payload: bytes, now: str, api: str = API) -> dict[str, str]:
    """The headers of one signed request (AWS Signature Version 4). `now` is UTC as `20230624T205702Z`."""
    url = split_endpoint(target.endpoint)
    headers = {
        "content-type": CONTENT_TYPE,
        "host": url.netloc.rpartition("@")[2].lower().removesuffix({"http": ":80", "https": ":443"}[url.scheme]),
        "x-amz-date": now,
        "x-amz-target": f"{api}.{operation}",
    }
    if target.token:
        headers["x-amz-security-token"] = target.token
        headers = dict(sorted(headers.items()))
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n{url.path or '/'}\n\n{lines}\n{signed}\n{hashlib.sha256(payload).hexdigest()}"
    scope = f"{now[:8]}/{target.region}/dynamodb/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{target.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={target.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return headers


def split_batches(
    requests: Iterable[Mapping[str, Any]], most: int = BATCH_ITEMS, most_bytes: int = BATCH_BYTES
) -> Iterator[list[Mapping[str, Any]]]:
    """`requests` in order, in lists that fit one BatchWriteItem (or what else is said) by count and encoded size."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for request in requests:
        length = len(msgspec.json.encode(request))
        if batch and (len(batch) == most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += length
    if batch:
        yield batch


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A raw item as Python values: str, Decimal, bytes, bool, None, list, dict, and sets of the first three."""
    return {name: plain_value(value) for name, value in item.items()}


def plain_value(value: Mapping[str, Any]) -> Any:
    """One attribute value (`{"N": "1"}`) as a Python value; numbers keep every digit. ValueError if malformed."""
    if len(value) != 1:
        raise ValueError(f"not an attribute value: {value!r}")
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return Decimal(content)
        case "B":
            return binascii.a2b_base64(content)
        case "NULL":
            return None
        case "L":
            return [plain_value(part) for part in content]
        case "M":
            return plain(content)
        case "SS" | "NS" | "BS":
            return {plain_value({kind[0]: part}) for part in content}
    raise ValueError(f"unknown attribute type {kind!r}")


def typed_item(item: Mapping[str, Any]) -> Item:
    """Python values as a raw item: the inverse of `plain`."""
    return {name: typed(value) for name, value in item.items()}


def typed(value: Any) -> dict[str, Any]:
    """One Python value as an attribute value: `typed(1) == {"N": "1"}`, a dict becomes a map (`M`).

    TypeError for what has no exact form: a float (read numbers as Decimal), an empty or a mixed set, other types.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case bytes():
            return {"B": binascii.b2a_base64(value, newline=False).decode()}
        case Mapping():
            return {"M": typed_item(value)}
        case list() | tuple():
            return {"L": [typed(part) for part in value]}
        case set() | frozenset():
            parts = [next(iter(typed(part).items())) for part in value]
            kinds = {kind for kind, _ in parts}
            if len(kinds) == 1 and kinds <= {"S", "N", "B"}:
                return {f"{kinds.pop()}S": sorted(text for _, text in parts)}
            raise TypeError(f"a set must hold only text, only numbers or only bytes, and not be empty: {value!r}")
    raise TypeError(f"{type(value).__name__} has no exact DynamoDB form: {value!r}")
