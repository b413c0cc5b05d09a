"""Records of the tap: calls to a store, requests to the application. Plain data, to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict

from devenv.core.model import POSTGRES, StoreName
from devenv.core.value import Value

How = Literal["alone", "traceparent", "shared", "none"]


class Owner(Value, frozen=True):
    """The requests a call belongs to: one, or several when it is `shared`; `how` is the reason."""

    how: How = "none"
    requests: tuple[int, ...] = ()


class WireCall(msgspec.Struct):
    """One call to a store, as it went over the wire.

    `statement` and `request` hold values only when contents are kept. `digest` is equal for equal values, so that a
    repeated call can be told from a similar one without keeping either. `error` is an SQLSTATE or a DynamoDB error
    code. `more`: the answer was one page of several. None means "not captured", as everywhere. Nobody changes one; it
    is not frozen because that would take longer than to read the call.
    """

    store: StoreName
    operation: str
    started: float
    ms: float | None = None
    connection: int = 0
    statement: str | None = None
    request: Any = None
    digest: str | None = None
    parameters: tuple[str, ...] = ()
    rows: int | None = None
    columns: tuple[str, ...] = ()
    scanned: int | None = None
    units: float | None = None
    items: tuple[Mapping[str, Any], ...] | None = None
    more: bool = False
    error: str | None = None
    detail: str | None = None
    database: str | None = None
    search_path: str | None = None
    role: str | None = None
    transaction: str | None = None
    region: str | None = None
    key: str | None = None
    traceparent: str | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    owner: Owner = msgspec.field(default_factory=Owner)

    @property
    def is_sql(self) -> bool:
        """Return True for a statement, False for an operation of DynamoDB."""
        return self.store == POSTGRES


class Request(Value, frozen=True):
    """One request to the application. `status` is None when the connection ended before the response."""

    number: int
    method: str
    path: str
    started: float
    ms: float | None = None
    status: int | None = None
    traceparent: str | None = None
    bytes_received: int = 0


def to_json(record: WireCall | Request) -> dict[str, Any]:
    """A record as JSON can hold it, without the fields that are at their default."""
    found = stated(asdict(record))
    if isinstance(record, WireCall):
        owner = found.pop("owner")
        return {"kind": "call", "how": owner.how, "requests": list(owner.requests), **found}
    return {"kind": "request", **found}


def stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that say something: no None, no False, no empty tuple."""
    return {
        name: value
        for name, value in values.items()
        if value or (value is not None and value is not False and value != ())
    }


def from_json(line: Mapping[str, Any]) -> WireCall | Request | None:
    """The record of a line; None for a line of another kind."""
    values = dict(line)
    kind = values.pop("kind", None)
    if kind == "request":
        return Request(**values)
    if kind != "call":
        return None
    owner = Owner(values.pop("how", "none"), tuple(values.pop("requests", ())))
    for name in ("parameters", "columns", "items"):
        if name in values:
            values[name] = tuple(values[name])
    return WireCall(owner=owner, **values)
