"""Seeds as people have them: modules of a package, DynamoDB's own JSON under any name, packed exports."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from devenv.init.python_module import module_of
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_plain_tables import table

SKIPPER = "7c9a2f3e-1b64-4d0f-8a11-52c0e6a9d3b7"
FILES = {
    "db/schema.sql": "CREATE TABLE skippers (id uuid PRIMARY KEY, handle text UNIQUE NOT NULL);",
    "infra/sailings.json": table("sailings", "skipper_id", "departs"),
}
ITEM: dict[str, Any] = {
    "skipper_id": {"S": SKIPPER},
    "departs": {"S": "2026-05-01T08:00"},
    "seats": {"N": "4"},
    "note": {"NULL": True},
}
LATER = {**ITEM, "departs": {"S": "2026-05-02T08:00"}}
WRITES = f'{{"skipper_id": "{SKIPPER}", "departs": "2026-05-01T08:00", "seats": 4}}'
STORES = "import boto3, psycopg\ntable = boto3.resource('dynamodb').Table('sailings')\n"


@pytest.mark.parametrize(
    ("folder", "file", "imports", "command"),
    [
        ("ferry", "seed.py", "from ferry.stores import table", ["{python}", "-m", "ferry.seed"]),
        ("ferry", "seed.py", "from .stores import table", ["{python}", "-m", "ferry.seed"]),
        ("ferry", "seed/__main__.py", "from ..stores import table", ["{python}", "-m", "ferry.seed"]),
        (
            "api/ferry",
            "seed.py",
            "from ferry.stores import table",
            ["sh", "-c", "cd api && '{python}' -m ferry.seed"],
        ),
        ("ferry", "seed.py", "from stores import table", ["{python}", "ferry/seed.py"]),
    ],
)
def test_a_seed_of_a_package_runs_as_a_module(
    tmp_path: Path, folder: str, file: str, imports: str, command: list[str]
) -> None:
    seed = f"{imports}\ntable.put_item(Item={WRITES})\n"
    package = {f"{folder}/__init__.py": "", f"{folder}/stores.py": STORES, f"{folder}/{file}": seed}
    package |= {f"{folder}/seed/__init__.py": ""} if "/" in file else {}
    settings, _ = made(tmp_path, {**FILES, **package})
    assert settings.steps.seed.command == command
    assert settings.steps.seed.files == [f"{folder}/{file}"]


@pytest.mark.parametrize(
    ("file", "packages", "expected"),
    [
        ("tools/seed.py", ["app"], ("", "tools.seed")),
        ("api/tools/seed.py", ["app"], None),
        ("api/tools/seed.py", ["core"], ("api", "tools.seed")),
        ("api/load-it/seed.py", ["core"], None),
        ("seed.py", ["app"], None),
    ],
)
def test_the_folder_of_a_module_is_the_one_that_has_its_imports(
    file: str, packages: list[str], expected: tuple[str, str] | None
) -> None:
    names = ["app/__init__.py", "api/core/db.py", "api/tools/app.py", file]
    assert module_of(file, packages, names) == expected


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("ops/march.json", json.dumps({"Items": [ITEM], "Count": 1, "ScannedCount": 1, "ConsumedCapacity": None})),
        ("ops/march.json", json.dumps({"sailings": [{"PutRequest": {"Item": ITEM}}]})),
        ("ops/march.json", json.dumps({"RequestItems": {"sailings": [{"PutRequest": {"Item": ITEM}}]}})),
        ("ops/march.jsonl", json.dumps({"Item": ITEM}) + "\n" + json.dumps({"Item": LATER}) + "\n"),
        ("export/data/q7zx.json.gz", json.dumps({"Item": ITEM}) + "\n"),
        ("export/data/q7zx.json.gz", json.dumps({"Metadata": {}, "Keys": {}, "NewImage": ITEM}) + "\n"),
    ],
)
def test_items_in_the_json_of_dynamodb_are_seeds_whatever_the_file_is_called(
    tmp_path: Path, file: str, text: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
    settings, _ = made(tmp_path, FILES)
    assert settings.steps.seed.files == [file]
    # A null tells no type.
    assert settings.entities["sailing"].attributes == {"skipper_id": "uuid", "departs": "time", "seats": "number"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(ITEM), "one item of table sailings in the form of `put-item --item`"),
        (
            f"[{WRITES}]",
            "its items fit table sailings, but neither the file's name nor a script says that the file is a",
        ),
    ],
)
def test_what_only_looks_like_items_is_listed(tmp_path: Path, text: str, said: str) -> None:
    settings, body = made(tmp_path, {**FILES, "ops/march.json": text})
    assert settings.steps.seed.files == []
    assert [each for each in body["unused"] if each.startswith(f"ops/march.json: {said}")]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([ITEM], "one of its items has the same key as an item of seeds/sailings.json"),
        ([LATER, LATER], "two of its items have the same key"),
    ],
)
def test_a_second_copy_of_the_same_items_is_not_loaded(tmp_path: Path, items: list[Any], said: str) -> None:
    copy = json.dumps({"Items": items, "Count": len(items)})
    settings, body = made(tmp_path, {**FILES, "backup.json": copy, "seeds/sailings.json": f"[{WRITES}]"})
    assert settings.steps.seed.files == ["seeds/sailings.json"]
    assert f"backup.json: not loaded: {said}" in body["unused"]


def test_a_packed_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**FILES, "export/data/q7zx.json.gz": "not packed"})
    assert [each for each in body["found"] if each.startswith("export/data/q7zx.json.gz: ")]


GO = """package main

import "github.com/aws/aws-sdk-go-v2/service/dynamodb"

func save(ctx context.Context, player, gameID, level string) error {
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("scores"),
		Item: map[string]types.AttributeValue{
		"player": &types.AttributeValueMemberS{Value: player},
		"gameId": &types.AttributeValueMemberS{Value: gameID},
		"level":  &types.AttributeValueMemberS{Value: level},
	}})
	return err
}
"""


@pytest.mark.parametrize("player", ["mira", "PLAYER#mira"])
def test_the_type_of_the_seed_and_of_the_key_counts_before_that_of_the_code(tmp_path: Path, player: str) -> None:
    definition = json.loads(table("scores", "player", "gameId"))
    definition["AttributeDefinitions"][1]["AttributeType"] = "N"
    seed = json.dumps([{"player": player, "gameId": 7, "level": 3}])
    files = {"go.mod": "module ferry\n", "main.go": GO, "scores.json": json.dumps(definition), "seed/scores.json": seed}
    settings, _ = made(tmp_path, {**files, "db/schema.sql": FILES["db/schema.sql"]})
    [entity] = settings.entities.values()
    assert {name: entity.attributes[name] for name in ("gameId", "level")} == {"gameId": "number", "level": "number"}


def test_a_script_that_loads_a_file_is_listed_with_the_line_to_declare(tmp_path: Path) -> None:
    script = f"import csv\n{STORES}for row in csv.DictReader(open('a/march.csv')):\n    table.put_item(Item=row)\n"
    _, body = made(tmp_path, {**FILES, "tools/load_sailings.py": script, "a/march.csv": "skipper_id,departs\n"})
    [said] = [each for each in body["unused"] if each.startswith("tools/load_sailings.py: it writes items")]
    assert said.endswith('declare [steps.seed] command = ["{python}", "tools/load_sailings.py"]')
