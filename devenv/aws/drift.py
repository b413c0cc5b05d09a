"""Drift: a declared table (a CreateTable request and what stands beside it) against the one in the account. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from devenv.aws.surroundings import Region
from devenv.stores.dynamodb.key_schema import table_keys

SECTIONS: Final = {"GlobalSecondaryIndexes": "global index", "LocalSecondaryIndexes": "local index"}
OFF: Final = "off"
ABSENT: Final = "none"


class TableState(msgspec.Struct, frozen=True):
    """A table in one region of an account. None: it could not be asked for (`recovery`, `ttl`)."""

    region: str
    described: Mapping[str, Any]
    ttl: Mapping[str, Any] | None = None
    recovery: Mapping[str, Any] | None = None


class Declared(msgspec.Struct, frozen=True):
    """A table as the project declares it. `ttl`: the attribute, None for no TTL. `recovery` None: not declared."""

    request: Mapping[str, Any]
    ttl: str | None = None
    recovery: bool | None = None


class Drift(msgspec.Struct, frozen=True):
    """One property that differs. `shape`: queries depend on it; else it is a setting of the table."""

    name: str
    declared: str
    account: str
    shape: bool

    def __str__(self) -> str:
        if ABSENT in (self.declared, self.account):
            where = "declared, but not in the account" if self.account == ABSENT else "in the account, but not declared"
            return f"{self.name}: {where}"
        if self.shape:
            return f"{self.name}: `{self.declared}` in the declaration; `{self.account}` in the account"
        return f"{self.name}: {self.declared} in the declaration, {self.account} in the account"


def regions_of(states: Mapping[str, Sequence[TableState]]) -> Iterator[Region]:
    """Where the tables and their replicas are."""
    for name, found in states.items():
        for state in found:
            yield Region(f"table {name} in the account", state.region)
            for replica in state.described.get("Replicas") or ():
                yield Region(f"a replica of table {name} in the account", str(replica.get("RegionName")))


def compare(declared: Declared, state: TableState) -> tuple[Drift, ...]:
    """Every property in which the table differs from its declaration."""
    return (*shape(declared.request, state.described), *settings(declared, state))


def shape(declared: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[Drift]:
    """Keys, indexes and projections."""
    yield from differ("key", show_key(declared, declared), show_key(described, described), shape=True)
    for section, kind in SECTIONS.items():
        wanted = {each["IndexName"]: each for each in declared.get(section) or ()}
        present = {each["IndexName"]: each for each in described.get(section) or ()}
        for name in dict.fromkeys([*wanted, *present]):
            title = f"{kind} {name}"
            if name not in present or name not in wanted:
                texts = [ABSENT if name not in side else "there" for side in (wanted, present)]
                yield Drift(title, texts[0], texts[1], shape=True)
                continue
            mine, theirs = wanted[name], present[name]
            yield from differ(f"key of {title}", show_key(mine, declared), show_key(theirs, described), shape=True)
            yield from differ(f"projection of {title}", show_projection(mine), show_projection(theirs), shape=True)


def settings(declared: Declared, state: TableState) -> Iterator[Drift]:
    """TTL, stream, protection, billing, and what else is declared."""
    request, described = declared.request, state.described
    yield from differ("billing", show_billing(request), show_billing(described))
    yield from differ("stream", show_stream(request), show_stream(described))
    yield from differ("deletion protection", on(is_protected(request)), on(is_protected(described)))
    if state.ttl is not None:
        yield from differ("TTL", declared.ttl or OFF, show_ttl(state.ttl))
    if declared.recovery is not None and state.recovery is not None:
        yield from differ("point-in-time recovery", on(declared.recovery), on(has_recovery(state.recovery)))
    if request.get("SSESpecification"):
        wanted = bool(request["SSESpecification"].get("Enabled"))
        found = (described.get("SSEDescription") or {}).get("Status") in ("ENABLED", "UPDATING")
        yield from differ("encryption by KMS", on(wanted), on(found))


def differ(name: str, declared: str, account: str, *, shape: bool = False) -> Iterator[Drift]:
    """The drift, if there is one."""
    if declared != account:
        yield Drift(name, declared, account, shape)


def show_key(part: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """`pk (S), sk (S)`: the key of a table or of one of its indexes."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", ())}
    return ", ".join(f"{name} ({types.get(name, '?')})" for name in table_keys(part))


def show_projection(index: Mapping[str, Any]) -> str:
    """`ALL`, `KEYS_ONLY`, `INCLUDE (a, b)`."""
    projection = index.get("Projection") or {}
    kind = str(projection.get("ProjectionType") or "ALL")
    names = ", ".join(sorted(projection.get("NonKeyAttributes") or ())) if kind == "INCLUDE" else ""
    return f"{kind} ({names})" if names else kind


def show_billing(table: Mapping[str, Any]) -> str:
    """`on demand`, or `provisioned` with the capacity. CreateTable's default is provisioned."""
    summary = table.get("BillingModeSummary") or {}
    throughput = table.get("ProvisionedThroughput") or {}
    units = throughput.get("ReadCapacityUnits"), throughput.get("WriteCapacityUnits")
    if (table.get("BillingMode") or summary.get("BillingMode")) == "PAY_PER_REQUEST":
        return "on demand"
    return f"provisioned ({units[0] or 0} read and {units[1] or 0} write units)"


def show_stream(table: Mapping[str, Any]) -> str:
    """The view type of the stream, or `off`."""
    stream = table.get("StreamSpecification") or {}
    return str(stream.get("StreamViewType")) if str(stream.get("StreamEnabled")).lower() == "true" else OFF


def show_ttl(described: Mapping[str, Any]) -> str:
    """The attribute that TTL goes by, or `off`."""
    found = described.get("TimeToLiveDescription") or {}
    on_now = found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return str(found.get("AttributeName")) if on_now else OFF


def is_protected(table: Mapping[str, Any]) -> bool:
    """Return True for deletion protection, which a definition may spell as a text."""
    return str(table.get("DeletionProtectionEnabled")).lower() == "true"


def has_recovery(answer: Mapping[str, Any]) -> bool:
    """Return True if DescribeContinuousBackups' answer says that point-in-time recovery is on."""
    found = (answer.get("ContinuousBackupsDescription") or {}).get("PointInTimeRecoveryDescription") or {}
    return found.get("PointInTimeRecoveryStatus") == "ENABLED"


def on(value: bool) -> str:
    """`on` or `off`."""
    return "on" if value else OFF
