"""`devenv init` reads `aws dynamodb create-table` over several lines, of LocalStack's client, and in Makefiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.init.test_init_kinds import made

SQL = {"schema.sql": "CREATE TABLE players (id uuid PRIMARY KEY);"}
KEYS = """\
  --table-name game-scores \\
  --attribute-definitions AttributeName=player_id,AttributeType=S AttributeName=game,AttributeType=S \\
  --key-schema AttributeName=player_id,KeyType=HASH \\
"""
INDEX = """\
  --global-secondary-indexes '[
    {
      "IndexName": "game-index",
      "KeySchema": [{"AttributeName": "game", "KeyType": "HASH"}],
      "Projection": {"ProjectionType": "ALL"}
    }
  ]' \\
  --billing-mode PAY_PER_REQUEST
"""
MAKEFILE = """\
ENDPOINT ?= http://localhost:8000
TABLE := game-scores # one for all
AWS = aws --endpoint-url $(ENDPOINT)

tables:
	$(AWS) dynamodb create-table --table-name ${TABLE} \\
		--attribute-definitions AttributeName=player_id,AttributeType=S \\
		--key-schema AttributeName=player_id,KeyType=HASH \\
		--stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE --billing-mode PAY_PER_REQUEST
	$(AWS) dynamodb update-time-to-live --table-name $(TABLE) \\
		--time-to-live-specification Enabled=true,AttributeName=expires
"""


def request(folder: Path) -> dict[str, Any]:
    """The request that `init` wrote."""
    read: dict[str, Any] = json.loads((folder / "seeds/dynamodb/tables/game-scores.json").read_text())
    return read


@pytest.mark.parametrize("client", ["awslocal", "aws --endpoint-url $URL", "${CLI}"])
def test_json_in_quotes_over_several_lines_is_spelt_out(tmp_path: Path, client: str) -> None:
    text = f"#!/bin/bash\necho made\n{client} dynamodb create-table \\\n{KEYS}{INDEX}"
    _, body = made(tmp_path, {**SQL, "init/tables.sh": text})
    assert [index["IndexName"] for index in request(tmp_path)["GlobalSecondaryIndexes"]] == ["game-index"]
    assert not any("computed" in str(line) for line in body["unused"])
    assert any("init/tables.sh:3: the definition of table game-scores" in str(line) for line in body["found"])


def test_a_makefile_with_its_variables_its_stream_and_its_ttl(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**SQL, "Makefile": MAKEFILE})
    read = request(tmp_path)
    assert read["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert read["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "expires"}
    assert any("Makefile:6: the definition of table game-scores" in str(line) for line in body["found"])


def test_a_variable_of_make_that_an_env_file_gives(tmp_path: Path) -> None:
    makefile = "include .env.example\n" + MAKEFILE.replace("TABLE :=", "OTHER :=")
    made(tmp_path, {**SQL, ".env.example": "TABLE=game-scores\n", "Makefile": makefile})
    assert request(tmp_path)["TableName"] == "game-scores"
