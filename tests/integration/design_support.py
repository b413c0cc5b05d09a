"""Designs of tables with patterns, for the tests of the pattern rules."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devenv.config.parse import parse
from devenv.config.schema import Settings
from devenv.core.model import CheckResult

NOW = datetime(2026, 6, 24, tzinfo=UTC)
TYPES = {"n": "N", "number": "N", "when": "N", "id": "N"}


def key(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def index(name: str, *names: str, projection: Any = "ALL") -> dict[str, Any]:
    held = (
        {"ProjectionType": projection}
        if isinstance(projection, str)
        else {
            "ProjectionType": "INCLUDE",
            "NonKeyAttributes": projection,
        }
    )
    return {"IndexName": name, "KeySchema": key(*names), "Projection": held}


def table(
    *names: str, indexes: Sequence[Any] = (), local: Sequence[Any] = (), capacity: int | None = None, name: str = "Tab"
) -> dict[str, Any]:
    """A CreateTable request. Attributes named in TYPES are numbers, the others texts."""
    parts = [key(*names), *(each["KeySchema"] for each in (*indexes, *local))]
    attributes = dict.fromkeys(each["AttributeName"] for part in parts for each in part)
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": key(*names),
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": TYPES.get(a, "S")} for a in attributes],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if capacity is not None:
        request["BillingMode"] = "PROVISIONED"
        request["ProvisionedThroughput"] = {"ReadCapacityUnits": capacity, "WriteCapacityUnits": capacity}
    if indexes:
        request["GlobalSecondaryIndexes"] = list(indexes)
    if local:
        request["LocalSecondaryIndexes"] = list(local)
    return request


@dataclass(frozen=True)
class Design:
    """One table with items and declared patterns: a fault (`code`, words of its evidence and advice), or a sound "
    "one."""

    patterns: str
    items: Sequence[Mapping[str, Any]]
    table: Mapping[str, Any]
    code: str | None = None
    words: Sequence[str] = ()
    status: str = "fail"


def settings_of(text: str) -> Settings:
    return parse(tomllib.loads('[project]\nname = "design"\n' + text), Path("devenv.toml"))


def chat(count: int = 12, **more: Any) -> list[dict[str, Any]]:
    """Messages of two rooms."""
    return [
        {"pk": f"ROOM#{number % 2}", "sk": f"2026-06-24T10:{number:02}:00Z", "text": "x" * 40, "who": f"u{number % 3}"}
        | more
        for number in range(count)
    ]


ROOM = '[patterns.room]\ntable = "Tab"\nkey = { pk = "ROOM#{room}" }\n'
BASE = table("pk", "sk")


def bad(findings: Sequence[CheckResult]) -> list[CheckResult]:
    return [finding for finding in findings if finding.status != "ok"]


def told(finding: CheckResult) -> str:
    return " ".join(
        filter(None, (finding.evidence, finding.cause, finding.fix and finding.fix.text, *finding.subjects))
    )


def one_of(findings: Sequence[CheckResult], code: str) -> CheckResult:
    [finding] = [each for each in findings if each.code == code]
    return finding
