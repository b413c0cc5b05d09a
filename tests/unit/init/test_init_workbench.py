"""`devenv init` reads models of NoSQL Workbench: tables, indexes and sample items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.init.test_init_kinds import made

ITEM = {"Device": {"S": "35"}, "StartedAt": {"S": "2024-01-13T10:02:00Z"}, "Exhibit": {"S": "1911"}}


def part(name: str, kind: str = "S") -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": kind}


def model(**more: Any) -> str:
    table = {
        "TableName": "Listens",
        "KeyAttributes": {"PartitionKey": part("Device"), "SortKey": part("StartedAt")},
        "NonKeyAttributes": [part("Exhibit")],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "ByExhibit",
                "KeyAttributes": {"PartitionKey": part("Exhibit"), "SortKey": part("StartedAt")},
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "TableData": [ITEM],
        "DataAccess": {"MySql": {}},
        **more,
    }
    return json.dumps({"ModelName": "Guide", "ModelMetadata": {"Version": "3.0"}, "DataModel": [table]})


def test_a_model_gives_its_table_and_its_items(tmp_path: Path) -> None:
    settings, body = made(tmp_path, {"docs/guide.json": model(), "db.sql": "CREATE TABLE a (id int);"})
    (name,) = settings.steps.schema_load.files
    request = json.loads((tmp_path / name).read_text())
    assert request["KeySchema"] == [
        {"AttributeName": "Device", "KeyType": "HASH"},
        {"AttributeName": "StartedAt", "KeyType": "RANGE"},
    ]
    assert {each["AttributeName"] for each in request["AttributeDefinitions"]} == {"Device", "StartedAt", "Exhibit"}
    assert request["GlobalSecondaryIndexes"][0]["IndexName"] == "ByExhibit"
    (seeds,) = settings.steps.seed.files
    assert json.loads((tmp_path / seeds).read_text()) == {"Listens": [{"PutRequest": {"Item": ITEM}}]}
    assert not [each for each in body["unused"] if "guide.json" in each]


def test_provisioned_tables_keep_their_size(tmp_path: Path) -> None:
    sized = {"ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 2}}
    files = {"guide.json": model(BillingMode="PROVISIONED", ProvisionedCapacitySettings=sized, TableData=[])}
    settings, _ = made(tmp_path, files)
    (name,) = settings.steps.schema_load.files
    request = json.loads((tmp_path / name).read_text())
    assert request["ProvisionedThroughput"] == {"ReadCapacityUnits": 7, "WriteCapacityUnits": 2}
    assert not settings.steps.seed.files


def test_lines_of_an_export_go_into_the_table_with_the_larger_key(tmp_path: Path) -> None:
    small = {"TableName": "optout", "KeySchema": [{"AttributeName": "code", "KeyType": "HASH"}]}
    small |= {"AttributeDefinitions": [part("code")], "BillingMode": "PAY_PER_REQUEST"}
    large = {
        **small,
        "TableName": "sent",
        "KeySchema": [*small["KeySchema"], {"AttributeName": "at", "KeyType": "RANGE"}],
    }
    large["AttributeDefinitions"] = [part("code"), part("at", "N")]
    lines = "".join(json.dumps({"Item": {"code": {"S": "P1"}, "at": {"N": str(n)}}}) + "\n" for n in range(2))
    files = {"tables/a.json": json.dumps(small), "tables/b.json": json.dumps(large), "export/part-0000.json": lines}
    settings, body = made(tmp_path, files)
    assert settings.steps.seed.files == ["export/part-0000.json"]
    assert "sent" in settings.entities["sent"].table
    assert not [each for each in body["unused"] if "part-0000" in each]
