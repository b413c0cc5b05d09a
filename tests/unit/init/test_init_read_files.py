"""`devenv init` on scripts that make tables and items of JSON files which the steps use themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

LOAD = """\
import json, boto3
from pathlib import Path

HERE = Path(__file__).parent.parent

def main():
    db = boto3.resource("dynamodb")
    spec = json.loads((HERE / "infra/kiln.json").read_text())
    db.create_table(**spec)
    with db.Table(spec["TableName"]).batch_writer() as batch:
        for item in json.loads((HERE / "data/firings.json").read_text()):
            batch.put_item(Item=item)

if __name__ == "__main__":
    main()
"""
ITEMS = '[{"PK": "KILN#1", "SK": "FIRING#2", "cone": 6}, {"PK": "KILN#1", "SK": "FIRING#3", "cone": 10}]'
FILES = {"infra/kiln.json": TABLE, "data/firings.json": ITEMS, "db/k.sql": "CREATE TABLE kilns (id int);"}


@pytest.mark.parametrize(
    "text",
    [
        LOAD,
        LOAD.replace('"infra/kiln.json"', '"infra" / "kiln.json"').replace(
            '"data/firings.json"', '"data" / "firings.json"'
        ),
    ],
)
def test_a_script_whose_files_are_used_is_not_listed_as_unused(tmp_path: Path, text: str) -> None:
    settings, body = made(tmp_path, {**FILES, "tools/load_kiln.py": text})
    assert body["unused"] == []
    assert "tools/load_kiln.py:9: create_table(…): used: its request is infra/kiln.json" in body["found"]
    assert settings.steps.seed is not None
    assert list(settings.steps.seed.files) == ["data/firings.json"]


def test_a_script_that_reads_other_files_is_listed(tmp_path: Path) -> None:
    text = LOAD.replace("infra/kiln.json", "infra/oven.json").replace("data/firings.json", "data/bakes.json")
    _, body = made(tmp_path, {**FILES, "tools/load_kiln.py": text})
    assert [each.partition(":")[0] for each in body["unused"]] == ["tools/load_kiln.py"] * 2
