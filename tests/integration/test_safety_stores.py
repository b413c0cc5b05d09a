"""doctor's group `safety` on real stores: what the application encrypts, and a protected table that is made anew."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Safety
from devenv.steps.step import describe
from devenv.stores.dynamodb.client import Dynamo
from tests.conftest import Stores
from tests.integration.doctor_support import Project, messaging, rows

pytest_plugins = ("tests.integration.step_support",)


@pytest.fixture
def letters(stores: Stores) -> Iterator[Project]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        settings = msgspec.structs.replace(made.context.settings, safety=Safety(encrypted=["letter.message"]))
        yield replace(made, context=replace(made.context, settings=settings))


def outcome(letters: Project) -> dict[str, Any]:
    return rows(letters.doctor(only=["SAF007"]), "ok", "fail", "error", "skip")["SAF007"]


def test_values_that_should_be_encrypted(letters: Project) -> None:
    found = outcome(letters)
    assert found["status"] == "fail"
    assert found["evidence"].startswith("17 of 17 values readable")
    assert "letter number" not in str(found)
    for letter in letters.items(pk="MSG#"):
        letters.change(letter, message=os.urandom(48))
    assert outcome(letters)["status"] == "ok"
    letters.change(letters.items(pk="MSG#")[0], message=b"in the clear")
    found = outcome(letters)
    assert found["evidence"].startswith("1 of 17 values readable")
    assert "binary, but decodes to plain text" in found["evidence"]


def test_no_value_at_all_is_not_verified(letters: Project) -> None:
    for letter in letters.items(pk="MSG#"):
        letters.change(letter, message=None)
    assert (outcome(letters)["status"], letters.doctor(only=["SAF007"]).body["verdict"]) == ("error", "not_verified")


def test_a_table_that_a_command_made_is_asked_itself(letters: Project) -> None:
    demands = Safety(deletion_protection=True, encryption_at_rest="aws-managed")
    settings = msgspec.structs.replace(letters.context.settings, safety=demands)
    made = replace(letters, context=replace(letters.context, settings=settings, tables={}))
    found = rows(made.doctor(only=["SAF003", "SAF005"]))
    assert found["SAF003"]["evidence"] == f"table `{letters.table}`: the table itself has no DeletionProtectionEnabled"
    assert found["SAF005"]["status"] == "fail"
    with Dynamo(letters.context.targets.dynamodb) as dynamo:
        dynamo.call("UpdateTable", {"TableName": letters.table, "DeletionProtectionEnabled": True})
        try:
            assert rows(made.doctor(only=["SAF003"])) == {}
        finally:
            dynamo.call("UpdateTable", {"TableName": letters.table, "DeletionProtectionEnabled": False})


def test_a_protected_table_can_be_recreated(small: Any) -> None:
    table = {
        "TableName": small.table("things"),
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
    }
    small.steps["schema-load"] = {"files": ["tables.json"]}
    small.write("tables.json", json.dumps(table))
    small.run("schema-load")
    assert small.run("schema-load", fresh=True).counts["tables deleted"] == 1
    with Dynamo(small.dynamodb) as dynamo:
        described = describe(dynamo, table["TableName"])
        assert described is not None
        assert described["DeletionProtectionEnabled"] is True
        dynamo.call("UpdateTable", {"TableName": table["TableName"], "DeletionProtectionEnabled": False})
