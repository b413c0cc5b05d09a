"""doctor's group `drift`: an account whose tables are not as the project declares them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devenv.doctor.runner import diagnose
from tests.integration.account_support import (
    DEMANDS,
    REQUEST,
    Cloud,
    cloud,
    only_reads,
    rows,
    shown,
)
from tests.integration.moto_support import REGION, server
from tests.unit.doctor.test_doctor_safety import TABLE, context

__all__ = ["cloud", "server"]


# --- drift


def drift(**more: Any) -> dict[str, dict[str, Any]]:
    return rows("drift", drift=True, **more)


def test_without_drift_it_is_quiet(cloud: Cloud) -> None:
    found = drift()
    assert shown(found) == {}
    assert found["DRF001"]["evidence"].endswith(f"{TABLE} ({REGION})")
    only_reads(cloud.moto)


def remade(**changes: Any) -> Callable[[Cloud], None]:
    """The table deleted and made from a changed request; its settings as before."""

    def change(cloud: Cloud) -> None:
        client = cloud.client("dynamodb")
        client.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
        client.delete_table(TableName=TABLE)
        request = {**REQUEST, **changes}
        used = {
            part["AttributeName"]
            for keyed in (request, *request["GlobalSecondaryIndexes"], *request["LocalSecondaryIndexes"])
            for part in keyed["KeySchema"]
        }
        request["AttributeDefinitions"] = [
            each for each in request["AttributeDefinitions"] if each["AttributeName"] in used
        ]
        client.create_table(**{name: value for name, value in request.items() if value != []})
        client.update_time_to_live(
            TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
        )
        client.update_continuous_backups(
            TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )

    return change


def updated(**changes: Any) -> Callable[[Cloud], None]:
    return lambda cloud: cloud.client("dynamodb").update_table(TableName=TABLE, **changes)


INDEX, LOCAL = REQUEST["GlobalSecondaryIndexes"][0], REQUEST["LocalSecondaryIndexes"][0]
NUMBERS = [
    {**each, "AttributeType": "N"} if each["AttributeName"] == "sk" else each
    for each in REQUEST["AttributeDefinitions"]
]
DRIFTS: dict[str, tuple[str, Callable[[Cloud], Any], str]] = {
    "the key": (
        "DRF001",
        remade(
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "day", "KeyType": "RANGE"}],
            LocalSecondaryIndexes=[{**LOCAL, "KeySchema": LOCAL["KeySchema"]}],
        ),
        "key: `pk (S), sk (S)` in the declaration; `pk (S), day (S)` in the account",
    ),
    "a key's type": (
        "DRF001",
        remade(AttributeDefinitions=NUMBERS),
        "key: `pk (S), sk (S)` in the declaration; `pk (S), sk (N)` in the account",
    ),
    "a missing index": (
        "DRF001",
        updated(GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-author"}}]),
        "global index by-author: declared, but not in the account",
    ),
    "an index more": (
        "DRF001",
        remade(GlobalSecondaryIndexes=[INDEX, {**INDEX, "IndexName": "by-day-too"}]),
        "global index by-day-too: in the account, but not declared",
    ),
    "an index's key": (
        "DRF001",
        remade(GlobalSecondaryIndexes=[{**INDEX, "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}]}]),
        "key of global index by-author: `author (S)` in the declaration; `day (S)` in the account",
    ),
    "a missing local index": (
        "DRF001",
        remade(LocalSecondaryIndexes=[]),
        "local index by-day: declared, but not in the account",
    ),
    "a projection": (
        "DRF001",
        remade(GlobalSecondaryIndexes=[{**INDEX, "Projection": {"ProjectionType": "KEYS_ONLY"}}]),
        "projection of global index by-author: `INCLUDE (size, title)` in the declaration; `KEYS_ONLY` in the account",
    ),
    "projected attributes": (
        "DRF001",
        remade(
            GlobalSecondaryIndexes=[
                {**INDEX, "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title"]}}
            ]
        ),
        "projection of global index by-author: `INCLUDE (size, title)` in the declaration; `INCLUDE (title)` in the "
        "account",
    ),
    "TTL off": (
        "DRF002",
        lambda c: c.client("dynamodb").update_time_to_live(
            TableName=TABLE, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires"}
        ),
        "TTL: expires in the declaration, off in the account",
    ),
    "the stream's view": (
        "DRF002",
        remade(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}),
        "stream: NEW_IMAGE in the declaration, KEYS_ONLY in the account",
    ),
    "the stream off": (
        "DRF002",
        remade(StreamSpecification={"StreamEnabled": False}),
        "stream: NEW_IMAGE in the declaration, off in the account",
    ),
    "protection off": (
        "DRF002",
        updated(DeletionProtectionEnabled=False),
        "deletion protection: on in the declaration, off in the account",
    ),
    "recovery off": (
        "DRF002",
        lambda c: c.client("dynamodb").update_continuous_backups(
            TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        "point-in-time recovery: on in the declaration, off in the account",
    ),
    "billing": (
        "DRF002",
        remade(
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 2},
            GlobalSecondaryIndexes=[
                {**INDEX, "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 2}}
            ],
        ),
        "billing: on demand in the declaration, provisioned (5 read and 2 write units) in the account",
    ),
}


@pytest.mark.parametrize(("code", "change", "told"), DRIFTS.values(), ids=DRIFTS.keys())
def test_drift_is_named(cloud: Cloud, code: str, change: Callable[[Cloud], Any], told: str) -> None:
    change(cloud)
    cloud.moto.forget()
    found = drift()
    assert list(shown(found)) == [code], shown(found)
    assert found[code]["status"] == "fail"
    assert found[code]["evidence"] == f"table {TABLE} ({REGION}): {told}"
    only_reads(cloud.moto)


def test_a_table_that_is_not_there(cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    client.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    client.delete_table(TableName=TABLE)
    found = drift()
    assert found["DRF001"]["evidence"] == f"table {TABLE} is not there ({REGION})"
    assert found["DRF002"]["status"] == "skip"


def test_drift_that_no_one_looks_for_is_skipped_and_not_verified_when_asked_for(cloud: Cloud) -> None:
    made = context(DEMANDS, request=REQUEST)
    report = diagnose(made, only=["drift"])
    assert {each["status"] for each in report.body["checks"]} == {"skip"}
    report = diagnose(context(DEMANDS, request=REQUEST, asks_drift=True), only=["drift"])
    assert (report.exit_code, report.body["verdict"]) == (3, "not_verified")
    assert cloud.moto.calls() == []
