"""`devenv init` follows COPY … FROM a file that compose mounts: its rows, or the line whose file is nowhere."""

from __future__ import annotations

import json
from pathlib import Path

from devenv.init.survey import survey
from tests.unit.init.test_init import drafted, write

COMPOSE = """
services:
  db: {image: "postgres:14", environment: {POSTGRES_DB: rail}, volumes: ["./db:/docker-entrypoint-initdb.d:ro"]}
"""
TABLE = {
    "TableName": "departures",
    "AttributeDefinitions": [{"AttributeName": "station", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "station", "KeyType": "HASH"}],
}
SQL = """CREATE TABLE stations (code text PRIMARY KEY, label text NOT NULL);
COPY stations (code, label) FROM '/docker-entrypoint-initdb.d/stations.csv' WITH (FORMAT csv, HEADER true);
COPY stations FROM '/docker-entrypoint-initdb.d/lost.csv' CSV;
"""


def test_the_rows_of_a_copied_file(tmp_path: Path) -> None:
    files = {
        "compose.yml": COMPOSE,
        "db/init.sql": SQL,
        "db/stations.csv": 'code,label\nHAM,"Hamburg, Hbf"\nBER,Berlin\n',
        "dynamo/departures.json": json.dumps(TABLE),
        "dynamo/data/departures.csv": "station,train\nHAM,ICE 701\nBER,RE 1\n",
    }
    write(tmp_path, files)
    found = survey(tmp_path)
    assert found.sql[0].fills == ("stations",)
    assert found.values.columns["stations", "code"] == ("HAM", "BER")
    assert found.values.columns["stations", "label"] == ("Hamburg, Hbf", "Berlin")
    assert found.unused == (
        "db/init.sql:3: COPY reads /docker-entrypoint-initdb.d/lost.csv, which is no file of this folder: `devenv up`"
        " refuses it. Put the file beside the SQL file, or remove the line",
    )
    assert [(each.source, each.to) for each in drafted(tmp_path).links] == [
        ("dynamodb:departures.station", "postgres:stations.code")
    ]
